//! Connections and what each of them may carry.

use super::{Limit, UNTOLD, counted, n};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::Role;

/// What may come on a connection before any of it was taken, all its streams together: RFC 9113, 6.9.2.
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
                "{}, in Tomcat, Jetty and clients that wait; an event loop (Netty, Tokio, nginx, Envoy) takes a thread for each CPU",
                counted(requests, "request in flight", "requests in flight")
            );
            Amount::Of(requests.into(), words)
        },
        ..UNTOLD
    },
    Limit {
        name: "HTTP/2 receive windows",
        per: Per::Process,
        unit: Unit::Bytes,
        need: |traffic| match multiplexed(traffic) {
            0 => Amount::None,
            connections => Amount::Of(
                u128::from(connections) * WINDOW,
                format!(
                    "{} HTTP/2 connections x 65,535 bytes that may come unread on each by default, whatever its streams; programs that raise both windows buffer as much more",
                    n(connections)
                ),
            ),
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
    let requests = counted(share.requests, "request in flight", "requests in flight");
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

/// HTTP/2 connections of one pod, both sides.
fn multiplexed(traffic: &Traffic) -> u64 {
    let share = traffic.pod();
    let of = |is: bool, connections: u64| if is { connections } else { 0 };
    let h2 = traffic.protocol == Protocol::H2;
    match traffic.role {
        Role::Client => of(h2, share.outgoing),
        Role::Server => of(h2, share.incoming),
        Role::Gateway => of(h2, share.outgoing).saturating_add(of(traffic.incoming_streams > 1, share.incoming)),
    }
}
