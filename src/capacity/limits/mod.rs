//! Every limit, one file for each kind of thing that is used up.

mod conntrack;
mod files;
mod http;
mod listen;
mod memory;
mod network;
mod ports;

use super::{Have, Limit, Most};
use crate::model::fact::Unit;
use crate::model::facts::grouped;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};
use crate::model::workload::ended;

/// What of a limit is the same for most: traffic takes none of it, and no machine tells it.
const UNTOLD: Limit = Limit {
    name: "",
    per: Per::Pod,
    unit: Unit::Count,
    rule: None,
    need: |_| Amount::None,
    have: Have::Untold,
    slow: None,
    most: Most::Any,
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

/// A number of things in a formula.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", n(number), if number == 1 { one } else { many })
}

/// The sockets of a share in words.
fn sockets(share: Share) -> String {
    let connections = |number: u64| counted(number, "connection", "connections");
    match share {
        Share { outgoing: 0, incoming, .. } => connections(incoming),
        Share { incoming: 0, outgoing, .. } => connections(outgoing),
        Share { incoming, outgoing, .. } => format!("{} connections in and {} out", n(incoming), n(outgoing)),
    }
}

/// Connections that have ended and are remembered for so many seconds, if every request has one of its own.
fn remembered(traffic: &Traffic, share: Share, seconds: u64) -> Option<u64> {
    match traffic.short_lived {
        true => share.rate.map(|rate| ended(rate, seconds)),
        false => Some(0),
    }
}

/// What says how long a request takes.
const TIME: &str = "--latency";
