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

/// How a port is taken from one address.
#[derive(Clone, Copy, Default)]
struct Use {
    /// Toward so many destinations; one where it is only bound.
    destinations: u32,
    /// Whether anything but `TIME_WAIT` holds it.
    lives: bool,
    /// The last destination toward which it is taken that would not have made `connect()` turn to the other parity.
    unhurried: Option<usize>,
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
        let mut all = vec![Use::default(); usize::from(u16::MAX) + 1];
        let of = |all: &mut Vec<Use>, port: u16, toward: u32, lives: bool, unhurried: Option<usize>| {
            if let Some(port) = all.get_mut(usize::from(port)) {
                port.destinations += toward;
                port.lives |= lives;
                port.unhurried = unhurried.or(port.unhurried);
            }
        };
        for (at, sockets) in destinations.iter().enumerate() {
            let few = Some(at).filter(|_| sockets.len().saturating_mul(2) <= drawing.usable());
            sockets.iter().for_each(|&(port, waits)| of(&mut all, port, 1, !waits, few));
        }
        // What is bound to no address is taken from every one.
        let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        for bound in [from]
            .into_iter()
            .chain(any.into_iter().filter(|any| *any != from))
            .filter_map(|address| self.bound.get(&address))
        {
            for &port in bound {
                let alone = u32::from(all.get(usize::from(port)).is_some_and(|port| port.destinations == 0));
                of(&mut all, port, alone, true, None);
            }
        }
        let ports = || (0..=u16::MAX).zip(&all).filter(|(_, port)| port.destinations > 0);
        let count = |of: &dyn Fn(u16, &Use) -> bool| ports().filter(|(number, port)| of(*number, port)).count();
        let is_other =
            |number: u16, port: &Use| port.unhurried.is_some() && number.wrapping_sub(drawing.first) % 2 == 1;
        let told = if even_first {
            let unhurried = count(&|_, port| port.unhurried.is_some());
            let other = count(&is_other);
            let is_alone = |number: u16, port: &Use| is_other(number, port) && port.destinations == 1;
            let alone = count(&is_alone);
            // Toward one destination they may be what is left of a time when connect() had used up those of its parity.
            let lonely = ports().filter(|(number, port)| is_alone(*number, port));
            let spread = lonely.filter_map(|(_, port)| port.unhurried).collect::<BTreeSet<_>>().len() > 1;
            // One in ten: beside sockets that are bound first there may be others.
            let bound = spread && alone >= FEW && alone * 10 >= unhurried && alone * 10 >= other * 9;
            if bound { Told::BoundFirst } else { Told::Connected }
        } else if count(&|_, port| port.destinations == 1) * 10 >= ports().count() * 9 {
            Told::Untold
        } else {
            Told::Connected
        };
        let time_wait = count(&|_, port| !port.lives);
        Taken { from, ports: ports().count(), time_wait, told }
    }
}
