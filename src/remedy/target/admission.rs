//! What Kubernetes says to a sysctl in a pod: whether a namespace admits the pod, and which kubelets start it.
//!
//! Sources: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster,
//! kubernetes.io/docs/reference/node/kernel-version-requirements,
//! kubernetes.io/docs/concepts/security/pod-security-standards.

use super::{Order, PodSecurity};
use crate::model::action::{Site, SysctlEdit};
use crate::model::fix::Pod;
use crate::model::place::{Kind, Netns};
use crate::model::pod_sysctl::safe_since;
use crate::model::version::Version;
use crate::remedy::Step;

// The reserved ports are written before the range.
pub(super) use crate::model::pod_sysctl::{RANGE, RESERVED, can_be_allowed};

/// Where the sysctls of a node are written.
pub(super) const OF_NODE: &str = "--to sysctl.d on the node, or its platform's (--to eks, bottlerocket, gke, aks, \
                                  openshift, talos, k3s, butane)";
/// What is asked for where a pod is to be written.
pub(super) const WHICH_KUBELET: &str = "--kubernetes-version is missing: the release of the oldest kubelet that may \
                                        run the pod, which admits its sysctls or rejects it; kubectl get nodes shows \
                                        them";
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

/// Whether the value that the audit saw is that of a pod, container or namespace, and says nothing of the node's.
pub(super) fn is_of_pod(edit: &SysctlEdit, order: Order<'_>) -> bool {
    let place = &order.plan.place;
    edit.netns && place.netns != Netns::Init && matches!(place.kind, Kind::Pod | Kind::Container | Kind::Namespace)
}

/// How a pod of this cluster gets to run with a sysctl.
///
/// # Errors
/// Why it does not, and who can do what instead.
pub(super) fn of(edit: &SysctlEdit, kubernetes: Version, order: Order<'_>) -> Result<Admitted, String> {
    if !edit.netns {
        return Err(format!("a pod has none of its own: it is the node's: {OF_NODE}"));
    }
    let admitted = match &edit.pod {
        None => {
            return Err(
                "its rule does not say whether a pod may set it: the rule's author can (pod: in the rule)".to_owned()
            );
        }
        Some(Pod::Impossible) => return Err(format!("no pod can set it: it is the node's: {OF_NODE}")),
        Some(Pod::Unsafe) => Admitted::Unsafe,
        Some(Pod::Safe { since, kernel }) => {
            if let (Some(least), Some(here)) = (kernel, order.plan.place.kernel)
                && here < *least
            {
                return Err(format!(
                    "kernel {here} gives a pod none of its own; {least} is the first that does: the node's \
                     administrator can run it on nodes with that kernel"
                ));
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
            "unsafe for kubelets {kubernetes}, and a namespace that enforces {level} refuses the pod at admission. The \
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

/// The versions of the Pod Security policy under which baseline and restricted admit a pod with a sysctl. It is a label
/// of the namespace that says which version is in force, whatever the nodes run.
pub(super) fn policy_versions(edit: &SysctlEdit) -> String {
    match &edit.pod {
        Some(Pod::Safe { since, .. }) => match safe_since(&edit.name, *since) {
            Version { major: 1, minor: ..=22, .. } => "every version".to_owned(),
            since => format!("v{}.{} and later", since.major, since.minor),
        },
        _ => "no version".to_owned(),
    }
}
