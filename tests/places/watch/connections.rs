//! Loads that use up what connections are made of.

use std::fs;

use super::{ALONE, NEEDS, Watched, counter, peak, rise, set, watch};
use crate::harness::{Need, Place, Scene, done, program};
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
