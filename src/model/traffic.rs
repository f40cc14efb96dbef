//! What clients ask of a service, from which the load on each pod and node follows.

use serde::{Deserialize, Serialize};

use super::workload::{PortUse, Role, Workload};

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
    /// Requests per second, in thousandths.
    pub rate: Option<u64>,
    /// How long one request is in flight, its stream included.
    pub microseconds: Option<u64>,
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
    /// How connections hold their local ports: as on a machine, once one is looked at.
    pub port_use: PortUse,
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
    /// Requests per second, in thousandths; `None` while nothing says how many.
    pub rate: Option<u64>,
}

impl Share {
    /// Sockets of both sides.
    pub fn sockets(self) -> u64 {
        self.incoming.saturating_add(self.outgoing)
    }

    fn times(self, count: u64) -> Self {
        let all = |number: u64| number.saturating_mul(count);
        Self {
            requests: all(self.requests),
            incoming: all(self.incoming),
            outgoing: all(self.outgoing),
            burst: all(self.burst),
            rate: self.rate.map(all),
        }
    }
}

impl Traffic {
    /// The traffic behind a load that is stated in connections: of one pod, with every stream in use.
    pub fn of(workload: &Workload) -> Self {
        let requests = match workload.role {
            Role::Gateway => workload.connections,
            Role::Client | Role::Server => workload.connections.saturating_mul(workload.streams),
        };
        let rate = Some(workload.short_lived).filter(|&rate| rate > 0);
        Self {
            role: workload.role,
            concurrency: requests,
            rate,
            microseconds: rate.map(|rate| time(requests, rate)),
            protocol: if workload.streams > 1 { Protocol::H2 } else { Protocol::H1 },
            streams: workload.streams,
            incoming_streams: 1,
            short_lived: rate.is_some(),
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
            port_use: PortUse::default(),
        }
    }

    /// The same traffic with another number of requests in flight. A burst and declared outgoing connections grow and
    /// shrink with it, and so does the rate.
    pub fn scaled(&self, concurrency: u64) -> Self {
        let scaled = self.times(concurrency, self.concurrency);
        let rate = self.microseconds.map_or(scaled.rate, |time| Some(rate(concurrency, time)));
        Self { concurrency, rate: self.rate.and(rate), ..scaled }
    }

    /// The same traffic at another rate, in thousandths of a request per second.
    pub fn at_rate(&self, rate: u64) -> Self {
        let scaled = self.times(rate, self.rate.unwrap_or_default());
        let concurrency = self.microseconds.map_or(scaled.concurrency, |time| in_flight(rate, time));
        Self { concurrency, rate: Some(rate), ..scaled }
    }

    fn times(&self, times: u64, over: u64) -> Self {
        let scaled = |number: u64| by(number, times, over);
        let [outgoing, rate] = [self.outgoing, self.rate].map(|number| number.map(scaled));
        Self { concurrency: scaled(self.concurrency), burst: scaled(self.burst), outgoing, rate, ..self.clone() }
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
            rate: self.rate.map(|all| all.div_ceil(self.pods.max(1))),
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
            burst: if share.burst > 0 { share.burst } else { self.burst.div_ceil(self.pods.max(1)).max(1) },
            destinations: self.destinations,
            source_addresses: self.source_addresses,
            streams: self.streams,
            outgoing: None,
            short_lived: share.rate.filter(|_| self.short_lived).unwrap_or(0),
            ports: self.ports.clone(),
        };
        let implied = workload.outgoing() == share.outgoing;
        Workload { outgoing: (!implied).then_some(share.outgoing), ..workload }
    }
}

/// How long each of so many requests is in flight at such a rate, in microseconds: Little's law.
pub fn time(requests: u64, rate: u64) -> u64 {
    by(requests, 1_000_000_000, rate)
}

/// The rate at which so many requests are in flight for so long each, in thousandths per second.
pub fn rate(requests: u64, microseconds: u64) -> u64 {
    by(requests, 1_000_000_000, microseconds)
}

/// Requests in flight at such a rate, where each takes so long; a part of one counts as one.
pub fn in_flight(rate: u64, microseconds: u64) -> u64 {
    by(rate, microseconds, 1_000_000_000)
}

/// `number` x `times` / `over`, rounded up.
fn by(number: u64, times: u64, over: u64) -> u64 {
    let product = u128::from(number) * u128::from(times);
    u64::try_from(product.div_ceil(u128::from(over.max(1)))).unwrap_or(u64::MAX)
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
        assert_eq!(client.pod(), Share { requests: 10_000, incoming: 0, outgoing: 100, burst: 0, rate: None });
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
                let load = Workload { outgoing: Some(33), short_lived: 1500, ..load };
                assert_eq!(Traffic::of(&load).workload(), load, "{streams}");
            }
        }
        let h2 = Traffic { incoming_streams: 10, streams: 100, ..traffic(Role::Gateway, 10_000) };
        assert_eq!((h2.workload().connections, h2.workload().outgoing()), (1000, 100));
    }

    #[test]
    fn two_of_requests_rate_and_time_say_the_third() {
        assert_eq!(rate(10_000, 20_000_000), 500_000);
        assert_eq!(time(10_000, 500_000), 20_000_000);
        assert_eq!(in_flight(500_000, 20_000_000), 10_000);
        assert_eq!((in_flight(500_000, 1000), in_flight(100_000_000, 1500)), (1, 150));
        assert_eq!(rate(4, 10_000_000), 400, "0.4 per second");
    }

    #[test]
    fn a_rate_is_shared_by_pods_and_stays_what_was_said() {
        let slow = Traffic { rate: Some(10_000), pods: 10, ..traffic(Role::Client, 1) };
        assert_eq!((slow.pod().requests, slow.pod().rate), (1, Some(1000)));
        assert_eq!(slow.whole().rate, Some(10_000));
        let twice = Traffic { rate: Some(500_000), ..traffic(Role::Server, 10_000) }.scaled(20_000);
        assert_eq!((twice.burst, twice.rate), (2000, Some(1_000_000)));
    }

    #[test]
    fn the_largest_numbers_overflow_nothing() {
        let most = Traffic {
            pods: u64::MAX,
            nodes: 1,
            burst: u64::MAX,
            outgoing: Some(u64::MAX),
            rate: Some(u64::MAX),
            ..traffic(Role::Gateway, u64::MAX)
        };
        assert_eq!(most.scaled(u64::MAX).whole().sockets(), u64::MAX);
        assert_eq!((most.node().rate, in_flight(u64::MAX, u64::MAX)), (Some(u64::MAX), u64::MAX));
    }
}
