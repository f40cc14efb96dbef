//! A listener that never accepts.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, getsockname, listen, setsockopt, socket,
    sockopt,
};

use crate::harness::{NETWORK, Need, Place, Scene, eventually};
use crate::namespaces::{loopback_up, report};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "an_accept_queue_that_overflows_is_named_with_its_count",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: an_accept_queue_that_overflows_is_named_with_its_count,
    },
    Place {
        name: "only_the_listener_that_dropped_is_blamed",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: only_the_listener_that_dropped_is_blamed,
    },
    Place {
        name: "listeners_of_one_address_share_a_burst",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: listeners_of_one_address_share_a_burst,
    },
];

const BACKLOG: i32 = 8;
pub(crate) const CLIENTS: usize = 40;

fn tcp() -> OwnedFd {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None).unwrap()
}

/// Of the network namespace of this thread.
pub(crate) fn overflows() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: ")).map(|line| line.split(' '));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(values).find(|(name, _)| *name == "ListenOverflows").unwrap().1.parse().unwrap()
}

/// A listener of a new network namespace whose queue has more clients than it holds, and these clients.
pub(crate) fn overflowing(clients: usize) -> (OwnedFd, SockaddrIn, Vec<OwnedFd>) {
    loopback_up();
    assert_eq!(overflows(), 0, "a new network namespace");
    let listener = tcp();
    bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
    listen(&listener, Backlog::new(BACKLOG).unwrap()).unwrap();
    let address: SockaddrIn = getsockname(listener.as_raw_fd()).unwrap();
    let clients: Vec<OwnedFd> = (0..clients).map(|_| tcp()).collect();
    for client in &clients {
        let answer = connect(client.as_raw_fd(), &address);
        assert!(answer == Ok(()) || answer == Err(Errno::EINPROGRESS), "{answer:?}");
    }
    assert!(eventually(|| overflows() > 0), "no overflow");
    (listener, address, clients)
}

/// Numbers that a report shows of something that goes on rising, read before and after.
fn within(number: &serde_json::Value, (before, after): (u64, u64)) {
    let number = number.as_u64().unwrap_or_default();
    assert!(number > 0 && (before..=after).contains(&number), "{before} <= {number} <= {after}");
}

/// What a finding shows of a fact beside it.
fn proof<'a>(finding: &'a serde_json::Value, fact: &str) -> &'a serde_json::Value {
    let evidence = finding["evidence"].as_array().unwrap();
    evidence.iter().find(|proof| proof["fact"] == fact).unwrap_or_else(|| panic!("{fact} in {finding:#}"))
}

fn an_accept_queue_that_overflows_is_named_with_its_count(scene: &Scene) {
    let (_listener, address, _clients) = overflowing(CLIENTS);

    let before = overflows();
    let report = report(scene.tunecheck(), &[]);
    let counted = (before, overflows());
    let address = SocketAddr::from(SocketAddrV4::from(address)).to_string();
    let own = format!("listener[{address}].drops");

    let queue = report.about("listen/queue", &address);
    // The kernel holds one more than the backlog.
    let full = BACKLOG + 1;
    assert_eq!(
        (&queue["outcome"], &queue["now"], &queue["want"]["limit"]),
        (&"fail".into(), &full.into(), &full.into())
    );
    assert_eq!(queue["share_percent"], 100);
    within(&proof(queue, &own)["value"], counted);
    let overflow = report.finding("listen/overflows");
    within(&overflow["now"], counted);
    assert_eq!(overflow["outcome"], "warn");

    let before = overflows();
    let named = format!("--port={}", address.rsplit_once(':').unwrap().1);
    let mut declared = scene.tunecheck();
    declared.args([&named, "--format", "json"]);
    let declared = Run::of(declared).report();
    let counted = (before, overflows());
    let backlog = declared.about("listen/backlog", &address);
    assert_eq!((&backlog["outcome"], &backlog["now"]), (&"fail".into(), &BACKLOG.into()));
    within(&proof(backlog, &own)["value"], counted);

    let text = Run::of(scene.tunecheck()).stdout;
    let holder = format!("{} {}", fs::read_to_string("/proc/self/comm").unwrap().trim(), std::process::id());
    assert!(text.contains(&format!("\nFAIL listen/queue  {address} {holder}\n")), "{text}");
}

