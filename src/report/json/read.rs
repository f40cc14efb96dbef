//! A recorded report read back: what plans and comparisons are made of, and nothing else. Unknown keys are passed over.

use std::borrow::Cow;

use serde::Deserialize;
use thiserror::Error;

use super::convert::SCHEMA;
use super::fleet;
use super::measured::{ProofIn, SummaryIn, unit};
use super::placed::PlaceIn;
use crate::model::fact::Value;
use crate::model::finding::Outcome;
use crate::model::listener::Limit;
use crate::model::mismatch::without_content;
use crate::model::place::Place;
use crate::model::recorded::{Figures, Recorded, RecordedFinding, RecordedProof};
use crate::model::workload::{Role, Workload};

/// Why a report cannot be read back.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is no JSON, or not of this shape.
    #[error("this is no tunecheck report: {0} (tunecheck --format json > FILE records one)")]
    Shape(String),
    /// It is what people read.
    #[error("this is no tunecheck report but the table of one: tunecheck --format json > FILE records one")]
    Table,
    /// It stops before its end.
    #[error("this is no whole tunecheck report: it ends early ({0}); copy it again, or record a new one")]
    Cut(String),
    /// Another format, or another version of it.
    #[error(
        "it is of another format or version; this tunecheck reads {SCHEMA} (tunecheck --format json > FILE records one)"
    )]
    Format,
    /// Of a machine and everything on it.
    #[error(
        "this is a report of --all, of many places: record the one that is meant, as tunecheck --pid N --format json > FILE"
    )]
    Fleet,
    /// A role that there is not.
    #[error("its workload has no role that there is (client, server, gateway): record a new report")]
    Role,
}

/// Reads a report back.
///
/// # Errors
/// [`Unreadable`]: no JSON, not of this format, or a value that is none.
pub fn read(bytes: &[u8]) -> Result<Recorded, Unreadable> {
    let shape = |error: serde_json::Error| match () {
        () if bytes.starts_with(b"tunecheck ") => Unreadable::Table,
        () if error.is_eof() => Unreadable::Cut(without_content(&error.to_string())),
        () => Unreadable::Shape(without_content(&error.to_string())),
    };
    let format: FormatIn = serde_json::from_slice(bytes).map_err(shape)?;
    if format.schema == fleet::SCHEMA {
        return Err(Unreadable::Fleet);
    }
    if format.schema != SCHEMA {
        return Err(Unreadable::Format);
    }
    let report: ReportIn = serde_json::from_slice(bytes).map_err(shape)?;
    let findings: Vec<RecordedFinding> = report.findings.into_iter().filter_map(FindingIn::meaning).collect();
    let kernel = report.kernel.map(Cow::into_owned);
    let release = kernel.as_deref().and_then(|release| release.parse().ok());
    Ok(Recorded {
        tunecheck: report.tunecheck.into_owned(),
        source: report.source.into_owned(),
        window: report.window_milliseconds,
        partial: report.summary.counts_more_than(&findings),
        node: report.node.map(Cow::into_owned),
        cpus: report.cpus.map(i128::from),
        memory: report.memory_bytes.map(i128::from),
        place: Place { kernel: release, ..report.place.meaning() },
        kernel,
        workload: report.workload.meaning()?,
        findings,
    })
}

#[derive(Deserialize)]
struct FormatIn {
    #[serde(default)]
    schema: String,
}

#[derive(Deserialize)]
struct ReportIn<'a> {
    #[serde(borrow, default)]
    tunecheck: Cow<'a, str>,
    #[serde(borrow, default)]
    source: Cow<'a, str>,
    #[serde(default)]
    summary: SummaryIn,
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kernel: Option<Cow<'a, str>>,
    cpus: Option<i64>,
    memory_bytes: Option<i64>,
    #[serde(borrow)]
    place: PlaceIn<'a>,
    #[serde(borrow)]
    workload: WorkloadIn<'a>,
    window_milliseconds: Option<u64>,
    #[serde(borrow)]
    findings: Vec<FindingIn<'a>>,
}

/// Numbers beyond what the command line takes are cut to it.
const MOST: u64 = 1_000_000_000;

#[derive(Deserialize)]
struct WorkloadIn<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
    connections: u64,
    burst: u64,
    destinations: u64,
    /// Reports of before it was asked for have none.
    #[serde(default = "one")]
    source_addresses: u64,
    streams: u64,
    outgoing: u64,
    #[serde(default)]
    short_lived_per_1000s: u64,
    #[serde(default)]
    ports: Vec<u16>,
}

fn one() -> u64 {
    1
}

impl WorkloadIn<'_> {
    fn meaning(self) -> Result<Workload, Unreadable> {
        let role = Role::of(&self.role).ok_or(Unreadable::Role)?;
        Ok(Workload {
            role,
            connections: self.connections.min(MOST),
            burst: self.burst.min(MOST),
            destinations: self.destinations.clamp(1, MOST),
            source_addresses: self.source_addresses.clamp(1, MOST),
            streams: self.streams.clamp(1, MOST),
            outgoing: Some(self.outgoing.min(MOST)),
            short_lived: self.short_lived_per_1000s.min(1000 * MOST),
            ports: self.ports,
        })
    }
}

