//! Servers and proxies.

use super::{incoming_streams, int, outgoing_streams};
use crate::model::sizing::Setting;
use crate::model::traffic::{Share, Traffic};
use crate::model::workload::{Role, SPARE_FILES};

/// Connections of an nginx worker that are none of the traffic: listeners, and channels between its processes.
const NGINX_SPARE: u64 = 64;
/// What Tokio's TcpListener::bind asks for with mio before 1.1; 128 since then.
const TOKIO_BACKLOG: u64 = 1024;
/// Each of the limits of an Envoy cluster, and from 1.36 on the streams of a connection; before, these had no limit.
const ENVOY_DEFAULT: u64 = 1024;
/// The options of a cluster that say which protocol it speaks, by their name and by their type.
const ENVOY_UPSTREAM: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
/// Threads that block, beyond which a process is better off without them.
const TOMCAT_THREADS: u64 = 2000;
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
    /// Requests on one connection to an upstream, if they share it.
    upstream_streams: Option<u64>,
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
        upstream_streams: outgoing_streams(traffic),
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
            format!("let listener = socket.listen({})?;", self.backlog(TOKIO_BACKLOG)),
        ];
        let note = match self.streams {
            None => {
                "TcpListener::bind listens with a backlog of 128, or 1024 before mio 1.1, whatever net.core.somaxconn allows; leave worker_threads at the number of CPUs."
            }
            Some(streams) => {
                lines.push(format!(
                    "builder.http2().max_concurrent_streams({}); // hyper_util::server::conn::auto::Builder",
                    int(streams.max(200))
                ));
                "TcpListener::bind listens with a backlog of 128, or 1024 before mio 1.1, whatever net.core.somaxconn allows, and hyper allows 200 streams; leave worker_threads at the number of CPUs."
            }
        };
        Setting { program: "Tokio (axum, hyper)", lines, note }
    }

    fn nginx(&self) -> Setting {
        let Share { requests, incoming, outgoing, .. } = self.share;
        let shared = self.upstream_streams.is_some();
        let upstream = if shared { outgoing.max(requests) } else { outgoing };
        let connections = int(incoming.saturating_add(upstream).saturating_add(NGINX_SPARE));
        let mut lines = vec![
            format!(
                "worker_rlimit_nofile {}; # main, where the limit is below",
                int(connections.saturating_add(SPARE_FILES))
            ),
            format!("worker_connections {connections}; # events"),
            format!("listen {} backlog={}; # server", self.port, self.backlog(511)),
        ];
        if let Some(streams) = self.streams {
            lines.push(format!("http2_max_concurrent_streams {}; # http", int(streams.max(128))));
        }
        if self.role == Role::Gateway && self.kept {
            lines.push(format!(
                "keepalive {}; # upstream, before nginx 1.29.7 with proxy_http_version 1.1 and proxy_set_header Connection \"\"",
                int(upstream)
            ));
        }
        let note = match (self.role, shared) {
            (Role::Gateway, true) => {
                "worker_connections is for each worker, and the busiest may hold most of them (default 512); connections to upstreams count too. proxy_pass over HTTP/1.1 has one request on each, and so nginx takes more connections, files and ports than this plan says: plan with --protocol h1 for nginx's numbers."
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
        let Share { requests, outgoing, .. } = self.share;
        let most = int(requests.max(outgoing).max(ENVOY_DEFAULT));
        // A ceiling, no pool: one that is far above the need would let the threads' pools grow without notice.
        let (connections, workers) = match self.upstream_streams {
            None => (most, String::new()),
            Some(_) => (
                int(outgoing.max(ENVOY_DEFAULT)),
                format!(" # max_connections: {} for each worker thread, where that is more", int(outgoing)),
            ),
        };
        let mut lines = vec![
            "circuit_breakers: # of the cluster".to_owned(),
            format!("  thresholds:{workers}"),
            format!("  - {{ max_connections: {connections}, max_pending_requests: {most}, max_requests: {most} }}"),
        ];
        let streams =
            |streams: u64| (streams > ENVOY_DEFAULT).then(|| format!("{{ max_concurrent_streams: {streams} }}"));
        if let Some(upstream) = self.upstream_streams {
            lines.extend([
                "typed_extension_protocol_options: # of the cluster".to_owned(),
                format!("  {ENVOY_UPSTREAM}:"),
                format!("    \"@type\": type.googleapis.com/{ENVOY_UPSTREAM}"),
                format!(
                    "    explicit_http_config: {{ http2_protocol_options: {} }}",
                    streams(upstream).unwrap_or_else(|| "{}".to_owned())
                ),
            ]);
        }
        if let Some(allowed) = self.streams.and_then(streams) {
            lines.push(format!(
                "http2_protocol_options: {allowed} # of HttpConnectionManager; from 1.36 on the default is 1024"
            ));
        }
        let note = match self.upstream_streams {
            None => {
                "Each of the three is 1024 by default, and a request beyond the last two is answered with 503; leave tcp_backlog_size out: the listener then takes all of net.core.somaxconn."
            }
            Some(_) => {
                "Each of the three is 1024 by default, and a request beyond the last two is answered with 503; leave tcp_backlog_size out: the listener then takes all of net.core.somaxconn. Without the protocol options a cluster speaks HTTP/1.1; each worker thread, by default one for each CPU (from 1.37 on no more than the quota has whole ones), has pools of its own, and so there may be as many times the connections of this plan."
            }
        };
        Setting { program: "Envoy", lines, note }
    }

    fn tomcat(&self) -> Setting {
        let Share { requests, incoming, .. } = self.share;
        let blocks = requests <= TOMCAT_THREADS;
        let threads = if blocks { format!(" maxThreads=\"{}\"", int(requests.max(200))) } else { String::new() };
        let connector = format!(
            "<Connector port=\"{}\" protocol=\"HTTP/1.1\" maxConnections=\"{}\" acceptCount=\"{}\"{threads}",
            self.port,
            int(incoming.max(8192)),
            self.backlog(100),
        );
        let Some(streams) = self.streams else {
            let note = if blocks {
                "A servlet that blocks holds a thread for each request, 200 by default: thousands of requests ask for asynchronous servlets or virtual threads, and then not for maxThreads."
            } else {
                "A servlet that blocks holds a thread for each request, 200 by default (maxThreads): so many requests ask for asynchronous servlets, or from JDK 21 on for virtual threads, which maxThreads does not limit (useVirtualThreads=\"true\" of the Connector, in Tomcat 11, 10.1.10 and 9.0.76)."
            };
            return Setting { program: "Tomcat", lines: vec![format!("{connector}/>")], note };
        };
        let note = if blocks {
            "Of the 100 streams of a connection only 20 run at a time by default (maxConcurrentStreamExecution), and each takes a thread of the 200 while a servlet blocks."
        } else {
            "Of the 100 streams of a connection only 20 run at a time by default (maxConcurrentStreamExecution), and each takes a thread of the 200 (maxThreads) while a servlet blocks. So many requests ask for asynchronous servlets, or from JDK 21 on for virtual threads, which maxThreads does not limit (useVirtualThreads=\"true\" of the Connector, in Tomcat 11, 10.1.10 and 9.0.76)."
        };
        let lines = vec![
            format!("{connector}>"),
            format!(
                "  <UpgradeProtocol className=\"org.apache.coyote.http2.Http2Protocol\" maxConcurrentStreams=\"{0}\" maxConcurrentStreamExecution=\"{0}\"/>",
                int(streams.max(100))
            ),
            "</Connector>".to_owned(),
        ];
        Setting { program: "Tomcat", lines, note }
    }
}
