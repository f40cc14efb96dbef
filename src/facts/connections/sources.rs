//! Whether sockets were bound before `connect()`, told by the ports that they hold.
//!
//! The kernel does not say it of a socket. But `connect()` draws ports of the parity of the range's first one until those
//! are used up toward a destination, and the same ones toward every destination; `bind()` to port 0 draws the others first,
//! and a port that it gave is no other socket's (`__inet_hash_connect`, `inet_csk_find_open_port`; seen on 6.18 with and
//! without `IP_BIND_ADDRESS_NO_PORT`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Drawing, Held};

impl Drawing {
    fn usable(self) -> usize {
        usize::try_from(self.usable).unwrap_or(usize::MAX)
    }
}

/// What the ports of a source address tell of how they were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// By `connect()`.
    Connected,
    /// Some by `bind()`.
    BoundFirst,
    /// Nothing.
    Untold,
}

/// The ports that are taken from one address, toward whatever destination.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) from: IpAddr,
    pub(super) ports: usize,
    /// Those of them that only a socket in `TIME_WAIT` holds.
    pub(super) time_wait: usize,
    pub(super) told: Told,
}

/// Ports below which a few explicit binds would look like a habit.
const FEW: usize = 5;

impl Held {
    /// Source addresses that hold a tenth of the usable ports or more, the busiest first. `even_first`: `connect()` of this
    /// kernel prefers a parity.
    pub(super) fn sources(&self, drawing: Drawing, even_first: bool) -> Vec<Taken> {
        let mut sources: BTreeMap<IpAddr, Vec<&[(u16, bool)]>> = BTreeMap::new();
        for ((_, from), sockets) in &self.toward {
            sources.entry(*from).or_default().push(sockets);
        }
        let busy = |destinations: &[&[(u16, bool)]]| {
            destinations.iter().map(|sockets| sockets.len()).sum::<usize>().saturating_mul(10) >= drawing.usable()
        };
        let mut all: Vec<Taken> = sources
            .into_iter()
            .filter(|(_, destinations)| busy(destinations))
            .map(|(from, destinations)| self.taken(from, &destinations, drawing, even_first))
            .collect();
        all.sort_by_key(|taken| std::cmp::Reverse(taken.ports));
        all
    }

    fn taken(&self, from: IpAddr, destinations: &[&[(u16, bool)]], drawing: Drawing, even_first: bool) -> Taken {
        // Of each port: toward how many destinations, and whether anything but TIME_WAIT holds it.
        let mut ports: BTreeMap<u16, (usize, bool)> = BTreeMap::new();
        // Those toward destinations that would not have made connect() turn to the other parity, and the last of these.
        let mut unhurried: BTreeMap<u16, usize> = BTreeMap::new();
        for (at, sockets) in destinations.iter().enumerate() {
            let mut toward: BTreeMap<u16, bool> = BTreeMap::new();
            for &(port, waits) in *sockets {
                *toward.entry(port).or_default() |= !waits;
            }
            let few = toward.len().saturating_mul(2) <= drawing.usable();
            for (port, lives) in toward {
                let (destinations, lived) = ports.entry(port).or_default();
                *destinations += 1;
                *lived |= lives;
                if few {
                    unhurried.insert(port, at);
                }
            }
        }
        // What is bound to no address is taken from every one.
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        for bound in [from]
            .into_iter()
            .chain(any.into_iter().filter(|any| *any != from))
            .filter_map(|address| self.bound.get(&address))
        {
            bound.iter().for_each(|&port| ports.entry(port).or_insert((1, true)).1 = true);
        }
        let once = |port: &&u16| ports.get(*port).is_some_and(|(destinations, _)| *destinations == 1);
        let told = if even_first {
            let other: Vec<&u16> = unhurried.keys().filter(|port| port.wrapping_sub(drawing.first) % 2 == 1).collect();
            let lonely: Vec<&u16> = other.iter().copied().filter(once).collect();
            let alone = lonely.len();
            // Toward one destination they may be what is left of a time when connect() had used up those of its parity.
            let spread = lonely.iter().filter_map(|port| unhurried.get(port)).collect::<BTreeSet<_>>().len() > 1;
            // One in ten: beside sockets that are bound first there may be others.
            let bound = spread && alone >= FEW && alone * 10 >= unhurried.len() && alone * 10 >= other.len() * 9;
            if bound { Told::BoundFirst } else { Told::Connected }
        } else if ports.keys().filter(once).count() * 10 >= ports.len() * 9 {
            Told::Untold
        } else {
            Told::Connected
        };
        let time_wait = ports.values().filter(|(_, lives)| !lives).count();
        Taken { from, ports: ports.len(), time_wait, told }
    }
}
