//! Asking name servers: a datagram, and TCP where the answer does not fit into one.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::connect::left_of;
use super::dns::{Kind, Said, answer, question};
use crate::host::Clock;
use crate::model::resolv_conf::ResolvConf;

const PORT: u16 = 53;
/// Largest datagram that a server sends to who asks without EDNS, with room for one that does not care.
const DATAGRAM: usize = 4096;

/// Who answered, and what.
pub(super) struct Told {
    pub(super) server: IpAddr,
    pub(super) said: Said,
}

/// Asks the servers one after the other for one kind of address of a name. The two kinds are asked one behind the other as
/// well: two at once from one socket are what loses a race in conntrack.
///
/// # Errors
/// What each server did last, in words.
pub(super) fn lookup(
    conf: &ResolvConf,
    servers: &[IpAddr],
    name: &str,
    kind: Kind,
    clock: Clock,
    end: Duration,
) -> Result<Told, String> {
    let mut tries = servers.len() * conf.attempts;
    let mut failed: Vec<(IpAddr, String)> = Vec::new();
    for _ in 0..conf.attempts {
        for &server in servers {
            // What is left is shared, so that a dead server does not keep a live one from being asked.
            let share = end.saturating_sub(clock.elapsed()) / u32::try_from(tries.max(1)).unwrap_or(1);
            let until = (clock.elapsed() + share.min(conf.timeout)).min(end);
            tries -= 1;
            let why = match ask(server, name, kind, clock, until) {
                Ok(Said::Refused(word)) => format!("refused ({word})"),
                Ok(said) => return Ok(Told { server, said }),
                Err(error) if error.kind() == ErrorKind::TimedOut => "no answer in time".to_owned(),
                Err(error) => error.to_string(),
            };
            failed.retain(|(other, _)| *other != server);
            failed.push((server, why));
        }
    }
    let told: Vec<String> = failed.iter().map(|(server, why)| format!("{server}: {why}")).collect();
    Err(told.join("; "))
}

fn ask(server: IpAddr, name: &str, kind: Kind, clock: Clock, until: Duration) -> io::Result<Said> {
    // A number that nobody else can know, so that only the server can answer.
    let id = (RandomState::new().hash_one(name) & 0xffff) as u16;
    let bytes = question(id, name, kind).ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no name in DNS"))?;
    let server = SocketAddr::new(server, PORT);
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // From here on the kernel takes datagrams of this server only.
    socket.connect(server)?;
    socket.send(&bytes)?;
    let mut buffer = [0; DATAGRAM];
    loop {
        socket.set_read_timeout(Some(left_of(until, clock)?))?;
        let count = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            other => other?,
        };
        match answer(buffer.get(..count).unwrap_or_default(), id, name, kind) {
            Ok(Said::Truncated) => return over_tcp(server, &bytes, (id, name, kind), clock, until),
            Ok(said) => return Ok(said),
            // Somebody else's, or a late one.
            Err(_) => {}
        }
    }
}

fn over_tcp(
    server: SocketAddr,
    bytes: &[u8],
    (id, name, kind): (u16, &str, Kind),
    clock: Clock,
    until: Duration,
) -> io::Result<Said> {
    let mut stream = TcpStream::connect_timeout(&server, left_of(until, clock)?)?;
    stream.set_write_timeout(Some(left_of(until, clock)?))?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat())?;
    let mut length = [0; 2];
    fill(&mut stream, &mut length, clock, until)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    fill(&mut stream, &mut message, clock, until)?;
    match answer(&message, id, name, kind) {
        Ok(Said::Truncated) => Err(io::Error::new(ErrorKind::InvalidData, "truncated over TCP as well")),
        Ok(said) => Ok(said),
        Err(why) => Err(io::Error::new(ErrorKind::InvalidData, why)),
    }
}

/// Reads until a buffer is full, with what is left of the time at each step.
fn fill(stream: &mut TcpStream, buffer: &mut [u8], clock: Clock, until: Duration) -> io::Result<()> {
    let mut at = 0;
    while at < buffer.len() {
        stream.set_read_timeout(Some(left_of(until, clock)?))?;
        match stream.read(buffer.get_mut(at..).unwrap_or_default()) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => at += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
