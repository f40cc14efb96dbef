//! What Kubernetes and the kernel say to a sysctl of a pod, whoever asks: a fix that writes one, or a manifest that has
//! one.
//!
//! Sources: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster,
//! kubernetes.io/docs/reference/node/kernel-version-requirements, pkg/kubelet/sysctl/{allowlist,safe_sysctls}.go.

use std::collections::{BTreeMap, BTreeSet};

use super::fix::Pod;
use super::kernel_sysctls::{self, Whose};
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

/// The first release whose kubelets know the UTS namespace, and with it this sysctl (component-helpers,
/// node/util/sysctl/namespace.go).
pub const DOMAINNAME: (&str, Version) = ("kernel.domainname", Version { major: 1, minor: 37, patch: 0 });

/// What is known of the sysctls of pods: what the rules say of them, and the lists above.
#[derive(Clone, Debug, Default)]
pub struct PodSysctls {
    by_name: BTreeMap<&'static str, Pod>,
    removed: Vec<&'static str>,
    judged: BTreeSet<&'static str>,
}

impl PodSysctls {
    /// With what these rules say of the sysctls that they change.
    pub fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let version = |(major, minor)| Version { major, minor, patch: 0 };
        let safe = SAFE.iter().map(|&(name, since, kernel)| {
            let kernel = Some(version(kernel)).filter(|kernel| kernel.major > 0);
            (name, Pod::Safe { since: version(since), kernel })
        });
        let mut by_name: BTreeMap<&'static str, Pod> = safe.collect();
        let mut removed = Vec::new();
        let mut judged = BTreeSet::new();
        for rule in rules {
            removed.extend(rule.fix.remove);
            judged.extend(rule.fact.strip_prefix("sysctl."));
            judged.extend(rule.fix.sysctl.iter().map(|fix| fix.name));
            let Some(pod) = &rule.pod else { continue };
            for fix in rule.fix.sysctl {
                let pod = match pod {
                    Pod::Safe { since, kernel } => Pod::Safe { since: safe_since(fix.name, *since), kernel: *kernel },
                    other => other.clone(),
                };
                by_name.insert(fix.name, pod);
            }
        }
        Self { by_name, removed, judged }
    }

    /// Whether a pod may set a sysctl, by its dotted name.
    pub fn pod(&self, name: &str) -> Pod {
        if let Some(pod) = self.by_name.get(name) {
            return pod.clone();
        }
        let whose = kernel_sysctls::find(name).map(|sysctl| sysctl.whose);
        match whose {
            _ if self.is_removed(name) || is_refused_by_runtimes(name) => Pod::Impossible,
            Some(Whose::ReadOnly | Whose::Node) if name != DOMAINNAME.0 => Pod::Impossible,
            _ if can_be_allowed(name) || name == DOMAINNAME.0 => Pod::Unsafe,
            _ => Pod::Impossible,
        }
    }

    /// Whether no kernel of today has it.
    pub fn is_removed(&self, name: &str) -> bool {
        self.removed.contains(&name) || kernel_sysctls::find(name).is_some_and(|sysctl| sysctl.whose == Whose::Gone)
    }

    /// Whether a rule says of a machine what its value should be.
    pub fn is_judged(&self, name: &str) -> bool {
        self.judged.contains(name)
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
    (is_of_ipc(name) && !is_refused_by_runtimes(name)) || name.starts_with("net.")
}

/// Whether runc and crun refuse it for a container whatever the kubelet allows: they know the IPC namespace's by name
/// (runc, libcontainer/configs/validate; crun, validate_sysctl).
pub fn is_refused_by_runtimes(name: &str) -> bool {
    name.starts_with("user.") || (is_of_ipc(name) && name.ends_with("_next_id"))
}

/// Whether a sysctl belongs to the IPC namespace, which a pod with `hostIPC: true` shares with its node.
pub fn is_of_ipc(name: &str) -> bool {
    ["kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix))
}
