//! Protocol counters of this network namespace, under the names that node_exporter made common.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};

const NETSTAT: &str = "/proc/net/netstat";
const SNMP: &str = "/proc/net/snmp";
const SNMP6: &str = "/proc/net/snmp6";

const fn entry(name: &'static str, read: &'static str, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/networking/snmp_counter.html";
    Entry { name, unit: Unit::Count, scope: Scope::Netns, meaning, read, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["netstat"],
    read,
    entries: &[
        entry("netstat.TcpExt.ListenOverflows", NETSTAT, "packets that met a full accept queue"),
        entry(
            "netstat.TcpExt.ListenDrops",
            NETSTAT,
            "packets dropped at a listener for any reason, ListenOverflows included",
        ),
        entry("netstat.TcpExt.TCPReqQFullDrop", NETSTAT, "SYNs dropped because the SYN queue was full"),
        entry(
            "netstat.TcpExt.TCPReqQFullDoCookies",
            NETSTAT,
            "SYNs answered with a cookie because the SYN queue was full",
        ),
        entry(
            "netstat.TcpExt.TCPTimeWaitOverflow",
            NETSTAT,
            "sockets that skipped TIME_WAIT because tcp_max_tw_buckets was reached",
        ),
        entry("netstat.TcpExt.TCPAbortOnMemory", NETSTAT, "connections reset because of the orphan or memory limit"),
        entry("netstat.TcpExt.TCPMemoryPressures", NETSTAT, "times TCP memory rose above the pressure mark"),
        entry("netstat.TcpExt.*", NETSTAT, "any other TCP counter, by its name in the header"),
        entry("netstat.IpExt.*", NETSTAT, "IP counters, by their names in the header"),
        entry("netstat.Tcp.*", SNMP, "TCP counters of RFC 4022, by their names in the header"),
        entry("netstat.Ip.*", SNMP, "IPv4 counters, by their names in the header"),
        entry("netstat.Udp.*", SNMP, "UDP counters over IPv4, by their names in the header"),
        entry("netstat.Ip6.*", SNMP6, "IPv6 counters, by their names in the file"),
        entry("netstat.Udp6.*", SNMP6, "UDP counters over IPv6, by their names in the file"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for (family, path) in [
        ("netstat.TcpExt", NETSTAT),
        ("netstat.IpExt", NETSTAT),
        ("netstat.Tcp", SNMP),
        ("netstat.Ip", SNMP),
        ("netstat.Udp", SNMP),
        ("netstat.Ip6", SNMP6),
        ("netstat.Udp6", SNMP6),
    ] {
        let protocol = family.strip_prefix("netstat.").unwrap_or(family);
        let pick: for<'a> fn(&'a str, &str, &str) -> Option<&'a str> = if path == SNMP6 { in_lines } else { in_pairs };
        gather.fill_with(family, path, text_of(protocol), |text, key| {
            let word = pick(text, protocol, key)?;
            let unparsable = || Gap::unparsable(&format!("{key} in {path}"), word.as_bytes());
            Some(word.parse().map(Value::Number).map_err(|_| unparsable()))
        });
    }
}

/// The whole file as text, if it speaks of a protocol at all.
fn text_of(protocol: &str) -> impl FnOnce(&[u8]) -> Option<String> {
    move |bytes| {
        let text = text(bytes);
        text.contains(protocol).then(|| text.into_owned())
    }
}

/// A counter from /proc/net/netstat or /proc/net/snmp: a header line and a line of values in turn, both starting with
/// the protocol. Columns differ between kernels, so they are found by name.
fn in_pairs<'a>(text: &'a str, protocol: &str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol)?.strip_prefix(':'));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_ascii_whitespace().position(|name| name == key)?;
    // A row that is cut short has the counter, and no value of it.
    Some(values.split_ascii_whitespace().nth(at).unwrap_or_default())
}

/// A counter from /proc/net/snmp6: a name and a value on every line, `Udp6RcvbufErrors 0`.
fn in_lines<'a>(text: &'a str, protocol: &str, key: &str) -> Option<&'a str> {
    let line =
        text.lines().find_map(|line| line.strip_prefix(protocol)?.strip_prefix(key)?.strip_prefix(char::is_whitespace));
    Some(line?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_header_whatever_their_order() {
        let text = "TcpExt: A ListenOverflows\nTcpExt: 1 93\nMPTcpExt: X\nMPTcpExt: 5\nIpExt: lonely\n";
        assert_eq!(in_pairs(text, "TcpExt", "ListenOverflows"), Some("93"));
        assert_eq!(in_pairs(text, "MPTcpExt", "X"), Some("5"));
        assert_eq!(in_pairs(text, "TcpExt", "X"), None);
        assert_eq!(in_pairs(text, "IpExt", "lonely"), None);
        assert_eq!(in_lines("Ip6InReceives 1\nUdp6RcvbufErrors    \t7\n", "Udp6", "RcvbufErrors"), Some("7"));
        assert_eq!(in_pairs("TcpExt: A B\nTcpExt: many\n", "TcpExt", "B"), Some(""));
        assert!(text_of("TcpExt")(b"\xff\x00garbage").is_none());
    }
}
