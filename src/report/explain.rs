//! What rules and facts mean, for people.

use std::fmt::{self, Write};

use super::text::{hanging, one_line, sanitized, wrapped};
use crate::model::catalogue::Catalogue;
use crate::model::check::Bound;
use crate::model::facts::{Facts, grouped, placeholders_filled};
use crate::model::fix::{Change, Pod};
use crate::model::manual::{Manual, ids};
use crate::model::page::Page;
use crate::model::rule::{Doc, Rule};
use crate::model::symptom::shown;

/// Everything a rule says, and which rows of the manual it encodes.
pub fn rule(rule: &Rule, doc: &Doc, beside: Beside<'_>, width: u16) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_rule(&mut out, rule, doc, beside, width.into());
    sanitized(&out).into_owned()
}

/// What a rule is explained by beside itself.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The tuning manual.
    pub manual: &'a Manual,
    /// A load that nobody declared, for the numbers that follow from one.
    pub usual: &'a Facts,
}

/// A bound in words, with the number that it comes to where a load alone decides it.
fn amount(bound: &Bound, usual: &Facts) -> String {
    let Some(of) = bound.of else { return grouped(bound.plus.into()) };
    let times = if bound.times == 1.0 { String::new() } else { format!("{} x ", bound.times) };
    let plus = if bound.plus == 0 { String::new() } else { format!(" + {}", grouped(bound.plus.into())) };
    let least = match bound.least {
        i64::MIN => String::new(),
        least => format!(", and at least {}", grouped(least.into())),
    };
    let load = usual.text("load.words").unwrap_or_default();
    let formula = format!("{times}{of}{plus}{least}");
    match bound.amount(usual, None) {
        Ok(number) if of.starts_with("workload.") => format!("{} for {load} ({formula})", grouped(number)),
        _ => formula,
    }
}

fn write_rule(out: &mut String, rule: &Rule, doc: &Doc, beside: Beside<'_>, width: usize) -> fmt::Result {
    let Beside { manual, usual } = beside;
    writeln!(out, "{}\n{}", rule.id, wrapped(rule.title, "  ", width))?;
    let roles: Vec<&str> = rule.roles.iter().map(|role| role.word()).collect();
    let asked = if roles.is_empty() { "every role".to_owned() } else { roles.join(", ") };
    let judged = format!("{}, a value of {}; asked of {asked}", rule.fact, rule.scope.words());
    writeln!(out, "{}", hanging("  judges   ", &judged, width))?;
    if !rule.manual.is_empty() {
        let row = |id| manual.row(id).map_or_else(|| one_line(id), |row| format!("{} {}", row.id, row.name));
        let rows: Vec<String> = ids(rule.manual).map(row).collect();
        writeln!(out, "{}", hanging("  manual   ", &rows.join("; "), width))?;
    }
    write_symptoms(out, &doc.symptoms, width)?;
    if !doc.tell.is_empty() {
        writeln!(out, "{}", hanging("  told apart by  ", doc.tell, width))?;
    }
    writeln!(out, "\nWhy\n{}", filled(doc.why, width))?;
    if !rule.evidence.is_empty() {
        writeln!(out, "\nEvidence")?;
        for evidence in rule.evidence {
            writeln!(out, "{}", wrapped(&format!("{}: {}", evidence.fact, evidence.says), "  ", width))?;
        }
    }
    writeln!(out, "\nWhat to change   (tunecheck prints the form that works where it runs)")?;
    for fix in rule.fix.sysctl {
        let change = match &fix.change {
            Change::Raise(bound) => format!("raise to {}", amount(bound, usual)),
            Change::Set(value) => format!("set to {}", value.value().plain()),
            Change::Widen(low, high) => format!("widen to {low} {high}"),
            Change::Add(of) => format!("add the ports of {of}; keep those that are there"),
        };
        writeln!(out, "{}", hanging("  ", &format!("{}: {change}", fix.name), width))?;
    }
    if let Some(pod) = &rule.pod {
        let words = match pod {
            Pod::Safe { since, .. } => format!("safe since Kubernetes {since}"),
            Pod::Unsafe => "unsafe: only on kubelets with allowedUnsafeSysctls".to_owned(),
            Pod::Impossible => "impossible: node level only".to_owned(),
        };
        writeln!(out, "  in a pod: {words}")?;
    }
    if let Some(nofile) = &rule.fix.nofile {
        let (soft, hard) = (amount(&nofile.soft, usual), amount(&nofile.hard, usual));
        let places = "LimitNOFILE, limits.d, --ulimit, or the node's container runtime";
        writeln!(out, "{}", hanging("  nofile: ", places, width))?;
        writeln!(out, "{}", hanging("    soft: ", &soft, width))?;
        writeln!(out, "{}", hanging("    hard: ", &hard, width))?;
    }
    if let Some(name) = &rule.fix.remove {
        writeln!(out, "  delete the line that sets {name}")?;
    }
    for words in [rule.fix.application, rule.fix.ask, rule.fix.also].map(without_figures) {
        if !words.is_empty() {
            writeln!(out, "{}", wrapped(&words, "  ", width))?;
        }
    }
    if !rule.fix.cost.is_empty() {
        writeln!(out, "{}", wrapped(&format!("cost: {}", rule.fix.cost), "  ", width))?;
    }
    writeln!(out, "  acts {}", rule.takes_effect.words())?;
    if !rule.fix.prove.is_empty() {
        writeln!(out, "{}", hanging("  prove: ", &without_figures(rule.fix.prove), width))?;
    }
    if !doc.links.is_empty() {
        writeln!(out, "\nRead more")?;
        for link in &doc.links {
            writeln!(out, "  {link}")?;
        }
    }
    Ok(())
}

