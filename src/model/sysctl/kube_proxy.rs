//! What kube-proxy writes to sysctls of conntrack at every start, over whatever a boot file gave them.
//!
//! Source: pkg/proxy/conntrack/sysctls.go and pkg/proxy/apis/config/v1alpha1 of kubernetes/kubernetes.

/// Entries that kube-proxy gives each core unless it is told otherwise.
const PER_CORE: i128 = 32_768;
/// Entries that it gives a node at least.
const LEAST: i128 = 131_072;
/// Seconds that kube-proxy gives established connections unless it is told otherwise: a setting below it would lower the
/// timeout on every node.
pub const ESTABLISHED: i128 = 86_400;

/// The key of kube-proxy's `conntrack` configuration that gives a sysctl its value (kubeproxy.config.k8s.io/v1alpha1).
pub fn key(sysctl: &str) -> Option<&'static str> {
    match sysctl {
        "net.netfilter.nf_conntrack_max" => Some("min"),
        "net.netfilter.nf_conntrack_tcp_timeout_established" => Some("tcpEstablishedTimeout"),
        _ => None,
    }
}

/// How kube-proxy comes to a value by its defaults on a node of so many CPUs, if it does.
pub fn wrote(sysctl: &str, value: i128, cpus: Option<i128>) -> Option<String> {
    let of_cores = cpus.map(|cpus| PER_CORE.saturating_mul(cpus));
    match (key(sysctl)?, cpus) {
        ("min", Some(cpus)) if of_cores == Some(value) => Some(format!("{PER_CORE} x {cpus} CPUs")),
        ("min", Some(_)) if value == LEAST && of_cores < Some(LEAST) => Some(format!("its least, {LEAST},")),
        ("tcpEstablishedTimeout", _) if value == ESTABLISHED => Some(format!("{ESTABLISHED}")),
        _ => None,
    }
}
