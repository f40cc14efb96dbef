//! What Kubernetes says to a sysctl in a pod: whether a namespace admits the pod, and which kubelets start it.
//!
//! Sources: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster,
//! kubernetes.io/docs/reference/node/kernel-version-requirements,
//! kubernetes.io/docs/concepts/security/pod-security-standards.

use super::{Order, PodSecurity};
use crate::model::action::{Site, SysctlEdit};
use crate::model::fix::Pod;
use crate::model::version::Version;
use crate::remedy::Step;

/// Label and taint of nodes whose kubelet admits unsafe sysctls. Both have the value `allowed`.
pub(super) const NODES: &str = "tunecheck/unsafe-sysctls";

/// How a pod that sets a sysctl gets to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// On every node.
    Safe,
    /// On nodes whose kubelet has it in `allowedUnsafeSysctls`; every other kubelet rejects the pod for good.
    Unsafe,
}

/// The sysctls that belong into a pod: those of a pod, and those of a container that is yet to become one.
pub(super) fn of_pods<'a>(order: Order<'a>) -> impl Iterator<Item = (&'a Step, &'a SysctlEdit)> {
    order.plan.sysctls(&[Site::PodManifest, Site::ContainerRun])
}

/// How a pod of this cluster gets to run with a sysctl.
///
/// # Errors
/// Why it does not, and who can do what instead.
pub(super) fn of(edit: &SysctlEdit, kubernetes: Version, order: Order<'_>) -> Result<Admitted, String> {
    if !edit.netns {
        return Err("a pod has none of its own: it is the node's".to_owned());
    }
    let admitted = match &edit.pod {
        None => return Err("its rule does not say whether a pod may set it (pod:)".to_owned()),
        Some(Pod::Impossible) => return Err("no pod can set it: it is the node's".to_owned()),
        Some(Pod::Unsafe) => Admitted::Unsafe,
        Some(Pod::Safe { since, kernel }) => {
            if let (Some(least), Some(here)) = (kernel, order.plan.place.kernel)
                && here < *least
            {
                return Err(format!("kernel {here} gives a pod none of its own; {least} is the first that does"));
            }
            if kubernetes < safe_since(&edit.name, *since) { Admitted::Unsafe } else { Admitted::Safe }
        }
    };
    let level = match order.options.pod_security {
        PodSecurity::Privileged => return Ok(admitted),
        PodSecurity::Baseline => "baseline",
        PodSecurity::Restricted => "restricted",
    };
    match admitted {
        Admitted::Safe => Ok(Admitted::Safe),
        Admitted::Unsafe => Err(format!(
            "unsafe in Kubernetes {kubernetes}, and a namespace that enforces {level} refuses the pod at admission. \
             The \
             cluster's administrator can run it in a namespace that enforces privileged, or give every pod of some \
             nodes the value: {}",
            for_every_pod(kubernetes)
        )),
    }
}

/// The ways to give every pod of a node a sysctl without the pod asking for it.
pub(super) fn for_every_pod(kubernetes: Version) -> &'static str {
    if (kubernetes.major, kubernetes.minor) < (1, 37) {
        "CRI-O has default_sysctls in [crio.runtime]; containerd has nothing like it"
    } else {
        "CRI-O has default_sysctls in [crio.runtime], any kubelet defaultPodSysctls (alpha in 1.37, feature gate \
         DefaultPodSysctls, off by default)"
    }
}

/// The first release whose kubelets take a sysctl as safe.
fn safe_since(name: &str, since: Version) -> Version {
    match name {
        // What its rule says holds for the reserved ports that go with it.
        "net.ipv4.ip_local_port_range" => Version { major: 1, minor: 4, patch: 0 },
        _ => since,
    }
}

/// Whether the kubelet takes the name in `allowedUnsafeSysctls`. It does not even start with one that it does not know
/// to be namespaced (pkg/kubelet/sysctl/allowlist.go).
pub(super) fn can_be_allowed(name: &str) -> bool {
    ["net.", "kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix))
        || name == "kernel.sem"
}
