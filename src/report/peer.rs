//! What a peer says of itself, for people: a block for the addresses that say the same.

use std::fmt::{self, Write};
use std::time::Duration;

use super::style::Style;
use super::text::{coloured, hanging, sanitized};
use crate::model::facts::grouped;
use crate::model::finding::Outcome;
use crate::model::peer::guess::looks_like;
use crate::model::peer::settings::{Settings, error_name, id, setting_name};
use crate::model::peer::{Peer, Peers, Resumption, Streams, Tls, Trust};

/// Settings that every answer has, sent or not.
const ALWAYS: [u16; 3] = [id::MAX_CONCURRENT_STREAMS, id::INITIAL_WINDOW_SIZE, id::MAX_FRAME_SIZE];

/// Differences between addresses that are told.
const MOST_DIFFERENCES: usize = 32;

/// What was found as text.
pub fn table(peers: &Peers, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, peers, style);
    out
}

fn write(out: &mut String, peers: &Peers, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    writeln!(out, "{}", sanitized(&peers.origin.to_string()))?;
    if let Some(why) = &peers.nowhere {
        return line(out, "nowhere", why, width);
    }
    let took = peers.found.took.map(|took| format!(" in {}", time(took))).unwrap_or_default();
    let count = peers.peers.len();
    let addresses = if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") };
    line(out, "found", &format!("{addresses} by {}{took}", peers.found.by), width)?;
    line(out, "trust", &trusted(&peers.trust), width)?;
    for group in groups(peers) {
        writeln!(out)?;
        block(out, &group, width, style)?;
    }
    writeln!(out)?;
    for (nth, differing) in differing(peers).iter().enumerate() {
        line(out, if nth == 0 { "they differ" } else { "" }, differing, width)?;
    }
    if !peers.unrouted.is_empty() {
        let all: Vec<String> = peers.unrouted.iter().map(ToString::to_string).collect();
        line(out, "skipped", &format!("{}: there is no route from here", all.join(", ")), width)?;
    }
    if peers.left_out > 0 {
        line(out, "skipped", &format!("{} more addresses: --connect ADDRESS asks one of them", peers.left_out), width)?;
    }
    writeln!(out, "{}", sum(peers))
}

/// What all of it comes to. A limit is no promise: an address may take nothing for now.
fn sum(peers: &Peers) -> String {
    let (answers, count) = (peers.answers().count(), peers.peers.len());
    let taking = || peers.answers().filter(|(_, settings)| !settings.takes_none());
    let least = taking().map(|(_, settings)| settings.max_concurrent_streams()).min();
    match (answers, answers - taking().count(), least) {
        (0, ..) => "no address answered with SETTINGS".to_owned(),
        (_, 0, Some(streams)) => format!("{answers} of {count} answered; {}", words(streams)),
        (_, none, Some(streams)) => {
            let them = if none == 1 { "1 of them takes".to_owned() } else { format!("{none} of them take") };
            format!("{answers} of {count} answered; {them} no requests now, else {}", words(streams))
        }
        (1, _, None) => format!("1 of {count} answered, and it takes no requests now"),
        (_, _, None) => format!("{answers} of {count} answered, and none of them takes requests now"),
    }
}

/// By what certificates were judged.
fn trusted(trust: &Trust) -> String {
    let and = |own: &usize| if *own == 0 { String::new() } else { format!(" and {own} of --cacert") };
    match trust {
        Trust::Cleartext => "cleartext, so nobody proves who answers".to_owned(),
        Trust::Nothing => "certificates are not judged (--insecure), so nobody proves who answers".to_owned(),
        Trust::System(roots, own) => format!("certificates judged by {roots} roots of this machine{}", and(own)),
        Trust::BuiltIn(own) => {
            format!("certificates judged by Mozilla's roots, because this machine has none,{}", and(own))
                .trim_end_matches(',')
                .to_owned()
        }
    }
}

