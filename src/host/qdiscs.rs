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
/// The attribute `TCA_DUMP_INVISIBLE`, without a value: it asks for the disciplines that a class got of the kernel as well.
/// Kernels that do not know it pass it over.
const DUMP_INVISIBLE: [u8; 4] = {
    let ([a, b], [c, d]) = (4u16.to_ne_bytes(), 10u16.to_ne_bytes());
    [a, b, c, d]
};

/// Lines as [`super::Ask::Qdiscs`] describes them.
///
/// # Errors
/// The kernel's error.
pub(super) fn answer() -> Result<Vec<u8>, Errno> {
    let dump = |kind, body: &[u8], keep| whole(SockProtocol::NetlinkRoute, &asking(kind, body), keep);
    let qdiscs = dump(RTM_GETQDISC, &[[0; QDISC].as_slice(), &DUMP_INVISIBLE].concat(), WHOLE)?;
    let qdiscs: Vec<Qdisc> = messages(&qdiscs).filter_map(|(_, body)| qdisc(body)).collect();
    let told: Vec<Qdisc> = qdiscs.iter().filter(|one| one.parent != INGRESS).map(|one| one.alone(&qdiscs)).collect();
    let told: Vec<Qdisc> = told.into_iter().filter(|one| one.drops > 0 || one.requeues > 0).collect();
    // The names of interfaces come with all that is known of them.
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let links = dump(RTM_GETLINK, &[0; LINK], NAMED_LINK)?;
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

#[derive(Clone, Debug, PartialEq)]
struct Qdisc {
    interface: i32,
    handle: u32,
    parent: u32,
    kind: String,
    drops: u32,
    /// Drops for want of room; none where the discipline also drops for other reasons, and does not count these apart.
    full: Option<u32>,
    requeues: u32,
}

impl Qdisc {
    /// Without what those below it dropped, which it counts as well. What is left are drops of its own, and those below it
    /// that are not shown or not there any more.
    fn alone(&self, all: &[Self]) -> Self {
        const MAJOR: u32 = 0xffff_0000;
        // Made by the kernel with as many as there are queues, all of them without a handle: they add up what these count.
        if ["mq", "mqprio"].contains(&self.kind.as_str()) {
            return Self { drops: 0, full: None, requeues: 0, ..self.clone() };
        }
        let is_below = |one: &&Self| {
            self.handle & MAJOR != 0 && one.interface == self.interface && one.parent & MAJOR == self.handle & MAJOR
        };
        let below = all.iter().filter(is_below).map(|one| one.drops).fold(0, u32::saturating_add);
        let less = |drops: u32| drops.saturating_sub(below);
        Self { drops: less(self.drops), full: self.full.map(less), ..self.clone() }
    }
}

/// Reads a `tcmsg` and its attributes.
fn qdisc(body: &[u8]) -> Option<Qdisc> {
    const TCA_KIND: u16 = 1;
    const TCA_OPTIONS: u16 = 2;
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
        // tc_fq_qd_stats: horizon_drops, packets that are to leave too far in the future; none before Linux 5.8.
        "fq" => {
            let horizon = attribute(attributes, TCA_XSTATS).and_then(|own| own.get(88..)?.first_chunk());
            let horizon = horizon.map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            Some(drops.saturating_sub(u32::try_from(horizon).unwrap_or(u32::MAX)))
        }
        // tc_sfq_qopt_v1: prob_drop and forced_drop, of its RED mode.
        "sfq" => {
            let early = |at| attribute(attributes, TCA_OPTIONS).and_then(|options| number(options, at)).unwrap_or(0);
            Some(drops.saturating_sub(early(48).saturating_add(early(52))))
        }
        // These drop for nothing else.
        "bfifo" | "htb" | "pfifo" | "pfifo_fast" | "pfifo_head_drop" | "tbf" => Some(drops),
        _ => None,
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
        for kind in [b"cake\0".as_slice(), b"netem\0", b"prio\0", b"a kind of tomorrow\0"] {
            assert_eq!(full(kind, &[]), None);
        }
        let mut horizon = [0; 26];
        horizon[if cfg!(target_endian = "little") { 22 } else { 23 }] = 5;
        assert_eq!((full(b"fq\0", &horizon), full(b"fq\0", &horizon[..20])), (Some(36), Some(41)));
        assert_eq!(qdisc(&message(b"pfifo\0", (0, 0), &[])[..40]), None, "cut");
    }

    #[test]
    fn a_discipline_tells_what_those_below_it_did_not_drop() {
        let read = |kind: &[u8], handle, parent, drops| {
            let one = qdisc(&message(kind, (handle, parent), &[])).unwrap();
            Qdisc { drops, full: one.full.map(|_| drops), ..one }
        };
        let all = [
            read(b"htb\0", 0x1_0000, u32::MAX, 100),
            read(b"pfifo\0", 0x2_0000, 0x1_0010, 30),
            // One that the kernel put into a class has no handle.
            read(b"pfifo\0", 0, 0x1_0020, 45),
            read(b"mq\0", 0, u32::MAX, 7),
            read(b"pfifo_fast\0", 0, 1, 7),
        ];
        let alone = |at: usize| all[at].alone(&all);
        assert_eq!([0, 1, 2, 3, 4].map(|at| alone(at).drops), [25, 30, 45, 0, 7]);
        assert_eq!([0, 1, 3].map(|at| alone(at).full), [Some(25), Some(30), None]);
        // Counts of what is below are read later, and may be more.
        assert_eq!(Qdisc { drops: 60, ..all[0].clone() }.alone(&all).drops, 0);
    }
}
