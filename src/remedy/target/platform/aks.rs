//! `aks`: custom node configuration of AKS node pools. Its files are JSON, which has no comments: those are in a text
//! beside them.
//!
//! Sources: learn.microsoft.com/azure/aks/custom-node-configuration-reference; SysctlConfig of
//! Microsoft.ContainerService, with the ranges of its Terraform schema.

use serde_json::{Map, Value, json};

use super::super::{File, Order, Rendered, Target, notes};
use super::{Entry, Parts, RANGE, Takes};
use crate::model::action::SysctlEdit;

pub(in super::super) const TARGET: Target =
    Target { name: "aks", about: "AKS: custom node configuration of a node pool (JSON)", render };

/// Sysctl, key, least and greatest value.
const KEYS: &[(&str, &str, i128, i128)] = &[
    ("fs.file-max", "fsFileMax", 8192, 12_000_500),
    ("fs.nr_open", "fsNrOpen", 8192, 20_000_500),
    ("kernel.threads-max", "kernelThreadsMax", 20, 513_785),
    ("net.core.netdev_max_backlog", "netCoreNetdevMaxBacklog", 1000, 3_240_000),
    ("net.core.optmem_max", "netCoreOptmemMax", 20_480, 4_194_304),
    ("net.core.rmem_default", "netCoreRmemDefault", 212_992, 134_217_728),
    ("net.core.rmem_max", "netCoreRmemMax", 212_992, 134_217_728),
    ("net.core.somaxconn", "netCoreSomaxconn", 4096, 3_240_000),
    ("net.core.wmem_default", "netCoreWmemDefault", 212_992, 134_217_728),
    ("net.core.wmem_max", "netCoreWmemMax", 212_992, 134_217_728),
    ("net.ipv4.neigh.default.gc_thresh1", "netIpv4NeighDefaultGcThresh1", 128, 80_000),
    ("net.ipv4.neigh.default.gc_thresh2", "netIpv4NeighDefaultGcThresh2", 512, 90_000),
    ("net.ipv4.neigh.default.gc_thresh3", "netIpv4NeighDefaultGcThresh3", 1024, 100_000),
    ("net.ipv4.tcp_fin_timeout", "netIpv4TcpFinTimeout", 5, 120),
    ("net.ipv4.tcp_keepalive_probes", "netIpv4TcpKeepaliveProbes", 1, 15),
    ("net.ipv4.tcp_keepalive_time", "netIpv4TcpKeepaliveTime", 30, 432_000),
    ("net.ipv4.tcp_max_syn_backlog", "netIpv4TcpMaxSynBacklog", 128, 3_240_000),
    ("net.ipv4.tcp_max_tw_buckets", "netIpv4TcpMaxTwBuckets", 8000, 1_440_000),
    ("net.ipv4.tcp_tw_reuse", "netIpv4TcpTwReuse", 0, 1),
    ("net.netfilter.nf_conntrack_buckets", "netNetfilterNfConntrackBuckets", 65_536, 524_288),
    ("net.netfilter.nf_conntrack_max", "netNetfilterNfConntrackMax", 131_072, 2_097_152),
    ("vm.max_map_count", "vmMaxMapCount", 65_530, 262_144),
    ("vm.swappiness", "vmSwappiness", 0, 100),
];
const TAKES: Takes = Takes {
    sysctl: takes,
    kube_proxy: |edit| match edit.name.ends_with("nf_conntrack_max") {
        true => takes(edit),
        false => {
            Err("AKS has no key for it, and its kube-proxy, which AKS configures, writes it at its start".to_owned())
        }
    },
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: Err(
        "no key of a custom node configuration is known for it; without one the entrypoint can raise the soft \
                 limit to the hard one",
    ),
};
const WHO: &str = "a DaemonSet of your own can set it, which AKS supports";

fn key(edit: &SysctlEdit) -> Option<(&'static str, i128, i128)> {
    KEYS.iter().find(|(name, ..)| *name == edit.name).map(|&(_, key, least, most)| (key, least, most))
}

fn takes(edit: &SysctlEdit) -> Result<(), String> {
    if edit.name == RANGE {
        return Err(format!(
            "AKS has no key for ip_local_reserved_ports, and the range is not widened without it: {WHO}"
        ));
    }
    let Some((_, least, most)) = key(edit) else { return Err(format!("AKS has no key for it: {WHO}")) };
    match edit.new.limit() {
        Some(new) if (least..=most).contains(&new) => Ok(()),
        Some(new) => Err(format!("AKS takes {least} to {most}, and {new} is not in it: {WHO}")),
        None => Err("AKS takes a number for it".to_owned()),
    }
}

/// A key with its value in the type that AKS has for it.
fn pair(entry: &Entry<'_>) -> Option<(String, Value)> {
    let ((key, ..), new) = (key(entry.edit)?, entry.edit.new.limit()?);
    let value = if key == "netIpv4TcpTwReuse" { json!(new == 1) } else { json!(new as i64) };
    Some((key.to_owned(), value))
}

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
    let sysctls: Map<String, Value> = parts.taken().filter_map(pair).collect();
    let command = "az aks nodepool add --cluster-name CLUSTER --resource-group GROUP --name POOL";
    let mut text = format!(
        "# AKS custom node configuration\n\nOnly at the creation of a pool or a cluster: make a new pool, move the \
         load, \
         drop the old one.\n\n    {command} --linux-os-config linuxosconfig.json --kubelet-config \
         linuxkubeletconfig.json\n\n(each option only where its file is here). Keys that the old pool has belong \
         into the \
         files too: `az aks nodepool show`.\nThe sysctls are those of the nodes: pods with a network namespace of \
         their own \
         start from the kernel's defaults.\nnf_conntrack_max lasts only where kube-proxy runs with \
         --conntrack-max-per-core=0, as on AKS it does: check with\n`kubectl -n kube-system get daemonset kube-proxy \
         -o \
         yaml | grep conntrack`.\n\n```text\n"
    );
    text.extend(parts.told().into_iter().map(|line| line.replace("```", "'''") + "\n"));
    text.push_str("```\n");
    rendered.files.push(File {
        path: "aks.md".to_owned(),
        text,
        apply:
            "what to know of the files beside it, and the command that takes them. Undo: move the load back to a pool \
                without them."
                .to_owned(),
    });
    let mut json_file = |path: &str, value: Value| {
        let text = format!("{value:#}\n");
        let apply = notes::one_line(&format!("for `{command}`, see aks.md."));
        rendered.files.push(File { path: path.to_owned(), text, apply });
    };
    if !sysctls.is_empty() {
        json_file("linuxosconfig.json", json!({ "sysctls": sysctls }));
    }
    if !parts.names().is_empty() {
        json_file("linuxkubeletconfig.json", json!({ "allowedUnsafeSysctls": parts.names() }));
    }
    Ok(rendered)
}
