//! `tunecheck.tick/v1` and `tunecheck.verdict/v1`. These structures are frozen: a change that a reader could notice is a new
//! version.

use schemars::JsonSchema;
use serde::Serialize;

use super::v1::{ActionV1, Number};
use crate::model::watch::{Meter, Rise, State, Tick, Trace, Verdict};

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck tick")]
pub(super) struct TickV1<'a> {
    /// Always `tunecheck.tick/v1`.
    schema: &'static str,
    /// Milliseconds since the first reading.
    at_milliseconds: u64,
    /// Nearest to its limit first.
    limits: Vec<MeterV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct MeterV1<'a> {
    limit: &'a str,
    rule: &'a str,
    subject: Option<&'a str>,
    /// `hit`: it refuses, or its counter rose; `short`: too little for all; `near`, `calm` or `unknown`.
    state: &'static str,
    /// What is in use; of a counter, its total. Null where it could not be read.
    used: Option<Number>,
    /// Null for a counter, and where there is no limit.
    of: Option<Number>,
    share_percent: Option<Number>,
    unit: String,
    /// Counters that rose since the reading before.
    rises: Vec<RiseV1<'a>>,
    /// Why it is unknown.
    gap: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct RiseV1<'a> {
    fact: &'a str,
    by: Number,
}

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck verdict")]
pub(super) struct VerdictV1<'a> {
    /// Always `tunecheck.verdict/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    /// The program that was run; null if there was none. Its arguments may hold secrets and are not told.
    command: Option<&'a str>,
    /// Its exit code; null if a signal ended it.
    exit_code: Option<i32>,
    signal: Option<i32>,
    milliseconds: u64,
    readings: u64,
    /// Limits that were hit, first first.
    hit: Vec<TraceV1<'a>>,
    /// Limits that were hit because of one of those.
    followed: Vec<TraceV1<'a>>,
    /// Limits that something was at before the first reading.
    standing: Vec<TraceV1<'a>>,
    /// Shortages that slowed things down.
    saturated: Vec<TraceV1<'a>>,
    /// Limits whose use rose and that were not hit.
    moved: Vec<TraceV1<'a>>,
    /// Of each stage the limit that came nearest without being hit, whether its use rose or not.
    nearest: Vec<TraceV1<'a>>,
    unknown: Vec<UnknownV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct TraceV1<'a> {
    limit: &'a str,
    rule: &'a str,
    subject: Option<&'a str>,
    /// `handshakes`, `connections` or `latency`: what a client notices.
    stage: &'static str,
    hit_at_milliseconds: Option<u64>,
    /// When there first was room again in what was at its limit before the first reading.
    eased_at_milliseconds: Option<u64>,
    peak: Option<Number>,
    peak_of: Option<Number>,
    peak_share_percent: Option<Number>,
    peak_at_milliseconds: Option<u64>,
    unit: String,
    rises: Vec<RiseV1<'a>>,
    /// The highest share, use or rise in each of equal spans of the run.
    chart: Vec<Number>,
    /// The rule's own sentence, where the limit was hit.
    says: Option<&'a str>,
    fix: Vec<ActionV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct UnknownV1<'a> {
    rule: &'a str,
    why: &'a str,
}

impl<'a> From<&'a Tick> for TickV1<'a> {
    fn from(tick: &'a Tick) -> Self {
        Self {
            schema: "tunecheck.tick/v1",
            at_milliseconds: tick.at,
            limits: tick.meters.iter().map(MeterV1::from).collect(),
        }
    }
}

impl<'a> From<&'a Meter> for MeterV1<'a> {
    fn from(meter: &'a Meter) -> Self {
        Self {
            limit: meter.limit,
            rule: meter.rule,
            subject: meter.subject.as_deref(),
            state: match meter.state {
                State::Hit => "hit",
                State::Short => "short",
                State::Near => "near",
                State::Calm => "calm",
                State::Unknown => "unknown",
            },
            used: finite(meter.used),
            of: finite(meter.of),
            share_percent: meter.share.map(Number),
            unit: meter.unit.to_string(),
            rises: meter.rises.iter().map(RiseV1::from).collect(),
            gap: meter.gap.as_deref(),
        }
    }
}

impl<'a> From<&'a Rise> for RiseV1<'a> {
    fn from(rise: &'a Rise) -> Self {
        Self { fact: &rise.fact, by: Number(rise.by) }
    }
}

impl<'a> From<&'a Verdict> for VerdictV1<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        let all = |traces: &'a [Trace]| traces.iter().map(TraceV1::from).collect();
        Self {
            schema: "tunecheck.verdict/v1",
            tunecheck: env!("CARGO_PKG_VERSION"),
            command: verdict.command.as_deref(),
            exit_code: verdict.exit,
            signal: verdict.signal,
            milliseconds: verdict.milliseconds,
            readings: verdict.ticks,
            hit: all(&verdict.hit),
            followed: all(&verdict.followed),
            standing: all(&verdict.standing),
            saturated: all(&verdict.saturated),
            moved: all(&verdict.moved),
            nearest: all(&verdict.nearest),
            unknown: verdict.unknown.iter().map(|(rule, why)| UnknownV1 { rule, why }).collect(),
        }
    }
}

impl<'a> From<&'a Trace> for TraceV1<'a> {
    fn from(trace: &'a Trace) -> Self {
        let finding = trace.finding.as_deref();
        Self {
            limit: trace.last.limit,
            rule: trace.last.rule,
            subject: trace.last.subject.as_deref(),
            stage: trace.last.stage.word(),
            hit_at_milliseconds: trace.hit,
            eased_at_milliseconds: trace.eased,
            peak: finite(trace.peak.map(|(peak, _)| peak)),
            peak_of: finite(trace.peak.and_then(|(_, of)| of)),
            peak_share_percent: trace.peak_share.map(|(share, _)| Number(share)),
            peak_at_milliseconds: trace.peak_share.map(|(_, at)| at),
            unit: trace.last.unit.to_string(),
            rises: trace.rises.iter().map(RiseV1::from).collect(),
            chart: trace.chart.iter().copied().map(Number).collect(),
            says: finding.map(|finding| finding.says.as_str()),
            fix: finding.into_iter().flat_map(|finding| &finding.fix).map(ActionV1::from).collect(),
        }
    }
}

/// A number; none where it stands for no limit.
fn finite(number: Option<i128>) -> Option<Number> {
    number.filter(|&number| number != i128::MAX).map(Number)
}
