//! Queueing disciplines: packets that were dropped before a driver saw them.

use std::collections::BTreeMap;

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const READ: &str = "rtnetlink, RTM_GETQDISC";

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man8/tc.8.html";
    Entry { name, unit, scope: Scope::Netns, meaning, read: READ, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["qdisc"],
    read,
    entries: &[
        entry("qdisc.full", Unit::Count, "outgoing packets that were dropped because a queueing discipline was full"),
        entry("qdisc.drops", Unit::Count, "outgoing packets that queueing disciplines dropped, for whatever reason"),
        entry("qdisc.requeues", Unit::Count, "times a driver had no room and a packet went back into its queue"),
        entry("qdisc.names", Unit::Text, "the interfaces whose queueing disciplines were full, with kind and numbers"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let qdiscs = match gather.host.ask(Query { ask: Ask::Qdiscs, of: "" }) {
        Ok(bytes) => qdiscs(&bytes).ok_or_else(|| Gap::unparsable(READ, &bytes)),
        Err(refusal) => Err(refusal.gap(READ)),
    };
    let sum = |of: fn(&Qdisc) -> u32| -> Reading {
        Ok(Value::Number(qdiscs.as_ref().map_err(Gap::clone)?.iter().map(|one| i128::from(of(one))).sum()))
    };
    let full_in_all = qdiscs.as_ref().map_err(Gap::clone).and_then(|all| sum_full(all));
    let names = qdiscs.as_ref().map_err(Gap::clone).map(|all| Value::Text(full(all)));
    for (name, reading) in [
        ("qdisc.full", full_in_all),
        ("qdisc.drops", sum(|one| one.drops)),
        ("qdisc.requeues", sum(|one| one.requeues)),
        ("qdisc.names", names),
    ] {
        gather.put(name, reading, READ);
    }
}

/// Packets dropped for want of room. Unknown where none are known of and a discipline dropped some that does not tell why.
fn sum_full(qdiscs: &[Qdisc]) -> Reading {
    let full: i128 = qdiscs.iter().filter_map(|one| one.full).map(i128::from).sum();
    let silent = qdiscs.iter().find(|one| one.full.is_none() && one.drops > 0).filter(|_| full == 0);
    if let Some(Qdisc { interface, kind, drops, .. }) = silent {
        let why = format!("{kind} of {interface} dropped {drops} and does not tell how many of them for want of room");
        return Err(Gap::new(Cause::Unsupported, why));
    }
    Ok(Value::Number(full))
}

/// The interfaces with what was full there. One with a discipline for each of its queues is told once.
fn full(qdiscs: &[Qdisc]) -> String {
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for one in qdiscs {
        if let Some(full) = one.full.filter(|full| *full > 0) {
            *counts.entry((&one.interface, &one.kind)).or_default() += u64::from(full);
        }
    }
    let words = counts.into_iter().map(|((interface, kind), full)| format!("{kind} of {interface} dropped {full}"));
    words.collect::<Vec<_>>().join(", ")
}

#[derive(Debug, PartialEq)]
struct Qdisc {
    interface: String,
    kind: String,
    drops: u32,
    /// Those of the drops that were for want of room; none where the discipline does not count them apart.
    full: Option<u32>,
    requeues: u32,
}

/// One a line, as [`Ask::Qdiscs`] gives them.
fn qdiscs(bytes: &[u8]) -> Option<Vec<Qdisc>> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [interface, kind, drops, full, requeues] = *words else { return None };
        let full = if full == "-" { None } else { Some(full.parse().ok()?) };
        let (drops, requeues) = (drops.parse().ok()?, requeues.parse().ok()?);
        Some(Qdisc { interface: interface.to_owned(), kind: kind.to_owned(), drops, full, requeues })
    };
    text(bytes).lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_discipline_was_full_that_does_not_tell_is_unknown() {
        let read = qdiscs(b"eth0 pfifo_fast 41 41 3\neth1 cake 9 - 0\n").unwrap();
        assert_eq!(read.iter().map(|one| (one.drops, one.full)).collect::<Vec<_>>(), [(41, Some(41)), (9, None)]);
        assert_eq!(sum_full(&read), Ok(Value::Number(41)));
        let why = sum_full(&read[1..]).unwrap_err();
        assert_eq!(why.why, "cake of eth1 dropped 9 and does not tell how many of them for want of room");
        assert_eq!(sum_full(&qdiscs(b"eth1 cake 0 - 0\neth0 fq 3 0 0\n").unwrap()), Ok(Value::Number(0)));
        let queues = qdiscs(b"eth0 fq_codel 9 4 0\neth0 fq_codel 8 3 0\neth1 tbf 5 5 0\neth2 tbf 0 0 9\n").unwrap();
        assert_eq!(full(&queues), "fq_codel of eth0 dropped 7, tbf of eth1 dropped 5");
        assert_eq!(qdiscs(b""), Some(Vec::new()));
        assert_eq!(qdiscs(b"eth0 pfifo_fast many 41 3\n"), None);
        assert_eq!(qdiscs(b"eth0\n"), None);
    }
}
