//! Host to facts: one file per source, each with the entries of the catalogue that it fills.
//!
//! [`gather`] asks the host only for what is wanted. [`derive()`] is pure: it explains gaps and computes the facts that
//! follow from others.

mod allowance;
mod boot;
mod bridge;
mod bursts;
mod catalogue;
mod cgroup;
mod connections;
mod conntrack;
mod counters;
mod derive;
mod devices;
mod fds;
mod files;
mod holders;
mod inotify;
mod kernel;
mod keys;
mod listeners;
mod memory;
mod neighbours;
mod over;
mod owners;
mod peer;
mod pressure;
mod process;
mod qdiscs;
mod resolver;
mod reverse_path;
mod route;
mod runtime;
mod signs;
mod sockstat;
mod softnet;
mod stat_table;
mod sysctl;
mod tuned;
mod udp;
mod units;
mod unix;
mod user;
mod wanted;
mod workload;

use std::borrow::Cow;

pub use catalogue::{catalogue, none};
pub use derive::{derive, inputs};
pub use over::{narrow, parts_of};
pub use sysctl::parse as parse_sysctl;
pub use units::{UnitLimits, nofile as unit_nofile};
pub use wanted::Wanted;
pub use workload::{declare, looking_for};

use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Value};
use crate::model::facts::{Facts, Name};

/// One source of facts: the families it fills, and how.
struct Source {
    /// Names up to the first dot or bracket.
    families: &'static [&'static str],
    /// Fills every wanted fact of these families, with a value or a gap.
    read: fn(&mut Gather<'_>),
    /// What is known about each fact.
    entries: &'static [Entry],
}

/// Every source. `boot` compares with what `sysctl` read, on the kernel of `kernel`; `owners` looks for what `listeners` read, `user` counts only if
/// what `memory` read is many, and `connections` comes after all that it needs.
const SOURCES: &[Source] = &[
    kernel::SOURCE,
    sysctl::SOURCE,
    boot::SOURCE,
    process::SOURCE,
    files::SOURCE,
    units::SOURCE,
    keys::SOURCE,
    counters::SOURCE,
    sockstat::SOURCE,
    conntrack::SOURCE,
    softnet::SOURCE,
    devices::SOURCE,
    qdiscs::SOURCE,
    allowance::SOURCE,
    neighbours::SOURCE,
    route::SOURCE,
    reverse_path::SOURCE,
    bridge::SOURCE,
    listeners::SOURCE,
    owners::SOURCE,
    holders::SOURCE,
    udp::SOURCE,
    unix::SOURCE,
    memory::SOURCE,
    user::SOURCE,
    pressure::SOURCE,
    fds::SOURCE,
    cgroup::SOURCE,
    connections::SOURCE,
    signs::SOURCE,
    inotify::SOURCE,
    tuned::SOURCE,
    resolver::SOURCE,
    runtime::SOURCE,
];

/// Reads every wanted fact that is not known yet, and those it is computed from. A fact that cannot be read is recorded
/// with the cause; nothing stops the rest.
pub fn gather(host: &dyn Host, wanted: Wanted, facts: &mut Facts) {
    let mut wanted = derive::with_inputs(wanted);
    boot::recall(facts, &wanted);
    wanted.retain(|name| !was_read(facts, name));
    let mut gather = Gather { host, wanted, facts: std::mem::replace(facts, none()) };
    for source in SOURCES {
        if source.families.iter().any(|family| gather.wants_any(family)) {
            (source.read)(&mut gather);
        }
    }
    *facts = gather.facts;
}

/// Whether a name was read before; for a name with a subject, whether that of any subject was.
fn was_read(facts: &Facts, name: &str) -> bool {
    match (name.split_once('['), name.rsplit_once(']')) {
        (Some((family, _)), Some((_, key))) => facts.any_of(&format!("{family}["), &format!("]{key}")),
        _ => facts.get(name).is_some(),
    }
}

/// The work of reading facts: where to ask, what is wanted, what was found.
struct Gather<'a> {
    host: &'a dyn Host,
    wanted: Wanted,
    facts: Facts,
}

impl Gather<'_> {
    /// Wanted names of a family.
    fn wanted(&self, family: &str) -> Vec<Name> {
        self.wanted.of_family(family).collect()
    }

    fn wants_any(&self, family: &str) -> bool {
        self.wanted.of_family(family).next().is_some()
    }

    fn wants(&self, name: &str) -> bool {
        self.wanted.contains(name)
    }

    /// Records a fact and where it was read.
    fn put(&mut self, name: impl Into<Name>, reading: Reading, source: impl Into<Name>) {
        self.facts.put(name, reading, source);
    }

    /// Fills every wanted name of a family from one file: `pick` finds the name's value in the parsed content.
    fn fill<T>(
        &mut self,
        family: &str,
        path: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
        pick: impl Fn(&T, &str) -> Option<i128>,
    ) {
        self.fill_with(family, path, parse, |content, key| pick(content, key).map(|number| Ok(Value::Number(number))));
    }

    /// As [`Self::fill`], for values that may be there and not parse.
    fn fill_with<T>(
        &mut self,
        family: &str,
        path: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
        pick: impl Fn(&T, &str) -> Option<Reading>,
    ) {
        let names = self.wanted(family);
        if names.is_empty() {
            return;
        }
        let parsed = match self.host.read(path) {
            Ok(bytes) => parse(&bytes).ok_or_else(|| Gap::unparsable(path, &bytes)),
            Err(refusal) => Err(refusal.gap(path)),
        };
        for name in names {
            let key = name.get(family.len() + 1..).unwrap_or_default();
            let reading = match &parsed {
                Ok(content) => pick(content, key)
                    .unwrap_or_else(|| Err(Gap::new(Cause::Absent, format!("{path} of this kernel has no {key}")))),
                Err(gap) => Err(gap.clone()),
            };
            self.put(name, reading, path);
        }
    }
}

/// Bytes of the kernel as text. Almost always they are ASCII, and the strict check is far quicker than the lossy one.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The number that a text starts with, blanks aside.
fn number(text: &str) -> Option<i128> {
    text.split_whitespace().next()?.parse().ok()
}
