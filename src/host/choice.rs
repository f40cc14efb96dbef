//! Which of several processes stands for them all: the one that listens, else the oldest.

use std::collections::BTreeSet;
use std::io;

use super::live::refusal;
use super::of::Of;
use super::processes::Process;
use super::{Ask, Host, Query, Refusal, owners, sock_diag};
use crate::model::bounds;

/// Where the socket's inode number lies in `inet_diag_msg` (linux/inet_diag.h).
const INODE: std::ops::Range<usize> = 68..72;

/// The process to audit for all of these, and why it is that one. They share a network namespace, which one of them is opened
/// to ask. None of none.
///
/// # Errors
/// Which of them listens cannot be read now. Where this user may not see it, it is the oldest.
pub(super) fn choose<'a>(
    all: &[&'a Process],
    open: impl FnMut(&Process) -> Result<Of, Refusal>,
) -> Result<Option<(&'a Process, String)>, Refusal> {
    let mut all = all.to_vec();
    all.sort_by_key(|process| (process.began, process.pid));
    let Some((&oldest, rest)) = all.split_first() else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some((oldest, String::new())));
    }
    let count = all.len();
    Ok(Some(match listening(&all, open) {
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
        Err(refusal) if refusal.is_denied() || refusal.is_no_call() => {
            (oldest, format!("the oldest of {count} processes; this user may not see which of them listens"))
        }
        Err(refusal) => return Err(refusal),
    }))
}

/// The first of these that holds a listening TCP socket.
fn listening<'a>(
    all: &[&'a Process],
    open: impl FnMut(&Process) -> Result<Of, Refusal>,
) -> Result<Option<&'a Process>, Refusal> {
    let host = one_of(all, open)?;
    let mut sockets = BTreeSet::new();
    for family in ["inet", "inet6"] {
        match host.ask(Query { ask: Ask::SockDiag, of: family }) {
            Ok(bytes) => sockets.extend(inodes(&bytes)),
            // A kernel without IPv6.
            Err(refusal) if family == "inet6" && (refusal.is_absent() || refusal.is_no_call()) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    if sockets.is_empty() {
        return Ok(None);
    }
    let mut closed: Option<io::Error> = None;
    for process in all.iter().take(bounds::CANDIDATES.count()) {
        match owners::holds(process.pid, &sockets) {
            Ok(true) if closed.is_none() => return Ok(Some(process)),
            // The one that could not be looked into may listen as well, and is older.
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => closed = Some(error),
        }
    }
    closed.map_or(Ok(None), |error| Err(refusal(&error)))
}

/// The first of these that has not ended meanwhile.
fn one_of(all: &[&Process], mut open: impl FnMut(&Process) -> Result<Of, Refusal>) -> Result<Of, Refusal> {
    let mut ended = Refusal::Errno(nix::errno::Errno::ESRCH as i32);
    for process in all.iter().take(bounds::SUCCESSORS.count()) {
        match open(process) {
            Ok(of) => return Ok(of),
            Err(refusal) => ended = refusal,
        }
    }
    Err(ended)
}

fn inodes(bytes: &[u8]) -> impl Iterator<Item = u64> {
    sock_diag::messages(bytes)
        .filter_map(|(_, body)| Some(u64::from(u32::from_ne_bytes(body.get(INODE)?.try_into().ok()?))))
        .filter(|&inode| inode != 0)
}
