//! Listening AF_UNIX sockets over netlink, with their queue and their effective backlog.
//!
//! Source: `linux/unix_diag.h`; `man 7 sock_diag`. Unprivileged; of the network namespace.

use nix::errno::Errno;

use super::sock_diag::{TCP_LISTEN, WHOLE, asking, whole};

const AF_UNIX: u8 = 1;
const UDIAG_SHOW_NAME: u32 = 0x1;
const UDIAG_SHOW_RQLEN: u32 = 0x10;

/// Asks the kernel for the listening sockets, and gives its messages.
///
/// # Errors
/// The kernel's error; `ENOENT` where it has no unix_diag.
pub(super) fn listening() -> Result<Vec<u8>, Errno> {
    whole(&request(), WHOLE)
}

/// `unix_diag_req`: the family, the states, no socket of a number, what to show, no cookie.
fn request() -> Vec<u8> {
    let mut body = vec![AF_UNIX, 0, 0, 0];
    for number in [1 << TCP_LISTEN, 0, UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN, 0, 0] {
        body.extend(number.to_ne_bytes());
    }
    asking(&body)
}
