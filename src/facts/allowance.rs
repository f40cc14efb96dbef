//! What a cloud lets an instance send and receive, as the driver of its network card counts what was beyond.
//!
//! These are private statistics of a driver, which the kernel gives by an ioctl only (SIOCETHTOOL). A sosreport holds what
//! `ethtool -S` printed of them.
//!
//! The ioctl is not asked: the kernel writes as much as the card counts at that moment, and before 6.19 and the stable releases
//! of January 2026 whatever room there is. So it takes code that is not safe, and below-ethtool 0.9.0, which hides that,
//! makes too little room: of the number of statistics the kernel writes four bytes beyond it.

use super::{Gather, Source, text};
use crate::host::Refusal;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

/// Where a sosreport keeps what `ethtool -S` printed, a file for each interface.
const SOS: &str = "/sos_commands/networking";
const OF_INTERFACE: &str = "ethtool_-S_";
const CLASS: &str = "/sys/class/net";
const VENDOR: &str = "/sys/devices/virtual/dmi/id/sys_vendor";
const DRIVER: &str = "ena";
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
    // On a machine whoever may make a folder in / would say what it counts.
    let files = match gather.host.is_tree().then(|| gather.host.list(SOS)) {
        None => Vec::new(),
        Some(Ok(files)) => files,
        Some(Err(refusal)) if refusal.is_absent() => Vec::new(),
        Some(Err(refusal)) => return Err(refusal.gap(SOS)),
    };
    let files: Vec<(&String, &str)> =
        files.iter().filter_map(|file| Some((file, file.strip_prefix(OF_INTERFACE)?))).collect();
    if files.is_empty() {
        return Err(match (has_card_of_aws(gather)?, gather.host.is_tree()) {
            (false, _) => none(),
            (true, true) => Gap::new(Cause::Unsupported, format!("there is no {SOS}/{OF_INTERFACE}IFACE in this tree")),
            (true, false) => Gap::new(
                Cause::Unsupported,
                "the driver tells it by an ioctl only, which is not asked: ethtool -S IFACE | grep allowance shows it",
            ),
        });
    }
    let mut found = Vec::new();
    for (file, interface) in files {
        let path = format!("{SOS}/{file}");
        let bytes = gather.host.read(&path).map_err(|refusal| refusal.gap(&path))?;
        for (name, count) in text(&bytes).lines().filter_map(exceeded) {
            let count = count.parse().map_err(|_| Gap::unparsable(&path, count.as_bytes()))?;
            found.push(Counter { interface: interface.to_owned(), name: name.to_owned(), count });
        }
    }
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

/// Whether a network card here has the driver of AWS. Those of a container have no device. Where no driver is shown, as in
/// a sosreport, it is taken to have one on whatever may be an instance of EC2; Xen runs others as well.
fn has_card_of_aws(gather: &Gather<'_>) -> Result<bool, Gap> {
    let mut is_shown = !gather.host.is_tree();
    let names = match gather.host.list(CLASS) {
        Ok(names) => names,
        Err(refusal) if refusal.is_absent() => Vec::new(),
        // An earlier recording.
        Err(Refusal::NotRecorded) => {
            is_shown = false;
            Vec::new()
        }
        Err(refusal) => return Err(refusal.gap(CLASS)),
    };
    for name in names {
        let path = format!("{CLASS}/{name}/device/driver");
        match gather.host.link(&path) {
            Ok(driver) if driver.rsplit('/').next() == Some(DRIVER) => return Ok(true),
            Ok(_) => is_shown = true,
            Err(refusal) if refusal.is_absent() => {}
            Err(Refusal::NotRecorded) => is_shown = false,
            Err(refusal) => return Err(refusal.gap(&path)),
        }
    }
    if is_shown {
        return Ok(false);
    }
    match gather.host.read(VENDOR) {
        Ok(vendor) => Ok(["Amazon EC2", "Xen"].iter().any(|start| text(&vendor).starts_with(start))),
        Err(refusal) if refusal.is_absent() => Ok(false),
        Err(refusal) => Err(refusal.gap(VENDOR)),
    }
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

    /// Files and links, of a tree or of a machine.
    struct Files(Vec<(&'static str, &'static str)>, bool);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            match (query.ask, self.0.iter().find(|(path, _)| *path == query.of)) {
                (Ask::Read | Ask::List | Ask::Link, Some((_, text))) => Ok(text.as_bytes().to_vec()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }

        fn is_tree(&self) -> bool {
            self.1
        }
    }

    fn facts(files: &[(&'static str, &'static str)], tree: bool) -> Facts {
        let mut facts = Facts::default();
        let names = SOURCE.entries.iter().map(|entry| entry.name).collect();
        super::super::gather(&Files(files.to_vec(), tree), names, &mut facts);
        facts
    }

    fn cause(files: &[(&'static str, &'static str)], tree: bool) -> Cause {
        facts(files, tree).number("allowance.exceeded").unwrap_err().cause
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
        let told = facts(&files, true);
        assert_eq!(told.number("allowance.exceeded"), Ok(124));
        let words = "120 pps_allowance_exceeded of eth0, 4 conntrack_allowance_exceeded of eth0";
        assert_eq!(told.text("allowance.names"), Some(words));
        let odd = [(SOS, "ethtool_-S_eth0"), (files[1].0, "pps_allowance_exceeded: many\n")];
        assert_eq!(cause(&odd, true), Cause::Unparsable);
        // The same files in / of a machine or a container say nothing of it.
        assert_eq!(cause(&files, false), Cause::Absent);
    }

    #[test]
    fn a_sosreport_without_it_is_unknown_where_it_may_be_of_an_instance() {
        let without = (SOS, "ethtool_-i_eth0");
        for (vendor, expected) in
            [("Amazon EC2\n", Cause::Unsupported), ("Xen\n", Cause::Unsupported), ("QEMU\n", Cause::Absent)]
        {
            assert_eq!(cause(&[without, (VENDOR, vendor)], true), expected, "{vendor}");
            assert_eq!(cause(&[(VENDOR, vendor)], true), expected, "{vendor}");
        }
    }

    #[test]
    fn live_it_is_unknown_where_a_card_counts_it_and_else_there_is_none() {
        let driver = |of| [(CLASS, "ens5\0lo"), ("/sys/class/net/ens5/device/driver", of), (VENDOR, "Xen\n")];
        assert_eq!(cause(&driver("../../../../bus/pci/drivers/vif"), false), Cause::Absent);
        assert_eq!(cause(&[(CLASS, "eth0\0lo"), (VENDOR, "Amazon EC2\n")], false), Cause::Absent, "a container");
        assert_eq!(cause(&[], false), Cause::Absent);
        let ena = facts(&driver("../../../../bus/pci/drivers/ena"), false);
        let there = ena.number("allowance.exceeded").unwrap_err();
        assert!(there.cause == Cause::Unsupported && there.why.contains("ethtool -S IFACE"), "{there:?}");
    }
}
