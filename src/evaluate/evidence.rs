//! Counters and gauges beside a finding, with the window they cover.

use super::Context;
use crate::model::fact::{Gap, Scope, Unit};
use crate::model::facts::humane;
use crate::model::finding::Proof;
use crate::model::place::Netns;
use crate::model::rule::Rule;

/// The rule's evidence, read.
pub(super) fn gather(rule: &Rule, context: Context<'_>, subject: Option<&str>) -> Vec<Proof> {
    let proof = |evidence: &crate::model::rule::Evidence| {
        let fact = super::name_of(evidence.fact, subject);
        let value: Result<i128, Gap> = context.facts.number(&fact);
        let entry = context.catalogue.find(&fact);
        let window = match evidence.plain {
            true => "",
            false if fact.starts_with("conntrack.stat.") => ", since nf_conntrack was loaded",
            false => since(entry.map(|entry| entry.scope), context),
        };
        let unit = entry.map_or(Unit::Count, |entry| entry.unit);
        let says = match (&value, context.facts.value(&fact)) {
            (Ok(_), Ok(shown)) => format!("{} {}{window}", humane(shown, unit), evidence.says),
            (Err(gap), _) => format!("{}: {gap}", evidence.says),
            (_, Err(gap)) => format!("{}: {gap}", evidence.says),
        };
        Proof { fact, value, says, total: !evidence.plain }
    };
    rule.evidence.iter().map(proof).collect()
}

/// The beginning of a counter's total.
fn since(scope: Option<Scope>, context: Context<'_>) -> &'static str {
    match (scope, context.place.netns) {
        (Some(Scope::Cgroup), _) => ", since this cgroup began",
        (Some(Scope::Host), _) | (_, Netns::Init) => ", since boot",
        (_, Netns::Child) => ", since this network namespace began",
        (_, Netns::Unknown) => ", in total",
    }
}

/// Whether the counters show that it is already breaking.
pub(super) fn breaking(rule: &Rule, proofs: &[Proof]) -> bool {
    rule.evidence.iter().zip(proofs).any(|(evidence, proof)| evidence.fails && matches!(proof.value, Ok(1..)))
}
