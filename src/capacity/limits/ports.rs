//! Local ports of outgoing connections, here and at the NAT gateway.

use super::{Have, Limit, Most, TIME, UNTOLD, counted, n, remembered};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;
use crate::model::workload::{REMEMBERED, Role, TimeWait, thousandths};

/// Ports of an address that NAT takes, 1024 to 65535: of a node's own (net/netfilter/nf_nat_core.c), and of a gateway's.
const OF_ADDRESS: u64 = 64_512;
/// Connections toward one destination that a public address of a NAT gateway is good for: 55,000 at AWS, 50,000 in the
/// words of Azure, of the 64,512 ports that there are.
const TRANSLATED: u64 = 50_000;
/// Ports that Google Cloud NAT gives a VM at least, and how long it keeps one after a connection, in seconds
/// (cloud.google.com/nat/docs/ports-and-addresses, .../nat/docs/tune-nat-configuration). The figure of Azure Load Balancer:
/// learn.microsoft.com/azure/load-balancer/load-balancer-outbound-connections.
const ALLOTTED: u64 = 64;
const KEPT_BY_GOOGLE: u64 = 120;
/// The name of the limit on local ports.
pub(in crate::capacity) const PORTS: &str = "local ports toward a destination";
/// Ports from 10240 to 65535: as far as rules/ports/range.yaml widens the range.
const WIDEST: u64 = 55_296;
/// How long a NAT gateway keeps the port of a connection that has ended, in seconds: each has its own figure, of 30 to 120.
const KEPT: u64 = 60;

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: PORTS,
        per: Per::Pod,
        unit: Unit::Count,
        rule: Some("ports/range"),
        need: toward_a_destination,
        have: Have::Fact("ports.usable"),
        // connect() tries the ports of one parity first.
        slow: Some(50),
        most: Most::Fact("ports.widest", WIDEST),
        change: "more destinations or source addresses, kept connections or HTTP/2, net.ipv4.tcp_tw_reuse = 1 where ports are in TIME_WAIT, or net.ipv4.ip_local_port_range with what listens reserved",
    },
    Limit {
        name: "TIME_WAIT sockets",
        per: Per::Pod,
        unit: Unit::Count,
        need: |traffic| {
            let share = traffic.pod();
            let Some(closed) = remembered(traffic, share, TimeWait::default().0) else {
                return Amount::Unsaid(TIME);
            };
            let sides = traffic.role.sides(share.incoming, share.outgoing);
            let rate = thousandths(share.rate.unwrap_or_default());
            match closed.saturating_mul(sides) {
                0 => Amount::None,
                sockets => Amount::Of(
                    sockets.into(),
                    format!(
                        "at most: {rate} closed per second{} x 60 s, where this side closes first; beyond net.ipv4.tcp_max_tw_buckets they skip it",
                        if sides > 1 { " on each side" } else { "" }
                    ),
                ),
            }
        },
        ..UNTOLD
    },
    Limit {
        name: "SNAT ports of a node toward a destination",
        per: Per::Node,
        unit: Unit::Count,
        need: at_the_node,
        ..UNTOLD
    },
    Limit {
        name: "SNAT ports of a VM, where the cloud allots them",
        per: Per::NatGateway,
        unit: Unit::Count,
        need: allotted,
        ..UNTOLD
    },
    Limit {
        name: "SNAT ports of a public address toward a destination",
        per: Per::NatGateway,
        unit: Unit::Count,
        need: at_the_gateway,
        ..UNTOLD
    },
];

/// From one address: connections that are open, and those that have ended and hold their port.
fn toward_a_destination(traffic: &Traffic) -> Amount {
    let share = traffic.pod();
    if share.outgoing == 0 {
        return Amount::None;
    }
    if traffic.short_lived && share.rate.is_none() {
        return Amount::Unsaid(TIME);
    }
    let load = traffic.workload();
    let TimeWait(seconds) = traffic.port_use.time_wait;
    let mut words = counted(share.outgoing, "connection", "connections");
    if load.short_lived > 0 && load.role != Role::Server {
        let closed = n(traffic.port_use.time_wait.sockets(load.short_lived));
        words = match seconds {
            ..60 => {
                format!(
                    "{words} and, where this side closes first, {closed} in TIME_WAIT (a port is taken again after {seconds} s: tcp_tw_reuse = 1)"
                )
            }
            seconds if traffic.port_use.bound_first => {
                format!("{words} and, where this side closes first, {closed} in TIME_WAIT ({seconds} s each)")
            }
            seconds => format!(
                "{words} and, where this side closes first, {closed} in TIME_WAIT ({seconds} s each, without tcp_tw_reuse = 1)"
            ),
        };
    }
    let ways = traffic.port_use.destinations(traffic.destinations).saturating_mul(traffic.source_addresses.max(1));
    let mut words = over(words, ways, "destinations and source addresses");
    if traffic.port_use.bound_first {
        words = format!("{words}, {}", traffic.port_use.toward());
    }
    let ports = load.local_ports(traffic.port_use);
    if ports > WIDEST {
        let enough = ports.saturating_mul(ways).div_ceil(WIDEST);
        words = format!("{words}; MORE than the {} ports from 10240 on: it takes {} such pairs", n(WIDEST), n(enough));
    }
    Amount::Of(ports.into(), words)
}

