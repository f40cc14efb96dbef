//! What the machine is asked to carry.

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::fact::Value;
use super::facts::{Facts, grouped};

/// The side of its connections on which the audited machine stands.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[databake(path = crate::model::workload)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Opens connections.
    Client,
    /// Accepts connections.
    #[default]
    Server,
    /// Accepts connections and opens one for each of them.
    Gateway,
}

impl Role {
    /// The word used on the command line and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Gateway => "gateway",
        }
    }

    /// On how many sides requests have connections, where so many arrive and are opened: two of a gateway.
    pub fn sides(self, incoming: u64, outgoing: u64) -> u64 {
        let arrives = self != Self::Client && incoming > 0;
        let opens = self != Self::Server && outgoing > 0;
        u64::from(arrives) + u64::from(opens)
    }

    /// The role of this word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Client, Self::Server, Self::Gateway].into_iter().find(|role| role.word() == word)
    }
}

/// The declared load. Its numbers are facts (`workload.*`), so that a rule's bound can refer to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The side of the connections.
    pub role: Role,
    /// Connections open at the same time.
    pub connections: u64,
    /// New connections that arrive before the application calls accept() again.
    pub burst: u64,
    /// Different address:port pairs that outgoing connections go to.
    pub destinations: u64,
    /// Addresses of this machine that outgoing connections are spread over: each has its own ports toward a destination.
    pub source_addresses: u64,
    /// Concurrent HTTP/2 streams on one connection; 1 for HTTP/1.1.
    pub streams: u64,
    /// Outgoing connections, where they differ from what the role implies.
    pub outgoing: Option<u64>,
    /// Requests per second that have a connection of their own, in thousandths; 0 where connections are kept.
    pub short_lived: u64,
    /// Ports on which the service listens; empty if they were not declared.
    pub ports: Vec<u16>,
}

impl Workload {
    /// A load of nothing.
    pub fn none(role: Role) -> Self {
        Self {
            role,
            connections: 0,
            burst: 0,
            destinations: 1,
            source_addresses: 1,
            streams: 1,
            outgoing: None,
            short_lived: 0,
            ports: Vec::new(),
        }
    }

    /// Connections that arrive at this machine.
    pub fn incoming(&self) -> u64 {
        if self.role == Role::Client { 0 } else { self.connections }
    }

    /// The burst of a load that states none: as large as that of the load it is taken from, but no more than it has
    /// connections, or gets in half a second where they are short-lived.
    #[must_use]
    pub fn burst_unstated(self) -> Self {
        let most = self.connections.max(self.short_lived.div_ceil(2 * 1000)).max(1);
        Self { burst: self.burst.min(most), ..self }
    }

    /// Connections that this machine opens: all of a client's, one stream for each of a gateway's, none of a server's.
    pub fn outgoing(&self) -> u64 {
        self.outgoing.unwrap_or(match self.role {
            Role::Client => self.connections,
            Role::Server => 0,
            Role::Gateway => self.connections.div_ceil(self.streams.max(1)),
        })
    }

    /// Sockets that carry the load, both sides together.
    pub fn sockets(&self) -> u64 {
        self.incoming().saturating_add(self.outgoing())
    }

    /// Local ports that outgoing connections take from one source address, if they are spread evenly: those that are open,
    /// and those that have ended and hold their port. Toward one destination, or toward all.
    pub fn local_ports(&self, ports: PortUse) -> u64 {
        let opens = self.role != Role::Server && self.outgoing() > 0;
        let ended = if opens { ports.time_wait.sockets(self.short_lived) } else { 0 };
        let ways = ports.destinations(self.destinations).saturating_mul(self.source_addresses.max(1));
        self.outgoing().saturating_add(ended).div_ceil(ways)
    }

    /// Connections that conntrack knows at once: those that are open, and those that have ended and are remembered.
    pub fn tracked(&self) -> u64 {
        let sides = self.role.sides(self.incoming(), self.outgoing());
        self.sockets().saturating_add(ended(self.short_lived, COUNTED).saturating_mul(sides))
    }

    /// Whether it is at least the load that the manual tunes for in this role: from there on its numbers are asked for.
    fn is_the_manuals(&self) -> bool {
        self.connections >= if self.role == Role::Client { 1000 } else { 6000 }
    }

    /// Connections that the queues of a listener should hold. From the manual's load on its 65,535; below that all of them
    /// at once, as after a restart of a load balancer. A burst has room for half as much again: of a SYN queue without
    /// cookies strangers get three quarters.
    pub fn queue(&self) -> u64 {
        let burst = self.burst.saturating_add(self.burst / 2);
        if self.is_the_manuals() || self.burst >= 600 { burst.max(65_535) } else { burst.max(self.incoming()) }
    }

