//! Every fact that is known by name, with its unit and its source document.

use super::fact::{Scope, Unit};
use super::facts::generalised;

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

fn under(family: &str, name: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| !rest.is_empty())
}
