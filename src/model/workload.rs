//! What the machine is asked to carry.

use serde::{Deserialize, Serialize};

use super::facts::grouped;

/// The side of its connections on which the audited machine stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
            ports: Vec::new(),
        }
    }

    /// Connections that arrive at this machine.
    pub fn incoming(&self) -> u64 {
        if self.role == Role::Client { 0 } else { self.connections }
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

    /// Outgoing connections from one source address toward one destination, if they are spread evenly.
    pub fn per_destination(&self) -> u64 {
        self.outgoing().div_ceil(self.destinations.max(1).saturating_mul(self.source_addresses.max(1)))
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
        if self.streams > 1 {
            words.push(format!("{} streams on each", number(self.streams)));
        }
        if !self.ports.is_empty() {
            words.push(format!("on port {}", self.ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")));
        }
        format!("{}: {}", self.role.word(), words.join(" · "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_decides_which_side_needs_sockets() {
        let load = |role| Workload { connections: 6001, burst: 600, destinations: 2, ..Workload::none(role) };
        assert_eq!((load(Role::Server).incoming(), load(Role::Server).outgoing()), (6001, 0));
        assert_eq!((load(Role::Client).sockets(), load(Role::Client).per_destination()), (6001, 3001));
        assert_eq!(load(Role::Gateway).sockets(), 12_002);
        assert_eq!(Workload { source_addresses: 3, ..load(Role::Client) }.per_destination(), 1001);
    }
}
