//! Counts, units and evidence of a recorded report, read back.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error;

use crate::model::fact::{Scope, Unit};
use crate::model::finding::Outcome;
use crate::model::recorded::{RecordedFinding, RecordedProof};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SummaryIn {
    pass: usize,
    not_applicable: usize,
    waived: usize,
}

impl SummaryIn {
    /// Whether the audit found more than the report lists.
    pub(super) fn counts_more_than(&self, findings: &[RecordedFinding]) -> bool {
        let listed = |outcome| findings.iter().filter(|finding| finding.outcome == outcome).count();
        self.pass > listed(Outcome::Pass)
            || self.waived > listed(Outcome::Waived)
            || self.not_applicable > listed(Outcome::NotApplicable)
    }
}

/// The unit of this word; one that is not known counts things.
pub(super) fn unit(word: &str) -> Unit {
    let read: Result<Unit, Error> = Unit::deserialize(word.into_deserializer());
    read.unwrap_or(Unit::Count)
}

/// The scope of this word.
fn scope(word: &str) -> Option<Scope> {
    let read: Result<Scope, Error> = Scope::deserialize(word.into_deserializer());
    read.ok()
}

#[derive(Deserialize)]
pub(super) struct ProofIn<'a> {
    #[serde(borrow)]
    fact: Cow<'a, str>,
    value: Option<NumberIn>,
    #[serde(default)]
    total: bool,
    #[serde(borrow)]
    scope: Option<Cow<'a, str>>,
}

/// A number of any size: one beyond 64 bits comes as the nearest that JSON's reader knows.
#[derive(Deserialize)]
#[serde(untagged, expecting = "the value of evidence is a number")]
enum NumberIn {
    Signed(i64),
    Unsigned(u64),
    Beyond(f64),
}

impl From<ProofIn<'_>> for RecordedProof {
    fn from(proof: ProofIn<'_>) -> Self {
        let number = |number| match number {
            NumberIn::Signed(number) => number.into(),
            NumberIn::Unsigned(number) => number.into(),
            NumberIn::Beyond(number) => number as i128,
        };
        let scope = proof.scope.and_then(|word| scope(&word));
        Self { fact: proof.fact.into_owned(), value: proof.value.map(number), total: proof.total, scope }
    }
}
