//! A listener that never accepts.

use std::fs;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, connect, getsockname, listen, socket,
};

use crate::harness::{NETWORK, Need, Place, Scene, eventually};
use crate::namespaces::{loopback_up, report};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "an_accept_queue_that_overflows_is_named_with_its_count",
    needs: &[Need::Root, Need::Program("ip")],
    own: NETWORK,
    trial: an_accept_queue_that_overflows_is_named_with_its_count,
}];

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

fn an_accept_queue_that_overflows_is_named_with_its_count(scene: &Scene) {
    let (_listener, address, _clients) = overflowing(CLIENTS);

    let before = overflows();
    let report = report(scene.tunecheck(), &[]);
    let after = overflows();
    let address = SocketAddr::from(SocketAddrV4::from(address)).to_string();
    let count = |finding: &serde_json::Value, fact: &str| {
        let evidence = finding["evidence"].as_array().unwrap();
        let count = evidence.iter().find(|proof| proof["fact"] == fact).unwrap()["value"].as_u64().unwrap();
        assert!(count > 0 && (before..=after).contains(&count), "{before} <= {count} <= {after}: {finding:#}");
    };

    let queue = report.about("listen/queue", &address);
    // The kernel holds one more than the backlog.
    let full = BACKLOG + 1;
    assert_eq!(
        (&queue["outcome"], &queue["now"], &queue["want"]["limit"]),
        (&"fail".into(), &full.into(), &full.into())
    );
    assert_eq!(queue["share_percent"], 100);
    count(queue, "netstat.TcpExt.ListenOverflows");
    let overflow = report.finding("listen/overflows");
    let counted = overflow["now"].as_u64().unwrap();
    assert!((before..=after).contains(&counted), "{before} <= {counted} <= {after}");
    assert_eq!(overflow["outcome"], "warn");

    let named = format!("--port={}", address.rsplit_once(':').unwrap().1);
    let mut declared = scene.tunecheck();
    declared.args([&named, "--format", "json"]);
    let declared = Run::of(declared).report();
    let backlog = declared.about("listen/backlog", &address);
    assert_eq!((&backlog["outcome"], &backlog["now"]), (&"fail".into(), &BACKLOG.into()));
    count(report.about("listen/backlog", &address), "netstat.TcpExt.ListenOverflows");

    let text = Run::of(scene.tunecheck()).stdout;
    let holder = format!("{} {}", fs::read_to_string("/proc/self/comm").unwrap().trim(), std::process::id());
    assert!(text.contains(&format!("\nFAIL listen/queue  {address} {holder}\n")), "{text}");
}
