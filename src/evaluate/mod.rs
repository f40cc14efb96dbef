//! Rules x facts x place -> findings. Pure.

mod check;
mod evidence;
mod example;
mod owner;

use std::collections::{BTreeMap, BTreeSet};

pub use example::{Verdict, run as run_example};

use crate::model::catalogue::Catalogue;
use crate::model::check::Check;
use crate::model::fact::{Cause, Gap, Unit, Value};
use crate::model::facts::{Facts, Name, with_subject};
use crate::model::finding::{Finding, Outcome, Want};
use crate::model::listener::{Limit, Listener};
use crate::model::place::Place;
use crate::model::rule::{IfAbsent, Rule};
use crate::model::version::Version;
use crate::model::workload::Role;

use check::Judgement;

/// What everything is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// What was read.
    pub facts: &'a Facts,
    /// Where the audit stands.
    pub place: &'a Place,
    /// Units and scopes of facts.
    pub catalogue: &'a Catalogue,
    /// The side of the declared load.
    pub role: Role,
}

/// Judges every rule, worst outcome first, then by id and subject.
pub fn evaluate<'a>(rules: impl Iterator<Item = &'a Rule>, context: Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(64);
    let mut removed = BTreeMap::new();
    for rule in rules {
        judge(rule, context, &mut findings);
        removed.extend(rule.fix.remove.map(|name| (name, rule.id)));
    }
    tell_once_of_a_line(&mut findings, &removed);
    findings.sort_unstable_by(|a: &Finding, b| {
        let rank = |finding: &Finding| std::cmp::Reverse(finding.outcome);
        rank(a).cmp(&rank(b)).then_with(|| a.rule.cmp(b.rule)).then_with(|| a.subject.cmp(&b.subject))
    });
    findings
}

/// A line of a boot file that a rule of its own speaks of is told there: the rule about any line that sets nothing would say
/// the same again.
fn tell_once_of_a_line(findings: &mut [Finding], removed: &BTreeMap<&str, &'static str>) {
    const IDLE: &str = "].idle";
    let speaks = |finding: &&Finding| matches!(finding.outcome, Outcome::Warn | Outcome::Fail);
    let speaking: BTreeSet<&str> = findings.iter().filter(speaks).map(|finding| finding.rule).collect();
    for finding in findings.iter_mut().filter(|finding| finding.fact.ends_with(IDLE)) {
        let own = finding.subject.as_deref().and_then(|subject| removed.get(subject));
        if let Some(rule) = own.filter(|rule| speaking.contains(*rule)) {
            finding.outcome = Outcome::NotApplicable;
            finding.reason = format!("{rule} speaks of this line");
        }
    }
}

/// Judges one rule: once, or once for each subject.
fn judge(rule: &Rule, context: Context<'_>, findings: &mut Vec<Finding>) {
    let finding = |subject: Option<&str>| Finding {
        rule: rule.id,
        title: rule.title,
        manual: rule.manual,
        scope: rule.scope,
        subject: subject.map(str::to_owned),
        outcome: Outcome::NotApplicable,
        reason: String::new(),
        gap: None,
        fact: name_of(rule.fact, subject),
        now: None,
        unit: context.catalogue.find(rule.fact).map_or(Unit::Count, |entry| entry.unit),
        source: Name::default(),
        want: Want::default(),
        share: None,
        rise: None,
        evidence: Vec::new(),
        owner: None,
        listener: None,
        says: String::new(),
        also: String::new(),
        fix: Vec::new(),
    };
    match applies(rule, context) {
        Ok(None) => {}
        Ok(Some(reason)) => return findings.push(Finding { reason, ..finding(None) }),
        Err(gap) => return findings.push(unknown(finding(None), gap)),
    }
    if !rule.fact.contains("[*]") {
        return findings.push(conclude(rule, context, finding(None)));
    }
    let subjects = context.facts.subjects(rule.fact);
    if subjects.is_empty() {
        return findings.push(match context.facts.family(rule.fact) {
            Err(gap) => unknown(finding(None), gap),
            Ok(()) if rule.absent_says.is_empty() => Finding { reason: "there is none here".into(), ..finding(None) },
            Ok(()) => Finding { reason: rule.absent_says.into(), ..finding(None) },
        });
    }
    findings.extend(subjects.iter().map(|subject| conclude(rule, context, finding(Some(subject)))));
}

