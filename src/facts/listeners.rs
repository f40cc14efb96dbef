//! Listening TCP sockets with their queue and their effective backlog.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Gather, Source};
use crate::host::{Ask, Query, sock_diag};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Name;

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/sock_diag.7.html";
    Entry { name, unit: Unit::Count, scope: Scope::Netns, meaning, read: "sock_diag, state LISTEN", document }
}

/// What a listener dropped.
pub(super) const DROPS: &str = "listener[*].drops";

pub(super) const SOURCE: Source = Source {
    families: &["listener", "listeners"],
    read,
    entries: &[
        entry("listener[*].backlog", "effective backlog: the lesser of what listen() asked for and somaxconn then"),
        entry("listener[*].queue", "connections that wait for accept() now"),
        entry("listener[*].port", "the port"),
        entry(DROPS, "packets that this listener dropped, for whatever reason, since its socket was made (sk_drops)"),
        entry("listener[*].inode", "inode number of the socket: what its owner is found by"),
        entry("listener[*].uid", "number of the user that made the socket"),
        entry("listener[*].cgroup_id", "number of the cgroup v2 in which the socket was made"),
        entry("listeners.count", "listening TCP sockets"),
    ],
};

/// What is read of a listener.
const KEYS: [&str; 7] = ["].backlog", "].queue", "].port", "].inode", "].drops", "].uid", "].cgroup_id"];

