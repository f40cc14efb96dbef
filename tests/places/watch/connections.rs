//! Loads that use up what connections are made of.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::Value;

use super::{ALONE, NEEDS, Watched, counter, peak, readings, rise, set, watch};
use crate::harness::{Need, Place, Scene, done, eventually, program};
use crate::namespaces::loopback_up;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "the_last_local_port_names_the_destination",
        needs: NEEDS,
        own: ALONE,
        trial: the_last_local_port_names_the_destination,
    },
    Place {
        name: "the_last_local_port_is_counted_for_ipv6_too",
        needs: NEEDS,
        own: ALONE,
        trial: the_last_local_port_is_counted_for_ipv6_too,
    },
    Place {
        name: "a_port_that_is_bound_first_is_gone_for_every_destination",
        needs: NEEDS,
        own: ALONE,
        trial: a_port_that_is_bound_first_is_gone_for_every_destination,
    },
    Place {
        name: "ports_that_were_used_up_before_are_told_after_they_were_given_back",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("cat")],
        own: ALONE,
        trial: ports_that_were_used_up_before,
    },
    Place {
        name: "the_last_descriptor_names_the_process",
        needs: NEEDS,
        own: ALONE,
        trial: the_last_descriptor_names_the_process,
    },
    Place {
        name: "connections_that_skip_time_wait_are_counted",
        needs: NEEDS,
        own: ALONE,
        trial: connections_that_skip_time_wait_are_counted,
    },
    Place {
        name: "tracked_connections_are_those_of_the_own_network_namespace",
        needs: &[
            Need::Root,
            Need::Program("ip"),
            Need::Program("python3"),
            Need::Program("iptables"),
            Need::Sysctl("net.netfilter.nf_conntrack_max"),
        ],
        own: ALONE,
        trial: tracked_connections_are_those_of_the_own_network_namespace,
    },
];

/// Takes the last of 200 ports toward a server that has none of them itself.
fn take_the_last_port(scene: &Scene, loopback: &str) {
    loopback_up();
    set("net.ipv4.ip_local_port_range", "40000 40199");
    let mut command = watch(scene, &["--workload", "client"], "ports.py");
    command.arg(loopback);
    let watched = Watched::of(scene, command);
    let ports = watched.only_hit("local ports");
    assert_eq!((&watched.told["connected"], &watched.told["error"]), (&200.into(), &"EADDRNOTAVAIL".into()));
    let subject = ports["subject"].as_str().unwrap();
    assert!(subject.contains(watched.told["address"].as_str().unwrap()), "{subject}");
    assert_eq!(peak(ports), [Some(200), Some(200), Some(100)], "{ports:#}");
}

fn the_last_local_port_names_the_destination(scene: &Scene) {
    take_the_last_port(scene, "127.0.0.1");
}

/// In sockstat these sockets are not among those in use: they are in sockstat6.
fn the_last_local_port_is_counted_for_ipv6_too(scene: &Scene) {
    take_the_last_port(scene, "::1");
}

fn a_port_that_is_bound_first_is_gone_for_every_destination(scene: &Scene) {
    loopback_up();
    set("net.ipv4.ip_local_port_range", "40000 40199");
    let load = ["--workload", "gateway", "--connections", "200", "--destinations", "10"];
    let watched = Watched::of(scene, watch(scene, &load, "bound_first.py"));
    let ports = watched.only_hit("local ports");
    assert_eq!((&watched.told["connected"], &watched.told["error"]), (&200.into(), &"EADDRINUSE".into()));
    assert_eq!(ports["subject"], "every destination from 127.0.0.1");
    assert_eq!(peak(ports), [Some(200), Some(200), Some(100)], "{ports:#}");
}

