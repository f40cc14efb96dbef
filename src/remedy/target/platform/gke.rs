//! `gke`: a node system configuration of GKE Standard node pools.
//!
//! Source: LinuxNodeConfig in google/container/v1/cluster_service.proto of googleapis/googleapis: its sysctls are
//! applied to the nodes and to all pods on them.

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, Takes, commented, known};

pub(in super::super) const TARGET: Target =
    Target { name: "gke", about: "GKE Standard: node system configuration of a node pool (YAML)", render };

/// Those of the supported ones that rules can ask for.
const KEYS: &[&str] = &[
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.nr_open",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.netdev_max_backlog",
    "net.core.optmem_max",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.ipv4.neigh.default.gc_thresh1",
    "net.ipv4.neigh.default.gc_thresh2",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "vm.max_map_count",
    "vm.min_free_kbytes",
    "vm.swappiness",
];
const TAKES: Takes = Takes {
    sysctl: |edit| known(edit, KEYS, "a GKE node system configuration"),
    kube_proxy: |edit| known(edit, KEYS, "a GKE node system configuration"),
    every_pod: |name| KEYS.contains(&name),
    kubelet: Ok(()),
    nofile: |_| {
        Err("a GKE node system configuration has no key for it: a DaemonSet of your own can change the runtime's \
             (--to kubernetes), and an entrypoint can raise the soft limit to the hard one")
    },
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
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
        "# A node system configuration of GKE Standard; Autopilot does not take it. The sysctls are applied to the \
         nodes AND\n# to every pod on them. GKE checks the range of each value when the file is given to it. A \
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
