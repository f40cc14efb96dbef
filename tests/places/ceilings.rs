//! What `plan --solve` predicts, against what the kernel then does.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, getpeername};
use serde_json::Value;

use crate::harness::{NETWORK, Need, Place, Scene, eventually};
use crate::overflow::{CLIENTS, overflowing};
use crate::ports::{Destination, NEEDS, connected, usable};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "as_many_connections_as_a_plan_predicts_find_a_local_port",
        needs: NEEDS,
        own: NETWORK,
        trial: as_many_connections_as_a_plan_predicts_find_a_local_port,
    },
    Place {
        name: "as_large_a_burst_as_a_plan_predicts_fits_the_accept_queue",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: as_large_a_burst_as_a_plan_predicts_fits_the_accept_queue,
    },
];

/// What the plan says of one limit here.
fn predicted(scene: &Scene, arguments: &[&str], limit: &str) -> Value {
    let mut command = scene.tunecheck();
    command.args(["plan", "--solve", "--format", "json"]).args(arguments);
    let run = Run::of(command);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let plan: Value = serde_json::from_str(&run.stdout).unwrap();
    let limits = plan["capacity"]["limits"].as_array().unwrap();
    let found = limits.iter().find(|found| found["limit"] == limit);
    found.unwrap_or_else(|| panic!("{limit}: {plan:#}")).clone()
}

fn as_many_connections_as_a_plan_predicts_find_a_local_port(scene: &Scene) {
    usable(200);
    fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", "40010-40019").unwrap();
    let destinations = [Destination::at(Ipv4Addr::LOCALHOST, 9000), Destination::at(Ipv4Addr::new(127, 0, 0, 2), 9000)];
    let _inside = Destination::at(Ipv4Addr::LOCALHOST, 40_100);

    let arguments = ["--role", "client", "--concurrency", "5000", "--destinations", "2"];
    let limit = predicted(scene, &arguments, "local ports toward a destination");
    // 200 less 10 that are reserved and one that something listens on, toward each of two.
    assert_eq!((&limit["now"], &limit["carries"], &limit["slow_from"]), (&189.into(), &378.into(), &188.into()));

    let mut held: Vec<OwnedFd> = Vec::new();
    for destination in &destinations {
        loop {
            match connected(&destination.address) {
                Ok(socket) => held.push(socket),
                Err(error) => {
                    assert_eq!(error, Errno::EADDRNOTAVAIL);
                    break;
                }
            }
            assert!(held.len() < 1000, "no end");
        }
    }
    let carried = limit["carries"].as_u64().unwrap();
    assert!(carried.abs_diff(held.len() as u64) <= 1, "{} connected, {carried} predicted", held.len());
}

fn as_large_a_burst_as_a_plan_predicts_fits_the_accept_queue(scene: &Scene) {
    let (_listener, address, clients) = overflowing(CLIENTS);
    let port = address.port().to_string();
    // Every connection comes at once.
    let arguments = ["--connections", "40", "--burst", "40", "--port", &port];
    let limit = predicted(scene, &arguments, "accept queue");
    let carried = limit["carries"].as_u64().unwrap();
    assert_eq!((carried, &limit["now"]), (9, &9.into()));

    let answered = || {
        let is_connected = |client: &&OwnedFd| getpeername::<SockaddrIn>(client.as_raw_fd()).is_ok();
        clients.iter().filter(is_connected).count() as u64
    };
    assert!(eventually(|| answered() >= carried - 1), "{} connected", answered());
    assert!(answered().abs_diff(carried) <= 1, "{} connected, {carried} predicted", answered());
}
