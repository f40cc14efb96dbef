//! The whole flow, from a host to a report.

mod fleet;
mod sample;

pub(crate) use fleet::fleet;
pub(crate) use sample::counters;

use std::time::Duration;

use thiserror::Error;

use crate::evaluate::{Context, evaluate, explain, kernel_of, tell_listener};
use crate::facts;
use crate::host::{Host, Live, Recorder};
use crate::model::fact::{Cause, Gap, Value};
use crate::model::facts::{Fact, Facts};
use crate::model::finding::{Finding, Outcome};
use crate::model::peer::Peers;
use crate::model::place::{Kind, Place};
use crate::model::recorded::Recorded;
use crate::model::report::Report;
use crate::model::rule::{Condition, Rule};
use crate::model::workload::{Role, Workload};
use crate::place;
use crate::remedy::{self, Situation, Wishes, recall};
use crate::rules::RuleSet;

/// Facts of the report's header.
const HEADER: [&str; 2] = ["cpu.online", "memory.total"];

/// Not one file could be read.
#[derive(Debug, Error)]
#[error("nothing could be read: {0}")]
pub struct NothingReadable(String);

/// A recorded report names a rule that is not known here.
#[derive(Debug, Error)]
#[error("there is no rule {0:?} here; a rule of your own comes in with --rules")]
pub struct NoSuchRule(String);

/// What was read, and where.
#[derive(Debug)]
pub struct Read {
    /// Every fact.
    pub facts: Facts,
    /// Where the audit stands.
    pub place: Place,
}

/// Reads what judging these rules needs, and derives what follows.
pub fn read<'a>(host: &dyn Host, rules: impl Iterator<Item = &'a Rule>, workload: &Workload) -> Read {
    let mut facts = facts::looking_for(0, host.process().is_some(), None);
    say_who_serves(&mut facts, workload);
    facts::gather(host, wanted(rules.flat_map(Rule::judged_by)), &mut facts);
    read_of(facts, workload)
}

/// Who may carry the load decides who is looked at.
fn say_who_serves(facts: &mut Facts, workload: &Workload) {
    let mut declared = facts.clone();
    facts::declare(&mut declared, workload);
    for name in ["workload.ports", "workload.role"] {
        facts.put(name, declared.value(name).cloned(), "");
    }
}

/// Whether tunecheck itself is in a container.
///
/// # Errors
/// Why nobody knows, a clause.
pub(crate) fn in_container() -> Result<bool, String> {
    let wanted = place::WANTED.iter().copied().collect();
    let mut facts = facts::none();
    facts::gather(&Live, wanted, &mut facts);
    let place = place::of(&facts);
    match place.kind {
        Kind::Container | Kind::Pod | Kind::HostNetworkPod => Ok(true),
        Kind::Unknown if place.is_guess() => Err(place.because.join("; ")),
        Kind::Host | Kind::Namespace | Kind::Unknown => Ok(false),
    }
}

/// What a place and the header of a report rest on, and these.
fn wanted(names: impl Iterator<Item = &'static str>) -> facts::Wanted {
    place::WANTED.iter().chain(&HEADER).copied().chain(names).collect()
}

/// Finds the place in what was gathered, and derives what follows for this load.
fn read_of(mut facts: Facts, workload: &Workload) -> Read {
    let place = place::of(&facts);
    place::describe(&place, &mut facts);
    facts::declare(&mut facts, workload);
    facts::derive(&mut facts);
    Read { facts, place }
}

/// Reads what saying and mending needs for these rules: only those that warn or fail, so that a healthy machine is not
/// asked for it.
pub fn read_more<'a>(host: &dyn Host, rules: impl Iterator<Item = &'a Rule>, read: &mut Read) {
    facts::gather(host, rules.flat_map(Rule::mended_by).collect(), &mut read.facts);
    facts::derive(&mut read.facts);
}

/// How often counters are read before they are judged, and how far apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// From one reading to the next.
    pub(crate) interval: Duration,
    /// Readings, the first and the last included.
    pub(crate) count: u32,
}