/// Addresses that say the same, in the order of the first of them.
fn groups(peers: &Peers) -> Vec<Vec<&Peer>> {
    let mut groups: Vec<Vec<&Peer>> = Vec::new();
    for peer in &peers.peers {
        let same = |group: &&mut Vec<&Peer>| {
            group.first().is_some_and(|first| first.answer == peer.answer && first.tls == peer.tls)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(peer),
            None => groups.push(vec![peer]),
        }
    }
    groups
}

fn block(out: &mut String, group: &[&Peer], width: usize, style: Style) -> fmt::Result {
    let Some(first) = group.first() else { return Ok(()) };
    let addresses: Vec<String> = group.iter().map(|peer| peer.address.to_string()).collect();
    let (title, outcome) = match &first.answer {
        Ok(_) => (addresses.join(", "), Outcome::Pass),
        Err(_) => (format!("{}  no answer", addresses.join(", ")), Outcome::Fail),
    };
    writeln!(out, "{}", if style.colour { coloured(&title, outcome) } else { title })?;
    match &first.answer {
        Ok(settings) => answer(out, settings, width)?,
        Err(trouble) => {
            line(out, "why", &format!("{} (at the step: {})", trouble.what, trouble.step.word()), width)?;
            if !trouble.next.is_empty() {
                line(out, "next", &trouble.next, width)?;
            }
        }
    }
    if let Some(tls) = &first.tls {
        line(out, "TLS", &handshake(tls), width)?;
    }
    for peer in group {
        let steps = [("TCP", peer.times.tcp), ("TLS", peer.times.tls), ("SETTINGS", peer.times.settings)];
        let steps: Vec<String> =
            steps.iter().filter_map(|(name, took)| Some(format!("{name} {}", time((*took)?)))).collect();
        if !steps.is_empty() {
            let of = if group.len() > 1 { format!(" ({})", peer.address) } else { String::new() };
            line(out, "times", &format!("{}{of}", steps.join(", ")), width)?;
        }
    }
    if let Ok(settings) = &first.answer
        && let Some(server) = looks_like(settings)
    {
        let words = format!("the defaults of {server}: a guess, and a proxy answers for what is behind it");
        line(out, "looks like", &words, width)?;
    }
    Ok(())
}

/// The settings: those that matter first, then those that were sent besides.
fn answer(out: &mut String, settings: &Settings, width: usize) -> fmt::Result {
    let lowered = settings.lowered_from.map_or_else(String::new, |before| {
        let before = match before {
            Streams::Limited(number) => grouped(number.into()),
            Streams::Unlimited => "no limit".to_owned(),
        };
        format!("; it said {before} at first and lowered that a moment later, as it may again")
    });
    let streams = words(settings.max_concurrent_streams());
    line(out, "streams", &format!("{streams} (MAX_CONCURRENT_STREAMS{lowered})"), width)?;
    let sent = |number: u16| if settings.get(number).is_some() { "" } else { ", not sent: the default" };
    let stream = grouped(settings.initial_window_size().into());
    let window = format!("{stream} bytes a stream (INITIAL_WINDOW_SIZE{})", sent(id::INITIAL_WINDOW_SIZE));
    line(out, "window", &window, width)?;
    let by = match settings.window_update {
        Some(more) => format!("65,535 and a WINDOW_UPDATE of {}", grouped(more.into())),
        None => "no WINDOW_UPDATE came: the default".to_owned(),
    };
    line(out, "", &format!("{} bytes a connection ({by})", grouped(settings.connection_window().into())), width)?;
    let frame = grouped(settings.max_frame_size().into());
    line(out, "frame", &format!("{frame} bytes (MAX_FRAME_SIZE{})", sent(id::MAX_FRAME_SIZE)), width)?;
    let others = settings.sent.iter().filter(|(number, _)| !ALWAYS.contains(number));
    let mut others: Vec<String> = others
        .map(|&(number, value)| match setting_name(number) {
            Some(name) => format!("{name} {}", grouped(value.into())),
            None => format!("setting 0x{number:x} (not known) {}", grouped(value.into())),
        })
        .collect();
    if settings.left_out > 0 {
        others.push(format!("{} more that are not known", grouped(settings.left_out as i128)));
    }
    if !others.is_empty() {
        line(out, "also sent", &others.join(", "), width)?;
    }
    match settings.goaway {
        Some(code) => {
            line(out, "then", &format!("it said GOAWAY ({}): it takes no requests now", error_name(code)), width)
        }
        None => Ok(()),
    }
}

