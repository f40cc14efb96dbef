//! `kubernetes`: what goes into pods, kubelets, kube-proxy and container runtimes of a cluster.

mod kubelet;
mod pod;
mod proxy;
mod runtime;

use super::admission::OF_NODE;
use super::kube_proxy::{Setting, setting};
use super::{Order, Rendered, Target, is_change, notes};
use crate::model::action::{Edit, Site, SysctlEdit};
use crate::model::place::Kind;
use crate::remedy::Step;

pub(super) const TARGET: Target = Target {
    name: "kubernetes",
    about: "patches for pods, kubelet, kube-proxy and container runtime (needs --kubernetes-version)",
    render,
};

/// Why a change of the kubelet is not written at --max-safety safe, whatever its rule says.
const READ_FIRST: &str = "above --max-safety safe, since an unsafe sysctl in a pod is to be read first";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let pod = pod::Part::of(order, &mut rendered)?;
    let kubelet = kubelet::file(&pod, order);
    let allows = kubelet.is_some();
    rendered.files.extend(kubelet);
    let proxy = proxy::file(order, &mut rendered)?;
    rendered.files.extend(proxy);
    rendered.files.extend([runtime::containerd(order), runtime::crio(order)].into_iter().flatten());
    rendered.files.extend(runtime::entrypoint(order));
    let pods = pod.files(order, &mut rendered);
    rendered.files.extend(pods);
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        if let Some(why) = elsewhere(step, &pod, allows, order) {
            rendered.leave_out(step, why);
        }
    }
    Ok(rendered)
}

/// Why a step is in none of the files, if it is in none.
fn elsewhere(step: &Step, pod: &pod::Part<'_>, allows: bool, order: Order<'_>) -> Option<String> {
    let action = &step.action;
    match (&action.edit, action.site) {
        (Edit::Sysctl(edit), Site::Node | Site::Here) => Some(of_node(edit, action.site, order)),
        // These have been judged by the files that hold them.
        (Edit::Sysctl(_) | Edit::Ndots(_), _) => None,
        (Edit::AllowUnsafe { name }, _) if pod.needs(name) => match allows {
            true => None,
            false => order.told_only(step).or_else(|| Some(READ_FIRST.to_owned())),
        },
        (Edit::AllowUnsafe { .. }, _) => Some(
            "no pod of this plan needs it: why its sysctl is left out, and who can set it, stands with it".to_owned(),
        ),
        // Judged by the files of the runtime.
        (Edit::Nofile(_) | Edit::LowerNofile(_), Site::ContainerRuntime | Site::ContainerRun | Site::PodManifest) => {
            order.told_only(step)
        }
        (Edit::Nofile(_) | Edit::LowerNofile(_) | Edit::RemoveLine { .. } | Edit::Advice, site) => {
            let (site, who) = (notes::site(site, &order.plan.place), notes::one_line(&action.who));
            Some(format!("it is changed elsewhere ({site}), by {who}: --to plan"))
        }
    }
}

/// Why a sysctl of a host or node is none for a pod.
fn of_node(edit: &SysctlEdit, site: Site, order: Order<'_>) -> String {
    let grows_the_table = |(step, edit): (&Step, &SysctlEdit)| {
        order.takes(step) && matches!(setting(edit, order), Ok(Setting::Min(_) | Setting::MinAlone(_)))
    };
    if edit.name == "net.netfilter.nf_conntrack_buckets" && order.plan.sysctls(&[Site::KubeProxy]).any(grows_the_table)
    {
        return format!(
            "kube-proxy (kube-proxy.yaml) makes the hash a quarter of the table when it grows the table at its start; \
             for more: {OF_NODE}"
        );
    }
    let own = edit.netns && !edit.name.starts_with("net.netfilter.");
    match order.plan.place.kind {
        Kind::HostNetworkPod if edit.netns => {
            format!("a pod with hostNetwork: true takes no net.* sysctls: {OF_NODE}")
        }
        Kind::Host | Kind::Namespace | Kind::Unknown if own && site == Site::Here => {
            format!(
                "this report says nothing of a pod's own network namespace, which starts from the kernel's defaults: \
                 audit in the pod (kubectl exec). For the node itself: {OF_NODE}"
            )
        }
        _ => format!("it is the node's: {OF_NODE}"),
    }
}
