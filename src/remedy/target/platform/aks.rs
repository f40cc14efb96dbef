//! `aks`: custom node configuration of AKS node pools. Its files are JSON, which has no comments: those are in a text
//! beside them.
//!
//! Sources: learn.microsoft.com/azure/aks/custom-node-configuration-reference (2026-08) for the ranges; SysctlConfig of
//! Microsoft.ContainerService for the keys, with the range of its Terraform schema for the two `_default` sizes.

use serde_json::{Map, Value, json};

use super::super::admission::RANGE;
use super::super::{File, Order, Rendered, Target};
use super::{Entry, Parts, Takes};
use crate::model::action::SysctlEdit;

pub(in super::super) const TARGET: Target =
    Target { name: "aks", about: "AKS: custom node configuration of a node pool (JSON)", render };

/// Where AKS names no greatest value: what its JSON can hold.
const NO_LIMIT: i128 = i64::MAX as i128;
const COMMAND: &str = "az aks nodepool add --cluster-name CLUSTER --resource-group GROUP --name POOL";

/// Sysctl, key, least and greatest value.
const KEYS: &[(&str, &str, i128, i128)] = &[
    ("fs.aio-max-nr", "fsAioMaxNr", 65_536, 6_553_500),
    ("fs.file-max", "fsFileMax", 8192, NO_LIMIT),
    ("fs.inotify.max_user_watches", "fsInotifyMaxUserWatches", 781_250, 2_097_152),
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
    // So it is spelt.
    ("net.ipv4.tcp_keepalive_intvl", "netIpv4TcpkeepaliveIntvl", 10, 90),
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
    file: Some("/etc/sysctl.d/999-sysctl-aks.conf"),
    kube_proxy: Some(|edit| match &edit.overwritten {
        Some(why) => Err(format!("{why}, which AKS configures, and the same line would not hold either: {WHO}")),
        None if edit.name.ends_with("nf_conntrack_max") => takes(edit),
        None => Err(format!(
            "AKS has no key for it, and its kube-proxy, which AKS configures, writes it at its start: {WHO}"
        )),
    }),
    nofile: |_| {
        Err("no key of a custom node configuration is known for it: a DaemonSet of your own can change the runtime's \
             (--to kubernetes), and an entrypoint can raise the soft limit up to the hard one")
    },
    labels: &[
        "az aks nodepool add ... --labels tunecheck/unsafe-sysctls=allowed",
        "  --node-taints tunecheck/unsafe-sysctls=allowed:NoSchedule",
    ],
    ..Takes::PLAIN
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
        None => Err(format!("AKS takes a number for it: {WHO}")),
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
    let parts = Parts::of(order, &TAKES, &mut rendered);
    let sysctls: Map<String, Value> = parts.taken().filter_map(pair).collect();
    let names = parts.names();
    if sysctls.is_empty() && names.is_empty() {
        parts.without_sysctls(&mut rendered);
        parts.without_others(&mut rendered);
        return Ok(rendered);
    }
    let mut files = Vec::new();
    if !sysctls.is_empty() {
        files.push(("--linux-os-config", "linuxosconfig.json", json!({ "sysctls": sysctls })));
    }
    if !names.is_empty() {
        files.push(("--kubelet-config", "linuxkubeletconfig.json", json!({ "allowedUnsafeSysctls": names })));
    }
    let options: Vec<String> = files.iter().map(|(option, path, _)| format!("{option} {path}")).collect();
    let mut text = format!(
        "# AKS custom node configuration\n\nOnly at the creation of a pool or a cluster: make a new pool, move the \
         load, drop the old one.\n\n    {COMMAND} {}\n\nKeys that the old pool has belong into the files too: `az aks \
         nodepool show`.\nThe sysctls are those of the nodes: pods with a network namespace of their own start from \
         the kernel's defaults.\nIn a pool without the key kube-proxy sets nf_conntrack_max: 131072, or 32768 x cores \
         where that is more.\nWith it the value lasts only where kube-proxy leaves it alone \
         (--conntrack-max-per-core=0): check with\n`kubectl -n kube-system get daemonset kube-proxy -o yaml | grep \
         conntrack`, and after a restart of kube-proxy with `sysctl`.\nNode auto-provisioning (AKSNodeClass) spells \
         some keys in another way, such as netIPv4IPLocalPortRange.\n\n\
         ```text\n",
        options.join(" ")
    );
    text.extend(parts.told().into_iter().map(|line| line.replace("```", "'''") + "\n"));
    text.push_str("```\n");
    rendered.files.push(File {
        path: "aks.md".to_owned(),
        text,
        apply: "what to know of the files beside it, and the command that takes them. Undo: move the load back to a \
                pool without them."
            .to_owned(),
    });
    rendered.files.extend(files.into_iter().map(|(_, path, value)| File {
        path: path.to_owned(),
        text: format!("{value:#}\n"),
        apply: format!("for `{COMMAND}`, see aks.md."),
    }));
    Ok(rendered)
}