impl Sampling {
    /// From the first reading to the last, as it is meant to be.
    fn milliseconds(self) -> u64 {
        u64::try_from(self.interval.saturating_mul(self.count.saturating_sub(1)).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Audits a host: every rule, and for each warn or fail what to change.
///
/// # Errors
/// [`NothingReadable`], with what was tried. Anything less is in the report.
pub fn audit(host: &dyn Host, rules: &RuleSet, workload: &Workload) -> Result<Report, NothingReadable> {
    audit_over(host, rules, workload, Beside::default(), Told::Wrong)
}

/// What a report tells in full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Told {
    /// What warns or fails.
    Wrong,
    /// What holds as well: who listens is asked of a healthy machine too.
    Everything,
}

/// What is looked at beside the machine as it is now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beside<'a> {
    /// What counters do for a while.
    pub(crate) sampling: Option<Sampling>,
    /// What a peer said of itself.
    pub(crate) peers: Option<&'a Peers>,
    /// A service that carries the load, whether or not it runs.
    pub(crate) service: Option<&'a Service>,
    /// Whether the audited process was taken for all that are where it is, and named by nobody.
    pub(crate) unnamed: bool,
}

/// A service by its configuration.
#[derive(Debug)]
pub(crate) struct Service {
    /// Name of its unit.
    pub(crate) unit: String,
    /// Soft and hard limit on open files that the unit is configured to have; `i128::MAX` for infinity.
    pub(crate) nofile: (i128, i128),
}

impl Service {
    /// Puts its limits in the place of those of a process.
    fn describe(&self, facts: &mut Facts) {
        let limit = |number| Ok(if number == i128::MAX { Value::Unlimited } else { Value::Number(number) });
        let idle = || Err(Gap::new(Cause::Unsupported, format!("{} is judged by its unit", self.unit)));
        for (name, reading) in [
            ("limit.nofile.soft", limit(self.nofile.0)),
            ("limit.nofile.hard", limit(self.nofile.1)),
            ("process.meant", Ok(Value::Number(1))),
            ("process.fds", idle()),
            ("serving.process", Ok(Value::Text(self.unit.clone()))),
        ] {
            facts.put(name, reading, format!("LimitNOFILE of {}", self.unit));
        }
    }
}

/// As [`audit`]. With sampling, counters are judged by what they do meanwhile, and a use of a limit by the highest reading.
///
/// # Errors
/// [`NothingReadable`], with what was tried. Anything less is in the report.
pub(crate) fn audit_over(
    host: &dyn Host,
    rules: &RuleSet,
    workload: &Workload,
    beside: Beside<'_>,
    told: Told,
) -> Result<Report, NothingReadable> {
    let Beside { sampling, peers, service, unnamed } = beside;
    // What several stages need is asked once, so that all of them judge one moment.
    let once = Recorder::of_audit(host);
    let window = sampling.map_or(0, Sampling::milliseconds);
    let mut facts = facts::looking_for(window, host.process().is_some(), peers);
    if let Some(service) = service {
        service.describe(&mut facts);
    }
    if unnamed {
        facts.put("process.meant", Ok(Value::Number(0)), "");
    }
    let mut declared = facts.clone();
    facts::declare(&mut declared, workload);
    say_who_serves(&mut facts, workload);
    let mut asked: Vec<&Rule> = rules.iter().filter(|rule| may_apply(rule, workload.role, &declared)).collect();
    // What the place or a cheap fact rules out is not read. While counters are watched that is too early to tell.
    if sampling.is_none() {
        facts::gather(&once, wanted(asked.iter().flat_map(|rule| rule.applied_by())), &mut facts);
        place::describe(&place::of(&facts), &mut facts);
        asked.retain(|rule| may_apply(rule, workload.role, &facts));
    }
    let seen = sampling.map(|sampling| sample::watched(host, asked.iter().copied(), sampling));
    facts::gather(&once, wanted(asked.iter().flat_map(|rule| rule.judged_by())), &mut facts);
    let mut read = read_of(facts, workload);
    let window = seen.map(|seen| seen.close(&mut read.facts));
    // What a process has of its own can be read where nothing else of /proc is there (subset=pid).
    let of_machine = |source: &str| source.starts_with("/proc/") && !source.starts_with("/proc/self/");
    let readable = |(_, fact): (&str, &Fact)| fact.reading.is_ok() && of_machine(&fact.source);
    // A tree that has values of a kernel is a machine, whichever they are: what it lacks is unknown.
    let is_machine = || host.source() != "live" && host.list("/proc/sys").is_ok_and(|names| !names.is_empty());
    if !read.facts.iter().any(readable) && !is_machine() {
        return Err(nothing_readable(host));
    }
    let mut findings = evaluate(rules.iter(), context(&read, workload.role));
    let told = findings.iter().filter(|finding| match told {
        Told::Wrong => matches!(finding.outcome, Outcome::Warn | Outcome::Fail),
        Told::Everything => finding.outcome != Outcome::NotApplicable,
    });
    read_more(&once, told.filter_map(|finding| rules.get(finding.rule)), &mut read);
    mend(&mut findings, rules, &read, workload.role);
    let mut notes = once.notes();
    if workload.role != Role::Client && workload.ports.is_empty() {
        notes.push(
            "No service port is declared (--port): a backlog below the burst is a warning, not a failure, and none on loopback and port 22 while nothing was dropped there.".to_owned(),
        );
    }
    Ok(Report {
        source: host.source(),
        node: read.facts.text("kernel.node").map(str::to_owned),
        kernel: read.facts.text("kernel.release").map(str::to_owned),
        cpus: read.facts.number("cpu.online").ok(),
        memory: read.facts.number("memory.total").ok(),
        place: read.place,
        workload: workload.clone(),
        window,
        notes,
        findings,
    })
}

/// A recorded report as an audit would have made it: the changes are worked out anew from its figures.
///
/// # Errors
/// [`NoSuchRule`]: it names a rule that is not among `rules`.
pub fn recalled(recorded: &Recorded, rules: &RuleSet) -> Result<Report, NoSuchRule> {
    let mut facts = facts::none();
    recall::machine(recorded, &mut facts);
    place::describe(&recorded.place, &mut facts);
    facts::declare(&mut facts, &recorded.workload);
    let mut told = Vec::with_capacity(recorded.findings.len());
    for finding in recorded.asking() {
        told.push((rules.get(&finding.rule).ok_or_else(|| NoSuchRule(finding.rule.clone()))?, finding));
    }
    let mut findings: Vec<Finding> =
        told.iter().map(|(rule, finding)| recall::finding(rule, finding, &mut facts)).collect();
    told.retain(|(_, finding)| matches!(finding.outcome, Outcome::Warn | Outcome::Fail));
    recall::rest(&told, &mut facts);
    knobs(&mut facts);
    let read = Read { facts, place: recorded.place.clone() };
    let says: Vec<String> = findings.iter().map(|finding| finding.says.clone()).collect();
    mend(&mut findings, rules, &read, recorded.workload.role);
    // The sentences rest on facts that a report does not hold.
    for (finding, says) in findings.iter_mut().zip(says) {
        finding.says = says;
    }
    Ok(Report {
        source: "report".to_owned(),
        node: recorded.node.clone(),
        kernel: recorded.kernel.clone(),
        cpus: recorded.cpus,
        memory: recorded.memory,
        place: read.place,
        workload: recorded.workload.clone(),
        window: None,
        notes: vec![
            "Worked out from a recorded report: the figures are those of then, the sentences its own.".to_owned(),
        ],
        findings,
    })
}

/// Works out what follows from who listens, from what a peer takes and from how full the conntrack table is. Nothing else is:
/// the figures of a report stand as they are.
fn knobs(facts: &mut Facts) {
    let mut derived = facts.clone();
    facts::derive(&mut derived);
    let follows = |name: &str| ["listener[", "h2.", "conntrack.wanted"].iter().any(|start| name.starts_with(start));
    for (name, fact) in derived.iter().filter(|(name, _)| follows(name)) {
        if facts.get(name).is_none() {
            facts.put(name.to_owned(), fact.reading.clone(), fact.source.clone());
        }
    }
}

/// Says what is wrong and what to change, for everything that warns or fails.
pub(crate) fn mend(findings: &mut [Finding], rules: &RuleSet, read: &Read, role: Role) {
    let situation = Situation { facts: &read.facts, place: &read.place, catalogue: facts::catalogue() };
    let told = findings.iter().filter_map(|finding| Some((rules.get(finding.rule)?, finding)));
    let wishes = Wishes::of(told, situation);
    let urgent = |finding: &&mut Finding| matches!(finding.outcome, Outcome::Warn | Outcome::Fail);
    for finding in findings.iter_mut().filter(urgent) {
        if let Some(rule) = rules.get(finding.rule) {
            explain(rule, finding, context(read, role));
            finding.fix = remedy::actions(rule, finding, &wishes, situation);
        }
    }
    findings.iter_mut().for_each(|finding| tell_listener(finding, &read.facts));
}

/// Whether what is known so far leaves a rule applicable. What does not apply is not read either.
pub(crate) fn may_apply(rule: &Rule, role: Role, known: &Facts) -> bool {
    let fails = |condition: &Condition| known.value(condition.fact).is_ok_and(|value| !condition.test.holds(value));
    let other_kernel = || kernel_of(known).is_some_and(|kernel| rule.kernel.excludes(kernel).is_some());
    rule.asks(role) && !rule.when.iter().any(fails) && !other_kernel()
}

pub(crate) fn context(read: &Read, role: Role) -> Context<'_> {
    Context { facts: &read.facts, place: &read.place, catalogue: facts::catalogue(), role }
}

/// Why, in the host's own words: by now the facts may blame a kernel or a namespace that nobody could see.
fn nothing_readable(host: &dyn Host) -> NothingReadable {
    const TRIED: &str = "/proc/sys/net/core/somaxconn";
    let gap = host.read(TRIED).err().map(|refusal| refusal.gap(TRIED));
    let why = gap.as_ref().map(|gap| gap.why.as_str()).unwrap_or_default();
    NothingReadable(match (host.source().as_str(), gap.as_ref().map(|gap| gap.cause)) {
        ("live", Some(Cause::Absent)) => {
            format!("{why}. Is /proc mounted here, and whole? (mount -t proc proc /proc, without subset=pid)")
        }
        ("live", _) => why.to_owned(),
        (source, _) => format!(
            "{source} holds nothing that an audit reads: no {TRIED} and nothing else of a running kernel ({why}). Files below /etc alone are not judged; tunecheck snapshot DIR on the machine records what is needed"
        ),
    })
}

#[cfg(test)]
mod tests;
