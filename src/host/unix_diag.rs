//! AF_UNIX sockets over netlink: listeners with their queue and their effective backlog, and those that take datagrams.
//!
//! Source: `linux/unix_diag.h`; `man 7 sock_diag`. Unprivileged; of the network namespace.

use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use super::sock_diag::{SOCK_DIAG_BY_FAMILY, TCP_LISTEN, WHOLE, asking, whole};

const AF_UNIX: u8 = 1;
/// The state of a socket that nobody has connected to, and that of the others that do not listen: since Linux 5.15 a
/// datagram socket has it too, once somebody has connected to it.
const TCP_CLOSE: u32 = 7;
const TCP_ESTABLISHED: u32 = 1;
const UDIAG_SHOW_NAME: u32 = 0x1;
const UDIAG_SHOW_PEER: u32 = 0x4;
const UDIAG_SHOW_RQLEN: u32 = 0x10;

/// Asks the kernel for the listening sockets, and gives its messages.
///
/// # Errors
/// The kernel's error; `ENOENT` where it has no unix_diag.
pub(super) fn listening() -> Result<Vec<u8>, Errno> {
    of(&[TCP_LISTEN], UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN)
}

/// Asks the kernel for sockets that do not listen, with their names and whom they write to.
///
/// # Errors
/// Those of [`listening`].
pub(super) fn bound() -> Result<Vec<u8>, Errno> {
    of(&[TCP_CLOSE, TCP_ESTABLISHED], UDIAG_SHOW_NAME | UDIAG_SHOW_PEER)
}

/// `unix_diag_req`: the family, the states, no socket of a number, what to show, no cookie.
fn of(states: &[u32], show: u32) -> Result<Vec<u8>, Errno> {
    let mut body = vec![AF_UNIX, 0, 0, 0];
    let states = states.iter().fold(0, |all, state| all | 1 << state);
    for number in [states, 0, show, 0, 0] {
        body.extend(number.to_ne_bytes());
    }
    whole(SockProtocol::NetlinkSockDiag, &asking(SOCK_DIAG_BY_FAMILY, &body), WHOLE)
}
