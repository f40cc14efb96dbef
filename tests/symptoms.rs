//! Log lines of real programs against the rules that explain them.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "tests read files and fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use support::ROOT;
use tunecheck::capacity::PAGES;
use tunecheck::cli::explained;
use tunecheck::manifest::CHECKS;
use tunecheck::model::symptom::Pattern;
use tunecheck::rules::RuleSet;
use tunecheck::symptoms::Answer;

/// A line of the table.
struct Line<'a> {
    program: &'a str,
    /// Ids, best first; none for a line that no rule knows.
    rules: Vec<&'a str>,
    text: &'a str,
}

fn table(text: &str) -> Vec<Line<'_>> {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let line = |row| {
        let mut fields = str::splitn(row, 3, '\t');
        let (program, rules, text) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
        Line { program, rules: rules.split(' ').filter(|id| *id != "-").collect(), text }
    };
    rows.map(line).collect()
}

#[test]
fn log_lines_lead_to_their_rules_and_to_no_other() {
    let text = fs::read_to_string(Path::new(ROOT).join("fixtures/log-lines.tsv")).unwrap();
    let rules = RuleSet::built_in();
    let symptoms = explained(&rules);
    let exists = |id: &&str| rules.get(id).is_some() || ["manifest/", "plan/"].iter().any(|of| id.starts_with(of));
    let (mut first, mut open, mut silent) = (0, 0, 0);
    let (mut missed, mut wrong) = (Vec::new(), Vec::new());
    for line in table(&text) {
        let said = symptoms.ask(line.text);
        let best: BTreeSet<&str> = match &said {
            Answer::Known { best, .. } => best.iter().copied().collect(),
            Answer::Lookalike(_) | Answer::Unknown { .. } => BTreeSet::new(),
        };
        let told = || format!("{}: {}\n    {said:?}", line.program, line.text);
        match line.rules.first() {
            None if best.is_empty() => silent += 1,
            None => wrong.push(told()),
            Some(_) if !line.rules.iter().all(&exists) => open += 1,
            Some(right) if best.contains(right) && best.iter().all(|id| line.rules.contains(id)) => first += 1,
            Some(_) if best.is_empty() => missed.push(told()),
            Some(_) => wrong.push(told()),
        }
    }
    let known = first + missed.len();
    println!(
        "{first} of {known} lines have their rules in the first place, {silent} have none, {open} wait for a rule"
    );
    println!("missed:\n{}", missed.join("\n"));
    assert!(wrong.is_empty(), "{} confident and wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(first >= 150 && silent >= 100, "the table has become small: {first}, {silent}");
    assert!(first * 100 >= known * 95, "{first} of {known}:\n{}", missed.join("\n"));
}

/// A line in which every placeholder of a pattern is filled.
fn filled(symptom: &str) -> String {
    let plain = symptom.trim_start_matches('^').trim_end_matches('$');
    let fillings = [("<n>", "17"), ("<addr>", "10.0.0.5:33000"), ("<name>", "/srv/relay"), ("<text>", " ")];
    fillings.iter().fold(plain.to_owned(), |line, (placeholder, with)| line.replace(placeholder, with))
}

#[test]
fn every_symptom_leads_back_to_its_rule() {
    let rules = RuleSet::built_in();
    let symptoms = explained(&rules);
    let mut lost = Vec::new();
    for rule in rules.iter() {
        for symptom in &rules.doc(rule.id).unwrap().symptoms {
            let said = symptoms.ask(&filled(symptom));
            match &said {
                Answer::Known { best, less, .. } if best.iter().chain(less).any(|id| *id == rule.id) => {}
                _ => lost.push(format!("{}: {symptom}: {said:?}", rule.id)),
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn rules_that_share_a_symptom_say_how_to_tell_them_apart() {
    let rules = RuleSet::built_in();
    let shown =
        |id: &str| rules.doc(id).unwrap().symptoms.iter().map(|symptom| filled(symptom).to_lowercase()).collect();
    let of: Vec<(&str, BTreeSet<String>)> = rules.iter().map(|rule| (rule.id, shown(rule.id))).collect();
    let shares =
        |id: &str, own: &BTreeSet<String>| of.iter().any(|(other, theirs)| *other != id && !own.is_disjoint(theirs));
    let silent = of.iter().filter(|(id, own)| shares(id, own) && rules.doc(id).unwrap().tell.is_empty());
    let silent: Vec<&str> = silent.map(|(id, _)| *id).collect();
    assert!(silent.is_empty(), "`tell` is missing in {silent:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_is_too_odd_to_be_asked_about(text in ".{0,200}", piece in "[\\[\\]\"{}<>=:.\\\\ a-z0-9\u{00a0}]{0,80}") {
        let rules = RuleSet::built_in();
        let symptoms = explained(&rules);
        symptoms.ask(&text);
        symptoms.ask(&piece);
        let line = format!("{piece} EMFILE {text}");
        let named = symptoms.causes(&line);
        prop_assert!(named.1.iter().all(|id| rules.get(id).is_some() || id.starts_with("manifest/") || id.starts_with("plan/")), "{:?}", named);
    }
}

#[test]
fn pages_have_ids_of_their_own_and_symptoms_that_are_patterns() {
    let mut ids = BTreeSet::new();
    for page in CHECKS.iter().chain(PAGES) {
        assert!(ids.insert(page.id), "{} is there twice", page.id);
        for symptom in page.symptoms {
            assert!(Pattern::parse(symptom).is_ok(), "{}: {symptom}", page.id);
        }
    }
}
