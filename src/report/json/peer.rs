//! `tunecheck.peer/v1`. These structures are frozen: a change that a reader could notice is a new version beside this one.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::peer::guess::looks_like;
use crate::model::peer::settings::{Settings, setting_name};
use crate::model::peer::{Peer, Peers, Resumption, Streams, Trust};

/// The version of the format.
const SCHEMA: &str = "tunecheck.peer/v1";

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck probe")]
struct PeersV1<'a> {
    /// Always `tunecheck.peer/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    /// Scheme, host and port.
    url: String,
    /// Why the name led to no address; null if it led to one.
    nowhere: Option<&'a str>,
    /// Who told the addresses; empty if nobody did.
    found_by: &'a str,
    /// How long that took, in microseconds; null where nobody was asked.
    found_in: Option<u64>,
    /// `cleartext`, `nothing` (--insecure), `system` or `built-in`: whose roots certificates were judged by.
    trust: &'static str,
    /// Certificates of --cacert that were trusted besides.
    own_roots: usize,
    /// The least that an address which answered allows; null if none of them has a limit, or none answered.
    max_concurrent_streams: Option<u32>,
    /// Whether some address answered and none of those has a limit; null if none answered.
    unlimited: Option<bool>,
    /// Whether every address answered with SETTINGS.
    all_answered: bool,
    /// In the order in which they were found.
    addresses: Vec<PeerV1<'a>>,
    /// Addresses that were not asked because there is no route to them from here.
    unrouted: Vec<String>,
    /// Addresses that were not asked because there are too many.
    left_out: usize,
}

#[derive(Serialize, JsonSchema)]
struct PeerV1<'a> {
    /// Address and port.
    address: String,
    /// What it sent; null if it did not answer.
    answer: Option<AnswerV1>,
    /// Why it did not answer; null if it did.
    trouble: Option<TroubleV1<'a>>,
    /// What the handshake came to; null in cleartext, or where it was not over.
    tls: Option<TlsV1<'a>>,
    times: TimesV1,
}

#[derive(Serialize, JsonSchema)]
struct AnswerV1 {
    /// Requests at a time on one connection; null if it names no limit.
    max_concurrent_streams: Option<u32>,
    /// Whether it names no limit.
    unlimited: bool,
    /// Window of a stream at its beginning, in bytes; 65,535 if it was not sent.
    initial_window_size: u32,
    /// Largest payload of a frame, in bytes; 16,384 if it was not sent.
    max_frame_size: u32,
    /// Window of the connection, in bytes: 65,535 and the WINDOW_UPDATE.
    connection_window: u32,
    /// The WINDOW_UPDATE of the connection that came right behind; null if none did.
    window_update: Option<u32>,
    /// The error code of a GOAWAY that came right behind; null if none did.
    goaway: Option<u32>,
    /// Whether a later SETTINGS frame of its own lowered max_concurrent_streams.
    lowered: bool,
    /// Every setting that was sent, in its order; of those that are not known the first 32.
    settings: Vec<SettingV1>,
    /// How often another one that is not known came.
    settings_left_out: usize,
    /// Whose defaults these are, a guess; null if nobody's that are known.
    looks_like: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
struct SettingV1 {
    id: u16,
    /// Without SETTINGS_; null for one that is not known.
    name: Option<&'static str>,
    value: u32,
}

#[derive(Serialize, JsonSchema)]
struct TroubleV1<'a> {
    /// `tcp`, `tls` or `settings`: the step at which it ended.
    step: &'static str,
    what: &'a str,
    /// What to try next; empty if there is nothing.
    next: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct TlsV1<'a> {
    /// `TLSv1.3` or `TLSv1.2`.
    version: &'a str,
    /// By its IANA name.
    cipher: &'a str,
    /// The protocol chosen by ALPN; null if none was.
    alpn: Option<&'a str>,
    /// Whether resumption was offered: `tickets` of TLS 1.3, a `session` of TLS 1.2, or `not-seen` so far.
    resumption: &'static str,
    /// Tickets of TLS 1.3 that came by themselves.
    tickets: u32,
}

/// In microseconds; null for a step that was not reached.
#[derive(Serialize, JsonSchema)]
struct TimesV1 {
    tcp: Option<u64>,
    tls: Option<u64>,
    settings: Option<u64>,
}

/// What was found as JSON, indented if a person looks at it.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(peers: &Peers, indent: bool) -> serde_json::Result<String> {
    super::text(&PeersV1::from(peers), indent)
}

/// The JSON Schema of what is printed.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(PeersV1<'_>)
}

fn limit(streams: Streams) -> Option<u32> {
    match streams {
        Streams::Limited(number) => Some(number),
        Streams::Unlimited => None,
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl<'a> From<&'a Peers> for PeersV1<'a> {
    fn from(peers: &'a Peers) -> Self {
        let (trust, own_roots) = match peers.trust {
            Trust::Cleartext => ("cleartext", 0),
            Trust::Nothing => ("nothing", 0),
            Trust::System(_, own) => ("system", own),
            Trust::BuiltIn(own) => ("built-in", own),
        };
        Self {
            schema: SCHEMA,
            tunecheck: env!("CARGO_PKG_VERSION"),
            url: peers.origin.to_string(),
            nowhere: peers.nowhere.as_deref(),
            found_by: &peers.found.by,
            found_in: peers.found.took.map(microseconds),
            trust,
            own_roots,
            max_concurrent_streams: peers.max_concurrent_streams().and_then(limit),
            unlimited: peers.max_concurrent_streams().map(|streams| streams == Streams::Unlimited),
            all_answered: peers.all_answered(),
            addresses: peers.peers.iter().map(PeerV1::from).collect(),
            unrouted: peers.unrouted.iter().map(ToString::to_string).collect(),
            left_out: peers.left_out,
        }
    }
}

impl<'a> From<&'a Peer> for PeerV1<'a> {
    fn from(peer: &'a Peer) -> Self {
        let trouble = peer.answer.as_ref().err();
        Self {
            address: peer.address.to_string(),
            answer: peer.answer.as_ref().ok().map(AnswerV1::from),
            trouble: trouble.map(|told| TroubleV1 { step: told.step.word(), what: &told.what, next: &told.next }),
            tls: peer.tls.as_ref().map(|tls| {
                let (resumption, tickets) = match tls.resumption {
                    Resumption::Tickets(tickets) => ("tickets", tickets),
                    Resumption::Session => ("session", 0),
                    Resumption::NotSeen => ("not-seen", 0),
                };
                TlsV1 { version: &tls.version, cipher: &tls.cipher, alpn: tls.alpn.as_deref(), resumption, tickets }
            }),
            times: TimesV1 {
                tcp: peer.times.tcp.map(microseconds),
                tls: peer.times.tls.map(microseconds),
                settings: peer.times.settings.map(microseconds),
            },
        }
    }
}

impl From<&Settings> for AnswerV1 {
    fn from(settings: &Settings) -> Self {
        let setting = |&(id, value): &(u16, u32)| SettingV1 { id, name: setting_name(id), value };
        Self {
            max_concurrent_streams: limit(settings.max_concurrent_streams()),
            unlimited: settings.max_concurrent_streams() == Streams::Unlimited,
            initial_window_size: settings.initial_window_size(),
            max_frame_size: settings.max_frame_size(),
            connection_window: settings.connection_window(),
            window_update: settings.window_update,
            goaway: settings.goaway,
            lowered: settings.lowered_from.is_some(),
            settings: settings.sent.iter().map(setting).collect(),
            settings_left_out: settings.left_out,
            looks_like: looks_like(settings),
        }
    }
}
