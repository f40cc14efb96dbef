//! For programs: the report, `tunecheck.report/v1`, and what differs between two, `tunecheck.diff/v1`.

mod convert;
mod diff;
mod diff_v1;
mod measured;
mod read;
mod v1;

pub use diff::{print as diff, schema as diff_schema};
pub use read::{Unreadable, read};

use super::text::escaped;
use crate::model::report::Report;
use v1::{OutcomeV1, ReportV1};

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

/// A document as JSON text without a character that drives a terminal.
fn text(document: &impl serde::Serialize, indent: bool) -> serde_json::Result<String> {
    let text = if indent { serde_json::to_string_pretty(document)? } else { serde_json::to_string(document)? };
    // Only texts hold such characters, and JSON knows them by number as well.
    let number = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    Ok(escaped(&text, number).into_owned() + "\n")
}

/// The JSON Schema of a report.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ReportV1)
}