/// Ports that the connections of a node take toward one destination behind an address of its own, while what has ended is
/// remembered for so many seconds; and their words.
fn of_a_node(traffic: &Traffic, seconds: u64) -> Option<(u64, String)> {
    let share = traffic.node();
    let closed = match traffic.role {
        Role::Server => 0,
        Role::Client | Role::Gateway => remembered(traffic, share, seconds)?,
    };
    let mut words = counted(share.outgoing, "connection", "connections");
    if closed > 0 {
        words = format!("{words} and {} that have ended and are remembered for {seconds} s", n(closed));
    }
    let ways = traffic.destinations.max(1);
    Some((share.outgoing.saturating_add(closed).div_ceil(ways), over(words, ways, "destinations")))
}

/// Where pods leave a node under its address: all of them share its ports.
fn at_the_node(traffic: &Traffic) -> Amount {
    if traffic.node().outgoing == 0 {
        return Amount::None;
    }
    let Some((ports, mut words)) = of_a_node(traffic, REMEMBERED) else { return Amount::Unsaid(TIME) };
    words = format!(
        "{words}; where pods leave under the address of the node, all of them share its {} ports",
        n(OF_ADDRESS)
    );
    if ports > OF_ADDRESS {
        words = format!("{words}: MORE than there are");
    }
    Amount::Of(ports.into(), words)
}

/// Google Cloud NAT gives each VM ports of its own: with dynamic allocation a power of two.
fn allotted(traffic: &Traffic) -> Amount {
    if traffic.node().outgoing == 0 {
        return Amount::None;
    }
    let Some((ports, words)) = of_a_node(traffic, KEPT_BY_GOOGLE) else { return Amount::Unsaid(TIME) };
    let each = ports.max(ALLOTTED).checked_next_power_of_two().unwrap_or(u64::MAX);
    let machines = traffic.nodes.max(1);
    let words = match OF_ADDRESS / each {
        0 => format!("{words}: MORE than the {} ports of an address", n(OF_ADDRESS)),
        on_address => {
            let addresses = machines.div_ceil(on_address);
            format!(
                "{words}: {} as a power of two (Google Cloud NAT, dynamic port allocation); {} with as many take {}. Azure Load Balancer allots 1,024 at most by default",
                n(each),
                counted(machines, "VM", "VMs"),
                counted(addresses, "public address", "public addresses")
            )
        }
    };
    Amount::Of(each.into(), words)
}

/// At the NAT gateway, from one of its public addresses.
fn at_the_gateway(traffic: &Traffic) -> Amount {
    let share = traffic.whole();
    if share.outgoing == 0 {
        return Amount::None;
    }
    let Some(closed) = remembered(traffic, share, KEPT) else { return Amount::Unsaid(TIME) };
    let closed = if traffic.role == Role::Server { 0 } else { closed };
    let mut words = counted(share.outgoing, "connection", "connections");
    if closed > 0 {
        words = format!(
            "{words} and {} that have ended, if the gateway keeps a port for 60 s (30 to 120 by provider)",
            n(closed)
        );
    }
    let addresses = traffic.nat_addresses.max(1);
    let ways = traffic.destinations.max(1).saturating_mul(addresses);
    let ports = share.outgoing.saturating_add(closed).div_ceil(ways);
    let enough = (u128::from(ports) * u128::from(addresses)).div_ceil(TRANSLATED.into());
    let words = over(words, ways, "destinations and public addresses");
    let enough = n(u64::try_from(enough).unwrap_or(u64::MAX));
    Amount::Of(
        ports.into(),
        format!(
            "{words}; a public address is good for about 50,000 (AWS 55,000, Azure 50,000; Google allots ports to each VM): {enough} would do, where outgoing connections pass one"
        ),
    )
}

fn over(words: String, ways: u64, of: &str) -> String {
    if ways > 1 { format!("{words}, over {} pairs of {of}", n(ways)) } else { words }
}
