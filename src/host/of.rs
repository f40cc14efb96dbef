//! One process of this machine: its limits, its namespaces, its cgroup, its files.

use std::cell::OnceCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use nix::unistd::geteuid;

use super::guest::Guest;
use super::live::refusal;
use super::processes::{self, Process};
use super::reader::{Patience, Readers};
use super::shared::{Root, Shared};
use super::{Answer, Ask, Host, Live, Query, Refusal, Sockets, by_family, fd_use};

/// A process seen from outside. What an audit asks of itself is asked of that process: `/proc/self` is its folder,
/// counters and sockets are those of its network namespace, files those of its root.
///
/// `/proc/sys/net` shows the namespace of whoever reads it, whatever the path. So it is read by a thread that has joined
/// the namespace of the process; the rest of tunecheck stays where it is.
#[derive(Debug)]
pub struct Of {
    pid: u32,
    name: String,
    /// When it began, in clock ticks since boot: its number is given again to another one.
    began: u64,
    netns: Netns,
    /// Why it is this one, where nobody gave its number.
    why: String,
    /// What is the same for every process, read once for several.
    shared: Option<Arc<Shared>>,
    readers: Rc<Readers>,
    patience: Patience,
    /// What its files are those of, if that can be told.
    root: OnceCell<Option<Root>>,
}

#[derive(Debug)]
pub(super) enum Netns {
    /// The reader's own.
    Same,
    /// That of this thread alone.
    Here,
    /// That of another thread.
    Joined(Guest),
    Closed(Refusal),
}

