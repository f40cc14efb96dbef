//! A report that was recorded in JSON, as far as it is read back: what it found, and the figures that fixes are worked
//! out from, but no changes.

use super::fact::{Scope, Unit, Value};
use super::finding::Outcome;
use super::listener::Limit;
use super::place::Place;
use super::workload::Workload;

/// What a recorded report tells.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The version of tunecheck that made it.
    pub tunecheck: String,
    /// What was read.
    pub source: String,
    /// The host name.
    pub node: Option<String>,
    /// The kernel release.
    pub kernel: Option<String>,
    /// CPUs online.
    pub cpus: Option<i128>,
    /// Memory in bytes.
    pub memory: Option<i128>,
    /// Where the audit stood.
    pub place: Place,
    /// The load that was declared.
    pub workload: Workload,
    /// How long counters were looked at, in milliseconds; none where they were read once.
    pub window: Option<u64>,
    /// Whether it left out what passed, was waived or did not apply (`--only-failed`).
    pub partial: bool,
    /// What the rules said.
    pub findings: Vec<RecordedFinding>,
}

impl Recorded {
    /// What warned or failed, and what could not be checked.
    pub fn asking(&self) -> impl Iterator<Item = &RecordedFinding> {
        let asks = |outcome| matches!(outcome, Outcome::Fail | Outcome::Warn | Outcome::Unknown);
        self.findings.iter().filter(move |finding| asks(finding.outcome))
    }

    /// How many findings have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }
}

/// What a rule said about one subject.
#[derive(Clone, Debug)]
pub struct RecordedFinding {
    /// The rule's id.
    pub rule: String,
    /// The subject, for rules that judge each of several.
    pub subject: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// Why it is unknown or not applicable.
    pub reason: String,
    /// The value that was judged.
    pub now: Option<Value>,
    /// What the value counts.
    pub unit: Unit,
    /// What was asked of it, in words.
    pub want: String,
    /// The limit that a use was measured against.
    pub limit: Option<i128>,
    /// Below it the outcome is fail.
    pub fail_below: Option<i128>,
    /// Below it the outcome is warn.
    pub warn_below: Option<i128>,
    /// Command name and pid of who holds the socket that was judged, if that was known.
    pub process: Option<String>,
    /// What bounds its queue.
    pub queue_limit: Option<Limit>,
    /// The sentence of the report.
    pub says: String,
    /// Counters and gauges beside it.
    pub evidence: Vec<RecordedProof>,
    /// Figures that its changes were worked out from.
    pub figures: Vec<Figures>,
}

/// A counter or gauge beside a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedProof {
    /// The fact.
    pub fact: String,
    /// Its value; none where there was a gap, or no limit.
    pub value: Option<i128>,
    /// Whether it is a total since a beginning (a gauge otherwise).
    pub total: bool,
    /// Whose value it is; none in reports that did not tell.
    pub scope: Option<Scope>,
}

/// Figures that a change was worked out from.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are of sysctls")]
pub enum Figures {
    /// Of a sysctl.
    Sysctl {
        /// Its name.
        name: String,
        /// The value when the report was made.
        old: Option<Value>,
        /// The value that was proposed: of a list of ports and of a range it says what else was known.
        new: Value,
        /// `file:line` of the configuration that sets it at boot, and the value there.
        boot: Option<(String, Value)>,
        /// The same of the line that is read after every other one for it; the value is the name there, behind a minus
        /// where the line gives none.
        last: Option<(String, Value)>,
        /// The names of the same variable that boot files set, or TuneD's profile where that has the last word.
        names: Vec<String>,
        /// The same of the TuneD profile that has the last word.
        tuned: Option<(String, Value)>,
    },
    /// Of the limits on open files.
    Nofile {
        /// Soft limit.
        soft: i128,
        /// Hard limit.
        hard: i128,
        /// `fs.nr_open`, if it was too small.
        nr_open: Option<i128>,
    },
    /// Of a line that leaves a file, as `file:line`.
    Line(String),
}
