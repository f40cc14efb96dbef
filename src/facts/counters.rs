//! Protocol counters of this network namespace, under the names that node_exporter made common.

use std::collections::BTreeMap;

use super::{Gather, Source};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

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
        entry("netstat.Udp.*", SNMP, "UDP counters over IPv4, by their names in the header"),
        entry("netstat.Udp6.*", SNMP6, "UDP counters over IPv6, by their names in the file"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let files: [(&[&str], &str, fn(&[u8]) -> Option<Counters>); 3] = [
        (&["netstat.TcpExt", "netstat.IpExt"], NETSTAT, pairs),
        (&["netstat.Tcp", "netstat.Udp"], SNMP, pairs),
        (&["netstat.Udp6"], SNMP6, lines),
    ];
    for (families, path, parse) in files {
        for family in families {
            if gather.wanted(family).next().is_some() {
                let protocol = family.strip_prefix("netstat.").unwrap_or(family);
                gather.from_file(family, path, parse, |counters, key| {
                    counters.get(&format!("{protocol}.{key}")).copied()
                });
            }
        }
    }
}

/// Values by `Protocol.Name`.
type Counters = BTreeMap<String, i128>;

/// Header line and value line in turn, both starting with the protocol: /proc/net/netstat and /proc/net/snmp.
/// Columns differ between kernels, so they are found by name. A pair that does not match is left out.
fn pairs(bytes: &[u8]) -> Option<Counters> {
    let text = String::from_utf8_lossy(bytes);
    let mut counters = Counters::new();
    let mut lines = text.lines();
    while let (Some(header), Some(values)) = (lines.next(), lines.next()) {
        let (Some((protocol, names)), Some((same, values))) = (header.split_once(':'), values.split_once(':')) else {
            continue;
        };
        if protocol == same {
            let cells = names.split_whitespace().zip(values.split_whitespace());
            counters.extend(cells.filter_map(|(name, cell)| Some((format!("{protocol}.{name}"), cell.parse().ok()?))));
        }
    }
    if counters.is_empty() { None } else { Some(counters) }
}

/// A name and a value on every line: /proc/net/snmp6. `Udp6InErrors` becomes `Udp6.InErrors`.
fn lines(bytes: &[u8]) -> Option<Counters> {
    let text = String::from_utf8_lossy(bytes);
    let counters: Counters = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(char::is_whitespace)?;
            Some((format!("Udp6.{}", name.strip_prefix("Udp6")?), value.trim().parse().ok()?))
        })
        .collect();
    if counters.is_empty() { None } else { Some(counters) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_header_whatever_their_order() {
        let found =
            pairs(b"TcpExt: A ListenOverflows\nTcpExt: 1 93\nMPTcpExt: X\nMPTcpExt: 5\nTcpExt: lonely\n").unwrap();
        assert_eq!(found.get("TcpExt.ListenOverflows"), Some(&93));
        assert_eq!(found.get("MPTcpExt.X"), Some(&5));
        assert!(pairs(b"\xff\x00garbage").is_none());
        assert_eq!(lines(b"Ip6InReceives 1\nUdp6RcvbufErrors    7\n").unwrap().get("Udp6.RcvbufErrors"), Some(&7));
    }
}
