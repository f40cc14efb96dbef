//! The tuning manual, row by row: none is missing, none is there twice, and of each something is said.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::Parser;
use support::{ROOT, run, scratch};
use tunecheck::cli::Cli;
use tunecheck::model::manual::{Row, ids, is_at};
use tunecheck::rules::{RuleSet, manual};

/// A row of the manual, as fixtures/manual.rows lists it: id and keyword.
fn listed() -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(ROOT).join("fixtures/manual.rows")).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| line.split_once(' ').unwrap()).map(|(id, word)| (id.to_owned(), word.to_owned())).collect()
}

/// The built-in rules that encode a row.
fn rules_of<'a>(rules: &'a RuleSet, row: &Row) -> Vec<&'a str> {
    rules.iter().filter(|rule| ids(rule.manual).any(|id| id == row.id)).map(|rule| rule.id).collect()
}

#[test]
fn the_table_has_every_row_of_the_manual_once_and_in_its_order() {
    let listed = listed();
    let ids: Vec<&str> = listed.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(manual().rows().map(|row| row.id).collect::<Vec<_>>(), ids);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "a row is listed twice");
    for (id, word) in &listed {
        let row = manual().row(id).unwrap();
        assert!(format!("{}\n{}", row.name, row.says).contains(word), "{id}: {word} is not in what the row says");
    }
    for section in &manual().0 {
        assert!(!section.rows.is_empty() && section.rows.iter().all(|row| is_at(row.id, section.id)), "{section:?}");
    }
}

#[test]
fn of_every_row_there_is_a_rule_a_verb_or_the_reason_why_not() {
    let rules = RuleSet::built_in();
    for row in manual().rows() {
        let dealt_with = !rules_of(&rules, row).is_empty() || !row.verbs.is_empty() || !row.departs.is_empty();
        assert!(dealt_with, "{} {}: nothing is said about it", row.id, row.name);
        assert!(
            !row.says.contains('\n') && row.says.ends_with('.') && row.says.len() < 140,
            "{}: {}",
            row.id,
            row.says
        );
        assert!(!row.departs.contains('\n') && (row.departs.is_empty() || row.departs.ends_with('.')), "{}", row.id);
        // "see 1.4", "as 3.5.1".
        let words: Vec<&str> = row.departs.split([' ', ',', ':', ';']).collect();
        for pair in words.windows(2).filter(|pair| ["see", "as"].contains(&pair[0])) {
            let id = pair[1].trim_end_matches('.');
            let is_id = id.starts_with(|c: char| c.is_ascii_digit());
            assert!(!is_id || manual().row(id).is_some(), "{} points to {id}", row.id);
        }
    }
}

#[test]
fn every_rule_names_rows_that_exist() {
    let mut named = 0;
    for rule in RuleSet::built_in().iter() {
        assert_eq!(manual().fault(rule.manual), None, "{}", rule.id);
        named += usize::from(!rule.manual.is_empty());
    }
    assert!(named > 40, "only {named} rules encode the manual");
}

#[test]
fn every_verb_of_the_table_is_one_of_the_command_line() {
    let verbs: BTreeSet<&str> = manual().rows().flat_map(|row| &row.verbs).map(|verb| verb.verb).collect();
    let typed = |word: &str| match word {
        "PID" | "N" => "5".to_owned(),
        "TIME" => "20s".to_owned(),
        "URL" => "https://example.com/".to_owned(),
        "COMMAND" | "FILE" => "true".to_owned(),
        word => word.to_owned(),
    };
    let parses = |verb: &str| {
        Cli::try_parse_from(std::iter::once("tunecheck".to_owned()).chain(verb.split(' ').map(typed))).is_ok()
    };
    let unknown: Vec<&str> = verbs.iter().copied().filter(|verb| !parses(verb)).collect();
    assert!(unknown.is_empty(), "there is no tunecheck {unknown:?}");
    for verb in verbs.iter().filter(|verb| verb.starts_with("explain ")) {
        assert_eq!(run(verb.split(' ')).code, Some(0), "tunecheck {verb}");
    }
}

