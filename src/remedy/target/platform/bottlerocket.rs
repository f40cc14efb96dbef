//! `bottlerocket`: settings of Bottlerocket nodes, as TOML user data.
//!
//! Sources: bottlerocket.dev, settings.kernel, settings.kubernetes, settings.oci-defaults; release-sysctl.conf of
//! bottlerocket-os/bottlerocket for its own values, and issue 3747 there for a module that is loaded at boot.

use super::super::yaml::quoted;
use super::super::{File, Order, Rendered, Target};
use super::{Parts, Takeover, Takes, at_least_the_default, commented, user_data};

pub(in super::super) const TARGET: Target =
    Target { name: "bottlerocket", about: "Bottlerocket nodes: settings (TOML user data)", render };

const TAKES: Takes = Takes {
    defaults: &[
        ("fs.inotify.max_user_instances", 8192),
        ("net.ipv4.neigh.default.gc_thresh2", 15_360),
        ("net.ipv4.neigh.default.gc_thresh3", 16_384),
        ("net.ipv6.neigh.default.gc_thresh2", 15_360),
        ("net.ipv6.neigh.default.gc_thresh3", 16_384),
        ("net.netfilter.nf_conntrack_max", 1_048_576),
    ],
    nofile: |edit| Ok(at_least_the_default(edit)),
    labels: &[
        "[settings.kubernetes.node-labels]",
        "\"tunecheck/unsafe-sysctls\" = \"allowed\"",
        "[settings.kubernetes.node-taints]",
        "\"tunecheck/unsafe-sysctls\" = [\"allowed:NoSchedule\"]",
    ],
    sysctls_act: BY_API,
    others_act: BY_API,
    ..Takes::PLAIN
};

const BY_API: Takeover = Takeover {
    acts: "on nodes that are made with it, or once apiclient set gives it to one that runs",
    anew: false,
    undo: "take the keys out, and replace the nodes",
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
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
