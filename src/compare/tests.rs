use super::*;
use crate::model::fact::{Unit, Value};
use crate::model::place::Place;
use crate::model::recorded::Recorded;
use crate::model::workload::{Role, Workload};

fn finding(rule: &str, outcome: Outcome, now: i128) -> RecordedFinding {
    RecordedFinding {
        rule: rule.to_owned(),
        subject: None,
        outcome,
        reason: String::new(),
        now: Some(Value::Number(now)),
        unit: Unit::Count,
        want: "≥ 600".to_owned(),
        limit: None,
        fail_below: None,
        warn_below: None,
        process: None,
        queue_limit: None,
        says: String::new(),
        evidence: Vec::new(),
        figures: Vec::new(),
    }
}

fn counted(mut finding: RecordedFinding, value: i128, total: bool) -> RecordedFinding {
    finding.evidence.push(RecordedProof {
        fact: "netstat.TcpExt.ListenOverflows".to_owned(),
        value: Some(value),
        total,
    });
    finding
}

fn report(findings: Vec<RecordedFinding>) -> Recorded {
    Recorded {
        tunecheck: "0.1.0".to_owned(),
        source: "live".to_owned(),
        node: Some("node-a".to_owned()),
        kernel: None,
        cpus: None,
        memory: None,
        place: Place::plain_host(),
        workload: Workload {
            role: Role::Server,
            connections: 6000,
            burst: 600,
            destinations: 1,
            streams: 1,
            outgoing: Some(0),
            ports: Vec::new(),
        },
        window: None,
        partial: false,
        findings,
    }
}

fn side(report: &Recorded) -> Side<'_> {
    Side { name: "report.json", report }
}

/// The kind of the one change between two outcomes, and whether it is new and worse.
fn change(a: Outcome, b: Outcome) -> Option<(ChangeKind, bool, bool)> {
    let (a, b) = (report(vec![finding("x/y", a, 1)]), report(vec![finding("x/y", b, 1)]));
    compare(side(&a), side(&b)).changes.first().map(|change| (change.kind, change.is_new(), change.is_worse()))
}

#[test]
fn each_pair_of_outcomes_is_one_kind_of_change() {
    use ChangeKind::*;
    use Outcome::*;
    for (a, b, kind, new, worse) in [
        (Pass, Warn, Worse, true, true),
        (Pass, Fail, Worse, true, true),
        (Warn, Fail, Worse, false, true),
        (Fail, Warn, Better, false, false),
        (Fail, Pass, Better, false, false),
        (Pass, Unknown, Unchecked, false, true),
        (Fail, Unknown, Unchecked, false, true),
        (Unknown, Fail, Checked, true, true),
        (Unknown, Pass, Checked, false, false),
        (NotApplicable, Fail, Appeared, true, true),
        (NotApplicable, Unknown, Appeared, false, false),
        (Fail, NotApplicable, Gone, false, false),
        (Fail, Waived, Waiver, false, false),
        (Waived, Fail, Waiver, false, false),
    ] {
        assert_eq!(change(a, b), Some((kind, new, worse)), "{a:?} to {b:?}");
    }
    for outcome in Outcome::ALL {
        assert_eq!(change(outcome, outcome), None, "{outcome:?}");
    }
}

#[test]
fn a_total_that_rose_is_told_with_its_rise_and_one_that_fell_began_anew() {
    let at = |value| report(vec![counted(finding("x/y", Outcome::Warn, 1), value, true)]);
    let (before, after) = (at(4), at(4416));
    let diff = compare(side(&before), side(&after));
    let [Change { kind: ChangeKind::Changed, moved, .. }] = diff.changes.as_slice() else { panic!("{diff:?}") };
    assert_eq!((moved[0].by, moved[0].fell()), (Some(4412), false));
    let back = compare(side(&after), side(&before));
    assert_eq!((back.changes[0].moved[0].by, back.changes[0].moved[0].fell()), (None, true));
    // Counters of two machines have nothing to do with each other.
    let other = Recorded { node: Some("node-b".to_owned()), ..after.clone() };
    let apart = compare(side(&before), side(&other));
    assert_eq!((apart.changes.len(), apart.contrasts[0].of), (0, Trait::Node));
}

#[test]
fn a_gauge_alone_makes_no_change() {
    let at = |value| report(vec![counted(finding("x/y", Outcome::Pass, 1), value, false)]);
    assert!(compare(side(&at(1)), side(&at(2))).changes.is_empty());
}

#[test]
fn what_a_partial_report_left_out_is_neither_gone_nor_new() {
    let whole = report(vec![finding("a/a", Outcome::Pass, 1), finding("b/b", Outcome::Fail, 1)]);
    let partial = Recorded { partial: true, findings: vec![finding("b/b", Outcome::Fail, 1)], ..whole.clone() };
    for (a, b) in [(&whole, &partial), (&partial, &whole)] {
        let diff = compare(side(a), side(b));
        assert_eq!((diff.changes.len(), diff.untold, diff.contrasts.len()), (0, 1, 1));
    }
    let silent = Recorded { partial: true, findings: Vec::new(), ..whole.clone() };
    assert_eq!(compare(side(&silent), side(&whole)).changes[0].kind, ChangeKind::Appeared);
}

#[test]
fn findings_that_share_rule_and_subject_are_matched_one_to_one() {
    let twice = report(vec![finding("a/a", Outcome::Fail, 1), finding("a/a", Outcome::Fail, 2)]);
    assert!(compare(side(&twice), side(&twice)).changes.is_empty());
    let once = report(vec![finding("a/a", Outcome::Fail, 1)]);
    let diff = compare(side(&twice), side(&once));
    assert_eq!((diff.changes.len(), diff.count(ChangeKind::Gone)), (1, 1));
}

#[test]
fn another_load_is_told_with_what_it_means() {
    let a = report(Vec::new());
    let mut b = a.clone();
    b.workload.burst = 2000;
    let diff = compare(side(&a), side(&b));
    assert_eq!(diff.contrasts.len(), 1);
    let contrast = &diff.contrasts[0];
    assert!(contrast.of.is_loud() && contrast.b.contains("burst 2,000"), "{contrast:?}");
}

#[test]
fn windows_of_one_length_are_alike_and_none_is_another() {
    let looked = |window| Recorded { window, ..report(Vec::new()) };
    let (once, two, nearly_two) = (looked(None), looked(Some(2003)), looked(Some(1998)));
    assert!(compare(side(&two), side(&nearly_two)).contrasts.is_empty());
    assert_eq!(compare(side(&once), side(&two)).contrasts[0].of, Trait::Window);
}
