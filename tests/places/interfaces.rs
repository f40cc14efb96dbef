//! Interfaces that drop packets on the way out and on the way in, and packets that conntrack does not know.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, sendto, setsockopt, socket, sockopt,
};

use crate::harness::{NETWORK, NETWORK_AND_MOUNTS, Need, Place, Scene, done, script};
use crate::namespaces::{loopback_up, report};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_full_queue_of_an_interface_is_named_live_and_in_a_recording",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("tc")],
        own: NETWORK,
        trial: a_full_queue_is_named,
    },
    Place {
        name: "a_full_queue_that_a_class_got_of_the_kernel_is_named",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("tc")],
        own: NETWORK,
        trial: an_unseen_queue_is_named,
    },
    Place {
        name: "a_reverse_path_filter_that_drops_is_told_with_the_boot_line_behind_it",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK_AND_MOUNTS,
        trial: a_filter_is_told_with_its_line,
    },
    Place {
        name: "packets_that_conntrack_does_not_know_are_told_by_their_share",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("iptables")],
        own: NETWORK,
        trial: packets_that_conntrack_does_not_know,
    },
    Place {
        name: "a_receiver_of_datagrams_is_told_how_few_it_holds",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: a_receiver_of_datagrams,
    },
];

fn replayed(scene: &Scene) -> Report {
    let folder = scene.folder.join("recorded");
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&folder);
    done(snapshot);
    let mut replay = scene.tunecheck();
    replay.arg("--snapshot").arg(&folder).args(["--format", "json"]);
    Run::of(replay).report()
}

fn a_full_queue_is_named(scene: &Scene) {
    loopback_up();
    let queue = |kind: &str| done(script(&format!("tc qdisc replace dev lo root {kind}"), &[]));
    assert_eq!(report(scene.tunecheck(), &[]).finding("device/qdisc-full")["outcome"], "pass");
    // Nothing waits in what holds others.
    queue("handle 1: htb default 10");
    done(script("tc class add dev lo parent 1: classid 1:10 htb rate 64kbit burst 1600", &[]));
    done(script("tc qdisc add dev lo parent 1:10 handle 2: pfifo limit 3", &[]));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..60 {
        sender.send_to(&[7; 1000], "127.0.0.1:9").unwrap();
    }
    let shown = done(script("tc -s qdisc show dev lo parent 1:10", &[]));
    let dropped = shown.split("(dropped ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let dropped: u64 = dropped.parse().unwrap();
    assert!(dropped > 40, "{shown}");

    let live = report(scene.tunecheck(), &[]);
    let full = live.finding("device/qdisc-full");
    assert_eq!((&full["outcome"], &full["now"]), (&"warn".into(), &dropped.into()), "{full:#}");
    let says = full["says"].as_str().unwrap();
    assert!(says.starts_with(&format!("pfifo of lo dropped {dropped}: ")), "{says}");
    assert_same(&live.at_rest().without(&["source"]), &replayed(scene).at_rest().without(&["source"]));
}

/// What the root discipline of loopback says that it dropped, itself and in those below it.
fn dropped() -> u64 {
    let shown = done(script("tc -s qdisc show dev lo root", &[]));
    let dropped = shown.split("(dropped ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    dropped.parse().unwrap()
}

fn an_unseen_queue_is_named(scene: &Scene) {
    loopback_up();
    done(script(
        "ip link set lo txqueuelen 20
        tc qdisc replace dev lo root handle 1: htb default 20
        tc class add dev lo parent 1: classid 1:10 htb rate 100kbit burst 1600
        tc class add dev lo parent 1: classid 1:20 htb rate 100kbit burst 1600
        tc qdisc add dev lo parent 1:10 handle 2: pfifo limit 3",
        &[],
    ));
    let flood = || {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..300).for_each(|_| drop(sender.send_to(&[7; 1000], "127.0.0.1:9")));
    };
    flood();
    let lost = dropped();
    assert!(lost > 200, "{lost}");
    let live = report(scene.tunecheck(), &[]);
    let full = live.finding("device/qdisc-full");
    assert_eq!((&full["outcome"], &full["now"]), (&"warn".into(), &lost.into()), "{full:#}");
    let says = full["says"].as_str().unwrap();
    assert!(says.starts_with(&format!("pfifo of lo dropped {lost}: ")), "{says}");

    // One with a limit of bytes has a queue of its own.
    done(script("tc qdisc replace dev lo root tbf rate 100kbit burst 2000 limit 4000", &[]));
    flood();
    let lost = dropped();
    assert!(lost > 200, "{lost}");
    let live = report(scene.tunecheck(), &[]);
    assert_eq!(live.finding("device/qdisc-full")["now"], lost, "{:#}", live.finding("device/qdisc-full"));
}

/// A pair of interfaces; what goes out by `v1` to 10.9.2.0/24 comes in by `v0`.
const PAIR: &str = "
    ip link add v0 type veth peer name v1
    ip link set v0 up
    ip link set v1 up
    ip addr add 10.9.0.1/24 dev v0
    ip addr add 10.9.1.1/24 dev v1
    ip route add 10.9.2.0/24 dev v1
    mac=$(ip -o link show v0 | sed 's/.*link.ether \\([0-9a-f:]*\\).*/\\1/')
    ip neigh add 10.9.2.9 lladdr $mac dev v1
    for name in all default v1; do echo 0 >/proc/sys/net/ipv4/conf/$name/rp_filter; done
    echo 1 >/proc/sys/net/ipv4/conf/v0/rp_filter
    echo 1 >/proc/sys/net/ipv4/ip_forward";

fn a_filter_is_told_with_its_line(scene: &Scene) {
    loopback_up();
    let files = scene.folder.join("sysctl.d");
    fs::create_dir(&files).unwrap();
    fs::write(
        files.join("50-site.conf"),
        "# of the site\n-net.ipv4.conf.all.rp_filter\nnet.ipv4.conf.v?.rp_filter = 1\n",
    )
    .unwrap();
    fs::create_dir(scene.folder.join("run")).unwrap();
    done(script(
        "for folder in /run /usr/local/lib /usr/lib /etc; do
            if [ -d $folder/sysctl.d ]; then mount -t tmpfs none $folder/sysctl.d; fi
        done
        mkdir -p /etc/sysctl.d
        mount --bind \"$1\" /etc/sysctl.d
        mount -t tmpfs none /run
        mkdir -p /run/systemd/system",
        &[&files],
    ));
    done(script(PAIR, &[]));
    // From an address of the other interface.
    let sender = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&sender, sockopt::IpTransparent, &true).unwrap();
    bind(sender.as_raw_fd(), &SockaddrIn::new(10, 9, 1, 77, 0)).unwrap();
    for _ in 0..20 {
        sendto(sender.as_raw_fd(), b"x", &SockaddrIn::new(10, 9, 2, 9, 9), MsgFlags::empty()).unwrap();
    }
    let live = report(scene.tunecheck(), &[]);
    let filter = live.finding("route/reverse-path-filter");
    assert_eq!((&filter["outcome"], &filter["now"]), (&"warn".into(), &20.into()), "{filter:#}");
    let says = filter["says"].as_str().unwrap();
    let line = "1 on v0, by net.ipv4.conf.v?.rp_filter, from /etc/sysctl.d/50-site.conf:3.";
    assert!(says.contains(&format!("In force: {line}")), "{says}");
    // conf.all makes every interface at least as strict, and is named where it is what acts.
    fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "2").unwrap();
    let says = report(scene.tunecheck(), &[]).finding("route/reverse-path-filter")["says"].as_str().unwrap().to_owned();
    assert!(says.contains("2 on v0, v1, by conf.all, which no boot line sets to that"), "{says}");
}

