//! Local ports of outgoing connections, here and at the NAT gateway.

use super::super::{Have, Limit};
use super::{TIME, UNTOLD, n, remembered};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};

/// How long a socket stays in TIME_WAIT: a constant of the kernel.
const TIME_WAIT: u64 = 60;
/// Ports from 10240, as rules/ports/range.yaml widens the range.
const WIDEST: u128 = 55_296;
/// Connections toward one destination that a public address of a NAT gateway is good for: 55,000 at AWS, 50,000 in the
/// words of Azure, of the 64,512 ports that there are.
const TRANSLATED: u64 = 50_000;

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "local ports toward a destination",
        per: Per::Pod,
        unit: Unit::Count,
        rule: Some("ports/range"),
        need: |traffic| {
            let ways = traffic.destinations.max(1).saturating_mul(traffic.source_addresses.max(1));
            toward(traffic, traffic.pod(), ways, "destinations and source addresses")
        },
        have: Have::Fact("ports.usable"),
        // connect() tries the ports of one parity first.
        slow: Some(50),
        most: Some(WIDEST),
        change: "more destinations or source addresses, HTTP/2, or net.ipv4.ip_local_port_range with what listens reserved",
    },
    Limit {
        name: "TIME_WAIT sockets",
        per: Per::Pod,
        unit: Unit::Count,
        rule: Some("time-wait/buckets"),
        need: |traffic| {
            let requests = traffic.pod().requests;
            match remembered(traffic, requests, TIME_WAIT) {
                Some(0) => Amount::None,
                Some(sockets) => {
                    let rate = sockets / TIME_WAIT;
                    Amount::Of(
                        sockets.into(),
                        format!("{} closed per second x 60 s, on the side that closes first", n(rate)),
                    )
                }
                None => Amount::Unsaid(TIME),
            }
        },
        ..UNTOLD
    },
    Limit {
        name: "SNAT ports of a public address toward a destination",
        per: Per::NatGateway,
        unit: Unit::Count,
        need: |traffic| {
            let ways = traffic.destinations.max(1).saturating_mul(traffic.nat_addresses.max(1));
            match toward(traffic, traffic.whole(), ways, "destinations and public addresses") {
                Amount::Of(ports, words) => {
                    let addresses = (ports * u128::from(traffic.nat_addresses.max(1))).div_ceil(TRANSLATED.into());
                    let enough = n(u64::try_from(addresses).unwrap_or(u64::MAX));
                    Amount::Of(
                        ports,
                        format!(
                            "{words}; a public address is good for about 50,000 (AWS 55,000, Azure 50,000): {enough} would do, where outgoing connections pass one"
                        ),
                    )
                }
                other => other,
            }
        },
        ..UNTOLD
    },
];

/// Ports toward one destination from one address: open connections, and those of closed ones that are remembered.
fn toward(traffic: &Traffic, share: Share, ways: u64, over: &str) -> Amount {
    if share.outgoing == 0 {
        return Amount::None;
    }
    let Some(closed) = remembered(traffic, share.requests, TIME_WAIT) else { return Amount::Unsaid(TIME) };
    let ports = share.outgoing.saturating_add(closed).div_ceil(ways);
    let mut words = format!("{} connections", n(share.outgoing));
    if closed > 0 {
        words = format!("{words} and {} in TIME_WAIT (60 s each, without tcp_tw_reuse = 1)", n(closed));
    }
    if ways > 1 {
        words = format!("{words}, over {} pairs of {over}", n(ways));
    }
    Amount::Of(ports.into(), words)
}
