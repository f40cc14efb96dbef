//! What clients ask of a service, from which the load on each pod and node follows.

use serde::{Deserialize, Serialize};

use super::workload::{Role, Workload};

/// How requests share connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1: one request at a time on each connection.
    #[default]
    H1,
    /// HTTP/2: as many requests on each connection as it has streams.
    H2,
}

impl Protocol {
    /// The word used on the command line and in files.
    pub fn word(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
        }
    }
}

/// The traffic of a service, of all its pods together.
///
/// Requests in flight are what connections, descriptors and ports follow from; by Little's law they are the rate times
/// the time that one request takes: 500 requests/s of 20 s are 10,000 at any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// The side of the connections on which the service stands.
    pub role: Role,
    /// Requests in flight at the same time.
    pub concurrency: u64,
    /// How long one request is in flight, its stream included.
    pub milliseconds: Option<u64>,
    /// How requests share connections: those that a server accepts, or that a client or gateway opens.
    pub protocol: Protocol,
    /// Requests on one of these connections at the same time; 1 for HTTP/1.1.
    pub streams: u64,
    /// Requests on one connection that a gateway accepts.
    pub incoming_streams: u64,
    /// Whether every request has a connection of its own.
    pub short_lived: bool,
    /// Different address:port pairs that outgoing connections go to.
    pub destinations: u64,
    /// Addresses of one pod that its outgoing connections are spread over.
    pub source_addresses: u64,
    /// New connections of all pods that arrive before applications call accept() again.
    pub burst: u64,
    /// Outgoing connections of all pods, where they differ from what the role implies.
    pub outgoing: Option<u64>,
    /// Ports on which the service listens.
    pub ports: Vec<u16>,
    /// Bytes of one response, headers included.
    pub response_bytes: Option<u64>,
    /// Bytes of one request, headers included.
    pub request_bytes: Option<u64>,
    /// Bytes that a streamed response sends at once: each is a packet and a TLS record of its own.
    pub chunk_bytes: Option<u64>,
    /// Pods that share the traffic evenly.
    pub pods: u64,
    /// Nodes that share the pods evenly.
    pub nodes: u64,
    /// Public addresses of the NAT gateway that outgoing connections pass.
    pub nat_addresses: u64,
    /// Speed of a node's network link.
    pub link_bits: Option<u64>,
}

/// What of the traffic falls to one pod, one node, or everything: each is rounded up, as the busiest one has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Requests in flight.
    pub requests: u64,
    /// Connections that arrive.
    pub incoming: u64,
    /// Connections that are opened.
    pub outgoing: u64,
    /// New connections that arrive before accept() is called again.
    pub burst: u64,
}

impl Share {
    /// Sockets of both sides.
    pub fn sockets(self) -> u64 {
        self.incoming.saturating_add(self.outgoing)
    }

    fn times(self, count: u64) -> Self {
        let Self { requests, incoming, outgoing, burst } = self;
        let [requests, incoming, outgoing, burst] =
            [requests, incoming, outgoing, burst].map(|n| n.saturating_mul(count));
        Self { requests, incoming, outgoing, burst }
    }
}

impl Traffic {
    /// The traffic behind a load that is stated in connections: of one pod, with every stream in use.
    pub fn of(workload: &Workload) -> Self {
        let requests = match workload.role {
            Role::Gateway => workload.connections,
            Role::Client | Role::Server => workload.connections.saturating_mul(workload.streams),
        };
        Self {
            role: workload.role,
            concurrency: requests,
            milliseconds: None,
            protocol: if workload.streams > 1 { Protocol::H2 } else { Protocol::H1 },
            streams: workload.streams,
            incoming_streams: 1,
            short_lived: false,
            destinations: workload.destinations,
            source_addresses: workload.source_addresses,
            burst: workload.burst,
            outgoing: workload.outgoing,
            ports: workload.ports.clone(),
            response_bytes: None,
            request_bytes: None,
            chunk_bytes: None,
            pods: 1,
            nodes: 1,
            nat_addresses: 1,
            link_bits: None,
        }
    }

    /// The same traffic with another number of requests in flight. A burst and declared outgoing connections grow and
    /// shrink with it, and so does the rate.
    pub fn scaled(&self, concurrency: u64) -> Self {
        let scaled = |number: u64| {
            let product = u128::from(number) * u128::from(concurrency);
            u64::try_from(product.div_ceil(u128::from(self.concurrency.max(1)))).unwrap_or(u64::MAX)
        };
        Self { concurrency, burst: scaled(self.burst), outgoing: self.outgoing.map(scaled), ..self.clone() }
    }

