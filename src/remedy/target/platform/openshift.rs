//! `openshift`: a Tuned profile of the Node Tuning Operator, and a KubeletConfig.
//!
//! Sources: README of openshift/cluster-node-tuning-operator; profiles/openshift/tuned.conf of
//! redhat-performance/tuned; KubeletConfig of machineconfiguration.openshift.io/v1.

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Entry, Parts, Takeover, Takes, commented};
use crate::model::action::{How, SysctlEdit};
use crate::model::sysctl::variable;

pub(in super::super) const TARGET: Target =
    Target { name: "openshift", about: "OpenShift: Tuned profile and KubeletConfig (YAML)", render };

const TAKES: Takes = Takes {
    sysctl: takes,
    // The profiles openshift and openshift-node: a line of ours, also one with =>, stands in place of theirs.
    defaults: &[
        ("fs.inotify.max_user_instances", 8192),
        ("fs.inotify.max_user_watches", 65_536),
        ("kernel.pid_max", 4_194_304),
        ("net.ipv4.neigh.default.gc_thresh1", 8192),
        ("net.ipv4.neigh.default.gc_thresh2", 32_768),
        ("net.ipv4.neigh.default.gc_thresh3", 65_536),
        ("net.ipv6.neigh.default.gc_thresh1", 8192),
        ("net.ipv6.neigh.default.gc_thresh2", 32_768),
        ("net.ipv6.neigh.default.gc_thresh3", 65_536),
        ("net.netfilter.nf_conntrack_buckets", 1_048_576),
        ("net.netfilter.nf_conntrack_max", 1_048_576),
        ("vm.max_map_count", 262_144),
    ],
    kube_proxy: Some(takes),
    nofile: |_| {
        Err("CRI-O gives it: default_ulimits (--to kubernetes), which on OpenShift a MachineConfig puts into \
             /etc/crio/crio.conf.d")
    },
    labels: &[
        "in the MachineSet, below spec.template.spec:",
        "  metadata: { labels: { tunecheck/unsafe-sysctls: allowed } }",
        "  taints: [{ key: tunecheck/unsafe-sysctls, value: allowed, effect: NoSchedule }]",
    ],
    sysctls_act: Takeover {
        acts: "once the operator has applied the profile, and at every start of TuneD",
        anew: false,
        undo: "take the line out of the profile, and write the former value back on the node",
    },
    others_act: Takeover {
        acts: "once the operator has restarted the nodes of the pool",
        anew: true,
        undo: "take it out of the KubeletConfig: the nodes restart again",
    },
    ..Takes::PLAIN
};

/// TuneD applies these again after its profile (reapply_sysctl).
const WINS: [&str; 3] = ["/etc/sysctl.d/", "/run/sysctl.d/", "/etc/sysctl.conf"];

fn takes(edit: &SysctlEdit) -> Result<(), String> {
    match &edit.boot_line {
        Some(at) if WINS.iter().any(|files| at.starts_with(files)) => Err(format!(
            "{at} on the node wins over a Tuned object, since TuneD applies those files again after it \
             (reapply_sysctl): a MachineConfig changes that line"
        )),
        _ => Ok(()),
    }
}

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
    match parts.writes_sysctls() {
        true => rendered.files.push(tuned(&parts)),
        false => parts.without_sysctls(&mut rendered),
    }
    match parts.writes_others() {
        true => rendered.files.push(kubelet_config(&parts)),
        false => parts.without_others(&mut rendered),
    }
    Ok(rendered)
}

fn tuned(parts: &Parts<'_>) -> File {
    // TuneD's => sets a number only if the live one is lower.
    let line = |entry: &Entry<'_>| {
        let sign = if entry.edit.how == How::Raise { "=>" } else { "=" };
        // A profile that it includes may set the variable under another name, which TuneD then writes later.
        let given = |name: &str| format!("{name}{sign}{}\n", entry.value);
        given(&entry.edit.name) + &variable::aliases(&entry.edit.name).map(given).collect::<String>()
    };
    let lines: String = parts.taken().map(line).collect();
    let data = format!("[main]\nsummary=What tunecheck proposes\ninclude=openshift-node\n\n[sysctl]\n{lines}");
    let profile = json!({
        "apiVersion": "tuned.openshift.io/v1",
        "kind": "Tuned",
        "metadata": { "name": "tunecheck", "namespace": "openshift-cluster-node-tuning-operator" },
        "spec": {
            "profile": [{ "name": "tunecheck", "data": data }],
            "recommend": [{
                "match": [{ "label": "tuned.openshift.io/tunecheck" }],
                "priority": 20,
                "profile": "tunecheck",
            }],
        },
    });
    let text = format!(
        "# For the nodes with the label tuned.openshift.io/tunecheck; never edit the Tuned named default.\n\
         # A node has one profile: if these nodes have another one than openshift-node (kubectl -n\n\
         # openshift-cluster-node-tuning-operator get profiles.tuned.openshift.io), name that one in include=.\n{}{}",
        commented(&parts.told_of_sysctls()),
        yaml::document(&profile)
    );
    File {
        path: "tuned.yaml".to_owned(),
        text,
        apply:
            "`oc apply -f tuned.yaml`, then `oc label node NODE tuned.openshift.io/tunecheck=`. A node that takes its \
                place has no such label, unless its MachineSet gives it (spec.template.spec.metadata.labels). Undo: \
                take the label off, then `oc delete -f tuned.yaml`."
                .to_owned(),
    }
}

/// What else stands between such a pod and its node (security/v1 of openshift/api, AllowedUnsafeSysctls).
fn scc(names: &[&str]) -> Vec<String> {
    vec![
        "A pod also needs an SCC (SecurityContextConstraints) that its service account may use and whose".to_owned(),
        "allowedUnsafeSysctls has the names, or it is refused at admission. Which have some:".to_owned(),
        "  oc get scc -o custom-columns=NAME:.metadata.name,UNSAFE:.allowedUnsafeSysctls".to_owned(),
        "If none has them, a copy of the SCC that the pods have now, with another name (never one of OpenShift's own):"
            .to_owned(),
        format!("  allowedUnsafeSysctls: {}", serde_json::json!(names)),
        "  oc adm policy add-scc-to-user SCC -z SERVICEACCOUNT -n NAMESPACE".to_owned(),
    ]
}

fn kubelet_config(parts: &Parts<'_>) -> File {
    let config = json!({
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "KubeletConfig",
        "metadata": { "name": "tunecheck" },
        "spec": {
            "machineConfigPoolSelector": { "matchLabels": { "tunecheck/unsafe-sysctls": "allowed" } },
            "kubeletConfig": { "allowedUnsafeSysctls": parts.names() },
        },
    });
    let lines = commented(&parts.told_of_others());
    File {
        path: "kubeletconfig.yaml".to_owned(),
        text: format!(
            "# For the MachineConfigPool with the label tunecheck/unsafe-sysctls=allowed, whose nodes restart one by \
             one.\n\
             # A pool has one KubeletConfig: if it has one already, add the names there.\n{}{lines}{}",
            commented(&scc(&parts.names())),
            yaml::document(&config)
        ),
        apply: "`oc label machineconfigpool POOL tunecheck/unsafe-sysctls=allowed`, then `oc apply -f \
                kubeletconfig.yaml`. Undo: first the pods, then `oc delete -f kubeletconfig.yaml`."
            .to_owned(),
    }
}
