//! How names are looked up.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit, Value};
use crate::model::resolv_conf::ResolvConf;

const PATH: &str = "/etc/resolv.conf";
/// A name of a service outside has two dots or so: `api.example.com`.
const DOTS_OUTSIDE: usize = 2;

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
    let found =
        gather.host.read(PATH).map(|bytes| ResolvConf::parse(&text(&bytes))).map_err(|refusal| refusal.gap(PATH));
    for name in gather.wanted("resolver") {
        let reading = found.as_ref().map_err(Clone::clone).map(|conf| {
            let number = match name.as_ref() {
                "resolver.search" => conf.search.len(),
                "resolver.nameservers" => conf.nameservers.len(),
                "resolver.node_local" => node_local(conf),
                "resolver.queries" => queries(conf),
                _ => conf.ndots,
            };
            Value::Number(i128::try_from(number).unwrap_or(i128::MAX))
        });
        gather.put(name, reading, PATH);
    }
}

fn node_local(conf: &ResolvConf) -> usize {
    let is_local = |server: &&String| server.starts_with("169.254.") || server.starts_with("fe80:");
    conf.nameservers.iter().filter(is_local).count()
}

/// A name with fewer dots is first tried with each domain of the list, for A and AAAA.
fn queries(conf: &ResolvConf) -> usize {
    if conf.ndots > DOTS_OUTSIDE { (conf.search.len() + 1) * 2 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_asks_ten_times_for_a_name_outside() {
        let pod = "search ns.svc.cluster.local svc.cluster.local cluster.local example.com\n\
            nameserver 169.254.20.10\nnameserver 10.96.0.10\noptions ndots:5\n";
        let conf = ResolvConf::parse(pod);
        assert_eq!((node_local(&conf), queries(&conf)), (1, 10));
        assert_eq!(queries(&ResolvConf::parse(&pod.replace("ndots:5", "ndots:2"))), 2);
        assert_eq!(queries(&ResolvConf::default()), 2);
    }
}
