//! kube-proxy, which writes two sysctls of conntrack at its start.
//!
//! Source: pkg/proxy/conntrack/sysctls.go and pkg/proxy/apis/config/v1alpha1 of kubernetes/kubernetes.

use super::Situation;
use crate::model::action::SysctlEdit;
use crate::model::fact::Value;
use crate::model::facts::Fact;

/// Since 1.36 kube-proxy cuts `maxPerCore` times the number of cores to this, and where it does, ignores `min`, which it
/// otherwise takes as it is (getConntrackMax).
pub(super) const MOST: i128 = 1_048_576;
/// Entries that kube-proxy gives each core unless it is told otherwise.
const PER_CORE: i128 = 32_768;
/// Entries that it gives a node at least.
const LEAST: i128 = 131_072;
/// Seconds that kube-proxy gives established connections unless it is told otherwise: a setting below it would lower the
/// timeout on every node.
pub(super) const ESTABLISHED: i128 = 86_400;

/// The key of kube-proxy's `conntrack` configuration that gives a sysctl its value at every start
/// (kubeproxy.config.k8s.io/v1alpha1).
pub(super) fn key(sysctl: &str) -> Option<&'static str> {
    match sysctl {
        "net.netfilter.nf_conntrack_max" => Some("min"),
        "net.netfilter.nf_conntrack_tcp_timeout_established" => Some("tcpEstablishedTimeout"),
        _ => None,
    }
}

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
    let cpus = situation.facts.number("cpu.online").ok();
    let wrote = match (key(name)?, cpus) {
        ("min", Some(cpus)) if now == PER_CORE.saturating_mul(cpus) => format!("{PER_CORE} x {cpus} CPUs"),
        ("min", Some(cpus)) if now == LEAST && PER_CORE.saturating_mul(cpus) < LEAST => format!("its least, {LEAST},"),
        ("tcpEstablishedTimeout", _) if now == ESTABLISHED => format!("{ESTABLISHED}"),
        _ => return None,
    };
    Some(format!(
        "{} gives it {set} already and does not hold: kube-proxy wrote {wrote} over it at its start",
        boot.source
    ))
}