    /// Files that a process cannot do without: its sockets, and what is open beside them.
    pub fn files_at_least(&self) -> u64 {
        self.sockets().saturating_add(SPARE_FILES)
    }

    /// Files that a process should be allowed. From the manual's load on its 65,535; below that twice the load.
    pub fn files(&self) -> u64 {
        let least = self.files_at_least();
        if self.is_the_manuals() { least.max(65_535) } else { least.saturating_add(self.sockets()) }
    }

    /// Entries that a conntrack table should have room for on a machine with so much memory: twice the load, since an
    /// entry outlives its connection. From the manual's load on its 262,144, where the kernel itself begins with that.
    pub fn entries(&self, memory: Option<i128>) -> u64 {
        let twice = self.tracked().saturating_mul(2);
        let large = memory.is_some_and(|memory| memory > 4 << 30);
        if self.is_the_manuals() && large { twice.max(262_144) } else { twice }
    }

    /// Every number of the load, so that two loads that differ read differently.
    pub fn words(&self) -> String {
        let number = |number: u64| grouped(number.into());
        let mut words =
            vec![format!("{} connections", number(self.connections)), format!("burst {}", number(self.burst))];
        if self.outgoing() > 0 || self.destinations > 1 {
            let plural = if self.destinations == 1 { "" } else { "s" };
            words.push(format!(
                "{} outgoing to {} destination{plural}",
                number(self.outgoing()),
                number(self.destinations)
            ));
        }
        if self.source_addresses > 1 {
            words.push(format!("from {} addresses", number(self.source_addresses)));
        }
        if self.short_lived > 0 {
            words.push(format!("{} short-lived ones per second", thousandths(self.short_lived)));
        }
        if self.streams > 1 {
            words.push(format!("{} streams on each", number(self.streams)));
        }
        if !self.ports.is_empty() {
            words.push(format!("on port {}", self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")));
        }
        format!("{}: {}", self.role.word(), words.join(" · "))
    }
}

/// Files that are open beside the sockets: logs, pipes, epoll, name lookups.
pub const SPARE_FILES: u64 = 256;

/// How long conntrack remembers a closed connection, in seconds: default of nf_conntrack_tcp_timeout_time_wait.
pub const REMEMBERED: u64 = 120;
/// How long it counts in the table, in seconds: an entry that has expired stays until the collector comes by, every 60 s at
/// most since Linux 6.1 (120 s in 5.10).
pub const COUNTED: u64 = REMEMBERED + 60;
/// How long a socket stays in TIME_WAIT, in seconds: a constant of the kernel.
const TIME_WAIT: u64 = 60;

/// How long connections that have ended hold their local port, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWait(pub u64);

impl Default for TimeWait {
    fn default() -> Self {
        Self(TIME_WAIT)
    }
}

impl TimeWait {
    /// The facts that it follows from; where they are missing, the kernel's constants hold.
    pub const NEEDS: [&str; 3] =
        ["sysctl.net.ipv4.tcp_tw_reuse", "sysctl.net.ipv4.tcp_timestamps", "sysctl.net.ipv4.tcp_tw_reuse_delay"];

    /// That of a machine: with tcp_tw_reuse = 1 a port may be used again after tcp_tw_reuse_delay (a second where the
    /// kernel is older than that key), if timestamps are on. That sockets beyond tcp_max_tw_buckets skip TIME_WAIT is
    /// nothing to build on.
    pub fn of(facts: &Facts) -> Self {
        let [reuse, timestamps, delay] = Self::NEEDS.map(|name| facts.value(name).ok());
        let is = |value: Option<&Value>, number: i128| value == Some(&Value::Number(number));
        if !is(reuse, 1) || timestamps.is_none() || is(timestamps, 0) {
            return Self::default();
        }
        let milliseconds = delay.and_then(Value::limit).and_then(|delay| u64::try_from(delay).ok());
        Self(milliseconds.unwrap_or(1000).div_ceil(1000).clamp(1, TIME_WAIT))
    }

    /// Sockets in TIME_WAIT at once, where so many thousandths of a connection end each second.
    pub fn sockets(self, thousandths: u64) -> u64 {
        ended(thousandths, self.0)
    }
}

/// How connections hold their local ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortUse {
    /// How long those that have ended hold theirs.
    pub time_wait: TimeWait,
    /// Whether sockets are bound to their source address before `connect()`, without `IP_BIND_ADDRESS_NO_PORT`: a port then
    /// serves one destination only, and `bind()` takes none that waits.
    pub bound_first: bool,
}

impl PortUse {
    /// The facts that it follows from.
    pub const NEEDS: [&str; 4] = {
        let [reuse, timestamps, delay] = TimeWait::NEEDS;
        [reuse, timestamps, delay, "ports.bound_first"]
    };

