//! For programs: the report, what differs between two, what is wrong with manifests, what a peer says of itself, a reading
//! of every limit, and what a run of them came to.

mod convert;
mod diff;
mod diff_v1;
mod fleet;
mod manifest;
mod measured;
mod peer;
mod placed;
mod read;
mod v1;
mod watch;

pub use diff::{print as diff, schema as diff_schema};
pub use fleet::{print as fleet, schema as fleet_schema};
pub use manifest::{print as manifest, schema as manifest_schema};
pub use peer::{print as peers, schema as peers_schema};
pub use read::{Unreadable, read};

use serde::Serialize;

use super::text::escaped;
use crate::model::report::Report;
use crate::model::watch::{Tick, Verdict};
use v1::{OutcomeV1, ReportV1};
use watch::{TickV1, VerdictV1};

/// The report as JSON, indented if a person looks at it; `only_failed` leaves out findings that ask for nothing.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(report: &Report, indent: bool, only_failed: bool) -> serde_json::Result<String> {
    let mut report = ReportV1::from(report);
    if only_failed {
        report
            .findings
            .retain(|finding| matches!(finding.outcome, OutcomeV1::Fail | OutcomeV1::Warn | OutcomeV1::Unknown));
    }
    text(&report, indent)
}

/// A reading of every limit as one line of JSON.
///
/// # Errors
/// As [`print()`].
pub fn tick(tick: &Tick) -> serde_json::Result<String> {
    text(&TickV1::from(tick), false)
}

/// What a run came to as JSON, indented if a person looks at it.
///
/// # Errors
/// As [`print()`].
pub fn verdict(verdict: &Verdict, indent: bool) -> serde_json::Result<String> {
    text(&VerdictV1::from(verdict), indent)
}

/// A document as JSON text without a character that drives a terminal.
pub(super) fn text(document: &impl Serialize, indent: bool) -> serde_json::Result<String> {
    let text = if indent { serde_json::to_string_pretty(document)? } else { serde_json::to_string(document)? };
    // Only texts hold such characters, and JSON knows them by number as well.
    let number = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    Ok(escaped(&text, number).into_owned() + "\n")
}

/// The JSON Schema of a report.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ReportV1)
}

/// The JSON Schema of a reading.
pub fn tick_schema() -> schemars::Schema {
    schemars::schema_for!(TickV1)
}

/// The JSON Schema of a verdict.
pub fn verdict_schema() -> schemars::Schema {
    schemars::schema_for!(VerdictV1)
}
