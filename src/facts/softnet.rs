//! Packets dropped before any socket saw them.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const PATH: &str = "/proc/net/softnet_stat";

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/networking/scaling.html";
    Entry { name, unit: Unit::Count, scope: Scope::Host, meaning, read: PATH, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["softnet"],
    read,
    entries: &[
        entry("softnet.processed", "packets taken from the input queues"),
        entry("softnet.dropped", "packets dropped because a CPU's input queue was full"),
        entry("softnet.time_squeeze", "softirq runs that ended with work left"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    gather.fill("softnet", PATH, columns, |totals, key| {
        let at = ["processed", "dropped", "time_squeeze"].iter().position(|name| *name == key)?;
        totals.get(at).copied()
    });
}

/// The first three columns, each added up over the CPUs. There is no header; the order is that of net/core/net-procfs.c.
fn columns(bytes: &[u8]) -> Option<[i128; 3]> {
    let text = text(bytes);
    let mut totals = [0; 3];
    for line in text.lines() {
        let mut cells = line.split_whitespace();
        for total in &mut totals {
            *total += i128::from(u32::from_str_radix(cells.next()?, 16).ok()?);
        }
    }
    text.lines().next().map(|_| totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_cpus_add_up() {
        assert_eq!(columns(b"0000000a 00000001 00000002 0\n0000000a 00000168 00000000 0\n"), Some([20, 361, 2]));
        assert_eq!(columns(b""), None);
        assert_eq!(columns(b"0000000a 00000001\n"), None);
    }
}
