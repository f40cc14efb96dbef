//! What each limit did over a run, in memory that does not grow with its length.

use std::collections::BTreeMap;

use crate::model::fact::Unit;
use crate::model::finding::Finding;
use crate::model::watch::{Meter, Rise, State, Tick, Trace};

/// Spans of a chart. When they are full, two become one.
const SPANS: usize = 60;
/// Most limits and subjects that are followed: a machine may have any number of listeners.
const MOST: usize = 500;

/// What each limit did so far.
#[derive(Debug, Default)]
pub(crate) struct Course {
    traces: BTreeMap<(&'static str, Option<String>), Trace>,
    ticks: u64,
    at: u64,
    /// Readings in each span of the charts.
    width: u64,
    left_out: usize,
}

impl Course {
    /// Whether a limit was hit in an earlier reading.
    pub(crate) fn was_hit(&self, meter: &Meter) -> bool {
        let trace = self.traces.get(&(meter.rule, meter.subject.clone()));
        trace.is_some_and(|trace| trace.finding.is_some())
    }

    /// Takes a reading in, with what the rules say of the limits that it shows as hit.
    pub(crate) fn take(&mut self, tick: &Tick, findings: Vec<Finding>) {
        self.width = self.width.max(1);
        let span = usize::try_from(self.ticks / self.width).unwrap_or(usize::MAX);
        if span >= SPANS {
            self.width *= 2;
            self.traces.values_mut().for_each(|trace| halve(&mut trace.chart));
            return self.take(tick, findings);
        }
        self.ticks += 1;
        self.at = tick.at;
        for meter in &tick.meters {
            let key = (meter.rule, meter.subject.clone());
            if !self.traces.contains_key(&key) && self.traces.len() >= MOST {
                self.left_out += 1;
                continue;
            }
            let trace = self.traces.entry(key).or_insert_with(|| begun(meter));
            follow(trace, meter, tick.at, span);
        }
        for finding in findings {
            let key = (finding.rule, finding.subject.clone());
            if let Some(trace) = self.traces.get_mut(&key) {
                trace.finding = Some(Box::new(finding));
            }
        }
    }

    /// The limits with their course.
    pub(crate) fn traces(&self) -> impl Iterator<Item = &Trace> {
        self.traces.values()
    }

    /// Readings so far.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// When the last reading was taken, in milliseconds.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Subjects that were not followed.
    pub(crate) fn left_out(&self) -> usize {
        self.left_out
    }

    /// The course of one limit.
    pub(crate) fn trace(&self, meter: &Meter) -> Option<&Trace> {
        self.traces.get(&(meter.rule, meter.subject.clone()))
    }
}

fn begun(meter: &Meter) -> Trace {
    Trace {
        last: meter.clone(),
        peak: None,
        peak_share: None,
        hit: None,
        rises: Vec::new(),
        chart: Vec::new(),
        finding: None,
    }
}

fn follow(trace: &mut Trace, meter: &Meter, at: u64, span: usize) {
    // The counters beside it may count the same packets: ListenDrops contains ListenOverflows.
    let rose: i128 = meter.rises.iter().filter(|rise| rise.what == Rise::OWN).map(|rise| rise.by).sum();
    // A share of time has no limit beside it, and is no counter.
    let counts = meter.of.is_none() && meter.share.is_none() && meter.unit != Unit::Percent;
    if let Some(used) = meter.used
        && trace.peak.is_none_or(|(peak, _)| used > peak)
    {
        trace.peak = Some((used, meter.of));
    }
    if let Some(share) = meter.share
        && trace.peak_share.is_none_or(|(peak, _)| share > peak)
    {
        trace.peak_share = Some((share, at));
    }
    if meter.state == State::Hit && trace.hit.is_none() {
        trace.hit = Some(at);
    }
    for rise in &meter.rises {
        match trace.rises.iter_mut().find(|other: &&mut Rise| other.fact == rise.fact) {
            Some(other) => other.by = other.by.saturating_add(rise.by),
            None => trace.rises.push(rise.clone()),
        }
    }
    trace.chart.resize(trace.chart.len().max(span + 1), 0);
    if let Some(bar) = trace.chart.get_mut(span) {
        *bar = if counts { bar.saturating_add(rose) } else { (*bar).max(meter.share.or(meter.used).unwrap_or(0)) };
    }
    trace.last = meter.clone();
}

fn halve(chart: &mut Vec<i128>) {
    *chart = chart.chunks(2).map(|pair| pair.iter().copied().max().unwrap_or(0)).collect();
}
