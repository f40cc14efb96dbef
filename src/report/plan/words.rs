//! Sentences that the text and the page share.

use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::sizing::{Amount, Capacity, Carried, Move, Need, Step};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::window::seconds;
use crate::model::workload::Role;

/// What to do with a machine's capacity, a line each.
pub(super) const SOLVED: [&str; 2] = [
    "What to change here for the declared load, with undo: the same with --format yaml > load.yaml,",
    "then tunecheck fix --workload load.yaml",
];
/// What stands above settings: they are made for this traffic alone.
pub(super) const SETTINGS: &str = "Settings for one pod, at least: leave alone what is higher already";

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

/// What to do with a plan, a line each.
pub(super) fn planned(traffic: &Traffic) -> Vec<String> {
    let mut lines = vec![
        "The load of one pod as a file: the same with --format yaml > load.yaml".to_owned(),
        "Then, in a pod: tunecheck --workload load.yaml; tunecheck fix --workload load.yaml".to_owned(),
    ];
    let on_a_node = on_a_node(traffic);
    lines.extend(on_a_node.map(|options| format!("On a node:      tunecheck --workload load.yaml {options}")));
    lines
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

/// What the traffic takes of a limit, and the formula; nothing if it takes none.
pub(super) fn needed(need: &Need) -> Option<(String, String)> {
    match &need.amount {
        Amount::Of(much, why) => Some((amount(*much, need.unit), why.clone())),
        Amount::Unsaid(option) => Some(("?".to_owned(), format!("{option} would say it"))),
        Amount::None => None,
    }
}

/// The requests in flight that a limit carries.
pub(super) fn carries(limit: &Carried) -> String {
    limit.carries.map_or("any".to_owned(), number)
}

/// The requests in flight from which a limit is slow before it ends.
pub(super) fn slow_from(limit: &Carried) -> Option<u64> {
    limit.slow_from.filter(|&from| limit.carries.is_none_or(|carries| from < carries))
}

/// A limit as it is.
pub(super) fn now(limit: &Carried) -> String {
    let have = amount(limit.have, limit.unit);
    match slow_from(limit) {
        Some(from) => format!("{have}; slow from {} requests", number(from)),
        None => have,
    }
}

/// One limit moved.
pub(super) fn moved(one: &Move) -> String {
    match one.from == one.to {
        true => format!("{} as it is, {}, which is as far as it goes", one.limit, amount(one.from, one.unit)),
        false => format!("{} {} -> {}", one.limit, amount(one.from, one.unit), amount(one.to, one.unit)),
    }
}

/// What tells more of a limit that is moved.
pub(super) fn rule(one: &Move) -> Option<String> {
    one.rule.map(|rule| format!("tunecheck explain {rule}"))
}

/// Each step, with the limits that it adds to those of the one before it, and those.
pub(super) fn steps(capacity: &Capacity) -> impl Iterator<Item = (&Step, &[Move], &[Move])> {
    let befores = std::iter::once(0).chain(capacity.steps.iter().map(|step| step.moves.len()));
    capacity.steps.iter().zip(befores).map(|(step, before)| {
        let (before, added) = step.moves.split_at_checked(before).unwrap_or((&[], &step.moves));
        (step, added, before)
    })
}

/// What moving limits buys: those that were moved before go along.
pub(super) fn step(step: &Step) -> String {
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
