//! One address: a connection, TLS, SETTINGS, goodbye.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, StreamOwned};

use super::connect::Wire;
use super::frames::{GOAWAY, PREFACE, SETTINGS_ACK, Talk, Wrong};
use super::tls::{self, Sessions};
use crate::host::Clock;
use crate::model::peer::settings::{Settings, error_name};
use crate::model::peer::{Origin, Peer, Step, Times, Tls, Trouble};

/// How long to listen on after SETTINGS, for what comes right behind: a WINDOW_UPDATE, tickets, SETTINGS that lower a limit.
const LINGER: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(500));
/// How long to wait for a peer to close after goodbye.
const CLOSING: Duration = Duration::from_millis(50);

type Secured = StreamOwned<rustls::ClientConnection, Wire>;

/// What HTTP/2 is spoken over.
enum Channel {
    Plain(Wire),
    Tls(Box<Secured>, Arc<Sessions>),
}

impl Channel {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream, _) => &mut stream.sock,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            Self::Tls(stream, _) => stream.read(buffer),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.write_all(bytes),
            Self::Tls(stream, _) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn tls(&self) -> Option<Tls> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream, sessions) => Some(tls::outcome(&stream.conn, sessions)),
        }
    }

    /// Ends it as one does, with these last bytes. Nothing depends on it any more.
    fn close(&mut self, goodbye: &[u8]) {
        let _ = self.send(goodbye);
        if let Self::Tls(stream, _) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        self.wire().close();
    }
}

/// Asks one address.
pub(super) fn one(origin: &Origin, address: SocketAddr, config: Option<&ClientConfig>, timeout: Duration) -> Peer {
    // An address of its own may have a port of its own.
    let origin = &Origin { port: address.port(), ..origin.clone() };
    let mut peer = Peer {
        address,
        times: Times::default(),
        tls: None,
        answer: Err(Trouble { step: Step::Tcp, what: String::new(), next: String::new() }),
    };
    peer.answer = asked(origin, config, timeout, &mut peer);
    peer
}

/// Fills what is learnt on the way, whatever becomes of the rest.
fn asked(
    origin: &Origin,
    config: Option<&ClientConfig>,
    timeout: Duration,
    peer: &mut Peer,
) -> Result<Settings, Trouble> {
    let clock = Clock::start();
    let wire = Wire::open(peer.address, clock, timeout).map_err(|error| unconnected(&error, timeout))?;
    let connected = clock.elapsed();
    peer.times.tcp = Some(connected);
    let mut channel = match config {
        None => Channel::Plain(wire),
        Some(config) => secured(config, origin, wire).map_err(|error| error.trouble(origin, timeout))?,
    };
    let ready = clock.elapsed();
    if config.is_some() {
        peer.times.tls = Some(ready.saturating_sub(connected));
    }
    peer.tls = channel.tls();
    let answer = match peer.tls.as_ref().map(|tls| tls.alpn.as_deref()) {
        None | Some(Some("h2")) => {
            let answer = conversation(&mut channel, origin, clock, ready, timeout, peer);
            if answer.is_err() {
                channel.close(GOAWAY);
            }
            answer
        }
        // Whatever it speaks: no byte of HTTP/2 is for it.
        Some(other) => {
            channel.close(&[]);
            Err(not_h2(other))
        }
    };
    peer.tls = channel.tls();
    answer
}

/// The TLS handshake as a whole.
fn secured(config: &ClientConfig, origin: &Origin, mut wire: Wire) -> Result<Channel, Broken> {
    let (mut session, sessions) = tls::session(config, &origin.host).map_err(Broken::Name)?;
    while session.is_handshaking() {
        session.complete_io(&mut wire).map_err(Broken::Io)?;
    }
    Ok(Channel::Tls(Box::new(StreamOwned::new(session, wire)), sessions))
}

/// Preface, SETTINGS, what comes right behind, goodbye.
fn conversation(
    channel: &mut Channel,
    origin: &Origin,
    clock: Clock,
    ready: Duration,
    timeout: Duration,
    peer: &mut Peer,
) -> Result<Settings, Trouble> {
    let mut talk = Talk::default();
    let stuck = |error: io::Error, talk: &Talk| silent(&error, talk, origin, timeout);
    // One that does not listen any more may have said why.
    let sent = channel.send(PREFACE);
    let mut buffer = [0; 4096];
    while talk.settings().is_none() {
        let count = match channel.read(&mut buffer) {
            Ok(0) => return Err(closed(sent.as_ref().err(), &talk)),
            Ok(count) => count,
            Err(error) => return Err(stuck(error, &talk)),
        };
        talk.take(buffer.get(..count).unwrap_or_default()).map_err(|wrong| broken(&wrong, origin))?;
    }
    peer.times.settings = Some(clock.elapsed().saturating_sub(ready));
    let round = peer.times.tcp.unwrap_or_default().saturating_mul(2);
    channel.wire().end = timeout.min(clock.elapsed() + round.clamp(LINGER.0, LINGER.1));
    while let Ok(count @ 1..) = channel.read(&mut buffer) {
        talk.take(buffer.get(..count).unwrap_or_default()).map_err(|wrong| broken(&wrong, origin))?;
    }
    channel.wire().end = clock.elapsed() + CLOSING;
    channel.close(&[&SETTINGS_ACK.repeat(talk.unacknowledged()), GOAWAY].concat());
    Ok(talk.settings().cloned().unwrap_or_default())
}

