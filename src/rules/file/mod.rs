//! Rule and workload files as they are typed, and what they mean.
//!
//! The only place where YAML is parsed. Unknown keys and duplicate keys are refused.

mod lookalikes;
mod manual;
mod meaning;
mod typed;
mod words;
mod workload;

use std::collections::BTreeSet;

use serde::Deserialize;

pub use lookalikes::lookalikes;
pub use manual::manual;
use typed::RuleFile;
pub use workload::{traffic, workload};

use crate::model::bounds;
use crate::model::mismatch::without_content;
use crate::model::rule::{Doc, Rule};

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
            if depth > bounds::RULE_DEPTH.count() {
                let what = format!("brackets nest deeper than {}", bounds::RULE_DEPTH);
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
        Problem { line: again.map(|(index, _)| index + 1).or(line), what: without_content(what) }
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
