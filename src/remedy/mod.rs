//! Findings to actions: what to change, in this place, by whom. Pure.
//!
//! No action lowers a size, drops an entry of a list, or asks for what the kernel or the kubelet would refuse here.

mod edit;
mod file;
mod forms;
mod kube_proxy;
mod needless;
mod nofile;
mod place;
mod plan;
pub mod recall;
mod sysctl;
pub mod target;
mod words;

use std::collections::BTreeMap;

use crate::model::action::{Action, Edit, Site};
use crate::model::catalogue::Catalogue;
use crate::model::fact::Value;
use crate::model::facts::Facts;
use crate::model::finding::{Finding, Outcome};
use crate::model::fix::{Change, Effect, Safety, SysctlFix};
use crate::model::place::{Kind, Place};
use crate::model::rule::Rule;
use crate::model::sysctl::known;

pub use plan::{Conflict, Plan, Step};

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
#[derive(Debug)]
pub struct Wishes {
    values: BTreeMap<&'static str, Option<Value>>,
    /// The file of our own that keeps them.
    file: &'static str,
}

impl Default for Wishes {
    fn default() -> Self {
        Self { values: BTreeMap::new(), file: file::FIRST }
    }
}

impl Wishes {
    /// What these findings ask for: the greatest size, all ports, the widest range. So no two findings of a report ask
    /// for different values of one sysctl, unless it is a switch: there each keeps its own, and [`Plan`] names the
    /// conflict.
    pub fn of<'a>(findings: impl Iterator<Item = (&'a Rule, &'a Finding)>, situation: Situation<'_>) -> Self {
        let mut wishes = Self::default();
        for (rule, finding) in findings.filter(|(_, finding)| is_urgent(finding)) {
            for fix in rule.fix.sysctl {
                if let Ok(Some(value)) = sysctl::changed(fix, finding.subject.as_deref(), situation) {
                    let joined = match wishes.values.get(fix.name) {
                        Some(Some(other)) => sysctl::both(sysctl::how(&fix.change), other, &value),
                        Some(None) => None,
                        None => Some(value),
                    };
                    wishes.values.insert(fix.name, joined);
                }
            }
        }
        wishes.hash_of_the_table();
        // What files set in a container is nothing to its node.
        if !matches!(situation.place.kind, Kind::Pod | Kind::HostNetworkPod | Kind::Container) {
            let lines = wishes
                .values
                .keys()
                .flat_map(|name| [edit::set_at(name, situation), edit::last_line(name, situation).map(|(at, _)| at)]);
            wishes.file = file::after(lines.flatten());
        }
        wishes
    }

    /// What kube-proxy does and conntrack/buckets asks for: where the table grows, also to what a boot file says, a quarter
    /// as many buckets.
    fn hash_of_the_table(&mut self) {
        let Some(Some(Value::Number(entries))) = self.values.get(known::CONNTRACK_MAX) else { return };
        let least = sysctl::whole_buckets(entries / 4);
        if let Some(Some(Value::Number(buckets))) = self.values.get_mut(known::CONNTRACK_BUCKETS) {
            *buckets = least.max(*buckets);
        }
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
    if situation.place.is_guess() {
        return vec![nowhere(rule, situation)];
    }
    let subject = finding.subject.as_deref();
    let filled = |words: &str| situation.catalogue.filled(words, situation.facts, subject);
    let mut actions = Vec::new();
    for fix in rule.fix.sysctl {
        match sysctl::changed(fix, subject, situation) {
            Ok(None) if known::is_read_only(fix.name, situation.place.kernel) => {
                actions.extend(parameter(rule, fix, subject, situation));
            }
            Ok(None) => {}
            Ok(Some(value)) => {
                let value = wishes.values.get(fix.name).cloned().flatten().unwrap_or(value);
                actions.extend(forms::actions(rule, edit::of(rule, fix, value, wishes.file, situation), situation));
            }
            // What follows may rest on this one: ports are reserved before a range is widened over them.
            Err(gap) => {
                let words = format!("first find out what {} needs: {}", fix.name, gap.why);
                actions.push(advice(rule, Site::Owner, place::owner(situation.place), words, situation));
                break;
            }
        }
    }
    if let Some(fix) = &rule.fix.nofile {
        actions.extend(nofile::action(rule, fix, situation));
    }
    if let Some(name) = rule.fix.remove.filter(|_| actions.is_empty()) {
        actions.extend(removal(rule, name, situation));
    }
    if let Some(ndots) = rule.fix.ndots.filter(|_| matches!(situation.place.kind, Kind::Pod | Kind::HostNetworkPod)) {
        actions.extend(resolver(rule, ndots, situation));
    }
    let told = |site, who: &str, words: &str| Action {
        prove: words::in_netns(rule, words::command(rule.fix.prove, situation), situation.place),
        ..advice(rule, site, who, filled(words), situation)
    };
    if !rule.fix.application.is_empty() {
        actions.push(told(Site::Application, "the application's owner", rule.fix.application));
    }
    if !rule.fix.ask.is_empty() {
        actions.push(told(Site::Owner, place::owner_of(rule.fact, situation.place), rule.fix.ask));
    }
    actions
}

