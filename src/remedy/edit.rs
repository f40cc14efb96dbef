//! The edit that gives a sysctl its new value, with who sets it now.

use super::{Situation, kube_proxy, sysctl};
use crate::model::action::SysctlEdit;
use crate::model::fact::{Cause, Scope, Value};
use crate::model::fix::SysctlFix;
use crate::model::rule::Rule;

/// The edit that gives one sysctl of a rule's fix its new value.
pub(super) fn of(rule: &Rule, fix: &SysctlFix, new: Value, file: &'static str, situation: Situation<'_>) -> SysctlEdit {
    let fact = format!("sysctl.{}", fix.name);
    let scope = situation.catalogue.find(&fact).map_or(rule.scope, |entry| entry.scope);
    let of_boot =
        |what: &str| situation.facts.get(&format!("boot[{}].{what}", fix.name)).filter(|fact| fact.reading.is_ok());
    let boot = of_boot("value");
    let old = situation.facts.value(&fact).ok().cloned();
    let tuned = tuned(fix.name, situation);
    let mut set_names: Vec<String> = Vec::new();
    for by in ["boot", "tuned"].into_iter().filter(|by| *by == "boot" || tuned.is_some()) {
        let names = situation.facts.text(&format!("{by}[{}].names", fix.name)).unwrap_or_default();
        let new = names.split_whitespace().filter(|name| !set_names.iter().any(|known| known == name));
        set_names.extend(new.map(str::to_owned).collect::<Vec<_>>());
    }
    SysctlEdit {
        name: fix.name.to_owned(),
        overwritten: kube_proxy::overwritten(fix.name, old.as_ref(), boot, situation),
        old,
        new,
        how: sysctl::how(&fix.change),
        netns: fix.name.starts_with("net.") && scope == Scope::Netns,
        pod: rule.pod.clone(),
        module: rule.module.filter(|module| !is_built_in(module, fix.name, situation)),
        boot_line: set_at(fix.name, situation).map(str::to_owned),
        last_line: last_line(fix.name, situation).map(|(at, name)| (at.to_owned(), name.to_owned())),
        file,
        boot_name: situation.facts.text(&format!("boot[{}].name", fix.name)).map(str::to_owned),
        set_names,
        boot: boot.and_then(|fact| fact.reading.clone().ok()),
        tuned,
    }
}

/// Whether the kernel holds what is a module elsewhere: its sysctls are there from the first moment on, and no file that is to
/// load it could. The sysctl is seen, and it is not among the modules, or this kernel has none.
fn is_built_in(module: &str, name: &str, situation: Situation<'_>) -> bool {
    let seen = situation.facts.value(&format!("sysctl.{name}")).is_ok();
    seen && match situation.facts.value("kernel.modules") {
        Ok(Value::Text(loaded)) => !loaded.split(' ').any(|loaded| loaded == module),
        Ok(_) => false,
        Err(gap) => gap.cause == Cause::Absent,
    }
}

/// The line of a boot file that sets a sysctl, also one that the kernel refuses: it comes after every line that it takes.
/// What is told of a line that no boot reads is no such line.
pub(super) fn set_at<'a>(name: &str, situation: Situation<'a>) -> Option<&'a str> {
    let known = |what: &str| situation.facts.get(&format!("boot[{name}].{what}")).filter(|fact| fact.reading.is_ok());
    let last = last_line(name, situation).map(|(at, _)| at);
    known("idle")
        .filter(|fact| last == Some(fact.source.as_ref()))
        .or_else(|| known("value"))
        .map(|fact| fact.source.as_ref())
}

/// The line that is read after every other one for a sysctl, and the name there.
pub(super) fn last_line<'a>(name: &str, situation: Situation<'a>) -> Option<(&'a str, &'a str)> {
    let last = situation.facts.get(&format!("boot[{name}].last"))?;
    match &last.reading {
        Ok(Value::Text(name)) => Some((last.source.as_ref(), name)),
        _ => None,
    }
}

/// The line of the TuneD profile that sets a sysctl, if TuneD has the last word over sysctl.d.
fn tuned(name: &str, situation: Situation<'_>) -> Option<(String, Value)> {
    let set = situation.facts.get(&format!("tuned[{name}].value"))?;
    let value = set.reading.clone().ok()?;
    let last = situation.facts.text(&format!("tuned[{name}].last"));
    last.map(|_| (set.source.to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalogue::Catalogue;
    use crate::model::fact::Gap;
    use crate::model::facts::Facts;
    use crate::model::place::Place;

    #[test]
    fn what_is_seen_and_is_no_module_is_built_in() {
        const NAME: &str = "net.netfilter.nf_conntrack_max";
        let built_in = |seen: bool, modules: Result<&str, Cause>| {
            let mut facts = Facts::default();
            if seen {
                facts.put(format!("sysctl.{NAME}"), Ok(Value::Number(1)), "");
            }
            let modules = modules.map(|names| Value::Text(names.into())).map_err(|cause| Gap::new(cause, ""));
            facts.put("kernel.modules", modules, "");
            let (place, catalogue) = (Place::plain_host(), Catalogue::EMPTY);
            is_built_in("nf_conntrack", NAME, Situation { facts: &facts, place: &place, catalogue })
        };
        assert!(built_in(true, Ok("overlay nf_tables")) && built_in(true, Err(Cause::Absent)));
        assert!(!built_in(true, Ok("overlay nf_conntrack")) && !built_in(false, Ok("overlay")));
        assert!(!built_in(true, Err(Cause::Unsupported)) && !built_in(true, Err(Cause::Denied)), "nobody knows");
    }
}
