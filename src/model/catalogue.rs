//! Every fact that is known by name, with its unit and its source document.

use super::fact::{Scope, Unit, Value};
use super::facts::{Facts, generalised, humane, placeholders_filled, with_subject};

/// One fact, or one family of facts.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name. `*` at the end stands for any name the kernel gives, `[*]` for each subject.
    pub name: &'static str,
    /// What its number counts.
    pub unit: Unit,
    /// Whose value it is.
    pub scope: Scope,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// Where it is read, or how it is derived.
    pub read: &'static str,
    /// The document that describes it.
    pub document: &'static str,
}

/// All entries.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(pub Vec<&'static Entry>);

impl Catalogue {
    /// The entry for a name: the exact one, or else the family it falls in. A subject in brackets matches `[*]`.
    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        let general = generalised(name);
        let name = general.as_deref().unwrap_or(name);
        let mut all = self.0.iter().copied();
        let exact = all.clone().find(|entry| entry.name == name);
        exact.or_else(|| all.find(|entry| entry.name.strip_suffix('*').is_some_and(|family| under(family, name))))
    }
}

impl Catalogue {
    /// A fact's value as a person reads it, or why there is none.
    pub fn shown(&self, facts: &Facts, name: &str, subject: Option<&str>) -> String {
        let name = with_subject(name, subject);
        let unit = self.find(&name).map_or(Unit::Count, |entry| entry.unit);
        match facts.value(&name) {
            Ok(Value::Text(text)) => text.clone(),
            Ok(value) => humane(value, unit),
            Err(gap) => format!("({})", gap.why),
        }
    }

    /// A sentence of a rule with the values of its `{fact}`s in it.
    pub fn filled(&self, text: &str, facts: &Facts, subject: Option<&str>) -> String {
        placeholders_filled(text, |name| self.shown(facts, name, subject))
    }
}

fn under(family: &str, name: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| !rest.is_empty())
}
