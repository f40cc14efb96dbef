//! Ports: which may be used, which are taken by servers.

use super::{Formula, entry, is_unread, nth};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::ports::Ports;

const RANGE: &str = "sysctl.net.ipv4.ip_local_port_range";
const RESERVED: &str = "sysctl.net.ipv4.ip_local_reserved_ports";
/// Default of the API server's --service-node-port-range.
const NODE_PORTS: (u16, u16) = (30000, 32767);

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "ports.low",
            Unit::Count,
            Scope::Netns,
            "ip_local_port_range",
            "first port for outgoing connections",
        ),
        needs: &[RANGE],
        compute: |facts, _| nth(facts, RANGE, 0),
    },
    Formula {
        entry: entry(
            "ports.high",
            Unit::Count,
            Scope::Netns,
            "ip_local_port_range",
            "last port for outgoing connections",
        ),
        needs: &[RANGE],
        compute: |facts, _| nth(facts, RANGE, 1),
    },
    Formula {
        entry: entry(
            "ports.usable",
            Unit::Count,
            Scope::Netns,
            "range less reserved ports",
            "ports for outgoing connections to one destination",
        ),
        needs: &[RANGE, RESERVED],
        compute: |facts, _| Ok(Value::Number(range(facts)?.difference(facts.ports(RESERVED)?).count().into())),
    },
    Formula {
        entry: entry(
            "ports.must_reserve",
            Unit::Ports,
            Scope::Netns,
            "listening ports and NodePorts inside the range",
            "ports that an outgoing connection must not take",
        ),
        needs: &[RANGE, "listener[*].port"],
        compute: |facts, _| Ok(Value::Ports(busy_ports(facts)?.intersection(&range(facts)?))),
    },
    Formula {
        entry: entry(
            "ports.busy",
            Unit::Ports,
            Scope::Netns,
            "listening ports, UDP servers and NodePorts",
            "ports to reserve before the range is widened",
        ),
        needs: &[RANGE, "listener[*].port", "udp.ports"],
        compute: |facts, _| {
            Ok(Value::Ports(busy_ports(facts)?.union(&udp_servers(facts)?).difference(&Ports::range(0, 1023))))
        },
    },
];

/// Every port that something listens on or is declared to, and on a Kubernetes node every NodePort.
fn busy_ports(facts: &Facts) -> Result<Ports, Gap> {
    facts.family("listener[*].port")?;
    let subjects = facts.subjects("listener[*].port");
    if subjects.is_empty() {
        facts.value("listeners.count")?;
    }
    let mut busy = facts.ports("workload.ports").cloned().unwrap_or_default();
    for subject in subjects {
        let port = facts.number(&format!("listener[{subject}].port"))?;
        busy = u16::try_from(port).map_or_else(|_| busy.clone(), |port| busy.union(&Ports::range(port, port)));
    }
    let nodes = match facts.value("kubernetes.node")? {
        Value::Number(1) => Ports::range(NODE_PORTS.0, NODE_PORTS.1),
        _ => Ports::default(),
    };
    Ok(busy.union(&nodes))
}

/// UDP ports that are surely servers': inside the range a client's looks the same. A recording of before they were
/// asked for has none.
fn udp_servers(facts: &Facts) -> Result<Ports, Gap> {
    match facts.ports("udp.ports") {
        Ok(ports) => Ok(ports.difference(&range(facts)?)),
        Err(gap) if gap.cause == Cause::Unsupported && !is_unread(&gap) => Ok(Ports::default()),
        Err(gap) => Err(gap),
    }
}

fn range(facts: &Facts) -> Result<Ports, Gap> {
    let end = |at| match nth(facts, RANGE, at)? {
        Value::Number(port) => {
            u16::try_from(port).map_err(|_| Gap::new(Cause::Unparsable, format!("{port} is not a port")))
        }
        _ => Err(Gap::new(Cause::Unparsable, RANGE)),
    };
    Ok(Ports::range(end(0)?, end(1)?))
}
