//! Traffic to needs, and a machine's limits to the traffic they carry. Pure.
//!
//! Each limit says once what traffic takes of it. What a limit carries is the largest number of requests in flight whose
//! need still fits, found by halving: so the two directions cannot disagree.

mod limits;
mod nat;
mod settings;

use crate::model::fact::{Cause, Gap};
use crate::model::facts::Facts;
use crate::model::sizing::{Amount, Capacity, Carried, Move, Need, Standing, Step};
use crate::model::traffic::Traffic;
use crate::model::workload::{PortUse, TimeWait, per_second};

use limits::{Found, Have, Limit, Most, limits};
pub use nat::PAGES;
pub use settings::settings;

/// Most requests in flight that anybody can mean.
const MOST: u64 = 1_000_000_000;
/// Changes that are followed, one upon the other.
const STEPS: usize = 3;

/// What traffic takes of every limit that it touches.
pub fn needs(traffic: &Traffic) -> Vec<Need> {
    let need = |limit: &Limit| {
        let Limit { name, per, unit, rule, .. } = *limit;
        Need { limit: name, per, unit, amount: (limit.need)(traffic), rule }
    };
    let spoken_of = |limit: &&Limit| !matches!(limit.have, Have::OfProgram(_));
    limits().filter(spoken_of).map(need).filter(|need| need.amount != Amount::None).collect()
}

/// The rules whose facts tell a machine's limits.
pub fn rules() -> impl Iterator<Item = &'static str> {
    limits().filter(|limit| !matches!(limit.have, Have::Untold)).filter_map(|limit| limit.rule)
}

/// Holds the limits of a machine against traffic.
pub fn solve(traffic: &Traffic, facts: &Facts) -> Capacity {
    let traffic = Traffic { port_use: PortUse::of(facts), ..traffic.clone() };
    let mut capacity = holding(&traffic, facts);
    capacity.notes.extend(reused(&traffic, facts, &capacity));
    capacity
}

/// What net.ipv4.tcp_tw_reuse = 1 alone would buy, where ports in TIME_WAIT are what ends first.
fn reused(traffic: &Traffic, facts: &Facts, now: &Capacity) -> Option<String> {
    let again = PortUse { time_wait: TimeWait(1), bound_first: false };
    if !traffic.short_lived
        || traffic.port_use.bound_first
        || traffic.port_use == again
        || now.carried.first()?.limit != limits::PORTS
    {
        return None;
    }
    let then = holding(&Traffic { port_use: again, ..traffic.clone() }, facts);
    let first = then.carried.first()?;
    let rate = first.rate.map_or("any number of".to_owned(), per_second);
    Some(format!(
        "With net.ipv4.tcp_tw_reuse = 1 and TCP timestamps, which take a port again after net.ipv4.tcp_tw_reuse_delay (a second by default), it would be {rate} requests/s, and first to bind {}.",
        first.limit
    ))
}

/// What limits carry while a closed connection holds its port as long as the traffic says.
fn holding(traffic: &Traffic, facts: &Facts) -> Capacity {
    let mut solved = Capacity { node: facts.text("kernel.node").map(str::to_owned), ..Capacity::default() };
    let mut bounds = Vec::new();
    for limit in limits() {
        let need = match (limit.need)(traffic) {
            Amount::None => continue,
            Amount::Unsaid(option) if !matches!(limit.have, Have::Untold) => {
                let why = format!("{option} would say what the traffic takes of it");
                solved.unknown.push((limit.name, Gap::new(Cause::Unsupported, why)));
                continue;
            }
            Amount::Unsaid(_) => continue,
            Amount::Of(need, _) => need,
        };
        match found(limit, facts, traffic) {
            None => {}
            Some(Err(gap)) => match (&limit.have, gap.cause) {
                (Have::IfAny(_, why), Cause::Absent) => solved.unlimited.push((limit.name, why)),
                _ => solved.unknown.push((limit.name, gap)),
            },
            Some(Ok((have, source))) => {
                let most = match limit.most {
                    Most::Any => u128::MAX,
                    Most::Number(most) => most,
                    Most::Fact(name, widest) => facts.number(name).map_or(widest.into(), i128::unsigned_abs),
                };
                let bound = Bound::of(limit, have, most, traffic);
                solved.carried.push(bound.carried(need, source));
                bounds.push(bound);
            }
        }
    }
    let cpu = "what one request costs shows under load: tunecheck watch -- COMMAND";
    solved.unknown.push(("CPU", Gap::new(Cause::Unsupported, cpu)));
    solved.carried.sort_by_key(|limit| (limit.carries.unwrap_or(u64::MAX), limit.slow_from, limit.limit));
    bounds.sort_by_key(|bound| (bound.carries.unwrap_or(u64::MAX), bound.limit.name));
    solved.steps = steps(&bounds);
    solved.standing = standing(&bounds, &solved.steps);
    solved
}

fn found(limit: &Limit, facts: &Facts, traffic: &Traffic) -> Option<Found> {
    let fact = |name: &str| {
        let value = facts.value(name)?;
        let number = value.limit().and_then(|number| u128::try_from(number).ok());
        let number = number.ok_or_else(|| Gap::new(Cause::Unparsable, format!("{name} is no number of things")))?;
        Ok((number, name.to_owned()))
    };
    match limit.have {
        Have::Untold => None,
        Have::Fact(name) => Some(fact(name)),
        Have::IfAny(told, _) => Some(told(facts)),
        Have::Told(told) => told(facts, traffic),
        Have::OfProgram(told) => told(facts),
    }
}

