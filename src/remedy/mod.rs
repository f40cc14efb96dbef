//! Findings to actions: what to change, in this place, by whom. Pure.
//!
//! No action lowers a size, drops an entry of a list, or asks for what the kernel or the kubelet would refuse here.

mod nofile;
mod place;
mod sysctl;

use crate::model::action::{Action, Edit, Target};
use crate::model::catalogue::Catalogue;
use crate::model::facts::Facts;
use crate::model::finding::{Finding, Outcome};
use crate::model::fix::Effect;
use crate::model::place::Place;
use crate::model::rule::Rule;

/// What an action is worked out from.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What was read.
    pub facts: &'a Facts,
    /// Where the audit stands.
    pub place: &'a Place,
    /// Scopes of facts.
    pub catalogue: &'a Catalogue,
}

/// The actions that mend a finding, in the order in which to take them; none for a finding that asks for nothing.
pub fn actions(rule: &Rule, finding: &Finding, situation: Situation<'_>) -> Vec<Action> {
    if !matches!(finding.outcome, Outcome::Warn | Outcome::Fail) {
        return Vec::new();
    }
    let subject = finding.subject.as_deref();
    let mut actions: Vec<Action> =
        rule.fix.sysctl.iter().filter_map(|fix| sysctl::action(rule, fix, subject, situation)).collect();
    if let Some(fix) = &rule.fix.nofile {
        actions.extend(nofile::action(rule, fix, situation));
    }
    if let Some(name) = &rule.fix.remove {
        actions.extend(removal(rule, name, situation));
    }
    if !rule.fix.application.is_empty() {
        actions.push(advice(rule, Target::Application, "the application's owner", rule.fix.application));
    }
    if !rule.fix.ask.is_empty() {
        actions.push(advice(rule, Target::Owner, place::owner(situation.place), rule.fix.ask));
    }
    actions
}

fn advice(rule: &Rule, target: Target, who: &str, words: &str) -> Action {
    Action {
        target,
        who: who.to_owned(),
        edit: Edit::Advice,
        lines: vec![words.to_owned()],
        scope: String::new(),
        cost: rule.fix.cost,
        safety: rule.fix.safety,
        takes_effect: rule.takes_effect,
        prove: rule.fix.prove.into(),
        undo: "put the former setting back".to_owned(),
    }
}

/// A line that has to leave the boot configuration.
fn removal(rule: &Rule, name: &str, situation: Situation<'_>) -> Option<Action> {
    let at = &situation.facts.get(&format!("boot[{name}].value")).filter(|fact| fact.reading.is_ok())?.source;
    let file = at.rsplit_once(':').map_or(at.as_ref(), |(file, _)| file);
    Some(Action {
        target: Target::Here,
        who: place::writer(situation.place).to_owned(),
        edit: Edit::RemoveLine { name: name.to_owned(), at: at.to_string() },
        lines: vec![format!("delete the line that sets {name}: {at}")],
        scope: "the whole host".to_owned(),
        cost: rule.fix.cost,
        safety: rule.fix.safety,
        takes_effect: Effect::Reboot,
        prove: format!("grep -n {} {}", quoted(name), quoted(file)).into(),
        undo: "put the line back".to_owned(),
    })
}

/// A word that a POSIX shell takes as it is, whatever it holds.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-,:=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
