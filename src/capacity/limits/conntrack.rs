//! Connection tracking on the node.

use super::{Found, Have, Limit, Most, TIME, UNTOLD, n, remembered, sockets};
use crate::model::cost;
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::facts::Facts;
use crate::model::sizing::{Amount, Per};
use crate::model::traffic::Traffic;
use crate::model::workload::COUNTED;

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
        have: Have::IfAny(table, "nf_conntrack is not loaded: nothing is tracked"),
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
            Some((entries, _)) => Amount::Of(
                (entries * u128::from(cost::TRACKED)).saturating_add(entries.div_ceil(4) * u128::from(cost::BUCKET)),
                "450 bytes an entry at worst, 8 a bucket of four".to_owned(),
            ),
            None => Amount::Unsaid(TIME),
        },
        ..UNTOLD
    },
];

/// The size of the table: a network namespace that tracks nothing says nothing of the node's.
fn table(facts: &Facts) -> Found {
    const MAX: &str = "conntrack.max";
    match facts.value("conntrack.used") {
        Err(gap) if gap.cause == Cause::NotVisibleHere => Err(gap),
        _ => match facts.value(MAX)?.limit() {
            Some(max) => Ok((max.unsigned_abs(), MAX.to_owned())),
            None => Err(Gap::new(Cause::Unparsable, MAX)),
        },
    }
}

/// One entry for each connection, so two for one that is proxied: in and out.
fn entries(traffic: &Traffic) -> Option<(u128, String)> {
    let share = traffic.node();
    let sides = traffic.role.sides(share.incoming, share.outgoing);
    let closed = remembered(traffic, share, COUNTED)?.saturating_mul(sides);
    let mut words = sockets(share);
    if sides > 1 {
        words = format!("{words}: one entry for each side of a proxy");
    }
    if closed > 0 {
        words = format!(
            "{words}, and {} closed ones that are remembered for 120 s and counted until the collector comes by, up to 60 s later (120 in Linux 5.10)",
            n(closed)
        );
    }
    if share.outgoing > 0 {
        words = format!("{words}; a DNS lookup that is not cached adds an entry for each question, for 30 s and more");
    }
    Some((u128::from(share.sockets()) + u128::from(closed), words))
}
