//! Findings to actions: what to change, in this place, by whom. Pure.
//!
//! No action lowers a size, drops an entry of a list, or asks for what the kernel or the kubelet would refuse here.

mod forms;
mod nofile;
mod place;
mod sysctl;

use std::collections::BTreeMap;

use crate::model::action::{Action, Edit, Target};
use crate::model::catalogue::Catalogue;
use crate::model::fact::Value;
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

/// New values of sysctls, one for each: what every finding together asks for.
#[derive(Debug, Default)]
pub struct Wishes(BTreeMap<&'static str, Value>);

impl Wishes {
    /// What these findings ask for: the greatest size, all ports, the widest range. So no two findings of a report ask
    /// for different values of one sysctl.
    pub fn of<'a>(findings: impl Iterator<Item = (&'a Rule, &'a Finding)>, situation: Situation<'_>) -> Self {
        let mut wishes = Self::default();
        for (rule, finding) in findings.filter(|(_, finding)| is_urgent(finding)) {
            for fix in &rule.fix.sysctl {
                if let Ok(Some(value)) = sysctl::changed(fix, finding.subject.as_deref(), situation) {
                    let joined = wishes.0.get(fix.name).map(|other| sysctl::both(other, &value));
                    wishes.0.insert(fix.name, joined.unwrap_or(value));
                }
            }
        }
        wishes
    }
}

fn is_urgent(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Warn | Outcome::Fail)
}

/// The actions that mend a finding, in the order in which to take them; none for a finding that asks for nothing.
pub fn actions(rule: &Rule, finding: &Finding, wishes: &Wishes, situation: Situation<'_>) -> Vec<Action> {
    if !is_urgent(finding) {
        return Vec::new();
    }
    let subject = finding.subject.as_deref();
    let filled = |words: &str| situation.catalogue.filled(words, situation.facts, subject);
    let mut actions = Vec::new();
    for fix in &rule.fix.sysctl {
        match sysctl::changed(fix, subject, situation) {
            Ok(None) => {}
            Ok(Some(value)) => {
                let value = wishes.0.get(fix.name).cloned().unwrap_or(value);
                actions.push(forms::action(rule, fix, value, situation));
            }
            // What follows may rest on this one: ports are reserved before a range is widened over them.
            Err(gap) => {
                let words = format!("first find out what {} needs: {}", fix.name, gap.why);
                actions.push(advice(rule, Target::Owner, place::owner(situation.place), words));
                break;
            }
        }
    }
    if let Some(fix) = &rule.fix.nofile {
        actions.extend(nofile::action(rule, fix, situation));
    }
    if let Some(name) = rule.fix.remove {
        actions.extend(removal(rule, name, situation));
    }
    if !rule.fix.application.is_empty() {
        let words = filled(rule.fix.application);
        actions.push(advice(rule, Target::Application, "the application's owner", words));
    }
    if !rule.fix.ask.is_empty() {
        actions.push(advice(rule, Target::Owner, place::owner(situation.place), filled(rule.fix.ask)));
    }
    actions
}

fn advice(rule: &Rule, target: Target, who: &str, words: String) -> Action {
    Action {
        target,
        who: who.to_owned(),
        edit: Edit::Advice,
        lines: vec![words],
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
