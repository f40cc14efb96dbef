//! Which limit was hit first, which followed from it, and which only moved. Pure.

use std::cmp::Reverse;

use super::course::Course;
use crate::model::watch::{Rise, Stage, State, Trace, Verdict, Watch};
use crate::rules::RuleSet;

/// How a wrapped command ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// The command without its arguments; none if there was none.
    pub(crate) command: Option<String>,
    /// Its exit code.
    pub(crate) exit: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
}

/// What a run came to.
pub(crate) fn verdict(course: &Course, rules: &RuleSet, ended: Ended) -> Verdict {
    let watch = |trace: &Trace| rules.get(trace.last.rule).and_then(|rule| rule.watch.as_ref());
    let saturates = |trace: &&Trace| watch(trace).is_some_and(|watch| watch.saturation);
    let (saturated, limits): (Vec<&Trace>, Vec<&Trace>) = course.traces().partition(saturates);
    let mut reached: Vec<&Trace> = limits.iter().copied().filter(|trace| trace.hit.is_some()).collect();
    // Of two in one reading, the one with a figure of its own says more than a counter.
    reached.sort_by_key(|trace| (trace.hit, trace.last.of.is_none(), Reverse(trace.peak_share)));
    // What comes first explains what comes after; two readings tell no more of the order than one apart.
    let apart = course.at() / course.ticks().saturating_sub(1).max(1);
    let before = |id: &str, trace: &Trace| {
        reached.iter().any(|other| other.last.rule == id && other.hit <= trace.hit.map(|hit| hit.saturating_add(apart)))
    };
    let follows =
        |trace: &Trace| watch(trace).is_some_and(|watch: &Watch| watch.follows.iter().any(|id| before(id, trace)));
    let (followed, hit): (Vec<&Trace>, Vec<&Trace>) = reached.iter().copied().partition(|trace| follows(trace));
    let hit = with_figures(each_once(&hit, &limits), &limits);
    let calm = |trace: &&&Trace| trace.hit.is_none() && !trace.standing && trace.last.state != State::Unknown;
    let told = |trace: &Trace| hit.iter().any(|other| other.last.limit == trace.last.limit);
    let mut spared: Vec<&Trace> = limits.iter().filter(calm).copied().filter(|trace| !told(trace)).collect();
    spared.sort_by_key(|trace| Reverse(trace.peak_share.map(|(share, _)| share)));
    let moved: Vec<&Trace> = spared.iter().copied().filter(|trace| rose(trace)).collect();
    // What stands close to its end without moving is nearer than what moves far from it.
    let nearest_of =
        |stage: Stage| spared.iter().copied().find(|trace| trace.last.stage == stage && trace.peak_share.is_some());
    let nearest: Vec<&Trace> = Stage::ALL.into_iter().filter_map(nearest_of).collect();
    let unknown = limits.iter().filter(|trace| trace.last.state == State::Unknown);
    let owned = |traces: Vec<&Trace>| traces.into_iter().cloned().collect();
    let stood = |trace: &&Trace| trace.standing && !hit.iter().any(|other| is_same(other, trace));
    let standing = owned(limits.iter().copied().filter(stood).collect());
    Verdict {
        command: ended.command,
        exit: ended.exit,
        signal: ended.signal,
        milliseconds: course.at(),
        ticks: course.ticks(),
        hit,
        followed: owned(followed),
        standing,
        saturated: owned(saturated.into_iter().filter(|trace| trace.hit.is_some()).collect()),
        moved: owned(moved),
        nearest: owned(nearest),
        unknown: unknown.map(|trace| (trace.last.rule, trace.last.gap.clone().unwrap_or_default())).collect(),
        left_out: course.left_out(),
    }
}

