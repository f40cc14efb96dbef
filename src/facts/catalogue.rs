//! The entries of all sources and formulas, numbered by the compiler.

use super::derive::{self, Formula};
use super::{SOURCES, Source, peer, workload};
use crate::model::catalogue::{Catalogue, Entry, by_name, slots};
use crate::model::facts::Facts;

/// Entries that belong to no source: about the place, declared by the user, or said by a peer.
const DECLARED: [&[Entry]; 3] = [derive::PLACE, workload::ENTRIES, peer::ENTRIES];

/// Every fact that is known by name.
pub fn catalogue() -> &'static Catalogue {
    static ENTRIES: [&Entry; COUNT] = by_name(collected().0);
    static SLOTS: [u16; 1024] = slots(&ENTRIES);
    static CATALOGUE: Catalogue = Catalogue::new(&ENTRIES, &SLOTS);
    &CATALOGUE
}

/// No fact yet of those that the catalogue knows.
pub fn none() -> Facts {
    Facts::new(catalogue())
}

/// How many facts are known by name.
const COUNT: usize = {
    let mut count = 0;
    let mut sources = SOURCES;
    while let [Source { entries, .. }, rest @ ..] = sources {
        count += entries.len();
        sources = rest;
    }
    let mut groups = derive::FORMULAS;
    while let [formulas, rest @ ..] = groups {
        count += formulas.len();
        groups = rest;
    }
    let [place, workload, peer] = DECLARED;
    count + place.len() + workload.len() + peer.len()
};

/// Entries, as many as were found so far.
struct Collected([&'static Entry; COUNT], usize);

impl Collected {
    #[expect(clippy::indexing_slicing, reason = "it runs while compiling")]
    const fn push(&mut self, entry: &'static Entry) {
        self.0[self.1] = entry;
        self.1 += 1;
    }

    const fn extend(&mut self, mut entries: &'static [Entry]) {
        while let [entry, rest @ ..] = entries {
            self.push(entry);
            entries = rest;
        }
    }
}

/// All entries: those of each source, of what is declared, and of each formula.
const fn collected() -> Collected {
    let [place, workload, peer] = DECLARED;
    let mut found = match place {
        [any, ..] => Collected([any; COUNT], 0),
        [] => unreachable!(),
    };
    let mut sources = SOURCES;
    while let [Source { entries, .. }, rest @ ..] = sources {
        found.extend(entries);
        sources = rest;
    }
    found.extend(place);
    found.extend(workload);
    found.extend(peer);
    let mut groups = derive::FORMULAS;
    while let [formulas, rest @ ..] = groups {
        let mut left: &'static [Formula] = formulas;
        while let [Formula { entry, .. }, more @ ..] = left {
            found.push(entry);
            left = more;
        }
        groups = rest;
    }
    found
}
