//! One process of this machine: its limits, its namespaces, its cgroup, its files.

use std::fs::File;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::tree::followed;
use super::{Answer, Ask, Host, Live, Query, Refusal, runtime};

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
    began: String,
    netns: Netns,
}

#[derive(Debug)]
enum Netns {
    /// The reader's own.
    Same,
    Joined(Guest),
    Closed(Refusal),
}

/// A thread in another network namespace.
#[derive(Debug)]
struct Guest {
    questions: Sender<(Ask, String)>,
    answers: Receiver<Answer>,
}

impl Of {
    /// The process of this number.
    ///
    /// # Errors
    /// There is none, or it may not be looked at at all.
    pub fn pid(pid: u32) -> Result<Self, Refusal> {
        let name = read(&format!("/proc/{pid}/comm"))?;
        let ours = link("/proc/self/ns/net");
        let netns = match (link(&format!("/proc/{pid}/ns/net")), ours) {
            (Ok(theirs), Ok(ours)) if theirs == ours => Netns::Same,
            (Ok(_), _) => Guest::of(pid).map_or_else(Netns::Closed, Netns::Joined),
            (Err(refusal), _) => Netns::Closed(refusal),
        };
        Ok(Self { pid, name: name.trim_end().to_owned(), began: began(pid).unwrap_or_default(), netns })
    }

    /// Whether it is still the same process.
    fn lives(&self) -> bool {
        began(self.pid).is_ok_and(|began| began == self.began)
    }

    fn in_netns(&self, query: Query<'_>) -> Answer {
        match &self.netns {
            Netns::Same => Live.ask(query),
            Netns::Closed(refusal) => Err(refusal.clone()),
            Netns::Joined(guest) => guest.ask(query),
        }
    }
}

impl Host for Of {
    fn ask(&self, query: Query<'_>) -> Answer {
        let ask = query.ask;
        let at = |path: &str| Live.ask(Query { ask, of: path });
        match ask {
            Ask::SockDiag | Ask::Connections => self.in_netns(query),
            Ask::Uname | Ask::SocketOwners | Ask::FdUse => Live.ask(query),
            Ask::Runtime => runtime::signs(self.pid),
            Ask::Options => runtime::options(self.pid, query.of),
            Ask::Env => {
                let set = |all: Vec<u8>| {
                    let mut names =
                        all.split(|&byte| byte == 0).filter_map(|entry| entry.split(|&byte| byte == b'=').next());
                    names.any(|name| name == query.of.as_bytes())
                };
                match set(Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{}/environ", self.pid) })?) {
                    true => Ok(Vec::new()),
                    false => Err(Refusal::Errno(nix::errno::Errno::ENOENT as i32)),
                }
            }
            _ => {
                let pid = self.pid;
                if let Some(rest) = query.of.strip_prefix("/proc/self/") {
                    return at(&format!("/proc/{pid}/{rest}"));
                }
                if let Some(rest) = query.of.strip_prefix("/proc/net/") {
                    return at(&format!("/proc/{pid}/net/{rest}"));
                }
                // Whether it is mounted for writing is a matter of the process's own mounts.
                let of_mounts = matches!(ask, Ask::Statfs | Ask::Writable);
                if query.of.starts_with("/proc/sys/net/") && !of_mounts {
                    return self.in_netns(query);
                }
                if (query.of.starts_with("/proc/") && !of_mounts) || query.of.starts_with("/sys/") {
                    return Live.ask(query);
                }
                let root = format!("/proc/{pid}/root");
                let path = followed(&root, query.of, ask != Ask::Link)?;
                match (path.as_str(), ask) {
                    // systemd hides a file by such a link.
                    ("/dev/null", Ask::Read | Ask::Exists) => Ok(Vec::new()),
                    _ => at(&format!("{root}{path}")),
                }
            }
        }
    }

    fn source(&self) -> String {
        format!("process {} {}", self.pid, self.name)
    }

    fn process(&self) -> Option<String> {
        Some(format!("{} {}", self.pid, self.name))
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.lives() {
            notes.push("The process ended while it was read: what is missing was not there any more.".to_owned());
        }
        if let Netns::Closed(refusal) = &self.netns {
            notes.push(format!("Its network namespace could not be joined ({refusal}): root can."));
        }
        notes
    }
}

impl Guest {
    fn of(pid: u32) -> Result<Self, Refusal> {
        let file = File::open(format!("/proc/{pid}/ns/net")).map_err(|error| super::live::refusal(&error))?;
        let (questions, asked) = channel::<(Ask, String)>();
        let (answer, answers) = channel();
        thread::Builder::new()
            .spawn(move || {
                if let Err(error) = setns(file, CloneFlags::CLONE_NEWNET) {
                    let _ = answer.send(Err(Refusal::Errno(error as i32)));
                    return;
                }
                let _ = answer.send(Ok(Vec::new()));
                for (ask, of) in asked {
                    if answer.send(Live.ask(Query { ask, of: &of })).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| super::live::refusal(&error))?;
        answers.recv().map_err(|_| gone())??;
        Ok(Self { questions, answers })
    }

    fn ask(&self, query: Query<'_>) -> Answer {
        self.questions.send((query.ask, query.of.to_owned())).map_err(|_| gone())?;
        self.answers.recv().map_err(|_| gone())?
    }
}

fn gone() -> Refusal {
    Refusal::Unsupported("the thread in its network namespace ended".to_owned())
}

fn read(path: &str) -> Result<String, Refusal> {
    Ok(String::from_utf8_lossy(&Live.ask(Query { ask: Ask::Read, of: path })?).into_owned())
}

fn link(path: &str) -> Answer {
    Live.ask(Query { ask: Ask::Link, of: path })
}

/// Field 22 of /proc/PID/stat. The name before it may hold blanks and brackets.
fn began(pid: u32) -> Result<String, Refusal> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let after = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    Ok(after.split(' ').nth(19).unwrap_or_default().to_owned())
}
