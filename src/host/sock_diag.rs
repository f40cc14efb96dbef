//! TCP sockets over netlink: listeners, for their effective backlog, and connections, for the ports they hold.
//!
//! Source: `linux/sock_diag.h` and `linux/inet_diag.h`; `man 7 sock_diag`. Unprivileged. The kernel itself picks the
//! states and the local ports, so that 50,000 connections cost a question about listeners nothing.

use std::os::fd::AsRawFd;

use super::Sockets;
use crate::model::bounds;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// The older question, of `inet_diag_req`, which is about both families. A dump walks the sockets of the whole machine in the
/// kernel's table, so that one for each family takes twice as long.
const TCPDIAG_GETSOCK: u16 = 18;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLM_F_DUMP_INTR: u16 = 0x10;
const IPPROTO_TCP: u8 = 6;
pub(super) const TCP_LISTEN: u32 = 10;
/// States of sockets that hold a port toward a peer: from `TCP_ESTABLISHED`, 1, to `TCP_CLOSING`, 11, but for
/// `TCP_SYN_RECV`, whose sockets were called from outside, and `TCP_LISTEN`. `TCP_BOUND_INACTIVE`, 13, is asked for as
/// well: sockets that are bound and not connected, in state `TCP_CLOSE`. Kernels before 6.8 have none of it and compare
/// the bit with nothing.
const HOLDING: [u32; 10] = [1, 2, 4, 5, 6, 7, 8, 9, 11, 13];
const HEADER: usize = 16;
/// Bytes of `inet_diag_req_v2`.
const REQUEST: usize = 56;
/// Bytes of `inet_diag_req`, and where its bits for states are.
const OLDER_REQUEST: usize = 60;
const OLDER_STATES: usize = 52;
/// A message with all of its attributes.
pub(super) const WHOLE: usize = usize::MAX;
/// The bit of `idiag_ext` that asks for `INET_DIAG_SKMEMINFO`, 7, which a kernel gives of its own accord to nobody.
const WITH_MEMORY: u8 = 1 << (7 - 1);
/// Bytes of `inet_diag_msg`, behind which its attributes begin.
pub const MESSAGE: usize = 72;
/// Of `inet_diag_msg`, up to both addresses: what follows is of no use here, and half of the bytes.
const ADDRESSES: usize = 40;

/// Which sockets a dump is about.
struct Choice {
    family: u8,
    /// A bit for each state.
    states: u32,
    /// Local ports, both ends included.
    ports: Option<(u16, u16)>,
    /// `idiag_ext`: attributes that are given only to who asks.
    extensions: u8,
}

/// Asks the kernel for the listening TCP sockets of a family (`inet`, `inet6`), and gives its messages, with what each
/// socket dropped among their attributes (`INET_DIAG_SKMEMINFO`).
///
/// # Errors
/// The kernel's error; `EAFNOSUPPORT` for another family, `ENOENT` where the kernel has no tcp_diag.
pub fn listening(family: &str) -> Result<Vec<u8>, Errno> {
    let choice = Choice { family: number(family)?, states: 1 << TCP_LISTEN, ports: None, extensions: WITH_MEMORY };
    whole(SockProtocol::NetlinkSockDiag, &request(&choice), WHOLE)
}

/// Asks the kernel for every other TCP socket, of `inet/LOW-HIGH` or `inet6/LOW-HIGH`: a family and the local ports. Its
/// messages are cut behind the addresses.
///
/// # Errors
/// Those of [`listening`]; `EINVAL` for ports that are none, `EFBIG` for more than 300,000 sockets.
pub fn connections(of: &str) -> Result<Vec<u8>, Errno> {
    let (family, ports) = of.split_once('/').ok_or(Errno::EINVAL)?;
    let choice = Choice { family: number(family)?, states: holding(), ports: Some(range(ports)?), extensions: 0 };
    whole(SockProtocol::NetlinkSockDiag, &request(&choice), ADDRESSES)
}

/// As [`connections`], of both families at once and of the local ports `LOW-HIGH`: passes each on as it is received.
///
/// # Errors
/// Those of [`connections`].
pub(super) fn pass_connections(ports: &str, into: &mut dyn Sockets) -> Result<(), Errno> {
    let mut body = [0; OLDER_REQUEST].to_vec();
    body.splice(OLDER_STATES..OLDER_STATES + 4, holding().to_ne_bytes());
    body.extend(between(range(ports)?));
    let request = asking(TCPDIAG_GETSOCK, &body);
    for _ in 0..bounds::TORN_DUMPS.count() {
        into.clear();
        let mut bytes = 0;
        let whole = dump(SockProtocol::NetlinkSockDiag, &request, |_, message| {
            let addresses = message.get(..ADDRESSES).unwrap_or(message);
            into.add(addresses);
            bytes += HEADER + addresses.len();
            bytes
        })?;
        if whole {
            return Ok(());
        }
    }
    Err(Errno::EAGAIN)
}

/// A bit for each state of sockets that hold a port toward a peer.
fn holding() -> u32 {
    HOLDING.into_iter().fold(0, |states, state| states | 1 << state)
}

/// The ports in `LOW-HIGH`.
fn range(ports: &str) -> Result<(u16, u16), Errno> {
    let (low, high) = ports.split_once('-').ok_or(Errno::EINVAL)?;
    let port = |text: &str| text.parse().map_err(|_| Errno::EINVAL);
    Ok((port(low)?, port(high)?))
}

