//! Every sentence of every recorded machine: none has a gap where a value belongs, says a word twice, or explains a thing by
//! itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use serde_json::Value;
use support::{json, recorded_hosts, run};

/// Loads under which different rules speak.
const LOADS: [&[&str]; 4] = [
    &[],
    &["--workload", "gateway", "--connections", "60000", "--burst", "9000", "--port", "22"],
    &["--workload", "client", "--connections", "70000", "--short-lived-per-second", "900"],
    &["--connections", "10", "--burst", "1"],
];

/// What is wrong with a sentence, if anything is.
fn fault(text: &str) -> Option<String> {
    // Braces of a shell, of Compose and of jq are their own; those of a rule stand around a fact.
    let named = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let fact =
        |name: &str| name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._[]*:-".contains(c));
    if let Some(name) = named.into_iter().find(|name| fact(name)) {
        return Some(format!("{{{name}}} is not filled"));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = |word: &str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    if let Some(pair) = words.windows(2).find(|pair| pair[0] == pair[1] && plain(pair[0]) && pair[0] != "that") {
        return Some(format!("{} twice", pair[0]));
    }
    let number = |word: &str| word.trim_end_matches(['.', ',', ';', ')']).replace(',', "").parse::<i128>().ok();
    let round = |four: &&[&str]| {
        ["from", "raise"].contains(&four[0])
            && four[2] == "to"
            && number(four[1]).is_some()
            && number(four[1]) == number(four[3])
    };
    if let Some(four) = words.windows(4).find(round) {
        return Some(four.join(" "));
    }
    let empty = [" ,", " .  ", "to what workload", "was not read"];
    empty.iter().find(|mark| text.contains(*mark)).map(|mark| format!("{mark:?} in it"))
}

/// Every text in a part of a report that a person reads.
fn sentences<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    const READ: [&str; 14] = [
        "says", "also", "reason", "title", "owner", "who", "scope", "cost", "prove", "undo", "lines", "notes", "text",
        "because",
    ];
    match value {
        Value::String(text) if READ.contains(&key) => found.push(text),
        Value::Array(all) => all.iter().for_each(|one| sentences(one, key, found)),
        Value::Object(map) => map.iter().for_each(|(key, one)| sentences(one, key, found)),
        _ => {}
    }
}

#[test]
fn no_sentence_of_a_recorded_machine_has_a_gap_or_goes_in_a_circle() {
    let mut told = 0;
    for host in recorded_hosts() {
        for load in LOADS {
            let report = json(&[&["--snapshot", host.as_str()], load].concat());
            let mut found = Vec::new();
            sentences(&report, "", &mut found);
            for text in &found {
                assert_eq!(fault(text), None, "{host} {load:?}: {text}");
            }
            told += found.len();
        }
    }
    assert!(told > 1000, "{told}");
}

#[test]
fn what_is_explained_of_a_rule_names_no_rule_of_thumb_by_itself() {
    for line in run(["rules", "list"]).stdout.lines() {
        let id = line.split_whitespace().next().unwrap();
        let shown = run(["rules", "show", id]).stdout;
        assert!(!shown.contains("raise to what"), "{id}: {shown}");
        assert!(!shown.contains("raise to :"), "{id}");
    }
}

#[test]
fn a_fault_is_seen() {
    for bad in
        ["It is {limit.nofile.soft} here", "raised to to 5", "from 65,535 to 65535.", "boot[x].value was not read"]
    {
        assert!(fault(bad).is_some(), "{bad}");
    }
    assert_eq!(fault("Compose: ulimits: { nofile: { soft: 65535 } }, from 1 to 2"), None);
}
