//! Clients of Java services.

use super::Pool;
use crate::capacity::settings::int;
use crate::model::sizing::Setting;

/// Requests that OkHttp's Dispatcher runs at a time if nothing else is said.
const OKHTTP_REQUESTS: u64 = 64;
/// Those for one host, and as many idle connections are kept.
const OKHTTP_FEW: u64 = 5;

impl Pool {
    pub(super) fn reactor_netty(&self) -> Setting {
        let Self { requests, connections, .. } = *self;
        // Requests that find all streams in use wait in the same queue.
        let pending = int(connections.saturating_mul(2).max(requests));
        let (protocol, note) = match self.streams {
            None => (
                "",
                "Per remote host; the builder's own default is 16 connections or 2 for each CPU, and a request that finds 2 x maxConnections waiting before it fails at once.",
            ),
            Some(_) => (
                ".protocol(HttpProtocol.H2)",
                "Per remote host; each connection takes as many streams as the peer's SETTINGS allow, and requests that wait for one count as pending, of which the default is only 2 x maxConnections.",
            ),
        };
        Setting {
            program: "Reactor Netty (WebClient)",
            lines: vec![
                "ConnectionProvider provider = ConnectionProvider.builder(\"pool\")".to_owned(),
                format!("    .maxConnections({connections}).pendingAcquireMaxCount({pending}).build();"),
                format!("HttpClient client = HttpClient.create(provider){protocol};"),
            ],
            note,
        }
    }

    pub(super) fn apache(&self) -> Setting {
        let connections = self.connections;
        let (lines, note) = match self.streams {
            None => (
                vec![
                    "PoolingHttpClientConnectionManager manager = PoolingHttpClientConnectionManagerBuilder.create()"
                        .to_owned(),
                    format!("    .setMaxConnTotal({connections}).setMaxConnPerRoute({connections}).build();"),
                    "CloseableHttpClient client = HttpClients.custom().setConnectionManager(manager).build();"
                        .to_owned(),
                ],
                "By default 25 connections in all and 5 for each route: to one host 5 requests run at a time, and the others wait up to 3 minutes for a connection.",
            ),
            Some(_) => (
                vec![
                    format!("CloseableHttpAsyncClient[] clients = new CloseableHttpAsyncClient[{connections}];"),
                    "Arrays.setAll(clients, i -> HttpAsyncClients.customHttp2().build());".to_owned(),
                    "for (CloseableHttpAsyncClient client : clients) client.start();".to_owned(),
                ],
                "Each of these clients keeps one connection for each host, so spread the requests over them; the pooling async client lends an HTTP/2 connection to one request at a time, unless setMessageMultiplexing is on (since 5.5; from 5.7 on by default).",
            ),
        };
        Setting { program: "Apache HttpClient 5", lines, note }
    }

    pub(super) fn jdk(&self) -> Setting {
        let connections = self.connections;
        let (lines, note) = match self.streams {
            None => (
                vec![
                    "HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();"
                        .to_owned(),
                    format!(
                        "Semaphore requests = new Semaphore({connections}); // acquire() before each request, release() after it"
                    ),
                ],
                "It has no limit on HTTP/1.1 connections: without the semaphore each request that finds none idle opens one. jdk.httpclient.connectionPoolSize bounds idle ones only, by default not at all; they close after 30 seconds (1,200 in JDK 17).",
            ),
            Some(streams) => (
                vec![
                    format!("HttpClient[] clients = new HttpClient[{connections}];"),
                    format!(
                        "Arrays.setAll(clients, i -> HttpClient.newHttpClient()); // on each at most {streams} requests to a host at a time"
                    ),
                ],
                "Each client keeps one HTTP/2 connection for each host, so spread the requests over them. What is beyond the streams that the peer allows does not wait, but fails with \"too many concurrent streams\".",
            ),
        };
        Setting { program: "java.net.http.HttpClient (JDK)", lines, note }
    }

    pub(super) fn okhttp(&self) -> Setting {
        let (requests, note) = match self.streams {
            None => (
                self.connections,
                "By default 64 of the enqueued requests run at a time, 5 of them for each host, and 5 idle connections stay open, for 5 minutes. Neither limit holds those of execute(): bound their threads instead.",
            ),
            Some(_) => (
                self.requests.max(self.connections),
                "The requests to a host share a connection, and another opens when its streams are used up, but by default only 64 of the enqueued requests run at a time, 5 of them for each host. Each takes a thread while it runs, over HTTP/2 too.",
            ),
        };
        Setting {
            program: "OkHttp",
            lines: vec![
                "Dispatcher dispatcher = new Dispatcher();".to_owned(),
                format!(
                    "dispatcher.setMaxRequests({}); dispatcher.setMaxRequestsPerHost({});",
                    requests.max(OKHTTP_REQUESTS),
                    requests.max(OKHTTP_FEW)
                ),
                "OkHttpClient client = new OkHttpClient.Builder().dispatcher(dispatcher)".to_owned(),
                format!(
                    "    .connectionPool(new ConnectionPool({}, 5, TimeUnit.MINUTES)).build();",
                    self.connections.max(OKHTTP_FEW)
                ),
            ],
            note,
        }
    }
}
