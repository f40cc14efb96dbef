//! What rules and facts mean, for people.

use std::fmt::{self, Write};

use super::text::{hanging, one_line, sanitized, wrapped};
use crate::model::catalogue::Catalogue;
use crate::model::check::Bound;
use crate::model::facts::{Facts, grouped};
use crate::model::fix::{Change, Pod};
use crate::model::manual::{Manual, ids};
use crate::model::rule::{Doc, Rule};

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
    writeln!(out, "  judges   {}, a value of {}; asked of {asked}", rule.fact, rule.scope.words())?;
    if !rule.manual.is_empty() {
        let row = |id| manual.row(id).map_or_else(|| one_line(id), |row| format!("{} {}", row.id, row.name));
        let rows: Vec<String> = ids(rule.manual).map(row).collect();
        writeln!(out, "{}", hanging("  manual   ", &rows.join("; "), width))?;
    }
    if !doc.symptoms.is_empty() {
        writeln!(out, "\nWhat you see when it is hit")?;
        for symptom in &doc.symptoms {
            writeln!(out, "  {symptom}")?;
        }
    }
    writeln!(out, "\nWhy\n{}", indented(doc.why))?;
    if !rule.evidence.is_empty() {
        writeln!(out, "\nEvidence")?;
        for evidence in &rule.evidence {
            writeln!(out, "{}", wrapped(&format!("{}: {}", evidence.fact, evidence.says), "  ", width))?;
        }
    }
    writeln!(out, "\nWhat to change   (tunecheck prints the form that works where it runs)")?;
    for fix in &rule.fix.sysctl {
        let change = match &fix.change {
            Change::Raise(bound) => format!("raise to {}", amount(bound, usual)),
            Change::Set(value) => format!("set to {}", value.plain()),
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
        writeln!(out, "  nofile: LimitNOFILE, limits.d, --ulimit, or the node's container runtime")?;
        writeln!(out, "{}", hanging("    soft: ", &soft, width))?;
        writeln!(out, "{}", hanging("    hard: ", &hard, width))?;
    }
    if let Some(name) = &rule.fix.remove {
        writeln!(out, "  delete the line that sets {name}")?;
    }
    for words in [rule.fix.application, rule.fix.ask, rule.fix.also] {
        if !words.is_empty() {
            writeln!(out, "{}", wrapped(words, "  ", width))?;
        }
    }
    if !rule.fix.cost.is_empty() {
        writeln!(out, "{}", wrapped(&format!("cost: {}", rule.fix.cost), "  ", width))?;
    }
    writeln!(out, "  acts {}", rule.takes_effect.words())?;
    if !rule.fix.prove.is_empty() {
        writeln!(out, "  prove: {}", rule.fix.prove)?;
    }
    if !doc.links.is_empty() {
        writeln!(out, "\nRead more")?;
        for link in &doc.links {
            writeln!(out, "  {link}")?;
        }
    }
    Ok(())
}

fn indented(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("  {line}") })
        .collect::<Vec<_>>()
        .join("\n")
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
    for entry in &catalogue.0 {
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
