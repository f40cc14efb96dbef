//! Connection tracking: what is tracked here, and which drops mean a full table.

use super::{Formula, entry, is_child_netns};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const DROP: &str = "conntrack.stat.drop";
const INSERT_FAILED: &str = "conntrack.stat.insert_failed";

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "conntrack.used",
            Unit::Count,
            Scope::Netns,
            "conntrack.count",
            "tracked connections, where this namespace tracks any",
        ),
        needs: &["conntrack.count"],
        compute: |facts, _| match facts.number("conntrack.count")? {
            0 if is_child_netns(facts) => Err(Gap::new(
                Cause::NotVisibleHere,
                "this network namespace tracks nothing itself; the node's table is visible in the node's network namespace",
            )),
            count => Ok(Value::Number(count)),
        },
    },
    Formula {
        entry: entry(
            "conntrack.full_drops",
            Unit::Count,
            Scope::Netns,
            "conntrack.stat.drop - conntrack.stat.insert_failed",
            "packets dropped for want of room: who loses a race for an entry is counted as dropped too",
        ),
        needs: &[DROP, INSERT_FAILED],
        compute: |facts, _| {
            let raced = facts.number(INSERT_FAILED)?;
            Ok(Value::Number(facts.number(DROP)?.saturating_sub(raced).max(0)))
        },
    },
];
