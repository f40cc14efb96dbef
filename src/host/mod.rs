//! The only module that touches the machine: the live one, a recording, a foreign tree, a sysctl dump.
//!
//! Everything an audit wants to know is a [`Query`], and every answer is raw bytes or a [`Refusal`]. So a recording is
//! a list of queries with their answers, below every parser, and replays exactly.

#![allow(clippy::disallowed_methods, reason = "this is the module that touches the machine")]

mod again;
mod archive;
mod below;
mod cgroups;
mod child;
mod choice;
mod clock;
mod confinement;
mod dump;
mod fd_use;
mod folder;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guest;
mod identity;
mod inotify;
pub mod input;
mod inside;
mod kept;
mod live;
mod member;
mod mounts;
mod names;
mod nobody;
mod of;
mod output;
mod owners;
pub mod peer;
mod processes;
mod qdiscs;
mod reader;
mod recorder;
mod redacted;
mod room;
mod runtime;
mod shared;
mod signals;
mod snapshot;
pub mod sock_diag;
mod steps;
mod survey;
mod target;
mod tree;
mod unix_diag;
mod witness;
mod worker;
mod workload;

use std::fmt;

pub use child::{Child, End};
pub use clock::Clock;
pub use confinement::{Allowed, confine};
pub use dump::{Dump, NoDump};
pub use kept::Kept;
pub use live::{Itself, Live};
pub use member::home;
pub use nobody::Nobody;
pub use of::Of;
pub use output::{Output, write_new};
pub use reader::{READER, serve as serve_reader};
pub use recorder::Recorder;
pub use room::{NoRoom, room};
pub use signals::{Came, Signals, end_by};
pub use snapshot::{Replay, write as write_snapshot};
pub use survey::{Subject, Survey, survey};
pub use target::{NoTarget, Target, find};
pub use tree::{Tree, has_procfs};
pub use witness::{WITNESS, be_witness};
pub use worker::each;
pub use workload::{own_processes, workload};

use crate::model::fact::{Cause, Gap};

