//! `gke`: a node system configuration of GKE Standard node pools.
//!
//! Sources: LinuxNodeConfig in google/container/v1/cluster_service.proto of googleapis/googleapis: its sysctls are
//! applied to the nodes and to all pods on them; docs.cloud.google.com/kubernetes-engine/docs/how-to/node-system-config
//! for the ranges.

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, Takes, commented};
use crate::model::action::SysctlEdit;

pub(in super::super) const TARGET: Target =
    Target { name: "gke", about: "GKE Standard: node system configuration of a node pool (YAML)", render };

/// Where the documentation names no range.
const ANY: (i128, i128) = (0, i128::MAX);

/// Those of the supported ones that rules can ask for, with least and greatest value.
const KEYS: &[(&str, (i128, i128))] = &[
    ("fs.aio-max-nr", ANY),
    ("fs.file-max", (104_857, 67_108_864)),
    ("fs.inotify.max_user_instances", (8192, 1_048_576)),
    ("fs.inotify.max_user_watches", ANY),
    ("fs.nr_open", (1_048_576, 2_147_483_584)),
    ("net.core.busy_poll", ANY),
    ("net.core.busy_read", ANY),
    ("net.core.netdev_max_backlog", ANY),
    ("net.core.optmem_max", ANY),
    ("net.core.rmem_default", ANY),
    ("net.core.rmem_max", ANY),
    ("net.core.somaxconn", ANY),
    ("net.core.wmem_default", ANY),
    ("net.core.wmem_max", ANY),
    ("net.ipv4.neigh.default.gc_thresh1", ANY),
    ("net.ipv4.neigh.default.gc_thresh2", ANY),
    ("net.ipv4.neigh.default.gc_thresh3", ANY),
    ("net.ipv4.tcp_congestion_control", ANY),
    ("net.ipv4.tcp_ecn", ANY),
    ("net.ipv4.tcp_max_orphans", (16_384, 262_144)),
    ("net.ipv4.tcp_max_tw_buckets", ANY),
    ("net.ipv4.tcp_mtu_probing", ANY),
    ("net.ipv4.tcp_rmem", ANY),
    ("net.ipv4.tcp_syn_retries", ANY),
    ("net.ipv4.tcp_tw_reuse", ANY),
    ("net.ipv4.tcp_wmem", ANY),
    ("net.netfilter.nf_conntrack_buckets", (65_536, 524_288)),
    ("net.netfilter.nf_conntrack_max", (65_536, 4_194_304)),
    ("net.netfilter.nf_conntrack_tcp_timeout_established", (600, 86_400)),
    ("vm.max_map_count", ANY),
    ("vm.min_free_kbytes", (67_584, 1_048_576)),
    ("vm.swappiness", ANY),
];
const TAKES: Takes = Takes {
    sysctl: takes,
    kube_proxy: Some(takes),
    every_pod: |name| KEYS.iter().any(|(key, _)| *key == name),
    nofile: |_| {
        Err("a GKE node system configuration has no key for it: a DaemonSet of your own can change the runtime's \
             (--to kubernetes), and an entrypoint can raise the soft limit up to the hard one")
    },
    labels: &[
        "gcloud container node-pools create|update POOL --cluster CLUSTER",
        "  --node-labels=tunecheck/unsafe-sysctls=allowed --node-taints=tunecheck/unsafe-sysctls=allowed:NoSchedule",
    ],
    ..Takes::PLAIN
};
const WHO: &str = "a DaemonSet of your own on the node can set it";

fn takes(edit: &SysctlEdit) -> Result<(), String> {
    let Some((_, (least, most))) = KEYS.iter().find(|(key, _)| *key == edit.name) else {
        return Err(format!("a GKE node system configuration has no key for it: {WHO}"));
    };
    match edit.new.limit() {
        Some(new) if !(*least..=*most).contains(&new) => {
            Err(format!("GKE takes {least} to {most}, and {new} is not in it: {WHO}"))
        }
        _ => Ok(()),
    }
}

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
    if parts.writes_nothing(&mut rendered) {
        return Ok(rendered);
    }
    let mut config = serde_json::Map::new();
    if !parts.names().is_empty() {
        config.insert("kubeletConfig".to_owned(), json!({ "allowedUnsafeSysctls": parts.names() }));
    }
    if parts.writes_sysctls() {
        config.insert("linuxConfig".to_owned(), json!({ "sysctl": parts.map() }));
    }
    let text = format!(
        "# A node system configuration of GKE Standard; for Autopilot the same keys belong into nodePoolConfig of a \
         ComputeClass,\n# which takes some of them. The sysctls are applied to the nodes AND\n# to every pod on them. GKE checks the range of each value when the file is given to it. A \
         kube-proxy on the node may\n# write the nf_conntrack ones again at its start: look after it.\n{}{}",
        commented(&parts.told()),
        yaml::document(&config.into())
    );
    rendered.files.push(File {
        path: "system-config.yaml".to_owned(),
        text,
        apply:
            "`gcloud container node-pools update POOL --cluster CLUSTER --system-config-from-file=system-config.yaml` \
                (or `create`); it replaces nodes. Keys that the pool has already belong into the file too. Undo: the \
                former file."
                .to_owned(),
    });
    Ok(rendered)
}