/// Each limit once: a counter of the whole namespace goes to the listeners whose own counters rose beside it. It blames no
/// other one, however full its queue is. Where the limit is the namespace's own, the counter goes to what is in use of it.
fn each_once(hit: &[&Trace], limits: &[&Trace]) -> Vec<Trace> {
    let mut kept: Vec<Trace> = Vec::new();
    for &trace in hit {
        let counted = |other: &&&Trace| {
            trace.last.subject.is_none() && other.last.limit == trace.last.limit && counts_itself(other)
        };
        let mut blamed: Vec<&&Trace> = limits.iter().filter(counted).collect();
        if blamed.is_empty() && trace.last.of.is_none() {
            blamed.extend(limits.iter().find(|other| was_full_for(other, trace)));
        }
        if blamed.is_empty() && !kept.iter().any(|other| is_same(other, trace)) {
            kept.push(trace.clone());
        }
        for &&culprit in &blamed {
            let at = kept.iter().position(|other| is_same(other, culprit)).unwrap_or_else(|| {
                kept.push(culprit.clone());
                kept.len() - 1
            });
            let Some(told) = kept.get_mut(at) else { continue };
            told.hit = [told.hit, trace.hit].into_iter().flatten().min();
            told.finding = told.finding.take().or_else(|| trace.finding.clone());
            // Of several nobody knows whose the rest is.
            if blamed.len() == 1 {
                let new = |rise: &&Rise| !culprit.rises.iter().any(|own| own.fact == rise.fact);
                told.rises.extend(trace.rises.iter().filter(new).cloned());
            }
        }
    }
    kept
}

/// Whether this is the use of what a counter counts the refusals of, and it was at its limit.
fn was_full_for(use_of: &Trace, counter: &Trace) -> bool {
    let of_all = [use_of, counter].iter().all(|trace| trace.last.subject.is_none());
    let reached = use_of.standing || use_of.hit.is_some();
    of_all && reached && use_of.last.of.is_some() && use_of.last.limit == counter.last.limit
}

fn is_same(one: &Trace, other: &Trace) -> bool {
    one.last.rule == other.last.rule && one.last.subject == other.last.subject
}

/// Whether a counter of this subject alone rose.
fn counts_itself(trace: &Trace) -> bool {
    let Some(subject) = &trace.last.subject else { return false };
    let own = format!("[{subject}]");
    trace.rises.iter().any(|rise| rise.fact.contains(&own))
}

/// Gives a counter the use that it belongs to, where a rule of the same limit knows that and did not call it hit.
fn with_figures(mut hit: Vec<Trace>, limits: &[&Trace]) -> Vec<Trace> {
    for trace in hit.iter_mut().filter(|trace| trace.peak_share.is_none() && trace.last.subject.is_none()) {
        let same =
            |other: &&&Trace| other.last.limit == trace.last.limit && other.last.subject.is_none() && rose(other);
        if let Some(use_of) = limits.iter().find(same) {
            trace.peak = use_of.peak;
            trace.peak_share = use_of.peak_share;
            trace.chart.clone_from(&use_of.chart);
            trace.last.of = use_of.last.of;
            trace.last.unit = use_of.last.unit;
        }
    }
    hit
}

