//! Queueing disciplines: what was dropped before a driver saw it.
//!
//! Source: `linux/rtnetlink.h`, `linux/gen_stats.h`, `linux/pkt_sched.h`; net/sched of the kernel. Unprivileged; of the
//! network namespace.

use std::collections::BTreeMap;
use std::fmt::Write;

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::sock_diag::{WHOLE, asking, attribute, messages, whole};

const RTM_GETLINK: u16 = 18;
const RTM_GETQDISC: u16 = 38;
/// Bytes of `ifinfomsg`, and of the attributes behind it the first, the name.
const LINK: usize = 16;
const NAMED_LINK: usize = LINK + 4 + 16;
/// Bytes of `tcmsg`.
const QDISC: usize = 20;
/// `TC_H_INGRESS`, the parent of what filters incoming packets, and of clsact: nothing waits there.
const INGRESS: u32 = 0xffff_fff1;

/// Lines as [`super::Ask::Qdiscs`] describes them.
///
/// # Errors
/// The kernel's error.
pub(super) fn answer() -> Result<Vec<u8>, Errno> {
    let dump = |kind, body: usize, keep| whole(SockProtocol::NetlinkRoute, &asking(kind, &vec![0; body]), keep);
    let qdiscs = dump(RTM_GETQDISC, QDISC, WHOLE)?;
    let qdiscs: Vec<Qdisc> = messages(&qdiscs).filter_map(|(_, body)| qdisc(body)).collect();
    let lost = |one: &&Qdisc| one.drops > 0 || one.requeues > 0;
    let told: Vec<&Qdisc> =
        qdiscs.iter().filter(lost).filter(|one| one.parent != INGRESS && !one.has_others(&qdiscs)).collect();
    // The names of interfaces come with all that is known of them.
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let links = dump(RTM_GETLINK, LINK, NAMED_LINK)?;
    let names: BTreeMap<i32, String> = messages(&links).filter_map(|(_, body)| link(body)).collect();
    let mut lines = String::new();
    for one in told {
        // An interface that went away meanwhile has no name any more.
        let Some(name) = names.get(&one.interface) else { continue };
        let full = one.full.map_or_else(|| "-".to_owned(), |full| full.to_string());
        let _ = writeln!(lines, "{name} {} {} {full} {}", one.kind, one.drops, one.requeues);
    }
    Ok(lines.into_bytes())
}

/// The number and the name of an interface.
fn link(body: &[u8]) -> Option<(i32, String)> {
    const IFLA_IFNAME: u16 = 3;
    let name = attribute(body.get(LINK..)?, IFLA_IFNAME)?;
    Some((number(body, 4)?.cast_signed(), word(name)))
}

#[derive(Debug, PartialEq)]
struct Qdisc {
    interface: i32,
    handle: u32,
    parent: u32,
    kind: String,
    drops: u32,
    /// Drops for want of room; none where the discipline also drops to tell senders that they are too fast, and does not
    /// count these apart.
    full: Option<u32>,
    requeues: u32,
}

impl Qdisc {
    /// Whether packets wait in others below it. What those drop it counts as well.
    fn has_others(&self, all: &[Self]) -> bool {
        const MAJOR: u32 = 0xffff_0000;
        let below = |one: &Self| one.interface == self.interface && one.parent & MAJOR == self.handle & MAJOR;
        match self.kind.as_str() {
            // Made by the kernel with as many as there are queues, all of them without a handle.
            "mq" | "mqprio" => true,
            _ => self.handle & MAJOR != 0 && all.iter().any(below),
        }
    }
}

/// Reads a `tcmsg` and its attributes.
fn qdisc(body: &[u8]) -> Option<Qdisc> {
    const TCA_KIND: u16 = 1;
    const TCA_XSTATS: u16 = 4;
    const TCA_STATS2: u16 = 7;
    const TCA_STATS_QUEUE: u16 = 3;
    let attributes = body.get(QDISC..)?;
    let kind = word(attribute(attributes, TCA_KIND)?);
    // gnet_stats_queue: packets that wait, their bytes, drops, requeues, overlimits.
    let queue = attribute(attribute(attributes, TCA_STATS2)?, TCA_STATS_QUEUE)?;
    let drops = number(queue, 8)?;
    let own = |at| attribute(attributes, TCA_XSTATS).and_then(|own| number(own, at));
    let full = match kind.as_str() {
        // tc_fq_codel_xstats, tc_codel_xstats: drop_overlimit.
        "fq_codel" => own(8),
        "codel" => own(20),
        "cake" | "choke" | "dualpi2" | "fq_pie" | "gred" | "pie" | "red" | "sfb" => None,
        _ => Some(drops),
    };
    Some(Qdisc {
        interface: number(body, 4)?.cast_signed(),
        handle: number(body, 8)?,
        parent: number(body, 12)?,
        kind,
        drops,
        full,
        requeues: number(queue, 12)?,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Text up to its zero byte. The kernel lets no blank into names of interfaces and of disciplines.
fn word(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = [&u16::try_from(4 + value.len()).unwrap().to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: &[u8], (handle, parent): (u32, u32), own: &[u8]) -> Vec<u8> {
        let head = [0, 2, handle, parent, 0].map(u32::to_ne_bytes).concat();
        let queue = [7u32, 900, 41, 3, 5].map(u32::to_ne_bytes).concat();
        [head, put(1, kind), put(7, &put(3, &queue)), put(4, own)].concat()
    }

    #[test]
    fn drops_for_want_of_room_are_told_from_those_that_slow_senders_down() {
        let full = |kind: &[u8], own: &[u32]| {
            let own: Vec<u8> = own.iter().flat_map(|number| number.to_ne_bytes()).collect();
            let read = qdisc(&message(kind, (0, u32::MAX), &own)).unwrap();
            assert_eq!((read.drops, read.requeues, read.interface), (41, 3, 2));
            read.full
        };
        assert_eq!(full(b"pfifo_fast\0", &[]), Some(41));
        assert_eq!(full(b"fq_codel\0", &[0, 1514, 11, 2]), Some(11));
        assert_eq!(full(b"fq_codel\0", &[0]), None, "too short to tell");
        assert_eq!(full(b"codel\0", &[1, 2, 3, 4, 5, 12]), Some(12));
        assert_eq!(full(b"cake\0", &[]), None);
        assert_eq!(qdisc(&message(b"pfifo\0", (0, 0), &[])[..40]), None, "cut");
    }

    #[test]
    fn packets_wait_in_what_has_nothing_below_it() {
        let read = |kind: &[u8], handle, parent| qdisc(&message(kind, (handle, parent), &[])).unwrap();
        let (root, leaf) = (read(b"htb\0", 0x1_0000, u32::MAX), read(b"pfifo\0", 0x2_0000, 0x1_0010));
        let (mq, queue) = (read(b"mq\0", 0, u32::MAX), read(b"pfifo_fast\0", 0, 1));
        let all = [root, leaf, mq, queue];
        assert_eq!(all.iter().map(|one| one.has_others(&all)).collect::<Vec<_>>(), [true, false, true, false]);
    }
}
