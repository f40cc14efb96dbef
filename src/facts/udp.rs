//! UDP ports that wait for datagrams from anybody.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::ports::Ports;

const PATHS: [&str; 2] = ["/proc/net/udp", "/proc/net/udp6"];
/// `TCP_CLOSE`, which the kernel shows for a UDP socket that is not connected (include/net/tcp_states.h).
const UNCONNECTED: &str = "07";

pub(super) const SOURCE: Source = Source {
    families: &["udp"],
    read,
    entries: &[Entry {
        name: "udp.ports",
        unit: Unit::Ports,
        scope: Scope::Netns,
        meaning: "local ports of UDP sockets that are not connected: servers, and clients between two questions",
        read: "/proc/net/udp, /proc/net/udp6",
        document: "https://docs.kernel.org/networking/proc_net_tcp.html",
    }],
};

fn read(gather: &mut Gather<'_>) {
    let mut ports = Ok(Ports::default());
    for path in PATHS {
        match gather.host.read(path) {
            Ok(bytes) => match unconnected(&bytes) {
                Some(found) => ports = ports.map(|ports: Ports| ports.union(&found)),
                None => ports = Err(Gap::unparsable(path, &bytes)),
            },
            // A kernel without IPv6.
            Err(refusal) if path == PATHS[1] && refusal.is_absent() => {}
            Err(refusal) => ports = Err(refusal.gap(path)),
        }
    }
    gather.put("udp.ports", ports.map(Value::Ports), PATHS[0]);
}

/// Local ports in the rows of a socket table; the address is hexadecimal, `0100007F:0035`.
fn unconnected(bytes: &[u8]) -> Option<Ports> {
    let text = text(bytes);
    let mut rows = text.lines();
    rows.next().filter(|header| header.contains("local_address"))?;
    let mut ports = Vec::new();
    for row in rows {
        let mut cells = row.split_whitespace().skip(1);
        let (local, state) = (cells.next()?, cells.nth(1)?);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        if state == UNCONNECTED {
            ports.push(port);
        }
    }
    Some(ports.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

    #[test]
    fn servers_are_told_from_connected_sockets() {
        let rows = " 1183: 0100007F:2BC1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0\n \
                     1184: 0100007F:2BC2 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0\n";
        assert_eq!(unconnected(format!("{HEADER}{rows}").as_bytes()).unwrap().to_string(), "11201");
        assert_eq!(unconnected(HEADER.as_bytes()), Some(Ports::default()));
    }

    #[test]
    fn what_is_no_socket_table_is_not_taken_for_an_empty_one() {
        assert_eq!(unconnected(b""), None);
        assert_eq!(unconnected(format!("{HEADER} 1: 0100007F:2BC1 0000").as_bytes()), None);
    }
}
