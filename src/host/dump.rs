//! The output of `sysctl -a`, as a host that knows nothing else.

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::{Answer, Ask, Host, Query, Refusal};
use crate::model::sysctl;

/// Families that a whole `sysctl -a` of any kernel has.
const FAMILIES: [&str; 4] = ["fs.", "kernel.", "net.", "vm."];
/// Fewer names than this are no whole dump: the smallest seen, of a 5.10 kernel in a network namespace, has some 600.
const WHOLE: usize = 300;

/// A parsed dump. Lines that are not `name = value` are counted and left out.
#[derive(Debug, Default)]
pub struct Dump {
    name: String,
    values: BTreeMap<String, String>,
    odd_lines: usize,
    /// Whether what it lacks the kernel or the namespace lacks too.
    whole: bool,
}

impl Dump {
    /// Parses a dump of any bytes. `name` is what the report calls it.
    pub fn parse(name: &str, bytes: &[u8]) -> Self {
        let mut dump = Self { name: name.to_owned(), ..Self::default() };
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
            match line.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() && !key.trim().contains(char::is_whitespace) => {
                    dump.values.insert(sysctl::path(key.trim()), value.trim().to_owned());
                }
                _ => dump.odd_lines += 1,
            }
        }
        dump.whole = dump.missing().is_empty();
        dump
    }

    /// Whether there is no value at all in it.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value at a path below /proc/sys.
    pub(super) fn value(&self, path: &str) -> Option<&str> {
        self.values.get(path).map(String::as_str)
    }

    /// What makes the dump look partial, if anything does.
    fn missing(&self) -> Vec<String> {
        let lacks = |family: &&&str| {
            let folder = format!("/proc/sys/{}/", family.trim_end_matches('.'));
            !self.values.keys().any(|path| path.starts_with(&folder))
        };
        let mut missing: Vec<String> =
            FAMILIES.iter().filter(lacks).map(|family| format!("it has no {family}* names")).collect();
        if self.values.len() < WHOLE {
            missing.push(format!("it has {} names where a whole dump has {WHOLE} and more", self.values.len()));
        }
        if self.odd_lines > 0 {
            missing.push(format!("{} lines are not NAME = VALUE", self.odd_lines));
        }
        missing
    }
}

impl Host for Dump {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read if query.of.starts_with("/proc/sys/") => match self.values.get(query.of) {
                Some(value) => Ok(value.clone().into_bytes()),
                None if self.whole => Err(Refusal::Errno(Errno::ENOENT as i32)),
                None => Err(Refusal::Unsupported("this dump does not hold it".into())),
            },
            _ => Err(Refusal::Unsupported("a sysctl dump cannot tell".into())),
        }
    }

    fn source(&self) -> String {
        format!("sysctl dump {}", self.name)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "A sysctl dump holds settings only: limits, listeners, counters, usage, cgroups and boot configuration are unknown."
                .to_owned(),
        ];
        let missing = self.missing();
        if !missing.is_empty() {
            notes.push(format!("The dump looks partial: {}.", missing.join("; ")));
        }
        notes
    }
}
