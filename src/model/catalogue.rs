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

/// The number of a fact that has an entry of its own: its place among all entries, in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactId(u16);

impl FactId {
    /// The number, to index with.
    pub fn index(self) -> usize {
        self.0.into()
    }
}

/// All entries, by name, and a table that finds one by the hash of its name. Both are made by the compiler.
#[derive(Debug)]
pub struct Catalogue {
    entries: &'static [&'static Entry],
    /// Open addressing: the number of an entry plus one, or 0 where there is none. As many as a power of two.
    slots: &'static [u16],
}

impl Catalogue {
    /// No entry.
    pub const EMPTY: &'static Self = &Self { entries: &[], slots: &[] };

    /// Entries in the order of names ([`by_name`]) with their table ([`slots`]).
    pub const fn new(entries: &'static [&'static Entry], slots: &'static [u16]) -> Self {
        Self { entries, slots }
    }

    /// All entries, by name.
    pub fn entries(&self) -> &'static [&'static Entry] {
        self.entries
    }

    /// The number of the entry of just this name.
    pub fn id(&self, name: &str) -> Option<FactId> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash(name.as_bytes()) as usize & mask;
        loop {
            let number = self.slots.get(at)?.checked_sub(1)?;
            if self.entries.get(usize::from(number))?.name == name {
                return Some(FactId(number));
            }
            at = (at + 1) & mask;
        }
    }

    /// The name of an entry.
    pub fn name(&self, id: FactId) -> &'static str {
        self.entries.get(id.index()).map_or("", |entry| entry.name)
    }

    /// The numbers of the entries whose names start so.
    pub fn starting_with(&self, start: &str) -> impl Iterator<Item = FactId> + use<'_> {
        let first = self.entries.partition_point(|entry| entry.name < start);
        let rest = self.entries.get(first..).unwrap_or_default();
        let count = rest.partition_point(|entry| entry.name.starts_with(start));
        (first..first + count).filter_map(|at| u16::try_from(at).ok()).map(FactId)
    }

    /// The entry for a name: the exact one, or else the family it falls in. A subject in brackets matches `[*]`.
    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        let general = generalised(name);
        let name = general.as_deref().unwrap_or(name);
        if let Some(id) = self.id(name) {
            return self.entries.get(id.index()).copied();
        }
        let of_family = |entry: &&&Entry| entry.name.strip_suffix('*').is_some_and(|family| under(family, name));
        self.entries.iter().find(of_family).copied()
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

/// FNV-1a, of 32 bits.
const fn hash(name: &[u8]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut rest = name;
    while let [byte, more @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = more;
    }
    hash
}

/// Whether one name comes before another, as `str` has it.
const fn precedes(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([a, more @ ..], [b, rest @ ..]) = (one, other) {
        if *a != *b {
            return *a < *b;
        }
        (one, other) = (more, rest);
    }
    one.len() < other.len()
}

/// Entries in the order of their names.
///
/// # Panics
/// While compiling, if two have the same name.
#[expect(clippy::indexing_slicing, clippy::panic, reason = "it runs while compiling")]
pub const fn by_name<const N: usize>(mut entries: [&'static Entry; N]) -> [&'static Entry; N] {
    // Each source and formula has its entries nearly in order, so that few are moved far.
    let mut sorted = 1;
    while sorted < N {
        let mut at = sorted;
        while at > 0 && precedes(entries[at].name, entries[at - 1].name) {
            (entries[at], entries[at - 1]) = (entries[at - 1], entries[at]);
            at -= 1;
        }
        if at > 0 && !precedes(entries[at - 1].name, entries[at].name) {
            panic!("two facts have one name");
        }
        sorted += 1;
    }
    entries
}

/// The table of [`Catalogue::id`]. `M` is a power of two, and at least twice the number of entries.
#[expect(clippy::indexing_slicing, reason = "it runs while compiling")]
pub const fn slots<const N: usize, const M: usize>(entries: &[&'static Entry; N]) -> [u16; M] {
    assert!(M.is_power_of_two() && M >= 2 * N && N < u16::MAX as usize, "the table is too small");
    let mut slots = [0; M];
    let mut number = 0;
    while number < N {
        let mut at = hash(entries[number].name.as_bytes()) as usize & (M - 1);
        while slots[at] != 0 {
            at = (at + 1) & (M - 1);
        }
        number += 1;
        slots[at] = number as u16;
    }
    slots
}
