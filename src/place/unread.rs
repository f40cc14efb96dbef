//! Signs of the place that are there and could not be read.

use crate::model::fact::{Cause, Gap};
use crate::model::facts::Facts;

/// Why a sign of containers is missing, where others could be read: without all of them a host is a guess.
pub(super) fn unreadable(facts: &Facts) -> Option<Gap> {
    const SURE: [&str; 4] = ["namespace.pid.init", "sign.mount", "sign.dockerenv", "sign.containerenv"];
    let read = |name: &&str| facts.value(name).map_or_else(|gap| gap.cause == Cause::Absent, |_| true);
    let gap = |name: &&str| {
        let gap = facts.value(name).err()?;
        (![Cause::Absent, Cause::NotVisibleHere].contains(&gap.cause)).then_some(gap)
    };
    let known = SURE.iter().filter(|name| facts.get(name).is_some());
    let unsure = if known.clone().any(read) { known.clone().find_map(gap) } else { None };
    unsure.or_else(|| failed(facts, &SIGNS))
}

/// Signs of a container, each of which may be the only one.
pub(super) const SIGNS: [&str; 8] = [
    "cgroup.path",
    "namespace.pid.init",
    "sign.containerenv",
    "sign.dockerenv",
    "sign.manager",
    "sign.mount",
    "sign.procsys_readonly",
    "sign.root",
];
/// Signs of a pod, each of which may be the only one.
pub(super) const OF_KUBERNETES: [&str; 4] =
    ["cgroup.path", "sign.kubernetes_env", "sign.mount", "sign.service_account"];

/// Why the first of these is missing that was there to be read.
pub(super) fn failed(facts: &Facts, names: &[&str]) -> Option<Gap> {
    names
        .iter()
        .filter(|name| facts.get(name).is_some())
        .find_map(|name| facts.value(name).err().filter(Gap::is_failure))
}