/// Why a handshake came to nothing.
enum Broken {
    Name(String),
    Io(io::Error),
}

impl Broken {
    fn trouble(self, origin: &Origin, timeout: Duration) -> Trouble {
        let (what, next) = match self {
            Self::Name(why) => (why, "name the host as its certificate does".to_owned()),
            Self::Io(error) => match (of_tls(&error), error.kind()) {
                (Some(error), _) => tls::explained(error, origin),
                (None, ErrorKind::TimedOut) => (
                    format!("the TLS handshake was not over within {}", shown(timeout)),
                    "allow more time: --timeout 30s; if it is no slower than that, something in between holds it up"
                        .to_owned(),
                ),
                (None, ErrorKind::UnexpectedEof) => (
                    "it closed the connection during the TLS handshake".to_owned(),
                    "look into its log; it may want another name (SNI), or a certificate of the client".to_owned(),
                ),
                (None, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => (
                    "it reset the connection during the TLS handshake".to_owned(),
                    "look into its log; something in between may refuse the name".to_owned(),
                ),
                (None, _) => (error.to_string(), String::new()),
            },
        };
        Trouble { step: Step::Tls, what, next }
    }
}

fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn unconnected(error: &io::Error, timeout: Duration) -> Trouble {
    let (what, next) = match error.kind() {
        ErrorKind::ConnectionRefused => {
            ("nothing listens there", "check host and port, and whether the server listens on this address")
        }
        ErrorKind::TimedOut => {
            ("", "look for a firewall or a security group in between, or allow more time: --timeout 30s")
        }
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => {
            ("there is no way to it from here", "ask from another place, or another address: --connect ADDRESS")
        }
        _ => ("", "ask another address: --connect ADDRESS"),
    };
    let what = match (what, error.kind()) {
        ("", ErrorKind::TimedOut) => format!("no connection within {}", shown(timeout)),
        ("", _) => format!("no connection: {error}"),
        (what, _) => what.to_owned(),
    };
    Trouble { step: Step::Tcp, what, next: next.to_owned() }
}

fn not_h2(alpn: Option<&str>) -> Trouble {
    let what = match alpn {
        Some(other) => format!("it chose {other} by ALPN, so it has no HTTP/2 here"),
        None => "it chose no protocol by ALPN, so it has no HTTP/2 here".to_owned(),
    };
    let next = "switch HTTP/2 on there, or count with HTTP/1.1: one request at a time on a connection (--streams 1)";
    Trouble { step: Step::Tls, what, next: next.to_owned() }
}

/// No bytes came when some should have.
fn silent(error: &io::Error, talk: &Talk, origin: &Origin, timeout: Duration) -> Trouble {
    let begun = match talk.rest() {
        rest if rest.is_empty() => String::new(),
        rest => format!(", only \"{rest}\""),
    };
    let (what, next) = match (of_tls(error), error.kind()) {
        (Some(error), _) => tls::explained(error, origin),
        (None, ErrorKind::TimedOut) => (
            format!("it sent no SETTINGS within {}{begun}", shown(timeout)),
            "allow more time: --timeout 30s; if it stays silent, it does not speak HTTP/2 on this port".to_owned(),
        ),
        (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            return closed(Some(error), talk);
        }
        (None, _) => (error.to_string(), String::new()),
    };
    Trouble { step: Step::Settings, what, next }
}

fn closed(error: Option<&io::Error>, talk: &Talk) -> Trouble {
    let how = if error.is_some_and(|error| error.kind() == ErrorKind::ConnectionReset) { "reset" } else { "closed" };
    let begun = match talk.rest() {
        rest if rest.is_empty() => String::new(),
        rest => format!(", after \"{rest}\""),
    };
    Trouble {
        step: Step::Settings,
        what: format!("it {how} the connection before it sent SETTINGS{begun}"),
        next: "look into its log; it may not speak HTTP/2 on this port, or be out of connections".to_owned(),
    }
}

fn broken(wrong: &Wrong, origin: &Origin) -> Trouble {
    let next = match wrong {
        Wrong::Http1 if origin.tls => "report it to who runs it: it chose h2 by ALPN".to_owned(),
        Wrong::Http1 => {
            format!(
                "try https://{}:{}, or switch HTTP/2 on in cleartext there (h2c, prior knowledge)",
                origin.host, origin.port
            )
        }
        Wrong::Tls => format!("try https://{}:{}", origin.host, origin.port),
        Wrong::NotHttp2(_) => "check the port: this is another protocol".to_owned(),
        Wrong::GoAway { code } if error_name(*code) == "ENHANCE_YOUR_CALM" => {
            "wait, then ask again: it sheds load or limits new connections".to_owned()
        }
        Wrong::GoAway { .. } => "wait, then ask again: it may be shutting down".to_owned(),
        Wrong::TooLong(_) | Wrong::TooMany | Wrong::Malformed(_) | Wrong::Value { .. } => {
            "report it to who runs it: every client of HTTP/2 has to end such a connection".to_owned()
        }
    };
    Trouble { step: Step::Settings, what: wrong.to_string(), next }
}

fn shown(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}
