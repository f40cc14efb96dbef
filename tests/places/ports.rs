//! Local ports that run out toward one destination, with real connections.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect, listen,
    setsockopt, socket, sockopt,
};
use serde_json::Value;

use crate::harness::{NETWORK, Need, Place, Scene, done, eventually, program};
use crate::namespaces::{loopback_up, report};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_destination_whose_ports_run_out_is_named_and_another_one_is_not",
        needs: NEEDS,
        own: NETWORK,
        trial: a_destination_whose_ports_run_out_is_named,
    },
    Place {
        name: "ports_in_time_wait_and_those_of_ipv6_sockets_count_and_accepted_ones_do_not",
        needs: NEEDS,
        own: NETWORK,
        trial: ports_in_time_wait_and_those_of_ipv6_sockets_count,
    },
    Place {
        name: "ports_of_sockets_that_are_bound_and_not_connected_are_told_apart",
        needs: NEEDS,
        own: NETWORK,
        trial: ports_of_bound_sockets_are_told_apart,
    },
    Place {
        name: "sockets_that_are_bound_before_connect_take_their_ports_from_every_destination",
        needs: NEEDS,
        own: NETWORK,
        trial: bound_before_connect,
    },
    Place {
        name: "sockets_that_leave_the_port_to_connect_are_not_taken_for_bound_ones",
        needs: NEEDS,
        own: NETWORK,
        trial: left_to_connect,
    },
    Place {
        name: "udp_sockets_take_a_port_each_whatever_their_destination",
        needs: NEEDS,
        own: NETWORK,
        trial: udp_sockets_take_a_port_each,
    },
    Place {
        name: "ports_that_wait_are_not_given_back_to_bind",
        needs: NEEDS,
        own: NETWORK,
        trial: waiting_ports_and_bind,
    },
    Place {
        name: "connect_becomes_dear_at_half_of_the_ports",
        needs: NEEDS,
        own: NETWORK,
        trial: connect_becomes_dear_at_half_of_the_ports,
    },
];

pub(crate) const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("prlimit")];
const RULE: &str = "ports/use";
const CLIENT: &[&str] = &["--workload", "client"];

/// A network namespace that may use so many ports from 40000 on, and holds any burst; and a process that may open so
/// many sockets.
pub(crate) fn usable(ports: u32) {
    loopback_up();
    let mut prlimit = program("prlimit");
    prlimit.args(["--pid", &std::process::id().to_string(), "--nofile=4096:"]);
    done(prlimit);
    fs::write("/proc/sys/net/ipv4/ip_local_port_range", format!("40000 {}", 39999 + ports)).unwrap();
    fs::write("/proc/sys/net/core/somaxconn", "4096").unwrap();
}

/// A listener whose connections stay in its accept queue, which cost no descriptors there.
pub(crate) struct Destination {
    _listener: OwnedFd,
    pub(crate) address: SockaddrIn,
}

impl Destination {
    pub(crate) fn at(address: Ipv4Addr, port: u16) -> Self {
        let listener = tcp(AddressFamily::Inet);
        let address = SockaddrIn::from(SocketAddrV4::new(address, port));
        bind(listener.as_raw_fd(), &address).unwrap();
        listen(&listener, Backlog::new(4096).unwrap()).unwrap();
        Self { _listener: listener, address }
    }

    fn connect(&self, count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| connected(&self.address).unwrap()).collect()
    }

    /// The subject of the rule for connections from 127.0.0.1.
    fn subject(&self) -> String {
        format!("{} from 127.0.0.1", SocketAddrV4::from(self.address))
    }
}

fn tcp(family: AddressFamily) -> OwnedFd {
    socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

pub(crate) fn connected(to: &dyn SockaddrLike) -> Result<OwnedFd, Errno> {
    let socket = tcp(to.family().unwrap());
    connect(socket.as_raw_fd(), to).map(|()| socket)
}

/// What the rule finds about a destination: outcome, ports in use, and their share of the usable ones.
fn found<'a>(report: &'a Report, subject: &str) -> (&'a str, u64, u64) {
    let finding = report.about(RULE, subject);
    let number = |value: &Value| value.as_u64().unwrap();
    (finding["outcome"].as_str().unwrap(), number(&finding["now"]), number(&finding["share_percent"]))
}

fn proof<'a>(report: &'a Report, subject: &str, fact: &str) -> &'a Value {
    let evidence = report.about(RULE, subject)["evidence"].as_array().unwrap();
    evidence.iter().find(|proof| proof["fact"] == fact).unwrap()
}

