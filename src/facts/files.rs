//! Open file descriptions of the whole host.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const PATH: &str = "/proc/sys/fs/file-nr";

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/admin-guide/sysctl/fs.html";
    Entry { name, unit: Unit::Count, scope: Scope::Host, meaning, read: PATH, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["file"],
    read,
    entries: &[
        entry("file.allocated", "open file descriptions on the host"),
        entry("file.max", "most open file descriptions on the host (fs.file-max)"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    gather.fill("file", PATH, numbers, |&[allocated, _, max], key| match key {
        "allocated" => Some(allocated),
        "max" => Some(max),
        _ => None,
    });
}

/// Allocated, always 0, most.
fn numbers(bytes: &[u8]) -> Option<[i128; 3]> {
    let text = text(bytes);
    let mut words = text.split_whitespace().map(str::parse);
    let mut next = || words.next()?.ok();
    Some([next()?, next()?, next()?])
}
