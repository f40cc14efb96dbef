//! UDP: whether HTTP/3 is served, and which socket buffers a server may have for it.

use super::{Formula, entry};
use crate::model::fact::{Scope, Unit, Value};
use crate::model::ports::Ports;

/// Where HTTP/3 is served unless a service says otherwise (RFC 9114, section 3.1.2).
const HTTPS: u16 = 443;
const BUFFERS: [&str; 2] = ["sysctl.net.core.rmem_max", "sysctl.net.core.wmem_max"];

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "udp.http3",
            Unit::Mode,
            Scope::Netns,
            "udp.ports and --port",
            "1: a UDP socket waits on port 443 or on a declared port",
        ),
        needs: &["udp.ports"],
        compute: |facts, _| {
            let declared = facts.ports("workload.ports").cloned().unwrap_or_default();
            let served = declared.union(&Ports::range(HTTPS, HTTPS));
            let waits = !facts.ports("udp.ports")?.intersection(&served).is_empty();
            Ok(Value::Number(i128::from(waits)))
        },
    },
    Formula {
        entry: entry(
            "socket_buffers.most",
            Unit::Bytes,
            Scope::Host,
            "the lesser of net.core.rmem_max and net.core.wmem_max",
            "buffer that a program may ask for in both directions",
        ),
        needs: &BUFFERS,
        compute: |facts, _| {
            let [receive, send] = BUFFERS.map(|name| facts.number(name));
            Ok(Value::Number(receive?.min(send?)))
        },
    },
];