fn a_destination_whose_ports_run_out_is_named(scene: &Scene) {
    usable(1000);
    let [busy, other] = [9000, 9001].map(|port| Destination::at(Ipv4Addr::LOCALHOST, port));
    let mut open = other.connect(50);
    let quiet = report(scene.tunecheck(), CLIENT);
    assert_eq!(quiet.finding(RULE)["outcome"], "not-applicable");
    assert!(quiet.finding(RULE)["reason"].as_str().unwrap().contains("than a quarter of the usable local ports"));

    open.extend(other.connect(50));
    open.extend(busy.connect(600));
    let half = report(scene.tunecheck(), CLIENT);
    assert_eq!(half.subjects(RULE), [busy.subject()]);
    assert_eq!(found(&half, &busy.subject()), ("warn", 600, 60));
    // What is used up is so whatever load was declared.
    assert_eq!(found(&report(scene.tunecheck(), &[]), &busy.subject()), ("warn", 600, 60));

    open.extend(busy.connect(400));
    assert_eq!(connected(&busy.address).unwrap_err(), Errno::EADDRNOTAVAIL);
    let full = report(scene.tunecheck(), CLIENT);
    assert_eq!(full.subjects(RULE), [busy.subject()]);
    assert_eq!(found(&full, &busy.subject()), ("fail", 1000, 100));
    let mut audit = scene.tunecheck();
    audit.args(CLIENT);
    let text = Run::of(audit).stdout;
    assert!(text.contains(&format!("\nFAIL {RULE}  {}\n", busy.subject())), "{text}");
    assert!(text.contains("1,000 of 1,000 usable local ports are in use"), "{text}");
    // The same range serves every other destination.
    open.extend(other.connect(100));

    // A recording holds it, and a list of reserved ports takes away from what is usable.
    fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", "40000-40099,40999").unwrap();
    let folder = scene.folder.join("node");
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&folder);
    done(snapshot);
    let reserved = report(scene.tunecheck(), CLIENT);
    assert_eq!(found(&reserved, &busy.subject()), ("fail", 899, 100));
    let mut replay = scene.tunecheck();
    replay.arg("--snapshot").arg(&folder);
    let replayed = report(replay, CLIENT);
    assert_same(&reserved.at_rest().without(&["source"]), &replayed.at_rest().without(&["source"]));
}

fn ports_in_time_wait_and_those_of_ipv6_sockets_count(scene: &Scene) {
    usable(1000);
    let listener = TcpListener::bind("127.0.0.1:9000").unwrap();
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9000);
    let subject = "127.0.0.1:9000 from 127.0.0.1";
    let mut open = Vec::new();
    for nth in 0..550 {
        let client = match nth % 11 {
            0..5 => TcpStream::connect(address).unwrap(),
            // An IPv6 socket with an IPv4 peer.
            _ => {
                let mapped = SocketAddrV6::new(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), 9000, 0, 0);
                TcpStream::from(connected(&SockaddrIn6::from(mapped)).unwrap())
            }
        };
        open.push((client, listener.accept().unwrap().0));
    }
    let taken: BTreeSet<u16> = open.iter().map(|(client, _)| client.local_addr().unwrap().port()).collect();
    // Who closes first keeps the port in TIME_WAIT.
    for (client, server) in open.drain(..150) {
        drop(client);
        drop(server);
    }
    let waiting = || {
        let text = fs::read_to_string("/proc/net/sockstat").unwrap();
        text.contains(" tw 150 ")
    };
    assert!(eventually(waiting), "{}", fs::read_to_string("/proc/net/sockstat").unwrap());
    let both = report(scene.tunecheck(), CLIENT);
    assert_eq!(both.subjects(RULE), [subject], "the other end was accepted here");
    assert_eq!(found(&both, subject), ("warn", 550, 55));
    assert_eq!(proof(&both, subject, "sockstat.TCP.tw")["value"], 150);
    let says = both.about(RULE, subject)["says"].as_str().unwrap();
    assert!(says.contains("150 of them in TIME_WAIT"), "{says}");

    // A server on a usable port: whoever calls it holds ports of his own, the server none more.
    let free = (40_000..41_000).find(|port| !taken.contains(port)).unwrap();
    let server = TcpListener::bind(("127.0.0.1", free)).unwrap();
    let here = server.local_addr().unwrap();
    let accepted: Vec<_> = (0..100).map(|_| (TcpStream::connect(here).unwrap(), server.accept().unwrap().0)).collect();
    let again = report(scene.tunecheck(), CLIENT);
    assert_eq!(again.subjects(RULE), [subject], "{} connections of {here}", accepted.len());
    assert_eq!(found(&again, subject), ("warn", 550, 55));

    // IPv6 has destinations of its own.
    let over_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 9000)).unwrap();
    let calls: Vec<_> = (0..300)
        .map(|_| (TcpStream::connect((Ipv6Addr::LOCALHOST, 9000)).unwrap(), over_ipv6.accept().unwrap().0))
        .collect();
    let third = report(scene.tunecheck(), CLIENT);
    assert_eq!(found(&third, "[::1]:9000 from ::1"), ("pass", 300, 30), "{}", calls.len());
}

