//! `bottlerocket`: settings of Bottlerocket nodes, as TOML user data.
//!
//! Sources: bottlerocket.dev, settings.kernel, settings.kubernetes, settings.oci-defaults; issue 3747 of
//! bottlerocket-os/bottlerocket for a module that is loaded at boot.

use super::super::yaml::quoted;
use super::super::{File, Order, Rendered, Target};
use super::{Parts, TO_KUBE_PROXY, Takes, at_least_the_default, commented, user_data};

pub(in super::super) const TARGET: Target =
    Target { name: "bottlerocket", about: "Bottlerocket nodes: settings (TOML user data)", render };

const TAKES: Takes = Takes {
    sysctl: |_| Ok(()),
    kube_proxy: |_| Err(TO_KUBE_PROXY.to_owned()),
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: |edit| Ok(at_least_the_default(edit)),
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
    if parts.writes_nothing(&mut rendered) {
        return Ok(rendered);
    }
    let mut text = format!(
        "# Settings of Bottlerocket nodes. Its root is read-only and /etc is made anew at boot: no sysctl.d there.\n{}",
        commented(&parts.told())
    );
    for module in parts.modules() {
        text += &format!("\n[settings.kernel.modules.{module}]\nallowed = true\nautoload = true\n");
    }
    if parts.writes_sysctls() {
        text += "\n[settings.kernel.sysctl]\n";
        text.extend(parts.taken().map(|entry| format!("{} = {}\n", quoted(&entry.edit.name), quoted(&entry.value))));
    }
    let names: Vec<String> = parts.names().into_iter().map(quoted).collect();
    if !names.is_empty() {
        text += &format!("\n[settings.kubernetes]\nallowed-unsafe-sysctls = [{}]\n", names.join(", "));
    }
    if let Some(edit) = parts.files_limit() {
        text += &format!(
            "\n[settings.oci-defaults.resource-limits.max-open-files]\nsoft-limit = {}\nhard-limit = {}\n",
            edit.soft, edit.hard
        );
    }
    rendered.files.push(File {
        path: "settings.toml".to_owned(),
        text: user_data(text),
        apply:
            "into the user data of the nodes, tables that are there already merged by hand; nodes that run have to be \
                replaced, or get the same with `apiclient set`. Undo: take the keys out and replace the nodes."
                .to_owned(),
    });
    Ok(rendered)
}