/// A text as it was typed, filled to the width. A line that its author broke for want of room goes on with the next.
fn filled(text: &str, width: usize) -> String {
    /// Columns that a line in a rule's file has room for, at least.
    const TYPED: usize = 110;
    let mut paragraphs: Vec<String> = Vec::new();
    let mut before = 0;
    for line in text.trim_end().lines() {
        let first = line.split(' ').next().unwrap_or_default().len();
        match paragraphs.last_mut() {
            Some(last) if first > 0 && before + 1 + first > TYPED => {
                last.push(' ');
                last.push_str(line);
            }
            _ => paragraphs.push(line.to_owned()),
        }
        before = line.len();
    }
    let lines = paragraphs.iter().map(|line| if line.is_empty() { String::new() } else { wrapped(line, "  ", width) });
    lines.collect::<Vec<_>>().join("\n")
}

/// Everything that is known of what is no rule.
pub fn page(page: &Page, width: u16) -> String {
    let width = width.into();
    let mut out = format!("{}\n{}\n", page.id, wrapped(page.title, "  ", width));
    let _ = write_symptoms(&mut out, page.symptoms, width);
    let _ = writeln!(out, "\nWhy\n{}", wrapped(page.why, "  ", width));
    let _ = writeln!(out, "\nWhat to change");
    let _ = writeln!(out, "{}", wrapped(page.change, "  ", width));
    out
}

fn write_symptoms(out: &mut String, symptoms: &[&str], width: usize) -> fmt::Result {
    if !symptoms.is_empty() {
        writeln!(out, "\nWhat you see when it is hit")?;
    }
    symptoms.iter().try_for_each(|symptom| writeln!(out, "{}", hanging("  ", &shown(symptom), width)))
}

/// A line for each of several ids, each with what is to be said of it.
pub fn causes<'a>(said: impl IntoIterator<Item = (&'a str, &'a str)>, width: u16) -> String {
    let said: Vec<(&str, &str)> = said.into_iter().collect();
    let longest = said.iter().map(|(id, _)| id.chars().count()).max().unwrap_or_default();
    let line = |(id, words): &(&str, &str)| hanging(&format!("  {:<longest$}  ", one_line(id)), words, width.into());
    sanitized(&said.iter().map(|one| line(one) + "\n").collect::<String>()).into_owned()
}

/// Everything that can be asked for: ids, each with its title and its symptoms.
pub fn topics<'a>(topics: impl IntoIterator<Item = (&'a str, &'a str, &'a [&'static str])>, width: u16) -> String {
    let mut out = String::new();
    for (id, title, symptoms) in topics {
        let _ = writeln!(out, "{}\n{}", one_line(id), wrapped(title, "  ", width.into()));
        let symptoms: Vec<String> = symptoms.iter().map(|symptom| shown(symptom)).collect();
        if !symptoms.is_empty() {
            let _ = writeln!(out, "{}", hanging("  seen as  ", &symptoms.join(" | "), width.into()));
        }
    }
    sanitized(&out).into_owned()
}

/// A sentence of a rule where there is no machine: each fact by the last word of its name, as a blank to fill in.
fn without_figures(text: &str) -> String {
    let blank = |name: &str| name.rsplit('.').next().unwrap_or(name).to_uppercase();
    placeholders_filled(text, blank)
}

/// A line for each rule: id, roles, title.
pub fn rule_list<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
    let mut out = String::new();
    for rule in rules {
        let _ = writeln!(out, "{:<32} {}", one_line(rule.id), one_line(rule.title));
    }
    sanitized(&out).into_owned()
}

/// A block for each fact that is known by name.
pub fn catalogue(catalogue: &Catalogue) -> String {
    let mut out = String::new();
    for entry in catalogue.entries() {
        let _ = writeln!(
            out,
            "{}\n  {}; {}, of {}\n  read from {}; {}",
            entry.name,
            entry.meaning,
            entry.unit,
            entry.scope.words(),
            entry.read,
            entry.document
        );
    }
    out
}
