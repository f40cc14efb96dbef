//! What the declared load comes to on this machine.

use super::{Formula, entry};
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::{Facts, grouped};
use crate::model::workload::{PortUse, Role, TimeWait, Workload};

const LOCAL_PORTS: [&str; 4] = PortUse::NEEDS;
const WAITING: &str = "sockstat.TCP.tw";

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "workload.local_ports",
            Unit::Count,
            Scope::Netns,
            "workload.outgoing and what of short-lived connections is in TIME_WAIT, over source addresses, and over destinations unless ports.bound_first",
            "local ports that the declared load takes from one source address: toward one destination, or toward all where sockets are bound before connect()",
        ),
        needs: &LOCAL_PORTS,
        compute: |facts, _| Ok(number(declared(facts)?.local_ports(PortUse::of(facts)))),
    },
    Formula {
        entry: entry(
            "workload.toward",
            Unit::Text,
            Scope::Netns,
            "ports.bound_first, tcp_tw_reuse",
            "what these local ports are counted toward, and what they are where tcp_tw_reuse does not act",
        ),
        needs: &LOCAL_PORTS,
        compute: |facts, _| Ok(Value::Text(toward(declared(facts)?, PortUse::of(facts)))),
    },
    Formula {
        entry: entry(
            "time_wait.most",
            Unit::Count,
            Scope::Netns,
            "the greater of sockstat.TCP.tw and what short-lived connections of the declared load leave in 60 s",
            "sockets in TIME_WAIT, now or under the declared load",
        ),
        needs: &[WAITING],
        compute: |facts, _| {
            let load = declared(facts)?;
            let left = if load.role == Role::Server || load.outgoing() == 0 {
                0
            } else {
                TimeWait::default().sockets(load.short_lived)
            };
            Ok(Value::Number(facts.number(WAITING)?.max(left.into())))
        },
    },
];

/// What local ports are counted toward. A program that is bound first is given none back early, and where there is one
/// destination nothing shows that it is.
fn toward(load: Workload, ports: PortUse) -> String {
    let bound = PortUse { time_wait: TimeWait::default(), bound_first: true };
    let (here, there) = (load.local_ports(ports), load.local_ports(bound));
    match ports.time_wait == TimeWait::default() || there <= here {
        true => ports.toward().to_owned(),
        false => format!(
            "{}, as tcp_tw_reuse gives them back early; not so to a program that binds to its source address first: it takes {}",
            ports.toward(),
            grouped(there.into())
        ),
    }
}

fn number(number: u64) -> Value {
    Value::Number(number.into())
}

/// The declared load, as far as its connections go.
fn declared(facts: &Facts) -> Result<Workload, Gap> {
    let number = |name: &str| facts.number(name).map(|number| u64::try_from(number).unwrap_or(u64::MAX));
    let role = facts.text("workload.role").and_then(Role::of).unwrap_or_default();
    Ok(Workload {
        connections: number("workload.connections")?,
        outgoing: Some(number("workload.outgoing")?),
        destinations: number("workload.destinations")?,
        source_addresses: number("workload.source_addresses")?,
        short_lived: number("workload.short_lived")?,
        ..Workload::none(role)
    })
}
