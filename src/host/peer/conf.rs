//! The files by which names are looked up: /etc/hosts and /etc/resolv.conf. Pure.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// What /etc/resolv.conf says, with what stands for the rest (resolv.conf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conf {
    /// The servers that are asked, in order.
    pub(super) servers: Vec<IpAddr>,
    /// Domains that are tried behind a name.
    pub(super) search: Vec<String>,
    /// Dots that a name needs to be tried as it stands first.
    pub(super) ndots: usize,
    /// How long a server is waited for.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: usize,
}

impl Conf {
    pub(super) fn parse(text: &str) -> Self {
        let mut conf =
            Self { servers: Vec::new(), search: Vec::new(), ndots: 1, timeout: Duration::from_secs(5), attempts: 2 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                // An interface behind a link-local address is not kept: it could not be asked.
                Some("nameserver") => conf.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok())),
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        // MAXNS of glibc and musl.
        conf.servers.truncate(3);
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        conf
    }

    /// Caps as in glibc.
    fn option(&mut self, word: &str) {
        let Some((name, Ok(number))) = word.split_once(':').map(|(name, n)| (name, n.parse::<u16>())) else { return };
        match name {
            "ndots" => self.ndots = number.min(15).into(),
            "timeout" => self.timeout = Duration::from_secs(number.clamp(1, 30).into()),
            "attempts" => self.attempts = number.clamp(1, 5).into(),
            _ => {}
        }
    }

    /// The names that are asked for one after the other until one has an address.
    pub(super) fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let mut all: Vec<String> = self
            .search
            .iter()
            .map(|domain| domain.trim_matches('.'))
            .filter(|domain| !domain.is_empty())
            .map(|domain| format!("{name}.{domain}"))
            .collect();
        let first = name.matches('.').count() >= self.ndots;
        all.insert(if first { 0 } else { all.len() }, name.to_owned());
        all
    }
}

/// The addresses that a hosts file has for a name.
pub(super) fn in_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tried_in_the_order_of_the_resolver() {
        let conf = Conf::parse("nameserver 10.96.0.10\nsearch shop.svc.cluster.local cluster.local\noptions ndots:5\n");
        assert_eq!(conf.candidates("api"), ["api.shop.svc.cluster.local", "api.cluster.local", "api"]);
        assert_eq!(conf.candidates("a.b.c.d.e.f").first().unwrap(), "a.b.c.d.e.f");
        assert_eq!(conf.candidates("api.example.com."), ["api.example.com"]);
        assert_eq!((conf.ndots, conf.servers), (5, vec!["10.96.0.10".parse().unwrap()]));
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        let conf = Conf::parse("# nothing\nnameserver what\nnameserver fe80::1%eth0\noptions timeout:0 ndots:99 x\n");
        assert_eq!(conf.servers, [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!((conf.ndots, conf.timeout, conf.attempts), (15, Duration::from_secs(1), 2));
        assert_eq!(Conf::parse("nameserver 10.0.0.1\n".repeat(9).as_str()).servers.len(), 3);
    }

    #[test]
    fn a_hosts_file_has_names_and_aliases_in_any_case() {
        let text = "127.0.0.1 localhost\n10.0.0.1 api.example api # api2\nfd00::1 API\n10.0.0.1 api\nwhat api\n";
        assert_eq!(in_hosts(text, "api."), ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        assert!(in_hosts(text, "api2").is_empty());
    }
}
