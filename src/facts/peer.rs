//! What the server of HTTP/2 that `--h2` names says of itself. It is no part of the machine, so no host is asked for it.

use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::peer::settings::Settings;
use crate::model::peer::{Peers, Step, Streams, Trouble};

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2";
    Entry { name, unit, scope: Scope::Process, meaning, read: "--h2: SETTINGS of the peer", document }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("h2.asked", Unit::Mode, "1: a peer is asked for its SETTINGS (--h2 URL)"),
    entry("h2.peer", Unit::Text, "scheme, host and port of that peer"),
    entry("h2.addresses", Unit::Count, "addresses of the peer that answered"),
    entry(
        "h2.different",
        Unit::Count,
        "different SETTINGS, the connection's window among them, that its addresses sent",
    ),
    entry("h2.max_concurrent_streams", Unit::Count, "requests at a time on one connection: the least of all addresses"),
    entry(
        "h2.lowered_from",
        Unit::Count,
        "requests at a time that the peer allowed before it lowered that while it was asked",
    ),
    entry("h2[*].max_concurrent_streams", Unit::Count, "requests at a time on one connection to this address"),
    entry("h2[*].initial_window_size", Unit::Bytes, "bytes of a request's body that it takes before it says more"),
    entry(
        "h2[*].connection_window",
        Unit::Bytes,
        "bytes of all bodies on one connection that it takes before it says more",
    ),
    entry("h2[*].max_frame_size", Unit::Bytes, "largest payload of a frame that it takes"),
];

/// One thing that an address says.
type Said = fn(&Settings) -> Value;

/// What each address says for itself.
const OF_AN_ADDRESS: [(&str, Said); 4] = [
    ("max_concurrent_streams", |settings| limit(settings.max_concurrent_streams())),
    ("initial_window_size", |settings| Value::Number(settings.initial_window_size().into())),
    ("connection_window", |settings| Value::Number(settings.connection_window().into())),
    ("max_frame_size", |settings| Value::Number(settings.max_frame_size().into())),
];