    /// What one pod has to hold.
    pub fn pod(&self) -> Share {
        let requests = self.concurrency.div_ceil(self.pods.max(1));
        let on = |streams: u64| requests.div_ceil(streams.max(1));
        let (incoming, outgoing) = match self.role {
            Role::Client => (0, on(self.streams)),
            Role::Server => (on(self.streams), 0),
            Role::Gateway => (on(self.incoming_streams), on(self.streams)),
        };
        Share {
            requests,
            incoming,
            outgoing: self.outgoing.map_or(outgoing, |all| all.div_ceil(self.pods.max(1))),
            burst: if incoming == 0 { 0 } else { self.burst.div_ceil(self.pods.max(1)) },
        }
    }

    /// Pods on the busiest node.
    pub fn pods_on_a_node(&self) -> u64 {
        self.pods.div_ceil(self.nodes.max(1)).max(1)
    }

    /// What one node has to hold.
    pub fn node(&self) -> Share {
        self.pod().times(self.pods_on_a_node())
    }

    /// What all pods hold together.
    pub fn whole(&self) -> Share {
        self.pod().times(self.pods.max(1))
    }

    /// How many of something per second pass where `requests` are in flight; `None` while nothing says how long one takes.
    pub fn per_second(&self, requests: u64) -> Option<u64> {
        let milliseconds = self.milliseconds.filter(|&time| time > 0)?;
        let rate = (u128::from(requests) * 1000).div_ceil(u128::from(milliseconds));
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// The load on one pod, as an audit takes it.
    pub fn workload(&self) -> Workload {
        let share = self.pod();
        // Of a client those that its requests take, whatever else it opens.
        let connections = match self.role {
            Role::Client => share.requests.div_ceil(self.streams.max(1)),
            Role::Server | Role::Gateway => share.incoming,
        };
        let workload = Workload {
            role: self.role,
            connections,
            burst: if share.burst > 0 { share.burst } else { self.burst.div_ceil(self.pods.max(1)) },
            destinations: self.destinations,
            source_addresses: self.source_addresses,
            streams: self.streams,
            outgoing: None,
            ports: self.ports.clone(),
        };
        let implied = workload.outgoing() == share.outgoing;
        Workload { outgoing: (!implied).then_some(share.outgoing), ..workload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(role: Role, concurrency: u64) -> Traffic {
        let workload = Workload { connections: concurrency, burst: concurrency / 10, ..Workload::none(role) };
        Traffic::of(&workload)
    }

    #[test]
    fn streams_divide_connections_and_pods_divide_both() {
        let client = Traffic { protocol: Protocol::H2, streams: 100, pods: 10, ..traffic(Role::Client, 100_000) };
        assert_eq!(client.pod(), Share { requests: 10_000, incoming: 0, outgoing: 100, burst: 0 });
        assert_eq!(client.node().outgoing, 1000);
        assert_eq!(Traffic { nodes: 4, ..client.clone() }.node().outgoing, 300, "three pods on the busiest node");
        let gateway = Traffic { streams: 100, ..traffic(Role::Gateway, 6000) };
        assert_eq!((gateway.pod().incoming, gateway.pod().outgoing), (6000, 60));
        let both = Traffic { incoming_streams: 50, ..gateway };
        assert_eq!((both.pod().incoming, both.pod().outgoing), (120, 60));
    }

    #[test]
    fn a_load_in_connections_is_found_again() {
        for role in [Role::Client, Role::Server, Role::Gateway] {
            for streams in [1, 100] {
                let load = Workload { connections: 700, burst: 60, streams, ..Workload::none(role) };
                assert_eq!(Traffic::of(&load).workload(), load, "{streams}");
                let load = Workload { outgoing: Some(33), ..load };
                assert_eq!(Traffic::of(&load).workload(), load, "{streams}");
            }
        }
        let h2 = Traffic { incoming_streams: 10, streams: 100, ..traffic(Role::Gateway, 10_000) };
        assert_eq!((h2.workload().connections, h2.workload().outgoing()), (1000, 100));
    }

    #[test]
    fn the_rate_is_what_is_in_flight_by_the_time_it_takes() {
        let timed = Traffic { milliseconds: Some(20_000), ..traffic(Role::Server, 10_000) };
        assert_eq!(timed.per_second(10_000), Some(500));
        assert_eq!(timed.scaled(20_000).burst, 2000);
        assert_eq!(traffic(Role::Server, 10_000).per_second(10_000), None);
    }

    #[test]
    fn the_largest_numbers_overflow_nothing() {
        let most = Traffic {
            pods: u64::MAX,
            nodes: 1,
            burst: u64::MAX,
            outgoing: Some(u64::MAX),
            milliseconds: Some(1),
            ..traffic(Role::Gateway, u64::MAX)
        };
        assert_eq!(most.scaled(u64::MAX).whole().sockets(), u64::MAX);
        assert_eq!(most.per_second(u64::MAX), Some(u64::MAX));
    }
}
