//! Every limit, one file for each kind of thing that is used up.

mod conntrack;
mod files;
mod http;
mod listen;
mod memory;
mod network;
mod ports;

use super::{Have, Limit};
use crate::model::fact::Unit;
use crate::model::facts::grouped;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};

/// What of a limit is the same for most: traffic takes none of it, and no machine tells it.
const UNTOLD: Limit = Limit {
    name: "",
    per: Per::Pod,
    unit: Unit::Count,
    rule: None,
    need: |_| Amount::None,
    have: Have::Untold,
    slow: None,
    most: None,
    change: "",
};

/// Every limit, in the order in which a request meets them.
pub(super) fn limits() -> impl Iterator<Item = &'static Limit> {
    let own = http::LIMITS.iter().chain(files::LIMITS).chain(listen::LIMITS).chain(ports::LIMITS);
    own.chain(conntrack::LIMITS).chain(memory::LIMITS).chain(network::LIMITS)
}

/// A number in a formula.
fn n(number: u64) -> String {
    grouped(number.into())
}

/// The sockets of a share in words.
fn sockets(share: Share) -> String {
    match share {
        Share { outgoing: 0, incoming, .. } => format!("{} connections", n(incoming)),
        Share { incoming: 0, outgoing, .. } => format!("{} connections", n(outgoing)),
        Share { incoming, outgoing, .. } => format!("{} connections in and {} out", n(incoming), n(outgoing)),
    }
}

/// Connections that have ended and are remembered for so many seconds, if every request has one of its own.
fn remembered(traffic: &Traffic, requests: u64, seconds: u64) -> Option<u64> {
    match traffic.short_lived {
        true => traffic.per_second(requests).map(|rate| rate.saturating_mul(seconds)),
        false => Some(0),
    }
}

/// What says how long a request takes.
const TIME: &str = "--latency";
