//! What differs between two audits, for people: on a terminal, and in a pull request.

mod markdown;
mod table;

pub use markdown::print as markdown;
pub use table::print as table;

use super::text::label;
use crate::model::diff::{Change, ChangeKind, Diff, Moved, Side, Trait};
use crate::model::facts::{grouped, humane};
use crate::model::finding::Outcome;
use crate::model::recorded::RecordedFinding;

/// A side in one line: what the user called it, the machine, and what it found.
fn side(side: Side<'_>) -> [String; 2] {
    let report = side.report;
    let mut parts = vec![report.node.clone().unwrap_or_else(|| "host name unknown".into())];
    parts.extend(report.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
    let count = |outcome: Outcome| format!("{} {}", grouped(report.count(outcome) as i128), outcome.word());
    parts.extend([Outcome::Fail, Outcome::Warn, Outcome::Unknown].map(count));
    [side.name.to_owned(), parts.join(" · ")]
}

/// The title of what sets two audits apart: capitals where the two are no before and after of one thing.
fn title(of: Trait) -> &'static str {
    match of {
        Trait::Workload => "NOT THE SAME WORKLOAD",
        Trait::Node => "NOT THE SAME NODE",
        Trait::Place => "NOT THE SAME PLACE",
        Trait::Size => "another size",
        Trait::Kernel => "another kernel",
        Trait::Boot => "another boot",
        Trait::Netns => "another network namespace",
        Trait::User => "another user",
        Trait::Window => "another window",
        Trait::Version => "another tunecheck",
        Trait::Extent => "not told",
    }
}

/// A finding's rule, and its subject if it has one.
fn names(finding: &RecordedFinding) -> (&str, Option<&str>) {
    (&finding.rule, finding.subject.as_deref())
}

/// A side of a change: the outcome and the value, apart.
fn state(finding: Option<&RecordedFinding>) -> (&'static str, String) {
    match finding {
        None => ("-", String::new()),
        Some(finding) => {
            let now = finding.now.as_ref().map(|value| humane(value, finding.unit)).unwrap_or_default();
            (label(finding.outcome), now)
        }
    }
}

/// What was and is asked for.
fn want(change: &Change<'_>) -> String {
    let want = |finding: Option<&RecordedFinding>| finding.map(|finding| finding.want.clone()).unwrap_or_default();
    match (want(change.a), want(change.b)) {
        (a, b) if a == b || a.is_empty() => b,
        (a, b) if b.is_empty() => a,
        (a, b) => format!("{a} → {b}"),
    }
}

/// How the totals beside a finding moved. Gauges move all the time, and are for programs.
fn movements(change: &Change<'_>) -> Vec<String> {
    let figure = |value: Option<i128>| value.map_or_else(|| "?".into(), grouped);
    let words = |moved: &Moved<'_>| match moved.by {
        Some(by) => format!("{} +{}", moved.fact, grouped(by)),
        None if moved.apart.is_some() => format!("{} A {}, B {}", moved.fact, figure(moved.a), figure(moved.b)),
        None => {
            let anew = if moved.fell() { ", counted anew" } else { "" };
            format!("{} {} → {}{anew}", moved.fact, figure(moved.a), figure(moved.b))
        }
    };
    change.moved.iter().filter(|moved| moved.total).map(words).collect()
}

/// Whether a change deserves a row: what holds on every side that has it does not, unless its outcome changed.
fn has_row(change: &Change<'_>) -> bool {
    let outcome_stands = matches!(change.kind, ChangeKind::Appeared | ChangeKind::Gone | ChangeKind::Changed);
    let asks = |finding: Option<&RecordedFinding>| finding.is_some_and(|finding| finding.outcome >= Outcome::Unknown);
    !outcome_stands || asks(change.a) || asks(change.b)
}

/// What holds as before with other figures, in a few words each.
fn still_holding(diff: &Diff<'_>) -> Vec<String> {
    let folded = diff.changes.iter().filter(|change| change.kind == ChangeKind::Changed && !has_row(change));
    let words = |change: &Change<'_>| {
        let (rule, subject) = change.latest().map(names)?;
        let ((_, was), (_, is)) = (state(change.a), state(change.b));
        let mut words = [Some(rule), subject].into_iter().flatten().collect::<Vec<_>>().join(" ");
        if was != is {
            words += &format!(" {was} → {is}");
        }
        let moved = movements(change);
        if !moved.is_empty() {
            words += &format!(" ({})", moved.join(", "));
        }
        Some(words)
    };
    folded.filter_map(words).collect()
}

/// Rules whose changes have no row, each once with how many changes it has.
fn without_row<'a>(diff: &Diff<'a>, kind: ChangeKind) -> Vec<(&'a str, usize)> {
    let mut rules: Vec<(&str, usize)> = Vec::new();
    let folded = diff.changes.iter().filter(|change| change.kind == kind && !has_row(change));
    for rule in folded.filter_map(Change::latest).map(|finding| finding.rule.as_str()) {
        match rules.last_mut().filter(|(last, _)| *last == rule) {
            Some((_, count)) => *count += 1,
            None => rules.push((rule, 1)),
        }
    }
    rules
}

/// What did not change, and what could not be compared, each as a sentence.
fn rest(diff: &Diff<'_>) -> Vec<String> {
    let total: usize = diff.unchanged.iter().map(|(_, count)| count).sum();
    let each: Vec<String> = diff
        .unchanged
        .iter()
        .map(|(outcome, count)| format!("{} {}", grouped(*count as i128), outcome.word().replace('-', " ")))
        .collect();
    let each = if each.is_empty() { String::new() } else { format!(" ({})", each.join(" · ")) };
    let mut lines = vec![match diff.changes.is_empty() {
        true => format!("Nothing changed: {} unchanged{each}", grouped(total as i128)),
        false => format!("{} unchanged{each}", grouped(total as i128)),
    }];
    let new = diff.changes.iter().filter(|change| change.is_new()).count();
    if new > 0 {
        lines.insert(0, format!("{} new: warn or fail in B, and neither in A", grouped(new as i128)));
    }
    lines.extend(diff.apart().into_iter().map(str::to_owned));
    if diff.untold > 0 {
        let count = grouped(diff.untold as i128);
        lines.push(format!("{count} not compared: a report of --only-failed does not tell what passes"));
    }
    lines
}

/// How many changes of each kind, in reading order; none of zero.
fn counts(diff: &Diff<'_>) -> Vec<(ChangeKind, String)> {
    let kinds = ChangeKind::ALL.into_iter().map(|kind| (kind, diff.count(kind))).filter(|(_, count)| *count > 0);
    kinds.map(|(kind, count)| (kind, format!("{} {}", grouped(count as i128), kind.words()))).collect()
}
