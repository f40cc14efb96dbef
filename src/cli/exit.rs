//! Exit codes.

use std::process::ExitCode;

use super::args::{DiffFailOn, FailOn};
use crate::host::end_by;
use crate::model::diff::{Change, Diff};
use crate::model::finding::Outcome;
use crate::model::manifest::Manifests;
use crate::model::report::Report;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The gate holds, or the work is done.
    Done,
    /// The gate trips.
    Tripped,
    /// tunecheck could not do its work.
    Failed,
    /// A wrapped command ended with this code, or was ended by a signal: 128 and its number, as shells say it.
    Command(u8),
    /// A signal ends it, now that everything is in order.
    Signal(i32),
}

impl Exit {
    /// Ends this process by the signal that it says, or gives its exit code.
    pub fn leave(self) -> ExitCode {
        if let Self::Signal(signal) = self {
            end_by(signal);
        }
        self.into()
    }
}

/// The exit code of what a signal ended, as shells say it.
pub(super) fn after(signal: i32) -> u8 {
    u8::try_from(signal).unwrap_or(0).saturating_add(128)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Tripped => 1,
            Exit::Failed => 2,
            Exit::Command(code) => code,
            Exit::Signal(signal) => after(signal),
        })
    }
}

/// Whether any of these reports trips the gate; with how much no gate could judge, where one was asked for.
pub(super) fn gate<'a>(
    reports: impl Iterator<Item = &'a Report> + Clone,
    fail_on: Option<FailOn>,
) -> (Exit, Option<String>) {
    let count = |outcome| reports.clone().map(|report| report.count(outcome)).sum::<usize>();
    let exit = tripped(fail_on.unwrap_or_default(), count);
    let all = reports.clone().map(|report| report.findings.len()).sum::<usize>();
    let (unknown, asked) = (count(Outcome::Unknown), all - count(Outcome::NotApplicable));
    let passed_over = match fail_on {
        Some(FailOn::Unknown) => "",
        _ => "; --fail-on unknown counts them",
    };
    let told = format!("{unknown} of {asked} checks could not be made{passed_over}");
    (exit, fail_on.filter(|gate| *gate != FailOn::Never && unknown > 0).map(|_| told))
}

/// Whether manifests trip the gate.
pub(super) fn manifest_gate(manifests: &Manifests, fail_on: FailOn) -> Exit {
    tripped(fail_on, |outcome| manifests.count(outcome))
}

fn tripped(fail_on: FailOn, count: impl Fn(Outcome) -> usize) -> Exit {
    let trips: &[Outcome] = match fail_on {
        FailOn::Fail => &[Outcome::Fail],
        FailOn::Warn => &[Outcome::Fail, Outcome::Warn],
        FailOn::Unknown => &[Outcome::Fail, Outcome::Warn, Outcome::Unknown],
        FailOn::Never => &[],
    };
    if trips.iter().any(|&outcome| count(outcome) > 0) { Exit::Tripped } else { Exit::Done }
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