/// A limit of a machine, and the traffic that meets it.
#[derive(Clone, Copy)]
struct Bound<'a> {
    limit: &'a Limit,
    have: u128,
    /// The most that it can be set to.
    most: u128,
    traffic: &'a Traffic,
    /// The most requests in flight that it carries as it is; `None` from a thousand million on.
    carries: Option<u64>,
}

impl<'a> Bound<'a> {
    fn of(limit: &'a Limit, have: u128, most: u128, traffic: &'a Traffic) -> Self {
        let bound = Self { limit, have, most: most.max(have), traffic, carries: None };
        Self { carries: bound.most_within(have), ..bound }
    }

    /// What so many requests in flight take; nothing if that cannot be said.
    fn need(&self, concurrency: u64) -> u128 {
        match (self.limit.need)(&self.traffic.scaled(concurrency)) {
            Amount::Of(need, _) => need,
            Amount::None | Amount::Unsaid(_) => 0,
        }
    }

    /// The most requests in flight that take no more than so much of it.
    fn most_within(&self, amount: u128) -> Option<u64> {
        largest(MOST, |concurrency| self.need(concurrency) <= amount)
    }

    /// The highest rate whose need fits, in thousandths. Of short-lived connections the rate counts more than what is in
    /// flight, of which there may be less than one.
    fn rate(&self) -> Option<u64> {
        self.traffic.rate?;
        largest(MOST * 1000, |rate| match (self.limit.need)(&self.traffic.at_rate(rate)) {
            Amount::Of(need, _) => need <= self.have,
            Amount::None | Amount::Unsaid(_) => true,
        })
    }

    /// The most requests in flight that it carries as far as it goes.
    fn end(&self) -> u64 {
        self.most_within(self.most).unwrap_or(MOST)
    }

    fn moved(&self, concurrency: u64) -> Move {
        let Limit { name, unit, rule, change, .. } = *self.limit;
        let ends = self.need(concurrency.saturating_add(1)) > self.most;
        let to = if ends { self.most } else { self.need(concurrency).clamp(self.have, self.most) };
        Move { limit: name, unit, rule, from: self.have, to, ends, change }
    }

    fn carried(&self, need: u128, source: String) -> Carried {
        let Limit { name, per, unit, rule, change, .. } = *self.limit;
        let slow_from = self.limit.slow.and_then(|percent| self.most_within(self.have.saturating_mul(percent) / 100));
        let (have, carries, rate) = (self.have, self.carries, self.rate());
        Carried { limit: name, per, unit, rule, have, source, need, carries, rate, slow_from, change }
    }
}

/// The largest number below `most` that fits, found by halving; `None` if `most` itself does.
fn largest(most: u64, fits: impl Fn(u64) -> bool) -> Option<u64> {
    if fits(most) {
        return None;
    }
    let (mut low, mut high) = (0, most);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if fits(middle) { &mut low } else { &mut high }) = middle;
    }
    Some(low)
}

/// Moves the limit that binds first to where the next one binds, then both to where the third one does, and so on, until
/// what is asked for is carried.
fn steps(bounds: &[Bound<'_>]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let Some(asked) = bounds.first().map(|bound| bound.traffic.concurrency) else { return steps };
    let mut carried = None;
    for (nth, bound) in bounds.iter().enumerate() {
        let Some(now) = bound.carries.filter(|_| steps.len() < STEPS) else { break };
        let (moved, rest) = bounds.split_at(nth + 1);
        let next = rest.first().filter(|bound| bound.carries.is_some());
        // Nobody asks for more than is asked for; where that is carried and nothing else binds, twice as much is as good a
        // goal as any.
        let goal = match next.and_then(|bound| bound.carries) {
            Some(binds) if asked > now => binds.min(asked),
            Some(binds) => binds,
            None if asked > now => asked,
            None => now.saturating_mul(2).clamp(1, MOST),
        };
        // Some cannot be moved as far.
        let ends = moved.iter().map(|bound| (bound.end(), bound));
        let (reached, next) = match ends.min_by_key(|(end, _)| *end) {
            Some((end, bound)) if end < goal => (end, Some(bound)),
            _ => (goal, next),
        };
        // Where two bind at once, moving one of them buys nothing.
        if reached == goal && reached == *carried.get_or_insert(now) {
            continue;
        }
        carried = Some(reached);
        let moves = moved.iter().map(|bound| bound.moved(reached)).collect();
        steps.push(Step { moves, carries: reached, next: next.map(|bound| bound.limit.name) });
        if reached < goal || reached >= asked {
            break;
        }
    }
    steps
}

/// The limits that still stand below what is asked for once the last step is made: those that go no further, and those
/// that no step moves.
fn standing(bounds: &[Bound<'_>], steps: &[Step]) -> Vec<Standing> {
    let Some(last) = steps.last() else { return Vec::new() };
    let stands = |bound: &Bound<'_>| {
        let (asked, end) = (bound.traffic.concurrency, bound.end());
        let moved = last.moves.iter().any(|moved| moved.limit == bound.limit.name);
        let carries = if end < asked { end } else { bound.carries.filter(|_| !moved)? };
        let Limit { name: limit, unit, change, .. } = *bound.limit;
        (carries < asked).then(|| Standing { limit, unit, need: bound.need(asked), carries, ends: end < asked, change })
    };
    let asked = |bound: &Bound<'_>| last.carries < bound.traffic.concurrency;
    bounds.iter().filter(|bound| asked(bound)).filter_map(stands).collect()
}
