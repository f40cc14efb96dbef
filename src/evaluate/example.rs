//! Runs the worked examples that rules carry.

use super::{Context, judge};
use crate::model::catalogue::Catalogue;
use crate::model::fact::{Cause, Gap};
use crate::model::facts::Facts;
use crate::model::finding::Outcome;
use crate::model::place::Place;
use crate::model::rule::{Example, Rule};

/// What an example gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The worst outcome over all subjects.
    pub outcome: Outcome,
    /// Why it is unknown or not applicable.
    pub reason: String,
}

/// Judges the facts of an example on a plain host. `complete` declares the workload and derives what follows, before
/// and after the given facts are put.
pub fn run(
    rule: &Rule,
    example: &Example,
    catalogue: &'static Catalogue,
    complete: impl Fn(Facts) -> Facts,
) -> Verdict {
    let mut facts = Facts::new(catalogue);
    for (name, value) in &example.given {
        let reading = value.clone().ok_or_else(|| Gap::new(Cause::Absent, format!("{name} does not exist")));
        facts.put(*name, reading, "example");
    }
    let facts = complete(facts);
    let place = Place::plain_host();
    let context = Context { facts: &facts, place: &place, catalogue, role: example.role };
    let mut findings = Vec::new();
    judge(rule, context, &mut findings);
    match findings.into_iter().max_by_key(|finding| finding.outcome) {
        Some(finding) => Verdict { outcome: finding.outcome, reason: finding.reason },
        None => Verdict { outcome: Outcome::NotApplicable, reason: "no subject".into() },
    }
}
