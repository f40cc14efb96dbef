//! What each limit did over a run, in memory that does not grow with its length.

use std::collections::BTreeMap;

use crate::model::bounds;
use crate::model::fact::Unit;
use crate::model::finding::Finding;
use crate::model::watch::{Meter, Rise, State, Tick, Trace};

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
        match self.traces.get(&(meter.rule, meter.subject.clone())) {
            Some(trace) => trace.finding.is_some(),
            None => self.traces.len() >= bounds::TRACES.count() && self.least().is_none(),
        }
    }

    /// A subject that was never at its limit, and so can make room for one that is.
    fn least(&self) -> Option<(&'static str, Option<String>)> {
        let calm = |(_, trace): &(_, &Trace)| trace.hit.is_none() && !trace.standing && trace.last.subject.is_some();
        self.traces.iter().filter(calm).min_by_key(|(_, trace)| trace.peak_share).map(|(key, _)| key.clone())
    }

    /// Takes a reading in, with what the rules say of the limits that it shows as hit.
    pub(crate) fn take(&mut self, tick: &Tick, findings: Vec<Finding>) {
        self.width = self.width.max(1);
        let span = usize::try_from(self.ticks / self.width).unwrap_or(usize::MAX);
        if span >= bounds::SPANS.count() {
            self.width *= 2;
            self.traces.values_mut().for_each(halve);
            return self.take(tick, findings);
        }
        self.ticks += 1;
        self.at = tick.at;
        for meter in &tick.meters {
            let key = (meter.rule, meter.subject.clone());
            if !self.traces.contains_key(&key) && self.traces.len() >= bounds::TRACES.count() {
                // What speaks for the whole namespace is always followed, and so is what refuses.
                let room = if meter.subject.is_none() || meter.state == State::Hit { self.least() } else { None };
                self.left_out += 1;
                match room {
                    Some(key) => self.traces.remove(&key),
                    None => continue,
                };
            }
            let first = self.ticks == 1;
            let trace = self.traces.entry(key).or_insert_with(|| begun(meter, first));
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

/// A limit that was at its end in the very first reading was so before the run, whoever caused that.
fn begun(meter: &Meter, first: bool) -> Trace {
    Trace {
        last: meter.clone(),
        peak: None,
        peak_share: None,
        hit: None,
        standing: first && meter.state == State::Hit,
        eased: None,
        rises: Vec::new(),
        chart: Vec::new(),
        finding: None,
    }
}

fn follow(trace: &mut Trace, meter: &Meter, at: u64, span: usize) {
    // The counters beside it may count the same packets: ListenDrops contains ListenOverflows.
    let rose: i128 = meter.rises.iter().filter(|rise| rise.what == Rise::OWN).map(|rise| rise.by).sum();
    let counts = counts(meter);
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
    // One entry less in a full table is no end of it, and a reading that failed tells of none.
    let full_since_before = trace.standing && trace.eased.is_none();
    match meter.state {
        State::Hit if full_since_before => {}
        State::Hit | State::Short => trace.hit = trace.hit.or(Some(at)),
        State::Calm if full_since_before => trace.eased = Some(at),
        _ => {}
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

/// Whether it is a counter. A share of time has no limit beside it, and is none.
fn counts(meter: &Meter) -> bool {
    meter.of.is_none() && meter.share.is_none() && meter.unit != Unit::Percent
}

fn halve(trace: &mut Trace) {
    let one = |pair: &[i128]| match counts(&trace.last) {
        true => pair.iter().fold(0, |sum: i128, rise| sum.saturating_add(*rise)),
        false => pair.iter().copied().max().unwrap_or(0),
    };
    trace.chart = trace.chart.chunks(2).map(one).collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::watch::Stage;

    fn queue(port: usize, used: i128) -> Meter {
        let state = if used == 9 { State::Hit } else { State::Calm };
        let (used, of, share) = (Some(used), Some(9), Some(used * 100 / 9));
        let (limit, stage, unit) = ("accept queue", Stage::Handshakes, Unit::Count);
        let subject = Some(format!("127.0.0.1:{port}"));
        Meter {
            rule: "listen/queue",
            limit,
            stage,
            subject,
            used,
            of,
            share,
            unit,
            rises: Vec::new(),
            state,
            gap: None,
        }
    }

    #[test]
    fn one_that_refuses_is_followed_however_many_there_are() {
        let mut course = Course::default();
        let mut meters: Vec<Meter> = (0..bounds::TRACES.count() + 20).map(|port| queue(port, 0)).collect();
        course.take(&Tick { at: 0, meters: meters.clone() }, Vec::new());
        meters[bounds::TRACES.count() + 10] = queue(bounds::TRACES.count() + 10, 9);
        course.take(&Tick { at: 1, meters }, Vec::new());
        let hit: Vec<_> = course.traces().filter(|trace| trace.hit.is_some()).collect();
        assert_eq!((hit.len(), course.traces().count()), (1, bounds::TRACES.count()));
        assert_eq!(hit[0].last.subject, Some(format!("127.0.0.1:{}", bounds::TRACES.count() + 10)));
        assert!(course.left_out() > 0);
    }

    #[test]
    fn a_chart_of_a_counter_keeps_its_sum_however_long_the_run() {
        let mut course = Course::default();
        let rises = || vec![Rise { fact: "a".into(), what: Rise::OWN, by: 1 }];
        for at in 0..1000 {
            let (used, of, share) = (Some(7), None, None);
            let meter = Meter { used, of, share, subject: None, rises: rises(), ..queue(0, 0) };
            course.take(&Tick { at, meters: vec![meter] }, Vec::new());
        }
        let trace = course.traces().next().unwrap();
        assert!(trace.chart.len() <= bounds::SPANS.count());
        assert_eq!(trace.chart.iter().sum::<i128>(), 1000);
        assert_eq!(trace.rises[0].by, 1000);
    }
}
