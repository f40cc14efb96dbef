//! What differs, in the frozen form.

use super::diff_v1::*;
use super::v1::{Number, OutcomeV1, ValueV1};
use crate::model::diff::{Change, ChangeKind, Contrast, Diff, Moved, Side};
use crate::model::finding::Outcome;
use crate::model::recorded::RecordedFinding;

/// The version of the format.
const SCHEMA: &str = "tunecheck.diff/v1";

/// What differs as JSON, indented if a person looks at it.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(diff: &Diff<'_>, indent: bool) -> serde_json::Result<String> {
    super::text(&DiffV1::from(diff), indent)
}

/// The JSON Schema of what differs.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(DiffV1)
}

impl<'a> From<&'a Diff<'a>> for DiffV1<'a> {
    fn from(diff: &'a Diff<'a>) -> Self {
        Self {
            schema: SCHEMA,
            tunecheck: env!("CARGO_PKG_VERSION"),
            a: SideV1::from(diff.a),
            b: SideV1::from(diff.b),
            contrasts: diff.contrasts.iter().map(ContrastV1::from).collect(),
            summary: DiffSummaryV1 {
                worse: diff.count(ChangeKind::Worse),
                unchecked: diff.count(ChangeKind::Unchecked),
                appeared: diff.count(ChangeKind::Appeared),
                checked: diff.count(ChangeKind::Checked),
                better: diff.count(ChangeKind::Better),
                gone: diff.count(ChangeKind::Gone),
                waiver: diff.count(ChangeKind::Waiver),
                changed: diff.count(ChangeKind::Changed),
                new: diff.changes.iter().filter(|change| change.is_new()).count(),
                unchanged: diff.unchanged.iter().map(|(_, count)| count).sum(),
                untold: diff.untold,
            },
            not_subtracted: diff.apart().into_iter().collect(),
            changes: diff.changes.iter().map(ChangeV1::from).collect(),
        }
    }
}

impl<'a> From<Side<'a>> for SideV1<'a> {
    fn from(side: Side<'a>) -> Self {
        let report = side.report;
        Self {
            name: side.name,
            source: &report.source,
            node: report.node.as_deref(),
            kernel: report.kernel.as_deref(),
            partial: report.partial,
            fail: report.count(Outcome::Fail),
            warn: report.count(Outcome::Warn),
            unknown: report.count(Outcome::Unknown),
        }
    }
}

impl<'a> From<&'a Contrast> for ContrastV1<'a> {
    fn from(contrast: &'a Contrast) -> Self {
        let of = contrast.of;
        Self { of: of.word(), a: &contrast.a, b: &contrast.b, means: of.means(), loud: of.is_loud() }
    }
}

impl<'a> From<&'a Change<'a>> for ChangeV1<'a> {
    fn from(change: &'a Change<'a>) -> Self {
        let latest = change.latest();
        Self {
            kind: match change.kind {
                ChangeKind::Worse => ChangeKindV1::Worse,
                ChangeKind::Unchecked => ChangeKindV1::Unchecked,
                ChangeKind::Appeared => ChangeKindV1::Appeared,
                ChangeKind::Checked => ChangeKindV1::Checked,
                ChangeKind::Better => ChangeKindV1::Better,
                ChangeKind::Gone => ChangeKindV1::Gone,
                ChangeKind::Waiver => ChangeKindV1::Waiver,
                ChangeKind::Changed => ChangeKindV1::Changed,
            },
            rule: latest.map(|finding| finding.rule.as_str()).unwrap_or_default(),
            subject: latest.and_then(|finding| finding.subject.as_deref()),
            new: change.is_new(),
            unit: latest.map(|finding| finding.unit.to_string()).unwrap_or_default(),
            a: change.a.map(StateV1::from),
            b: change.b.map(StateV1::from),
            moved: change.moved.iter().map(MovedV1::from).collect(),
        }
    }
}

impl<'a> From<&'a RecordedFinding> for StateV1<'a> {
    fn from(finding: &'a RecordedFinding) -> Self {
        Self {
            outcome: OutcomeV1::from(finding.outcome),
            now: finding.now.as_ref().map(ValueV1::from),
            want: &finding.want,
            reason: &finding.reason,
            says: &finding.says,
        }
    }
}

impl<'a> From<&'a Moved<'a>> for MovedV1<'a> {
    fn from(moved: &'a Moved<'a>) -> Self {
        Self {
            fact: moved.fact,
            a: moved.a.map(Number),
            b: moved.b.map(Number),
            total: moved.total,
            by: moved.by.map(Number),
            same_counter: moved.total.then(|| moved.apart.is_none()),
        }
    }
}
