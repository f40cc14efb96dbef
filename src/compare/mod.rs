//! Two recorded audits side by side: what changed from A to B. Pure, and the same backwards: reading from B to A mirrors
//! every change.

mod apart;
mod contrast;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::diff::{Apart, Change, ChangeKind, Diff, Moved, Side, Trait};
use crate::model::finding::Outcome;
use crate::model::place::Place;
use crate::model::recorded::{RecordedFinding, RecordedProof};

/// A finding of either side: its rule, its subject, and which one of several that share both (listeners that share an
/// address).
type Key<'a> = (&'a str, Option<&'a str>, usize);

type Pair<'a> = (Option<&'a RecordedFinding>, Option<&'a RecordedFinding>);

/// What changed from A to B.
pub fn compare<'a>(a: Side<'a>, b: Side<'a>) -> Diff<'a> {
    let contrasts = contrast::contrasts(a.report, b.report);
    // What was counted on another machine or kernel, or seen from another kind of place, is not worth a row.
    let comparable =
        !contrasts.iter().any(|contrast| matches!(contrast.of, Trait::Node | Trait::Place | Trait::Kernel));
    let (mut changes, mut same, mut untold) = (Vec::new(), Vec::new(), 0);
    for (a_has, b_has) in paired(&a.report.findings, &b.report.findings).into_values() {
        if left_out(a_has, b_has, b.report.partial) || left_out(b_has, a_has, a.report.partial) {
            untold += 1;
            continue;
        }
        let moved = moved(a_has, b_has, [&a.report.place, &b.report.place], comparable);
        match kind(a_has, b_has, &moved, comparable) {
            Some(kind) => changes.push(Change { kind, a: a_has, b: b_has, moved }),
            None => same.extend(b_has.or(a_has).map(|finding| finding.outcome)),
        }
    }
    let worst = |change: &Change| [change.a, change.b].into_iter().flatten().map(|finding| finding.outcome).max();
    // Stable: within one kind and outcome the order is that of rules and subjects.
    changes.sort_by_key(|change| (change.kind, Reverse(worst(change))));
    let count = |outcome| same.iter().filter(|&&other| other == outcome).count();
    let unchanged = Outcome::ALL.map(|outcome| (outcome, count(outcome))).into_iter().filter(|(_, count)| *count > 0);
    Diff { a, b, contrasts, changes, unchanged: unchanged.collect(), untold }
}

fn paired<'a>(a: &'a [RecordedFinding], b: &'a [RecordedFinding]) -> BTreeMap<Key<'a>, Pair<'a>> {
    let mut pairs: BTreeMap<Key<'a>, Pair<'a>> = BTreeMap::new();
    for (key, finding) in keyed(a) {
        pairs.entry(key).or_default().0 = Some(finding);
    }
    for (key, finding) in keyed(b) {
        pairs.entry(key).or_default().1 = Some(finding);
    }
    pairs
}

fn keyed(findings: &[RecordedFinding]) -> Vec<(Key<'_>, &RecordedFinding)> {
    let mut seen: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    let mut out = Vec::with_capacity(findings.len());
    for finding in findings {
        let (rule, subject) = (finding.rule.as_str(), finding.subject.as_deref());
        let nth = seen.entry((rule, subject)).or_default();
        out.push(((rule, subject, *nth), finding));
        *nth += 1;
    }
    out
}

/// Whether the other side may hold this too, and left it out because it asks for nothing.
fn left_out(one: Option<&RecordedFinding>, other: Option<&RecordedFinding>, other_is_partial: bool) -> bool {
    let asks_nothing = |finding: &RecordedFinding| finding.outcome < Outcome::Unknown;
    other_is_partial && other.is_none() && one.is_some_and(asks_nothing)
}

/// What does not apply is as if it were not there: nothing was judged.
fn judged(finding: Option<&RecordedFinding>) -> Option<&RecordedFinding> {
    finding.filter(|finding| finding.outcome != Outcome::NotApplicable)
}

/// The kind of change; none if the two say the same.
fn kind(
    a: Option<&RecordedFinding>,
    b: Option<&RecordedFinding>,
    moved: &[Moved<'_>],
    comparable: bool,
) -> Option<ChangeKind> {
    let (a, b) = match (judged(a), judged(b)) {
        (None, None) => return None,
        (None, Some(_)) => return Some(ChangeKind::Appeared),
        (Some(_), None) => return Some(ChangeKind::Gone),
        (Some(a), Some(b)) => (a, b),
    };
    Some(match (a.outcome, b.outcome) {
        (was, is) if was == is => {
            // Gauges move all the time: what they mean is in the value that is judged.
            let counted = comparable && moved.iter().any(|moved| moved.total);
            let why = a.outcome == Outcome::Unknown && a.reason != b.reason;
            return (counted || why || a.now != b.now || a.want != b.want).then_some(ChangeKind::Changed);
        }
        (Outcome::Waived, _) | (_, Outcome::Waived) => ChangeKind::Waiver,
        (_, Outcome::Unknown) => ChangeKind::Unchecked,
        (Outcome::Unknown, _) => ChangeKind::Checked,
        (was, is) if is > was => ChangeKind::Worse,
        _ => ChangeKind::Better,
    })
}

/// Evidence of both that is not the same.
fn moved<'a>(
    a: Option<&'a RecordedFinding>,
    b: Option<&'a RecordedFinding>,
    places: [&Place; 2],
    comparable: bool,
) -> Vec<Moved<'a>> {
    let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
    let was: BTreeMap<&str, _> = a.evidence.iter().map(|proof| (proof.fact.as_str(), proof)).collect();
    let now: BTreeMap<&str, _> = b.evidence.iter().map(|proof| (proof.fact.as_str(), proof)).collect();
    let differs = |(fact, now): (&'a str, &'a RecordedProof)| {
        let was = was.get(fact)?;
        let total = was.total && now.total;
        let apart = || if comparable { apart::apart(places, was, now) } else { Some(Apart::Contrast) };
        let apart = total.then(apart).flatten();
        let rise = was.value.zip(now.value).and_then(|(was, now)| now.checked_sub(was));
        let by = rise.filter(|rise| total && apart.is_none() && *rise > 0);
        (was.value != now.value).then_some(Moved { fact, a: was.value, b: now.value, total, by, apart })
    };
    now.into_iter().filter_map(differs).collect()
}

#[cfg(test)]
mod tests;
