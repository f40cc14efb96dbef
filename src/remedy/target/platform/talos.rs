//! `talos`: a patch of a Talos machine configuration.
//!
//! Sources: docs.siderolabs.com, reference of the v1alpha1 configuration, of SysctlConfig and of
//! CRIBaseRuntimeSpecConfig.

use serde_json::{Map, Value, json};

use super::super::{File, Order, Rendered, Target, notes, yaml};
use super::{Parts, Takeover, Takes, commented, rlimits};
use crate::model::action::NofileEdit;

pub(in super::super) const TARGET: Target =
    Target { name: "talos", about: "Talos Linux: patch of the machine configuration (YAML)", render };

const TAKES: Takes = Takes {
    defaults: &[("fs.inotify.max_user_instances", 8192)],
    reserved: "50000,50001",
    // Talos starts kube-proxy with conntrack-max-per-core=0: the node's own value holds, and conntrack-min is ignored.
    kube_proxy: Some(|edit| match edit.name.ends_with("nf_conntrack_max") {
        true => Ok(()),
        false => Err("kube-proxy writes it at its start: on Talos its arguments are cluster.proxy.extraArgs of the \
                      control plane (conntrack-tcp-timeout-established), or from 1.14 on the document KubeProxyConfig; \
                      --to kubernetes says more"
            .to_owned()),
    }),
    nofile: |edit| match edit.hard > OF_CONTAINERS {
        true => Ok(NofileEdit { soft: edit.soft.max(OF_CONTAINERS), ..*edit }),
        false => Err(
            "Talos gives containers 1048576 soft and hard, and less in its base runtime specification would lower it for \
             all of them: the node's administrator finds out what lowers it here (the image's entrypoint, \
             baseRuntimeSpecOverrides)",
        ),
    },
    labels: &[
        "machine:",
        "  nodeLabels: { tunecheck/unsafe-sysctls: allowed }",
        "  nodeTaints: { tunecheck/unsafe-sysctls: \"allowed:NoSchedule\" }",
    ],
    sysctls_act: Takeover {
        acts: "once the machine configuration is patched, and at every boot",
        anew: false,
        undo: "take the key out of the machine configuration, and write the former value",
    },
    others_act: Takeover {
        acts: "once the machine configuration is patched, for what is started afterwards; maybe after a reboot only",
        anew: true,
        undo: "take the key out of the machine configuration",
    },
    ..Takes::PLAIN
};
/// The limits on open files that containers inherit.
const OF_CONTAINERS: i128 = 1_048_576;

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
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
    let mut about = Vec::new();
    notes::wrap(
        &mut about,
        "",
        "A patch of the machine configuration. From Talos 1.14 on documents of their own hold the same: SysctlConfig \
         (params), KernelModuleConfig (name), KubeletConfig (extraConfig), KubeProxyConfig and CRIBaseRuntimeSpecConfig \
         (overrides). Where the node has such a document put the values there: both forms at once are an error, and for \
         sysctls the document wins. What the node has now: talosctl --nodes NODE get machineconfig -o yaml",
    );
    notes::wrap(
        &mut about,
        "",
        "nf_conntrack_max holds, since Talos starts kube-proxy with conntrack-max-per-core=0, unless cluster.proxy.extraArgs \
         of the control plane say otherwise.",
    );
    let text =
        format!("{}{}{}", commented(&about), commented(&parts.told()), yaml::document(&json!({ "machine": machine })));
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
