//! What a peer's limit means for the declared load.

use super::{Formula, entry};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const STREAMS: &str = "h2.max_concurrent_streams";

pub(super) const FORMULAS: &[Formula] = &[Formula {
    entry: entry(
        "h2.connections",
        Unit::Count,
        Scope::Process,
        "workload.outgoing x workload.streams / h2.max_concurrent_streams",
        "connections that carry the declared requests, with as many on each as the peer takes",
    ),
    needs: &[STREAMS],
    compute: |facts, _| {
        let requests = facts.number("workload.outgoing")?.saturating_mul(facts.number("workload.streams")?);
        match facts.number(STREAMS)? {
            0 => Err(Gap::new(Cause::Unsupported, "the peer takes no request at all, for now")),
            streams => Ok(Value::Number(requests.saturating_add(streams - 1) / streams)),
        }
    },
}];
