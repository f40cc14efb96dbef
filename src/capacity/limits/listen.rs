//! Queues of new connections.

use super::{Found, Have, Limit, Most, UNTOLD, counted};
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::facts::Facts;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;

const SOMAXCONN: &str = "sysctl.net.core.somaxconn";

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "accept queue",
        per: Per::Pod,
        unit: Unit::Count,
        rule: Some("listen/backlog"),
        need: |traffic| match traffic.pod().burst {
            0 => Amount::None,
            burst => Amount::Of(
                burst.into(),
                format!(
                    "{} before accept() is called again: min(backlog, somaxconn) + 1",
                    counted(burst, "new connection", "new connections")
                ),
            ),
        },
        have: Have::Told(queue),
        // A backlog is an int, and so is somaxconn.
        most: Most::Number(i32::MAX as u128),
        change: "the program's own backlog, and net.core.somaxconn of its network namespace",
        ..UNTOLD
    },
    Limit {
        name: "SYN queue, where SYN cookies are off",
        per: Per::Pod,
        unit: Unit::Count,
        rule: Some("listen/syn-backlog"),
        need: |traffic| match traffic.pod().burst {
            0 => Amount::None,
            burst => Amount::Of(
                (u128::from(burst) * 4).div_ceil(3),
                format!(
                    "{} at once; peers that the kernel does not know get three quarters of tcp_max_syn_backlog",
                    counted(burst, "handshake", "handshakes")
                ),
            ),
        },
        have: Have::Told(|facts, _| {
            const BACKLOG: &str = "sysctl.net.ipv4.tcp_max_syn_backlog";
            let off = facts.number("sysctl.net.ipv4.tcp_syncookies") == Ok(0);
            off.then(|| facts.number(BACKLOG).map(|number| (number.unsigned_abs(), BACKLOG.to_owned())))
        }),
        most: Most::Number(i32::MAX as u128),
        change: "net.ipv4.tcp_syncookies = 1, or net.ipv4.tcp_max_syn_backlog and the backlog",
        ..UNTOLD
    },
];

/// The queue of the declared ports, the shortest of them; without one the longest that any listener gets here. A queue
/// holds one more than its backlog.
fn queue(facts: &Facts, traffic: &Traffic) -> Option<Found> {
    if traffic.ports.is_empty() {
        return Some(
            facts.number(SOMAXCONN).map(|most| (most.unsigned_abs().saturating_add(1), format!("{SOMAXCONN} + 1"))),
        );
    }
    let mut least: Option<(u128, String)> = None;
    for &port in &traffic.ports {
        let mut listeners = 0;
        for subject in facts.subjects("listener[*].port") {
            if facts.number(&format!("listener[{subject}].port")) != Ok(port.into()) {
                continue;
            }
            listeners += 1;
            let name = format!("listener[{subject}].backlog");
            match facts.number(&name) {
                Ok(backlog) => {
                    let holds = backlog.unsigned_abs().saturating_add(1);
                    if least.as_ref().is_none_or(|(least, _)| holds < *least) {
                        least = Some((holds, format!("{name} + 1")));
                    }
                }
                Err(gap) => return Some(Err(gap)),
            }
        }
        if listeners == 0 {
            let none = || Gap::new(Cause::Unsupported, format!("nothing listens on declared port {port} here"));
            return Some(Err(facts.value("listeners.count").err().unwrap_or_else(none)));
        }
    }
    least.map(Ok)
}
