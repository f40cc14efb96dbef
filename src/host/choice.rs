//! Which of several processes stands for them all: the one that listens, else the oldest.

use std::collections::BTreeSet;

use super::of::Of;
use super::processes::Process;
use super::{Ask, Host, Query, owners, sock_diag};
use crate::model::bounds;

/// Where the socket's inode number lies in `inet_diag_msg` (linux/inet_diag.h).
const INODE: std::ops::Range<usize> = 68..72;

/// The process to audit for all of these, and why it is that one. They share a network namespace.
pub(super) fn choose<'a>(all: &[&'a Process]) -> Option<(&'a Process, String)> {
    let mut all = all.to_vec();
    all.sort_by_key(|process| (process.began, process.pid));
    let (&oldest, rest) = all.split_first()?;
    if rest.is_empty() {
        return Some((oldest, String::new()));
    }
    let count = all.len();
    Some(match listening(&all) {
        Ok(Some(process)) => (process, format!("of {count} processes the oldest one that listens")),
        Ok(None) if bounds::CANDIDATES.is_exceeded_by(count) => {
            let most = bounds::CANDIDATES;
            (
                oldest,
                format!(
                    "the oldest of {count} processes, of which the {most} oldest do not listen on TCP and the rest was not looked at"
                ),
            )
        }
        Ok(None) => (oldest, format!("the oldest of {count} processes, none of which listens on TCP")),
        Err(()) => (oldest, format!("the oldest of {count} processes; this user may not see which of them listens")),
    })
}

/// The first of these that holds a listening TCP socket.
fn listening<'a>(all: &[&'a Process]) -> Result<Option<&'a Process>, ()> {
    // The first may end meanwhile.
    let host = all.iter().take(3).find_map(|process| Of::process(process, String::new()).ok()).ok_or(())?;
    let mut answers = ["inet", "inet6"].map(|family| host.ask(Query { ask: Ask::SockDiag, of: family })).into_iter();
    let first = answers.next().and_then(Result::ok).ok_or(())?;
    let sockets: BTreeSet<u64> =
        inodes(&first).chain(answers.flatten().flat_map(|bytes| inodes(&bytes).collect::<Vec<_>>())).collect();
    if sockets.is_empty() {
        return Ok(None);
    }
    let mut denied = false;
    for process in all.iter().take(bounds::CANDIDATES.count()) {
        match owners::holds(process.pid, &sockets) {
            Ok(true) => return Ok(Some(process)),
            Ok(false) => {}
            Err(()) => denied = true,
        }
    }
    if denied { Err(()) } else { Ok(None) }
}

fn inodes(bytes: &[u8]) -> impl Iterator<Item = u64> {
    sock_diag::messages(bytes)
        .filter_map(|(_, body)| Some(u64::from(u32::from_ne_bytes(body.get(INODE)?.try_into().ok()?))))
        .filter(|&inode| inode != 0)
}
