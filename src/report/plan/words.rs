//! Sentences that the text and the page share.

use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::sizing::{Capacity, Step};
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
        Ok(i128::MAX) | Err(_) => "unlimited".to_owned(),
        Ok(amount) => humane(&Value::Number(amount), unit),
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
    words.push(format!("{}, {} on the busiest node", counted(traffic.pods, "pod"), number(traffic.pods_on_a_node())));
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
    format!("{} requests in flight, {holds}: {} binds first", number(carries), first.limit)
}

/// What one more change buys.
pub(super) fn step(step: &Step) -> String {
    let [from, to] = [step.from, step.to].map(|value| amount(value, step.unit));
    let next = step.next.map(|next| format!("; then {next} binds")).unwrap_or_default();
    format!("{} {from} -> {to} carries {}{next}", step.limit, number(step.carries))
}
