//! Local ports in use toward each destination, from every TCP socket that is not listening.
//!
//! A port is used up toward one destination at a time: for each source address, destination address and destination
//! port. So the sockets are counted by these three, `TIME_WAIT` included. Where they were bound before `connect()`, a port
//! serves one destination only, and they are counted by source address as well: see [`sources`].

mod sources;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use self::sources::Told;
use super::derive::{first_port, listening_ports, ports_used_at_most, usable_ports};
use super::listeners::address;
use super::{Gather, Source, Wanted};
use crate::host::Sockets;
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Name;
use crate::model::ports::Ports;
use crate::model::version::Version;

const DESTINATION: &str = "destination[*].ports";
const TIME_WAIT: &str = "destination[*].time_wait";
const COUNT: &str = "destinations.count";
const MEANING: &str = "destination[*].meaning";
const BOUND: &str = "ports.bound";
/// Whether sockets here are bound before `connect()`, so that a port serves one destination only.
pub(super) const BOUND_FIRST: &str = "ports.bound_first";

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/sock_diag.7.html";
    Entry { name, unit: Unit::Count, scope: Scope::Netns, meaning, read: "sock_diag, all states but LISTEN", document }
}

pub(super) const SOURCE: Source = Source {
    families: &["destination", "destinations", BOUND, BOUND_FIRST],
    read,
    entries: &[
        entry(DESTINATION, "usable local ports in use toward a destination from one address, of the busiest ones"),
        entry(TIME_WAIT, "those of them that only a socket in TIME_WAIT holds"),
        Entry { unit: Unit::Text, ..entry(MEANING, "for whom these ports are taken, and what the next one meets") },
        entry(COUNT, "destinations from one address with any usable local port in use"),
        entry(BOUND, "usable local ports that a socket is bound to and not connected (since Linux 6.8)"),
        Entry {
            unit: Unit::Mode,
            ..entry(
                BOUND_FIRST,
                "1: sockets are bound before connect() without IP_BIND_ADDRESS_NO_PORT, by the ports that they hold",
            )
        },
    ],
};

/// Facts without which the sockets are not asked for, or cannot be told apart.
pub(super) const NEEDS: &[&str] = &[
    "sysctl.net.ipv4.ip_local_port_range",
    "sysctl.net.ipv4.ip_local_reserved_ports",
    "sockstat.TCP.inuse",
    "sockstat.TCP.tw",
    "sockstat.TCP6.inuse",
    "listener[*].port",
    "kernel.release",
    "netstat.Tcp.ActiveOpens",
];

/// Whether a fact of this source is among the wanted ones.
pub(super) fn is_wanted(wanted: &Wanted) -> bool {
    [DESTINATION, TIME_WAIT, MEANING, COUNT, BOUND, BOUND_FIRST].iter().any(|name| wanted.contains(name))
}

/// Percent of the usable ports below which there is nothing to judge: half of what is worth a warning.
const QUARTER: i128 = 25;
/// Percent of the usable ports from which the next `bind()` may find none.
const NEAR_THE_END: i128 = 95;
/// The first kernel whose `connect()` tries all ports of one parity before those of the other (commit 1580ab63fc9a): from 4.2
/// on it only began with one of them (07f4c90062f8).
const EVEN_FIRST: Version = Version { major: 4, minor: 6, patch: 0 };
const FOR_ONE: &str = "toward this destination from this address. From half of them on connect() is slow, at the end it \
                       fails with EADDRNOTAVAIL; in a program that binds to the address first, bind() does with \
                       EADDRINUSE, and tcp_tw_reuse gives it none back";
const FOR_ALL: &str = "from this address. Sockets here are bound before connect() without IP_BIND_ADDRESS_NO_PORT, by the \
                       ports that they hold: each of these ports serves one destination and is taken from all others, \
                       and at the end bind() fails with EADDRINUSE, whatever tcp_tw_reuse says";