/// `None` if the rule applies, or the sentence that says why not. A condition that cannot be checked is a gap.
fn applies(rule: &Rule, context: Context<'_>) -> Result<Option<String>, Gap> {
    if !rule.asks(context.role) {
        let roles: Vec<&str> = rule.roles.iter().map(|role| role.word()).collect();
        return Ok(Some(format!(
            "asked of a {}, and the declared role is {}",
            roles.join(" or "),
            context.role.word()
        )));
    }
    if !rule.kernel.are_all() {
        let Some(kernel) = kernel_of(context.facts) else {
            return Err(Gap::new(Cause::Unsupported, "it depends on the kernel's release, which is not known"));
        };
        if let Some(reason) = rule.kernel.excludes(kernel) {
            return Ok(Some(reason));
        }
    }
    for condition in rule.when {
        let holds = match context.facts.value(condition.fact) {
            Ok(value) => condition.test.holds(value),
            Err(gap) if gap.cause == Cause::Absent => match condition.if_absent {
                Some(holds) => holds,
                None => return Err(gap),
            },
            Err(gap) => return Err(gap),
        };
        if !holds {
            return Ok(Some(condition.otherwise.to_owned()));
        }
    }
    Ok(None)
}

/// The release of the kernel, where it is known and is a release.
pub(crate) fn kernel_of(facts: &Facts) -> Option<Version> {
    facts.text("kernel.release")?.parse().ok()
}

fn unknown(finding: Finding, gap: Gap) -> Finding {
    Finding { outcome: Outcome::Unknown, reason: gap.to_string(), gap: Some(gap), ..finding }
}

/// Judges a rule that applies, for one subject.
fn conclude(rule: &Rule, context: Context<'_>, mut finding: Finding) -> Finding {
    let subject = finding.subject.clone();
    let subject = subject.as_deref();
    finding.evidence = evidence::gather(rule, context, subject);
    let reading = context.facts.value(&finding.fact);
    if let Some(fact) = context.facts.get(&finding.fact) {
        finding.source.clone_from(&fact.source);
    }
    let judgement = match reading {
        Ok(value) => {
            finding.now = Some(value.clone());
            check::judge(&rule.check, value, context, (&finding.fact, finding.unit), subject)
        }
        Err(gap) if gap.cause == Cause::Absent => match check::absent(&rule.check).unwrap_or(rule.if_absent) {
            IfAbsent::Unknown => return unknown(finding, gap),
            IfAbsent::Pass => {
                let reason = if rule.absent_says.is_empty() { gap.why } else { rule.absent_says.to_owned() };
                return Finding { outcome: Outcome::Pass, reason, ..finding };
            }
            IfAbsent::NotApplicable => {
                let reason = if rule.absent_says.is_empty() { gap.why } else { rule.absent_says.to_owned() };
                return Finding { reason, ..finding };
            }
        },
        Err(gap) => return unknown(finding, gap),
    };
    let Judgement { outcome, want, share } = match judgement {
        Ok(judgement) => judgement,
        Err(gap) => return unknown(finding, gap),
    };
    finding.outcome = evidence::corrected(outcome, rule, &finding.evidence, context.facts);
    finding.want = want;
    finding.share = share;
    if matches!(rule.check, Check::NotRising { .. }) {
        finding.rise = context.facts.rise(&finding.fact).and_then(Result::ok);
    }
    finding.owner = owner::of(rule, context, &finding.fact);
    finding
}

/// Tells of the listener that a finding is about, if somebody asked who listens.
pub fn tell_listener(finding: &mut Finding, facts: &Facts) {
    let Some(subject) = finding.subject.as_deref().filter(|_| finding.fact.starts_with("listener[")) else { return };
    finding.listener = facts.get(&format!("listener[{subject}].owner")).map(|owner| Listener {
        process: owner.reading.as_ref().map(Value::plain).map_err(Gap::clone),
        unit: facts.text(&format!("listener[{subject}].unit")).map(str::to_owned),
        limit: facts.text(&format!("listener[{subject}].limited_by")).and_then(Limit::of),
    });
}

/// Says what is wrong, in the rule's own words with the values in them.
pub fn explain(rule: &Rule, finding: &mut Finding, context: Context<'_>) {
    let subject = finding.subject.as_deref();
    finding.says = context.catalogue.filled(rule.says, context.facts, subject);
    finding.also = context.catalogue.filled(rule.fix.also, context.facts, subject);
    // By now more is known of who writes what.
    finding.owner = owner::of(rule, context, &finding.fact);
}

/// A rule's fact name, for one subject.
fn name_of(name: &'static str, subject: Option<&str>) -> Name {
    match with_subject(name, subject) {
        Name::Borrowed(_) => Name::Borrowed(name),
        Name::Owned(name) => Name::Owned(name),
    }
}
