//! What the HTTP/2 server behind a URL says of itself, address by address.

pub mod guess;
pub mod settings;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use settings::Settings;

/// Where a URL leads. Nothing else of it is used: no request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS comes first (https).
    pub tls: bool,
    /// The name or the literal address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// Every address of an origin that was asked, and how they were found.
#[derive(Clone, Debug)]
pub struct Peers {
    /// What was asked about.
    pub origin: Origin,
    /// Why the name led to no address, and what to try next; then nobody was asked.
    pub nowhere: Option<String>,
    /// Who told the addresses: a name server, a file, the command line.
    pub found: Found,
    /// By what certificates are judged.
    pub trust: Trust,
    /// Each address that was asked, in the order in which they were found.
    pub peers: Vec<Peer>,
    /// Addresses to which this machine has no route.
    pub unrouted: Vec<IpAddr>,
    /// Addresses beyond the most that are asked.
    pub left_out: usize,
}

/// Who told the addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Who, in words.
    pub by: String,
    /// How long that took; none where nobody had to be asked.
    pub took: Option<Duration>,
}

/// By what certificates are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// There are none: cleartext.
    Cleartext,
    /// They are not judged (`--insecure`).
    Nothing,
    /// By this machine's roots, so many of them, and so many of the user's.
    System(usize, usize),
    /// By Mozilla's roots as tunecheck carries them, because the machine has none, and so many of the user's.
    BuiltIn(usize),
}

/// One address of an origin.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it was asked.
    pub address: SocketAddr,
    /// How long each step took that was reached.
    pub times: Times,
    /// What the handshake came to, if there was one.
    pub tls: Option<Tls>,
    /// Its SETTINGS, or why there are none.
    pub answer: Result<Settings, Trouble>,
}

/// How long each step took; none for one that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// From SYN to a connection.
    pub tcp: Option<Duration>,
    /// From there to the end of the TLS handshake.
    pub tls: Option<Duration>,
    /// From there to SETTINGS.
    pub settings: Option<Duration>,
}

/// What a TLS handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: String,
    /// The cipher suite by its IANA name.
    pub cipher: String,
    /// The protocol that the server chose by ALPN.
    pub alpn: Option<String>,
    /// What was seen of session resumption.
    pub resumption: Resumption,
}

/// What was seen of session resumption. Whether the server honours it would take a second connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// So many tickets of TLS 1.3 came by themselves.
    Tickets(u32),
    /// TLS 1.2 with a session id or a ticket.
    Session,
    /// None came while it was listened to.
    NotSeen,
}

/// The step at which an address gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connecting.
    Tcp,
    /// The TLS handshake, ALPN included.
    Tls,
    /// Waiting for SETTINGS.
    Settings,
}

impl Step {
    /// The word for it in JSON and on the terminal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Settings => "settings",
        }
    }
}

/// Why there is no answer, and what to try next. Text of the peer may be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Where it ended.
    pub step: Step,
    /// One clause.
    pub what: String,
    /// One clause that begins with a verb; empty if there is nothing to try.
    pub next: String,
}

/// A number of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Streams {
    /// At most so many at a time on one connection.
    Limited(u32),
    /// The peer names no limit.
    Unlimited,
}

impl Peers {
    /// The addresses that answered, with their settings.
    pub fn answers(&self) -> impl Iterator<Item = (&Peer, &Settings)> {
        self.peers.iter().filter_map(|peer| Some((peer, peer.answer.as_ref().ok()?)))
    }

    /// Whether every address that was asked answered.
    pub fn all_answered(&self) -> bool {
        !self.peers.is_empty() && self.peers.iter().all(|peer| peer.answer.is_ok())
    }

    /// The least that any address that answered allows; none if none answered.
    pub fn max_concurrent_streams(&self) -> Option<Streams> {
        self.answers().map(|(_, settings)| settings.max_concurrent_streams()).min()
    }
}
