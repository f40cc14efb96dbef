//! What a run of tunecheck gives up before it reads a byte of others: rights that it does not need.
//!
//! A fault in a parser then ends with an error of a system call, not with a file that was written. Nothing here is
//! needed for an answer: where the kernel, or what runs the container, refuses a part of it, the run goes on without,
//! and says so with `-v`.

mod capabilities;
mod filter;
mod landlock;
mod system_calls;

use std::path::Path;
use std::sync::OnceLock;

use super::{Ask, Host, Live, Query};

/// What a run may still do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed<'a> {
    /// The only files and folders that it may read; any, if it reads the machine itself.
    ///
    /// A process under Landlock may not look into one that is not, so a run that finds out who holds a socket, or joins
    /// a namespace, cannot be under it
    /// ([Landlock](https://docs.kernel.org/userspace-api/landlock.html), "Ptrace restrictions").
    pub files: Option<&'a [&'a Path]>,
    /// A folder or file that it makes.
    pub makes: Option<&'a Path>,
    /// Whether it talks to the network.
    pub network: bool,
    /// Whether it opens a terminal, for a live screen.
    pub terminal: bool,
    /// Whether it looks into other processes and namespaces.
    pub processes: bool,
    /// Whether it starts programs.
    pub programs: bool,
}

/// Where the kernel says which rights this process has.
pub(super) const STATUS: &str = "/proc/self/status";
/// What it said before rights were given up.
static BEFORE: OnceLock<Vec<u8>> = OnceLock::new();

/// What [`STATUS`] said before rights were given up, if they were: an audit reports those that it was given.
pub(super) fn status_before() -> Option<&'static Vec<u8>> {
    BEFORE.get()
}

/// Gives up, for this thread and all that it will start, what is not allowed. Returns a sentence for each part: what was
/// given up, or why it was not.
pub fn confine(allowed: Allowed<'_>) -> Vec<String> {
    if let Ok(status) = Live.ask(Query { ask: Ask::Read, of: STATUS }) {
        // Of two, the first is that of the start.
        let _ = BEFORE.set(status);
    }
    let files = allowed.files.map(|files| landlock::restrict(files, allowed.makes, allowed.network));
    let parts = [Some(capabilities::drop_unneeded(allowed)), files, Some(system_calls::restrict(allowed))];
    parts.into_iter().flatten().collect()
}