/// The first kernel that shows sockets which are bound and not connected.
const SHOWS_BOUND: Version = Version { major: 6, minor: 8, patch: 0 };

fn read(gather: &mut Gather<'_>) {
    let (held, drawing) = match holding(gather) {
        Ok(found) => found,
        Err(gap) => {
            let names: Vec<Name> = SOURCE.families.iter().flat_map(|family| gather.wanted(family)).collect();
            return names.into_iter().for_each(|name| gather.put(name, Err(gap.clone()), "sock_diag"));
        }
    };
    let number = |count: usize| Ok(Value::Number(i128::try_from(count).unwrap_or(i128::MAX)));
    let usable = drawing.usable;
    let release = gather.facts.text("kernel.release").unwrap_or("of unknown release").to_owned();
    let shows_bound = !held.bound.is_empty() || release.parse().is_ok_and(|kernel: Version| kernel >= SHOWS_BOUND);
    let hidden = format!("kernel {release} does not show sockets that are bound and not connected, Linux 6.8 does");
    let bound = if shows_bound {
        number(held.bound.values().flatten().collect::<BTreeSet<_>>().len())
    } else {
        Err(Gap::new(Cause::Absent, hidden))
    };
    gather.put(BOUND, bound, "sock_diag");
    let kernel = release.parse().ok();
    let sources = held.sources(drawing, kernel.is_none_or(|kernel: Version| kernel >= EVEN_FIRST));
    let bound_first = sources.iter().any(|source| source.told == Told::BoundFirst);
    gather.put(BOUND_FIRST, Ok(Value::Number(bound_first.into())), "sock_diag");
    for source in sources.iter().filter(|source| source.told != Told::Connected).take(bounds::SOURCES.count()) {
        let name = |key: &str| format!("destination[every destination from {}].{key}", source.from);
        if source.told == Told::BoundFirst && share(source.ports, usable) >= QUARTER {
            gather.put(name("ports"), number(source.ports), "sock_diag");
            gather.put(name("time_wait"), number(source.time_wait), "sock_diag");
            gather.put(name("meaning"), Ok(Value::Text(FOR_ALL.to_owned())), "sock_diag");
        } else if source.told == Told::Untold && share(source.ports, usable) >= NEAR_THE_END {
            let taken = format!("{} of {usable} usable local ports are taken from this address", source.ports);
            let why = format!("{taken}, and kernel {release} does not tell whether they were bound before connect()");
            gather.put(name("ports"), Err(Gap::new(Cause::Unsupported, why)), "sock_diag");
        }
    }
    let destinations = held.destinations();
    gather.put(COUNT, number(destinations.len()), "sock_diag");
    for (at, destination) in destinations.iter().take(bounds::SOURCES.count()).enumerate() {
        // Who is far from the limit is named only if nobody is nearer.
        if at == 0 || share(destination.ports, usable) >= QUARTER {
            let name = |key: &str| format!("destination[{} from {}].{key}", destination.to, destination.from);
            gather.put(name("ports"), number(destination.ports), "sock_diag");
            gather.put(name("time_wait"), number(destination.time_wait), "sock_diag");
            gather.put(name("meaning"), Ok(Value::Text(FOR_ONE.to_owned())), "sock_diag");
        }
    }
}

fn share(ports: usize, usable: u32) -> i128 {
    i128::try_from(ports).unwrap_or(i128::MAX).saturating_mul(100) / i128::from(usable.max(1))
}

/// The ports that an outgoing connection may draw.
#[derive(Clone, Copy, Debug)]
struct Drawing {
    /// How many there are.
    usable: u32,
    /// The first one of the range: `connect()` prefers ports of its parity, `bind()` those of the other.
    first: u16,
}

