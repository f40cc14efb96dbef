//! What is the same for every process of a machine, read once for an audit of several.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::again::again;
use super::fd_use::{self, PerNamespace};
use super::live::refusal;
use super::mounts::{self, Remote};
use super::{Answer, Ask, Host, Live, Query, Refusal};
use crate::model::bounds;

/// What the files of a process are those of: a folder in a mount namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Root {
    mounts: PathBuf,
    path: PathBuf,
    /// Its device and inode number, once looked at: what is mounted over a path leaves its name.
    folder: Option<(u64, u64)>,
}

impl Root {
    /// That of a process, as it is called; none without the right to look into it.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let mounts = again(|| fs::read_link(format!("/proc/{pid}/ns/mnt"))).ok()?;
        let path = again(|| fs::read_link(format!("/proc/{pid}/root"))).ok()?;
        Some(Self { mounts, path, folder: None })
    }

    /// The same looked at, which its file system has to answer.
    pub(super) fn looked_at(self, pid: u32) -> Option<Self> {
        let folder = again(|| fs::metadata(format!("/proc/{pid}/root"))).ok()?;
        Some(Self { folder: Some((folder.dev(), folder.ino())), ..self })
    }
}

/// A question, and about whose files it is, if about any.
type Key = (Option<Root>, Ask, String);

/// Remembers what it was asked. Threads share it: while one asks for what is kept, the others wait for that answer.
#[derive(Debug, Default)]
pub(super) struct Shared {
    kept: Mutex<BTreeMap<Key, Answer>>,
    /// File systems that may not answer, by whose they are.
    remote: Mutex<BTreeMap<Root, Remote>>,
    /// Processes near their limit on open files, by pid namespace.
    fd_use: OnceLock<Result<PerNamespace, Refusal>>,
}

impl Shared {
    /// The answer, that of the first time if it was asked before.
    pub(super) fn ask(&self, query: Query<'_>) -> Answer {
        // Who holds a socket is asked for other sockets each time.
        match query.ask {
            Ask::SocketOwners => Live.ask(query),
            _ => self.kept(None, query, || Live.ask(query)),
        }
    }

    /// The answer about a file of this root, that of the first time if it was asked before.
    pub(super) fn of_root(&self, root: &Root, query: Query<'_>, ask: impl FnOnce() -> Answer) -> Answer {
        self.kept(Some(root.clone()), query, ask)
    }

    fn kept(&self, root: Option<Root>, query: Query<'_>, ask: impl FnOnce() -> Answer) -> Answer {
        let mut kept = locked(&self.kept);
        let key = (root, query.ask, query.of.to_owned());
        if let Some(answer) = kept.get(&key) {
            return answer.clone();
        }
        if kept.len() >= bounds::SHARED_ANSWERS.count() {
            drop(kept);
            return ask();
        }
        let answer = ask();
        // Any other refusal may name the process that was asked about.
        let is_of_all = key.0.is_none() || matches!(answer, Ok(_) | Err(Refusal::Errno(_)));
        let size = answer.as_ref().map_or(0, Vec::len);
        if is_of_all && !bounds::SHARED_ANSWER.is_exceeded_by(size) {
            kept.insert(key, answer.clone());
        }
        answer
    }

    /// Which file systems of this root may not answer, as the first process shows that has it.
    pub(super) fn remote(&self, root: &Root, pid: u32) -> Remote {
        let mut known = locked(&self.remote);
        if let Some(remote) = known.get(root) {
            return remote.clone();
        }
        let remote = mounts::remote(&pid.to_string());
        if known.len() < bounds::SHARED_ANSWERS.count() {
            known.insert(root.clone(), remote.clone());
        }
        remote
    }

    /// As [`Ask::FdUse`], of a pid namespace: one pass over all processes is for all of them.
    pub(super) fn fd_use(&self, pidns: &[u8]) -> Answer {
        let passed = || fd_use::per_namespace().map_err(|error| refusal(&error));
        match self.fd_use.get_or_init(passed) {
            Ok(all) => Ok(all.of(pidns)),
            Err(refusal) => Err(refusal.clone()),
        }
    }
}

/// A thread that panics ends the program, so that none leaves anything half done.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_once_is_not_read_again() {
        let shared = Shared::default();
        let uptime = || shared.ask(Query { ask: Ask::Read, of: "/proc/uptime" }).unwrap();
        let first = uptime();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_eq!(uptime(), first);
        assert_ne!(Live.ask(Query { ask: Ask::Read, of: "/proc/uptime" }).unwrap(), first);
    }
}
