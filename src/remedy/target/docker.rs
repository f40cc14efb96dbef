//! `docker`: flags of `docker run`, a fragment for Compose, and the default limits of the daemon.

use super::container::Given;
use super::{File, Order, Rendered, Target, notes};

pub(super) const TARGET: Target = Target {
    name: "docker",
    about: "docker run flags, a Compose fragment, daemon.json: for an audit inside the container",
    render,
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let given = Given::by(order, &mut rendered);
    rendered.files.extend(given.script(order, "docker", ""));
    if !given.is_empty() {
        rendered.files.push(compose(order, &given));
    }
    rendered.files.extend(daemon(order, &given));
    Ok(rendered)
}

fn compose(order: Order<'_>, given: &Given<'_>) -> File {
    let mut text = String::from(
        "# For the service that carries the load, below services.NAME of its Compose file.\n\
         # Not with network_mode: host, where the sysctls are the node's.\n",
    );
    for (index, (step, edit)) in given.sysctls.iter().enumerate() {
        // A key without entries is no mapping.
        if index == 0 {
            let any = given.sysctls.iter().any(|(step, _)| order.takes(step));
            text += if any { "sysctls:\n" } else { "# left to you: sysctls:\n" };
        }
        text += &notes::comment(step, "  #");
        text += &format!("  {}{}: \"{}\"\n", order.mark(step), edit.name, edit.new.plain());
    }
    if let Some((step, edit)) = given.nofile {
        let mark = given.mark(order);
        text += &notes::comment(step, "#");
        text += &given.first(order);
        text += &format!("{mark}ulimits:\n{mark}  nofile:\n");
        text += &format!("{mark}    soft: {}\n{mark}    hard: {}\n", edit.soft, edit.hard);
    }
    let apply = "its lines, indented, into the service of your Compose file, then `docker compose up -d`. \
                 Undo: take them out, then the same command.";
    File { path: "compose.yaml".to_owned(), text, apply: apply.to_owned() }
}

/// JSON has no comments, so what is to be known stands beside the file.
fn daemon(order: Order<'_>, given: &Given<'_>) -> Option<File> {
    let (step, edit) = given.limits(order)?;
    let text = format!(
        "{{\n  \"default-ulimits\": {{\n    \"nofile\": {{\n      \"Name\": \"nofile\",\n      \"Soft\": {},\n      \"Hard\": {}\n    }}\n  }}\n}}\n",
        edit.soft, edit.hard
    );
    let apply = format!(
        "a choice for a person, and **the flag of the one container is the better way: `systemctl restart \
         docker` STOPS EVERY CONTAINER of the host**, unless `docker info -f '{{{{.LiveRestoreEnabled}}}}'` \
         prints true. It is for every container of the daemon that names no limit of its own. Look first, so \
         that none has less than now: `default-ulimits` in `/etc/docker/daemon.json`, `--default-ulimit` in \
         `systemctl cat docker` (with both the daemon does not start), and `ulimit -Sn; ulimit -Hn` in a \
         container; write the greater of each. Merge the key into the file, which may hold others and stays \
         (never overwrite it), then restart the daemon when its containers may stop; they take it when they are \
         made anew. Prove: `{}`. Cost: {}. Undo: take the key out and restart the daemon, which stops them \
         again.",
        notes::one_line(&step.action.prove).replace('`', "'"),
        notes::one_line(&step.action.cost),
    );
    Some(File { path: "daemon.json".to_owned(), text, apply })
}
