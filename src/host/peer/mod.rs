//! The server of HTTP/2 behind a URL: what it says of itself as soon as somebody connects. This is all that tunecheck ever
//! sends over a network, and it is sent only when the user names a URL: the client's preface, empty SETTINGS, an
//! acknowledgement and GOAWAY. No request.

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
use crate::model::peer::{Found, Origin, Peer, Peers, Step, Times, Trouble};

/// Addresses that are asked, at most.
const MOST: usize = 16;
/// Largest file of certificates that is read.
const LARGEST_PEM: u64 = 4 << 20;

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

/// Nobody could be asked.
#[derive(Debug, Error)]
pub enum NobodyAsked {
    /// The name led nowhere: why, and what to try next.
    #[error("{0}")]
    Name(String),
    /// The file of certificates cannot be used.
    #[error("--cacert {0}: {1}")]
    Roots(String, String),
}

/// Asks every address of an origin, side by side, each with a connection of its own.
///
/// # Errors
/// [`NobodyAsked`]: the name leads nowhere, or the user's certificates are none. An address that does not answer is in
/// the result.
pub fn ask(question: &Question<'_>) -> Result<Peers, NobodyAsked> {
    let origin = question.origin;
    let pem = question.roots.map(|path| pem(path)).transpose()?;
    let (mut addresses, unrouted, found) = addresses(question)?;
    let left_out = addresses.len().saturating_sub(MOST);
    addresses.truncate(MOST);
    let (config, trust) = tls::config(origin, pem.as_deref(), question.verify)
        .map_err(|why| NobodyAsked::Roots(shown(question.roots), why))?;
    let probe = |address: SocketAddr| probe::one(origin, address, config.as_ref(), question.timeout);
    let peers = thread::scope(|scope| {
        let probes: Vec<_> = addresses
            .iter()
            .map(|&address| (address, thread::Builder::new().spawn_scoped(scope, move || probe(address))))
            .collect();
        probes.into_iter().map(|(address, probe)| joined(address, probe)).collect()
    });
    Ok(Peers { origin: origin.clone(), found, trust, peers, unrouted, left_out })
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

/// Addresses to ask, those that cannot be reached from here, and who told them.
fn addresses(question: &Question<'_>) -> Result<(Vec<SocketAddr>, Vec<IpAddr>, Found), NobodyAsked> {
    let (host, port) = (&question.origin.host, question.origin.port);
    if !question.connect.is_empty() {
        let mut told: Vec<SocketAddr> = Vec::new();
        for &(address, own) in question.connect {
            let address = SocketAddr::new(address, own.unwrap_or(port));
            if !told.contains(&address) {
                told.push(address);
            }
        }
        return Ok((told, Vec::new(), Found { by: "--connect".to_owned(), took: None }));
    }
    if let Ok(address) = host.parse() {
        return Ok((vec![SocketAddr::new(address, port)], Vec::new(), Found { by: "the URL".to_owned(), took: None }));
    }
    let (all, found) = resolve::resolve(host, question.timeout).map_err(NobodyAsked::Name)?;
    // A name often has addresses of IPv6 where the machine has none. They say nothing about the peer.
    let (routed, unrouted): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(|&ip| connect::has_route(ip));
    match routed.is_empty() {
        true => Ok((unrouted.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), Vec::new(), found)),
        false => Ok((routed.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(), unrouted, found)),
    }
}

fn pem(path: &Path) -> Result<Vec<u8>, NobodyAsked> {
    input::read(path, LARGEST_PEM).map_err(|error| NobodyAsked::Roots(shown(Some(path)), error.to_string()))
}

fn shown(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}
