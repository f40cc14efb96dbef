//! Connections and what each of them may carry.

use super::super::Limit;
use super::{UNTOLD, n};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::Role;

/// What one side may send on a stream before the other has taken any of it: RFC 9113, 6.5.2.
const WINDOW: u128 = 65_535;

pub(super) const LIMITS: &[Limit] = &[
    Limit { name: "connections", per: Per::Pod, unit: Unit::Count, need: connections, ..UNTOLD },
    Limit {
        name: "threads, where each request holds one",
        per: Per::Process,
        unit: Unit::Count,
        need: |traffic| {
            let requests = traffic.pod().requests;
            let words = format!(
                "{} requests in flight, in Tomcat, Jetty and clients that wait; an event loop (Netty, Tokio, nginx, Envoy) takes a thread for each CPU",
                n(requests)
            );
            Amount::Of(requests.into(), words)
        },
        ..UNTOLD
    },
    Limit {
        name: "HTTP/2 receive windows",
        per: Per::Process,
        unit: Unit::Bytes,
        need: |traffic| {
            let requests = traffic.pod().requests;
            if traffic.protocol == Protocol::H1 || traffic.role == Role::Server {
                return Amount::None;
            }
            let words = format!(
                "{} streams x 65,535 bytes that a peer may send before anything is read: buffers of the program, at worst",
                n(requests)
            );
            Amount::Of(u128::from(requests) * WINDOW, words)
        },
        ..UNTOLD
    },
];

/// The size of a client's pool, and what a server has to accept.
fn connections(traffic: &Traffic) -> Amount {
    let share = traffic.pod();
    let on = |streams: u64| match streams {
        0 | 1 => "1 on each".to_owned(),
        streams => format!("{} on each", n(streams)),
    };
    let requests = format!("{} requests in flight", n(share.requests));
    let words = match traffic.role {
        Role::Gateway => format!(
            "{requests}, {} of those that arrive and {} of those that are opened: {} in, {} out",
            on(traffic.incoming_streams),
            on(traffic.streams),
            n(share.incoming),
            n(share.outgoing)
        ),
        _ if share.incoming > 0 && share.outgoing > 0 => {
            format!("{requests}, {}; {} more are opened", on(traffic.streams), n(share.outgoing))
        }
        _ => format!("{requests}, {}", on(traffic.streams)),
    };
    Amount::Of(share.sockets().into(), words)
}