impl Of {
    /// The process of this number.
    ///
    /// # Errors
    /// There is none, or it may not be looked at at all.
    pub fn pid(pid: u32) -> Result<Self, Refusal> {
        // Says why, where there is no such process.
        Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{pid}/comm") }).map_err(|refusal| {
            match refusal.is_absent() && processes::are_hidden().unwrap_or(false) {
                true => Refusal::NotVisibleHere("hidden from this user, if it exists (hidepid): root sees it".into()),
                false => refusal,
            }
        })?;
        let process = processes::look(pid)
            .map_err(|error| refusal(&error))?
            .ok_or_else(|| Refusal::Unsupported("it is a kernel thread, or ends".into()))?;
        Self::process(&process, String::new())
    }

    /// A process that was seen before, and why it is that one.
    ///
    /// # Errors
    /// It ended since, or whether it did cannot be read.
    pub(super) fn process(process: &Process, why: String) -> Result<Self, Refusal> {
        let ours = processes::netns(std::process::id()).map_err(|error| refusal(&error))?;
        let same = process.netns.is_some() && process.netns == ours;
        let netns = if same { Netns::Same } else { Guest::of(process.pid).map_or_else(Netns::Closed, Netns::Joined) };
        Self::within(process, netns, why)
    }

    /// The same, by whoever joined its network namespace.
    ///
    /// # Errors
    /// Those of [`Self::process`].
    pub(super) fn within(process: &Process, netns: Netns, why: String) -> Result<Self, Refusal> {
        let pid = process.pid;
        let (name, began) = (process.name.clone(), process.began);
        let (readers, patience) = (Rc::default(), Patience::default());
        let of = Self { pid, name, began, netns, why, shared: None, readers, patience, root: OnceCell::new() };
        // A number that was given to another process since would lead to that one's namespace.
        match of.is_still_it() {
            Ok(true) => Ok(of),
            Ok(false) => Err(Refusal::Errno(nix::errno::Errno::ESRCH as i32)),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// The same process, which reads what is the same for all of them from here, and has the same readers.
    pub(super) fn sharing(self, shared: &Arc<Shared>, readers: &Rc<Readers>) -> Self {
        Self { shared: Some(Arc::clone(shared)), readers: Rc::clone(readers), ..self }
    }

    /// Whether it is still the same process, as far as nothing says that it is not.
    pub fn lives(&self) -> bool {
        self.is_still_it().unwrap_or(true)
    }

    fn is_still_it(&self) -> io::Result<bool> {
        Ok(processes::began(self.pid)? == Some(self.began))
    }

    /// Asks about the machine, not about the process.
    fn of_machine(&self, query: Query<'_>) -> Answer {
        match &self.shared {
            Some(shared) => shared.ask(query),
            None => Live.ask(query),
        }
    }

    /// Asks about a file as the process sees it. Processes with one root in one mount namespace see the same.
    fn of_root(&self, query: Query<'_>) -> Answer {
        let ask = || self.readers.ask(self.pid, query, &self.patience);
        let Some(shared) = &self.shared else { return ask() };
        let root = self.root.get_or_init(|| {
            let root = Root::of(self.pid)?;
            self.patience.know(|| shared.remote(&root, self.pid));
            self.readers.are_needless(self.pid, &self.patience).then(|| root.looked_at(self.pid))?
        });
        match root {
            Some(root) => shared.of_root(root, query, ask),
            None => ask(),
        }
    }

    fn in_netns(&self, query: Query<'_>) -> Answer {
        match &self.netns {
            Netns::Same | Netns::Here => Live.ask(query),
            // Not the file that was asked for is closed, but the way to it.
            Netns::Closed(refusal) => Err(refusal.clone().at(&format!("/proc/{}/ns/net", self.pid))),
            Netns::Joined(guest) => guest.ask(query),
        }
    }
}

impl Host for Of {
    fn ask(&self, query: Query<'_>) -> Answer {
        let ask = query.ask;
        let at = |path: &str| Live.ask(Query { ask, of: path }).map_err(|refusal| refusal.at(path));
        match ask {
            Ask::SockDiag | Ask::Connections | Ask::Qdiscs => self.in_netns(query),
            Ask::Mappings | Ask::Runtime | Ask::Options | Ask::Env => self.readers.ask(self.pid, query, &self.patience),
            Ask::Uname | Ask::PageSize | Ask::SocketOwners | Ask::UserTasks | Ask::Inotify => self.of_machine(query),
            // It sees the processes of its own pid namespace.
            Ask::FdUse => {
                let pidns = |process: &str| at_link(&format!("/proc/{process}/ns/pid"));
                match (pidns(&self.pid.to_string()), pidns("self")) {
                    (Ok(theirs), Ok(ours)) if theirs != ours => match &self.shared {
                        Some(shared) => shared.fd_use(&theirs),
                        None => fd_use::per_namespace().map(|all| all.of(&theirs)).map_err(|error| refusal(&error)),
                    },
                    (Ok(_), Ok(_)) => self.of_machine(query),
                    (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
                }
            }
            _ => {
                let pid = self.pid;
                if let Some(rest) = query.of.strip_prefix("/proc/self/") {
                    return at(&format!("/proc/{pid}/{rest}"));
                }
                // It shows the whole host's queues in every namespace.
                if query.of == "/proc/net/softnet_stat" {
                    return self.of_machine(query);
                }
                if let Some(rest) = query.of.strip_prefix("/proc/net/") {
                    return at(&format!("/proc/{pid}/net/{rest}"));
                }
                // Whether it is mounted for writing is a matter of the process's own mounts.
                let of_mounts = matches!(ask, Ask::Statfs | Ask::Writable);
                if query.of.starts_with("/proc/sys/net/") && !of_mounts {
                    return self.in_netns(query);
                }
                // A sysfs shows the interfaces of the namespace that it was mounted in: the reader's.
                if query.of.starts_with("/sys/class/net") && !matches!(self.netns, Netns::Same) {
                    return Err(Refusal::NotVisibleHere(
                        "/sys shows the interfaces of another network namespace than the process's".to_owned(),
                    ));
                }
                if (query.of.starts_with("/proc/") && !of_mounts) || query.of.starts_with("/sys/") {
                    return self.of_machine(query);
                }
                self.of_root(query)
            }
        }
    }

    fn connections(&self, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
        match self.netns {
            Netns::Same | Netns::Here => Live.connections(ports, into),
            _ => by_family(|query| self.ask(query), ports, into),
        }
    }

    fn source(&self) -> String {
        format!("process {} {}", self.pid, self.name)
    }

    fn process(&self) -> Option<String> {
        Some(format!("{} {}", self.pid, self.name))
    }

    fn is_gone(&self) -> bool {
        !self.lives()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.why.is_empty() {
            notes.push(format!("Audited is process {} {}: {}.", self.pid, self.name, self.why));
        }
        if !self.lives() {
            notes.push("The process ended while it was read: what is missing was not there any more.".to_owned());
        }
        if let Some(refusal) = self.patience.lost() {
            notes.push(format!("Files and environment of process {} could not be read: {refusal}.", self.pid));
        }
        if let Netns::Closed(refusal) = &self.netns {
            // Root that may not is in a user namespace or under a filter.
            let who = match (refusal.is_denied(), geteuid().is_root()) {
                (true, true) => {
                    ", although this is root: that takes CAP_SYS_ADMIN also in the user namespace that it belongs to"
                }
                (true, false) => ": root can",
                (false, _) => "",
            };
            notes.push(format!("Its network namespace could not be joined ({refusal}){who}."));
        }
        notes
    }
}

fn at_link(path: &str) -> Answer {
    Live.ask(Query { ask: Ask::Link, of: path })
}
