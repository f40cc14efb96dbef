//! How names are looked up.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit, Value};

const PATH: &str = "/etc/resolv.conf";
/// A name of a service outside has two dots or so: `api.example.com`.
const DOTS_OUTSIDE: i128 = 2;

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/resolv.conf.5.html";
    Entry { name, unit, scope: Scope::Process, meaning, read: PATH, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["resolver"],
    read,
    entries: &[
        entry(
            "resolver.ndots",
            Unit::Mode,
            "dots that a name needs to be asked for as it stands, before the search list",
        ),
        entry("resolver.search", Unit::Count, "domains of the search list"),
        entry("resolver.nameservers", Unit::Count, "name servers that are listed"),
        entry("resolver.node_local", Unit::Count, "name servers with a link-local address: a cache on the node"),
        entry("resolver.queries", Unit::Count, "queries for one name outside, such as api.example.com, A and AAAA"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let found = gather.host.read(PATH).map(|bytes| Conf::parse(&text(&bytes))).map_err(|refusal| refusal.gap(PATH));
    for name in gather.wanted("resolver") {
        let reading = found.as_ref().map_err(Clone::clone).map(|conf| {
            Value::Number(match name.as_ref() {
                "resolver.search" => conf.search,
                "resolver.nameservers" => conf.nameservers,
                "resolver.node_local" => conf.node_local,
                "resolver.queries" => conf.queries(),
                _ => conf.ndots,
            })
        });
        gather.put(name, reading, PATH);
    }
}

#[derive(Debug, PartialEq)]
struct Conf {
    ndots: i128,
    search: i128,
    nameservers: i128,
    node_local: i128,
}

impl Conf {
    fn parse(text: &str) -> Self {
        let mut conf = Self { ndots: 1, search: 0, nameservers: 0, node_local: 0 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                // The last ndots counts, 15 at most; without one it is 1.
                Some("options") => {
                    let given = words.filter_map(|word| word.strip_prefix("ndots:")?.parse::<i128>().ok()).next_back();
                    conf.ndots = given.unwrap_or(conf.ndots).clamp(0, 15);
                }
                // The last of these two counts.
                Some("search") => conf.search = words.count() as i128,
                Some("domain") => conf.search = words.take(1).count() as i128,
                Some("nameserver") => {
                    let Some(address) = words.next() else { continue };
                    conf.nameservers += 1;
                    conf.node_local += i128::from(address.starts_with("169.254.") || address.starts_with("fe80:"));
                }
                _ => {}
            }
        }
        conf
    }

    /// A name with fewer dots is first tried with each domain of the list.
    fn queries(&self) -> i128 {
        if self.ndots > DOTS_OUTSIDE { self.search.saturating_add(1).saturating_mul(2) } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ndots_counts() {
        let ndots = |text: &str| Conf::parse(text).ndots;
        assert_eq!(ndots("nameserver 10.0.0.10\nsearch a.b\noptions ndots:5\n"), 5);
        assert_eq!(ndots("options timeout:1 ndots:2\noptions ndots:99\n"), 15);
        assert_eq!(ndots("# options ndots:5\nnameserver ::1\n"), 1);
        assert_eq!(ndots("options ndots:x"), 1);
    }

    #[test]
    fn a_pod_asks_ten_times_for_a_name_outside() {
        let pod = "search ns.svc.cluster.local svc.cluster.local cluster.local example.com\n\
            nameserver 169.254.20.10\nnameserver 10.96.0.10\noptions ndots:5\n";
        let conf = Conf::parse(pod);
        assert_eq!(conf, Conf { ndots: 5, search: 4, nameservers: 2, node_local: 1 });
        assert_eq!(conf.queries(), 10);
        assert_eq!(Conf::parse(&pod.replace("ndots:5", "ndots:2")).queries(), 2);
        assert_eq!(Conf::parse("search a b\ndomain c d\nnameserver\n").search, 1);
        assert_eq!(Conf::parse("").queries(), 2);
    }
}
