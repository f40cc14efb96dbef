//! Workload files: the load of one pod, and the traffic of all of them behind it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Problem, parse};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::{Role, Workload, thousandths};

/// Most of anything that a workload can declare.
const MOST: u64 = 1_000_000_000;

/// What `tunecheck plan` writes, and this takes.
const SCHEMA: &str = "tunecheck.plan/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a workload file: a map with role, connections, burst and the like")]
struct WorkloadFile {
    #[serde(rename = "title")]
    _title: Option<String>,
    role: Option<Role>,
    connections: Option<u64>,
    burst: Option<u64>,
    destinations: Option<u64>,
    source_addresses: Option<u64>,
    streams: Option<u64>,
    outgoing: Option<u64>,
    /// Requests per second that have a connection of their own each.
    short_lived_per_second: Option<f64>,
    ports: Option<Vec<u16>>,
    /// What the numbers above were worked out from, for `tunecheck plan`.
    traffic: Option<TrafficFile>,
    /// What `tunecheck plan` found out; nothing reads it again.
    #[serde(rename = "needs")]
    _needs: Option<IgnoredAny>,
    #[serde(rename = "settings")]
    _settings: Option<IgnoredAny>,
    #[serde(rename = "capacity")]
    _capacity: Option<IgnoredAny>,
    schema: Option<String>,
    #[serde(rename = "tunecheck")]
    _tunecheck: Option<IgnoredAny>,
}

/// Traffic of all pods together, as `tunecheck plan` writes it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct TrafficFile {
    requests_in_flight: Option<u64>,
    requests_per_second: Option<f64>,
    seconds_in_flight: Option<f64>,
    protocol: Option<Protocol>,
    incoming_streams: Option<u64>,
    short_lived: bool,
    response_bytes: Option<u64>,
    request_bytes: Option<u64>,
    chunk_bytes: Option<u64>,
    pods: Option<u64>,
    nodes: Option<u64>,
    nat_addresses: Option<u64>,
    link_bits_per_second: Option<u64>,
}

/// Reads a workload file over the numbers of `base`.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn workload(text: &str, base: impl Fn(Role) -> Workload) -> Result<Workload, Problem> {
    let typed: WorkloadFile = parse(text)?;
    match typed.traffic {
        Some(_) => behind(text, typed, base).map(|traffic| traffic.workload()),
        None => meaning(text, &typed, base),
    }
}

/// Reads a workload file as traffic: what it says of that, and the load of one pod where it says nothing.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn traffic(text: &str, base: impl Fn(Role) -> Workload) -> Result<Traffic, Problem> {
    behind(text, parse(text)?, base)
}

