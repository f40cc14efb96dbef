//! Which kernel module brings which sysctls, which got another name, and which are gone.
//!
//! Sources: the callers of `register_net_sysctl()` and `register_sysctl()` in Linux 6.1 and the Makefiles beside them;
//! for what is gone the commit that took it out.

use super::super::version::Version;

/// Entries that the table of conntrack may have.
pub const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";
/// Chains that they are spread over.
pub const CONNTRACK_BUCKETS: &str = "net.netfilter.nf_conntrack_buckets";

/// A family of sysctls that a kernel module brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// What the names begin with.
    pub prefix: &'static str,
    /// The module. A kernel may have it built in.
    pub module: &'static str,
    /// A sysctl that is there as soon as the module is.
    pub witness: &'static str,
}

const fn family(prefix: &'static str, module: &'static str, witness: &'static str) -> Family {
    Family { prefix, module, witness }
}

/// What is narrower stands before what is wider.
const FAMILIES: &[Family] = &[
    family("net.netfilter.nf_conntrack_frag6_", "nf_defrag_ipv6", "net.netfilter.nf_conntrack_frag6_timeout"),
    family("net.netfilter.nf_conntrack_", "nf_conntrack", "net.netfilter.nf_conntrack_max"),
    family("net.netfilter.nf_flowtable_", "nf_conntrack", "net.netfilter.nf_conntrack_max"),
    family("net.nf_conntrack_max", "nf_conntrack", "net.netfilter.nf_conntrack_max"),
    family("net.bridge.", "br_netfilter", "net.bridge.bridge-nf-call-iptables"),
    family("net.ipv4.vs.lblcr_", "ip_vs_lblcr", "net.ipv4.vs.lblcr_expiration"),
    family("net.ipv4.vs.lblc_", "ip_vs_lblc", "net.ipv4.vs.lblc_expiration"),
    family("net.ipv4.vs.", "ip_vs", "net.ipv4.vs.conntrack"),
    family("net.sctp.", "sctp", "net.sctp.rto_initial"),
    family("net.tipc.", "tipc", "net.tipc.tipc_rmem"),
    family("net.rds.ib.", "rds_rdma", "net.rds.ib.max_send_wr"),
    family("net.rds.tcp.", "rds_tcp", "net.rds.tcp.rds_tcp_sndbuf"),
    family("net.rds.", "rds", "net.rds.reconnect_min_delay_ms"),
    family("net.dccp.", "dccp", "net.dccp.default.seq_window"),
    family("net.smc.", "smc", "net.smc.autocorking_size"),
    family("net.mpls.", "mpls_router", "net.mpls.platform_labels"),
    family("net.vrf.", "vrf", "net.vrf.strict_mode"),
    family("net.llc.", "llc2", "net.llc.llc2.timeout.ack"),
    family("net.rxrpc.", "rxrpc", "net.rxrpc.max_backlog"),
    family("net.iw_cm.", "iw_cm", "net.iw_cm.default_backlog"),
    family("net.rdma_ucm.", "rdma_ucm", "net.rdma_ucm.max_backlog"),
    family("net.x25.", "x25", "net.x25.x25_forward"),
    family("net.phonet.", "phonet", "net.phonet.local_port_range"),
    family("sunrpc.svc_rdma.", "rpcrdma", "sunrpc.svc_rdma.max_requests"),
    family("sunrpc.", "sunrpc", "sunrpc.rpc_debug"),
    family("fs.nfs.nlm_", "lockd", "fs.nfs.nlm_timeout"),
    family("fs.nfs.nfs_callback_tcpport", "nfsv4", "fs.nfs.nfs_callback_tcpport"),
    family("fs.nfs.idmap_cache_timeout", "nfsv4", "fs.nfs.idmap_cache_timeout"),
    family("fs.nfs.", "nfs", "fs.nfs.nfs_mountpoint_timeout"),
];

/// The family of a sysctl that a module brings.
pub fn family_of(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| name.starts_with(family.prefix))
}

