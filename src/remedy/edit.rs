//! The edit that gives a sysctl its new value, with who sets it now.

use super::{Situation, kube_proxy, sysctl};
use crate::model::action::SysctlEdit;
use crate::model::fact::{Scope, Value};
use crate::model::fix::SysctlFix;
use crate::model::rule::Rule;

/// The edit that gives one sysctl of a rule's fix its new value.
pub(super) fn of(rule: &Rule, fix: &SysctlFix, new: Value, situation: Situation<'_>) -> SysctlEdit {
    let fact = format!("sysctl.{}", fix.name);
    let scope = situation.catalogue.find(&fact).map_or(rule.scope, |entry| entry.scope);
    let of_boot =
        |what: &str| situation.facts.get(&format!("boot[{}].{what}", fix.name)).filter(|fact| fact.reading.is_ok());
    let boot = of_boot("value");
    // A line that the kernel refuses comes after every line that it takes, and hides a line of ours before it.
    let last = of_boot("idle").or(boot);
    let old = situation.facts.value(&fact).ok().cloned();
    SysctlEdit {
        name: fix.name.to_owned(),
        overwritten: kube_proxy::overwritten(fix.name, old.as_ref(), boot, situation),
        old,
        new,
        how: sysctl::how(&fix.change),
        netns: fix.name.starts_with("net.") && scope == Scope::Netns,
        pod: rule.pod.clone(),
        module: rule.module,
        boot_line: last.map(|fact| fact.source.to_string()),
        boot_name: situation.facts.text(&format!("boot[{}].name", fix.name)).map(str::to_owned),
        boot_names: situation
            .facts
            .text(&format!("boot[{}].names", fix.name))
            .map(|names| names.split_whitespace().map(str::to_owned).collect())
            .unwrap_or_default(),
        boot: boot.and_then(|fact| fact.reading.clone().ok()),
        tuned: tuned(fix.name, situation),
    }
}

/// The line of the TuneD profile that sets a sysctl, if TuneD has the last word over sysctl.d.
fn tuned(name: &str, situation: Situation<'_>) -> Option<(String, Value)> {
    let set = situation.facts.get(&format!("tuned[{name}].value"))?;
    let value = set.reading.clone().ok()?;
    let last = situation.facts.value("tuned.reapplies") == Ok(&Value::Number(0));
    last.then(|| (set.source.to_string(), value))
}
