//! Pools of clients.

mod java;

use super::{int, outgoing_streams};
use crate::model::sizing::Setting;
use crate::model::traffic::Traffic;
use crate::model::workload::Role;

/// Streams that httpx opens on a connection at most, whatever the peer allows: httpcore's own setting.
const HTTPX_STREAMS: u64 = 100;
/// Idle connections that httpx keeps if nothing else is said.
const HTTPX_IDLE: u64 = 20;

/// What one pod's clients have to hold.
struct Pool {
    requests: u64,
    connections: u64,
    destinations: u64,
    /// Requests on one connection, if they share it.
    streams: Option<u64>,
}

/// The pools of a client or gateway. What a server opens is not of this traffic: nothing says what it is.
pub(super) fn settings(traffic: &Traffic) -> Vec<Setting> {
    let share = traffic.pod();
    if traffic.role == Role::Server || share.outgoing == 0 {
        return Vec::new();
    }
    let pool = Pool {
        requests: int(share.requests),
        connections: int(share.outgoing),
        destinations: int(traffic.destinations),
        streams: outgoing_streams(traffic),
    };
    if traffic.short_lived {
        return vec![pool.none()];
    }
    vec![
        pool.reactor_netty(),
        pool.apache(),
        pool.jdk(),
        pool.okhttp(),
        pool.aiohttp(),
        pool.httpx(),
        pool.go(),
        pool.hyper(),
    ]
}

impl Pool {
    fn none(&self) -> Setting {
        Setting {
            program: "Clients of all kinds",
            lines: vec![format!(
                "no pool: each request opens a connection of its own, up to {} at once",
                self.connections
            )],
            note: "The settings of a pool keep no connection that is closed after its request; bound the requests in flight, and mind that the side that closes first keeps the port in TIME_WAIT for 60 seconds.",
        }
    }

    fn aiohttp(&self) -> Setting {
        let (limit, note) = match self.streams {
            None => {
                (self.connections, "By default 100 connections in all; limit_per_host=0, the default, is no limit.")
            }
            Some(_) => (
                self.requests.max(self.connections),
                "aiohttp speaks HTTP/1.1 only: each request takes a connection, and so ports and files as with --protocol h1; its default is 100.",
            ),
        };
        Setting {
            program: "aiohttp",
            lines: vec![
                format!("connector = aiohttp.TCPConnector(limit={limit})"),
                "session = aiohttp.ClientSession(connector=connector)".to_owned(),
            ],
            note,
        }
    }

    fn httpx(&self) -> Setting {
        let connections = self.connections;
        let Some(streams) = self.streams else {
            return Setting {
                program: "httpx",
                lines: vec![
                    format!(
                        "limits = httpx.Limits(max_connections={connections}, max_keepalive_connections={connections})"
                    ),
                    "client = httpx.AsyncClient(limits=limits)".to_owned(),
                ],
                note: "By default 100 connections, of which 20 stay open between requests, and a request that waits 5 seconds for one fails with PoolTimeout.",
            };
        };
        let clients = self.requests.div_ceil(streams.min(HTTPX_STREAMS)).max(connections);
        let idle = match self.destinations {
            hosts if hosts > HTTPX_IDLE => format!(", limits=httpx.Limits(max_keepalive_connections={hosts})"),
            _ => String::new(),
        };
        Setting {
            program: "httpx",
            lines: vec![format!("clients = [httpx.AsyncClient(http2=True{idle}) for _ in range({clients})]")],
            note: "Each client keeps one HTTP/2 connection for each host, with at most 100 streams even if the peer allows more, so spread the requests over the clients; without http2=True it speaks HTTP/1.1.",
        }
    }

    fn go(&self) -> Setting {
        let connections = self.connections;
        let note = match self.streams {
            None => {
                "By default 2 idle connections for each host (and 100 in all) are kept: the others close after each request, open anew, and stay in TIME_WAIT; MaxConnsPerHost 0 is no limit."
            }
            Some(_) => {
                "Another connection is opened when the streams of one run out, but in a first burst each request dials before any connection has said that it speaks HTTP/2: MaxConnsPerHost, by default no limit, keeps that small."
            }
        };
        Setting {
            program: "Go net/http",
            lines: vec![
                "transport := http.DefaultTransport.(*http.Transport).Clone()".to_owned(),
                format!(
                    "transport.MaxIdleConns, transport.MaxIdleConnsPerHost = {}, {connections}",
                    int(connections.max(100))
                ),
                format!("transport.MaxConnsPerHost = {connections}"),
                "client := &http.Client{Transport: transport}".to_owned(),
            ],
            note,
        }
    }

    fn hyper(&self) -> Setting {
        let connections = self.connections;
        let (lines, note) = match self.streams {
            None => (
                vec![
                    format!("let client = reqwest::Client::builder().pool_max_idle_per_host({connections}).build()?;"),
                    format!(
                        "let requests = tokio::sync::Semaphore::new({connections}); // acquire() before each request"
                    ),
                ],
                "Neither has a limit on HTTP/1.1 connections: without the semaphore each request that finds none idle opens one; idle ones close after 90 seconds.",
            ),
            Some(_) => (
                vec![format!(
                    "let clients: Vec<reqwest::Client> = (0..{connections}).map(|_| reqwest::Client::new()).collect();"
                )],
                "Each client keeps one HTTP/2 connection for each host, so spread the requests over the clients: what is beyond the streams that the peer allows waits.",
            ),
        };
        Setting { program: "reqwest, hyper-util", lines, note }
    }
}