#[test]
fn explain_prints_every_row_with_its_rules_its_verbs_and_its_reason() {
    let rules = RuleSet::built_in();
    let whole = run(["explain", "manual"]);
    assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), ""));
    let mut rest: &str = &whole.stdout;
    for row in manual().rows() {
        let start = format!("\n  {:<7}{}\n", row.id, row.name);
        let (_, after) = rest.split_once(&start).unwrap_or_else(|| panic!("{} is not printed", row.id));
        rest = after;
        let block = after.split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(block.starts_with(row.says), "{}: {block}", row.id);
        let rules = rules_of(&rules, row).join(", ");
        assert_eq!(block.contains("rule "), !rules.is_empty() || row.says.contains("rule "), "{}", row.id);
        assert!(block.contains(&rules) && block.ends_with(row.departs), "{}: {block}", row.id);
        for verb in &row.verbs {
            assert!(block.contains(&format!("verb {}: {}", verb.verb, verb.gives)), "{}: {block}", row.id);
        }
    }
    assert!(whole.stdout.lines().all(|line| line.chars().count() <= 100), "no line is wider than a pipe's");
}

#[test]
fn explain_prints_the_section_or_the_row_that_is_asked_for() {
    let said = |args: &[&str]| run([&["explain"], args].concat()).stdout;
    let printed = |text: &str| -> Vec<String> {
        let starts = text.lines().filter_map(|line| line.strip_prefix("  "));
        starts
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
            .filter_map(|line| Some(line.split_once(' ')?.0.to_owned()))
            .collect()
    };
    assert_eq!(printed(&said(&["manual", "3.2"])), ["3.2.1", "3.2.2", "3.2.3", "3.2.4"]);
    assert_eq!(printed(&said(&["manual", "3.2.2"])), ["3.2.2"]);
    assert_eq!(printed(&said(&["manual", "1.1"])), ["1.1"]);
    assert_eq!(printed(&said(&["manual", "3.4", "6.2"])), ["3.4", "6.2.1", "6.2.2", "6.2.3"]);
    assert_eq!(printed(&said(&["manual", "2"])).len(), 21);
    assert_eq!(said(&["manual 3.4, 6.2"]), said(&["Manual", "6.2", "3.4"]));
    assert_eq!(said(&["manual", "3.2"]).matches("Section ").count(), 1);
}

#[test]
fn a_users_rule_may_name_rows_and_is_printed_with_them() {
    let folder = scratch("manual");
    let text = fs::read_to_string(Path::new(ROOT).join("fixtures/rules/site/site/swappiness.yaml")).unwrap();
    // A symptom that is the word itself does not come before the manual.
    let text = text.replacen("scope:", "manual: \"3.2.2, 5.4\"\nsymptoms: [manual, \"manual 3.2.2\"]\nscope:", 1);
    assert!(text.matches("symptoms:").nth(1).is_none(), "the fixture has symptoms of its own");
    fs::create_dir(folder.join("site")).unwrap();
    fs::write(folder.join("site/swappiness.yaml"), text).unwrap();
    let folder = folder.to_str().unwrap();
    let row = run(["explain", "manual", "3.2.2", "--rules", folder]);
    assert_eq!((row.code, row.stderr.as_str()), (Some(0), ""));
    assert!(row.stdout.contains("rule     files/file-max, site/swappiness\n"), "{}", row.stdout);
    let whole = run(["explain", "manual", "--rules", folder]).stdout;
    assert_eq!(whole.matches("site/swappiness").count(), 2, "{whole}");
    let rule = run(["explain", "site/swappiness", "--rules", folder]).stdout;
    assert!(rule.contains("\n  manual   3.2.2 fs.file-max=200000; 5.4 p99 rises\n"), "{rule}");
}
