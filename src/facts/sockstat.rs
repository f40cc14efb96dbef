//! Sockets in use. `orphan`, `alloc` and `mem` are host-wide whatever namespace reads them.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Name;

const V4: &str = "/proc/net/sockstat";
const V6: &str = "/proc/net/sockstat6";

const fn entry(name: &'static str, unit: Unit, scope: Scope, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope, meaning, read, document: "https://man7.org/linux/man-pages/man5/proc_pid_net.5.html" }
}

pub(super) const SOURCE: Source = Source {
    families: &["sockstat"],
    read,
    entries: &[
        entry(
            "sockstat.TCP.inuse",
            Unit::Count,
            Scope::Netns,
            V4,
            "TCP sockets over IPv4; those of a dual-stack listener count as TCP6",
        ),
        entry("sockstat.TCP.orphan", Unit::Count, Scope::Host, V4, "TCP sockets closed with data still in flight"),
        entry(
            "sockstat.TCP.tw",
            Unit::Count,
            Scope::Netns,
            V4,
            "TCP sockets in TIME_WAIT, orphaned FIN_WAIT_2 included",
        ),
        entry("sockstat.TCP.alloc", Unit::Count, Scope::Host, V4, "TCP sockets in any state"),
        entry("sockstat.TCP.mem", Unit::Pages, Scope::Host, V4, "memory of all TCP sockets"),
        entry("sockstat.UDP.inuse", Unit::Count, Scope::Netns, V4, "UDP sockets over IPv4 that have a local port"),
        entry("sockstat.UDP6.inuse", Unit::Count, Scope::Netns, V6, "UDP sockets over IPv6 that have a local port"),
        entry("sockstat.UDP.mem", Unit::Pages, Scope::Host, V4, "memory of all UDP sockets"),
        entry(
            "sockstat.TCP6.inuse",
            Unit::Count,
            Scope::Netns,
            V6,
            "TCP sockets over IPv6, IPv4 peers of dual-stack listeners included",
        ),
        entry("sockstat.*", Unit::Count, Scope::Netns, V4, "any other figure, by the names in the file"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let names = gather.wanted("sockstat");
    let v6 = |name: &str| name.split('.').nth(1).is_some_and(|protocol| protocol.ends_with('6'));
    for (path, of_v6) in [(V4, false), (V6, true)] {
        let names: Vec<Name> = names.iter().filter(|name| v6(name) == of_v6).cloned().collect();
        if names.is_empty() {
            continue;
        }
        let content = gather.host.read(path);
        for name in names {
            let reading = match &content {
                Ok(bytes) => figure(bytes, &name),
                Err(refusal) => Err(refusal.gap(path)),
            };
            gather.put(name, reading, path);
        }
    }
}

/// `sockstat.TCP.tw` is the number after the word `tw` on the line that starts with `TCP:`.
fn figure(bytes: &[u8], name: &str) -> Reading {
    let text = text(bytes);
    let mut parts = name.split('.').skip(1);
    let (protocol, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let line = text.lines().find_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'));
    let mut words = line.unwrap_or_default().split_whitespace();
    match words.find(|word| *word == key).and_then(|_| words.next()).map(str::parse) {
        Some(Ok(number)) => Ok(Value::Number(number)),
        Some(Err(_)) => Err(Gap::unparsable(name, bytes)),
        None => Err(Gap::new(Cause::Absent, format!("sockstat has no {protocol} {key}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"sockets: used 20001\nTCP: inuse 10 orphan 0 tw 7 alloc 20002 mem 391\nUDP: inuse 0 mem 0\n";

    #[test]
    fn figures_are_found_by_protocol_and_word() {
        assert_eq!(figure(SAMPLE, "sockstat.TCP.tw"), Ok(Value::Number(7)));
        assert_eq!(figure(SAMPLE, "sockstat.UDP.mem"), Ok(Value::Number(0)));
        assert_eq!(figure(SAMPLE, "sockstat.TCP6.inuse").unwrap_err().cause, Cause::Absent);
        assert_eq!(figure(b"TCP: tw many", "sockstat.TCP.tw").unwrap_err().cause, Cause::Unparsable);
    }
}