/// `AF_INET` or `AF_INET6`, as `inet_diag_req_v2` wants them.
fn number(family: &str) -> Result<u8, Errno> {
    match family {
        "inet" => Ok(2),
        "inet6" => Ok(10),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// Dumps until one is whole. Of the body of each message so many bytes are kept.
pub(super) fn whole(protocol: SockProtocol, request: &[u8], keep: usize) -> Result<Vec<u8>, Errno> {
    for _ in 0..bounds::TORN_DUMPS.count() {
        let mut answer = Vec::new();
        let whole = dump(protocol, request, |kind, body| {
            append(&mut answer, kind, body.get(..keep).unwrap_or(body));
            answer.len()
        })?;
        if whole {
            return Ok(answer);
        }
    }
    Err(Errno::EAGAIN)
}

/// One dump, of which each message is passed on as its type and its body; what is given back is how many bytes there are by
/// then. False if sockets came or went meanwhile, so that some may be missing or be there twice.
fn dump(protocol: SockProtocol, request: &[u8], pass: impl FnMut(u16, &[u8]) -> usize) -> Result<bool, Errno> {
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(protocol))?;
    send(netlink.as_raw_fd(), request, MsgFlags::empty())?;
    // A dump is answered from within recv, so there is never anything to wait for.
    gathered(pass, |step| recv(netlink.as_raw_fd(), step, MsgFlags::MSG_DONTWAIT))
}

/// Passes on the messages of a dump that comes in parts, up to the one that ends it; false if it lost its place.
///
/// A read of nothing is no end: what was read until then may be a part.
fn gathered(
    mut pass: impl FnMut(u16, &[u8]) -> usize,
    mut next: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<bool, Errno> {
    // The kernel gives no more at once: SKB_WITH_OVERHEAD(32768) of netlink_recvmsg().
    let mut step = vec![0u8; 32 << 10];
    let mut whole = true;
    loop {
        let count = next(&mut step)?;
        let part = step.get(..count).unwrap_or_default();
        if part.is_empty() {
            return Err(Errno::ENODATA);
        }
        let mut bytes = 0;
        for (kind, flags, body) in split(part) {
            whole = whole && flags & NLM_F_DUMP_INTR == 0;
            match kind {
                NLMSG_DONE => return Ok(whole),
                NLMSG_ERROR => return Err(Errno::from_raw(-body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b)))),
                _ => bytes = pass(kind, body),
            }
        }
        if bytes > bounds::SOCKET_DUMP.count() {
            return Err(Errno::EFBIG);
        }
    }
}

/// Puts a message of this body behind others.
fn append(messages: &mut Vec<u8>, kind: u16, body: &[u8]) {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    messages.extend_from_slice(&length.to_ne_bytes());
    messages.extend_from_slice(&kind.to_ne_bytes());
    messages.extend_from_slice(&[0; HEADER - 6]);
    messages.extend_from_slice(body);
}

fn request(choice: &Choice) -> Vec<u8> {
    let mut body = vec![choice.family, IPPROTO_TCP, choice.extensions, 0];
    body.extend(choice.states.to_ne_bytes());
    body.resize(REQUEST, 0);
    body.extend(choice.ports.map(between).unwrap_or_default());
    asking(SOCK_DIAG_BY_FAMILY, &body)
}

/// A message of this kind that asks for a dump.
pub(super) fn asking(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend(body);
    bytes
}

/// The attribute `INET_DIAG_REQ_BYTECODE` that accepts local ports of a range. An operation is a code, how many bytes
/// to go on if it holds, and how many if not; a port is the last part of an operation of its own. To go on 4 bytes
/// beyond the end is to refuse.
fn between((low, high): (u16, u16)) -> Vec<u8> {
    const INET_DIAG_REQ_BYTECODE: u16 = 1;
    const SOURCE_AT_LEAST: u8 = 2;
    const SOURCE_AT_MOST: u8 = 3;
    let operation = |code: u8, yes: u8, no: u16| {
        let [a, b] = no.to_ne_bytes();
        [code, yes, a, b]
    };
    let operations = [
        operation(SOURCE_AT_LEAST, 8, 20),
        operation(0, 0, low),
        operation(SOURCE_AT_MOST, 8, 12),
        operation(0, 0, high),
    ];
    [20u16.to_ne_bytes(), INET_DIAG_REQ_BYTECODE.to_ne_bytes()]
        .into_iter()
        .flatten()
        .chain(operations.into_iter().flatten())
        .collect()
}

/// Splits netlink bytes into messages: type and body. Stops at the first that is not whole.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    split(bytes).map(|(kind, _, body)| (kind, body))
}

/// The attribute of this type among those that follow one another (`struct rtattr`).
pub fn attribute(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    const HEADER: usize = 4;
    let mut rest = attributes;
    loop {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..HEADER)?.first_chunk()?);
        let value = rest.get(HEADER..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// Messages as type, flags and body.
fn split(bytes: &[u8]) -> impl Iterator<Item = (u16, u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*rest.get(4..6)?.first_chunk()?);
        let flags = u16::from_ne_bytes(*rest.get(6..8)?.first_chunk()?);
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, flags, body))
    })
}

#[cfg(test)]
mod tests;
