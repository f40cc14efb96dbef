//! Servers and proxies.

use super::{incoming_streams, int, outgoing_streams};
use crate::model::sizing::Setting;
use crate::model::traffic::{Share, Traffic};
use crate::model::workload::Role;

/// Connections of an nginx worker that are none of the traffic: listeners, and channels between its processes.
const NGINX_SPARE: u64 = 64;
/// Descriptors besides sockets, as in rules/files/nofile-soft.yaml.
const FILES_SPARE: u64 = 256;
/// The port of the examples where none was declared.
const PORT: u16 = 8080;

/// What one pod's server has to hold.
struct Server {
    share: Share,
    port: u16,
    role: Role,
    /// Whether connections to upstreams outlive a request.
    kept: bool,
    /// Requests on one connection that arrives, if they share it.
    streams: Option<u64>,
    /// Whether requests share the connections to upstreams.
    shared: bool,
}

/// The servers of a server or gateway.
pub(super) fn settings(traffic: &Traffic) -> Vec<Setting> {
    let share = traffic.pod();
    if share.incoming == 0 {
        return Vec::new();
    }
    let server = Server {
        share,
        port: traffic.ports.iter().copied().find(|&port| port > 0).unwrap_or(PORT),
        role: traffic.role,
        kept: !traffic.short_lived,
        streams: incoming_streams(traffic),
        shared: outgoing_streams(traffic).is_some(),
    };
    vec![server.tokio(), server.nginx(), server.envoy(), server.tomcat()]
}

impl Server {
    /// A backlog for the burst; a shorter one than the program's own would help nobody.
    fn backlog(&self, default: u64) -> u64 {
        int(self.share.burst.max(default))
    }

    fn tokio(&self) -> Setting {
        let mut lines = vec![
            "let socket = tokio::net::TcpSocket::new_v4()?;".to_owned(),
            "socket.set_reuseaddr(true)?;".to_owned(),
            format!("socket.bind(std::net::SocketAddr::from(([0, 0, 0, 0], {})))?;", self.port),
            format!("let listener = socket.listen({})?;", self.backlog(128)),
        ];
        let note = match self.streams {
            None => {
                "TcpListener::bind listens with a backlog of 128, whatever net.core.somaxconn allows; leave worker_threads at the number of CPUs."
            }
            Some(streams) => {
                lines.push(format!(
                    "builder.http2().max_concurrent_streams({}); // hyper_util::server::conn::auto::Builder",
                    int(streams.max(200))
                ));
                "TcpListener::bind listens with a backlog of 128, whatever net.core.somaxconn allows, and hyper allows 200 streams; leave worker_threads at the number of CPUs."
            }
        };
        Setting { program: "Tokio (axum, hyper)", lines, note }
    }

    fn nginx(&self) -> Setting {
        let Share { requests, incoming, outgoing, .. } = self.share;
        let upstream = if self.shared { outgoing.max(requests) } else { outgoing };
        let connections = int(incoming.saturating_add(upstream).saturating_add(NGINX_SPARE));
        let mut lines = vec![
            format!(
                "worker_rlimit_nofile {}; # main, where the limit is below",
                int(connections.saturating_add(FILES_SPARE))
            ),
            format!("worker_connections {connections}; # events"),
            format!("listen {} backlog={}; # server", self.port, self.backlog(511)),
        ];
        if let Some(streams) = self.streams {
            lines.push(format!("http2_max_concurrent_streams {}; # http", int(streams.max(128))));
        }
        if self.role == Role::Gateway && self.kept {
            lines.push(format!(
                "keepalive {}; # upstream, with proxy_http_version 1.1 and proxy_set_header Connection \"\"",
                int(upstream)
            ));
        }
        let note = match (self.role, self.shared) {
            (Role::Gateway, true) => {
                "worker_connections is for each worker, and the busiest may hold most of them (default 512); connections to upstreams count too, and proxy_pass over HTTP/1.1 has one request on each, whatever streams the peer allows."
            }
            (Role::Gateway, false) => {
                "worker_connections is for each worker, and the busiest may hold most of them (default 512); connections to upstreams count too, and those beyond keepalive close after their request."
            }
            _ => {
                "worker_connections is for each worker, and the busiest may hold most of them (default 512); keepalive_requests closes a connection after 1,000 requests, those of HTTP/2 included."
            }
        };
        Setting { program: "nginx", lines, note }
    }

    fn envoy(&self) -> Setting {
        // A ceiling, no pool: every worker thread has connections of its own, so streams are not used up evenly.
        let most = int(self.share.requests.max(self.share.outgoing).max(1024));
        let mut lines = vec![
            "circuit_breakers: # of the cluster".to_owned(),
            "  thresholds:".to_owned(),
            format!("  - {{ max_connections: {most}, max_pending_requests: {most}, max_requests: {most} }}"),
        ];
        if let Some(streams) = self.streams {
            lines.push(format!(
                "http2_protocol_options: {{ max_concurrent_streams: {} }} # of HttpConnectionManager",
                int(streams.max(1024))
            ));
        }
        Setting {
            program: "Envoy",
            lines,
            note: "Each of the three is 1024 by default, and a request beyond the last two is answered with 503; leave tcp_backlog_size out: the listener then takes all of net.core.somaxconn.",
        }
    }

    fn tomcat(&self) -> Setting {
        let Share { requests, incoming, .. } = self.share;
        let connector = format!(
            "<Connector port=\"{}\" protocol=\"HTTP/1.1\" maxConnections=\"{}\" acceptCount=\"{}\" maxThreads=\"{}\"",
            self.port,
            int(incoming.max(8192)),
            self.backlog(100),
            int(requests.max(200))
        );
        let (lines, note) = match self.streams {
            None => (
                vec![format!("{connector}/>")],
                "A servlet that blocks holds a thread for each request, 200 by default: thousands of requests ask for asynchronous servlets or virtual threads, and then not for maxThreads.",
            ),
            Some(streams) => (
                vec![
                    format!("{connector}>"),
                    format!(
                        "  <UpgradeProtocol className=\"org.apache.coyote.http2.Http2Protocol\" maxConcurrentStreams=\"{0}\" maxConcurrentStreamExecution=\"{0}\"/>",
                        int(streams.max(100))
                    ),
                    "</Connector>".to_owned(),
                ],
                "Of the 100 streams of a connection only 20 run at a time by default (maxConcurrentStreamExecution), and each takes a thread of the 200 while a servlet blocks.",
            ),
        };
        Setting { program: "Tomcat", lines, note }
    }
}
