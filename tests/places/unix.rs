//! Accept queues of AF_UNIX sockets.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

use crate::harness::{NETWORK, Need, Place, Scene, done};
use crate::namespaces::{loopback_up, report};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "a_full_unix_socket_is_named_with_what_limits_it",
    needs: &[Need::Root, Need::Program("ip")],
    own: NETWORK,
    trial: a_full_queue_is_named,
}];

const RULE: &str = "listen/unix-queue";

fn stream() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None).unwrap()
}

/// A listener that never accepts.
fn listening(address: &UnixAddr, backlog: i32) -> OwnedFd {
    let listener = stream();
    bind(listener.as_raw_fd(), address).unwrap();
    listen(&listener, Backlog::new(backlog).unwrap()).unwrap();
    listener
}

/// So many connections, of which each is taken at once.
fn connected(address: &UnixAddr, count: usize) -> Vec<OwnedFd> {
    let clients: Vec<OwnedFd> = (0..count).map(|_| stream()).collect();
    clients.iter().for_each(|client| connect(client.as_raw_fd(), address).unwrap());
    clients
}

/// Outcome, connections that wait, and for how many there is room.
fn found<'a>(report: &'a Report, subject: &str) -> (&'a str, u64, u64) {
    let finding = report.about(RULE, subject);
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    (finding["outcome"].as_str().unwrap(), number(&finding["now"]), number(&finding["want"]["limit"]))
}

fn a_full_queue_is_named(scene: &Scene) {
    loopback_up();
    assert_eq!(report(scene.tunecheck(), &[]).finding(RULE)["outcome"], "not-applicable");

    fs::write("/proc/sys/net/core/somaxconn", "64").unwrap();
    let path = scene.folder.join("app.sock");
    let own = UnixAddr::new(&path).unwrap();
    let cut = UnixAddr::new_abstract(b"cut by somaxconn").unwrap();
    let (little, _much) = (listening(&own, 5), listening(&cut, 511));
    let mut clients = connected(&own, 6);
    assert_eq!(connect(stream().as_raw_fd(), &own), Err(Errno::EAGAIN), "a seventh");
    clients.extend(connected(&cut, 50));

    let path = path.to_str().unwrap();
    let live = report(scene.tunecheck(), &[]);
    assert_eq!(found(&live, path), ("fail", 6, 6));
    assert_eq!(found(&live, "@cut by somaxconn"), ("warn", 50, 65));
    let says = |subject: &str| live.about(RULE, subject)["says"].as_str().unwrap();
    assert!(says(path).contains("limited by the application"), "{}", says(path));
    assert!(says("@cut by somaxconn").contains("limited by somaxconn"), "{}", says("@cut by somaxconn"));

    assert_same(&live.at_rest().without(&["source"]), &replayed(scene, "node").at_rest().without(&["source"]));
    drop(clients);
    drop(little);
    assert_eq!(report(scene.tunecheck(), &[]).subjects(RULE), ["@cut by somaxconn"]);
}

fn replayed(scene: &Scene, name: &str) -> Report {
    let folder: &Path = &scene.folder.join(name);
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(folder);
    done(snapshot);
    let mut replay = scene.tunecheck();
    replay.arg("--snapshot").arg(folder).args(["--format", "json"]);
    Run::of(replay).report()
}
