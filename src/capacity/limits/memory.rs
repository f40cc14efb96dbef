//! Kernel memory of sockets.

use super::{Found, Have, Limit, UNTOLD, sockets};
use crate::model::cost::{PAGE, SOCKET};
use crate::model::fact::{Cause, Unit, Value};
use crate::model::facts::Facts;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};

/// Defaults of tcp_rmem and tcp_wmem: a buffer that is full and has not grown.
const BUFFERS: u128 = 131_072 + 16_384;

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "memory of idle sockets",
        per: Per::Pod,
        unit: Unit::Bytes,
        rule: Some("memory/sockets"),
        need: |traffic| idle(traffic.pod()),
        have: Have::Told(of_cgroup),
        slow: Some(50),
        change: "a larger memory limit, more pods, or HTTP/2",
        ..UNTOLD
    },
    Limit {
        name: "memory of the node for idle sockets",
        per: Per::Node,
        unit: Unit::Bytes,
        rule: Some("memory/sockets"),
        need: |traffic| idle(traffic.node()),
        have: Have::Fact("memory.total"),
        slow: Some(50),
        change: "more memory, more nodes, or HTTP/2",
        ..UNTOLD
    },
    Limit {
        name: "TCP buffers (net.ipv4.tcp_mem)",
        per: Per::Node,
        unit: Unit::Bytes,
        rule: Some("memory/tcp-mem-size"),
        need: |traffic| {
            let share = traffic.node();
            let words = format!("{} with a page each on the way", sockets(share));
            Amount::Of(u128::from(share.sockets()) * u128::from(PAGE), words)
        },
        have: Have::Fact("tcp_mem.ceiling"),
        change: "more memory on the node, or the three numbers of net.ipv4.tcp_mem together",
        ..UNTOLD
    },
    Limit {
        name: "TCP buffers, full before they grow",
        per: Per::Node,
        unit: Unit::Bytes,
        need: |traffic| {
            let share = traffic.node();
            let words = format!(
                "{} x 144 KiB, the middle numbers of tcp_rmem and tcp_wmem: every peer too slow at once",
                sockets(share)
            );
            Amount::Of(u128::from(share.sockets()) * BUFFERS, words)
        },
        ..UNTOLD
    },
];

fn idle(share: Share) -> Amount {
    let words = format!("{} x 3,584 bytes of kernel memory; the program comes on top", sockets(share));
    Amount::Of(u128::from(share.sockets()) * u128::from(SOCKET), words)
}

/// The memory limit of the pod, if it has one: without, the node's memory is all that counts.
fn of_cgroup(facts: &Facts, _: &Traffic) -> Option<Found> {
    const LIMIT: &str = "cgroup.memory.limit";
    match facts.value(LIMIT) {
        Ok(Value::Number(limit)) => Some(Ok((limit.unsigned_abs(), LIMIT.to_owned()))),
        Err(gap) if gap.cause != Cause::Absent => Some(Err(gap)),
        _ => None,
    }
}
