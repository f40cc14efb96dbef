//! TCP sockets over netlink: listeners, for their effective backlog, and connections, for the ports they hold.
//!
//! Source: `linux/sock_diag.h` and `linux/inet_diag.h`; `man 7 sock_diag`. Unprivileged. The kernel itself picks the
//! states and the local ports, so that 50,000 connections cost a question about listeners nothing.

use std::os::fd::AsRawFd;

use crate::model::bounds;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
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
    let (low, high) = ports.split_once('-').ok_or(Errno::EINVAL)?;
    let port = |text: &str| text.parse().map_err(|_| Errno::EINVAL);
    let states = HOLDING.into_iter().fold(0, |states, state| states | 1 << state);
    let ports = Some((port(low)?, port(high)?));
    let choice = Choice { family: number(family)?, states, ports, extensions: 0 };
    whole(SockProtocol::NetlinkSockDiag, &request(&choice), ADDRESSES)
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
        if let Some(answer) = dump(protocol, request, keep)? {
            return Ok(answer);
        }
    }
    Err(Errno::EAGAIN)
}

/// One dump; `None` if sockets came or went meanwhile, so that some may be missing or be there twice.
fn dump(protocol: SockProtocol, request: &[u8], keep: usize) -> Result<Option<Vec<u8>>, Errno> {
    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(protocol))?;
    send(netlink.as_raw_fd(), request, MsgFlags::empty())?;
    // A dump is answered from within recv, so there is never anything to wait for.
    gathered(keep, |step| recv(netlink.as_raw_fd(), step, MsgFlags::MSG_DONTWAIT))
}

/// The messages of a dump that comes in parts, up to the one that ends it; `None` if it lost its place.
///
/// A read of nothing is no end: what was read until then may be a part.
fn gathered(keep: usize, mut next: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    let mut answer = Vec::new();
    let mut step = vec![0u8; 32 << 10];
    let mut whole = true;
    loop {
        let count = next(&mut step)?;
        let part = step.get(..count).unwrap_or_default();
        if part.is_empty() {
            return Err(Errno::ENODATA);
        }
        whole = whole && !interrupted(part);
        for (kind, body) in messages(part) {
            match kind {
                NLMSG_DONE => return Ok(whole.then_some(answer)),
                NLMSG_ERROR => return Err(Errno::from_raw(-body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b)))),
                _ => append(&mut answer, kind, body.get(..keep).unwrap_or(body)),
            }
        }
        if answer.len() > bounds::SOCKET_DUMP.count() {
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

/// Whether any message says that the dump lost its place.
fn interrupted(bytes: &[u8]) -> bool {
    split(bytes).any(|(_, flags, _)| flags & NLM_F_DUMP_INTR != 0)
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
mod tests {
    use super::*;

    #[test]
    fn a_dump_that_lost_its_place_says_so_in_any_message() {
        let message =
            |flags: u16| [&16u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
        assert!(!interrupted(&[message(2), message(2)].concat()));
        assert!(interrupted(&[message(2), message(0x12)].concat()));
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(&mut bytes, kind, body);
        bytes
    }

    #[test]
    fn a_dump_ends_with_the_message_that_ends_it_and_not_with_a_read_of_nothing() {
        let dump = |parts: &[&[u8]]| {
            let mut parts = parts.iter();
            gathered(WHOLE, |step| {
                let part = parts.next().ok_or(Errno::EAGAIN)?;
                step[..part.len()].copy_from_slice(part);
                Ok(part.len())
            })
        };
        let socket = message(SOCK_DIAG_BY_FAMILY, &[7; MESSAGE]);
        let done = message(NLMSG_DONE, &[0; 4]);
        assert_eq!(dump(&[&socket, &done]), Ok(Some(socket.clone())));
        assert_eq!(dump(&[&socket, &[]]), Err(Errno::ENODATA));
        assert_eq!(dump(&[&[]]), Err(Errno::ENODATA));
        assert_eq!(dump(&[&message(NLMSG_ERROR, &(-1i32).to_ne_bytes())]), Err(Errno::EPERM));
    }

    #[test]
    fn attributes_are_found_by_their_type_as_far_as_they_are_whole() {
        let one = [&5u16.to_ne_bytes()[..], &8u16.to_ne_bytes(), &[1, 0, 0, 0]].concat();
        let two = [&8u16.to_ne_bytes()[..], &7u16.to_ne_bytes(), &[9; 4]].concat();
        let both = [one, two].concat();
        assert_eq!((attribute(&both, 8), attribute(&both, 7)), (Some(&[1][..]), Some(&[9; 4][..])));
        assert_eq!((attribute(&both, 1), attribute(&both[..14], 7)), (None, None));
        assert_eq!(attribute(&[0; 8], 7), None, "a length of nothing goes nowhere");
    }

    #[test]
    fn ports_are_picked_by_two_comparisons_that_refuse_by_going_beyond_the_end() {
        let filter = between((0x1234, 0x5678));
        let parts: Vec<u16> = filter.chunks(2).map(|part| u16::from_ne_bytes([part[0], part[1]])).collect();
        let [ge, le] = [2, 3].map(|code| u16::from_ne_bytes([code, 8]));
        assert_eq!(parts, [20, 1, ge, 20, 0, 0x1234, le, 12, 0, 0x5678]);
        assert_eq!(&request(&Choice { family: 2, states: 1, ports: None, extensions: 0 })[..4], 72u32.to_ne_bytes());
        assert_eq!(
            &request(&Choice { family: 2, states: 1, ports: Some((1, 2)), extensions: 0 })[..4],
            92u32.to_ne_bytes()
        );
    }

    #[test]
    fn what_is_no_family_or_no_range_of_ports_is_not_asked() {
        assert_eq!(connections("unix/1-2"), Err(Errno::EAFNOSUPPORT));
        for of in ["inet", "inet/", "inet/1", "inet/1-65536", "inet/a-b"] {
            assert_eq!(connections(of), Err(Errno::EINVAL), "{of}");
        }
    }

    #[test]
    fn a_cut_message_is_a_message() {
        let mut bytes = Vec::new();
        append(&mut bytes, 20, &[7; 40]);
        append(&mut bytes, 20, &[8; 40]);
        assert_eq!(messages(&bytes).collect::<Vec<_>>(), [(20, &[7; 40][..]), (20, &[8; 40][..])]);
    }
}