fn ports_of_bound_sockets_are_told_apart(scene: &Scene) {
    usable(1000);
    let busy = Destination::at(Ipv4Addr::LOCALHOST, 9000);
    let _open = busy.connect(520);
    let bound: Vec<OwnedFd> = (0..30)
        .map(|_| {
            let socket = tcp(AddressFamily::Inet);
            bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).unwrap();
            socket
        })
        .collect();
    let report = report(scene.tunecheck(), CLIENT);
    assert_eq!(found(&report, &busy.subject()), ("warn", 520, 52));
    let proof = proof(&report, &busy.subject(), "ports.bound");
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) >= (Some(6), Some(8)) {
        assert_eq!(proof["value"], bound.len(), "{proof:#}");
    } else {
        assert!(proof["value"].is_null(), "{proof:#}");
    }
}

/// How a socket comes to its source address.
#[derive(Clone, Copy)]
enum Source {
    /// `bind()` to port 0.
    Bound,
    /// `bind()` with `IP_BIND_ADDRESS_NO_PORT`.
    BoundWithoutPort,
    /// `connect()` alone.
    Chosen,
}

/// So many connections to each of these destinations in turn, until one is refused.
fn spread(destinations: &[Destination], each: usize, source: Source) -> (Vec<OwnedFd>, Option<Errno>) {
    let mut open = Vec::new();
    for to in (0..each).flat_map(|_| destinations) {
        let socket = tcp(AddressFamily::Inet);
        if matches!(source, Source::BoundWithoutPort) {
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).unwrap();
        }
        let bound = match source {
            Source::Chosen => Ok(()),
            _ => bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)),
        };
        match bound.and_then(|()| connect(socket.as_raw_fd(), &to.address)) {
            Ok(()) => open.push(socket),
            Err(refused) => return (open, Some(refused)),
        }
    }
    (open, None)
}

const EVERY: &str = "every destination from 127.0.0.1";
const GATEWAY: &[&str] = &["--workload", "gateway", "--connections", "200", "--destinations", "10"];

fn ten_destinations() -> Vec<Destination> {
    (10..20).map(|last| Destination::at(Ipv4Addr::new(127, 0, 0, last), 9000)).collect()
}

fn bound_before_connect(scene: &Scene) {
    usable(200);
    let ten = ten_destinations();
    let (half, none) = spread(&ten, 12, Source::Bound);
    assert_eq!(none, None);
    let begun = report(scene.tunecheck(), GATEWAY);
    assert_eq!(found(&begun, EVERY), ("warn", 120, 60));

    let (rest, refused) = spread(&ten, 100, Source::Bound);
    assert_eq!((half.len() + rest.len(), refused), (200, Some(Errno::EADDRINUSE)));
    let full = report(scene.tunecheck(), GATEWAY);
    assert_eq!(found(&full, EVERY), ("fail", 200, 100));
    let says = full.about(RULE, EVERY)["says"].as_str().unwrap();
    assert!(says.contains("bound before connect()") && says.contains("EADDRINUSE"), "{says}");
    // Toward each destination alone a tenth is taken.
    assert_eq!(full.finding("ports/range")["want"]["fail_below"], 200, "{:#}", full.finding("ports/range"));
    // Nobody else has a port either.
    assert_eq!(connected(&ten[0].address).unwrap_err(), Errno::EADDRNOTAVAIL);

    let mut solve = scene.tunecheck();
    solve.args(["plan", "--solve", "--format", "json"]).args(GATEWAY);
    let solved: Value = serde_json::from_str(&Run::of(solve).stdout).unwrap();
    let carried = solved["capacity"]["limits"].as_array().unwrap();
    let ports = carried.iter().find(|limit| limit["limit"].as_str().unwrap().starts_with("local ports")).unwrap();
    assert_eq!((&ports["carries"], &ports["need"]), (&200.into(), &200.into()), "{ports:#}");
}