/// Whether a use went up, by a percent of its limit at least.
fn rose(trace: &Trace) -> bool {
    let highest = trace.chart.iter().copied().max().unwrap_or(0);
    trace.last.share.is_some() && highest > trace.chart.first().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Unit;
    use crate::model::watch::{Meter, Tick};

    const OVERFLOWS: &str = "netstat.TcpExt.ListenOverflows";

    fn meter(rule: &'static str, limit: &'static str, state: State) -> Meter {
        let (stage, unit) = (Stage::Handshakes, Unit::Count);
        let rises = Vec::new();
        Meter { rule, limit, stage, subject: None, used: None, of: None, share: None, unit, rises, state, gap: None }
    }

    fn used(meter: Meter, used: i128, of: i128) -> Meter {
        Meter { used: Some(used), of: Some(of), share: Some(used * 100 / of), ..meter }
    }

    fn rising(meter: Meter, by: i128) -> Meter {
        let own = Rise { fact: OVERFLOWS.into(), what: Rise::OWN, by };
        let drops = Rise { fact: "netstat.TcpExt.ListenDrops".into(), what: "packets were dropped", by };
        Meter { rises: vec![drops, own], state: State::Hit, ..meter }
    }

    fn after(ticks: impl IntoIterator<Item = Vec<Meter>>) -> Verdict {
        let mut course = Course::default();
        course.take(&Tick::default(), Vec::new());
        for (at, meters) in (1..).zip(ticks) {
            course.take(&Tick { at, meters }, Vec::new());
        }
        verdict(&course, &RuleSet::built_in(), Ended::default())
    }

    const FULL: [i128; 2] = [9, 9];

    /// The queue of a listener on this port, used as far, that dropped so many packets.
    fn queue(port: u16, [number, of]: [i128; 2], dropped: i128) -> Meter {
        let subject = format!("127.0.0.1:{port}");
        let state = if number == of { State::Hit } else { State::Calm };
        let fact = format!("listener[{subject}].drops").into();
        let own = Rise { fact, what: "packets were dropped at this listener", by: dropped };
        let rises = if dropped > 0 { vec![own] } else { Vec::new() };
        let meter = meter("listen/queue", "accept queue", state);
        used(Meter { subject: Some(subject), rises, ..meter }, number, of)
    }

    fn overflows(by: i128) -> Meter {
        rising(meter("listen/overflows", "accept queue", State::Hit), by)
    }

    /// What was hit, each with its counters.
    fn told(verdict: &Verdict) -> Vec<(&str, Vec<i128>)> {
        let rises = |trace: &Trace| trace.rises.iter().map(|rise| rise.by).collect();
        verdict.hit.iter().map(|trace| (trace.last.subject.as_deref().unwrap_or("any"), rises(trace))).collect()
    }

    #[test]
    fn the_only_listener_that_dropped_has_the_rise_of_the_namespace() {
        let verdict = after([vec![overflows(31), queue(80, FULL, 31)], vec![overflows(2)]]);
        assert_eq!(told(&verdict), [("127.0.0.1:80", vec![31, 33, 33])]);
        assert_eq!((verdict.hit[0].last.rule, verdict.hit[0].peak), ("listen/queue", Some((9, Some(9)))));
        let seen_empty = after([vec![overflows(31), queue(80, [0, 9], 31)]]);
        assert_eq!(told(&seen_empty), [("127.0.0.1:80", vec![31, 31, 31])]);
    }

    #[test]
    fn a_listener_that_dropped_nothing_is_not_blamed_for_what_the_namespace_counts() {
        let idle = || queue(443, [0, 4096], 0);
        let verdict = after([vec![overflows(31), queue(80, FULL, 31), idle()]]);
        assert_eq!(told(&verdict), [("127.0.0.1:80", vec![31, 31, 31])]);
        let of_nobody = after([vec![overflows(31), queue(80, FULL, 0), idle()]]);
        assert_eq!(told(&of_nobody), [("127.0.0.1:80", vec![]), ("any", vec![31, 31])]);
        let two = after([vec![overflows(31), queue(80, FULL, 11), queue(81, FULL, 20), idle()]]);
        assert_eq!(told(&two), [("127.0.0.1:80", vec![11]), ("127.0.0.1:81", vec![20])]);
    }

    #[test]
    fn a_chart_adds_no_counter_to_one_that_contains_it() {
        let count = |by| vec![rising(meter("listen/overflows", "accept queue", State::Hit), by)];
        assert_eq!(after([count(31), count(2)]).hit[0].chart, [0, 31, 2]);
    }

    #[test]
    fn a_counter_has_the_use_of_its_limit_beside_it_as_far_as_it_went_up() {
        let count = || rising(meter("time-wait/overflow", "TIME_WAIT buckets", State::Hit), 25);
        let use_of = |number| used(meter("time-wait/buckets", "TIME_WAIT buckets", State::Near), number, 5);
        let verdict = after([vec![use_of(0)], vec![count(), use_of(5)]]);
        let [hit] = &verdict.hit[..] else { panic!("{:?}", verdict.hit) };
        assert_eq!((hit.last.rule, hit.peak), ("time-wait/overflow", Some((5, Some(5)))));
        assert_eq!(hit.peak_share, Some((100, 2)));
        assert!(verdict.moved.is_empty(), "it is told once");
        let mut course = Course::default();
        course.take(&Tick { at: 0, meters: vec![use_of(1)] }, Vec::new());
        course.take(&Tick { at: 1, meters: vec![count(), use_of(1)] }, Vec::new());
        let idle = super::verdict(&course, &RuleSet::built_in(), Ended::default());
        assert_eq!(idle.hit[0].peak_share, None, "what did not move explains nothing");
    }

    #[test]
    fn what_was_at_its_limit_before_the_run_is_not_hit_by_it() {
        let queue = |used_up| {
            let state = if used_up == 9 { State::Hit } else { State::Calm };
            let subject = Some("127.0.0.1:80".to_owned());
            used(Meter { subject, ..meter("listen/queue", "accept queue", state) }, used_up, 9)
        };
        let run = |first, ticks: &[i128]| {
            let mut course = Course::default();
            course.take(&Tick { at: 0, meters: vec![queue(first)] }, Vec::new());
            for (at, &used) in (1..).zip(ticks) {
                course.take(&Tick { at, meters: vec![queue(used)] }, Vec::new());
            }
            let verdict = verdict(&course, &RuleSet::built_in(), Ended::default());
            (verdict.hit.first().and_then(|trace| trace.hit), verdict.standing.len())
        };
        assert_eq!(run(9, &[9, 9]), (None, 1));
        assert_eq!(run(9, &[9, 3, 3]), (None, 1), "that it was emptied takes nothing back");
        assert_eq!(run(9, &[9, 3, 9]), (Some(3), 0), "it was emptied, and filled again");
        assert_eq!(run(3, &[9, 9]), (Some(1), 0));
    }

    /// A table that is used so far, with the drops for want of room since the reading before.
    fn table((number, drops): (i128, i128)) -> Vec<Meter> {
        let state = match number {
            100 => State::Hit,
            75.. => State::Near,
            _ => State::Calm,
        };
        let fill = used(meter("conntrack/fill", "conntrack table", state), number, 100);
        let own = Rise { fact: "conntrack.full_drops".into(), what: Rise::OWN, by: drops };
        let count = meter("conntrack/drops", "conntrack table", State::Calm);
        let count = Meter { used: Some(drops), ..count };
        match drops {
            0 => vec![fill, count],
            _ => vec![fill, Meter { state: State::Hit, rises: vec![own], ..count }],
        }
    }

    fn read(ticks: impl IntoIterator<Item = Vec<Meter>>) -> Verdict {
        let mut course = Course::default();
        for (at, meters) in (0..).zip(ticks) {
            course.take(&Tick { at, meters }, Vec::new());
        }
        verdict(&course, &RuleSet::built_in(), Ended::default())
    }

    #[test]
    fn a_table_that_was_full_before_is_told_with_its_drops_once_it_has_eased_too() {
        let told = |ticks: &[(i128, i128)]| {
            let verdict = read(ticks.iter().copied().map(table));
            let [hit] = &verdict.hit[..] else { panic!("{:?}", verdict.hit) };
            assert!(verdict.standing.is_empty() && verdict.moved.is_empty(), "it is told once");
            let rose = hit.rises.iter().map(|rise| rise.by).sum::<i128>();
            (hit.last.rule, hit.standing, hit.hit, hit.eased, rose)
        };
        let full = "conntrack/fill";
        assert_eq!(told(&[(100, 0), (100, 30), (100, 8), (40, 0)]), (full, true, Some(1), Some(3), 38));
        assert_eq!(told(&[(100, 0), (100, 30), (99, 0), (100, 2)]), (full, true, Some(1), None, 32));
        assert_eq!(told(&[(40, 0), (100, 0), (100, 30), (40, 0)]), (full, false, Some(1), None, 30));
    }

    #[test]
    fn the_nearest_limit_is_the_nearest_whether_it_moved_or_not() {
        let calm = |number| used(meter("files/fds", "open files of a process", State::Calm), number, 100);
        let of = |table: Vec<Meter>, number| [table, vec![calm(number)]].concat();
        let verdict = read([of(table((99, 0)), 1), of(table((99, 0)), 4)]);
        let named = |traces: &[Trace]| traces.iter().map(|trace| trace.last.rule).collect::<Vec<_>>();
        assert_eq!(named(&verdict.moved), ["files/fds"]);
        let nearest: Vec<&Trace> = verdict.nearest.iter().filter(|trace| trace.last.stage == calm(1).stage).collect();
        assert_eq!(nearest.iter().map(|trace| trace.last.rule).collect::<Vec<_>>(), ["conntrack/fill"]);
    }

    #[test]
    fn a_limit_follows_only_from_what_was_hit_before_it() {
        let cookies = || rising(meter("listen/syn-queue", "SYN queue", State::Hit), 55);
        let overflows = || rising(meter("listen/overflows", "accept queue", State::Hit), 31);
        let names = |verdict: Verdict| verdict.hit.iter().map(|trace| trace.last.limit).collect::<Vec<_>>();
        assert_eq!(names(after([vec![overflows(), cookies()]])), ["accept queue"]);
        let far_apart = after([vec![cookies()], vec![], vec![], vec![overflows()]]);
        assert_eq!(names(far_apart), ["SYN queue", "accept queue"]);
    }
}
