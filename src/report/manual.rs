//! The tuning manual, row by row, for people: what it says, and what is done about it.

use std::fmt::{self, Write};

use super::text::{hanging, one_line, sanitized, wrapped};
use crate::model::manual::{Manual, Row, ids, is_at};
use crate::model::rule::Rule;

/// What the whole of it is.
const ABOUT: &str = "What the tuning manual says, row by row, and what tunecheck does about it: the rules of an audit, a verb \
                     of the command line, or why it departs.";
/// Columns of a row's id, and of what stands under it.
const INDENT: usize = 9;

/// The rows at these ids, or all of them, under the titles of their sections.
pub fn print<'a>(manual: &Manual, rules: impl Iterator<Item = &'a Rule>, tops: &[&str], width: u16) -> String {
    let rules: Vec<&Rule> = rules.filter(|rule| !rule.manual.is_empty()).collect();
    let asked = |id: &str| tops.is_empty() || tops.iter().any(|top| is_at(id, top));
    let mut out = String::new();
    // Writing to a String cannot fail.
    if tops.is_empty() {
        let _ = writeln!(out, "{}", wrapped(ABOUT, "", width.into()));
    }
    for section in &manual.0 {
        let rows: Vec<&Row> = section.rows.iter().filter(|row| asked(row.id)).collect();
        if rows.is_empty() {
            continue;
        }
        let before = if out.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{before}Section {}  {}", section.id, section.title);
        for row in rows {
            let _ = write_row(&mut out, row, &rules, width.into());
        }
    }
    sanitized(&out).into_owned()
}

fn write_row(out: &mut String, row: &Row, rules: &[&Rule], width: usize) -> fmt::Result {
    writeln!(out, "\n  {:<7}{}", row.id, row.name)?;
    let blanks = " ".repeat(INDENT);
    writeln!(out, "{}", hanging(&blanks, row.says, width))?;
    let mut line =
        |label: &str, words: &str| writeln!(out, "{}", hanging(&format!("{blanks}{label:<9}"), words, width));
    let encodes = |rule: &&&Rule| ids(rule.manual).any(|id| id == row.id);
    let named: Vec<String> = rules.iter().filter(encodes).map(|rule| one_line(rule.id)).collect();
    if !named.is_empty() {
        line("rule", &named.join(", "))?;
    }
    for verb in &row.verbs {
        line("verb", &format!("{}: {}", verb.verb, verb.gives))?;
    }
    if !row.departs.is_empty() {
        line("departs", row.departs)?;
    }
    Ok(())
}
