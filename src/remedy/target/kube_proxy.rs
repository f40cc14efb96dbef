//! What kube-proxy does with the conntrack sysctls, and the setting that makes it do what a plan asks for.
//!
//! Sources: pkg/proxy/conntrack/sysctls.go and pkg/proxy/apis/config/v1alpha1 of kubernetes/kubernetes; pull requests
//! 103174, 120448, 137002 and 142035 there.

use super::Order;
use super::admission::is_of_pod;
use crate::model::action::{How, SysctlEdit};
use crate::model::version::Version;
use crate::remedy::kube_proxy::{ESTABLISHED, MOST};

/// A setting below `conntrack` of a KubeProxyConfiguration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// `min`: nf_conntrack_max is the larger of it and `maxPerCore` times the number of cores.
    Min(i128),
    /// `min` with `maxPerCore: 1`, so that no node has so many cores that kube-proxy ignores `min`.
    MinAlone(i128),
    /// `tcpEstablishedTimeout`, in seconds.
    Established(i128),
}

impl Setting {
    /// What has to be known beside it.
    pub(super) fn note(self) -> Option<String> {
        match self {
            Self::Min(_) => None,
            Self::MinAlone(_) => Some(format!(
                "written  maxPerCore: 1 as well: where maxPerCore x cores is above {MOST} kube-proxy ignores min"
            )),
            Self::Established(seconds) => Some(format!(
                "written  {seconds}s: less than kube-proxy's own {ESTABLISHED}s would lower it on every node"
            )),
        }
    }
}

/// The setting that gives a sysctl its new value.
///
/// # Errors
/// Why there is none, or what the user has to say first.
pub(super) fn setting(edit: &SysctlEdit, order: Order<'_>) -> Result<Setting, Refused> {
    match uncapped(edit, order).map_err(Refused::LeftOut)? {
        Setting::Min(new) if new > MOST => match order.options.kubernetes {
            Some(release) if (release.major, release.minor) < (1, 36) => Ok(Setting::Min(new)),
            Some(_) => Ok(Setting::MinAlone(new)),
            None => Err(Refused::Ask(format!(
                "--kubernetes-version is missing: kubectl get nodes shows the oldest kubelet's; kube-proxy 1.36 and \
                 later ignore min where maxPerCore x cores is above {MOST}, and the plan asks for {new}"
            ))),
        },
        setting => Ok(setting),
    }
}

/// The same where nothing cuts `maxPerCore`.
///
/// # Errors
/// Why there is none.
pub(super) fn uncapped(edit: &SysctlEdit, order: Order<'_>) -> Result<Setting, String> {
    let unfit = |why: &str| Err(why.to_owned());
    let Some(new) = edit.new.limit() else { return unfit("it is no number") };
    if edit.how == How::Raise && edit.old.is_none() {
        return unfit(
            "the value there is not known, and a setting could lower it: audit on a node, or set it only if it is \
             more than `sysctl -n` shows on the nodes",
        );
    }
    if is_of_pod(edit, order) {
        return unfit(
            "the audit saw the pod's own value, and kube-proxy sets the node's: audit on a node, where its \
             administrator sees it with sysctl -n",
        );
    }
    match edit.name.as_str() {
        "net.netfilter.nf_conntrack_tcp_timeout_established" => Ok(Setting::Established(new.max(ESTABLISHED))),
        "net.netfilter.nf_conntrack_max" => Ok(Setting::Min(new)),
        _ => unfit("kube-proxy has no setting for it: --to sysctl.d on the node"),
    }
}

/// Why there is no setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The step is left out, for this reason.
    LeftOut(String),
    /// The user has to say something first.
    Ask(String),
}

/// What kube-proxy of a release does at its start with nf_conntrack_max and the timeouts, for the comments.
pub(super) fn habit(kubernetes: Option<Version>) -> &'static str {
    match kubernetes.map(|release| (release.major, release.minor)) {
        None => {
            "At its start kube-proxy gives the node these values, in most releases also where they lower what is there."
        }
        Some((1, ..=28)) => "At its start kube-proxy raises the node's values to these; it does not lower them.",
        Some((1, 29..=35)) => {
            "At its start kube-proxy gives the node these values whenever they differ, also where that lowers them."
        }
        Some(_) => {
            "At its start kube-proxy gives the node these values whenever they differ; of maxPerCore x cores \
             at most 1048576. Whether your patch release leaves a larger nf_conntrack_max as it is: \
             github.com/kubernetes/kubernetes/pull/142035."
        }
    }
}
