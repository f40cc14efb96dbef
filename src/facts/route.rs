//! The cache of IPv6 routes.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const RT6: &str = "/proc/net/rt6_stats";

pub(super) const SOURCE: Source = Source {
    families: &["route"],
    read,
    entries: &[Entry {
        name: "route.ipv6.entries",
        unit: Unit::Count,
        scope: Scope::Netns,
        meaning: "IPv6 destinations that are held in memory",
        read: RT6,
        document: "https://docs.kernel.org/networking/ip-sysctl.html",
    }],
};

fn read(gather: &mut Gather<'_>) {
    gather.fill("route.ipv6", RT6, entries, |entries, key| (key == "entries").then_some(*entries));
}

/// The sixth of seven hexadecimal numbers: net/ipv6/route.c, rt6_stats_seq_show().
fn entries(bytes: &[u8]) -> Option<i128> {
    let text = text(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, _, _, _, _, entries, _] = *words else { return None };
    u32::from_str_radix(entries, 16).ok().map(i128::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_the_sixth_number() {
        assert_eq!(entries(b"0009 0006 000a 0007 0000 0ffa 0000\n"), Some(4090));
        assert_eq!(entries(b"0009 0006 000a\n"), None);
        assert_eq!(entries(b""), None);
    }
}
