//! Packets that network cards lost: those of interfaces with a device behind them. What a virtual interface drops has other
//! reasons.

use std::collections::BTreeSet;

use super::{Gather, Source, number, text};
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const DEV: &str = "/proc/net/dev";
const CLASS: &str = "/sys/class/net";

const fn entry(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/networking/statistics.html";
    Entry { name, unit, scope: Scope::Netns, meaning, read, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["device"],
    read,
    entries: &[
        entry("device.dropped", Unit::Count, DEV, "packets that any interface dropped, in or out"),
        entry("device.rx_packets", Unit::Count, DEV, "packets that came in on all interfaces but loopback"),
        entry("device.tx_packets", Unit::Count, DEV, "packets that went out on all interfaces but loopback"),
        entry("device.rx_missed", Unit::Count, CLASS, "packets that a network card lost because its ring was full"),
        entry("device.tx_dropped", Unit::Count, CLASS, "outgoing packets that a network card's driver dropped"),
        entry("device.names", Unit::Text, CLASS, "the network cards that lost packets, with the numbers"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let interfaces = match gather.host.read(DEV) {
        Ok(bytes) => interfaces(&bytes).ok_or_else(|| Gap::unparsable(DEV, &bytes)),
        Err(refusal) => Err(refusal.gap(DEV)),
    };
    let sum = |of: fn(&Interface) -> i128| -> Reading {
        Ok(Value::Number(interfaces.as_ref().map_err(Gap::clone)?.iter().map(of).fold(0, i128::saturating_add)))
    };
    for (name, reading) in [
        ("device.dropped", sum(|one| one.rx_dropped.saturating_add(one.tx_dropped))),
        ("device.rx_packets", sum(|one| one.rx_packets)),
        ("device.tx_packets", sum(|one| one.tx_packets)),
    ] {
        gather.put(name, reading, DEV);
    }
    if !["device.rx_missed", "device.tx_dropped", "device.names"].iter().any(|name| gather.wants(name)) {
        return;
    }
    let cards = interfaces.as_ref().map_err(Gap::clone).and_then(|interfaces| cards(gather, interfaces));
    let sum = |of: fn(&Card) -> i128| -> Reading {
        Ok(Value::Number(cards.as_ref().map_err(Gap::clone)?.iter().map(of).fold(0, i128::saturating_add)))
    };
    let rx = sum(|card| card.rx_missed);
    let tx = sum(|card| card.tx_dropped);
    let words = |card: &Card| format!("{} missed {} and dropped {}", card.name, card.rx_missed, card.tx_dropped);
    let names = cards.as_ref().map_err(Gap::clone).map(|cards| {
        let lost = cards.iter().filter(|card| card.rx_missed + card.tx_dropped > 0);
        Value::Text(lost.map(words).collect::<Vec<_>>().join(", "))
    });
    for (name, reading) in [("device.rx_missed", rx), ("device.tx_dropped", tx), ("device.names", names)] {
        gather.put(name, reading, CLASS);
    }
}

/// What /proc/net/dev shows of an interface: the drops that it adds up are all of them and those missed.
struct Interface {
    name: String,
    rx_packets: i128,
    rx_dropped: i128,
    tx_packets: i128,
    tx_dropped: i128,
}

/// All but loopback. Two lines of titles come first.
fn interfaces(bytes: &[u8]) -> Option<Vec<Interface>> {
    let text = text(bytes);
    let mut lines = text.lines();
    lines.next().filter(|title| title.contains("Receive"))?;
    let interface = |line: &str| {
        let (name, counts) = line.rsplit_once(':')?;
        let counts: Vec<i128> = counts.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        let at = |at: usize| counts.get(at).copied();
        let name = name.trim().to_owned();
        Some(Interface { name, rx_packets: at(1)?, rx_dropped: at(3)?, tx_packets: at(9)?, tx_dropped: at(11)? })
    };
    let found: Option<Vec<Interface>> = lines.skip(1).map(interface).collect();
    found.map(|found| found.into_iter().filter(|one| one.name != "lo").collect())
}

struct Card {
    name: String,
    rx_missed: i128,
    tx_dropped: i128,
}

/// The interfaces that dropped something and have a device.
fn cards(gather: &Gather<'_>, interfaces: &[Interface]) -> Result<Vec<Card>, Gap> {
    let dropped: Vec<&Interface> =
        interfaces.iter().filter(|one| one.rx_dropped.saturating_add(one.tx_dropped) > 0).collect();
    if dropped.len() > bounds::DEVICES.count() {
        return Err(Gap::new(Cause::Unsupported, format!("more than {} interfaces dropped packets", bounds::DEVICES)));
    }
    if dropped.is_empty() {
        return Ok(Vec::new());
    }
    is_of_this_namespace(gather, interfaces)?;
    let mut cards = Vec::new();
    for interface in dropped {
        let folder = format!("{CLASS}/{}", interface.name);
        let exists = |path: &str| gather.host.exists(path).map_err(|refusal| refusal.gap(path));
        if !exists(&format!("{folder}/device"))? {
            continue;
        }
        let path = format!("{folder}/statistics/rx_missed_errors");
        let bytes = gather.host.read(&path).map_err(|refusal| refusal.gap(&path))?;
        let rx_missed = number(&text(&bytes)).ok_or_else(|| Gap::unparsable(&path, &bytes))?;
        cards.push(Card { name: interface.name.clone(), rx_missed, tx_dropped: interface.tx_dropped });
    }
    Ok(cards)
}

/// A sysfs shows the interfaces of the network namespace in which it was mounted, whoever reads it: under `nsenter -n` those
/// of the host, and `eth0` is there as well.
///
/// # Errors
/// They are others than those of /proc/net/dev.
fn is_of_this_namespace(gather: &Gather<'_>, interfaces: &[Interface]) -> Result<(), Gap> {
    let shown = gather.host.list(CLASS).map_err(|refusal| refusal.gap(CLASS))?;
    let shown: BTreeSet<&str> =
        shown.iter().map(String::as_str).filter(|name| !["lo", "bonding_masters"].contains(name)).collect();
    let own: BTreeSet<&str> = interfaces.iter().map(|one| one.name.as_str()).collect();
    if shown == own {
        return Ok(());
    }
    let why = format!("{CLASS} here shows other interfaces than {DEV}, those of another network namespace");
    Err(Gap::new(Cause::NotVisibleHere, why))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::{Answer, Ask, Host, Query, Refusal};
    use crate::model::facts::Facts;

    const TITLES: &str = "Inter-|   Receive                |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n";

    struct Files(BTreeMap<&'static str, String>);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            match (query.ask, self.0.get(query.of)) {
                (Ask::Read | Ask::Exists | Ask::List, Some(text)) => Ok(text.clone().into_bytes()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    /// A machine with these rows in /proc/net/dev, where sysfs shows these interfaces.
    fn facts(rows: &str, shown: &str) -> Facts {
        let files = [
            (DEV, format!("{TITLES}{rows}")),
            (CLASS, shown.replace(' ', "\0")),
            ("/sys/class/net/eth0/device", String::new()),
            ("/sys/class/net/eth2/device", String::new()),
            ("/sys/class/net/eth0/statistics/rx_missed_errors", "41\n".to_owned()),
        ];
        let names = SOURCE.entries.iter().map(|entry| entry.name).collect();
        let mut facts = Facts::default();
        super::super::gather(&Files(files.into()), names, &mut facts);
        facts
    }

    #[test]
    fn what_virtual_interfaces_drop_is_no_loss_of_a_card() {
        let facts = facts(
            "    lo: 9 9 0 5 0 0 0 0 9 9 0 5 0 0 0 0\n  eth0: 9 1000 0 44 0 0 0 0 9 900 0 3 0 0 0 0\n veth1: 9 10 0 7 0 0 0 0 9 10 0 0 0 0 0 0\n",
            "bonding_masters eth0 lo veth1",
        );
        assert_eq!(facts.number("device.dropped"), Ok(54));
        assert_eq!(facts.number("device.rx_packets"), Ok(1010));
        assert_eq!((facts.number("device.rx_missed"), facts.number("device.tx_dropped")), (Ok(41), Ok(3)));
        assert_eq!(facts.text("device.names"), Some("eth0 missed 41 and dropped 3"));
    }

    #[test]
    fn a_card_that_cannot_be_asked_is_no_zero() {
        let rows = " eth2: 9 10 0 7 0 0 0 0 9 10 0 0 0 0 0 0\n";
        let odd = facts(rows, "eth2 lo");
        assert_eq!(odd.number("device.rx_missed").unwrap_err().cause, Cause::Absent);
        // The sysfs of the host in the namespace of a container.
        for shown in ["docker0 eth0 lo", "docker0 eth2 lo veth1"] {
            let foreign = facts(rows, shown);
            assert_eq!(foreign.number("device.rx_missed").unwrap_err().cause, Cause::NotVisibleHere);
            assert_eq!(foreign.number("device.dropped"), Ok(7));
        }
        let short = super::interfaces(format!("{TITLES} eth1: 9 10\n").as_bytes());
        assert!(short.is_none() && super::interfaces(b"").is_none());
    }
}