fn behind(text: &str, typed: WorkloadFile, base: impl Fn(Role) -> Workload) -> Result<Traffic, Problem> {
    let load = meaning(text, &typed, base)?;
    let stated = typed.traffic.unwrap_or_default();
    let numbers = [
        ("requests_in_flight", stated.requests_in_flight),
        ("incoming_streams", stated.incoming_streams),
        ("response_bytes", stated.response_bytes),
        ("request_bytes", stated.request_bytes),
        ("chunk_bytes", stated.chunk_bytes),
        ("pods", stated.pods),
        ("nodes", stated.nodes),
        ("nat_addresses", stated.nat_addresses),
        ("link_bits_per_second", stated.link_bits_per_second.map(|bits| bits.min(MOST))),
    ];
    within(text, &numbers)?;
    let one_pod = Traffic::of(&load);
    let pods = stated.pods.unwrap_or(1);
    let of_all = |number: u64| number.saturating_mul(pods);
    let rate = parts(text, "requests_per_second", stated.requests_per_second, 1000.0)?;
    let traffic = Traffic {
        concurrency: stated.requests_in_flight.unwrap_or(of_all(one_pod.concurrency)),
        rate: rate.or(one_pod.rate.map(of_all)),
        microseconds: parts(text, "seconds_in_flight", stated.seconds_in_flight, 1e6)?.or(one_pod.microseconds),
        protocol: stated.protocol.unwrap_or(one_pod.protocol),
        incoming_streams: stated.incoming_streams.unwrap_or(one_pod.incoming_streams),
        short_lived: stated.short_lived || one_pod.short_lived,
        burst: of_all(one_pod.burst),
        outgoing: one_pod.outgoing.map(of_all),
        response_bytes: stated.response_bytes,
        request_bytes: stated.request_bytes,
        chunk_bytes: stated.chunk_bytes,
        pods,
        nodes: stated.nodes.unwrap_or(1),
        nat_addresses: stated.nat_addresses.unwrap_or(1),
        link_bits: stated.link_bits_per_second,
        ..one_pod
    };
    if traffic.concurrency > MOST {
        return Err(Problem::at(text, "streams", format!("this comes to more than {MOST} requests in flight")));
    }
    if traffic.short_lived && traffic.rate.is_none() {
        let what = "short_lived needs requests_per_second: what has ended is counted by it";
        return Err(Problem::at(text, "short_lived", what));
    }
    // Where both are said, they have to say the same: an audit and a plan are to take one load from one file.
    let one_pod = traffic.workload();
    let short_lived = parts(text, "short_lived_per_second", typed.short_lived_per_second, 1000.0)?;
    let differs = |key: &str, said: String, comes_to: String| {
        let what = format!("{key} is {said}, and traffic comes to {comes_to}: change traffic, or take {key} out");
        Err(Problem::at(text, key, what))
    };
    match (typed.connections, short_lived) {
        (Some(said), _) if said != one_pod.connections => {
            differs("connections", said.to_string(), one_pod.connections.to_string())
        }
        (_, Some(said)) if said != one_pod.short_lived => {
            differs("short_lived_per_second", thousandths(said), thousandths(one_pod.short_lived))
        }
        _ => Ok(traffic),
    }
}

/// A decimal number in its smallest parts.
fn parts(text: &str, key: &str, number: Option<f64>, of_one: f64) -> Result<Option<u64>, Problem> {
    let Some(number) = number else { return Ok(None) };
    let parts = (number * of_one).round();
    // What is no number fails both comparisons.
    if parts >= 1.0 && number <= MOST as f64 {
        // Positive and below 2^53, so exact.
        return Ok(Some(parts as u64));
    }
    Err(Problem::at(text, key, format!("{key} is a number above 0, up to {MOST}")))
}

/// That each number is one that somebody can mean.
fn within(text: &str, numbers: &[(&str, Option<u64>)]) -> Result<(), Problem> {
    match numbers.iter().find(|(_, number)| number.is_some_and(|number| !(1..=MOST).contains(&number))) {
        Some((key, _)) => Err(Problem::at(text, key, format!("{key} is a number from 1 to {MOST}"))),
        None => Ok(()),
    }
}

fn meaning(text: &str, typed: &WorkloadFile, base: impl Fn(Role) -> Workload) -> Result<Workload, Problem> {
    if typed.schema.as_ref().is_some_and(|schema| schema != SCHEMA) {
        return Err(Problem::at(text, "schema", format!("only {SCHEMA} is a workload file as well")));
    }
    let least = [
        ("connections", typed.connections),
        ("burst", typed.burst),
        ("destinations", typed.destinations),
        ("source_addresses", typed.source_addresses),
        ("streams", typed.streams),
        ("outgoing", typed.outgoing.map(|n| n.max(1))),
    ];
    within(text, &least)?;
    if typed.ports.as_ref().is_some_and(|ports| ports.contains(&0)) {
        return Err(Problem::at(text, "ports", "nothing listens on port 0"));
    }
    let base = base(typed.role.unwrap_or_default());
    let load = Workload {
        role: base.role,
        connections: typed.connections.unwrap_or(base.connections),
        burst: typed.burst.unwrap_or(base.burst),
        destinations: typed.destinations.unwrap_or(base.destinations),
        source_addresses: typed.source_addresses.unwrap_or(base.source_addresses),
        streams: typed.streams.unwrap_or(base.streams),
        outgoing: typed.outgoing.or(base.outgoing),
        short_lived: parts(text, "short_lived_per_second", typed.short_lived_per_second, 1000.0)?
            .unwrap_or(base.short_lived),
        ports: typed.ports.clone().unwrap_or(base.ports),
    };
    Ok(if typed.connections.is_some() && typed.burst.is_none() { load.burst_unstated() } else { load })
}
