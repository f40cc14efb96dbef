//! Connection tracking on the node.

use super::super::{Have, Limit};
use super::{TIME, UNTOLD, n, remembered, sockets};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;

/// How long a closed connection is tracked: default of nf_conntrack_tcp_timeout_time_wait.
const CLOSED: u64 = 120;
/// Bytes of an entry at worst, and of its share of the buckets, as rules/conntrack/max.yaml counts them.
const ENTRY: u128 = 450 + 8 / 4;

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        name: "conntrack entries",
        per: Per::Node,
        unit: Unit::Count,
        rule: Some("conntrack/max"),
        need: |traffic| match entries(traffic) {
            Some((entries, words)) => Amount::Of(entries, words),
            None => Amount::Unsaid(TIME),
        },
        have: Have::FactIfAny("conntrack.max", "nf_conntrack is not loaded: nothing is tracked"),
        change: "net.netfilter.nf_conntrack_max with its buckets; on a Kubernetes node conntrack.maxPerCore and conntrack.min of kube-proxy",
        ..UNTOLD
    },
    Limit {
        name: "memory of conntrack entries",
        per: Per::Node,
        unit: Unit::Bytes,
        rule: Some("conntrack/memory"),
        need: |traffic| match entries(traffic) {
            Some((entries, _)) => {
                Amount::Of(entries * ENTRY, "450 bytes an entry at worst, 8 a bucket of four".to_owned())
            }
            None => Amount::Unsaid(TIME),
        },
        ..UNTOLD
    },
];

/// One entry for each connection, so two for one that is proxied: in and out.
fn entries(traffic: &Traffic) -> Option<(u128, String)> {
    let share = traffic.node();
    let sides = u64::from(share.incoming > 0) + u64::from(share.outgoing > 0);
    let closed = remembered(traffic, share.requests, CLOSED)?.saturating_mul(sides);
    let mut words = sockets(share);
    if share.incoming > 0 && share.outgoing > 0 {
        words = format!("{words}: one entry for each side of a proxy");
    }
    if closed > 0 {
        words = format!("{words}, and {} closed ones that are remembered for 120 s", n(closed));
    }
    Some((u128::from(share.sockets()) + u128::from(closed), words))
}
