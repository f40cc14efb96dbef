//! Queues of new connections.

use std::collections::BTreeMap;

use super::{Found, Have, Limit, Most, UNTOLD, counted};
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::facts::Facts;
use crate::model::listener::{Group, address_of};
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

/// The burst that the queues of the declared ports hold, the least of them; without one the longest queue that any listener
/// gets here. A queue holds one more than its backlog, and those of one address share a burst.
fn queue(facts: &Facts, traffic: &Traffic) -> Option<Found> {
    if traffic.ports.is_empty() {
        return Some(
            facts.number(SOMAXCONN).map(|most| (most.unsigned_abs().saturating_add(1), format!("{SOMAXCONN} + 1"))),
        );
    }
    let mut least: Option<(u128, String)> = None;
    for &port in &traffic.ports {
        let subjects = facts.subjects("listener[*].port");
        let on_port = |subject: &&String| facts.number(&format!("listener[{subject}].port")) == Ok(port.into());
        let mut groups: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
        for subject in subjects.iter().filter(on_port) {
            groups.entry(address_of(subject)).or_default().push(subject);
        }
        if groups.is_empty() {
            let none = || match facts.ports("udp.ports").is_ok_and(|ports| ports.contains(port)) {
                true => Gap::new(Cause::Absent, format!("declared port {port} is one of UDP here: no accept queue")),
                false => Gap::new(Cause::Unsupported, format!("nothing listens on declared port {port} here")),
            };
            return Some(Err(facts.value("listeners.count").err().unwrap_or_else(none)));
        }
        for (address, group) in groups {
            match holds(facts, address, &group) {
                Ok(found) if least.as_ref().is_none_or(|(least, _)| found.0 < *least) => least = Some(found),
                Ok(_) => {}
                Err(gap) => return Some(Err(gap)),
            }
        }
    }
    least.map(Ok)
}

/// The burst that the listeners of one address hold, by the shortest of their queues.
fn holds(facts: &Facts, address: &str, group: &[&String]) -> Found {
    let mut room = u64::MAX;
    for subject in group {
        let backlog = facts.number(&format!("listener[{subject}].backlog"))?;
        room = room.min(u64::try_from(backlog).unwrap_or(0).saturating_add(1));
    }
    let listeners = u64::try_from(group.len()).unwrap_or(u64::MAX);
    let source = match listeners {
        1 => format!("listener[{address}].backlog + 1"),
        _ => format!(
            "listener[{address}].backlog + 1, of {listeners} listeners that share a burst, as evenly as chance has it"
        ),
    };
    Ok((Group { listeners }.carries(room).into(), source))
}