/// The kinds of question. All but the first three are primitives that are not files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The content of a file.
    Read,
    /// The names in a directory, separated by zero bytes, sorted.
    List,
    /// The target of a symbolic link.
    Link,
    /// `st_size` of a file, in decimal.
    Size,
    /// Whether a file exists: an empty answer, or a refusal.
    Exists,
    /// Whether faccessat(W_OK) allows writing: an empty answer, or a refusal. Nothing is opened.
    Writable,
    /// `magic=HEX readonly=0|1` of the file system at a path.
    Statfs,
    /// Bytes of a page of memory, in decimal.
    PageSize,
    /// Node name, release and machine of uname(2), a line each.
    Uname,
    /// The netlink messages that answer a sock_diag dump of listening sockets: TCP ones of `inet` or `inet6`, or those of
    /// `unix`; of `unix-bound`, those of AF_UNIX sockets that do not listen.
    SockDiag,
    /// The netlink messages that answer a sock_diag dump of all other TCP sockets, bound ones included, cut behind
    /// state, ports and addresses; of `inet/LOW-HIGH` or `inet6/LOW-HIGH`, the local ports they are on.
    Connections,
    /// The queueing disciplines of the network namespace that dropped packets to be sent, or had one put back, a line each:
    /// `INTERFACE KIND DROPS FULL REQUEUES`. Of those that lie in each other each has its own drops. `FULL` of them
    /// were for want of room, `-` where the kind does not tell.
    Qdiscs,
    /// Whether an environment variable of tunecheck itself is set: an empty answer, or a refusal. Never its value.
    Env,
    /// `looked=N denied=N`, and a line `PID USED SOFT COMM` for each of the ten processes that are nearest to their soft
    /// limit on open files, the nearest first. A pass over every process: some ten microseconds for each.
    FdUse,
    /// `looked=N denied=N hidden=0|1`, and a line `UID INSTANCES WATCHES PID COUNT COMM` for each user that holds inotify
    /// instances, with the process that holds most of them. A pass over every descriptor of every process.
    Inotify,
    /// Which processes hold sockets, by inode numbers with commas between them, each with `@CGROUP` and `/UID` of who made it
    /// behind it where that is known: lines `INODE PID NAME`, a line `cgroup CGROUP PATH` for each cgroup that was found, then
    /// `denied N` and `cut N` for processes that could not be looked into or through while a socket had no owner, and
    /// `as root` where root asked.
    SocketOwners,
    /// Memory mappings of the audited process, in decimal: how many lines /proc/PID/maps has. None of them is kept.
    Mappings,
    /// Tasks of the user of this number, in decimal: threads of all processes that can be seen whose real user it is. A
    /// pass over every process.
    UserTasks,
    /// What the audited process is made of, a sign a line: `exe NAME`, `lib jvm|j9`, `go VERSION`, `automaxprocs`,
    /// `containermaxprocs=0`, `rustc`,
    /// `threads N`, `thread KIND N`.
    Runtime,
    /// What the audited process was told, of the few options of the runtime named in `of` that an audit asks about: lines
    /// `WHERE OPTION VALUE`, the value a number, `on`, `off`, `auto`, or `?` for anything else. `unread ?` stands for a
    /// whole source, `file ?` and `include ?` for options in a file that is not read. Never another option.
    Options,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query<'a> {
    /// The kind of question.
    pub ask: Ask,
    /// The path, name or family asked about; empty where there is none.
    pub of: &'a str,
}

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The kernel's error number.
    Errno(i32),
    /// This user may not look there: another path than the one that was asked for.
    DeniedAt(String),
    /// It exists on the machine and cannot be seen through this host.
    NotVisibleHere(String),
    /// This host has no way to tell.
    Unsupported(String),
    /// The run that made this recording did not ask. It is never written into another one.
    #[serde(skip)]
    NotRecorded,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errno(number) => f.write_str(nix::errno::Errno::from_raw(*number).desc()),
            Self::DeniedAt(path) => write!(f, "{path}: {}", nix::errno::Errno::EACCES.desc()),
            Self::NotVisibleHere(why) | Self::Unsupported(why) => f.write_str(why),
            Self::NotRecorded => f.write_str("it was not recorded in this snapshot"),
        }
    }
}

impl Refusal {
    /// Whether the thing asked about does not exist.
    pub fn is_absent(&self) -> bool {
        use nix::errno::Errno;
        matches!(self, Self::Errno(number) if [Errno::ENOENT, Errno::ENOTDIR].contains(&Errno::from_raw(*number)))
    }

    /// Whether the thing asked about is there and is no link.
    pub fn is_no_link(&self) -> bool {
        matches!(self, Self::Errno(number) if nix::errno::Errno::from_raw(*number) == nix::errno::Errno::EINVAL)
    }

    /// Whether it lies on what is mounted read-only.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Errno(number) if nix::errno::Errno::from_raw(*number) == nix::errno::Errno::EROFS)
    }

    /// Whether this user may not ask.
    pub fn is_denied(&self) -> bool {
        use nix::errno::Errno;
        match self {
            Self::Errno(number) => [Errno::EACCES, Errno::EPERM].contains(&Errno::from_raw(*number)),
            other => matches!(other, Self::DeniedAt(_)),
        }
    }

    /// Whether a family of addresses is refused because this kernel has no IPv6.
    pub fn is_without_ipv6(&self) -> bool {
        self.is_absent() || *self == Self::Errno(nix::errno::Errno::EAFNOSUPPORT as i32)
    }

    /// Whether the kernel has no such call, or not for this.
    fn is_no_call(&self) -> bool {
        use nix::errno::Errno;
        const NO_CALL: [Errno; 5] =
            [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EINVAL, Errno::EAFNOSUPPORT, Errno::EPROTONOSUPPORT];
        matches!(self, Self::Errno(number) if NO_CALL.contains(&Errno::from_raw(*number)))
    }

    /// With the path that was looked at for another one.
    fn at(self, path: &str) -> Self {
        if self.is_denied() { Self::DeniedAt(path.to_owned()) } else { self }
    }

    /// The refusal as the reason why a fact about `what` is missing.
    pub fn gap(&self, what: &str) -> Gap {
        match self {
            Self::NotVisibleHere(why) => Gap::new(Cause::NotVisibleHere, why.clone()),
            Self::Unsupported(why) => Gap::new(Cause::Unsupported, why.clone()),
            Self::NotRecorded => Gap::new(Cause::Unsupported, self.to_string()),
            Self::DeniedAt(_) => Gap::new(Cause::Denied, self.to_string()),
            Self::Errno(_) if self.is_absent() => Gap::new(Cause::Absent, format!("{what} does not exist")),
            Self::Errno(_) if self.is_denied() => Gap::new(Cause::Denied, format!("{what}: {self}")),
            Self::Errno(_) if self.is_no_call() => Gap::new(Cause::Unsupported, format!("{what}: {self}")),
            Self::Errno(_) => Gap::new(Cause::Failed, format!("{what}: {self}")),
        }
    }
}

