use proptest::prelude::*;

use super::*;
use crate::model::workload::Workload;

fn traffic(role: Role) -> Traffic {
    Traffic { pods: 10, ..Traffic::of(&Workload { connections: 10_000, burst: 9000, ..Workload::none(role) }) }
}

fn h2(role: Role, streams: u64) -> Traffic {
    Traffic { protocol: Protocol::H2, streams, concurrency: 10_000, ..traffic(role) }
}

/// What is to be written for a program, in one text.
fn of(program: &str, traffic: &Traffic) -> String {
    let all = settings(traffic);
    let setting = all.iter().find(|setting| setting.program.contains(program));
    setting.unwrap_or_else(|| panic!("no {program}")).lines.join("\n")
}

/// What else is said of a program.
fn note(program: &str, traffic: &Traffic) -> &'static str {
    settings(traffic).iter().find(|setting| setting.program.contains(program)).map_or("", |setting| setting.note)
}

fn assert_says(program: &str, traffic: &Traffic, parts: &[&str]) {
    let text = of(program, traffic);
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_pool_of_http1_holds_a_connection_for_each_request_of_a_pod() {
    let client = traffic(Role::Client);
    assert_says("Reactor", &client, &[".maxConnections(1000).pendingAcquireMaxCount(2000)", "create(provider);"]);
    assert_says("Apache", &client, &["setMaxConnTotal(1000).setMaxConnPerRoute(1000)"]);
    assert_says("aiohttp", &client, &["TCPConnector(limit=1000)"]);
    assert_says("httpx", &client, &["max_connections=1000, max_keepalive_connections=1000"]);
    assert_says("Go", &client, &["MaxIdleConnsPerHost = 1000, 1000", "MaxConnsPerHost = 1000"]);
    assert_says("reqwest", &client, &["pool_max_idle_per_host(1000)", "Semaphore::new(1000)"]);
    assert_says("JDK", &client, &[".version(HttpClient.Version.HTTP_1_1)", "new Semaphore(1000)"]);
    assert_says(
        "OkHttp",
        &client,
        &["setMaxRequests(1000)", "setMaxRequestsPerHost(1000)", "new ConnectionPool(1000, 5, TimeUnit.MINUTES)"],
    );
    assert_eq!(settings(&client).len(), 8, "a client serves nothing");
}

#[test]
fn a_pool_of_http2_holds_connections_not_requests() {
    let client = h2(Role::Client, 100);
    assert_eq!(client.pod().outgoing, 10);
    assert_says("Reactor", &client, &[".maxConnections(10).pendingAcquireMaxCount(1000)", "HttpProtocol.H2"]);
    assert_says("Apache", &client, &["CloseableHttpAsyncClient[10]"]);
    assert_says("httpx", &client, &["httpx.AsyncClient(http2=True) for _ in range(10)"]);
    assert_says("Go", &client, &["MaxIdleConnsPerHost = 100, 10", "MaxConnsPerHost = 10"]);
    assert_says("reqwest", &client, &["(0..10)"]);
    assert_says("JDK", &client, &["new HttpClient[10]", "at most 100 requests"]);
    assert_says("OkHttp", &client, &["setMaxRequests(1000)", "setMaxRequestsPerHost(1000)", "new ConnectionPool(10,"]);
}

#[test]
fn what_cannot_share_connections_as_the_traffic_does_gets_more() {
    let client = h2(Role::Client, 250);
    assert_says("Reactor", &client, &["maxConnections(4)"]);
    assert_says("httpx", &client, &["range(10)"]);
    assert_says("aiohttp", &client, &["limit=1000)"]);
    let many = Traffic { destinations: 30, ..client };
    assert_says("httpx", &many, &["http2=True, limits=httpx.Limits(max_keepalive_connections=30)"]);
    let gateway = h2(Role::Gateway, 250);
    assert_eq!((gateway.pod().incoming, gateway.pod().outgoing), (1000, 4));
    assert_says("nginx", &gateway, &["worker_connections 2064;", "keepalive 1000;"]);
    assert!(note("nginx", &gateway).contains("plan with --protocol h1"));
}

#[test]
fn envoy_speaks_http2_to_upstreams_where_the_plan_does() {
    let gateway = Traffic { concurrency: 300_000, ..h2(Role::Gateway, 250) };
    assert_eq!(gateway.pod().outgoing, 120);
    assert_says(
        "Envoy",
        &gateway,
        &[
            "{ max_connections: 1024, max_pending_requests: 30000, max_requests: 30000 }",
            "# max_connections: 120 for each worker thread, where that is more",
            "explicit_http_config: { http2_protocol_options: {} }",
        ],
    );
    assert!(note("Envoy", &gateway).contains("each worker thread"));
    let crowded = h2(Role::Gateway, 5000);
    assert_says("Envoy", &crowded, &["{ http2_protocol_options: { max_concurrent_streams: 5000 } }"]);
    let h1 = Traffic { concurrency: 300_000, ..traffic(Role::Gateway) };
    assert_says("Envoy", &h1, &["{ max_connections: 30000, max_pending_requests: 30000, max_requests: 30000 }"]);
    assert!(!of("Envoy", &h1).contains("explicit_http_config"), "HTTP/1.1 is the default");
}

#[test]
fn a_server_of_thousands_of_requests_is_told_to_do_without_their_threads() {
    let most = Traffic { concurrency: 20_000, ..traffic(Role::Server) };
    assert_says("Tomcat", &most, &["maxThreads=\"2000\"/>"]);
    for many in [Traffic { concurrency: 20_001, ..most }, Traffic { concurrency: 1_000_000, ..h2(Role::Server, 100) }] {
        assert!(!of("Tomcat", &many).contains("maxThreads"), "{}", of("Tomcat", &many));
        assert!(note("Tomcat", &many).contains("asynchronous servlets"));
        assert!(note("Tomcat", &many).contains("useVirtualThreads=\"true\""));
    }
}

#[test]
fn a_server_takes_the_burst_and_the_connections_of_a_pod() {
    let server = Traffic { ports: vec![443], ..traffic(Role::Server) };
    assert_says("Tokio", &server, &["([0, 0, 0, 0], 443)", "socket.listen(1024)"]);
    assert_says(
        "nginx",
        &server,
        &["worker_connections 1064;", "worker_rlimit_nofile 1320;", "listen 443 backlog=900;"],
    );
    assert_says("Tomcat", &server, &["port=\"443\"", "acceptCount=\"900\"", "maxThreads=\"1000\"/>"]);
    assert!(!of("nginx", &server).contains("keepalive"));
    assert_eq!(settings(&server).len(), 4, "and it is no client");
    let database = Traffic { outgoing: Some(500), ..server };
    assert_eq!(settings(&database).len(), 4, "what a server opens is of no known kind");
    assert_says("nginx", &database, &["worker_connections 1114;"]);
}

#[test]
fn nothing_is_set_below_the_default_of_the_program() {
    let calm = Traffic { burst: 0, pods: 1000, ..h2(Role::Server, 5) };
    assert_says("Tokio", &calm, &["listen(1024)", "max_concurrent_streams(200)"]);
    assert!(note("Tokio", &calm).contains("128, or 1024 before mio 1.1"));
    assert_says("nginx", &calm, &["backlog=511", "http2_max_concurrent_streams 128;"]);
    assert!(!of("Envoy", &calm).contains("streams"), "1024 is below the default of old ones, and that of new ones");
    assert!(!of("Envoy", &h2(Role::Server, 1024)).contains("streams"));
    assert_says("Tomcat", &calm, &["acceptCount=\"100\" maxThreads=\"200\">", "maxConcurrentStreamExecution=\"100\""]);
    let crowded = h2(Role::Server, 5000);
    assert_says("Tokio", &crowded, &["max_concurrent_streams(5000)"]);
    assert_says("Tomcat", &crowded, &["maxConcurrentStreams=\"5000\""]);
    assert_says("Envoy", &crowded, &["http2_protocol_options: { max_concurrent_streams: 5000 }", "from 1.36 on"]);
    let few = Traffic { pods: 10_000, ..traffic(Role::Client) };
    assert_says("OkHttp", &few, &["setMaxRequests(64)", "setMaxRequestsPerHost(5)", "new ConnectionPool(5,"]);
}

#[test]
fn a_gateway_accepts_as_it_is_told_and_opens_as_it_is_told() {
    let gateway = Traffic { incoming_streams: 300, ..traffic(Role::Gateway) };
    assert_eq!(settings(&gateway).len(), 12);
    assert_says("Tokio", &gateway, &["max_concurrent_streams(300)"]);
    assert_says("Reactor", &gateway, &["maxConnections(1000)"]);
    assert!(!of("Tokio", &traffic(Role::Gateway)).contains("streams"));
    assert!(!of("Tokio", &h2(Role::Gateway, 100)).contains("streams"), "those are of the connections that it opens");
}

#[test]
fn connections_of_one_request_have_no_pool() {
    let client = Traffic { short_lived: true, ..traffic(Role::Client) };
    let all = settings(&client);
    assert_eq!(all.len(), 1);
    assert_says("Clients", &client, &["no pool: each request opens a connection of its own, up to 1000 at once"]);
    let gateway = Traffic { short_lived: true, ..traffic(Role::Gateway) };
    assert!(!of("nginx", &gateway).contains("keepalive"));
}

/// The number behind an option, where a line has it.
fn number(line: &str, option: &str) -> Option<u64> {
    let (_, rest) = line.split_once(option)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(digits.parse().unwrap_or_else(|_| panic!("{option}: {line}")))
}

/// Options, and whether each of them has to hold all connections that are opened, or that arrive.
const OPTIONS: &[(&str, bool, bool)] = &[
    (".maxConnections(", true, false),
    ("pendingAcquireMaxCount(", true, false),
    ("setMaxConnTotal(", true, false),
    ("setMaxConnPerRoute(", true, false),
    ("new CloseableHttpAsyncClient[", true, false),
    ("TCPConnector(limit=", true, false),
    ("(max_connections=", true, false),
    (", max_keepalive_connections=", true, false),
    ("new Semaphore(", true, false),
    ("new HttpClient[", true, false),
    ("setMaxRequests(", true, false),
    ("setMaxRequestsPerHost(", true, false),
    ("new ConnectionPool(", true, false),
    ("in range(", true, false),
    ("MaxConnsPerHost = ", true, false),
    ("MaxIdleConnsPerHost = ", true, false),
    ("pool_max_idle_per_host(", true, false),
    ("Semaphore::new(", true, false),
    ("(0..", true, false),
    ("up to ", true, false),
    ("{ max_connections: ", true, false),
    ("keepalive ", true, false),
    ("worker_connections ", true, true),
    ("worker_rlimit_nofile ", true, true),
    ("maxConnections=\"", false, true),
    ("max_pending_requests: ", false, false),
    ("max_requests: ", false, false),
    ("backlog=", false, false),
    ("acceptCount=\"", false, false),
    ("listen(", false, false),
    ("maxThreads=\"", false, false),
    ("max_concurrent_streams(", false, false),
    ("http2_max_concurrent_streams ", false, false),
    ("max_concurrent_streams: ", false, false),
    ("maxConcurrentStreams=\"", false, false),
    ("maxConcurrentStreamExecution=\"", false, false),
];

prop_compose! {
    fn any_traffic()(
        role in prop::sample::select(vec![Role::Client, Role::Server, Role::Gateway]),
        protocol in prop::sample::select(vec![Protocol::H1, Protocol::H2]),
        numbers in prop::array::uniform7(prop_oneof![0..5_u64, 0..100_000_u64, any::<u64>()]),
        outgoing in prop::option::of(prop_oneof![0..5_u64, any::<u64>()]),
        short_lived in any::<bool>(),
        ports in prop::collection::vec(any::<u16>(), 0..3),
    ) -> Traffic {
        let [concurrency, streams, incoming_streams, destinations, burst, pods, nodes] = numbers;
        Traffic {
            role, protocol, concurrency, streams, incoming_streams, destinations, burst, pods, nodes, outgoing, short_lived,
            ports, ..Traffic::of(&Workload::none(role))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_holds_its_share_and_fits_its_option(traffic in any_traffic()) {
        let share = traffic.pod();
        for setting in settings(&traffic) {
            prop_assert!(!setting.program.is_empty() && !setting.note.is_empty());
            prop_assert!((1..=8).contains(&setting.lines.len()));
            for line in &setting.lines {
                prop_assert!(!line.trim().is_empty());
                for &(option, opened, arrives) in OPTIONS {
                    let Some(number) = number(line, option) else { continue };
                    prop_assert!((1..=MOST).contains(&number), "{}", line);
                    let opened = if opened { share.outgoing } else { 0 };
                    let arrives = if arrives { share.incoming } else { 0 };
                    prop_assert!(number >= opened.saturating_add(arrives).min(MOST), "{}", line);
                }
            }
        }
    }

    #[test]
    fn pools_are_for_what_opens_connections_and_servers_for_what_accepts_them(traffic in any_traffic()) {
        let share = traffic.pod();
        let pools = usize::from(traffic.role != Role::Server && share.outgoing > 0) * if traffic.short_lived { 1 } else { 8 };
        let servers = usize::from(share.incoming > 0) * 4;
        prop_assert_eq!(settings(&traffic).len(), pools + servers);
    }
}