fn packets_that_conntrack_does_not_know(scene: &Scene) {
    loopback_up();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    done(script("iptables -A INPUT -m conntrack --ctstate NEW", &[]));
    // A connection from before is none that conntrack may take up.
    fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", "0").unwrap();
    let rule = "conntrack/invalid";
    assert_eq!(report(scene.tunecheck(), &[]).finding(rule)["outcome"], "pass");
    for _ in 0..50 {
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
    }
    let known = report(scene.tunecheck(), &[]);
    let invalid = known.finding(rule);
    assert_eq!(invalid["outcome"], "warn", "{invalid:#}");
    assert!(invalid["now"].as_u64().unwrap() >= 100, "each packet and its acknowledgement: {invalid:#}");
    // It stands still while it is looked at.
    let mut sampled = scene.tunecheck();
    sampled.args(["--sample", "300ms", "--format", "json"]);
    assert_eq!(Run::of(sampled).report().finding(rule)["outcome"], "pass");
    fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1").unwrap();
    assert_eq!(report(scene.tunecheck(), &[]).finding(rule)["outcome"], "not-applicable");
}

fn a_receiver_of_datagrams(scene: &Scene) {
    loopback_up();
    let rule = "listen/unix-datagrams";
    assert_eq!(report(scene.tunecheck(), &[]).finding(rule)["outcome"], "not-applicable");
    let path = scene.folder.join("messages");
    let _receiver = UnixDatagram::bind(&path).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    let taken = (0..600).take_while(|_| sender.send_to(b"x", &path).is_ok()).count();
    assert_eq!(taken, 11, "one more than net.unix.max_dgram_qlen");
    let few = report(scene.tunecheck(), &[]);
    assert_eq!((&few.finding(rule)["outcome"], &few.finding(rule)["now"]), (&"warn".into(), &10.into()));
    assert_same(&few.at_rest().without(&["source"]), &replayed(scene).at_rest().without(&["source"]));

    // As syslog(3) does it. The receiver is one all the same, and who connects with a name of its own is none.
    let own = UnixDatagram::bind(scene.folder.join("answers")).unwrap();
    own.connect(&path).unwrap();
    assert_eq!(report(scene.tunecheck(), &[]).finding(rule)["outcome"], "warn");
    fs::write("/proc/sys/net/unix/max_dgram_qlen", "512").unwrap();
    assert_eq!(report(scene.tunecheck(), &[]).finding(rule)["outcome"], "pass");
    // What was there before keeps its queue.
    assert!(sender.send_to(b"x", &path).is_err());
    let again = scene.folder.join("messages again");
    let _receiver = UnixDatagram::bind(&again).unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender.set_nonblocking(true).unwrap();
    assert!((0..100).all(|_| sender.send_to(b"x", &again).is_ok()));
}
