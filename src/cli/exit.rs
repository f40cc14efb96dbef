//! Exit codes.

use std::process::ExitCode;

use super::args::FailOn;
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