fn words(streams: Streams) -> String {
    match streams {
        Streams::Limited(0) => "no request at all, for now".to_owned(),
        Streams::Limited(1) => "1 request at a time on one connection".to_owned(),
        Streams::Limited(number) => format!("{} requests at a time on one connection", grouped(number.into())),
        Streams::Unlimited => "no limit on requests at a time on one connection: not sent".to_owned(),
    }
}

fn handshake(tls: &Tls) -> String {
    let alpn = tls.alpn.as_deref().map_or_else(|| "no ALPN".to_owned(), |name| format!("ALPN {name}"));
    let resumption = match tls.resumption {
        Resumption::Tickets(1) => "resumption offered: 1 ticket".to_owned(),
        Resumption::Tickets(tickets) => format!("resumption offered: {tickets} tickets"),
        Resumption::Session => "resumption offered".to_owned(),
        Resumption::NotSeen => "no resumption offered so far".to_owned(),
    };
    format!("{}, {}, {alpn}, {resumption}", tls.version, tls.cipher)
}

/// What differs between the addresses that answered, setting by setting.
fn differing(peers: &Peers) -> Vec<String> {
    let answers: Vec<(&Peer, &Settings)> = peers.answers().collect();
    let mut numbers: Vec<u16> = ALWAYS.to_vec();
    numbers.extend(answers.iter().flat_map(|(_, settings)| settings.sent.iter().map(|(number, _)| *number)));
    let mut told: Vec<String> = Vec::new();
    let mut tell = |name: String, value: &dyn Fn(&Settings) -> Option<u32>| {
        let mut values: Vec<(Option<u32>, Vec<String>)> = Vec::new();
        for (peer, settings) in &answers {
            let value = value(settings);
            match values.iter_mut().find(|(held, _)| *held == value) {
                Some((_, at)) => at.push(peer.address.to_string()),
                None => values.push((value, vec![peer.address.to_string()])),
            }
        }
        if values.len() > 1 {
            let value = |value: Option<u32>| value.map_or("not sent".to_owned(), |number| grouped(number.into()));
            let values: Vec<String> =
                values.iter().map(|(held, at)| format!("{} at {}", value(*held), at.join(", "))).collect();
            told.push(format!("{name} is {}", values.join("; ")));
        }
    };
    let mut seen: Vec<u16> = Vec::new();
    for number in numbers {
        if !seen.contains(&number) {
            seen.push(number);
            let name = setting_name(number).map_or_else(|| format!("setting 0x{number:x}"), str::to_owned);
            tell(name, &|settings| settings.get(number));
        }
    }
    tell("the connection's window".to_owned(), &|settings| Some(settings.connection_window()));
    if let Some(more @ 1..) = told.len().checked_sub(MOST_DIFFERENCES) {
        told.truncate(MOST_DIFFERENCES);
        told.push(format!("{more} more settings"));
    }
    told
}

fn line(out: &mut String, name: &str, words: &str, width: usize) -> fmt::Result {
    writeln!(out, "{}", sanitized(&hanging(&format!("  {name:<11} "), words, width)))
}

fn time(time: Duration) -> String {
    let microseconds = time.as_micros();
    match microseconds {
        0..10_000 => format!("{}.{:02} ms", microseconds / 1000, microseconds % 1000 / 10),
        10_000..1_000_000 => format!("{} ms", microseconds / 1000),
        _ => format!("{}.{} s", microseconds / 1_000_000, microseconds % 1_000_000 / 100_000),
    }
}
