//! Readings before the one that is judged.

use std::collections::BTreeMap;

use super::Sampling;
use crate::facts::{self, Wanted};
use crate::host::{Clock, Host};
use crate::model::check::Check;
use crate::model::facts::{Facts, Name, generalised};
use crate::model::rule::Rule;
use crate::model::window::Window;

/// What the readings before the last one showed.
pub(super) struct Seen {
    clock: Clock,
    /// Every number of the first reading.
    first: BTreeMap<Name, i128>,
    /// The highest use of each limit.
    peaks: BTreeMap<Name, i128>,
    uses: Vec<Name>,
}

/// Reads what counts and what is in use, all but the last time, and waits until that is due.
pub(super) fn watched<'a>(host: &dyn Host, rules: impl Iterator<Item = &'a Rule>, sampling: Sampling) -> Seen {
    let rules: Vec<&Rule> = rules.collect();
    let uses: Vec<Name> = rules.iter().filter_map(|rule| used(rule)).collect();
    let counters = rules.iter().flat_map(|rule| counters(rule));
    let mut wanted: Wanted = counters.chain(uses.iter().cloned()).collect();
    let clock = Clock::start();
    let first = numbers(&reading(host, wanted.clone()));
    let mut seen = Seen { clock, peaks: first.clone(), first, uses };
    wanted = seen.uses.iter().cloned().collect();
    for round in 1..sampling.count.max(2) - 1 {
        clock.wait_until(sampling.interval.saturating_mul(round));
        for (name, number) in numbers(&reading(host, wanted.clone())) {
            let peak = seen.peaks.entry(name).or_insert(number);
            *peak = number.max(*peak);
        }
    }
    clock.wait_until(sampling.interval.saturating_mul(sampling.count.max(2) - 1));
    seen
}

impl Seen {
    /// Puts the window, and the highest use where the last reading is lower, among the facts of the last reading. Gives
    /// the length of the window in milliseconds.
    pub(super) fn close(self, facts: &mut Facts) -> u64 {
        let milliseconds = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let of_use = |name: &Name| {
            let family = generalised(name);
            self.uses.iter().any(|used| used == name || family.as_deref() == Some(used))
        };
        for (name, peak) in self.peaks.iter().filter(|(name, _)| of_use(name)) {
            facts.raise(name, *peak);
        }
        // What follows from a use follows from its peak.
        facts.forget("time_wait.");
        facts::derive(facts);
        facts.look_back(Window { milliseconds, before: self.first });
        facts::narrow(facts);
        milliseconds
    }
}

/// The facts of a rule whose rise is evidence, or part of what is judged, or what that is a share of.
pub(crate) fn counters(rule: &Rule) -> impl Iterator<Item = Name> {
    let judged = matches!(rule.check, Check::NotRising { .. }).then_some(rule.fact);
    let beside = rule.evidence.iter().filter(|evidence| !evidence.plain).map(|evidence| evidence.fact);
    let traffic = match &rule.check {
        Check::NotRising { seldom: Some(seldom), .. } if seldom.always => Some(seldom.of),
        _ => None,
    };
    let counted = judged.into_iter().chain(traffic).chain(beside);
    let parts = counted.clone().chain([rule.fact]).flat_map(|fact| facts::parts_of(fact).iter().copied());
    counted.chain(parts).map(Name::from)
}

/// The fact of a rule that is a use of a limit.
fn used(rule: &Rule) -> Option<Name> {
    matches!(rule.check, Check::Usage { .. }).then(|| rule.fact.into())
}

fn reading(host: &dyn Host, wanted: Wanted) -> Facts {
    let mut facts = facts::none();
    facts::gather(host, wanted, &mut facts);
    facts::derive(&mut facts);
    facts
}

fn numbers(facts: &Facts) -> BTreeMap<Name, i128> {
    let numbers = facts.iter().filter_map(|(name, _)| Some((Name::from(name.to_owned()), facts.number(name).ok()?)));
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fact::Value;
    use crate::model::workload::{Role, Workload};

    #[test]
    fn what_follows_from_a_use_follows_from_its_peak() {
        const WAITING: &str = "sockstat.TCP.tw";
        let mut facts = Facts::default();
        facts.put(WAITING, Ok(Value::Number(100)), "");
        facts::declare(&mut facts, &Workload { connections: 1, ..Workload::none(Role::Client) });
        facts::derive(&mut facts);
        assert_eq!(facts.number("time_wait.most"), Ok(100));
        let peaks: BTreeMap<Name, i128> = [(Name::from(WAITING), 7600)].into();
        Seen { clock: Clock::start(), first: peaks.clone(), peaks, uses: vec![WAITING.into()] }.close(&mut facts);
        assert_eq!(facts.number("time_wait.most"), Ok(7600));
    }
}
