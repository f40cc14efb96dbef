//! `podman`: flags of `podman run`, a drop-in for Quadlet, and the default limits of containers.conf.

use super::container::Given;
use super::{File, Order, Rendered, Target, notes};

pub(super) const TARGET: Target = Target {
    name: "podman",
    about: "podman run flags, a Quadlet drop-in, containers.conf: for an audit inside the container",
    render,
};

const INSTEAD: &str =
    "# It stands in for default_ulimits of containers.conf as a whole: name the entries that are there as well.\n";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let given = Given::by(order, &mut rendered);
    rendered.files.extend(given.script(order, "podman", INSTEAD));
    if !given.is_empty() {
        rendered.files.push(quadlet(order, &given));
    }
    rendered.files.extend(containers_conf(order, &given));
    Ok(rendered)
}

/// Keys and quotes as in podman-systemd.unit(5): `Sysctl` since 4.6, a list of words; `Ulimit` since 4.7.
fn quadlet(order: Order<'_>, given: &Given<'_>) -> File {
    let mut text =
        String::from("# For podman 4.7 or newer. Not with Network=host, where the sysctls are the node's.\n");
    text += "[Container]\n";
    for (step, edit) in &given.sysctls {
        let setting = format!("{}={}", edit.name, edit.new.plain());
        let setting = if setting.contains(' ') { format!("\"{setting}\"") } else { setting };
        text += &format!("\n{}{}Sysctl={setting}\n", notes::comment(step, "#"), order.mark(step));
    }
    if let Some((step, edit)) = given.nofile {
        text += &format!("\n{}{INSTEAD}{}", notes::comment(step, "#"), given.first(order));
        text += &format!("{}Ulimit=nofile={}:{}\n", given.mark(order), edit.soft, edit.hard);
    }
    let apply = "its lines into the `[Container]` section of `/etc/containers/systemd/NAME.container`, or from podman 5.0 on the \
                 file to `NAME.container.d/50-tunecheck.conf` beside it; then `systemctl daemon-reload`, and when it suits \
                 restart NAME. Undo: take them out, then the same commands.";
    File { path: "quadlet.conf".to_owned(), text, apply: apply.to_owned() }
}

fn containers_conf(order: Order<'_>, given: &Given<'_>) -> Option<File> {
    let (step, edit) = given.nofile.filter(|(step, _)| order.takes(step))?;
    let mut text = String::from(
        "# Instead of the flag, for every container that names no limit of its own.\n\
         # The list that is read last replaces the others: keep the entries of the one you have.\n\
         # Without root no limit can be above the user's own hard limit (ulimit -Hn): the container would not start.\n\
         # Where containers have more now, write the greater of each.\n[containers]\n",
    );
    text += &format!("{}{}", notes::comment(step, "#"), given.first(order));
    text += &format!("{}default_ulimits = [\"nofile={}:{}\"]\n", given.mark(order), edit.soft, edit.hard);
    let apply = "instead of the flag: merge the entry into `default_ulimits` of `/etc/containers/containers.conf`, never over an \
                 entry that is there; containers take it when they are made anew. Undo: take the entry out.";
    Some(File { path: "containers.conf".to_owned(), text, apply: apply.to_owned() })
}
