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

use super::{Answer, Ask, Host, Live, Query};

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
    /// Whether it looks into other processes, for who holds a socket.
    pub processes: bool,
    /// Whether it audits another process: joins its namespaces, and reads its files by a process of its own.
    pub others: bool,
    /// Whether a command runs beside it.
    pub command: bool,
    /// Whether it sends signals: to the command, or to itself at its end.
    pub signals: bool,
}

/// Where the kernel says which rights this process has.
pub(super) const STATUS: &str = "/proc/self/status";
/// What it said before rights were given up.
static BEFORE: OnceLock<Answer> = OnceLock::new();

/// What [`STATUS`] said before rights were given up, if they were: an audit reports those that it was given.
pub(super) fn status_before() -> Option<&'static Answer> {
    BEFORE.get()
}

/// Whether a seccomp filter was there at the start.
fn is_filtered() -> bool {
    let status = status_before().and_then(|status| status.as_deref().ok()).unwrap_or_default();
    let mut lines = status.split(|byte| *byte == b'\n');
    lines.any(|line| line.strip_prefix(b"Seccomp:").is_some_and(|mode| mode.trim_ascii() == b"2"))
}

/// Gives up, for this thread and all that it will start, what is not allowed. Returns a sentence for each part: what was
/// given up, or why it was not.
pub fn confine(allowed: Allowed<'_>) -> Vec<String> {
    // Of two, the first is that of the start. Where it cannot be read, what is left would pass for what was given.
    BEFORE.get_or_init(|| Live.ask(Query { ask: Ask::Read, of: STATUS }));
    let capabilities = capabilities::drop_unneeded(allowed);
    if is_filtered() {
        let said =
            "system calls are filtered by whoever started this: such a filter may end a program that asks for more";
        return vec![capabilities, said.to_owned()];
    }
    let files = allowed.files.map(|files| landlock::restrict(files, allowed.makes, allowed.network));
    [Some(capabilities), files, Some(system_calls::restrict(allowed))].into_iter().flatten().collect()
}
