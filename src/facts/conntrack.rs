//! Connection tracking: fill, size and per-CPU counters. Never the table itself.

use super::stat_table::StatTable;
use super::{Gather, Source, number};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};

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
        entry("conntrack.stat.drop", Scope::Netns, STAT, "packets dropped because the table was full"),
        entry("conntrack.stat.early_drop", Scope::Netns, STAT, "entries thrown out early to make room"),
        entry("conntrack.stat.insert_failed", Scope::Netns, STAT, "entries that lost a race for their place"),
        entry("conntrack.stat.*", Scope::Netns, STAT, "any other column, by its name in the header"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for key in ["count", "max", "buckets"] {
        let name = format!("conntrack.{key}");
        if gather.wants(&name) {
            let path = format!("/proc/sys/net/netfilter/nf_conntrack_{key}");
            let reading = match gather.host.read(&path) {
                Ok(bytes) => match number(&String::from_utf8_lossy(&bytes)) {
                    Some(0) if key == "max" => Ok(Value::Unlimited),
                    Some(n) => Ok(Value::Number(n)),
                    None => Err(Gap::unparsable(&path, &bytes)),
                },
                Err(refusal) => Err(refusal.gap(&path)),
            };
            gather.put(name, reading, path);
        }
    }
    if gather.wanted("conntrack.stat").next().is_some() {
        gather.from_file("conntrack.stat", STAT, StatTable::parse, StatTable::figure);
    }
}
