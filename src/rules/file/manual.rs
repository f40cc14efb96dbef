//! The table of the manual's rows, as it is typed.

use serde::Deserialize;

use super::{Problem, kept, parse};
use crate::model::manual::{Manual, Row, Section, Verb, is_at};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionFile {
    section: String,
    title: String,
    rows: Vec<RowFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    id: String,
    name: String,
    says: String,
    #[serde(default)]
    verbs: Vec<VerbFile>,
    #[serde(default)]
    departs: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerbFile {
    verb: String,
    gives: String,
}

/// Reads the table of the manual's rows.
///
/// # Errors
/// What is no table, or a row that is out of its section or there twice, with the line where that is known.
pub fn manual(text: &str) -> Result<Manual, Problem> {
    let typed: Vec<SectionFile> = parse(text)?;
    let manual = Manual(typed.into_iter().map(Section::from).collect());
    for section in &manual.0 {
        for row in &section.rows {
            let same = manual.rows().filter(|other| is_at(other.id, row.id)).count();
            if same != 1 || !is_at(row.id, section.id) {
                let what = format!("{} is not once in the table, or not below section {}", row.id, section.id);
                return Err(Problem::at(text, row.id, what));
            }
        }
    }
    Ok(manual)
}

impl From<SectionFile> for Section {
    fn from(typed: SectionFile) -> Self {
        let rows = typed.rows.into_iter().map(Row::from).collect();
        Self { id: kept(typed.section), title: kept(typed.title), rows }
    }
}

impl From<RowFile> for Row {
    fn from(typed: RowFile) -> Self {
        let verb = |typed: VerbFile| Verb { verb: kept(typed.verb), gives: kept(typed.gives) };
        Self {
            id: kept(typed.id),
            name: kept(typed.name),
            says: kept(typed.says),
            verbs: typed.verbs.into_iter().map(verb).collect(),
            departs: kept(typed.departs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_in_its_section_and_there_once() {
        let table = |rows: &str| manual(&format!("- section: '3.2'\n  title: t\n  rows:\n{rows}"));
        let row = |id: &str| format!("  - {{ id: '{id}', name: n, says: s }}\n");
        let ids = |rows: &str| table(rows).map(|manual| manual.rows().map(|row| row.id).collect::<Vec<_>>());
        assert_eq!(ids(&(row("3.2.1") + &row("3.2.2"))).unwrap(), ["3.2.1", "3.2.2"]);
        assert_eq!(ids(&row("3.2")).unwrap(), ["3.2"]);
        for (rows, line) in
            [(row("3.2.1") + &row("3.2.1"), 4), (row("3.2.1") + &row("3.3"), 5), (row("3.2") + &row("3.2.1"), 1)]
        {
            let problem = table(&rows).unwrap_err();
            assert_eq!(problem.line, Some(line), "{rows}: {}", problem.what);
        }
        assert!(table("  - { id: '3.2', name: n, says: s, rule: r }\n").unwrap_err().what.contains("unknown field"));
    }
}
