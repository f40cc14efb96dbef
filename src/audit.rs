//! The whole flow, from a host to a report.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::evaluate::{Context, evaluate};
use crate::facts;
use crate::host::Host;
use crate::model::facts::Facts;
use crate::model::place::Place;
use crate::model::report::Report;
use crate::model::workload::Workload;
use crate::place;
use crate::remedy::{self, Situation};
use crate::rules::RuleSet;

/// Facts of the report's header.
const HEADER: [&str; 2] = ["cpu.online", "memory.total"];

/// Not one file could be read.
#[derive(Debug, Error)]
#[error("nothing could be read: {0}")]
pub struct NothingReadable(String);

/// Reads what the rules and the place want, and derives what follows.
pub fn facts_of(host: &dyn Host, rules: &RuleSet, workload: &Workload) -> (Facts, Place) {
    let mut wanted: BTreeSet<String> = rules.wanted();
    wanted.extend(place::WANTED.iter().chain(&HEADER).map(|name| (*name).to_owned()));
    let mut facts = facts::gather(host, &wanted);
    let place = place::of(&facts);
    place::describe(&place, &mut facts);
    facts::declare(&mut facts, workload);
    facts::derive(&mut facts);
    (facts, place)
}

/// Audits a host: every rule, and for each warn or fail what to change.
///
/// # Errors
/// [`NothingReadable`], with what was tried. Anything less is in the report.
pub fn audit(host: &dyn Host, rules: &RuleSet, workload: &Workload) -> Result<Report, NothingReadable> {
    let (facts, place) = facts_of(host, rules, workload);
    let read = facts.iter().any(|(_, fact)| fact.reading.is_ok() && fact.source.starts_with("/proc/"));
    if !read {
        let somaxconn = facts.value("sysctl.net.core.somaxconn").err().map(|gap| gap.to_string()).unwrap_or_default();
        return Err(NothingReadable(match host.source().as_str() {
            "live" => format!("{somaxconn}. Is /proc mounted here? (mount -t proc proc /proc)"),
            source => format!("{source} holds nothing that an audit reads ({somaxconn})"),
        }));
    }
    let catalogue = facts::catalogue();
    let context = Context { facts: &facts, place: &place, catalogue: &catalogue, role: workload.role };
    let situation = Situation { facts: &facts, place: &place, catalogue: &catalogue };
    let mut findings = evaluate(rules.iter(), context);
    for finding in &mut findings {
        if let Some(rule) = rules.get(&finding.rule) {
            finding.fix = remedy::actions(rule, finding, situation);
        }
    }
    let mut notes = host.notes();
    if workload.role != crate::model::workload::Role::Client && workload.ports.is_empty() {
        notes.push(
            "No service port is declared (--port): a backlog below the burst is a warning, not a failure.".to_owned(),
        );
    }
    Ok(Report {
        source: host.source(),
        node: facts.text("kernel.node").map(str::to_owned),
        kernel: facts.text("kernel.release").map(str::to_owned),
        cpus: facts.number("cpu.online").ok(),
        memory: facts.number("memory.total").ok(),
        place,
        workload: workload.clone(),
        notes,
        findings,
    })
}