#[derive(Deserialize)]
struct FindingIn<'a> {
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    says: Cow<'a, str>,
    #[serde(borrow)]
    listens: Option<ListensIn<'a>>,
    now: Option<ValueIn>,
    #[serde(borrow, default)]
    unit: Cow<'a, str>,
    #[serde(borrow, default)]
    want: WantIn<'a>,
    #[serde(borrow, default)]
    evidence: Vec<ProofIn<'a>>,
    #[serde(default)]
    fix: Vec<ActionIn>,
}

impl FindingIn<'_> {
    fn meaning(self) -> Option<RecordedFinding> {
        let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.word() == self.outcome)?;
        let limit = |limit: Option<i64>| limit.map(i128::from);
        Some(RecordedFinding {
            rule: self.rule.into_owned(),
            subject: self.subject.map(Cow::into_owned),
            outcome,
            reason: self.reason.into_owned(),
            now: self.now.map(Value::from),
            unit: unit(&self.unit),
            want: self.want.text.into_owned(),
            limit: limit(self.want.limit),
            fail_below: limit(self.want.fail_below),
            warn_below: limit(self.want.warn_below),
            queue_limit: self.listens.as_ref().and_then(|listens| Limit::of(listens.limited_by.as_deref()?)),
            process: self.listens.and_then(|listens| listens.process).map(Cow::into_owned),
            says: self.says.into_owned(),
            evidence: self.evidence.into_iter().map(RecordedProof::from).collect(),
            figures: self.fix.into_iter().filter_map(|action| action.edit.meaning()).collect(),
        })
    }
}

#[derive(Deserialize)]
struct ListensIn<'a> {
    #[serde(borrow)]
    process: Option<Cow<'a, str>>,
    #[serde(borrow)]
    limited_by: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct WantIn<'a> {
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    warn_below: Option<i64>,
    fail_below: Option<i64>,
    limit: Option<i64>,
}

#[derive(Deserialize)]
struct ActionIn {
    edit: EditIn,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are of sysctls")]
enum EditIn {
    Sysctl {
        name: String,
        old: Option<ValueIn>,
        new: ValueIn,
        boot: Option<SettingIn>,
        last: Option<SettingIn>,
        #[serde(default)]
        names: Vec<String>,
        tuned: Option<SettingIn>,
    },
    Nofile {
        old_soft: Option<i64>,
        old_hard: Option<i64>,
        nr_open: Option<i64>,
    },
    LowerNofile {
        old_soft: Option<i64>,
        old_hard: Option<i64>,
    },
    RemoveLine {
        at: String,
    },
    // What follows from the figures of the others, or from the rule alone.
    AllowUnsafe {},
    Ndots {},
    Advice,
}

#[derive(Deserialize)]
struct SettingIn {
    at: String,
    value: ValueIn,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a value is a number of at most 64 bits, a list of such numbers, or a text")]
enum ValueIn {
    Number(i64),
    Large(u64),
    Numbers(Vec<i64>),
    Text(String),
}

impl From<ValueIn> for Value {
    fn from(value: ValueIn) -> Self {
        match value {
            ValueIn::Number(number) => Self::Number(number.into()),
            ValueIn::Large(number) => Self::Number(number.into()),
            ValueIn::Numbers(list) => Self::Numbers(list.into_iter().map(i128::from).collect()),
            ValueIn::Text(text) if text == "unlimited" => Self::Unlimited,
            ValueIn::Text(text) => Self::Text(text),
        }
    }
}

/// A sysctl's value. A list of ports is spelled as text.
fn of_sysctl(name: &str, value: ValueIn) -> Value {
    match Value::from(value) {
        Value::Text(text) if name.ends_with("reserved_ports") => text.parse().map_or(Value::Text(text), Value::Ports),
        value => value,
    }
}

impl EditIn {
    fn meaning(self) -> Option<Figures> {
        let limit = |limit: Option<i64>| limit.map_or(i128::MAX, i128::from);
        Some(match self {
            Self::Sysctl { name, old, new, boot, last, names, tuned } => {
                let setting = |set: Option<SettingIn>| set.map(|set| (set.at, of_sysctl(&name, set.value)));
                let (boot, last, tuned) = (setting(boot), setting(last), setting(tuned));
                let old = old.map(|old| of_sysctl(&name, old));
                Figures::Sysctl { old, new: of_sysctl(&name, new), boot, last, names, tuned, name }
            }
            Self::Nofile { old_soft, old_hard, nr_open } => {
                Figures::Nofile { soft: limit(old_soft), hard: limit(old_hard), nr_open: nr_open.map(i128::from) }
            }
            Self::LowerNofile { old_soft, old_hard } => {
                Figures::Nofile { soft: limit(old_soft), hard: limit(old_hard), nr_open: None }
            }
            Self::RemoveLine { at } => Figures::Line(at),
            Self::AllowUnsafe {} | Self::Ndots {} | Self::Advice => return None,
        })
    }
}
