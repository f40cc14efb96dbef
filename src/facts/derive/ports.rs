//! Ports: which may be used, which are taken by servers.

use super::{Formula, entry, is_unread, nth};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::ports::Ports;

const RANGE: &str = "sysctl.net.ipv4.ip_local_port_range";
const RESERVED: &str = "sysctl.net.ipv4.ip_local_reserved_ports";
const V4_SOCKETS: &str = "sockstat.TCP.inuse";
const V6_SOCKETS: &str = "sockstat.TCP6.inuse";
/// Connections that were ever opened from this network namespace.
const OPENED: &str = "netstat.Tcp.ActiveOpens";
const UDP_SOCKETS: &str = "sockstat.UDP.inuse";
const UDP6_SOCKETS: &str = "sockstat.UDP6.inuse";
const TIME_WAIT_SOCKETS: &str = "sockstat.TCP.tw";
/// Default of the API server's --service-node-port-range.
const NODE_PORTS: (u16, u16) = (30000, 32767);

/// Where the range begins once it is widened, as in rules/ports/range.yaml.
const WIDENED: u16 = 10240;

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
            "range less reserved ports and those that something listens on",
            "ports for outgoing connections to one destination",
        ),
        needs: &[RANGE, RESERVED, "listener[*].port"],
        compute: |facts, _| Ok(Value::Number(usable_ports(facts)?.count().into())),
    },
    Formula {
        entry: entry(
            "ports.widest",
            Unit::Count,
            Scope::Netns,
            "range widened to 10240-65535, less reserved ports, those that something listens on, and NodePorts",
            "ports for outgoing connections to one destination, if the range is widened",
        ),
        needs: &[RANGE, RESERVED, "listener[*].port"],
        compute: |facts, _| {
            let widened = range(facts)?.union(&Ports::range(WIDENED, u16::MAX));
            let taken = facts.ports(RESERVED)?.union(&busy_ports(facts)?);
            Ok(Value::Number(widened.difference(&taken).count().into()))
        },
    },
    Formula {
        entry: entry(
            "ports.used_at_most",
            Unit::Percent,
            Scope::Netns,
            "sockstat TCP inuse + tw, sockstat6 TCP6 inuse, at most snmp ActiveOpens, of ports.usable",
            "TCP sockets here that can be outgoing connections as a share of the usable ports: no destination takes up more",
        ),
        needs: &[RANGE, RESERVED, V4_SOCKETS, TIME_WAIT_SOCKETS, V6_SOCKETS, OPENED],
        compute: |facts, _| Ok(Value::Number(used_at_most(facts)?)),
    },
    Formula {
        entry: entry(
            "ports.udp_sockets",
            Unit::Count,
            Scope::Netns,
            "sockstat UDP inuse, sockstat6 UDP6 inuse",
            "UDP sockets that have a local port",
        ),
        needs: &[UDP_SOCKETS, UDP6_SOCKETS],
        compute: |facts, _| {
            let over_ipv6 = over_ipv6(facts, UDP6_SOCKETS)?;
            Ok(Value::Number(facts.number(UDP_SOCKETS)?.saturating_add(over_ipv6)))
        },
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
            let clients = Ports::range(WIDENED.min(first_port(facts)?), u16::MAX);
            Ok(Value::Ports(busy_ports(facts)?.union(&udp_servers(facts)?).intersection(&clients)))
        },
    },
];

/// The ports that an outgoing connection may take: the range less what is reserved, and less those that something listens
/// on, where that was read: connect() passes over a port that was bound by name, on whatever address.
pub(in crate::facts) fn usable_ports(facts: &Facts) -> Result<Ports, Gap> {
    let listening = listening_ports(facts).unwrap_or_default();
    Ok(range(facts)?.difference(facts.ports(RESERVED)?).difference(&listening))
}

/// The first port of the range.
pub(in crate::facts) fn first_port(facts: &Facts) -> Result<u16, Gap> {
    Ok(range(facts)?.ranges().first().map_or(0, |(low, _)| *low))
}

/// A number of sockets over IPv6, none on a kernel without it.
fn over_ipv6(facts: &Facts, sockets: &str) -> Result<i128, Gap> {
    match facts.number(sockets) {
        Err(gap) if gap.cause == Cause::Absent => Ok(0),
        other => other,
    }
}

/// TCP sockets here that can be outgoing connections, in percent of the usable ports. A server accepts tens of thousands and
/// opens few, and an answer about those costs the kernel a walk over all.
pub(in crate::facts) fn used_at_most(facts: &Facts) -> Result<i128, Gap> {
    let over_ipv6 = over_ipv6(facts, V6_SOCKETS)?;
    let sockets = facts.number(V4_SOCKETS)?.saturating_add(facts.number(TIME_WAIT_SOCKETS)?).saturating_add(over_ipv6);
    let sockets = facts.number(OPENED).map_or(sockets, |opened| opened.min(sockets));
    Ok(match usable_ports(facts)?.count() {
        0 => 100,
        usable => sockets.saturating_mul(100) / i128::from(usable),
    })
}

/// Every port that something listens on.
pub(in crate::facts) fn listening_ports(facts: &Facts) -> Result<Ports, Gap> {
    facts.family("listener[*].port")?;
    let subjects = facts.subjects("listener[*].port");
    if subjects.is_empty() {
        facts.value("listeners.count")?;
    }
    let mut listening = Vec::with_capacity(subjects.len());
    for subject in subjects {
        listening.extend(u16::try_from(facts.number(&format!("listener[{subject}].port"))?));
    }
    Ok(listening.into_iter().collect())
}

/// Every port that something listens on or is declared to, and on a Kubernetes node every NodePort.
fn busy_ports(facts: &Facts) -> Result<Ports, Gap> {
    let listening = listening_ports(facts)?;
    let busy = facts.ports("workload.ports").map_or_else(|_| listening.clone(), |ports| ports.union(&listening));
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
