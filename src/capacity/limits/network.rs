//! Bandwidth and packets.

use super::super::wire::Wire;
use super::super::{Have, Limit};
use super::{UNTOLD, n};
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;

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
            let (Some(wire), Some(rate)) = (Wire::of(traffic), traffic.per_second(traffic.node().requests)) else {
                return Amount::None;
            };
            let packets = wire.out().packets + wire.arriving().packets;
            let words = format!("{} requests/s x {} packets, acknowledgements among them", n(rate), grouped(packets));
            Amount::Of(u128::from(rate) * packets, words)
        },
        ..UNTOLD
    },
];

fn grouped(number: u128) -> String {
    n(u64::try_from(number).unwrap_or(u64::MAX))
}

fn bits(traffic: &Traffic, way: fn(&Wire) -> super::super::wire::Sent) -> Amount {
    let Some(wire) = Wire::of(traffic) else { return Amount::Unsaid("--response-bytes") };
    let Some(rate) = traffic.per_second(traffic.node().requests) else { return Amount::Unsaid(super::TIME) };
    let sent = way(&wire);
    let of = match sent.payload {
        0 => "acknowledgements alone".to_owned(),
        payload => {
            format!("{} of the application with TLS records, TCP, IP and Ethernet around them", grouped(payload))
        }
    };
    let words = format!("{} requests/s x {} bytes on the wire x 8: {of}", n(rate), grouped(sent.on_the_wire));
    Amount::Of(u128::from(rate).saturating_mul(sent.on_the_wire).saturating_mul(8), words)
}
