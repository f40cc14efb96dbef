//! Exit codes.

use std::process::ExitCode;

use super::args::{DiffFailOn, FailOn};
use crate::model::diff::{Change, Diff};
use crate::model::finding::Outcome;
use crate::model::report::Report;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The gate holds, or the work is done.
    Done = 0,
    /// The gate trips.
    Tripped = 1,
    /// tunecheck could not do its work.
    Failed = 2,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Whether a report trips the gate.
pub(super) fn gate(report: &Report, fail_on: FailOn) -> Exit {
    let trips: &[Outcome] = match fail_on {
        FailOn::Fail => &[Outcome::Fail],
        FailOn::Warn => &[Outcome::Fail, Outcome::Warn],
        FailOn::Unknown => &[Outcome::Fail, Outcome::Warn, Outcome::Unknown],
        FailOn::Never => &[],
    };
    if trips.iter().any(|&outcome| report.count(outcome) > 0) { Exit::Tripped } else { Exit::Done }
}

/// Whether what differs trips the gate.
pub(super) fn diff_gate(diff: &Diff<'_>, fail_on: DiffFailOn) -> Exit {
    let trips: fn(&Change<'_>) -> bool = match fail_on {
        DiffFailOn::New => |change| change.is_new(),
        DiffFailOn::Worse => |change| change.is_worse(),
        DiffFailOn::Never => |_| false,
    };
    if diff.changes.iter().any(trips) { Exit::Tripped } else { Exit::Done }
}
