//! Loads that a listener has no room for.

use super::{ALONE, NEEDS, Watched, counter, peak, rise, set};
use crate::harness::{Place, Scene, done, program};
use crate::namespaces::loopback_up;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_burst_names_the_accept_queue_of_the_listener_that_it_met",
        needs: NEEDS,
        own: ALONE,
        trial: a_burst_names_the_accept_queue,
    },
    Place {
        name: "half_open_connections_name_the_syn_queue_where_cookies_begin",
        needs: NEEDS,
        own: ALONE,
        trial: half_open_connections_name_the_syn_queue,
    },
    Place {
        name: "half_open_connections_name_the_syn_queue_where_there_are_no_cookies",
        needs: NEEDS,
        own: ALONE,
        trial: half_open_connections_without_cookies,
    },
    Place {
        name: "cookies_for_every_syn_name_nothing",
        needs: NEEDS,
        own: ALONE,
        trial: cookies_for_every_syn_name_nothing,
    },
];

/// The loads' listeners have a backlog of 8, and the kernel holds one more.
const FULL: u64 = 9;

fn a_burst_names_the_accept_queue(scene: &Scene) {
    loopback_up();
    let watched = Watched::load(scene, "burst.py");
    let queue = watched.only_hit("accept queue");
    assert_eq!(queue["subject"], watched.told["address"]);
    assert_eq!(peak(queue), [Some(FULL), Some(FULL), Some(100)]);
    // The clients are gone, so nothing rises any more.
    let overflows = counter("ListenOverflows");
    assert!(overflows >= 40 - FULL, "{overflows}");
    assert_eq!(rise(queue, "netstat.TcpExt.ListenOverflows"), overflows);
    // The drops are the same packets.
    assert_eq!(counter("ListenDrops"), overflows);
    assert_eq!(rise(queue, "netstat.TcpExt.ListenDrops"), overflows);
    assert!(!queue["fix"].as_array().unwrap().is_empty(), "{queue:#}");
}

/// A place in which SYNs come from addresses that no answer reaches.
fn among_strangers() {
    loopback_up();
    let mut ip = program("ip");
    ip.args(["route", "add", "192.0.2.0/24", "dev", "lo"]);
    done(ip);
}

fn half_open_connections_name_the_syn_queue(scene: &Scene) {
    among_strangers();
    let watched = Watched::load(scene, "half_open.py");
    let queue = watched.only_hit("SYN queue");
    assert_eq!((&watched.told["half_open"], &watched.told["overflows"]), (&FULL.into(), &0.into()));
    assert_eq!(queue["rule"], "listen/syn-queue");
    for name in ["TCPReqQFullDoCookies", "SyncookiesSent"] {
        assert_eq!(counter(name), 40 - FULL);
        assert_eq!(rise(queue, &format!("netstat.TcpExt.{name}")), 40 - FULL);
    }
}

fn half_open_connections_without_cookies(scene: &Scene) {
    among_strangers();
    set("net.ipv4.tcp_syncookies", "0");
    let watched = Watched::load(scene, "half_open.py");
    let queue = watched.only_hit("SYN queue");
    assert_eq!((&watched.told["half_open"], &watched.told["overflows"]), (&FULL.into(), &0.into()));
    assert_eq!(queue["rule"], "listen/syn-drops");
    for name in ["TCPReqQFullDrop", "ListenDrops"] {
        assert_eq!(counter(name), 40 - FULL);
        assert_eq!(rise(queue, &format!("netstat.TcpExt.{name}")), 40 - FULL);
    }
}

fn cookies_for_every_syn_name_nothing(scene: &Scene) {
    among_strangers();
    set("net.ipv4.tcp_syncookies", "2");
    let watched = Watched::load(scene, "half_open.py");
    assert_eq!((counter("SyncookiesSent"), counter("TCPReqQFullDoCookies")), (40, 40));
    assert_eq!(watched.told["half_open"], 0);
    watched.no_hit();
}
