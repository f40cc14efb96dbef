//! The server of HTTP/2 behind a URL: what it says of itself as soon as somebody connects. This is all that tunecheck ever
//! sends over a network, and it is sent only when the user names a URL: a question to a name server, a TLS handshake, the
//! client's preface, empty SETTINGS, an acknowledgement and GOAWAY. No request.

mod conf;
mod connect;
pub mod dns;
pub mod frames;
mod lookup;
mod probe;
mod resolve;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::input;
use crate::model::bounds;
use crate::model::peer::{Found, Origin, Peer, Peers, Step, Times, Trouble};

/// Takes any bytes as what stands in the files by which names are looked up, and as what a server of TLS answers.
#[cfg(fuzzing)]
pub(super) const PARSERS: [(&str, super::fuzzing::Parser); 3] = [
    ("hosts-file", |bytes| drop(conf::in_hosts(&String::from_utf8_lossy(bytes), "api.example"))),
    ("resolv.conf", |bytes| {
        let conf = crate::model::resolv_conf::ResolvConf::parse(&String::from_utf8_lossy(bytes));
        conf::servers(&conf);
        conf.candidates("api.example");
    }),
    ("tls", tls::any),
];

/// What to ask, and how.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Where.
    pub origin: &'a Origin,
    /// Addresses to ask in place of those of its name, each with a port if it is not the origin's.
    pub connect: &'a [(IpAddr, Option<u16>)],
    /// A file of certificates, in PEM, to trust besides the machine's.
    pub roots: Option<&'a Path>,
    /// Whether to judge certificates.
    pub verify: bool,
    /// The longest that one address may take, and the longest that its name may.
    pub timeout: Duration,
}

/// The user's file of certificates cannot be used.
#[derive(Debug, Error)]
#[error("--cacert {0}: {1}")]
pub struct UnusableRoots(String, String);

/// Asks every address of an origin, side by side, each with a connection of its own.
///
/// # Errors
/// [`UnusableRoots`]. A name that leads nowhere and an address that does not answer are in the result.
pub fn ask(question: &Question<'_>) -> Result<Peers, UnusableRoots> {
    let origin = question.origin;
    let pem = question.roots.map(pem).transpose()?;
    let (config, trust) = tls::config(origin, pem.as_deref(), question.verify)
        .map_err(|why| UnusableRoots(shown(question.roots), why))?;
    let (found, nowhere) = match found(question) {
        Ok(found) => (found, None),
        Err(why) => (Addresses::default(), Some(why)),
    };
    let Addresses { mut routed, unrouted, found } = found;
    let left_out = routed.len().saturating_sub(bounds::ADDRESSES.count());
    routed.truncate(bounds::ADDRESSES.count());
    let probe = |address: SocketAddr| probe::one(origin, address, config.as_ref(), question.timeout);
    let peers = thread::scope(|scope| {
        let probes: Vec<_> = routed
            .iter()
            .map(|&address| (address, thread::Builder::new().spawn_scoped(scope, move || probe(address))))
            .collect();
        probes.into_iter().map(|(address, probe)| joined(address, probe)).collect()
    });
    Ok(Peers { origin: origin.clone(), nowhere, found, trust, peers, unrouted, left_out })
}

fn joined(address: SocketAddr, probe: io::Result<thread::ScopedJoinHandle<'_, Peer>>) -> Peer {
    let why = match probe.map(thread::ScopedJoinHandle::join) {
        Ok(Ok(peer)) => return peer,
        Ok(Err(_)) => "the probe of this address broke off".to_owned(),
        Err(error) => format!("no thread could be started for it: {error}"),
    };
    let trouble = Trouble { step: Step::Tcp, what: why, next: "name one address: --connect ADDRESS".to_owned() };
    Peer { address, times: Times::default(), tls: None, answer: Err(trouble) }
}

/// Where a name leads.
#[derive(Default)]
struct Addresses {
    /// Those to ask.
    routed: Vec<SocketAddr>,
    /// Those that cannot be reached from here.
    unrouted: Vec<IpAddr>,
    found: Found,
}

/// Looks for addresses.
///
/// # Errors
/// The name leads nowhere: why, and what to try next.
fn found(question: &Question<'_>) -> Result<Addresses, String> {
    let (host, port) = (&question.origin.host, question.origin.port);
    let told =
        |routed, by: &str| Addresses { routed, unrouted: Vec::new(), found: Found { by: by.to_owned(), took: None } };
    if !question.connect.is_empty() {
        let mut named: Vec<SocketAddr> = Vec::new();
        for &(address, own) in question.connect {
            let address = SocketAddr::new(address, own.unwrap_or(port));
            if !named.contains(&address) {
                named.push(address);
            }
        }
        return Ok(told(named, "--connect"));
    }
    if let Ok(address) = host.parse() {
        return Ok(told(vec![SocketAddr::new(address, port)], "the URL"));
    }
    let (all, found) = resolve::resolve(host, question.timeout)?;
    // A name often has addresses of IPv6 where the machine has none. They say nothing about the peer.
    let (mut routed, mut unrouted): (Vec<IpAddr>, Vec<IpAddr>) =
        all.into_iter().partition(|&ip| connect::has_route(ip));
    if routed.is_empty() {
        std::mem::swap(&mut routed, &mut unrouted);
    }
    Ok(Addresses { routed: routed.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), unrouted, found })
}

fn pem(path: &Path) -> Result<Vec<u8>, UnusableRoots> {
    input::read(path, bounds::CERTIFICATES.most).map_err(|error| UnusableRoots(shown(Some(path)), error.to_string()))
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
