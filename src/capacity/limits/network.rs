//! Bandwidth and packets.

use super::wire::{Sent, Wire};
use super::{Have, Limit, UNTOLD, n};
use crate::model::fact::{Cause, Gap, Unit, Value};
use crate::model::facts::humane;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;
use crate::model::workload::thousandths;

const CHANGE: &str = "a faster link, or more nodes";
const LINK: Have = Have::Told(|_, traffic| {
    let unknown = || Gap::new(Cause::Unsupported, "--link gives the speed of the node's link");
    Some(traffic.link_bits.map(|bits| (u128::from(bits), "--link".to_owned())).ok_or_else(unknown))
});

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "bandwidth out",
        per: Per::Node,
        unit: Unit::BitsPerSecond,
        need: |traffic| bits(traffic, Wire::out),
        have: LINK,
        change: CHANGE,
        ..UNTOLD
    },
    Limit {
        name: "bandwidth in",
        per: Per::Node,
        unit: Unit::BitsPerSecond,
        need: |traffic| bits(traffic, Wire::arriving),
        have: LINK,
        change: CHANGE,
        ..UNTOLD
    },
    Limit {
        name: "packets per second, both ways",
        per: Per::Node,
        unit: Unit::Count,
        need: |traffic| {
            let (Some(wire), Some(rate)) = (Wire::of(traffic), traffic.node().rate) else { return Amount::None };
            let packets = wire.out().packets + wire.arriving().packets;
            let words =
                format!("{} requests/s x {} packets, acknowledgements among them", thousandths(rate), grouped(packets));
            Amount::Of(by_second(rate, packets), words)
        },
        ..UNTOLD
    },
];

/// So much for each request, at such a rate in thousandths.
fn by_second(rate: u64, each: u128) -> u128 {
    u128::from(rate).saturating_mul(each).div_ceil(1000)
}

fn grouped(number: u128) -> String {
    n(u64::try_from(number).unwrap_or(u64::MAX))
}

fn bits(traffic: &Traffic, way: fn(&Wire) -> Sent) -> Amount {
    let Some(wire) = Wire::of(traffic) else { return Amount::Unsaid("--response-bytes") };
    let Some(rate) = traffic.node().rate else { return Amount::Unsaid(super::TIME) };
    let sent = way(&wire);
    let of = match sent.payload {
        0 => "acknowledgements alone".to_owned(),
        payload => {
            format!("{} of the application with TLS records, TCP, IP and Ethernet around them", grouped(payload))
        }
    };
    let bits = by_second(rate, sent.on_the_wire.saturating_mul(8));
    let mut words =
        format!("{} requests/s x {} bytes on the wire x 8: {of}", thousandths(rate), grouped(sent.on_the_wire));
    if sent.payload > 0 && traffic.chunk_bytes.is_none() {
        words += "; each in one piece (--chunk-bytes for what is streamed)";
    }
    if traffic.short_lived {
        words += "; setting up connections comes on top";
    }
    if let Some(link) = traffic.link_bits {
        words += &match u128::from(link) < bits {
            true => format!("; MORE than the {} of the link", speed(link)),
            false => {
                let share = bits.saturating_mul(1000).div_ceil(u128::from(link.max(1)));
                format!("; {}.{} % of the {} of the link", share / 10, share % 10, speed(link))
            }
        };
    }
    Amount::Of(bits, words)
}

fn speed(bits: u64) -> String {
    humane(&Value::Number(bits.into()), Unit::BitsPerSecond)
}
