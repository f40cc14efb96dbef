//! `tunecheck explain RULE|SYMPTOM`, and `tunecheck explain manual`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::exit::Exit;
use super::settings;
use super::terminal::{Terminal, print};
use crate::model::manual::is_at;
use crate::model::rule::{Doc, Rule};
use crate::report;
use crate::rules::{RuleSet, manual};

/// Rules explained in full before the rest is only named.
const MOST: usize = 3;

/// Explains the rules that these words name, best first; without words, lists what can be asked.
pub(super) fn run(words: &str, paths: &[PathBuf]) -> Result<Exit> {
    let rules = settings::rules(paths)?;
    let width = Terminal::stdout().columns.unwrap_or(100).clamp(60, 110);
    if words.trim().is_empty() {
        let mut list = String::new();
        for rule in rules.iter() {
            let symptoms = rules.doc(rule.id).map(|doc| doc.symptoms.join(" | ")).unwrap_or_default();
            let _ = writeln!(list, "{:<32} {symptoms}", rule.id);
        }
        print(list.as_bytes())?;
        return Ok(Exit::Done);
    }
    if let Some(tops) = of_manual(words) {
        print(rows(&rules, &tops, width)?.as_bytes())?;
        return Ok(Exit::Done);
    }
    let mut ranked: Vec<(u32, &Rule, &Doc)> = rules
        .iter()
        .filter_map(|rule| Some((rule, rules.doc(rule.id)?)))
        .map(|(rule, doc)| (score(rule, doc, words), rule, doc))
        .filter(|(score, ..)| *score > 0)
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.id.cmp(b.1.id)));
    let Some(&(best, ..)) = ranked.first() else {
        bail!("nothing is known about {words:?}: tunecheck explain lists every rule with its symptoms");
    };
    let (same, near): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|(score, ..)| *score == best);
    let beside = report::Beside { manual: manual(), usual: &settings::usual(&rules) };
    let mut text = String::new();
    for (_, rule, doc) in same.iter().take(MOST) {
        let _ = writeln!(text, "{}", report::explain(rule, doc, beside, width));
    }
    let more: Vec<&str> = same.iter().skip(MOST).chain(&near).map(|(_, rule, _)| rule.id).collect();
    if !more.is_empty() {
        let _ = writeln!(text, "See also: {}", more.join(", "));
    }
    print(text.as_bytes())?;
    Ok(Exit::Done)
}

/// The sections and rows that are asked for, if it is the manual that is asked for: its name comes before any symptom.
fn of_manual(words: &str) -> Option<Vec<&str>> {
    let mut words = words.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    words.next().filter(|first| first.eq_ignore_ascii_case("manual"))?;
    Some(words.collect())
}

/// The rows of the manual at these ids, each of which has to exist.
fn rows(rules: &RuleSet, tops: &[&str], width: u16) -> Result<String> {
    let manual = manual();
    if let Some(top) = tops.iter().find(|top| !manual.rows().any(|row| is_at(row.id, top))) {
        bail!("{} (tunecheck explain manual prints them)", manual.lacks(top));
    }
    Ok(report::manual(manual, rules.iter(), tops, width))
}

/// How well words name a rule: its id, then a symptom (whole before part, and a rule's first before its last), then its
/// title or text.
fn score(rule: &Rule, doc: &Doc, words: &str) -> u32 {
    let words = words.trim().to_lowercase();
    let holds = |text: &str| text.to_lowercase().contains(&words);
    // A log line that was pasted whole holds the symptom, not the other way round.
    let held = |text: &str| text.len() > 5 && words.contains(&text.to_lowercase());
    let symptom = |fits: &dyn Fn(&str) -> bool| {
        let at = doc.symptoms.iter().position(|symptom| fits(symptom))?;
        Some(5u32.saturating_sub(u32::try_from(at).unwrap_or(5)))
    };
    if rule.id == words {
        100
    } else if rule.id.split('/').any(|part| part == words) {
        50
    } else if let Some(rank) = symptom(&|symptom| symptom.to_lowercase() == words) {
        40 + rank
    } else if let Some(rank) = symptom(&|symptom| holds(symptom) || held(symptom)) {
        30 + rank
    } else if holds(rule.id) || holds(rule.title) {
        20
    } else if holds(rule.fact) || rule.fix.sysctl.iter().any(|fix| holds(fix.name)) {
        15
    } else if holds(doc.why) {
        5
    } else {
        // The words of a message apart: numbers and short words say nothing.
        let telling = |word: &&str| word.len() > 4 && word.chars().all(char::is_alphabetic);
        let shared = |symptom: &str| {
            let symptom = symptom.to_lowercase();
            words.split_whitespace().filter(telling).filter(|word| symptom.contains(word)).count() > 1
        };
        u32::from(doc.symptoms.iter().any(|symptom| shared(symptom)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RuleSet;

    fn best(words: &str) -> String {
        let rules = RuleSet::built_in();
        let score = |rule: &&Rule| (score(rule, rules.doc(rule.id).unwrap(), words), std::cmp::Reverse(rule.id));
        rules.iter().max_by_key(score).unwrap().id.to_owned()
    }

    #[test]
    fn symptoms_lead_to_their_rules() {
        assert!(best("Too many open files").starts_with("files/nofile"));
        assert_eq!(best("EADDRNOTAVAIL"), "ports/range");
        assert!(best("kernel: nf_conntrack: table full, dropping packet").starts_with("conntrack/"));
        assert!(best("Possible SYN flooding").starts_with("listen/"));
        assert_eq!(best("listen/backlog"), "listen/backlog");
    }
}
