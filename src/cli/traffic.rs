//! What was said of the traffic, put together: the file or the role's defaults, then the flags.

use std::time::Duration;

use anyhow::{Result, bail};

use super::args::TrafficArgs;
use super::settings;
use crate::model::traffic::{Protocol, Share, Traffic, in_flight, rate, time};
use crate::model::workload::Role;
use crate::rules::RuleSet;

/// Streams of HTTP/2 where nothing says how many: what RFC 9113 asks every peer to allow at least, and the default of many.
pub(super) const STREAMS: u64 = 100;
/// Most requests in flight that anybody can mean.
const MOST: u64 = 1_000_000_000;

/// The traffic that was declared.
pub(super) fn traffic(args: &TrafficArgs, rules: &RuleSet) -> Result<Traffic> {
    let base = match args.role {
        Some(role) => Traffic::of(&rules.workload(role.into())),
        None => settings::stated_traffic(args.workload.as_deref().unwrap_or(Role::default().word()), rules)?,
    };
    let (protocol, streams) = multiplexed(args, &base)?;
    let short_lived = !args.keepalive && (args.short_lived || base.short_lived);
    if short_lived && protocol == Protocol::H2 {
        bail!(
            "--short-lived opens a connection for every request, which leaves nothing for HTTP/2 streams to share: say --protocol h1"
        );
    }
    let incoming_streams = args.incoming_streams.unwrap_or(base.incoming_streams);
    if args.incoming_streams.is_some() && base.role != Role::Gateway {
        bail!("--incoming-streams is for --role gateway: the connections of a {} take --streams", base.role.word());
    }
    let of_connections = args.connections.map(|connections| {
        connections.saturating_mul(if base.role == Role::Gateway { incoming_streams } else { streams }).min(MOST)
    });
    if short_lived && incoming_streams > 1 {
        bail!("--short-lived opens a connection for every request, and leaves nothing for --incoming-streams to share");
    }
    let Flow { concurrency, rate, microseconds } = flow(args, of_connections, &base)?;
    if short_lived && rate.is_none() {
        bail!("--short-lived needs the rate of new connections: add --latency, or --rps beside --concurrency");
    }
    let traffic = Traffic {
        protocol,
        streams,
        incoming_streams,
        short_lived,
        rate,
        microseconds,
        ports: if args.port.is_empty() { base.ports.clone() } else { args.port.clone() },
        response_bytes: args.response_bytes.or(base.response_bytes),
        request_bytes: args.request_bytes.or(base.request_bytes),
        chunk_bytes: args.chunk_bytes.or(base.chunk_bytes),
        link_bits: args.link.or(base.link_bits),
        pods: args.pods.unwrap_or(base.pods),
        nodes: args.nodes.unwrap_or(base.nodes),
        destinations: args.destinations.unwrap_or(base.destinations),
        source_addresses: args.source_addresses.unwrap_or(base.source_addresses),
        nat_addresses: args.nat_addresses.unwrap_or(base.nat_addresses),
        ..base.scaled(concurrency)
    };
    let traffic = Traffic { outgoing: args.outgoing.or(traffic.outgoing), ..traffic };
    let burst = args.burst.unwrap_or_else(|| burst(&traffic, &base, is_file(args)));
    Ok(Traffic { burst, ..traffic })
}

/// New connections that may come at once: the same share of all as before, or half a second of short ones where no file
/// has said how many.
fn burst(traffic: &Traffic, base: &Traffic, said: bool) -> u64 {
    let connections = |traffic: &Traffic| {
        let Share { incoming, outgoing, .. } = traffic.whole();
        if traffic.role == Role::Client { outgoing } else { incoming }
    };
    let share = u128::from(base.burst) * u128::from(connections(traffic));
    let share = u64::try_from(share.div_ceil(connections(base).max(1).into())).unwrap_or(u64::MAX);
    let rate = traffic.rate.filter(|_| traffic.short_lived && !said);
    share.max(rate.map_or(0, |rate| rate.div_ceil(2 * 1000)))
}

fn multiplexed(args: &TrafficArgs, base: &Traffic) -> Result<(Protocol, u64)> {
    let protocol = args.protocol.map(Protocol::from);
    Ok(match (protocol, args.streams) {
        (Some(Protocol::H1), Some(2..)) => {
            bail!("--streams is for HTTP/2: on HTTP/1.1 a connection carries one request at a time (--protocol h2)")
        }
        (Some(Protocol::H1), _) => (Protocol::H1, 1),
        (Some(Protocol::H2), None) if base.streams < 2 => (Protocol::H2, STREAMS),
        (Some(Protocol::H2), streams) => (Protocol::H2, streams.unwrap_or(base.streams)),
        (None, Some(streams)) => (if streams > 1 { Protocol::H2 } else { base.protocol }, streams),
        (None, None) => (base.protocol, base.streams),
    })
}

/// Requests in flight, their rate, and how long each takes.
struct Flow {
    concurrency: u64,
    rate: Option<u64>,
    microseconds: Option<u64>,
}

/// By Little's law two of the three say the third.
fn flow(args: &TrafficArgs, of_connections: Option<u64>, base: &Traffic) -> Result<Flow> {
    let said = match (args.latency, args.duration_of_stream) {
        (None, None) => None,
        (latency, stream) => Some(microseconds(latency.unwrap_or_default().saturating_add(stream.unwrap_or_default()))),
    };
    let counted = args.concurrency.or(of_connections);
    let by_time = |concurrency: u64, time: Option<u64>| Flow {
        concurrency,
        rate: time.map(|time| rate(concurrency, time)),
        microseconds: time,
    };
    let by_rate = |rate: u64, time: u64| match in_flight(rate, time) {
        concurrency @ ..=MOST => Ok(Flow { concurrency, rate: Some(rate), microseconds: Some(time) }),
        more => bail!("this comes to {more} requests in flight, more than the {MOST} that are taken"),
    };
    Ok(match (counted, args.rps, said) {
        (Some(_), Some(_), Some(_)) => bail!("--concurrency is --rps x --latency: give two of the three"),
        (Some(requests), Some(rate), None) => {
            Flow { concurrency: requests, rate: Some(rate), microseconds: Some(time(requests, rate)) }
        }
        (Some(requests), None, said) => by_time(requests, said.or(base.microseconds)),
        (None, Some(rate), said) => match said.or(base.microseconds) {
            Some(time) => by_rate(rate, time)?,
            None => bail!(
                "a rate says nothing of how many are in flight: add --latency (and --duration-of-stream), or --concurrency"
            ),
        },
        (None, None, Some(time)) => match base.rate {
            Some(rate) => by_rate(rate, time)?,
            None if is_file(args) => by_time(base.concurrency, Some(time)),
            None => bail!("a time says nothing of how many are in flight: add --rps or --concurrency"),
        },
        (None, None, None) => Flow { concurrency: base.concurrency, rate: base.rate, microseconds: base.microseconds },
    })
}

/// Whether the load was declared in a file, rather than taken from a role.
fn is_file(args: &TrafficArgs) -> bool {
    args.workload.as_deref().is_some_and(|named| Role::of(named).is_none())
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
