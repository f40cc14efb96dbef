use super::*;
use crate::model::fact::{Scope, Unit, Value};
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
        scope: Some(Scope::Netns),
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
        place: Place {
            boot: Some("0f6f0a36-7a3c-4b58-8b53-5d2c9d3c9a11".to_owned()),
            netns_inode: Some(4_026_531_840),
            cgroup_path: Some("/system.slice/shop.service".to_owned()),
            ..Place::plain_host()
        },
        workload: Workload { connections: 6000, burst: 600, outgoing: Some(0), ..Workload::none(Role::Server) },
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
fn totals_are_subtracted_only_where_their_boot_and_their_owner_are_known_and_one() {
    type Mend = fn(&mut Place);
    let other_boot: Mend = |place| place.boot = Some("5d2c9d3c-7a3c-4b58-8b53-0f6f0a369a11".to_owned());
    let no_boot: Mend = |place| place.boot = None;
    let other_netns: Mend = |place| place.netns_inode = Some(4_026_532_178);
    let no_netns: Mend = |place| place.netns_inode = None;
    let other_cgroup: Mend = |place| place.cgroup_path = Some("/system.slice/other.service".to_owned());
    let root_cgroup: Mend = |place| place.cgroup_path = Some("/".to_owned());
    let same: Mend = |_| {};
    let rise = |scope: Option<Scope>, mends: [Mend; 2]| {
        let made = |value, mend: Mend| {
            let mut made = report(vec![counted(finding("x/y", Outcome::Warn, 1), value, true)]);
            made.findings[0].evidence[0].scope = scope;
            mend(&mut made.place);
            made
        };
        let (a, b) = (made(5, mends[0]), made(25, mends[1]));
        let diff = compare(side(&a), side(&b));
        // They stand side by side.
        assert_eq!((diff.changes[0].moved[0].a, diff.changes[0].moved[0].b), (Some(5), Some(25)));
        let back = compare(side(&b), side(&a));
        let moved = &diff.changes[0].moved[0];
        assert_eq!(back.changes[0].moved[0].fell(), moved.apart.is_none());
        // Why, once: by what sets the two apart, or in a sentence.
        let told = diff.contrasts.iter().any(|contrast| matches!(contrast.of, Trait::Boot | Trait::Netns));
        match moved.apart {
            Some(Apart::Contrast) => assert!(told && diff.apart().is_empty()),
            apart => assert_eq!(diff.apart().len(), usize::from(apart.is_some())),
        }
        (moved.by, moved.apart)
    };
    use Scope::{Cgroup, Host, Netns, Pidns, Process};
    let (risen, contrast) = ((Some(20), None), (None, Some(Apart::Contrast)));
    for scope in [Host, Netns, Cgroup] {
        assert_eq!(rise(Some(scope), [same, same]), risen, "{scope:?}");
        assert_eq!(rise(Some(scope), [same, other_boot]), contrast, "{scope:?}");
        for mends in [[no_boot, same], [same, no_boot], [no_boot, no_boot]] {
            assert_eq!(rise(Some(scope), mends), (None, Some(Apart::Boot)), "{scope:?}");
        }
    }
    assert_eq!(rise(Some(Netns), [same, other_netns]), contrast);
    assert_eq!(rise(Some(Netns), [no_netns, no_netns]), (None, Some(Apart::Netns)));
    assert_eq!(rise(Some(Netns), [same, other_cgroup]), risen);
    assert_eq!(rise(Some(Host), [same, other_netns]), risen);
    assert_eq!(rise(Some(Host), [no_netns, other_cgroup]), risen);
    assert_eq!(rise(Some(Cgroup), [same, other_cgroup]), (None, Some(Apart::Cgroup)));
    assert_eq!(rise(Some(Cgroup), [root_cgroup, root_cgroup]), (None, Some(Apart::Cgroup)));
    for scope in [Some(Process), Some(Pidns), None] {
        assert_eq!(rise(scope, [same, same]), (None, Some(Apart::Owner)), "{scope:?}");
    }
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
