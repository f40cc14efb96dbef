//! The declared load as facts, so that a bound can name it.

use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::workload::Workload;

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit: Unit::Count, scope: Scope::Host, meaning, read: "declared", document: "tunecheck audit --help" }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry { unit: Unit::Text, ..entry("workload.role", "client, server or gateway") },
    entry("workload.connections", "connections open at the same time"),
    entry("workload.burst", "new connections before the application calls accept() again"),
    entry("workload.destinations", "address:port pairs that outgoing connections go to"),
    entry("workload.streams", "concurrent HTTP/2 streams on one connection"),
    entry("workload.incoming", "connections that arrive here"),
    entry("workload.outgoing", "connections opened here"),
    entry("workload.sockets", "sockets that carry the load: incoming and outgoing"),
    entry("workload.per_destination", "outgoing connections toward one destination"),
];

/// Puts the declared load among the facts. Numbers that are there already, as in a worked example, take its place.
pub fn declare(facts: &mut Facts, workload: &Workload) {
    let given = |name: &str, declared: u64| match facts.number(name) {
        Ok(number) => u64::try_from(number).unwrap_or(declared),
        Err(_) => declared,
    };
    let workload = Workload {
        connections: given("workload.connections", workload.connections),
        burst: given("workload.burst", workload.burst),
        destinations: given("workload.destinations", workload.destinations),
        streams: given("workload.streams", workload.streams),
        outgoing: facts.number("workload.outgoing").ok().and_then(|n| u64::try_from(n).ok()).or(workload.outgoing),
        ..workload.clone()
    };
    let numbers = [
        ("workload.connections", workload.connections),
        ("workload.burst", workload.burst),
        ("workload.destinations", workload.destinations),
        ("workload.streams", workload.streams),
        ("workload.incoming", workload.incoming()),
        ("workload.outgoing", workload.outgoing()),
        ("workload.sockets", workload.sockets()),
        ("workload.per_destination", workload.per_destination()),
    ];
    let numbers = numbers.map(|(name, number)| (name.to_owned(), Value::Number(number.into())));
    let role = ("workload.role".to_owned(), Value::Text(workload.role.word().into()));
    let bursts = facts.subjects("listener[*].backlog").into_iter().flat_map(|subject| {
        let port = facts.number(&format!("listener[{subject}].port")).unwrap_or_default();
        let declared = workload.ports.iter().any(|&declared| i128::from(declared) == port);
        let burst = |comes: bool| Value::Number(if comes { workload.burst.into() } else { 0 });
        [
            (format!("listener[{subject}].declared_burst"), burst(declared)),
            (format!("listener[{subject}].possible_burst"), burst(declared || workload.ports.is_empty())),
        ]
    });
    let all: Vec<(String, Value)> = numbers.into_iter().chain([role]).chain(bursts).collect();
    for (name, value) in all {
        if facts.get(&name).is_none() {
            facts.put(name, Ok(value), "");
        }
    }
}
