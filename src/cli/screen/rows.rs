//! One row for each limit, from one reading and from what came before it. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::fact::Unit;
use crate::model::watch::{Meter, Rise, State, Tick};
use crate::watch::Course;

/// Readings of which a row shows the course.
pub(super) const COURSE: usize = 60;

/// The limit and its listener, destination or other subject.
pub(super) type Key = (&'static str, Option<String>);

/// What the screen says of one limit. Several rules can speak of one: a table's fill, and the counter of what it refused.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The limit.
    pub(super) key: Key,
    /// The rule that says most about it now.
    pub(super) rule: &'static str,
    /// How near it is.
    pub(super) state: State,
    /// Whether it speaks of all subjects together, and some have a row of their own.
    pub(super) of_all: bool,
    /// Whether it was hit before and is not there any more, such as a listener that was closed.
    pub(super) gone: bool,
    /// What is in use; of a counter, its total.
    pub(super) used: Option<i128>,
    /// The limit.
    pub(super) of: Option<i128>,
    /// Use in percent of the limit.
    pub(super) share: Option<i128>,
    /// What the numbers count.
    pub(super) unit: Unit,
    /// Its counter that rises fastest, in tenths a second. Counters contain each other, so that a sum would say too much.
    pub(super) rate: Option<i128>,
    /// When it was hit first, in milliseconds.
    pub(super) hit: Option<u64>,
    /// Why it is unknown.
    pub(super) gap: Option<String>,
    /// Shares in percent, or rises, of the last readings.
    pub(super) course: Vec<i128>,
}

impl Row {
    fn of(meter: &Meter, window: Option<u64>, hit: Option<u64>) -> Self {
        // Of a counter that stands still, what it was taken from may rise for another reason.
        let stands = meter.of.is_none() && meter.share.is_none() && meter.state != State::Hit;
        Self {
            key: (meter.limit, meter.subject.clone()),
            rule: meter.rule,
            state: meter.state,
            of_all: false,
            gone: false,
            used: meter.used,
            of: meter.of,
            share: meter.share,
            unit: meter.unit,
            rate: window.filter(|_| !stands).and_then(|window| rate(&meter.rises, window)),
            hit,
            gap: meter.gap.clone(),
            course: Vec::new(),
        }
    }

    /// Takes in what another rule says of the same limit.
    fn join(&mut self, other: Self) {
        // What could not be read is not well because something else was.
        let unknown = self.state == State::Unknown || other.state == State::Unknown;
        let state = self.state.max(other.state);
        if other.state > self.state {
            self.rule = other.rule;
        }
        if self.share.is_none() && (other.share.is_some() || self.used.is_none()) {
            (self.used, self.of, self.share, self.unit) = (other.used, other.of, other.share, other.unit);
        }
        self.state = if unknown && state == State::Calm { State::Unknown } else { state };
        self.rate = self.rate.max(other.rate);
        self.hit = [self.hit, other.hit].into_iter().flatten().min();
        self.gap = self.gap.take().or(other.gap);
    }

    /// What the course shows: the share, or where there is none how fast it rises.
    fn height(&self) -> i128 {
        self.share.or(self.rate).unwrap_or(0)
    }

    fn rank(&self) -> u8 {
        match (self.state, self.hit) {
            _ if self.gone => 2,
            (State::Hit, _) => 5,
            (State::Short, _) => 4,
            (State::Near, _) => 3,
            (State::Calm, Some(_)) => 2,
            (State::Calm, None) => 1,
            (State::Unknown, _) => 0,
        }
    }
}

fn rate(rises: &[Rise], milliseconds: u64) -> Option<i128> {
    let by = rises.iter().map(|rise| rise.by).max()?;
    Some(by.saturating_mul(10_000) / i128::from(milliseconds.max(1)))
}

/// The order of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// What is hit, what is near, what was hit, then by share.
    #[default]
    Worst,
    /// By limit and subject.
    Name,
    /// What rises fastest first.
    Rate,
}

impl Sort {
    /// The next one.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Worst => Self::Name,
            Self::Name => Self::Rate,
            Self::Rate => Self::Worst,
        }
    }

    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Name => "name",
            Self::Rate => "rate",
        }
    }

    /// Puts rows in this order.
    pub(super) fn apply(self, rows: &mut [Row]) {
        let worst = |row: &Row| Reverse((row.rank(), row.share, row.rate));
        rows.sort_by(|a, b| {
            let first = match self {
                Self::Worst => worst(a).cmp(&worst(b)),
                Self::Name => std::cmp::Ordering::Equal,
                Self::Rate => b.rate.cmp(&a.rate).then_with(|| worst(a).cmp(&worst(b))),
            };
            first.then_with(|| a.key.cmp(&b.key))
        });
    }
}

/// The last readings of every limit that is there.
#[derive(Debug, Default)]
pub(super) struct Past {
    courses: BTreeMap<Key, VecDeque<i128>>,
    at: Option<u64>,
}

impl Past {
    /// The rows of a reading that the course has taken in.
    pub(super) fn rows(&mut self, tick: &Tick, course: &Course) -> Vec<Row> {
        let window = self.at.map(|at| tick.at.saturating_sub(at));
        self.at = Some(tick.at);
        let mut found: BTreeMap<Key, Row> = BTreeMap::new();
        for meter in &tick.meters {
            let hit = course.trace(meter).and_then(|trace| trace.hit);
            let row = Row::of(meter, window, hit);
            match found.get_mut(&row.key) {
                Some(first) => first.join(row),
                None => {
                    found.insert(row.key.clone(), row);
                }
            }
        }
        self.courses.retain(|key, _| found.contains_key(key));
        for row in found.values_mut() {
            let past = self.courses.entry(row.key.clone()).or_default();
            if past.len() >= COURSE {
                past.pop_front();
            }
            past.push_back(row.height());
            row.course = past.iter().copied().collect();
        }
        for trace in course.traces().filter(|trace| trace.hit.is_some()) {
            let row = Row { gone: true, ..Row::of(&trace.last, None, trace.hit) };
            found.entry(row.key.clone()).or_insert(row);
        }
        let of_one: BTreeSet<&str> =
            found.keys().filter(|(_, subject)| subject.is_some()).map(|(limit, _)| *limit).collect();
        for ((limit, subject), row) in &mut found {
            row.of_all = subject.is_none() && of_one.contains(limit);
        }
        found.into_values().collect()
    }
}
