//! Which facts somebody wants.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::catalogue::catalogue;
use crate::model::catalogue::FactId;
use crate::model::facts::Name;

/// Names of facts that somebody wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whether one that the catalogue knows is wanted, at its number.
    known: Vec<bool>,
    /// All others.
    others: BTreeSet<Name>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { known: vec![false; catalogue().entries().len()], others: BTreeSet::new() }
    }
}

impl Wanted {
    /// Wants one more.
    pub fn insert(&mut self, name: impl Into<Name>) {
        let name = name.into();
        let own = catalogue().id(&name).and_then(|id| self.known.get_mut(id.index()));
        match own {
            Some(wanted) => *wanted = true,
            None => drop(self.others.insert(name)),
        }
    }

    /// Wants one no longer.
    pub(super) fn remove(&mut self, name: &str) {
        let own = catalogue().id(name).and_then(|id| self.known.get_mut(id.index()));
        match own {
            Some(wanted) => *wanted = false,
            None => drop(self.others.remove(name)),
        }
    }

    /// Whether this one is wanted.
    pub fn contains(&self, name: &str) -> bool {
        match catalogue().id(name) {
            Some(id) => self.has(id),
            None => self.others.contains(name),
        }
    }

    fn has(&self, id: FactId) -> bool {
        self.known.get(id.index()).is_some_and(|wanted| *wanted)
    }

    /// Wants only those of its names for which this holds.
    pub(super) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        for (wanted, entry) in self.known.iter_mut().zip(catalogue().entries()) {
            *wanted = *wanted && keep(entry.name);
        }
        self.others.retain(|name| keep(name));
    }

    /// Names that start so: those of the catalogue first.
    pub(super) fn starting_with(&self, start: &str) -> impl Iterator<Item = Name> {
        let known = catalogue().starting_with(start).filter(|id| self.has(*id));
        let known = known.map(|id| Name::Borrowed(catalogue().name(id)));
        let others = self.others.range::<str, _>((Bound::Included(start), Bound::Unbounded));
        let start = start.to_owned();
        known.chain(others.take_while(move |name| name.starts_with(&start)).cloned())
    }

    /// Names whose first part, up to a dot or bracket, is this.
    pub(super) fn of_family(&self, family: &str) -> impl Iterator<Item = Name> {
        let length = family.len();
        self.starting_with(family).filter(move |name| matches!(name.as_bytes().get(length), None | Some(b'.' | b'[')))
    }
}

impl<N: Into<Name>> Extend<N> for Wanted {
    fn extend<I: IntoIterator<Item = N>>(&mut self, names: I) {
        names.into_iter().for_each(|name| self.insert(name));
    }
}

impl<N: Into<Name>, const COUNT: usize> From<[N; COUNT]> for Wanted {
    fn from(names: [N; COUNT]) -> Self {
        Self::from_iter(names)
    }
}

impl<N: Into<Name>> FromIterator<N> for Wanted {
    fn from_iter<I: IntoIterator<Item = N>>(names: I) -> Self {
        let mut wanted = Self::default();
        wanted.extend(names);
        wanted
    }
}
