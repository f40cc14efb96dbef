//! Connection tracking: fill, size and per-CPU counters. Never the table itself.

use super::stat_table::StatTable;
use super::{Gather, Source};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit, Value};

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
            "tracked connections of this network namespace",
        ),
        entry(
            "conntrack.max",
            Scope::Host,
            "/proc/sys/net/netfilter",
            "most tracked connections per network namespace; 0 in the kernel is unlimited",
        ),
        entry("conntrack.buckets", Scope::Host, "/proc/sys/net/netfilter", "buckets of the conntrack hash"),
        entry(
            "conntrack.stat.drop",
            Scope::Netns,
            STAT,
            "packets dropped: the table was full, or two raced for one entry",
        ),
        entry("conntrack.stat.early_drop", Scope::Netns, STAT, "entries thrown out early to make room"),
        entry("conntrack.stat.insert_failed", Scope::Netns, STAT, "entries that lost a race for their place"),
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
    gather.fill("conntrack.stat", STAT, StatTable::parse, StatTable::figure);
}
