//! Every limit, one file for each kind of thing that is used up.

mod conntrack;
mod files;
mod http;
mod listen;
mod memory;
mod network;
mod ports;
mod wire;

pub(super) use ports::PORTS;

use crate::model::fact::{Gap, Unit};
use crate::model::facts::{Facts, grouped};
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};
use crate::model::workload::ended;

/// A limit: what traffic takes of it, and what a machine has of it.
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) per: Per,
    pub(super) unit: Unit,
    /// The rule that judges it; its facts are read for `have`.
    pub(super) rule: Option<&'static str>,
    /// Never falls when the traffic grows.
    pub(super) need: fn(&Traffic) -> Amount,
    pub(super) have: Have,
    /// Percent of it from which it is slow.
    pub(super) slow: Option<u128>,
    /// The most that it can be set to.
    pub(super) most: Most,
    pub(super) change: &'static str,
}

/// The most that a limit can be set to.
pub(super) enum Most {
    /// As much as anybody likes, or nobody knows.
    Any,
    Number(u128),
    /// What this fact says; where it cannot be told, this number.
    Fact(&'static str, u64),
}

/// What a machine has of a limit, and where that was read.
pub(super) type Found = Result<(u128, String), Gap>;

/// Where a machine tells its limit.
pub(super) enum Have {
    /// Nowhere: it is told what the traffic needs, and nothing is held against it.
    Untold,
    /// A fact.
    Fact(&'static str),
    /// Worked out of facts. Where what it rests on does not exist there is no such limit, and why.
    IfAny(fn(&Facts) -> Found, &'static str),
    /// Worked out of facts and what was declared; `None` while neither knows of such a limit.
    Told(fn(&Facts, &Traffic) -> Option<Found>),
    /// As `Told`, of something that only few machines run: without one it is not spoken of.
    OfProgram(fn(&Facts) -> Option<Found>),
}

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
