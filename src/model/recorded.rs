//! A report that was recorded in JSON, as far as fixes are worked out from it: figures, and no changes.

use super::fact::Value;
use super::finding::Outcome;
use super::place::Place;
use super::workload::Workload;

/// What a recorded report tells.
#[derive(Clone, Debug)]
pub struct Recorded {
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
    /// What warned or failed, and what could not be checked.
    pub findings: Vec<RecordedFinding>,
}

/// A finding that warned or failed, or could not be checked.
#[derive(Clone, Debug)]
pub struct RecordedFinding {
    /// The rule's id.
    pub rule: String,
    /// The subject, for rules that judge each of several.
    pub subject: Option<String>,
    /// The outcome.
    pub outcome: Outcome,
    /// Why it is unknown.
    pub reason: String,
    /// The value that was judged.
    pub now: Option<Value>,
    /// The limit that a use was measured against.
    pub limit: Option<i128>,
    /// Below it the outcome is fail.
    pub fail_below: Option<i128>,
    /// Below it the outcome is warn.
    pub warn_below: Option<i128>,
    /// The sentence of the report.
    pub says: String,
    /// Figures that its changes were worked out from.
    pub figures: Vec<Figures>,
}

/// Figures that a change was worked out from.
#[derive(Clone, Debug)]
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
