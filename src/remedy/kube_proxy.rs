//! kube-proxy, which writes two sysctls of conntrack at its start.
//!
//! Source: pkg/proxy/conntrack/sysctls.go and pkg/proxy/apis/config/v1alpha1 of kubernetes/kubernetes.

use super::Situation;
use crate::model::action::SysctlEdit;
use crate::model::fact::Value;
use crate::model::facts::Fact;
use crate::model::sysctl::known;
use crate::model::sysctl::kube_proxy::wrote;
pub(super) use crate::model::sysctl::kube_proxy::{ESTABLISHED, key};

/// Since 1.36 kube-proxy cuts `maxPerCore` times the number of cores to this, and where it does, ignores `min`, which it
/// otherwise takes as it is (getConntrackMax).
pub(super) const MOST: i128 = 1_048_576;
/// The line of kube-proxy's configuration, for a sysctl that it writes at every start.
pub(super) fn line(edit: &SysctlEdit, situation: Situation<'_>) -> Option<String> {
    let wanted = edit.new.limit()?;
    let key = key(&edit.name)?;
    if key.ends_with("Timeout") {
        return Some(format!("conntrack.{key}: {}s", wanted.max(ESTABLISHED)));
    }
    let cpus = situation.facts.number("cpu.online").ok().filter(|&cpus| cpus > 0);
    let per_core = cpus.map(|cpus| format!("   (or conntrack.maxPerCore x {cpus} CPUs: the larger counts)"));
    Some(format!("conntrack.{key}: {wanted}{}", per_core.unwrap_or_default()))
}

/// The same as an argument of kube-proxy, for K3s and RKE2, where it has no configuration of its own.
pub(super) fn argument(edit: &SysctlEdit) -> Option<String> {
    let wanted = edit.new.limit()?;
    Some(match key(&edit.name)?.ends_with("Timeout") {
        true => format!("conntrack-tcp-timeout-established={}s", wanted.max(ESTABLISHED)),
        false => format!("conntrack-min={wanted}"),
    })
}

/// Who wrote over the line that sets a sysctl at boot, if it was kube-proxy, which writes at its start, after the files:
/// what stands there is what it works out itself.
pub(super) fn overwritten(
    name: &str,
    old: Option<&Value>,
    boot: Option<&Fact>,
    situation: Situation<'_>,
) -> Option<String> {
    let boot = boot?;
    let (now, set) = (old?.limit()?, boot.reading.as_ref().ok()?.limit()?);
    if !situation.place.node || now == set {
        return None;
    }
    let wrote = wrote(name, now, situation.facts.number("cpu.online").ok())?;
    // A module may start with the same number: where no kube-proxy runs, it was loaded after the line was applied.
    let buckets = situation.facts.number("sysctl.net.netfilter.nf_conntrack_buckets").unwrap_or(0);
    let late = match known::starts_with(name, now, buckets, situation.place.kernel)
        .then(|| known::family_of(name))
        .flatten()
    {
        Some(family) => {
            format!("; where none runs, {0} was loaded after that line: {0} in /etc/modules-load.d", family.module)
        }
        None => String::new(),
    };
    Some(format!(
        "{} gives it {set} already and does not hold: kube-proxy wrote {wrote} over it at its start{late}",
        boot.source
    ))
}
