//! `openshift`: a Tuned profile of the Node Tuning Operator, and a KubeletConfig.
//!
//! Sources: README of openshift/cluster-node-tuning-operator; profiles/openshift/tuned.conf of
//! redhat-performance/tuned; KubeletConfig of machineconfiguration.openshift.io/v1.

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Entry, Parts, Takes, commented};
use crate::model::action::{How, SysctlEdit};

pub(in super::super) const TARGET: Target =
    Target { name: "openshift", about: "OpenShift: Tuned profile and KubeletConfig (YAML)", render };

/// What the parent profile gives a table that it sets to a number.
const TABLE: i128 = 1_048_576;
const TAKES: Takes = Takes {
    sysctl: takes,
    kube_proxy: takes,
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: |_| {
        Err("CRI-O gives it: default_ulimits (--to kubernetes), which on OpenShift a MachineConfig puts into \
             /etc/crio/crio.conf.d")
    },
};

fn takes(edit: &SysctlEdit) -> Result<(), String> {
    let table = edit.name.ends_with("nf_conntrack_max") || edit.name.ends_with("nf_conntrack_buckets");
    match edit.new.limit() {
        // Its value would stand in place of the parent's, and so could lower the table.
        Some(new) if table && new <= TABLE => Err(format!(
            "the profile openshift sets {TABLE} already: the cluster's administrator finds out what lowers it on this \
             node (sysctl, kube-proxy)"
        )),
        _ => Ok(()),
    }
}

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
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
        format!("{}{sign}{}\n", entry.edit.name, entry.value)
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
            "`oc apply -f tuned.yaml`, then `oc label node NODE tuned.openshift.io/tunecheck=`. Undo: take the label \
                off, then `oc delete -f tuned.yaml`."
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
