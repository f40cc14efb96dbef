//! Sentences that the text and the page share.

use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::sizing::{Capacity, Move, Step};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::window::seconds;
use crate::model::workload::Role;

/// A number of things.
pub(super) fn number(number: u64) -> String {
    grouped(number.into())
}

/// An amount in its unit.
pub(super) fn amount(amount: u128, unit: Unit) -> String {
    match i128::try_from(amount) {
        // What systemd sets fs.file-max to stands for no limit.
        Ok(amount) if amount < i64::MAX.into() => humane(&Value::Number(amount), unit),
        _ => "unlimited".to_owned(),
    }
}

/// Where the number of requests in flight comes from: Little's law, where there is a time.
pub(super) fn load(traffic: &Traffic) -> String {
    let requests = format!("{} requests in flight", number(traffic.concurrency));
    let words = match (traffic.milliseconds, traffic.per_second(traffic.concurrency)) {
        (Some(time), Some(rate)) => {
            format!("{} requests/s x {} = {requests} (Little's law)", number(rate), seconds(time))
        }
        _ => requests,
    };
    format!("{}: {words}", traffic.role.word())
}

/// How requests become connections, and who shares them.
pub(super) fn shape(traffic: &Traffic) -> String {
    let mut words = Vec::new();
    words.push(match (traffic.protocol, traffic.short_lived) {
        (Protocol::H2, _) => format!("HTTP/2, {} streams on each connection", number(traffic.streams)),
        (Protocol::H1, true) => "HTTP/1.1, a connection for every request".to_owned(),
        (Protocol::H1, false) => "HTTP/1.1, connections kept and used again".to_owned(),
    });
    if traffic.role == Role::Gateway {
        words.push(format!("{} on each that arrives", number(traffic.incoming_streams)));
    }
    words.push(match traffic.pods {
        0 | 1 => "1 pod".to_owned(),
        pods => format!("{} pods, {} on the busiest node", number(pods), number(traffic.pods_on_a_node())),
    });
    let share = traffic.pod();
    if share.outgoing > 0 {
        words.push(counted(traffic.destinations, "destination"));
        if traffic.source_addresses > 1 {
            words.push(format!("{} source addresses", number(traffic.source_addresses)));
        }
    }
    if share.burst > 0 {
        words.push(format!("burst {} at a pod", number(share.burst)));
    }
    words.join(" · ")
}

/// The options that make the load of one pod that of all pods on the busiest node, if there are several.
pub(super) fn on_a_node(traffic: &Traffic) -> Option<String> {
    let pods = traffic.pods_on_a_node();
    let load = traffic.workload();
    let all = |number: u64| number.saturating_mul(pods);
    let outgoing = load.outgoing.map(|outgoing| format!(" --outgoing {}", all(outgoing))).unwrap_or_default();
    let options = || format!("--connections {} --burst {}{outgoing}", all(load.connections), all(load.burst));
    (pods > 1).then(options)
}

fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", number(count), if count == 1 { "" } else { "s" })
}

/// How much is carried, and what binds first.
pub(super) fn verdict(capacity: &Capacity, traffic: &Traffic) -> String {
    let asked = number(traffic.concurrency);
    let Some((first, carries)) = capacity.first().and_then(|first| Some((first, first.carries?))) else {
        return format!("no limit that could be read binds; {asked} requests in flight are asked for");
    };
    let holds = match carries >= traffic.concurrency {
        true => format!("which holds the {asked} that are asked for"),
        false => format!("less than the {asked} that are asked for"),
    };
    format!("{} requests in flight, {holds}; first to bind: {}", number(carries), first.limit)
}

/// What moving limits buys: those that were moved before go along.
pub(super) fn step(step: &Step) -> String {
    let moved = |one: &Move| match one.from == one.to {
        true => format!("{} as it is, {}, which is as far as it goes", one.limit, amount(one.from, one.unit)),
        false => format!("{} {} -> {}", one.limit, amount(one.from, one.unit), amount(one.to, one.unit)),
    };
    let moves: Vec<String> = step.moves.iter().rev().map(moved).collect();
    let next = step.next.map(|next| format!("; next to bind: {next}")).unwrap_or_default();
    format!("{}: carries {}{next}", moves.join(", with "), number(step.carries))
}

/// What could not be read, one reason at a time.
pub(super) fn unknown(capacity: &Capacity) -> Vec<(String, &str)> {
    let mut reasons: Vec<(String, &str)> = Vec::new();
    for (limit, gap) in &capacity.unknown {
        match reasons.iter_mut().find(|(_, why)| *why == gap.why) {
            Some((limits, _)) => *limits = format!("{limits}, {limit}"),
            None => reasons.push(((*limit).to_owned(), &gap.why)),
        }
    }
    reasons
}