/// The name that a sysctl has today, if it had another one once: `ip_conntrack` became `nf_conntrack`, and the names that
/// were kept for old scripts left with `CONFIG_NF_CONNTRACK_PROC_COMPAT`.
pub fn renamed(name: &str) -> Option<String> {
    if name == "net.ipv4.ip_conntrack_max" || name == "net.ipv4.netfilter.ip_conntrack_max" {
        return Some("net.netfilter.nf_conntrack_max".to_owned());
    }
    let rest = name.strip_prefix("net.ipv4.netfilter.ip_conntrack_")?;
    Some(format!("net.netfilter.nf_conntrack_{rest}"))
}

/// The release that took a sysctl out.
pub fn removed_in(name: &str) -> Option<Version> {
    let (major, minor) = match name {
        // 4396e46187ca
        "net.ipv4.tcp_tw_recycle" => (4, 12),
        // b118509076b3
        "net.netfilter.nf_conntrack_helper" => (6, 0),
        _ => return None,
    };
    Some(Version { major, minor, patch: 0 })
}

/// Whether a sysctl bounds how much there may be, so that less of it only takes away.
pub fn is_size(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let parts = || last.split(['_', '-']);
    parts().any(|part| part == "max")
        || matches!(last, "somaxconn" | "nr_open" | "netdev_max_backlog" | "nf_conntrack_buckets")
        || last.starts_with("gc_thresh")
}

/// The first kernel on which nf_conntrack starts with as many entries as buckets (commit d532bcd0b269); before it they
/// are four times as many. Eight times in both, where the module was given the number of buckets.
const ONE_FOR_EACH_BUCKET: Version = Version { major: 5, minor: 15, patch: 0 };

/// Whether a value is the one that a module starts with: as many entries as `nf_conntrack_init_start` makes of the buckets,
/// its timeouts (nf_conntrack_proto_tcp.c, nf_conntrack_proto_udp.c), and bridged packets to all tables.
pub fn starts_with(name: &str, value: i128, buckets: i128, kernel: Option<Version>) -> bool {
    if name.starts_with("net.bridge.bridge-nf-call-") {
        return value == 1;
    }
    let seconds = match name.strip_prefix("net.netfilter.nf_conntrack_") {
        Some("max") => {
            let times: &[i128] = match kernel.map(|kernel| kernel >= ONE_FOR_EACH_BUCKET) {
                Some(true) => &[1, 8],
                Some(false) => &[4, 8],
                None => &[],
            };
            return buckets > 0 && times.iter().any(|times| value == buckets.saturating_mul(*times));
        }
        Some("tcp_timeout_established") => 432_000,
        Some("tcp_timeout_time_wait" | "tcp_timeout_fin_wait") => 120,
        Some("tcp_timeout_close_wait") => 60,
        Some("udp_timeout") => 30,
        _ => return false,
    };
    value == seconds
}

/// Whether a sysctl can only be read on a kernel of this release; on one that is not known, whether it can on any.
pub fn is_read_only(name: &str, kernel: Option<Version>) -> bool {
    match name {
        // Written since 4.7 (3183ab8997a4); before that the parameter hashsize of the module.
        "net.netfilter.nf_conntrack_buckets" => kernel.is_some_and(|kernel| kernel < BUCKETS_WRITTEN),
        "net.netfilter.nf_conntrack_count"
        | "net.ipv4.tcp_available_congestion_control"
        | "net.ipv4.tcp_available_ulp"
        | "net.ipv4.tcp_ehash_entries"
        | "net.core.netdev_rss_key"
        | "fs.file-nr"
        | "fs.inode-nr"
        | "fs.inode-state"
        | "fs.dentry-state"
        | "fs.aio-nr" => true,
        _ => false,
    }
}

/// The first release in which `nf_conntrack_buckets` can be written.
const BUCKETS_WRITTEN: Version = Version { major: 4, minor: 7, patch: 0 };

