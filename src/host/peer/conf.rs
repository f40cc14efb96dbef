//! The files by which names are looked up: /etc/hosts, and the name servers of /etc/resolv.conf. Pure.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::resolv_conf::ResolvConf;

/// MAXNS of glibc and musl.
const MOST_SERVERS: usize = 3;

/// The servers that are asked, in order. An interface behind a link-local address is not kept: it could not be asked.
pub(super) fn servers(conf: &ResolvConf) -> Vec<IpAddr> {
    let listed = conf.nameservers.iter().filter_map(|server| server.parse().ok());
    let servers: Vec<IpAddr> = listed.take(MOST_SERVERS).collect();
    if servers.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { servers }
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
    fn three_servers_are_asked_and_without_one_the_machine_itself() {
        let of = |text: &str| servers(&ResolvConf::parse(text));
        assert_eq!(of("nameserver what\nnameserver fe80::1%eth0\n"), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        assert_eq!(of(&"nameserver 10.0.0.1\n".repeat(9)).len(), 3);
    }

    #[test]
    fn a_hosts_file_has_names_and_aliases_in_any_case() {
        let text = "127.0.0.1 localhost\n10.0.0.1 api.example api # api2\nfd00::1 API\n10.0.0.1 api\nwhat api\n";
        assert_eq!(in_hosts(text, "api."), ["10.0.0.1".parse::<IpAddr>().unwrap(), "fd00::1".parse().unwrap()]);
        assert!(in_hosts(text, "api2").is_empty());
    }
}
