//! What is said of a change beside the change itself: cost, proof, how to take it back.

use std::borrow::Cow;

use super::{Situation, quoted};
use crate::model::action::SysctlEdit;
use crate::model::fact::{Scope, Unit, Value};
use crate::model::facts::{grouped, humane, placeholders_filled};
use crate::model::fix::Effect;
use crate::model::place::{Netns, Place};
use crate::model::rule::Rule;
use crate::model::sysctl::danger::danger;

/// The bytes that a change of a sysctl can take at worst, where it is known what each unit takes.
pub(super) fn worst(rule: &Rule, edit: &SysctlEdit) -> Option<i128> {
    let each = rule.fix.sysctl.iter().find(|fix| fix.name == edit.name)?.bytes_each?;
    let Value::Number(new) = edit.new else { return None };
    let old = edit.old.as_ref().and_then(Value::limit).unwrap_or(0).max(0).min(new);
    Some((new - old).saturating_mul(each.into()))
}

/// The same as a share of the memory.
pub(super) fn percent(rule: &Rule, edit: &SysctlEdit, memory: Option<i128>) -> Option<i128> {
    let memory = memory.filter(|&memory| memory > 0)?;
    Some(worst(rule, edit)?.saturating_mul(100) / memory)
}

/// What a rule's change of a sysctl costs on a machine with this much memory in bytes: at worst, where it is known what
/// each unit takes, and then in the rule's words.
pub(super) fn cost(rule: &Rule, edit: &SysctlEdit, memory: Option<i128>) -> String {
    let (Some(bytes), Value::Number(new)) = (worst(rule, edit), &edit.new) else { return rule.fix.cost.to_owned() };
    let shown = |bytes| humane(&Value::Number(bytes), Unit::Bytes);
    let share = match memory.filter(|&memory| memory > 0) {
        None => ", and how much memory there is here is not known".to_owned(),
        Some(memory) => match bytes.saturating_mul(1000) / memory {
            0 => format!(", less than 0.1 % of the {} here", shown(memory)),
            tenths => format!(", {}.{} % of the {} here", grouped(tenths / 10), tenths % 10, shown(memory)),
        },
    };
    let worst = format!("up to {} more for {}{share}", shown(bytes), grouped(*new));
    if rule.fix.cost.is_empty() { worst } else { format!("{worst}; {}", rule.fix.cost) }
}

/// What a change of a sysctl costs, behind the danger in it.
pub(super) fn with_danger(name: &str, cost: String) -> String {
    match danger(name) {
        Some(danger) if cost.is_empty() => format!("DANGEROUS: {danger}"),
        Some(danger) => format!("DANGEROUS: {danger}; {cost}"),
        None => cost,
    }
}

/// A rule's command with the facts that it names as words for a shell; one that is not known stays a word in capitals, for a
/// person to fill in. Other braces are the command's own.
pub(super) fn command(command: &'static str, situation: Situation<'_>) -> Cow<'static, str> {
    if !command.contains('{') {
        return command.into();
    }
    let Situation { facts, catalogue, .. } = situation;
    let word = |name: &str| match catalogue.find(name) {
        Some(_) if facts.value(name).is_err() => name.rsplit('.').next().unwrap_or(name).to_uppercase(),
        Some(_) => quoted(&catalogue.shown(facts, name, None)),
        None => format!("{{{name}}}"),
    };
    placeholders_filled(command, word).into()
}

/// The command that shows a sysctl's new value, or the rule's own proof.
pub(super) fn prove(rule: &Rule, name: &str, situation: Situation<'_>) -> Cow<'static, str> {
    match rule.fix.prove {
        "" => format!("sysctl -n {}", quoted(name)).into(),
        own => in_netns(rule, own.into(), situation.place),
    }
}

/// A rule's proof in the network namespace that it speaks of: where that is another process's, one that enters it. Where the
/// change starts the process anew, its number is not known yet.
pub(super) fn in_netns(rule: &Rule, command: Cow<'static, str>, place: &Place) -> Cow<'static, str> {
    let of_netns = !command.is_empty() && (rule.scope == Scope::Netns || command.starts_with("ss "));
    match place.pid().filter(|_| of_netns && place.netns == Netns::Child) {
        None => command,
        Some(_) if matches!(rule.takes_effect, Effect::Relisten | Effect::Restart | Effect::NewPods) => {
            format!("nsenter -t PID -n {command}").into()
        }
        Some(pid) => format!("nsenter -t {pid} -n {command}").into(),
    }
}

/// The proof of new limits on open files.
pub(super) fn prove_nofile(rule: &Rule) -> Cow<'static, str> {
    if rule.fix.prove.is_empty() { "grep 'open files' /proc/PID/limits".into() } else { rule.fix.prove.into() }
}

/// The command that gives a sysctl its former value.
pub(super) fn unwrite(edit: &SysctlEdit) -> String {
    match &edit.old {
        Some(old) => format!("sysctl -w {}", quoted(&format!("{}={}", edit.name, old.plain()))),
        None => "write the former value back: note it first".to_owned(),
    }
}
