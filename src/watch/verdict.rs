//! Which limit was hit first, which followed from it, and which only moved. Pure.

use std::cmp::Reverse;

use super::course::Course;
use crate::model::watch::{State, Trace, Verdict, Watch};
use crate::rules::RuleSet;

/// How a wrapped command ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    /// The command as it was typed; empty if there was none.
    pub(crate) command: Vec<String>,
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
    let named = |id: &str| reached.iter().any(|other| other.last.rule == id);
    let follows = |trace: &Trace| watch(trace).is_some_and(|watch: &Watch| watch.follows.iter().any(|id| named(id)));
    let (followed, hit): (Vec<&Trace>, Vec<&Trace>) = reached.iter().copied().partition(|trace| follows(trace));
    let hit = each_once(&hit);
    let calm = |trace: &&&Trace| trace.hit.is_none() && trace.last.state != State::Unknown;
    let told = |trace: &Trace| hit.iter().any(|other| other.last.limit == trace.last.limit);
    let mut moved: Vec<&Trace> =
        limits.iter().filter(calm).copied().filter(|trace| rose(trace) && !told(trace)).collect();
    moved.sort_by_key(|trace| Reverse(trace.peak_share));
    let unknown = limits.iter().filter(|trace| trace.last.state == State::Unknown);
    let owned = |traces: Vec<&Trace>| traces.into_iter().cloned().collect();
    Verdict {
        command: ended.command,
        exit: ended.exit,
        signal: ended.signal,
        milliseconds: course.at(),
        ticks: course.ticks(),
        hit,
        followed: owned(followed),
        saturated: owned(saturated.into_iter().filter(|trace| trace.hit.is_some()).collect()),
        moved: owned(moved),
        unknown: unknown.map(|trace| (trace.last.rule, trace.last.gap.clone().unwrap_or_default())).collect(),
        left_out: course.left_out(),
    }
}

/// Each limit once: what only a counter of the whole namespace shows goes to the subject that was seen at its limit.
fn each_once(hit: &[&Trace]) -> Vec<Trace> {
    let mut kept: Vec<Trace> = Vec::new();
    for trace in hit {
        let same = |other: &&mut Trace| {
            other.last.limit == trace.last.limit && (trace.last.subject.is_none() || other.last.subject.is_none())
        };
        let Some(first) = kept.iter_mut().find(same) else {
            kept.push((*trace).clone());
            continue;
        };
        for rise in &trace.rises {
            if !first.rises.iter().any(|other| other.fact == rise.fact) {
                first.rises.push(rise.clone());
            }
        }
        // The one with a figure of its own says more.
        if first.peak_share.is_none() && trace.peak_share.is_some() {
            let rises = std::mem::take(&mut first.rises);
            *first = Trace { hit: first.hit, rises, ..(*trace).clone() };
        }
    }
    kept
}

/// Whether a use went up, by a percent of its limit at least.
fn rose(trace: &Trace) -> bool {
    let highest = trace.chart.iter().copied().max().unwrap_or(0);
    trace.last.share.is_some() && highest > trace.chart.first().copied().unwrap_or(0)
}