fn read(gather: &mut Gather<'_>) {
    // Who listens is asked of the processes, and later.
    let own = |name: &&Name| !name.starts_with("listener[") || KEYS.iter().any(|key| name.ends_with(key));
    if !gather.wanted.of_family("listener").chain(gather.wanted.of_family("listeners")).any(|name| own(&&name)) {
        return;
    }
    let mut listeners = Vec::new();
    let mut count = Ok(());
    for family in ["inet", "inet6"] {
        match gather.host.ask(Query { ask: Ask::SockDiag, of: family }) {
            Ok(bytes) => listeners.extend(parse(&bytes)),
            // A kernel without IPv6 has no IPv6 listeners.
            Err(refusal) if family == "inet6" && refusal.is_without_ipv6() => {}
            Err(refusal) => {
                let gap = match refusal.is_absent() {
                    true => Gap::new(Cause::Absent, "this kernel has no sock_diag for TCP (module tcp_diag)"),
                    false => refusal.gap("sock_diag"),
                };
                if family == "inet" {
                    for name in gather.wanted("listener") {
                        gather.put(name, Err(gap.clone()), "sock_diag");
                    }
                } else if count.is_ok() {
                    // A subject of its own, so that the IPv4 listeners keep their values.
                    for key in ["backlog", "queue", "port", "inode", "drops", "uid"] {
                        gather.put(format!("listener[[::]:*].{key}"), Err(gap.clone()), "sock_diag");
                    }
                }
                count = Err(gap);
            }
        }
    }
    let number = i128::try_from(listeners.len()).unwrap_or(i128::MAX);
    gather.put("listeners.count", count.map(|()| Value::Number(number)), "sock_diag");
    for (subject, listener) in told_apart(listeners, |listener: &Listener| listener.address.to_string()) {
        for (key, number) in [
            ("backlog", listener.backlog),
            ("queue", listener.queue),
            ("port", u32::from(listener.address.port())),
            ("inode", listener.inode),
            ("uid", listener.uid),
        ] {
            gather.put(format!("listener[{subject}].{key}"), Ok(Value::Number(number.into())), "sock_diag");
        }
        let untold = || Gap::new(Cause::Absent, "what each dropped is not in this recording");
        let drops = listener.drops.map(|drops| Value::Number(drops.into())).ok_or_else(untold);
        gather.put(format!("listener[{subject}].drops"), drops, "sock_diag");
        if let Some(cgroup) = listener.cgroup {
            gather.put(format!("listener[{subject}].cgroup_id"), Ok(Value::Number(cgroup.into())), "sock_diag");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Listener {
    address: SocketAddr,
    queue: u32,
    backlog: u32,
    inode: u32,
    uid: u32,
    /// None in a recording from before it was asked for.
    drops: Option<u32>,
    /// None before Linux 5.9.
    cgroup: Option<u64>,
}

/// Listeners by name. Those that share one, such as an address by SO_REUSEPORT, are told apart by a number.
pub(super) fn told_apart<T>(listeners: Vec<T>, name: impl Fn(&T) -> String) -> BTreeMap<String, T> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut named = BTreeMap::new();
    for listener in listeners {
        let name = name(&listener);
        let nth = counts.entry(name.clone()).or_default();
        *nth += 1;
        named.insert(if *nth == 1 { name } else { format!("{name}#{nth}") }, listener);
    }
    named
}

/// Reads `inet_diag_msg` structures (linux/inet_diag.h) and their attributes. Messages of another size or family are passed
/// over.
fn parse(bytes: &[u8]) -> Vec<Listener> {
    sock_diag::messages(bytes).filter_map(|(_, body)| listener(body)).collect()
}

const INET_DIAG_SKMEMINFO: u16 = 7;
const INET_DIAG_CGROUP_ID: u16 = 21;

fn listener(body: &[u8]) -> Option<Listener> {
    let number = |at: usize| Some(u32::from_ne_bytes(*body.get(at..at + 4)?.first_chunk()?));
    let port = u16::from_be_bytes(*body.get(4..6)?.first_chunk()?);
    let address = SocketAddr::new(address(*body.first()?, body.get(8..24)?)?, port);
    let memory = sock_diag::attribute(body.get(sock_diag::MESSAGE..)?, INET_DIAG_SKMEMINFO);
    // SK_MEMINFO_DROPS is the ninth of its numbers.
    let drops = memory.and_then(|memory| Some(u32::from_ne_bytes(*memory.get(32..)?.first_chunk()?)));
    let cgroup = sock_diag::attribute(body.get(sock_diag::MESSAGE..)?, INET_DIAG_CGROUP_ID);
    let cgroup = cgroup.and_then(|id| Some(u64::from_ne_bytes(*id.first_chunk()?)));
    let [queue, backlog, uid, inode] = [number(56)?, number(60)?, number(64)?, number(68)?];
    Some(Listener { address, queue, backlog, inode, uid, drops, cgroup })
}

/// An address of `inet_diag_sockid`, which has room for one of IPv6.
pub(super) fn address(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        2 => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        10 => Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(family: u8, port: u16, queue: u32, backlog: u32) -> Vec<u8> {
        let mut body = vec![0u8; 72];
        body[0] = family;
        body[4..6].copy_from_slice(&port.to_be_bytes());
        body[56..60].copy_from_slice(&queue.to_ne_bytes());
        body[60..64].copy_from_slice(&backlog.to_ne_bytes());
        body[68..72].copy_from_slice(&(u32::from(port) + 1000).to_ne_bytes());
        let mut bytes = (88u32).to_ne_bytes().to_vec();
        bytes.extend([20, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn what_a_listener_dropped_is_told_apart_from_what_a_recording_does_not_tell() {
        let mut told = message(2, 80, 0, 128);
        told.extend([40u16.to_ne_bytes(), INET_DIAG_SKMEMINFO.to_ne_bytes()].concat());
        told.extend([&[0; 32][..], &31u32.to_ne_bytes()].concat());
        let length = u32::try_from(told.len()).unwrap();
        told[..4].copy_from_slice(&length.to_ne_bytes());
        let drops = |bytes: &[u8]| parse(bytes).iter().map(|listener| listener.drops).collect::<Vec<_>>();
        assert_eq!(drops(&[told, message(2, 81, 0, 128)].concat()), [Some(31), None]);
    }

    #[test]
    fn reads_both_families_and_stops_at_a_cut_message() {
        let mut bytes = [message(2, 8080, 9, 8), message(10, 443, 0, 4096)].concat();
        bytes.extend(&message(2, 1, 1, 1)[..40]);
        let found = parse(&bytes);
        assert_eq!(found.len(), 2);
        let first = Listener {
            address: "0.0.0.0:8080".parse().unwrap(),
            queue: 9,
            backlog: 8,
            inode: 9080,
            uid: 0,
            drops: None,
            cgroup: None,
        };
        assert_eq!(found[0], first);
        assert_eq!(found[1].address.to_string(), "[::]:443");
    }

    /// The kernel's error number for a family of addresses that it does not have.
    const EAFNOSUPPORT: i32 = 97;

    struct Refusing(i32);

    impl crate::host::Host for Refusing {
        fn ask(&self, query: Query<'_>) -> crate::host::Answer {
            if query.of == "inet" { Ok(message(2, 80, 0, 128)) } else { Err(crate::host::Refusal::Errno(self.0)) }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_refused_dump_of_ipv6_shows_and_a_kernel_without_ipv6_does_not() {
        for (errno, subjects) in [(1, 2), (EAFNOSUPPORT, 1), (2, 1)] {
            let mut facts = crate::model::facts::Facts::default();
            super::super::gather(&Refusing(errno), ["listener[*].backlog"].into(), &mut facts);
            assert_eq!(facts.subjects("listener[*].backlog").len(), subjects);
            assert_eq!(facts.value("listener[0.0.0.0:80].backlog"), Ok(&Value::Number(128)));
            assert_eq!(facts.value("listeners.count").is_ok(), subjects == 1);
        }
    }

    #[test]
    fn sockets_on_one_address_keep_their_own_name() {
        let names: Vec<String> =
            told_apart(parse(&message(2, 80, 0, 1).repeat(2)), |listener| listener.address.to_string())
                .into_keys()
                .collect();
        assert_eq!(names, ["0.0.0.0:80", "0.0.0.0:80#2"]);
    }
}
