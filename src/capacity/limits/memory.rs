//! Kernel memory of sockets.

use super::{Found, Have, Limit, UNTOLD, counted, sockets};
use crate::model::cost::SOCKET;
use crate::model::fact::{Cause, Unit, Value};
use crate::model::facts::Facts;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Share, Traffic};

/// What a socket was seen to hold while its peer did not read, and what one held that was not read itself. With the
/// kernel's defaults, on 6.18: the send buffer grows while there is something to send.
const UNREAD_BY_PEER: u128 = 726_000;
const UNREAD_HERE: u128 = 129_000;

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
        name: "TCP buffers in pages (net.ipv4.tcp_mem)",
        per: Per::Node,
        unit: Unit::Count,
        rule: Some("memory/tcp-mem-size"),
        need: |traffic| {
            let share = traffic.node();
            let words =
                format!("{} with a page each on the way, of 4, 16 or 64 KiB as the kernel was built", sockets(share));
            Amount::Of(share.sockets().into(), words)
        },
        have: Have::Fact("tcp_mem.high"),
        change: "more memory on the node, or the three numbers of net.ipv4.tcp_mem together",
        ..UNTOLD
    },
    Limit {
        name: "TCP buffers, every peer too slow at once",
        per: Per::Node,
        unit: Unit::Bytes,
        need: |traffic| {
            let share = traffic.node();
            let held = [
                (share.incoming, "726 kB of answers that a client does not read"),
                (share.outgoing, "129 kB of answers that are not read here"),
            ];
            let parts: Vec<String> = held
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{} x {what}", counted(*count, "connection", "connections")))
                .collect();
            let words = format!("{}; less where tcp_wmem and tcp_rmem end below it", parts.join(", "));
            let sending = u128::from(share.incoming) * UNREAD_BY_PEER;
            Amount::Of(sending + u128::from(share.outgoing) * UNREAD_HERE, words)
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