fn left_to_connect(scene: &Scene) {
    usable(200);
    for source in [Source::BoundWithoutPort, Source::Chosen] {
        let ten = ten_destinations();
        let (open, refused) = spread(&ten, 90, source);
        assert_eq!((open.len(), refused), (900, None));
        let report = report(scene.tunecheck(), GATEWAY);
        let subjects = report.subjects(RULE);
        assert!(!subjects.contains(&EVERY), "{subjects:?}");
        assert_eq!(found(&report, &format!("{} from 127.0.0.1", SocketAddrV4::from(ten[0].address))), ("pass", 90, 45));
        // Every destination has all of the ports.
        assert_eq!(report.finding("ports/range")["want"]["fail_below"], 20);
    }
}

fn udp_sockets_take_a_port_each(scene: &Scene) {
    usable(200);
    let outcome = || report(scene.tunecheck(), CLIENT).finding("ports/udp-use")["outcome"].clone();
    let mut open = Vec::new();
    let mut to = (10..20).cycle().map(|last| SockaddrIn::new(127, 0, 0, last, 9000));
    let mut another = || {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(socket.as_raw_fd(), &to.next().unwrap()).map(|()| open.push(socket))
    };
    (0..100).for_each(|_| another().unwrap());
    assert_eq!(outcome(), "pass");
    (0..100).for_each(|_| another().unwrap());
    assert_eq!(another(), Err(Errno::EAGAIN));
    assert_eq!(outcome(), "warn");
}

fn waiting_ports_and_bind(scene: &Scene) {
    usable(200);
    fs::write("/proc/sys/net/ipv4/tcp_tw_reuse", "1").unwrap();
    let server = TcpListener::bind("127.0.0.1:9000").unwrap();
    let to = SockaddrIn::new(127, 0, 0, 1, 9000);
    let bound_call = || {
        let client = tcp(AddressFamily::Inet);
        bind(client.as_raw_fd(), &SockaddrIn::new(127, 32, 0, 1, 0))?;
        connect(client.as_raw_fd(), &to).map(|()| client)
    };
    for _ in 0..200 {
        let client = bound_call().unwrap();
        let (accepted, _) = server.accept().unwrap();
        drop(client);
        drop(accepted);
    }
    assert_eq!(bound_call().unwrap_err(), Errno::EADDRINUSE);
    let subject = "127.0.0.1:9000 from 127.32.0.1";
    let report = report(scene.tunecheck(), CLIENT);
    assert_eq!(found(&report, subject), ("fail", 200, 100));
    let says = report.about(RULE, subject)["says"].as_str().unwrap();
    assert!(says.contains("200 of them in TIME_WAIT") && says.contains("tcp_tw_reuse gives it none back"), "{says}");
    // Of the declared load tcp_tw_reuse gives ports back to connect() alone: nothing shows here which of the two draws.
    let load = ["--workload", "client", "--connections", "150", "--short-lived-per-second", "50"];
    let says = self::report(scene.tunecheck(), &load).finding("ports/range")["says"].as_str().unwrap().to_owned();
    assert!(says.contains("takes 200 local ports") && says.contains("it takes 3,150;"), "{says}");
}

fn connect_becomes_dear_at_half_of_the_ports(_: &Scene) {
    usable(4000);
    let busy = Destination::at(Ipv4Addr::LOCALHOST, 9000);
    let mut open = Vec::new();
    let mut cost = |skipped: usize| {
        open.extend(busy.connect(skipped));
        let mut nanoseconds: Vec<u128> = (0..200)
            .map(|_| {
                let socket = tcp(AddressFamily::Inet);
                let start = Instant::now();
                connect(socket.as_raw_fd(), &busy.address).unwrap();
                let taken = start.elapsed().as_nanos();
                open.push(socket);
                taken
            })
            .collect();
        nanoseconds.sort_unstable();
        nanoseconds[nanoseconds.len() / 2]
    };
    let before = cost(1500);
    let after = cost(500);
    assert!(after > 3 * before, "{before} ns before, {after} ns after");
}
