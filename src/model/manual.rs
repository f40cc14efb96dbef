//! The tuning manual, row by row: what it says, and what is done about it beside the rules that name the row.

use serde::{Deserialize, Serialize};

/// The manual: its sections in order.
#[derive(Clone, Debug, Default)]
pub struct Manual(pub Vec<Section>);

/// A section, with its rows in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Its number: `1`, `3.2`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Its statements.
    pub rows: Vec<Row>,
}

/// A statement of the manual.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The section's number and a place in it, or the number alone where the section is one statement: `1.3`, `3.2.1`.
    pub id: &'static str,
    /// A word or two: the setting, the command.
    pub name: &'static str,
    /// What the manual says, in other words.
    pub says: &'static str,
    /// What of the command line serves it.
    pub verbs: Vec<Verb>,
    /// Why it is done in another way, or not at all; empty where it is not so.
    pub departs: &'static str,
}

/// A command that serves a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verb {
    /// The words after `tunecheck`; those in capitals stand for something.
    pub verb: &'static str,
    /// What it gives.
    pub gives: &'static str,
}

impl Manual {
    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.0.iter().flat_map(|section| &section.rows)
    }

    /// The row of this id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows().find(|row| row.id == id)
    }

    /// What is wrong with the rows that a rule names, as `1.3, 3.5.1`, if anything is.
    pub fn fault(&self, named: &str) -> Option<String> {
        let ids: Vec<&str> = ids(named).collect();
        ids.iter().enumerate().find_map(|(at, id)| match self.row(id) {
            None => Some(self.lacks(id)),
            Some(_) if ids.iter().take(at).any(|before| before == id) => Some(format!("{id} is named twice")),
            Some(_) => None,
        })
    }

    /// The sentence for an id that is that of no row: which there are where it points to, else which sections there are.
    pub fn lacks(&self, id: &str) -> String {
        let near = self.0.iter().find(|section| is_at(id, section.id));
        let (of, there) = match near {
            Some(section) => {
                (format!("section {} has", section.id), section.rows.iter().map(|row| row.id).collect::<Vec<_>>())
            }
            None => ("its sections are".to_owned(), self.0.iter().map(|section| section.id).collect()),
        };
        let id: String = id.chars().take(40).collect();
        format!("the manual has no row {id:?}: {of} {}", there.join(", "))
    }
}

/// The ids in the field of a rule, `1.3, 3.5.1`.
pub fn ids(named: &str) -> impl Iterator<Item = &str> {
    named.split(',').map(str::trim).filter(move |_| !named.trim().is_empty())
}

/// Whether an id is this one or lies below it: `3.2.1` is at `3.2` and at `3`.
pub fn is_at(id: &str, top: &str) -> bool {
    id.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manual() -> Manual {
        let row = |id| Row { id, name: "", says: "", verbs: Vec::new(), departs: "" };
        let section =
            |id, rows: &[&'static str]| Section { id, title: "", rows: rows.iter().map(|id| row(*id)).collect() };
        Manual(vec![section("1", &["1.1", "1.10"]), section("3.2", &["3.2.1", "3.2.2"]), section("3.4", &["3.4"])])
    }

    #[test]
    fn a_rule_names_rows_that_exist_and_each_once() {
        let fault = |named: &str| manual().fault(named);
        for right in ["", " ", "1.1", "1.10, 3.2.1,3.4"] {
            assert_eq!(fault(right), None, "{right}");
        }
        assert_eq!(fault("1.1, 3.4, 1.1").unwrap(), "1.1 is named twice");
        assert_eq!(fault("1.1, 3.2").unwrap(), "the manual has no row \"3.2\": section 3.2 has 3.2.1, 3.2.2");
        assert_eq!(fault("3.2.9").unwrap(), "the manual has no row \"3.2.9\": section 3.2 has 3.2.1, 3.2.2");
        for nowhere in ["9.9", "3", "3.20", "1.1,,3.4", "1.1,", "x"] {
            assert!(fault(nowhere).unwrap().ends_with("its sections are 1, 3.2, 3.4"), "{nowhere}");
        }
    }

    #[test]
    fn an_id_lies_below_whole_numbers_only() {
        assert!(is_at("3.2.1", "3") && is_at("3.2.1", "3.2") && is_at("3.4", "3.4"));
        assert!(!is_at("1.10", "1.1") && !is_at("3", "3.2") && !is_at("3.20", "3.2"));
    }
}