/// Beside a listener that overflows: an idle one with as short a backlog, one as long as somaxconn allows, and one that has
/// been closed after it overflowed.
fn only_the_listener_that_dropped_is_blamed(scene: &Scene) {
    let closed = overflowing(CLIENTS);
    drop(closed);
    let of_closed = overflows();
    let listening = |backlog: i32| {
        let listener = tcp();
        bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
        listen(&listener, Backlog::new(backlog).unwrap()).unwrap();
        let address: SockaddrIn = getsockname(listener.as_raw_fd()).unwrap();
        (listener, address)
    };
    let (idle, long, busy) = (listening(BACKLOG), listening(4096), listening(2));
    let _clients: Vec<OwnedFd> = (0..CLIENTS)
        .map(|_| {
            let client = tcp();
            let answer = connect(client.as_raw_fd(), &busy.1);
            assert!(answer == Ok(()) || answer == Err(Errno::EINPROGRESS), "{answer:?}");
            client
        })
        .collect();
    assert!(eventually(|| overflows() > of_closed), "no overflow");
    let [idle, long, busy] =
        [&idle, &long, &busy].map(|(_, address)| SocketAddr::from(SocketAddrV4::from(*address)).to_string());
    let drops = |address: &str| format!("listener[{address}].drops");

    let before = overflows() - of_closed;
    let mut audit = scene.tunecheck();
    audit.args(["--burst", "9000", "-v", "--format", "json"]);
    let report = Run::of(audit).report();
    let counted = (before, overflows() - of_closed);
    within(&proof(report.about("listen/queue", &busy), &drops(&busy))["value"], counted);
    for innocent in [&idle, &long] {
        assert_eq!(proof(report.about("listen/queue", innocent), &drops(innocent))["value"], 0);
    }
    let somaxconn = report.finding("listen/somaxconn");
    assert_eq!(proof(somaxconn, "listeners.cut_drops")["value"], 0, "{somaxconn:#}");
    let says = report.finding("listen/overflows")["says"].as_str().unwrap();
    assert!(says.contains(&format!(" at {busy}, ")) && !says.contains(&idle) && !says.contains(&long), "{says}");
    assert!(says.contains(&format!("{of_closed} at listeners that have been closed")), "{says}");

    // A recording tells the same.
    let folder = scene.folder.join("node");
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&folder);
    crate::harness::done(snapshot);
    let mut replay = scene.tunecheck();
    replay.arg("--snapshot").arg(&folder).args(["--format", "json"]);
    let replayed = Run::of(replay).report();
    let counted = (before, overflows() - of_closed);
    within(&proof(replayed.about("listen/queue", &busy), &drops(&busy))["value"], counted);
    assert_eq!(proof(replayed.about("listen/queue", &idle), &drops(&idle))["value"], 0);
}

fn listeners_of_one_address_share_a_burst(scene: &Scene) {
    loopback_up();
    let workers: Vec<OwnedFd> = (0..4)
        .map(|_| {
            let worker = tcp();
            setsockopt(&worker, sockopt::ReusePort, &true).unwrap();
            bind(worker.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 8080)).unwrap();
            listen(&worker, Backlog::new(511).unwrap()).unwrap();
            worker
        })
        .collect();
    let outcomes = |burst: &str| {
        let mut audit = scene.tunecheck();
        audit.args(["--port", "8080", "--burst", burst, "--format", "json"]);
        let report = Run::of(audit).report();
        let of_worker = |nth: usize| {
            let subject = if nth == 1 { "127.0.0.1:8080".to_owned() } else { format!("127.0.0.1:8080#{nth}") };
            report.about("listen/backlog", &subject)["outcome"].as_str().unwrap().to_owned()
        };
        (1..=workers.len()).map(of_worker).collect::<Vec<_>>()
    };
    assert_eq!(outcomes("1700"), ["pass"; 4]);
    assert_eq!(outcomes("2000"), ["warn"; 4], "there is room on average, and little for chance");
    assert_eq!(outcomes("2100"), ["fail"; 4]);

    let mut solve = scene.tunecheck();
    solve.args(["plan", "--solve", "--format", "json", "--connections", "1700", "--burst", "1700", "--port", "8080"]);
    let solved: serde_json::Value = serde_json::from_str(&Run::of(solve).stdout).unwrap();
    let limits = solved["capacity"]["limits"].as_array().unwrap();
    let queue = limits.iter().find(|limit| limit["limit"] == "accept queue").unwrap();
    assert_eq!((&queue["now"], &queue["need"]), (&1792.into(), &1700.into()), "{queue:#}");

    // As many as are said to fit do.
    let to = SockaddrIn::new(127, 0, 0, 1, 8080);
    let clients: Vec<OwnedFd> = (0..1700).map(|_| tcp()).collect();
    for client in &clients {
        let answer = connect(client.as_raw_fd(), &to);
        assert!(answer == Ok(()) || answer == Err(Errno::EINPROGRESS), "{answer:?}");
    }
    assert_eq!(overflows(), 0);
}
