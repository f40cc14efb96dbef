//! `kubernetes`: what goes into pods, kubelets, kube-proxy and container runtimes of a cluster.

mod kubelet;
mod pod;
mod proxy;
mod runtime;

use super::{File, Order, Rendered, Target, is_change, notes};
use crate::model::action::{Edit, Site, SysctlEdit};
use crate::model::place::Kind;
use crate::remedy::Step;

pub(super) const TARGET: Target = Target {
    name: "kubernetes",
    about: "patches for pods, kubelet, kube-proxy and container runtime (needs --kubernetes-version)",
    render,
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let pod = pod::Part::of(order, &mut rendered)?;
    let files = [
        kubelet::file(&pod, order),
        proxy::file(order, &mut rendered)?,
        runtime::containerd(order),
        runtime::crio(order),
        runtime::entrypoint(order),
    ];
    rendered.files.extend(files.into_iter().flatten());
    rendered.files.extend(pod.files());
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        if let Some(why) = elsewhere(step, &pod, order) {
            rendered.leave_out(step, why);
        }
    }
    if rendered.files.is_empty() {
        rendered.files.push(File {
            path: "nothing.yaml".to_owned(),
            text: "# There is nothing to set in Kubernetes.\n".to_owned(),
            apply: "There is nothing to apply.".to_owned(),
        });
    }
    Ok(rendered)
}

/// Why a step is in none of the files, if it is in none.
fn elsewhere(step: &Step, pod: &pod::Part<'_>, order: Order<'_>) -> Option<String> {
    let action = &step.action;
    match (&action.edit, action.site) {
        (Edit::Sysctl(edit), Site::Node | Site::Here) => Some(of_node(edit, action.site, order)),
        // These have been judged by the files that hold them.
        (Edit::Sysctl(_) | Edit::Ndots(_), _) => None,
        (Edit::AllowUnsafe { name }, _) if pod.needs(name) => None,
        (Edit::AllowUnsafe { .. }, _) => {
            Some("no pod of this plan needs it: see why its sysctl is left out".to_owned())
        }
        (Edit::Nofile(_), Site::ContainerRuntime | Site::ContainerRun | Site::PodManifest) => None,
        (Edit::Nofile(_) | Edit::RemoveLine { .. } | Edit::Advice, site) => {
            Some(format!("it is changed elsewhere: {}", notes::site(site, &order.plan.place)))
        }
    }
}

/// Why a sysctl of a host or node is none for a pod.
fn of_node(edit: &SysctlEdit, site: Site, order: Order<'_>) -> String {
    let grows_the_table = |(_, edit): (&Step, &SysctlEdit)| edit.name == "net.netfilter.nf_conntrack_max";
    if edit.name == "net.netfilter.nf_conntrack_buckets" && order.plan.sysctls(&[Site::KubeProxy]).any(grows_the_table)
    {
        return "kube-proxy makes the hash a quarter of the table when it grows the table at its start".to_owned();
    }
    let own = edit.netns && !edit.name.starts_with("net.netfilter.");
    match order.plan.place.kind {
        Kind::HostNetworkPod if edit.netns => {
            "a pod with hostNetwork: true takes no net.* sysctls: set it on the node (--to sysctl.d, or the node's \
             platform: --to eks, bottlerocket, gke, aks, openshift, talos, k3s, butane)"
                .to_owned()
        }
        Kind::Host | Kind::Namespace | Kind::Unknown if own && site == Site::Here => {
            "this report says nothing of a pod's own network namespace, which starts from the kernel's defaults: audit \
             in the pod (kubectl exec)"
                .to_owned()
        }
        _ => "it is the node's: --to sysctl.d, or the node's platform (--to eks, bottlerocket, gke, aks, openshift, \
              talos, k3s, butane)"
            .to_owned(),
    }
}