    /// That of a machine. Where its sockets do not show that they are bound first, `connect()` draws the ports.
    pub fn of(facts: &Facts) -> Self {
        match facts.holds("ports.bound_first") {
            true => Self { time_wait: TimeWait::default(), bound_first: true },
            false => Self { time_wait: TimeWait::of(facts), bound_first: false },
        }
    }

    /// Of so many destinations, those that the ports of a source address serve one after the other, each with all of them.
    pub fn destinations(self, destinations: u64) -> u64 {
        if self.bound_first { 1 } else { destinations.max(1) }
    }

    /// What local ports are counted toward, as words behind them.
    pub fn toward(self) -> &'static str {
        match self.bound_first {
            true => "from one address, over all destinations: sockets here are bound before connect()",
            false => "toward each destination",
        }
    }
}

/// What ends in so many seconds.
pub fn ended(thousandths: u64, seconds: u64) -> u64 {
    let all = (u128::from(thousandths) * u128::from(seconds)).div_ceil(1000);
    u64::try_from(all).unwrap_or(u64::MAX)
}

/// A rate in thousandths, to be read: whole ones where there are many.
pub fn per_second(rate: u64) -> String {
    thousandths(if rate >= 10_000 { rate / 1000 * 1000 } else { rate })
}

/// Thousandths as a decimal number.
pub fn thousandths(number: u64) -> String {
    let text = format!("{}.{:03}", grouped((number / 1000).into()), number % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_decides_which_side_needs_sockets() {
        let load = |role| Workload { connections: 6001, burst: 600, destinations: 2, ..Workload::none(role) };
        assert_eq!((load(Role::Server).incoming(), load(Role::Server).outgoing()), (6001, 0));
        assert_eq!((load(Role::Client).sockets(), load(Role::Client).local_ports(PortUse::default())), (6001, 3001));
        assert_eq!(load(Role::Gateway).sockets(), 12_002);
        assert_eq!(Workload { source_addresses: 3, ..load(Role::Client) }.local_ports(PortUse::default()), 1001);
    }

    #[test]
    fn the_manuals_numbers_are_asked_for_from_the_manuals_load_on() {
        let load = |connections, burst| Workload { connections, burst, ..Workload::none(Role::Server) };
        let large = Some(16 << 30);
        let asked = |load: Workload| (load.queue(), load.files(), load.entries(large), load.entries(Some(2 << 30)));
        assert_eq!(asked(load(10, 1)), (10, 276, 20, 20));
        assert_eq!(asked(load(5999, 599)), (5999, 12_254, 11_998, 11_998));
        assert_eq!(asked(load(6000, 600)), (65_535, 65_535, 262_144, 12_000));
        assert_eq!(asked(load(200_000, 70_000)), (105_000, 200_256, 400_000, 400_000));
        assert_eq!(load(6000, 600).entries(None), 12_000, "nothing is asked of a memory that is not known");
        assert_eq!(Workload { connections: 1000, ..Workload::none(Role::Client) }.files(), 65_535);
    }

    #[test]
    fn what_has_ended_holds_ports_of_who_opened_it() {
        let load = |role| Workload { connections: 20, short_lived: 100_500, ..Workload::none(role) };
        assert_eq!(load(Role::Client).local_ports(PortUse::default()), 20 + 6030);
        assert_eq!(load(Role::Client).local_ports(PortUse { time_wait: TimeWait(1), bound_first: false }), 20 + 101);
        assert_eq!(Workload { outgoing: Some(0), ..load(Role::Client) }.tracked(), 0, "nothing is opened");
        let server = Workload { outgoing: Some(5), ..load(Role::Server) };
        assert_eq!((server.local_ports(PortUse::default()), server.tracked()), (5, 25 + 18_090));
        assert_eq!(load(Role::Gateway).tracked(), 40 + 2 * 18_090);
        let facts = |numbers: [i128; 3]| {
            let mut facts = Facts::default();
            for (name, number) in TimeWait::NEEDS.into_iter().zip(numbers) {
                facts.put(name, Ok(Value::Number(number)), "");
            }
            TimeWait::of(&facts)
        };
        assert_eq!([facts([1, 1, 1000]), facts([1, 1, 100]), facts([1, 1, 60_000])], [1, 1, 60].map(TimeWait));
        assert_eq!([facts([1, 0, 1000]), facts([2, 1, 1000]), TimeWait::of(&Facts::default())], [60; 3].map(TimeWait));
        assert_eq!((thousandths(500), thousandths(1_234_500)), ("0.5".to_owned(), "1,234.5".to_owned()));
    }
}
