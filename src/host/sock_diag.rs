//! Listening TCP sockets over netlink: the only source of the effective backlog.
//!
//! Source: `linux/sock_diag.h` and `linux/inet_diag.h`; `man 7 sock_diag`. Unprivileged, and filtered to LISTEN by the
//! kernel, so that 50,000 connections cost nothing.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLM_F_DUMP_INTR: u16 = 0x10;
/// Dumps that are tried until one is whole.
const TRIES: usize = 3;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;

/// Asks the kernel for the listening TCP sockets of a family (`inet`, `inet6`), and gives its messages as they came.
///
/// # Errors
/// The kernel's error; `EAFNOSUPPORT` for another family, `ENOENT` where the kernel has no tcp_diag.
pub fn listening(family: &str) -> Result<Vec<u8>, Errno> {
    for _ in 0..TRIES {
        if let Some(answer) = dump(family)? {
            return Ok(answer);
        }
    }
    Err(Errno::EAGAIN)
}

/// One dump; `None` if sockets came or went meanwhile, so that some may be missing or be there twice.
fn dump(family: &str) -> Result<Option<Vec<u8>>, Errno> {
    let family = match family {
        "inet" => libc_family::INET,
        "inet6" => libc_family::INET6,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    let netlink =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::NetlinkSockDiag))?;
    send(netlink.as_raw_fd(), &request(family), MsgFlags::empty())?;
    let mut answer = Vec::new();
    let mut step = vec![0u8; 16 << 10];
    let mut whole = true;
    loop {
        // A dump is answered from within recv, so there is never anything to wait for.
        let count = recv(netlink.as_raw_fd(), &mut step, MsgFlags::MSG_DONTWAIT)?;
        let part = step.get(..count).unwrap_or_default();
        whole = whole && !interrupted(part);
        for (kind, body) in messages(part) {
            match kind {
                NLMSG_DONE => return Ok(whole.then_some(answer)),
                NLMSG_ERROR => return Err(Errno::from_raw(-body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b)))),
                _ => {}
            }
        }
        if count == 0 {
            return Ok(whole.then_some(answer));
        }
        answer.extend_from_slice(part);
    }
}

/// `AF_INET` and `AF_INET6`, as `inet_diag_req_v2` wants them.
mod libc_family {
    pub(super) const INET: u8 = 2;
    pub(super) const INET6: u8 = 10;
}

fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0u8; REQUEST];
    let mut put = |at: usize, part: &[u8]| {
        for (to, from) in bytes.iter_mut().skip(at).zip(part) {
            *to = *from;
        }
    };
    put(0, &(REQUEST as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST_DUMP.to_ne_bytes());
    put(HEADER, &[family, IPPROTO_TCP]);
    put(HEADER + 4, &(1u32 << TCP_LISTEN).to_ne_bytes());
    bytes
}

/// Whether any message says that the dump lost its place.
fn interrupted(bytes: &[u8]) -> bool {
    split(bytes).any(|(_, flags, _)| flags & NLM_F_DUMP_INTR != 0)
}

/// Splits netlink bytes into messages: type and body. Stops at the first that is not whole.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    split(bytes).map(|(kind, _, body)| (kind, body))
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
}
