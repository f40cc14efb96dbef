//! What a cloud lets an instance send and receive, as the driver of its network card counts what was beyond.
//!
//! These are private statistics of a driver, which the kernel gives by an ioctl only (SIOCETHTOOL). A sosreport holds what
//! `ethtool -S` printed of them.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

/// Where a sosreport keeps what `ethtool -S` printed, a file for each interface.
const SOS: &str = "/sos_commands/networking";
const OF_INTERFACE: &str = "ethtool_-S_";
const CLASS: &str = "/sys/class/net";
const VENDOR: &str = "/sys/devices/virtual/dmi/id/sys_vendor";
const EXCEEDED: &str = "_allowance_exceeded";
const READ: &str = "ethtool -S, of a sosreport";

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html";
    Entry { name, unit, scope: Scope::Host, meaning, read: READ, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["allowance"],
    read,
    entries: &[
        entry(
            "allowance.exceeded",
            Unit::Count,
            "packets that were queued or dropped beyond the instance's allowances",
        ),
        entry(
            "allowance.names",
            Unit::Text,
            "the interfaces with packets beyond an allowance, with which and how many",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let counters = counters(gather);
    let exceeded = counters
        .as_ref()
        .map_err(Gap::clone)
        .map(|counters| Value::Number(counters.iter().map(|one| one.count).fold(0, i128::saturating_add)));
    let names = counters.map(|counters| {
        let beyond = counters.iter().filter(|one| one.count > 0);
        let words = beyond.map(|one| format!("{} {} of {}", one.count, one.name, one.interface));
        Value::Text(words.collect::<Vec<_>>().join(", "))
    });
    gather.put("allowance.exceeded", exceeded, READ);
    gather.put("allowance.names", names, READ);
}

struct Counter {
    interface: String,
    name: String,
    count: i128,
}

fn counters(gather: &Gather<'_>) -> Result<Vec<Counter>, Gap> {
    let none = || Gap::new(Cause::Absent, "no network card here counts an instance's allowances");
    let files = match gather.host.list(SOS) {
        Ok(files) => files,
        Err(refusal) if refusal.is_absent() => {
            return Err(match has_card_of_aws(gather)? {
                true => Gap::new(
                    Cause::Unsupported,
                    "the driver tells it by an ioctl only, which is not asked: ethtool -S IFACE | grep allowance shows it",
                ),
                false => none(),
            });
        }
        Err(refusal) => return Err(refusal.gap(SOS)),
    };
    let mut found = Vec::new();
    for (file, interface) in files.iter().filter_map(|file| Some((file, file.strip_prefix(OF_INTERFACE)?))) {
        let path = format!("{SOS}/{file}");
        let bytes = gather.host.read(&path).map_err(|refusal| refusal.gap(&path))?;
        for (name, count) in text(&bytes).lines().filter_map(exceeded) {
            let count = count.parse().map_err(|_| Gap::unparsable(&path, count.as_bytes()))?;
            found.push(Counter { interface: interface.to_owned(), name: name.to_owned(), count });
        }
    }
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

/// Whether this is an instance of EC2 and its network cards are seen: those of a container have no device.
fn has_card_of_aws(gather: &Gather<'_>) -> Result<bool, Gap> {
    let vendor = match gather.host.read(VENDOR) {
        Ok(vendor) => vendor,
        Err(refusal) if refusal.is_absent() => return Ok(false),
        Err(refusal) => return Err(refusal.gap(VENDOR)),
    };
    if !text(&vendor).starts_with("Amazon EC2") {
        return Ok(false);
    }
    let names = gather.host.list(CLASS).map_err(|refusal| refusal.gap(CLASS))?;
    let mut cards = names.iter().map(|name| gather.host.exists(&format!("{CLASS}/{name}/device")));
    Ok(cards.any(|is_card| is_card == Ok(true)))
}

/// Name and number of a line about an allowance, such as `     pps_allowance_exceeded: 0`.
fn exceeded(line: &str) -> Option<(&str, &str)> {
    let (name, count) = line.split_once(':')?;
    let name = name.trim();
    name.ends_with(EXCEEDED).then_some((name, count.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Answer, Ask, Host, Query, Refusal};
    use crate::model::facts::Facts;

    struct Files(Vec<(&'static str, &'static str)>);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            match (query.ask, self.0.iter().find(|(path, _)| *path == query.of)) {
                (Ask::Read | Ask::List | Ask::Exists, Some((_, text))) => Ok(text.as_bytes().to_vec()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    fn facts(files: &[(&'static str, &'static str)]) -> Facts {
        let mut facts = Facts::default();
        let names = SOURCE.entries.iter().map(|entry| entry.name.into()).collect();
        super::super::gather(&Files(files.to_vec()), names, &mut facts);
        facts
    }

    #[test]
    fn a_sosreport_tells_what_was_beyond_an_allowance() {
        let eth0 = "NIC statistics:\n     tx_timeout: 0\n     bw_in_allowance_exceeded: 0\n     \
                    pps_allowance_exceeded: 120\n     conntrack_allowance_exceeded: 4\n     \
                    conntrack_allowance_available: 131\n     queue_0_tx_cnt: 9\n";
        let names = "ethtool_-S_eth0\0ethtool_-S_lo\0ethtool_-i_eth0";
        let files = [
            (SOS, names),
            ("/sos_commands/networking/ethtool_-S_eth0", eth0),
            ("/sos_commands/networking/ethtool_-S_lo", "no stats available\n"),
        ];
        let told = facts(&files);
        assert_eq!(told.number("allowance.exceeded"), Ok(124));
        let words = "120 pps_allowance_exceeded of eth0, 4 conntrack_allowance_exceeded of eth0";
        assert_eq!(told.text("allowance.names"), Some(words));
        let odd = [(SOS, "ethtool_-S_eth0"), (files[1].0, "pps_allowance_exceeded: many\n")];
        assert_eq!(facts(&odd).number("allowance.exceeded").unwrap_err().cause, Cause::Unparsable);
    }

    #[test]
    fn live_it_is_unknown_where_a_card_counts_it_and_else_there_is_none() {
        let cause = |vendor, card| {
            let files = [(VENDOR, vendor), (CLASS, "ens5\0lo"), (card, "")];
            facts(&files).number("allowance.exceeded").unwrap_err()
        };
        const CARD: &str = "/sys/class/net/ens5/device";
        assert_eq!(cause("QEMU\n", CARD).cause, Cause::Absent);
        assert_eq!(cause("Amazon EC2\n", "/in a container").cause, Cause::Absent);
        assert_eq!(facts(&[]).number("allowance.exceeded").unwrap_err().cause, Cause::Absent);
        let there = cause("Amazon EC2\n", CARD);
        assert!(there.cause == Cause::Unsupported && there.why.contains("ethtool -S IFACE"), "{there:?}");
    }
}
