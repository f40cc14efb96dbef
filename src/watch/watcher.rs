//! Reads every limit that is watched, as often as it is asked.

use std::collections::BTreeMap;

use crate::audit::{Read, context, counters, may_apply, mend};
use crate::evaluate::evaluate;
use crate::facts::{self, Wanted};
use crate::host::Host;
use crate::model::check::Check;
use crate::model::facts::{Fact, Facts, Name, generalised};
use crate::model::finding::{Finding, Outcome};
use crate::model::place::Place;
use crate::model::rule::Rule;
use crate::model::watch::{Meter, Rise, State, Tick, Watch};
use crate::model::window::Window;
use crate::model::workload::Workload;
use crate::place;
use crate::rules::RuleSet;

/// Tells that listeners were read, so that one which was not among them is new.
const LISTENERS: &str = "listeners.count";

/// Reads the limits of one place.
pub(crate) struct Watcher<'a> {
    host: &'a dyn Host,
    rules: &'a RuleSet,
    watched: Vec<&'a Rule>,
    wanted: Wanted,
    counters: Wanted,
    workload: &'a Workload,
    place: Place,
    node: Option<String>,
    before: Option<(u64, BTreeMap<Name, i128>)>,
}

impl<'a> Watcher<'a> {
    /// Looks once at where it stands.
    pub(crate) fn new(host: &'a dyn Host, rules: &'a RuleSet, workload: &'a Workload) -> Self {
        let mut declared = facts::looking_for(1, host.process().is_some(), None);
        facts::declare(&mut declared, workload);
        let watched: Vec<&Rule> =
            rules.iter().filter(|rule| rule.watch.is_some() && may_apply(rule, workload.role, &declared)).collect();
        let mut standing = facts::none();
        facts::gather(host, place::WANTED.iter().copied().collect(), &mut standing);
        let place = place::of(&standing);
        let node = standing.text("kernel.node").map(str::to_owned);
        let wanted = watched.iter().flat_map(|rule| rule.judged_by()).collect();
        let counters = watched.iter().flat_map(|rule| counters(rule)).collect();
        Self { host, rules, watched, wanted, counters, workload, place, node, before: None }
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The name of the machine, if it has one.
    pub(crate) fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// The declared load.
    pub(crate) fn workload(&self) -> &Workload {
        self.workload
    }

    /// Reads every limit at a time in milliseconds. `hit` is told of each limit that refuses, with what the rule says of it
    /// and what to change, if it asks for that.
    pub(crate) fn tick(&mut self, at: u64, mut hit: impl FnMut(&Meter) -> bool) -> (Tick, Vec<Finding>) {
        let window = self.before.as_ref().map(|(then, _)| at.saturating_sub(*then).max(1));
        let mut facts = facts::looking_for(window.unwrap_or(1), self.host.process().is_some(), None);
        facts::gather(self.host, self.wanted.clone(), &mut facts);
        place::describe(&self.place, &mut facts);
        facts::declare(&mut facts, self.workload);
        facts::derive(&mut facts);
        let numbers = self.numbers(&facts);
        if let (Some(milliseconds), Some((_, before))) = (window, self.before.take()) {
            facts.look_back(Window { milliseconds, before });
            facts::narrow(&mut facts);
        }
        self.before = Some((at, numbers));
        let mut read = Read { facts, place: self.place.clone() };
        let findings = evaluate(self.watched.iter().copied(), context(&read, self.workload.role));
        let mut meters = Vec::with_capacity(findings.len());
        let mut asked = Vec::new();
        for finding in findings {
            let rule = self.watched.iter().find(|rule| rule.id == finding.rule);
            let Some((rule, watch)) = rule.and_then(|rule| Some((rule, rule.watch.as_ref()?))) else { continue };
            let Some(meter) = meter(rule, watch, &finding) else { continue };
            if meter.state == State::Hit && hit(&meter) {
                asked.push(finding);
            }
            meters.push(meter);
        }
        if !asked.is_empty() {
            self.explain(&mut asked, &mut read);
        }
        meters.sort_by_key(|meter| std::cmp::Reverse((meter.state, meter.share)));
        (Tick { at, meters }, asked)
    }

    /// Says of a limit that was hit what to change. That it warns or fails is what being hit means.
    fn explain(&self, findings: &mut [Finding], read: &mut Read) {
        for finding in findings.iter_mut() {
            finding.outcome = finding.outcome.max(Outcome::Warn);
        }
        let rules = findings.iter().filter_map(|finding| self.rules.get(finding.rule)).collect::<Vec<_>>();
        crate::audit::read_more(self.host, rules.into_iter(), read);
        mend(findings, self.rules, read, self.workload.role);
    }

    fn numbers(&self, facts: &Facts) -> BTreeMap<Name, i128> {
        let counted = |name: &str| {
            let of_family = || generalised(name).is_some_and(|family| self.counters.contains(family.as_str()));
            name == LISTENERS || self.counters.contains(name) || of_family()
        };
        let number = |(name, _): (&str, &Fact)| Some((Name::from(name.to_owned()), facts.number(name).ok()?));
        facts.iter().filter(|(name, _)| counted(name)).filter_map(number).collect()
    }
}

/// A finding as a limit; none where the rule does not apply.
fn meter(rule: &Rule, watch: &Watch, finding: &Finding) -> Option<Meter> {
    if finding.outcome == Outcome::NotApplicable {
        return None;
    }
    let counts = matches!(rule.check, Check::NotRising { .. });
    let mut rises: Vec<Rise> = finding
        .evidence
        .iter()
        .zip(rule.evidence)
        .filter(|(proof, evidence)| !evidence.plain && proof.rise.is_some_and(|rise| rise > 0))
        .map(|(proof, evidence)| Rise { fact: proof.fact.clone(), what: evidence.says, by: proof.rise.unwrap_or(0) })
        .collect();
    rises.extend(finding.rise.filter(|&rise| rise > 0).map(|by| Rise {
        fact: finding.fact.clone(),
        what: Rise::OWN,
        by,
    }));
    let refused =
        finding.evidence.iter().zip(rule.evidence).any(|(proof, evidence)| {
            (evidence.rising_fails || evidence.fails) && proof.rise.is_some_and(|rise| rise > 0)
        });
    // In a window in which nothing was counted a share is still that since the beginning, as in the first reading.
    let parts = facts::parts_of(rule.fact);
    let before = parts.first().is_some_and(|part| !rises.iter().any(|rise| &*rise.fact == *part));
    let state = match (&rule.check, finding.outcome) {
        (_, Outcome::Unknown) => State::Unknown,
        (Check::NotRising { .. }, _) if finding.rise.is_some_and(|rise| rise > 0) => State::Hit,
        // A total only has happened.
        (Check::NotRising { .. }, _) => State::Calm,
        _ if before => State::Calm,
        (_, Outcome::Warn | Outcome::Fail) if watch.saturation => State::Short,
        // Nobody is refused before the last one is taken, unless the rule's own counter says so.
        (Check::Usage { .. }, Outcome::Fail) if finding.share >= Some(100) || refused => State::Hit,
        (Check::Usage { .. }, Outcome::Warn | Outcome::Fail) => State::Near,
        // Of a share over a span of time there is only one bound.
        (_, Outcome::Warn | Outcome::Fail) => State::Hit,
        _ => State::Calm,
    };
    Some(Meter {
        rule: rule.id,
        limit: watch.limit,
        stage: watch.stage,
        subject: finding.subject.clone(),
        used: finding.now.as_ref().and_then(|value| value.limit()),
        of: if counts { None } else { finding.want.limit },
        share: finding.share,
        unit: finding.unit,
        rises,
        state,
        gap: finding.gap.as_ref().map(|gap| gap.why.clone()),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::host::{Answer, Ask, Query, Refusal};
    use crate::model::workload::Role;

    /// A machine whose conntrack table is full, and has dropped so many packets.
    struct Full(Cell<u32>);

    impl Host for Full {
        fn ask(&self, query: Query<'_>) -> Answer {
            let text = match (query.ask, query.of) {
                (
                    Ask::Read,
                    "/proc/sys/net/netfilter/nf_conntrack_count" | "/proc/sys/net/netfilter/nf_conntrack_max",
                ) => "1000\n".to_owned(),
                (Ask::Read, "/proc/net/stat/nf_conntrack") => {
                    let drops = self.0.get();
                    format!("entries insert_failed drop early_drop chainlength\n3e8 0 {drops:x} 0 0\n")
                }
                (Ask::Uname, _) => "node\n6.18.44\nx86_64".to_owned(),
                _ => return Err(Refusal::Errno(2)),
            };
            Ok(text.into_bytes())
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn drops_of_a_full_table_are_a_hit_while_they_rise() {
        let (host, rules) = (Full(Cell::new(7)), RuleSet::built_in());
        let load = Workload { connections: 100, ..Workload::none(Role::Gateway) };
        let mut watcher = Watcher::new(&host, &rules, &load);
        let mut state = |at, drops| {
            host.0.set(drops);
            let (tick, _) = watcher.tick(at, |_| false);
            let found = tick.meters.iter().find(|meter| meter.rule == "conntrack/drops").unwrap();
            (found.state, found.rises.iter().find(|rise| rise.what == Rise::OWN).map(|rise| rise.by))
        };
        assert_eq!(state(0, 7), (State::Calm, None), "what was dropped before");
        assert_eq!(state(200, 37), (State::Hit, Some(30)));
        assert_eq!(state(400, 37), (State::Calm, None));
    }
}
