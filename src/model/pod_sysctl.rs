//! What Kubernetes and the kernel say to a sysctl of a pod, whoever asks: a fix that writes one, or a manifest that has
//! one.
//!
//! Sources: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster,
//! kubernetes.io/docs/reference/node/kernel-version-requirements, pkg/kubelet/sysctl/{allowlist,safe_sysctls}.go.

use std::collections::BTreeMap;

use super::fix::Pod;
use super::rule::Rule;
use super::version::Version;

/// The range of ports of outgoing connections.
pub const RANGE: &str = "net.ipv4.ip_local_port_range";
/// The ports of that range that are not handed out.
pub const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";

/// The first two numbers of a release; zeros where any will do.
type Release = (u32, u32);

/// Safe sysctls that no rule speaks of: the first kubelet that takes them as safe, and the first kernel that gives a pod
/// its own.
pub const SAFE: &[(&str, Release, Release)] = &[
    ("kernel.shm_rmid_forced", (1, 4), (0, 0)),
    ("net.ipv4.ping_group_range", (1, 18), (0, 0)),
    ("net.ipv4.ip_unprivileged_port_start", (1, 22), (4, 11)),
    ("net.ipv4.tcp_keepalive_time", (1, 29), (4, 5)),
    ("net.ipv4.tcp_keepalive_intvl", (1, 29), (4, 5)),
    ("net.ipv4.tcp_keepalive_probes", (1, 29), (4, 5)),
    ("net.ipv4.tcp_rmem", (1, 32), (4, 15)),
    ("net.ipv4.tcp_wmem", (1, 32), (4, 15)),
    ("net.ipv4.tcp_notsent_lowat", (1, 37), (4, 6)),
];

/// Sysctls below `net.` that no rule speaks of, and that a network namespace other than the first lacks or cannot write
/// (compared on 6.18).
pub const OF_NODE: &[&str] = &[
    "net.core.bpf_jit_enable",
    "net.core.bpf_jit_harden",
    "net.core.bpf_jit_kallsyms",
    "net.core.bpf_jit_limit",
    "net.core.busy_poll",
    "net.core.busy_read",
    "net.core.default_qdisc",
    "net.core.dev_weight",
    "net.core.dev_weight_rx_bias",
    "net.core.dev_weight_tx_bias",
    "net.core.devconf_inherit_init_net",
    "net.core.fb_tunnels_only_for_init_net",
    "net.core.flow_limit_cpu_bitmap",
    "net.core.flow_limit_table_len",
    "net.core.gro_normal_batch",
    "net.core.high_order_alloc_disable",
    "net.core.max_skb_frags",
    "net.core.mem_pcpu_rsv",
    "net.core.message_burst",
    "net.core.message_cost",
    "net.core.netdev_rss_key",
    "net.core.netdev_tstamp_prequeue",
    "net.core.netdev_unregister_timeout_secs",
    "net.core.rmem_default",
    "net.core.rps_sock_flow_entries",
    "net.core.skb_defer_max",
    "net.core.warnings",
    "net.core.wmem_default",
    "net.ipv4.cipso_cache_bucket_size",
    "net.ipv4.cipso_cache_enable",
    "net.ipv4.cipso_rbm_optfmt",
    "net.ipv4.cipso_rbm_strictvalid",
    "net.ipv4.fib_sync_mem",
    "net.ipv4.inet_peer_maxttl",
    "net.ipv4.inet_peer_minttl",
    "net.ipv4.inet_peer_threshold",
    "net.ipv4.ipfrag_secret_interval",
    "net.ipv4.neigh.default.gc_interval",
    "net.ipv4.neigh.default.gc_stale_time",
    "net.ipv4.route.error_burst",
    "net.ipv4.route.error_cost",
    "net.ipv4.route.gc_elasticity",
    "net.ipv4.route.gc_interval",
    "net.ipv4.route.gc_min_interval",
    "net.ipv4.route.gc_min_interval_ms",
    "net.ipv4.route.gc_thresh",
    "net.ipv4.route.gc_timeout",
    "net.ipv4.route.max_size",
    "net.ipv4.route.redirect_load",
    "net.ipv4.route.redirect_number",
    "net.ipv4.route.redirect_silence",
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_available_ulp",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_low_latency",
    "net.ipv4.tcp_mem",
    "net.ipv4.udp_hash_entries",
    "net.ipv4.udp_mem",
    "net.ipv6.calipso_cache_bucket_size",
    "net.ipv6.calipso_cache_enable",
    "net.ipv6.ip6frag_secret_interval",
    "net.ipv6.mld_max_msf",
    "net.ipv6.mld_qrv",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_expect_max",
    "net.netfilter.nf_log_all_netns",
    "net.nf_conntrack_max",
];

/// What is known of the sysctls of pods: what the rules say of them, and the lists above.
#[derive(Clone, Debug, Default)]
pub struct PodSysctls {
    by_name: BTreeMap<&'static str, Pod>,
    removed: Vec<&'static str>,
}

impl PodSysctls {
    /// With what these rules say of the sysctls that they change.
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let version = |(major, minor)| Version { major, minor, patch: 0 };
        let safe = SAFE.iter().map(|&(name, since, kernel)| {
            let kernel = Some(version(kernel)).filter(|kernel| kernel.major > 0);
            (name, Pod::Safe { since: version(since), kernel })
        });
        let of_node = OF_NODE.iter().map(|&name| (name, Pod::Impossible));
        let mut by_name: BTreeMap<&'static str, Pod> = safe.chain(of_node).collect();
        let mut removed = Vec::new();
        for rule in rules {
            removed.extend(rule.fix.remove);
            let Some(pod) = &rule.pod else { continue };
            for fix in &rule.fix.sysctl {
                let pod = match pod {
                    Pod::Safe { since, kernel } => Pod::Safe { since: safe_since(fix.name, *since), kernel: *kernel },
                    other => other.clone(),
                };
                by_name.insert(fix.name, pod);
            }
        }
        Self { by_name, removed }
    }

    /// Whether a pod may set a sysctl, by its dotted name.
    pub fn pod(&self, name: &str) -> Pod {
        match self.by_name.get(name) {
            Some(pod) => pod.clone(),
            None if self.is_removed(name) => Pod::Impossible,
            // Newer kubelets know that these are namespaced too.
            None if can_be_allowed(name) || name == "kernel.domainname" || name.starts_with("user.") => Pod::Unsafe,
            None => Pod::Impossible,
        }
    }

    /// Whether no kernel of today has it.
    pub fn is_removed(&self, name: &str) -> bool {
        self.removed.contains(&name)
    }
}

/// The first release whose kubelets take a sysctl as safe, where its rule says `since`.
pub fn safe_since(name: &str, since: Version) -> Version {
    match name {
        // What its rule says holds for the reserved ports that go with it.
        RANGE => Version { major: 1, minor: 4, patch: 0 },
        _ => since,
    }
}

/// Whether the kubelet takes the name in `allowedUnsafeSysctls`. It does not even start with one that it does not know
/// to be namespaced (pkg/kubelet/sysctl/allowlist.go).
pub fn can_be_allowed(name: &str) -> bool {
    is_of_ipc(name) || name.starts_with("net.")
}

/// Whether a sysctl belongs to the IPC namespace, which a pod with `hostIPC: true` shares with its node.
pub fn is_of_ipc(name: &str) -> bool {
    ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix)) || name == "kernel.sem"
}