/// Raw bytes, or why there are none.
pub type Answer = Result<Vec<u8>, Refusal>;

/// Something that answers questions about one machine.
pub trait Host {
    /// Answers one question. Never panics, never writes.
    fn ask(&self, query: Query<'_>) -> Answer;

    /// Passes every TCP socket that does not listen on, of both families, whose local port is in the range `LOW-HIGH`. What
    /// is asked and how each looks is as with [`Ask::Connections`]; none is kept.
    ///
    /// # Errors
    /// Those of asking for IPv4 sockets, and for IPv6 ones where the kernel has IPv6.
    fn connections(&self, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
        by_family(|query| self.ask(query), ports, into)
    }

    /// What this is, for the report: `live`, `snapshot DIR`, ...
    fn source(&self) -> String;

    /// The process that is audited, as its number and its name, if it is another one than tunecheck itself.
    fn process(&self) -> Option<String> {
        None
    }

    /// Whether tunecheck's own limits are asked for, and not only the first that come to hand.
    fn judges_itself(&self) -> bool {
        false
    }

    /// Whether it is a tree of files: a foreign root or a sosreport, which holds what programs printed.
    fn is_tree(&self) -> bool {
        false
    }

    /// Whether what is read has ended meanwhile, so that nothing that was missing says anything.
    fn is_gone(&self) -> bool {
        false
    }

    /// What a reader of the report has to know about this host, one sentence each.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What takes sockets as they are received.
pub trait Sockets {
    /// Forgets what was added: the dump was torn, and begins anew.
    fn clear(&mut self);

    /// Takes one, as an `inet_diag_msg` up to its addresses.
    fn add(&mut self, message: &[u8]);
}

/// Asks for the connections of one family after the other.
fn by_family(ask: impl Fn(Query<'_>) -> Answer, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
    into.clear();
    for family in ["inet", "inet6"] {
        match ask(Query { ask: Ask::Connections, of: &format!("{family}/{ports}") }) {
            Ok(bytes) => sock_diag::messages(&bytes).for_each(|(_, message)| into.add(message)),
            Err(refusal) if family == "inet6" && refusal.is_without_ipv6() => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(())
}

impl dyn Host + '_ {
    /// The content of a file.
    pub fn read(&self, path: &str) -> Answer {
        self.ask(Query { ask: Ask::Read, of: path })
    }

    /// The names in a directory, sorted.
    pub fn list(&self, path: &str) -> Result<Vec<String>, Refusal> {
        let names = self.ask(Query { ask: Ask::List, of: path })?;
        Ok(names
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    /// The target of a symbolic link.
    pub fn link(&self, path: &str) -> Result<String, Refusal> {
        Ok(String::from_utf8_lossy(&self.ask(Query { ask: Ask::Link, of: path })?).into_owned())
    }

    /// Whether a file exists; a refusal other than absence is passed on.
    pub fn exists(&self, path: &str) -> Result<bool, Refusal> {
        match self.ask(Query { ask: Ask::Exists, of: path }) {
            Ok(_) => Ok(true),
            Err(refusal) if refusal.is_absent() => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}
