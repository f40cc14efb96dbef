//! How many inotify instances and watches a user ought to be allowed.

use super::{Formula, entry};
use crate::facts::inotify::LIMITS;
use crate::model::fact::{Reading, Scope, Unit, Value};
use crate::model::facts::Facts;

/// Instances of a user on a node: kubelet, runtime, log shippers and whatever reloads its configuration in a hundred pods.
const ON_A_NODE: i128 = 1024;
/// Watches of a user on a node: the kubelet alone watches every cgroup and log. 8192 was the default up to 5.10, and is
/// the least that later kernels choose.
const WATCHES_ON_A_NODE: i128 = 16_384;

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "inotify.instances_taken",
            Unit::Count,
            Scope::Host,
            "inotify.instances",
            "inotify instances of the user who holds most, as far as a bound needs to know them",
        ),
        needs: &["inotify.instances", "sign.kubernetes_env"],
        compute: |facts, _| taken(facts, "inotify.instances", usual_instances(facts), LIMITS[0]),
    },
    Formula {
        entry: entry(
            "inotify.instances_wanted",
            Unit::Count,
            Scope::Host,
            "inotify.instances x 4 / 3, and on a node at least 1024",
            "instances that a user ought to be allowed",
        ),
        needs: &["inotify.instances", "sign.kubernetes_env"],
        compute: |facts, _| wanted(facts, "inotify.instances", usual_instances(facts), LIMITS[0]),
    },
    Formula {
        entry: entry(
            "inotify.watches_taken",
            Unit::Count,
            Scope::Host,
            "inotify.watches",
            "inotify watches of the user who holds most, as far as a bound needs to know them",
        ),
        needs: &["inotify.watches"],
        compute: |facts, _| taken(facts, "inotify.watches", WATCHES_ON_A_NODE, LIMITS[1]),
    },
    Formula {
        entry: entry(
            "inotify.watches_wanted",
            Unit::Count,
            Scope::Host,
            "inotify.watches x 4 / 3, and at least 16384",
            "watches that a user ought to be allowed where containers share users",
        ),
        needs: &["inotify.watches"],
        compute: |facts, _| wanted(facts, "inotify.watches", WATCHES_ON_A_NODE, LIMITS[1]),
    },
];

/// What Kubernetes asks of a node, seen from it or from one of its pods.
fn usual_instances(facts: &Facts) -> i128 {
    let kubernetes = ["kubernetes.node", "sign.kubelet", "kubernetes.pod"].into_iter().any(|name| facts.holds(name));
    if kubernetes { ON_A_NODE } else { 0 }
}

/// What was counted. Where nothing was, and the limit is below what is usual, that decides and the count does not matter.
fn taken(facts: &Facts, counted: &str, usual: i128, limit: &str) -> Reading {
    match facts.number(counted) {
        Ok(count) => Ok(Value::Number(count)),
        Err(gap) if facts.number(limit)? >= usual => Err(gap),
        Err(_) => Ok(Value::Number(0)),
    }
}

fn wanted(facts: &Facts, counted: &str, usual: i128, limit: &str) -> Reading {
    match taken(facts, counted, usual, limit)? {
        Value::Number(count) => Ok(Value::Number((count.saturating_mul(4) / 3).max(usual))),
        other => Ok(other),
    }
}
