//! Connection tracking: fill, size and per-CPU counters. Never the table itself.

use super::stat_table::StatTable;
use super::{Gather, Source};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const DOCUMENT: &str = "https://docs.kernel.org/networking/nf_conntrack-sysctl.html";
const STAT: &str = "/proc/net/stat/nf_conntrack";

const fn entry(name: &'static str, scope: Scope, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit: Unit::Count, scope, meaning, read, document: DOCUMENT }
}

pub(super) const SOURCE: Source = Source {
    families: &["conntrack"],
    read,
    entries: &[
        entry(
            "conntrack.count",
            Scope::Netns,
            "/proc/sys/net/netfilter",
            "tracked connections of this network namespace, expired ones that wait for the collector included",
        ),
        entry(
            "conntrack.max",
            Scope::Host,
            "/proc/sys/net/netfilter",
            "most tracked connections per network namespace; 0 is unlimited before 7.3, which takes no 0",
        ),
        entry("conntrack.buckets", Scope::Host, "/proc/sys/net/netfilter", "buckets of the conntrack hash"),
        entry(
            "conntrack.stat.drop",
            Scope::Netns,
            STAT,
            "packets dropped: the table was full, or another entry had the place",
        ),
        entry("conntrack.stat.early_drop", Scope::Netns, STAT, "entries thrown out early to make room"),
        entry(
            "conntrack.stat.insert_failed",
            Scope::Netns,
            STAT,
            "entries that were not inserted: the place was taken, the chain too long, or the entry dying",
        ),
        entry("conntrack.stat.invalid", Scope::Netns, STAT, "packets that fit no connection as conntrack knows it"),
        entry("conntrack.stat.*", Scope::Netns, STAT, "any other column, by its name in the header"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for (name, key) in [
        ("conntrack.count", "net.netfilter.nf_conntrack_count"),
        ("conntrack.max", "net.netfilter.nf_conntrack_max"),
        ("conntrack.buckets", "net.netfilter.nf_conntrack_buckets"),
    ] {
        if gather.wants(name) {
            let fact = super::sysctl::read_one(gather, key);
            let reading = match fact.reading {
                Ok(Value::Number(0)) if name == "conntrack.max" => Ok(Value::Unlimited),
                other => other,
            };
            gather.put(name, reading, fact.source);
        }
    }
    gather.fill_with("conntrack.stat", STAT, StatTable::parse, |table, key| {
        // The table is there, so something is tracked: that a column is missing is no reason to say otherwise.
        let unnamed = || Gap::new(Cause::Unsupported, format!("{STAT} of this kernel has no column {key}"));
        Some(table.figure(key).map(Value::Number).ok_or_else(unnamed))
    });
}