/// Asks for the sockets, if there are enough of them to matter.
///
/// One family without the other would count too few: IPv6 sockets may have IPv4 peers.
fn holding(gather: &Gather<'_>) -> Result<(Held, Drawing), Gap> {
    if ports_used_at_most(&gather.facts)? < QUARTER {
        let why =
            "not asked for: fewer TCP sockets here than a quarter of the usable ports can be outgoing connections";
        return Err(Gap::new(Cause::Absent, why));
    }
    let usable = usable_ports(&gather.facts)?;
    // Where something listens, the connections were accepted, and connect() passes over that port.
    let drawn = usable.difference(&listening_ports(&gather.facts)?);
    let mut taking = Taking { drawn: &drawn, toward: HashMap::new(), bound: BTreeMap::new() };
    if let (Some(&(low, _)), Some(&(_, high))) = (drawn.ranges().first(), drawn.ranges().last()) {
        let asked = gather.host.connections(&format!("{low}-{high}"), &mut taking);
        asked.map_err(|refusal| refusal.gap("sock_diag for TCP"))?;
    }
    let held = taking.held();
    Ok((held, Drawing { usable: usable.count(), first: first_port(&gather.facts)? }))
}

/// A peer and the local address that it is called from.
type Way = (SocketAddr, IpAddr);

/// Sockets that are taken as they come.
struct Taking<'a> {
    drawn: &'a Ports,
    toward: HashMap<Way, Vec<(u16, bool)>>,
    bound: BTreeMap<IpAddr, BTreeSet<u16>>,
}

impl Sockets for Taking<'_> {
    fn clear(&mut self) {
        self.toward.clear();
        self.bound.clear();
    }

    fn add(&mut self, message: &[u8]) {
        let Some((way, port, waits)) = socket(message).filter(|(_, port, _)| self.drawn.contains(*port)) else {
            return;
        };
        // Every peer has a port.
        if way.0.port() == 0 {
            self.bound.entry(way.1).or_default().insert(port);
        } else {
            self.toward.entry(way).or_default().push((port, waits));
        }
    }
}

impl Taking<'_> {
    /// In order, with each port once toward each destination, however many sockets hold it.
    fn held(self) -> Held {
        let mut toward: BTreeMap<Way, Vec<(u16, bool)>> = self.toward.into_iter().collect();
        for ports in toward.values_mut() {
            ports.sort_unstable();
            ports.dedup_by_key(|(port, _)| *port);
        }
        Held { toward, bound: self.bound }
    }
}

/// What holds local ports.
#[derive(Debug)]
struct Held {
    /// Local ports by number, each once, and whether nothing but a socket that waits holds it.
    toward: BTreeMap<Way, Vec<(u16, bool)>>,
    /// Local ports of sockets that are bound and not connected, by address.
    bound: BTreeMap<IpAddr, BTreeSet<u16>>,
}

impl Held {
    /// Every destination, the busiest first.
    fn destinations(self) -> Vec<Destination> {
        let counted = |((to, from), ports): (Way, Vec<(u16, bool)>)| {
            let time_wait = ports.iter().filter(|(_, waits)| *waits).count();
            Destination { to, from, ports: ports.len(), time_wait }
        };
        let mut destinations: Vec<Destination> = self.toward.into_iter().map(counted).collect();
        destinations.sort_by_key(|destination| Reverse(destination.ports));
        destinations
    }
}

struct Destination {
    to: SocketAddr,
    from: IpAddr,
    ports: usize,
    time_wait: usize,
}

/// Reads an `inet_diag_msg` up to its addresses: where to, from which port, and whether it is in TIME_WAIT. IPv4 peers
/// of IPv6 sockets share the ports of IPv4.
fn socket(body: &[u8]) -> Option<(Way, u16, bool)> {
    const TCP_TIME_WAIT: u8 = 6;
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let &[family, state] = body.first_chunk()?;
    let from = address(family, body.get(8..24)?)?.to_canonical();
    let to = address(family, body.get(24..40)?)?.to_canonical();
    Some(((SocketAddr::new(to, port(6)?), from), port(4)?, state == TCP_TIME_WAIT))
}

#[cfg(test)]
mod tests;
