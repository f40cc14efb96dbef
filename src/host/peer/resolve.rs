//! A name to addresses, without the C library: what it would load to look names up belongs to another C library than the
//! one in this static binary.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use super::conf::{in_hosts, servers};
use super::dns::{Kind, Said};
use super::lookup::lookup;
use crate::host::{Clock, input};
use crate::model::bounds;
use crate::model::peer::Found;
use crate::model::resolv_conf::{MOST_DOMAINS, ResolvConf};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The addresses of a name, and who told them.
///
/// # Errors
/// Why there are none, and what to try next, in words.
pub(super) fn resolve(name: &str, timeout: Duration) -> Result<(Vec<IpAddr>, Found), String> {
    let clock = Clock::start();
    let found = |by: String, clock: Clock| Found { by, took: Some(clock.elapsed()) };
    let listed = in_hosts(&content(HOSTS), name);
    if !listed.is_empty() {
        return Ok((listed, found(HOSTS.to_owned(), clock)));
    }
    let bare = name.trim_end_matches('.').to_ascii_lowercase();
    // RFC 6761: never a question to a name server.
    if bare == "localhost" || bare.ends_with(".localhost") {
        let loopback = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok((loopback, found("RFC 6761".to_owned(), clock)));
    }
    let conf = ResolvConf::parse(&content(RESOLV_CONF));
    let mut servers = servers(&conf);
    let (mut nowhere, mut unanswered) = (Vec::new(), false);
    let candidates = conf.candidates(name);
    for (nth, candidate) in candidates.iter().enumerate() {
        // Half of what is left, so that a name that is never answered for leaves time for those behind it.
        let end = match candidates.len() - nth {
            1 => timeout,
            _ => clock.elapsed() + timeout.saturating_sub(clock.elapsed()) / 2,
        };
        let mut addresses = Vec::new();
        let (mut by, mut failed) = (None, None);
        for kind in [Kind::A, Kind::Aaaa] {
            match lookup(&conf, &servers, candidate, kind, clock, end) {
                Ok(told) => {
                    // The one that answered comes first from here on: the others took their time already.
                    servers.sort_by_key(|&server| server != told.server);
                    match told.said {
                        Said::Addresses(more) => {
                            addresses.extend(more);
                            by = Some(told.server);
                        }
                        // Without the name there is no other kind of address either.
                        _ => break,
                    }
                }
                // One kind is answer enough: some servers never answer for the other.
                Err(_) if !addresses.is_empty() => {}
                // The next one may have an answer all the same: a domain of the search list need not be reachable.
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        unanswered |= failed.is_some();
        match (by, failed) {
            (Some(server), _) if !addresses.is_empty() => {
                let of = if *candidate == bare { String::new() } else { format!(" as {candidate}") };
                return Ok((addresses, found(format!("name server {server}{of}"), clock)));
            }
            (_, Some(why)) => nowhere.push(format!("{candidate} could not be looked up ({why})")),
            (Some(_), None) => nowhere.push(format!("{candidate} has no address")),
            (None, None) => nowhere.push(format!("there is no {candidate}")),
        }
    }
    let untried = conf.search.len().saturating_sub(MOST_DOMAINS);
    if untried > 0 && candidates.len() > MOST_DOMAINS {
        nowhere.push(format!("{untried} more search domains were not tried"));
    }
    let next = match unanswered {
        true => format!("Only {HOSTS} and the name servers of {RESOLV_CONF} are asked; say where it is"),
        false => "Check the name, or say where it is".to_owned(),
    };
    Err(format!("{name} leads nowhere: {}. {next}: --connect ADDRESS", nowhere.join(", ")))
}

/// A file that need not be there.
fn content(path: &str) -> String {
    input::read(Path::new(path), bounds::RESOLVER_FILE.most)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
