//! UDP ports that wait for datagrams from anybody.

use std::collections::BTreeMap;

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::grouped;

const PATHS: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];
/// `TCP_CLOSE`, which the kernel shows for a UDP socket that is not connected (include/net/tcp_states.h).
const UNCONNECTED: &str = "07";

pub(super) const SOURCE: Source = Source {
    families: &["udp"],
    read,
    entries: &[
        Entry {
            name: "udp.ports",
            unit: Unit::Ports,
            scope: Scope::Netns,
            meaning: "local ports of UDP sockets that are not connected: servers, and clients between two questions",
            read: "/proc/net/udp, /proc/net/udp6",
            document: "https://docs.kernel.org/networking/proc_net_tcp.html",
        },
        Entry {
            name: "udp.losers",
            unit: Unit::Text,
            scope: Scope::Netns,
            meaning: "ports of the open UDP sockets that lost most datagrams, in words",
            read: "/proc/net/udp, /proc/net/udp6",
            document: "https://docs.kernel.org/networking/proc_net_tcp.html",
        },
    ],
};

/// Ports that are named of those that lost datagrams.
const NAMED: usize = 3;

fn read(gather: &mut Gather<'_>) {
    let mut sockets = Ok(Vec::new());
    for path in PATHS {
        match gather.host.read(path) {
            Ok(bytes) => match table(&bytes) {
                Some(found) => sockets = sockets.map(|sockets: Vec<Socket>| [sockets, found].concat()),
                None => sockets = Err(Gap::unparsable(path, &bytes)),
            },
            // A kernel without IPv6.
            Err(refusal) if path == PATHS[1] && refusal.is_absent() => {}
            Err(refusal) => sockets = Err(refusal.gap(path)),
        }
    }
    let ports = |sockets: &Vec<Socket>| {
        Value::Ports(sockets.iter().filter(|socket| !socket.connected).map(|socket| socket.port).collect())
    };
    gather.put("udp.ports", sockets.as_ref().map(ports).map_err(Gap::clone), PATHS[0]);
    gather.put("udp.losers", sockets.map(|sockets| Value::Text(losers(&sockets))), PATHS[0]);
}

/// Which of the sockets that are open lost datagrams: what one lost that is closed again nobody tells.
fn losers(sockets: &[Socket]) -> String {
    let mut lost: BTreeMap<u16, u64> = BTreeMap::new();
    for socket in sockets.iter().filter(|socket| socket.drops > 0) {
        let drops = lost.entry(socket.port).or_default();
        *drops = drops.saturating_add(socket.drops);
    }
    let mut lost: Vec<(u16, u64)> = lost.into_iter().collect();
    lost.sort_by_key(|&(port, drops)| (std::cmp::Reverse(drops), port));
    let named = lost.iter().take(NAMED).map(|&(port, drops)| format!("port {port} ({})", grouped(drops.into())));
    match lost.is_empty() {
        true => "No socket that is open now lost any.".to_owned(),
        false => format!("Of those that are open they are sockets on {}.", named.collect::<Vec<_>>().join(", ")),
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Socket {
    port: u16,
    connected: bool,
    /// Datagrams that it had no room for.
    drops: u64,
}

/// The rows of a socket table; the address is hexadecimal, `0100007F:0035`, and the drops stand last.
fn table(bytes: &[u8]) -> Option<Vec<Socket>> {
    let text = text(bytes);
    let mut rows = text.lines();
    rows.next().filter(|header| header.contains("local_address"))?;
    let mut sockets = Vec::new();
    for row in rows {
        let drops = row.split_whitespace().nth(12).and_then(|drops| drops.parse().ok()).unwrap_or(0);
        let mut cells = row.split_whitespace().skip(1);
        let (local, state) = (cells.next()?, cells.nth(1)?);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        sockets.push(Socket { port, connected: state != UNCONNECTED, drops });
    }
    Some(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

    #[test]
    fn servers_are_told_from_connected_sockets() {
        let rows = " 1183: 0100007F:2BC1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n \
                     1184: 0100007F:2BC2 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0\n";
        let told: Vec<(u16, bool)> = table(format!("{HEADER}{rows}").as_bytes())
            .unwrap()
            .iter()
            .map(|socket| (socket.port, socket.connected))
            .collect();
        assert_eq!(told, [(11201, false), (11202, true)]);
        assert_eq!(table(HEADER.as_bytes()), Some(Vec::new()));
    }

    #[test]
    fn the_sockets_that_lost_datagrams_are_named() {
        let row = |port: &str, drops: u32| {
            format!(
                "  1: 00000000:{port} 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 5 2 0000000000000000 {drops}\n"
            )
        };
        let text = [row("01BB", 30_000), row("01BB", 874), row("0035", 0), row("2710", 7)].concat();
        let sockets = table(format!("{HEADER}{text}").as_bytes()).unwrap();
        assert_eq!(losers(&sockets), "Of those that are open they are sockets on port 443 (30,874), port 10000 (7).");
        assert_eq!(losers(&[]), "No socket that is open now lost any.");
    }

    #[test]
    fn what_is_no_socket_table_is_not_taken_for_an_empty_one() {
        assert_eq!(table(b""), None);
        assert_eq!(table(format!("{HEADER} 1: 0100007F:2BC1 0000").as_bytes()), None);
    }
}
