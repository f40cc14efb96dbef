//! The neighbour tables: one for the whole host, whatever namespace asks.

use super::stat_table::StatTable;
use super::{Gather, Source};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const fn entry(name: &'static str, read: &'static str, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/networking/ip-sysctl.html";
    Entry { name, unit: Unit::Count, scope: Scope::Host, meaning, read, document }
}

const ARP: &str = "/proc/net/stat/arp_cache";
const NDISC: &str = "/proc/net/stat/ndisc_cache";

pub(super) const SOURCE: Source = Source {
    families: &["neigh"],
    read,
    entries: &[
        entry("neigh.arp_cache.entries", ARP, "IPv4 neighbours, those outside garbage collection included"),
        entry("neigh.arp_cache.table_fulls", ARP, "times the IPv4 neighbour table was full"),
        entry("neigh.arp_cache.*", ARP, "any other column, by its name in the header"),
        entry("neigh.ndisc_cache.entries", NDISC, "IPv6 neighbours, those outside garbage collection included"),
        entry("neigh.ndisc_cache.table_fulls", NDISC, "times the IPv6 neighbour table was full"),
        entry("neigh.ndisc_cache.*", NDISC, "any other column, by its name in the header"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for (family, path) in [("neigh.arp_cache", ARP), ("neigh.ndisc_cache", NDISC)] {
        gather.fill(family, path, StatTable::parse, StatTable::figure);
    }
}