fn ports_that_were_used_up_before(scene: &Scene) {
    loopback_up();
    set("net.ipv4.ip_local_port_range", "40000 40099");
    let server = TcpListener::bind("127.0.0.1:30000").unwrap();
    let address: SocketAddr = server.local_addr().unwrap();
    // The accepted end is closed first, so that it is the one that waits.
    let mut ends = Vec::new();
    while let Ok(client) = TcpStream::connect(address) {
        ends.push((server.accept().unwrap().0, client));
    }
    assert_eq!(ends.len(), 100);
    let mut watch = scene.tunecheck();
    watch.args(["watch", "--workload", "client", "--fail-on", "fail", "--interval", "50ms", "--settle", "10ms"]);
    watch.args(["--format", "ndjson", "--output"]).arg(readings(scene)).args(["--", "cat"]);
    let mut watch = watch.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let read = || fs::read_to_string(readings(scene)).unwrap_or_default();
    let after_more = |more: usize| {
        let enough = read().lines().count() + more;
        assert!(eventually(|| read().lines().count() >= enough), "no readings");
    };
    after_more(3);
    assert!(TcpStream::connect(address).is_err(), "no port is left");
    ends.truncate(40);
    after_more(3);
    drop(watch.stdin.take());
    assert_eq!(watch.wait().unwrap().code(), Some(1), "used up before is used up");
    let verdict: Value = serde_json::from_str(read().lines().last().unwrap()).unwrap();
    let [ports] = &verdict["standing"].as_array().unwrap()[..] else { panic!("{verdict:#}") };
    assert_eq!((&ports["limit"], &ports["subject"]), (&"local ports".into(), &"127.0.0.1:30000 from 127.0.0.1".into()));
    assert!(ports["eased_at_milliseconds"].as_u64() > Some(0) && ports["hit_at_milliseconds"].is_null(), "{ports:#}");
    let text = read();
    assert!(!text.contains("every destination"), "these were not bound first: {text}");
}

fn the_last_descriptor_names_the_process(scene: &Scene) {
    let watched = Watched::load(scene, "files.py");
    let files = watched.only_hit("open files of a process");
    assert_eq!(watched.told["error"], "EMFILE");
    let subject = files["subject"].as_str().unwrap();
    assert!(subject.starts_with("python3"), "{subject}");
    assert!(subject.ends_with(&format!(" {}", watched.told["pid"])), "{subject}");
    assert_eq!(peak(files), [Some(64), Some(64), Some(100)]);
}

fn connections_that_skip_time_wait_are_counted(scene: &Scene) {
    loopback_up();
    set("net.ipv4.tcp_max_tw_buckets", "5");
    let watched = Watched::load(scene, "time_wait.py");
    let buckets = watched.only_hit("TIME_WAIT buckets");
    assert_eq!((&watched.told["skipped"], counter("TCPTimeWaitOverflow")), (&25.into(), 25));
    assert_eq!(rise(buckets, "netstat.TcpExt.TCPTimeWaitOverflow"), 25);
    assert_eq!(peak(buckets), [Some(5), Some(5), Some(100)]);
}

fn tracked_connections_are_those_of_the_own_network_namespace(scene: &Scene) {
    loopback_up();
    let untracked = Watched::load(scene, "tracked.py");
    assert_eq!(untracked.told["tracked"], 0, "nothing asks for tracking");
    untracked.no_hit();

    let mut rule = program("iptables");
    rule.args(["-A", "OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT"]);
    done(rule);
    let tracked = Watched::load(scene, "tracked.py");
    assert_eq!(tracked.told["tracked"], 30);
    tracked.no_hit();
    let text = fs::read_to_string(super::readings(scene)).unwrap();
    let used = |line: &str| {
        let tick: serde_json::Value = serde_json::from_str(line).unwrap();
        let limits = tick["limits"].as_array()?.clone();
        limits.iter().find(|limit| limit["rule"] == "conntrack/fill")?["used"].as_u64()
    };
    let course: Vec<u64> = text.lines().filter_map(used).collect();
    assert_eq!(course.last(), Some(&30), "{course:?}");
}
