//! Connection tracking on the node.

use super::{Have, Limit, Most, TIME, UNTOLD, n, remembered, sockets};
use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;
use crate::model::workload::{Role, TRACKED};

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
        most: Most::Number(i32::MAX as u128),
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
    let sides = if traffic.role == Role::Gateway { 2 } else { 1 };
    let closed = remembered(traffic, share, TRACKED)?.saturating_mul(sides);
    let mut words = sockets(share);
    if traffic.role == Role::Gateway {
        words = format!("{words}: one entry for each side of a proxy");
    }
    if closed > 0 {
        words = format!("{words}, and {} closed ones that are remembered for 120 s", n(closed));
    }
    Some((u128::from(share.sockets()) + u128::from(closed), words))
}
