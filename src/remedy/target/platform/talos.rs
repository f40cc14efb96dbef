//! `talos`: a patch of a Talos machine configuration.
//!
//! Sources: docs.siderolabs.com, reference of the v1alpha1 configuration, of SysctlConfig and of
//! CRIBaseRuntimeSpecConfig.

use serde_json::{Map, Value, json};

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, Takes, commented, rlimits};

pub(in super::super) const TARGET: Target =
    Target { name: "talos", about: "Talos Linux: patch of the machine configuration (YAML)", render };

const TAKES: Takes = Takes {
    sysctl: |_| Ok(()),
    kube_proxy: |_| {
        Err("kube-proxy writes it at its start: on Talos its arguments are cluster.proxy.extraArgs of the control \
             plane (conntrack-min, conntrack-tcp-timeout-established); --to kubernetes says more"
            .to_owned())
    },
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: |edit| Ok(*edit),
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
    if parts.writes_nothing(&mut rendered) {
        return Ok(rendered);
    }
    let mut machine = Map::new();
    let modules: Vec<Value> = parts.modules().into_iter().map(|module| json!({ "name": module })).collect();
    if !modules.is_empty() {
        machine.insert("kernel".to_owned(), json!({ "modules": modules }));
    }
    if parts.writes_sysctls() {
        machine.insert("sysctls".to_owned(), parts.map());
    }
    if !parts.names().is_empty() {
        let config = json!({ "extraConfig": { "allowedUnsafeSysctls": parts.names() } });
        machine.insert("kubelet".to_owned(), config);
    }
    if let Some(edit) = parts.files_limit() {
        machine.insert("baseRuntimeSpecOverrides".to_owned(), json!({ "process": { "rlimits": rlimits(edit) } }));
    }
    let text = format!(
        "# A patch of the machine configuration. From Talos 1.14 on documents of their own hold the same: SysctlConfig \
         (params),\n# KernelModuleConfig (name) and CRIBaseRuntimeSpecConfig (overrides). Where the node has such a \
         document, put the\n# values there: for sysctls it wins, and the last one excludes baseRuntimeSpecOverrides. \
         What the node has now:\n#   talosctl --nodes NODE get machineconfig -o yaml\n\
         # Limits on open files: keep what containers on the node have where it is more (grep 'open files' \
         /proc/PID/limits).\n{}{}",
        commented(&parts.told()),
        yaml::document(&json!({ "machine": machine }))
    );
    rendered.files.push(File {
        path: "machine-patch.yaml".to_owned(),
        text,
        apply:
            "`talosctl --nodes NODE patch machineconfig --patch @machine-patch.yaml`; limits on open files may need a \
                reboot. Undo: take the keys out of the machine configuration and write the former values."
                .to_owned(),
    });
    Ok(rendered)
}
