//! Every sentence of every recorded machine: none has a gap where a value belongs, says a word twice, or explains a thing by
//! itself.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod support;

use serde_json::Value;
use support::{json, recorded_hosts, run};
use tunecheck::evaluate::{Context, evaluate, explain};
use tunecheck::facts;
use tunecheck::model::facts::Facts;
use tunecheck::model::finding::{Finding, Outcome};
use tunecheck::model::place::Place;
use tunecheck::model::rule::{Example, Rule};
use tunecheck::remedy::{Situation, Wishes, actions};
use tunecheck::rules::RuleSet;

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
    let fact = |name: &str| {
        name.contains('.')
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "._[]*:-".contains(c))
    };
    if let Some(name) = named.into_iter().find(|name| fact(name)) {
        return Some(format!("{{{name}}} is not filled"));
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain = |word: &str| word.len() > 1 && word.chars().all(char::is_alphabetic);
    if let Some(pair) = words.windows(2).find(|pair| pair[0] == pair[1] && plain(pair[0]) && pair[0] != "that") {
        return Some(format!("{} twice", pair[0]));
    }
    // A number that stands alone before a plural: "1 processes".
    let one = |pair: &&[&str]| {
        pair[0] == "1"
            && ["processes", "sockets", "packets", "connections", "entries", "files", "CPUs", "pages"]
                .contains(&pair[1].trim_end_matches([',', '.', ';', ':']))
    };
    if let Some(pair) = words.windows(2).find(one) {
        return Some(pair.join(" "));
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

/// What is said of a worked example, and what its fix says. An example gives a part of a machine: other gaps are told as such.
fn told(rules: &RuleSet, rule: &Rule, example: &Example) -> Vec<String> {
    let catalogue = facts::catalogue();
    let mut known = Facts::default();
    for (name, value) in example.given.iter().filter_map(|(name, value)| Some((*name, value.clone()?))) {
        known.put(name, Ok(value), "example");
    }
    facts::declare(&mut known, &rules.workload(example.role));
    facts::derive(&mut known);
    let place = Place::plain_host();
    let context = Context { facts: &known, place: &place, catalogue, role: example.role };
    let situation = Situation { facts: &known, place: &place, catalogue };
    let of = |mut finding: Finding| {
        let mut texts = vec![finding.reason.clone()];
        if matches!(finding.outcome, Outcome::Warn | Outcome::Fail) {
            explain(rule, &mut finding, context);
            for action in actions(rule, &finding, &Wishes::default(), situation) {
                texts.extend([action.who, action.scope, action.cost, action.prove.into_owned(), action.undo]);
                texts.extend(action.lines);
            }
        }
        texts.extend([finding.says, finding.also]);
        texts.extend(finding.evidence.into_iter().map(|proof| proof.says));
        texts.extend(finding.owner);
        texts
    };
    evaluate([rule].into_iter(), context).into_iter().flat_map(of).filter(|text| !text.is_empty()).collect()
}

#[test]
fn no_sentence_of_a_plan_has_a_gap_or_goes_in_a_circle() {
    let mut told = 0;
    for host in recorded_hosts() {
        for load in LOADS {
            let plan = run([&["fix", "--snapshot", host.as_str(), "--to", "plan"], load].concat()).stdout;
            let parts = plan.split("\n\n").flat_map(|part| part.split("\n  change "));
            for part in parts.filter(|part| !part.is_empty()) {
                assert_eq!(fault(part), None, "{host} {load:?}: {part}");
                told += 1;
            }
        }
    }
    assert!(told > 100, "{told}");
}

#[test]
fn no_sentence_of_a_worked_example_has_a_gap_or_goes_in_a_circle() {
    let rules = RuleSet::built_in();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for rule in rules.iter() {
        let examples = rules.doc(rule.id).map_or(&[][..], |doc| &doc.examples[..]);
        for (number, example) in examples.iter().enumerate() {
            for text in told(&rules, rule, example) {
                seen += 1;
                // What an example leaves out is no fault of the sentence.
                let text = text.replace("was not read", "is not given");
                wrong.extend(fault(&text).map(|fault| format!("{} {}: {fault}: {text}", rule.id, number + 1)));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(seen > 1000, "{seen}");
}

#[test]
fn what_is_explained_of_a_rule_names_no_rule_of_thumb_by_itself() {
    for line in run(["rules", "list"]).stdout.lines() {
        let id = line.split_whitespace().next().unwrap();
        let shown = run(["rules", "show", id]).stdout;
        assert!(!shown.contains("raise to what"), "{id}: {shown}");
        assert!(!shown.contains("raise to :"), "{id}");
        // Without a machine there is no figure to put in.
        let open = shown
            .split('{')
            .skip(1)
            .find(|rest| rest.split('}').next().is_some_and(|name| !name.contains(' ') && name.contains('.')));
        assert!(open.is_none_or(|rest| rest.starts_with(".")), "{id}: {open:?}");
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
