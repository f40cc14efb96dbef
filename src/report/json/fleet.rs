//! `tunecheck.fleet/v1`: a machine and everything on it. Frozen, as the reports in it are.

use schemars::JsonSchema;
use serde::Serialize;

use super::text;
use super::v1::{OutcomeV1, ReportV1};
use crate::model::fleet::{Fleet, Section};

pub(super) const SCHEMA: &str = "tunecheck.fleet/v1";

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck fleet")]
struct FleetV1<'a> {
    /// Always `tunecheck.fleet/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    /// The machine itself.
    host: ReportV1<'a>,
    /// What runs on it with a network namespace or a container of its own, worst first.
    sections: Vec<SectionV1<'a>>,
    summary: FleetSummaryV1,
    /// What the reader has to know about the whole.
    notes: &'a [String],
}

#[derive(Serialize, JsonSchema)]
struct SectionV1<'a> {
    /// Containers and network namespaces in which every rule has the same outcome for the same value.
    names: &'a [String],
    /// The report of the first of them. Where a limit holds, how much of it is in use is that one's.
    report: ReportV1<'a>,
}

#[derive(Serialize, JsonSchema)]
struct FleetSummaryV1 {
    /// Targets that were audited, beside the machine itself.
    targets: usize,
    sections: usize,
    /// Targets that ended while they were read.
    ended: usize,
    /// Targets that could not be audited, for the reasons in the notes.
    failed: usize,
    /// Targets beyond those that are audited at once.
    left_out: usize,
}

impl<'a> From<&'a Section> for SectionV1<'a> {
    fn from(section: &'a Section) -> Self {
        Self { names: &section.names, report: ReportV1::from(&section.report) }
    }
}

/// The reports as JSON, indented if a person looks at them; `only_failed` leaves out findings that ask for nothing.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(fleet: &Fleet, indent: bool, only_failed: bool) -> serde_json::Result<String> {
    let mut document = FleetV1 {
        schema: SCHEMA,
        tunecheck: env!("CARGO_PKG_VERSION"),
        host: ReportV1::from(&fleet.host),
        sections: fleet.sections.iter().map(SectionV1::from).collect(),
        summary: FleetSummaryV1 {
            targets: fleet.targets(),
            sections: fleet.sections.len(),
            ended: fleet.ended,
            failed: fleet.failed,
            left_out: fleet.left_out,
        },
        notes: &fleet.notes,
    };
    if only_failed {
        let sections = document.sections.iter_mut().map(|section| &mut section.report);
        for report in sections.chain([&mut document.host]) {
            report.findings.retain(|finding| asks(&finding.outcome));
        }
    }
    text(&document, indent)
}

fn asks(outcome: &OutcomeV1) -> bool {
    matches!(outcome, OutcomeV1::Fail | OutcomeV1::Warn | OutcomeV1::Unknown)
}

/// The JSON Schema of a fleet.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(FleetV1)
}
