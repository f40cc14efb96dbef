//! Rule and workload files as they are typed, and what they mean.
//!
//! The only place where YAML is parsed. Unknown keys and duplicate keys are refused.

mod manual;
mod meaning;
mod typed;
mod words;

use std::collections::BTreeSet;

use serde::Deserialize;

pub use manual::manual;
use typed::{RuleFile, WorkloadFile};

use crate::model::rule::{Doc, Rule};
use crate::model::traffic::Traffic;
use crate::model::workload::{Role, Workload};

/// Largest rule or workload file, in bytes. A real one has 5 KiB; nested flow collections cost the parser their square.
pub const LARGEST: u64 = 64 << 10;
/// Deepest nesting of brackets and braces; a real rule has 3.
const DEEPEST: usize = 16;

/// Most of anything that a workload can declare.
const MOST: u64 = 1_000_000_000;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Problem {
    /// A problem at the line that first holds `mark`.
    pub fn at(text: &str, mark: &str, what: impl Into<String>) -> Self {
        let line = text.lines().position(|line| line.contains(mark)).map(|index| index + 1);
        Self { line, what: what.into() }
    }
}

/// Reads a rule file. `id` is its path below the rules folder, without the ending.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn rule(id: &str, text: &str) -> Result<(Rule, Doc), Problem> {
    let typed: RuleFile = parse(text)?;
    typed.meaning(id).map_err(|(mark, what)| Problem::at(text, mark, what))
}

/// Reads a workload file over the numbers of `base`.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn workload(text: &str, base: impl Fn(Role) -> Workload) -> Result<Workload, Problem> {
    meaning(text, &parse(text)?, base)
}

/// Reads a workload file as traffic: what it says of that, and the load of one pod where it says nothing.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn traffic(text: &str, base: impl Fn(Role) -> Workload) -> Result<Traffic, Problem> {
    let typed: WorkloadFile = parse(text)?;
    let load = meaning(text, &typed, base)?;
    let stated = typed.traffic.unwrap_or_default();
    let numbers = [
        ("requests_in_flight", stated.requests_in_flight),
        ("milliseconds_in_flight", stated.milliseconds_in_flight),
        ("incoming_streams", stated.incoming_streams),
        ("response_bytes", stated.response_bytes),
        ("request_bytes", stated.request_bytes),
        ("chunk_bytes", stated.chunk_bytes),
        ("pods", stated.pods),
        ("nodes", stated.nodes),
        ("nat_addresses", stated.nat_addresses),
    ];
    within(text, &numbers)?;
    let one_pod = Traffic::of(&load);
    let pods = stated.pods.unwrap_or(1);
    let of_all = |number: u64| number.saturating_mul(pods);
    Ok(Traffic {
        concurrency: stated.requests_in_flight.unwrap_or(of_all(one_pod.concurrency)),
        milliseconds: stated.milliseconds_in_flight,
        protocol: stated.protocol.unwrap_or(one_pod.protocol),
        incoming_streams: stated.incoming_streams.unwrap_or(one_pod.incoming_streams),
        short_lived: stated.short_lived,
        burst: of_all(one_pod.burst),
        outgoing: one_pod.outgoing.map(of_all),
        response_bytes: stated.response_bytes,
        request_bytes: stated.request_bytes,
        chunk_bytes: stated.chunk_bytes,
        pods,
        nodes: stated.nodes.unwrap_or(1),
        nat_addresses: stated.nat_addresses.unwrap_or(1),
        link_bits: stated.link_bits_per_second,
        ..one_pod
    })
}

/// That each number is one that somebody can mean.
fn within(text: &str, numbers: &[(&str, Option<u64>)]) -> Result<(), Problem> {
    match numbers.iter().find(|(_, number)| number.is_some_and(|number| !(1..=MOST).contains(&number))) {
        Some((key, _)) => Err(Problem::at(text, key, format!("{key} is a number from 1 to {MOST}"))),
        None => Ok(()),
    }
}

fn meaning(text: &str, typed: &WorkloadFile, base: impl Fn(Role) -> Workload) -> Result<Workload, Problem> {
    let least = [
        ("connections", typed.connections),
        ("burst", typed.burst),
        ("destinations", typed.destinations),
        ("source_addresses", typed.source_addresses),
        ("streams", typed.streams),
        ("outgoing", typed.outgoing.map(|n| n.max(1))),
    ];
    within(text, &least)?;
    if typed.ports.as_ref().is_some_and(|ports| ports.contains(&0)) {
        return Err(Problem::at(text, "ports", "nothing listens on port 0"));
    }
    let base = base(typed.role.unwrap_or_default());
    Ok(Workload {
        role: base.role,
        connections: typed.connections.unwrap_or(base.connections),
        burst: typed.burst.unwrap_or(base.burst),
        destinations: typed.destinations.unwrap_or(base.destinations),
        source_addresses: typed.source_addresses.unwrap_or(base.source_addresses),
        streams: typed.streams.unwrap_or(base.streams),
        outgoing: typed.outgoing.or(base.outgoing),
        ports: typed.ports.clone().unwrap_or(base.ports),
    })
}

/// The JSON Schema of a rule file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(RuleFile)
}

/// Keeps a text until the process ends, as the texts of the built-in rules are.
fn kept(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let mut depth: usize = 0;
    for (index, line) in text.lines().enumerate() {
        for c in line.chars() {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                let what = format!("brackets nest deeper than {DEEPEST}");
                return Err(Problem { line: Some(index + 1), what });
            }
        }
    }
    let anchors: BTreeSet<&str> = text.lines().flat_map(|line| marked(line, '&')).collect();
    // Aliases of aliases let a small file grow without end, and the parser's own bound comes after gigabytes. A *name
    // without an anchor is prose.
    if let Some(index) = text.lines().position(|line| marked(line, '*').any(|name| anchors.contains(name))) {
        let what = "an alias (*name) is not taken here: write the value out".to_owned();
        return Err(Problem { line: Some(index + 1), what });
    }
    let problem = |error: serde_yaml::Error| {
        let line = error.location().map(|location| location.line());
        let words = error.to_string();
        let what = words.rsplit_once(" at line ").map_or(words.as_str(), |(what, _)| what);
        // The parser gives the line on which the map begins.
        let twice = what.rsplit_once("duplicate entry with key \"").map(|(_, key)| key.trim_end_matches('"'));
        let again = twice.zip(line).and_then(|(key, from)| {
            let lines = text.lines().enumerate().skip(from - 1);
            lines.filter(|(_, line)| line.trim_start().starts_with(&format!("{key}:"))).nth(1)
        });
        Problem { line: again.map(|(index, _)| index + 1).or(line), what: what.to_owned() }
    };
    // The untyped pass refuses duplicate keys, which a typed map would take silently.
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(problem)?;
    serde_yaml::from_str(text).map_err(problem)
}

/// The names after a mark, where YAML would take it for that of an anchor or an alias.
fn marked(line: &str, mark: char) -> impl Iterator<Item = &str> {
    line.match_indices(mark).filter_map(move |(at, _)| {
        let (before, after) = (line.get(..at)?, line.get(at + 1..)?);
        let starts = before.chars().next_back().is_none_or(|c| c.is_whitespace() || "[{,:?-".contains(c));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(after.len());
        after.get(..end).filter(|name| starts && !name.is_empty())
    })
}
