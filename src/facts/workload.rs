//! The declared load as facts, so that a bound can name it.

use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::peer::Peers;
use crate::model::ports::Ports;
use crate::model::window::seconds;
use crate::model::workload::Workload;

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit: Unit::Count, scope: Scope::Host, meaning, read: "declared", document: "tunecheck audit --help" }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry { unit: Unit::Text, ..entry("workload.role", "client, server or gateway") },
    Entry { unit: Unit::Ports, scope: Scope::Netns, ..entry("workload.ports", "ports that the service listens on") },
    Entry {
        unit: Unit::Milliseconds,
        ..entry("window.milliseconds", "how long counters are looked at (--sample, watch); 0 where they are read once")
    },
    Entry { unit: Unit::Text, ..entry("window.words", "that time, in words") },
    Entry {
        unit: Unit::Mode,
        scope: Scope::Process,
        read: "--pid",
        ..entry("process.chosen", "1: another process than tunecheck itself is audited")
    },
    entry("workload.connections", "connections open at the same time"),
    entry("workload.burst", "new connections before the application calls accept() again"),
    entry("workload.destinations", "address:port pairs that outgoing connections go to"),
    entry("workload.source_addresses", "addresses of this machine that outgoing connections are spread over"),
    entry("workload.streams", "concurrent HTTP/2 streams on one connection"),
    entry("workload.incoming", "connections that arrive here"),
    entry("workload.outgoing", "connections opened here"),
    entry("workload.short_lived", "thousandths of a connection per second that has a request of its own"),
    entry("workload.sockets", "sockets that carry the load: incoming and outgoing"),
    entry(
        "workload.tracked",
        "connections that conntrack knows at once: the sockets, and short-lived ones for 180 s more",
    ),
    entry(
        "workload.queue",
        "connections that the queues of a listener should hold: 65,535 from 6,000 connections or a burst of 600 on, else all of them",
    ),
    entry("workload.files_at_least", "files that a process cannot do without: its sockets and 256 more"),
    entry(
        "workload.files",
        "files that a process should be allowed: 65,535 from 6,000 connections on (of a client 1,000), else twice the load",
    ),
    entry(
        "workload.entries",
        "conntrack entries there should be room for: 262,144 from 6,000 connections on where the memory is above 4 GiB, else twice the load",
    ),
];

/// The facts of a run that looks at counters for so many milliseconds, 0 for one that reads them once; `chosen` if it
/// audits another process than tunecheck itself; with what a peer said, if one was asked.
pub fn looking_for(milliseconds: u64, chosen: bool, peers: Option<&Peers>) -> Facts {
    let mut facts = super::none();
    let words =
        if milliseconds == 0 { "since the beginning".to_owned() } else { format!("in {}", seconds(milliseconds)) };
    facts.put("window.milliseconds", Ok(Value::Number(milliseconds.into())), "");
    facts.put("process.chosen", Ok(Value::Number(chosen.into())), "");
    facts.put("window.words", Ok(Value::Text(words)), "");
    super::peer::put(&mut facts, peers);
    facts
}

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
        source_addresses: given("workload.source_addresses", workload.source_addresses),
        streams: given("workload.streams", workload.streams),
        short_lived: given("workload.short_lived", workload.short_lived),
        outgoing: facts.number("workload.outgoing").ok().and_then(|n| u64::try_from(n).ok()).or(workload.outgoing),
        ..workload.clone()
    };
    let numbers = [
        ("workload.connections", workload.connections),
        ("workload.burst", workload.burst),
        ("workload.destinations", workload.destinations),
        ("workload.source_addresses", workload.source_addresses),
        ("workload.streams", workload.streams),
        ("workload.incoming", workload.incoming()),
        ("workload.outgoing", workload.outgoing()),
        ("workload.sockets", workload.sockets()),
        ("workload.tracked", workload.tracked()),
        ("workload.short_lived", workload.short_lived),
        ("workload.queue", workload.queue()),
        ("workload.files_at_least", workload.files_at_least()),
        ("workload.files", workload.files()),
        ("workload.entries", workload.entries(facts.number("memory.total").ok())),
    ];
    let numbers = numbers.map(|(name, number)| (name.to_owned(), Value::Number(number.into())));
    let role = ("workload.role".to_owned(), Value::Text(workload.role.word().into()));
    let bursts = super::bursts::of_listeners(facts, &workload);
    let ports = workload.ports.iter().fold(Ports::default(), |all, &port| all.union(&Ports::range(port, port)));
    let ports = ("workload.ports".to_owned(), Value::Ports(ports));
    let all: Vec<(String, Value)> = numbers.into_iter().chain([role, ports]).chain(bursts).collect();
    for (name, value) in all {
        if facts.get(&name).is_none() {
            facts.put(name, Ok(value), "");
        }
    }
    silent_ports(facts, &workload);
}

/// Why a declared port without a listener has no accept queue.
fn silent(facts: &Facts, port: u16) -> Gap {
    match facts.ports("udp.ports").is_ok_and(|ports| ports.contains(port)) {
        true => Gap::new(Cause::Absent, format!("declared port {port} is one of UDP here, which has no accept queue")),
        false => Gap::new(Cause::Unsupported, format!("nothing listens on declared port {port} here")),
    }
}

/// A declared port without a listener is a subject of its own: nothing can be said of its backlog, and saying nothing
/// would read as if it were fine.
fn silent_ports(facts: &mut Facts, workload: &Workload) {
    if facts.value("listeners.count").is_err() {
        return;
    }
    let subjects = facts.subjects("listener[*].port");
    let listening: Vec<i128> =
        subjects.iter().filter_map(|subject| facts.number(&format!("listener[{subject}].port")).ok()).collect();
    for port in workload.ports.iter().filter(|&&port| !listening.contains(&port.into())) {
        let gap = silent(facts, *port);
        for key in ["backlog", "drops"] {
            facts.put(format!("listener[*:{port}].{key}"), Err(gap.clone()), "sock_diag");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::Role;

    fn on(ports: &[u16]) -> Workload {
        Workload { connections: 1, burst: 1, ports: ports.to_vec(), ..Workload::none(Role::Server) }
    }

    #[test]
    fn a_declared_port_without_a_listener_is_unknown_and_still_busy() {
        let mut facts = Facts::default();
        facts.put("listeners.count", Ok(Value::Number(1)), "");
        facts.put("listener[0.0.0.0:22].port", Ok(Value::Number(22)), "");
        facts.put("listener[0.0.0.0:22].backlog", Ok(Value::Number(128)), "");
        facts.put("kubernetes.node", Ok(Value::Number(0)), "");
        facts.put("sysctl.net.ipv4.ip_local_port_range", Ok(Value::Numbers(vec![32768, 60999])), "");
        facts.put("udp.ports", Ok(Value::Ports("20053,40053".parse().unwrap())), "");
        declare(&mut facts, &on(&[22, 18443]));
        assert_eq!(facts.subjects("listener[*].backlog"), ["*:18443", "0.0.0.0:22"]);
        assert_eq!(facts.value("listener[*:18443].backlog").unwrap_err().cause, Cause::Unsupported);
        super::super::derive(&mut facts);
        assert_eq!(facts.ports("ports.busy").unwrap().to_string(), "18443,20053");
    }

    #[test]
    fn listeners_that_were_not_read_are_not_missing() {
        let mut facts = Facts::default();
        declare(&mut facts, &on(&[8443]));
        assert!(facts.subjects("listener[*].backlog").is_empty());
    }
}
