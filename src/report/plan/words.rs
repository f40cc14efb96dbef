//! Sentences that the text and the page share.

use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::sizing::{Amount, Capacity, Carried, Move, Need, Standing, Step};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::{Role, per_second, thousandths};

/// What to do with a machine's capacity, a line each.
pub(super) fn solved(traffic: &Traffic) -> Vec<&'static str> {
    let mut lines = vec![
        "What to change here for the declared load, with undo: the same with --format yaml > load.yaml,",
        "then tunecheck fix --workload load.yaml",
    ];
    if traffic.pods_on_a_node() > 1 {
        lines.push(
            "That is the load of one pod: of the node's own limits (conntrack, tcp_mem, memory) it takes care of one",
        );
        lines.push("pod's share. What all pods of the node need of them stands above, under needs.");
    }
    lines
}

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

/// An amount that is needed: what does not show is rounded up, so that what is read is enough.
pub(super) fn at_least(needed: u128, unit: Unit) -> String {
    let (base, least): (u128, u128) = match unit {
        Unit::Bytes => (1024, 1024),
        Unit::BitsPerSecond => (1000, 1000),
        _ => return amount(needed, unit),
    };
    let mut size = least;
    while needed / base >= size {
        size = size.saturating_mul(base);
    }
    // What shows: tenths of the unit, or whole ones from a hundred on.
    let step = if needed / size >= 100 { size } else { size.div_ceil(10) };
    let shown = match step == size {
        true => needed.div_ceil(size).saturating_mul(size),
        false => needed.saturating_mul(10).div_ceil(size).saturating_mul(size).div_ceil(10),
    };
    amount(if needed < least { needed } else { shown }, unit)
}

/// Where the number of requests in flight comes from: Little's law, where there is a time.
pub(super) fn load(traffic: &Traffic) -> String {
    let requests = in_flight(traffic.concurrency);
    let words = match (traffic.microseconds, traffic.rate) {
        (Some(time), Some(rate)) => {
            let exact = u128::from(rate) * u128::from(time) % 1_000_000_000 == 0;
            let law = if exact { "Little's law" } else { "Little's law, rounded up" };
            format!("{} requests/s x {} = {requests} ({law})", thousandths(rate), duration(time))
        }
        _ => requests,
    };
    format!("{}: {words}", traffic.role.word())
}

fn in_flight(requests: u64) -> String {
    format!("{} in flight", counted(requests, "request"))
}

/// A time in seconds or milliseconds.
fn duration(microseconds: u64) -> String {
    match microseconds {
        1_000_000.. => format!("{} s", thousandths(microseconds / 1000)),
        _ => format!("{} ms", thousandths(microseconds)),
    }
}

/// How requests become connections, and who shares them.
pub(super) fn shape(traffic: &Traffic) -> String {
    let mut words = Vec::new();
    words.push(match (traffic.protocol, traffic.short_lived) {
        (Protocol::H2, _) => format!("HTTP/2, {} on each connection", counted(traffic.streams, "stream")),
        (Protocol::H1, true) => "HTTP/1.1, a connection for every request".to_owned(),
        (Protocol::H1, false) => "HTTP/1.1, connections kept and used again".to_owned(),
    });
    if traffic.role == Role::Gateway {
        words.push(format!("{} on each that arrives (--incoming-streams)", number(traffic.incoming_streams)));
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
    if traffic.pods_on_a_node() > 1 {
        lines.push("On a node, which has all its pods to hold: tunecheck plan --solve --workload load.yaml".to_owned());
    }
    lines
}

fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", number(count), if count == 1 { "" } else { "s" })
}

/// How much is carried, and what binds first: by the rate where each request has a connection of its own.
pub(super) fn verdict(capacity: &Capacity, traffic: &Traffic) -> String {
    let (asked, unit) = match traffic.rate.filter(|_| traffic.short_lived) {
        Some(rate) => (per_second(rate), " requests/s"),
        None => (number(traffic.concurrency), ""),
    };
    let Some((first, carries)) = capacity.first().and_then(|first| Some((first, first.carries?))) else {
        return format!("any number, by the limits that could be read; {asked}{unit} are asked for");
    };
    let carried = match (traffic.short_lived, first.rate.map(per_second)) {
        (true, Some(rate)) => format!("{rate} requests/s"),
        (false, Some(rate)) => format!("{} ({rate} requests/s)", in_flight(carries)),
        (_, None) => in_flight(carries),
    };
    let holds = if first.holds(traffic) { "which holds the" } else { "less than the" };
    format!(
        "{carried} by the limits that could be read, {holds} {asked}{unit} that are asked for; first to bind: {}",
        first.limit
    )
}

/// Whether what is asked for is carried, as far as it could be read.
pub(super) fn holds(capacity: &Capacity, traffic: &Traffic) -> bool {
    capacity.first().is_none_or(|first| first.holds(traffic))
}

/// What the traffic takes of a limit, and the formula; nothing if it takes none.
pub(super) fn needed(need: &Need) -> Option<(String, String)> {
    match &need.amount {
        Amount::Of(much, why) => Some((at_least(*much, need.unit), why.clone())),
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
    let [from, to] = [amount(one.from, one.unit), at_least(one.to, one.unit)];
    match (one.from == one.to, one.ends) {
        (true, true) => format!("{} as it is, {from}, which is as far as it goes", one.limit),
        (false, true) => format!("{} {from} -> {to} (as far as it goes)", one.limit),
        (_, false) => format!("{} {from} -> {to}", one.limit),
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

/// That the steps end below what is asked for, if they do.
pub(super) fn short(capacity: &Capacity, traffic: &Traffic) -> Option<String> {
    let carries = capacity.steps.last().filter(|_| !capacity.standing.is_empty())?.carries;
    Some(format!("These steps end at {} of the {} that are asked for", number(carries), number(traffic.concurrency)))
}

/// Why a limit stands in the way.
pub(super) fn stands(one: &Standing) -> String {
    let carries = number(one.carries);
    match one.ends {
        true => format!("{} carries {carries} as far as it goes here: it takes {}", one.limit, one.change),
        false => format!(
            "{} carries {carries} and would have to be {}: by {}",
            one.limit,
            at_least(one.need, one.unit),
            one.change
        ),
    }
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
