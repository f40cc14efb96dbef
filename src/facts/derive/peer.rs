//! What a peer's limit means for the declared load.

use super::{Formula, entry};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::{Facts, grouped};

const STREAMS: &str = "h2.max_concurrent_streams";
const PEER: &str = "h2.peer";
const LOWERED: &str = "h2.lowered_from";

pub(super) const FORMULAS: &[Formula] =
    &[
        Formula {
            entry: entry(
                "h2.connections",
                Unit::Count,
                Scope::Process,
                "workload.outgoing x workload.streams / h2.max_concurrent_streams",
                "connections that carry the declared requests, with as many on each as the peer takes",
            ),
            needs: &[STREAMS],
            compute: |facts, _| connections(facts).map(Value::Number),
        },
        Formula {
            entry: entry(
                "h2.note",
                Unit::Text,
                Scope::Process,
                "h2.max_concurrent_streams against workload.outgoing and workload.streams",
                "what the peer's limit means for the declared requests, in words",
            ),
            needs: &[STREAMS, PEER, LOWERED],
            compute: |facts, _| note(facts).map(Value::Text),
        },
        Formula {
            entry: entry(
                "h2.wanted",
                Unit::Text,
                Scope::Process,
                "h2.connections",
                "how many connections to open for the declared requests, in words",
            ),
            needs: &[STREAMS],
            compute: |facts, _| {
                Ok(Value::Text(match facts.number(STREAMS)? {
                0 => "open no more connections, none would carry a request: wait, try again later, and count with what \
                      the peer says then"
                    .to_owned(),
                _ => format!("open {} connections instead", grouped(connections(facts)?)),
            }))
            },
        },
    ];

fn connections(facts: &Facts) -> Result<i128, Gap> {
    let requests = facts.number("workload.outgoing")?.saturating_mul(facts.number("workload.streams")?);
    match facts.number(STREAMS)? {
        0 => Err(Gap::new(Cause::Unsupported, "the peer takes no request at all, for now")),
        streams => Ok(requests.saturating_add(streams - 1) / streams),
    }
}

fn note(facts: &Facts) -> Result<String, Gap> {
    let (peer, limit) = (facts.value(PEER)?.plain(), facts.number(STREAMS)?);
    let [outgoing, streams] = ["workload.outgoing", "workload.streams"].map(|name| facts.number(name).map(grouped));
    let (outgoing, streams) = (outgoing?, streams?);
    let lowered = match facts.value(LOWERED) {
        Ok(Value::Number(before)) => {
            format!(" It said {} at first and lowered that a moment later, as it may again.", grouped(*before))
        }
        Ok(_) => " It gave no limit at first and lowered that a moment later, as it may again.".to_owned(),
        Err(_) => String::new(),
    };
    Ok(match limit {
        0 => format!(
            "{peer} takes no request at all, for now (MAX_CONCURRENT_STREAMS is 0): whatever the declared {outgoing} \
             connections send waits in the client's pool or is refused.{lowered}"
        ),
        _ => format!(
            "{peer} takes {} {} at a time on one connection, and {streams} are declared: the rest waits in the \
             client's pool or is refused. The declared {outgoing} connections of {streams} streams would have to be {}.{lowered}",
            grouped(limit),
            if limit == 1 { "request" } else { "requests" },
            grouped(connections(facts)?)
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::derive;

    /// What is said, and what is wanted, where the peer takes so many.
    fn words(limit: i128) -> [String; 2] {
        let mut facts = Facts::default();
        facts.put(PEER, Ok(Value::Text("https://api.example:443".into())), "");
        for (name, number) in [(STREAMS, limit), ("workload.outgoing", 6000), ("workload.streams", 100)] {
            facts.put(name, Ok(Value::Number(number)), "");
        }
        derive(&mut facts);
        ["h2.note", "h2.wanted"].map(|name| facts.text(name).unwrap().to_owned())
    }

    #[test]
    fn a_limit_below_the_declared_streams_wants_more_connections() {
        let [note, wanted] = words(64);
        assert!(note.contains("takes 64 requests") && note.ends_with("would have to be 9,375."), "{note}");
        assert_eq!(wanted, "open 9,375 connections instead");
    }

    #[test]
    fn a_peer_that_takes_nothing_wants_patience() {
        let [note, wanted] = words(0);
        assert!(note.starts_with("https://api.example:443 takes no request at all, for now"), "{note}");
        assert!(wanted.starts_with("open no more connections") && !wanted.contains("instead"), "{wanted}");
    }
}
