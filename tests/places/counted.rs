//! Counters, each held against what it counts: packets of this network namespace, datagrams that came, a socket's own losses.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Stdio;

use crate::harness::{NETWORK, NETWORK_AND_MOUNTS, Need, Place, Running, Scene, done, program};
use crate::namespaces::{loopback_up, report};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "invalid_packets_are_held_against_those_of_their_network_namespace",
        needs: &[
            Need::Root,
            Need::Machine,
            Need::Program("ip"),
            Need::Program("iptables"),
            Need::Sysctl("net.netfilter.nf_conntrack_max"),
        ],
        own: NETWORK,
        trial: invalid_packets,
    },
    Place {
        name: "the_udp_socket_that_lost_datagrams_is_named_and_has_no_accept_queue",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: a_udp_server,
    },
    Place {
        name: "the_limit_of_a_process_that_starts_one_for_each_connection_holds_none_of_them",
        needs: &[Need::Root, Need::Machine, Need::Program("prlimit")],
        own: NETWORK_AND_MOUNTS,
        trial: one_process_each,
    },
];

fn invalid_packets(scene: &Scene) {
    loopback_up();
    let mut rule = program("iptables");
    rule.args(["-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT"]);
    let untracked = report(scene.tunecheck(), &[]);
    let why = untracked.finding("conntrack/fill")["gap"]["why"].to_string();
    assert!(why.contains("now") && !why.contains("tracks nothing"), "{why}");

    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let ends: Vec<_> = (0..200).map(|_| (TcpStream::connect(address).unwrap(), server.accept().unwrap())).collect();
    done(rule);
    // Who picks up in the middle takes none of these for invalid.
    fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0").unwrap();
    drop(ends);
    let tracked = report(scene.tunecheck(), &[]);
    let invalid = tracked.finding("conntrack/invalid");
    assert_eq!(invalid["outcome"], "warn", "{invalid:#}");
    let evidence = invalid["evidence"].to_string();
    assert!(evidence.contains("since this network namespace began, beside "), "{evidence}");
    assert!(!evidence.contains("beside 0 packets") && !evidence.contains("was loaded"), "{evidence}");
}

fn a_udp_server(scene: &Scene) {
    loopback_up();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..20_000 {
        client.send_to(&[0; 1000], address).unwrap();
    }
    let port = address.port().to_string();
    let found = report(scene.tunecheck(), &["--port", &port]);
    let lost = found.finding("memory/udp-receive-buffer");
    assert!(lost["says"].as_str().unwrap().contains(&format!("sockets on port {port} (")), "{lost:#}");
    // None of them was read.
    assert_ne!(found.finding("memory/socket-buffers")["outcome"], "not-applicable");
    let queue = found.about("listen/backlog", &format!("*:{port}"));
    assert_eq!(queue["outcome"], "not-applicable", "{queue:#}");
}

fn one_process_each(scene: &Scene) {
    for (name, expected) in [("postgres", "pass"), ("gateway", "fail")] {
        let link = scene.folder.join(name);
        // Any program does that stays: it is known by the name of its file.
        scene.put_tunecheck(&link);
        let mut server = program("prlimit");
        server.arg("--nofile=1024:1024").arg(&link).args(["watch", "--format", "ndjson"]).stdout(Stdio::null());
        let server = Running::start(server);
        let pid = server.0.id().to_string();
        let is_called = || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == name);
        assert!(crate::harness::eventually(is_called), "{name}");
        let found = report(scene.tunecheck(), &["--pid", &pid, "--connections", "1250", "--port", "5432"]);
        for rule in ["files/nofile-soft", "files/nofile-hard"] {
            assert_eq!(found.finding(rule)["outcome"], expected, "{name}: {:#}", found.finding(rule));
        }
    }
}