/// Puts what a peer said among the facts, or that none was asked.
pub(super) fn put(facts: &mut Facts, peers: Option<&Peers>) {
    facts.put("h2.asked", Ok(Value::Number(peers.is_some().into())), "");
    let Some(peers) = peers else {
        let gap = || Err(Gap::new(Cause::Unsupported, "no peer is asked (--h2 URL)"));
        for entry in ENTRIES.iter().filter(|entry| entry.name != "h2.asked") {
            facts.put(entry.name, gap(), "");
        }
        return;
    };
    let source = format!("SETTINGS of {}", peers.origin);
    facts.put("h2.peer", Ok(Value::Text(peers.origin.to_string())), "");
    for (key, value) in OF_AN_ADDRESS {
        for peer in &peers.peers {
            let reading = peer.answer.as_ref().map(value).map_err(gap);
            facts.put(format!("h2[{}].{key}", peer.address), reading, source.clone());
        }
        if let Some(why) = &peers.nowhere {
            facts.put(format!("h2[*].{key}"), Err(Gap::new(Cause::Unsupported, why.clone())), source.clone());
        }
    }
    // Of several addresses the least that is known counts: those that did not answer have findings of their own.
    let nobody = || match (&peers.nowhere, peers.peers.iter().find_map(|peer| peer.answer.as_ref().err())) {
        (Some(why), _) => Gap::new(Cause::Unsupported, why.clone()),
        (None, Some(trouble)) => gap(trouble),
        (None, None) => Gap::new(Cause::Unsupported, "no address was asked"),
    };
    let mut different: Vec<(Vec<(u16, u32)>, u32)> =
        peers.answers().map(|(_, settings)| (sorted(settings), settings.connection_window())).collect();
    let answered = different.len();
    different.sort_unstable();
    different.dedup();
    let lowered = peers.answers().filter_map(|(_, settings)| settings.lowered_from).max();
    let of_all: [(&'static str, Reading); 4] = [
        ("h2.max_concurrent_streams", peers.max_concurrent_streams().map(limit).ok_or_else(nobody)),
        ("h2.addresses", count(answered).ok_or_else(nobody)),
        ("h2.different", count(different.len()).ok_or_else(nobody)),
        ("h2.lowered_from", lowered.map(limit).ok_or_else(|| Gap::new(Cause::Absent, "it lowered nothing"))),
    ];
    for (name, reading) in of_all {
        facts.put(name, reading, source.clone());
    }
}

/// The settings without the order in which they were sent.
fn sorted(settings: &Settings) -> Vec<(u16, u32)> {
    let mut sent = settings.sent.clone();
    sent.sort_unstable();
    sent
}

fn count(number: usize) -> Option<Value> {
    (number > 0).then(|| Value::Number(i128::try_from(number).unwrap_or(i128::MAX)))
}

fn limit(streams: Streams) -> Value {
    match streams {
        Streams::Limited(number) => Value::Number(number.into()),
        Streams::Unlimited => Value::Unlimited,
    }
}

fn gap(trouble: &Trouble) -> Gap {
    let cause = match trouble.step {
        Step::Tcp | Step::Tls => Cause::Unsupported,
        Step::Settings => Cause::Unparsable,
    };
    let next = if trouble.next.is_empty() { String::new() } else { format!("; {}", trouble.next) };
    Gap::new(cause, format!("{}{next}", trouble.what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::peer::{Found, Origin, Peer, Times, Trust};

    fn peers(answers: Vec<Result<Settings, Trouble>>) -> Peers {
        let peer = |(port, answer): (u16, _)| Peer {
            address: format!("10.0.0.1:{port}").parse().unwrap(),
            times: Times::default(),
            tls: None,
            answer,
        };
        Peers {
            origin: Origin { tls: true, host: "api.example".into(), port: 443 },
            nowhere: None,
            found: Found::default(),
            trust: Trust::BuiltIn(0),
            peers: (1..).zip(answers).map(peer).collect(),
            unrouted: Vec::new(),
            left_out: 0,
        }
    }

    fn streams(number: u32) -> Result<Settings, Trouble> {
        Ok(Settings { sent: vec![(3, number), (4, 70_000)], ..Settings::default() })
    }

    fn told(peers: &Peers) -> Facts {
        let mut facts = Facts::default();
        put(&mut facts, Some(peers));
        facts
    }

    #[test]
    fn the_least_of_all_addresses_counts_and_one_without_an_answer_is_a_gap() {
        let trouble = Trouble { step: Step::Tcp, what: "nothing listens there".into(), next: String::new() };
        let facts = told(&peers(vec![streams(128), streams(100), Err(trouble)]));
        assert_eq!(facts.number("h2.max_concurrent_streams"), Ok(100));
        assert_eq!((facts.number("h2.different"), facts.number("h2.addresses")), (Ok(2), Ok(2)));
        assert_eq!(facts.number("h2[10.0.0.1:1].max_concurrent_streams"), Ok(128));
        assert_eq!(facts.number("h2[10.0.0.1:2].initial_window_size"), Ok(70_000));
        assert_eq!(facts.value("h2[10.0.0.1:3].max_frame_size").unwrap_err().why, "nothing listens there");
    }

    #[test]
    fn no_limit_is_above_every_number() {
        let facts = told(&peers(vec![Ok(Settings::default()), streams(7)]));
        assert_eq!(facts.value("h2[10.0.0.1:1].max_concurrent_streams"), Ok(&Value::Unlimited));
        assert_eq!(facts.number("h2.max_concurrent_streams"), Ok(7));
        let facts = told(&peers(vec![Ok(Settings::default())]));
        assert_eq!(facts.number("h2.max_concurrent_streams"), Ok(i128::MAX));
    }

    #[test]
    fn a_name_that_leads_nowhere_leaves_every_fact_unknown() {
        let facts = told(&Peers { nowhere: Some("there is no such name".into()), ..peers(Vec::new()) });
        for name in ["h2.max_concurrent_streams", "h2.different", "h2[*].initial_window_size"] {
            assert_eq!(facts.value(name).unwrap_err().why, "there is no such name", "{name}");
        }
    }
}