/// Whether a sysctl moves without anybody writing it, so that another value than that of a boot file says nothing: the
/// kernel takes the MTU of a link and what routers advertise, and raises the free memory that it keeps.
pub fn is_moved_by_the_kernel(name: &str) -> bool {
    let of_interface = name.starts_with("net.ipv6.conf.") && (name.ends_with(".mtu") || name.ends_with(".hop_limit"));
    let of_router = name.starts_with("net.ipv6.neigh.")
        && (name.ends_with(".base_reachable_time_ms") || name.ends_with(".retrans_time_ms"));
    of_interface || of_router || name == "vm.min_free_kbytes"
}

/// Whether /proc/sys keeps a sysctl for root alone, so that its value is for nobody else to see (mode 0600).
pub fn is_secret(name: &str) -> bool {
    match name {
        "net.ipv4.tcp_fastopen_key"
        | "net.core.bpf_jit_harden"
        | "net.core.bpf_jit_kallsyms"
        | "net.core.bpf_jit_limit"
        | "vm.mmap_rnd_bits"
        | "vm.mmap_rnd_compat_bits"
        | "kernel.cad_pid"
        | "kernel.usermodehelper.bset"
        | "kernel.usermodehelper.inheritable" => true,
        _ => name.starts_with("net.ipv6.conf.") && name.ends_with(".stable_secret"),
    }
}

/// Whether a recording holds what a boot file says of a sysctl: a rule can ask about it, and everybody may see it. A core
/// pattern, for one, may hold a token.
pub fn is_recorded(name: &str) -> bool {
    let families = ["net.", "vm.", "fs.", "proc.sys.net.", "kernel.pid_max", "kernel.threads-max", "kernel.keys."];
    // A pattern is one of any family.
    let any = name.starts_with(['*', '?', '[', '\u{feff}']);
    !is_secret(name) && (any || families.iter().any(|family| name.starts_with(family)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_by_its_narrowest_prefix_and_its_witness_belongs_to_it() {
        let module = |name| family_of(name).map(|family| family.module);
        assert_eq!(module("net.netfilter.nf_conntrack_max"), Some("nf_conntrack"));
        assert_eq!(module("net.netfilter.nf_conntrack_frag6_timeout"), Some("nf_defrag_ipv6"));
        assert_eq!(module("net.bridge.bridge-nf-call-iptables"), Some("br_netfilter"));
        assert_eq!(module("net.ipv4.vs.conn_reuse_mode"), Some("ip_vs"));
        assert_eq!((module("net.core.somaxconn"), module("net.netfilter.nf_log.2")), (None, None));
        for family in FAMILIES {
            assert_eq!(family_of(family.witness).map(|of| of.module), Some(family.module), "{family:?}");
        }
    }

    #[test]
    fn what_had_another_name_is_told_by_the_new_one() {
        assert_eq!(renamed("net.ipv4.ip_conntrack_max").as_deref(), Some("net.netfilter.nf_conntrack_max"));
        let timeout = renamed("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established");
        assert_eq!(timeout.as_deref(), Some("net.netfilter.nf_conntrack_tcp_timeout_established"));
        assert_eq!(renamed("net.netfilter.nf_conntrack_max"), None);
    }

    #[test]
    fn a_recording_holds_what_rules_ask_about_and_no_secret() {
        for name in ["net.core.somaxconn", "vm.max_map_count", "fs.file-max", "kernel.pid_max", "*.core.somaxconn"] {
            assert!(is_recorded(name), "{name}");
        }
        for name in ["kernel.core_pattern", "net.ipv4.tcp_fastopen_key", "net.ipv6.conf.eth0.stable_secret", "# token"]
        {
            assert!(!is_recorded(name), "{name}");
        }
    }

    #[test]
    fn buckets_are_written_since_a_release() {
        let at = |text: &str| is_read_only("net.netfilter.nf_conntrack_buckets", text.parse().ok());
        assert!(at("3.10.0-1160.el7.x86_64") && at("4.4.0") && !at("4.18.0") && !at("6.1.0"));
        assert!(!is_read_only("net.netfilter.nf_conntrack_buckets", None));
    }
}
