//! UDP: whether HTTP/3 is served, and which socket buffers a server may have for it.

use super::{Formula, entry};
use crate::model::fact::{Cause, Scope, Unit, Value};
use crate::model::ports::Ports;

/// Where HTTP/3 is served unless a service says otherwise (RFC 9114, section 3.1.2).
const HTTPS: u16 = 443;
const BUFFERS: [&str; 2] = ["sysctl.net.core.rmem_max", "sysctl.net.core.wmem_max"];

/// What programs got, and what was lost on the way to them: a datagram counts as one of the former only when it is read.
const ARRIVED: [&str; 4] =
    ["netstat.Udp.InDatagrams", "netstat.Udp.InErrors", "netstat.Udp6.InDatagrams", "netstat.Udp6.InErrors"];

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "udp.arrived",
            Unit::Count,
            Scope::Netns,
            "InDatagrams + InErrors of netstat.Udp and netstat.Udp6",
            "datagrams that came for a socket here, read or lost",
        ),
        needs: &ARRIVED,
        compute: |facts, _| {
            let count = |name: &&str| match facts.number(name) {
                // A kernel without IPv6.
                Err(gap) if name.contains("Udp6") && gap.cause == Cause::Absent => Ok(0),
                other => other,
            };
            ARRIVED.iter().map(count).try_fold(0_i128, |sum, one| Ok(sum.saturating_add(one?))).map(Value::Number)
        },
    },
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