/// What to do where nobody knows what this place is.
fn nowhere(rule: &Rule, situation: Situation<'_>) -> Action {
    let words = format!(
        "run tunecheck again first: where this is could not be told ({}), and a change for another place may do harm",
        situation.place.because.join("; ")
    );
    Action { safety: Safety::Manual, ..advice(rule, Site::Owner, "whoever ran this audit", words, situation) }
}

/// The module's parameter, where a kernel shows a size and takes it by that alone.
fn parameter(rule: &Rule, fix: &SysctlFix, subject: Option<&str>, situation: Situation<'_>) -> Option<Action> {
    let Change::Raise(bound) = &fix.change else { return None };
    let wanted = bound.amount(situation.facts, subject).ok()?;
    let live = situation.facts.number(&format!("sysctl.{}", fix.name)).ok()?;
    let words = format!(
        "this kernel takes {} from the module alone, so as root: echo {wanted} > /sys/module/nf_conntrack/parameters/hashsize; and for the next boot in /etc/modprobe.d: options nf_conntrack hashsize={wanted}",
        fix.name
    );
    (live < wanted).then(|| advice(rule, Site::Owner, place::owner(situation.place), words, situation))
}

/// A pod's resolver that asks for a name as it stands before it tries the search list. It is only ever brought down to
/// that; where nobody knows what it is now, a person looks.
fn resolver(rule: &Rule, ndots: u32, situation: Situation<'_>) -> Option<Action> {
    let now = situation.facts.number("resolver.ndots").ok();
    if now.is_some_and(|now| now <= ndots.into()) {
        return None;
    }
    let known = if now.is_some() { Safety::Review } else { Safety::Manual };
    Some(Action {
        site: Site::PodManifest,
        who: "the pod's owner".to_owned(),
        edit: Edit::Ndots(ndots.into()),
        lines: vec![
            "spec of the pod:".to_owned(),
            "  dnsConfig:".to_owned(),
            "    options:".to_owned(),
            format!("    - {{ name: ndots, value: \"{ndots}\" }}"),
        ],
        scope: "every name that this pod looks up".to_owned(),
        cost: "a name with that many dots is asked for as it stands first: short names of services in other namespaces need their full form or take one more query".to_owned(),
        safety: known.max(rule.fix.safety),
        takes_effect: Effect::NewPods,
        prove: "cat /etc/resolv.conf   # options ndots".into(),
        undo: "take the option out and roll the pods".to_owned(),
    })
}

fn advice(rule: &Rule, site: Site, who: &str, words: String, situation: Situation<'_>) -> Action {
    Action {
        site,
        who: who.to_owned(),
        edit: Edit::Advice,
        lines: vec![words],
        scope: String::new(),
        // Where the rule changes something as well, the cost is that of the change.
        cost: if rule.fix.sysctl.is_empty() && rule.fix.nofile.is_none() { rule.fix.cost } else { "" }.to_owned(),
        safety: rule.fix.safety,
        takes_effect: rule.takes_effect,
        prove: words::in_netns(rule, rule.fix.prove.into(), situation.place),
        undo: "put the former setting back".to_owned(),
    }
}

/// A line that has to leave the boot configuration.
fn removal(rule: &Rule, name: &str, situation: Situation<'_>) -> Option<Action> {
    let at = &situation.facts.get(&format!("boot[{name}].value")).filter(|fact| fact.reading.is_ok())?.source;
    Some(removal_at(rule, name, at, situation))
}

fn removal_at(rule: &Rule, name: &str, at: &str, situation: Situation<'_>) -> Action {
    let file = at.rsplit_once(':').map_or(at, |(file, _)| file);
    Action {
        site: Site::Here,
        who: place::writer(situation.place).to_owned(),
        edit: Edit::RemoveLine { name: name.to_owned(), at: at.to_string() },
        lines: vec![format!("delete the line that sets {name}: {at}")],
        scope: "the whole host".to_owned(),
        cost: rule.fix.cost.to_owned(),
        safety: rule.fix.safety,
        takes_effect: Effect::Reboot,
        prove: format!("grep -n {} {}", quoted(name), quoted(file)).into(),
        undo: "put the line back".to_owned(),
    }
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
