//! The machine tunecheck runs on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::statfs::statfs;
use nix::sys::statvfs::FsFlags;
use nix::unistd::{AccessFlags, faccessat};

use super::again::again;
use super::{
    Answer, Ask, Host, Query, Refusal, Sockets, by_family, confinement, fd_use, folder, inotify, owners, processes,
    qdiscs, sock_diag, unix_diag,
};
use crate::model::bounds;

/// The machine tunecheck runs on, seen from its own namespaces.
#[derive(Debug, Default)]
pub struct Live;

/// The same, where tunecheck's own limits are what is asked for.
#[derive(Debug, Default)]
pub struct Itself;

impl Host for Itself {
    fn ask(&self, query: Query<'_>) -> Answer {
        Live.ask(query)
    }

    fn connections(&self, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
        Live.connections(ports, into)
    }

    fn source(&self) -> String {
        Live.source()
    }

    fn judges_itself(&self) -> bool {
        true
    }
}

impl Host for Live {
    fn ask(&self, query: Query<'_>) -> Answer {
        again(|| answer(query))
    }

    fn connections(&self, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
        match sock_diag::pass_connections(ports, into) {
            Ok(()) => Ok(()),
            // One family may be there without the other, and says so itself.
            Err(_) => by_family(|query| self.ask(query), ports, into),
        }
    }

    fn source(&self) -> String {
        "live".into()
    }
}

fn answer(query: Query<'_>) -> Answer {
    let of = query.of;
    match query.ask {
        Ask::Read => match (of == confinement::STATUS).then(confinement::status_before).flatten() {
            Some(status) => status.clone(),
            None => read(of).map_err(|error| refusal(&error)),
        },
        Ask::List => list(of).map_err(|error| refusal(&error)),
        Ask::Link => match std::fs::read_link(of) {
            Ok(target) => Ok(target.into_os_string().into_vec()),
            Err(error) => Err(refusal(&error)),
        },
        Ask::Size => match std::fs::metadata(of) {
            Ok(metadata) => Ok(metadata.len().to_string().into_bytes()),
            Err(error) => Err(refusal(&error)),
        },
        Ask::Exists => access(of, AccessFlags::F_OK),
        Ask::Writable => access(of, AccessFlags::W_OK),
        Ask::Statfs => {
            let fs = statfs(of).map_err(errno)?;
            let readonly = u8::from(fs.flags().contains(FsFlags::ST_RDONLY));
            Ok(format!("magic={:x} readonly={readonly}", fs.filesystem_type().0).into_bytes())
        }
        Ask::PageSize => match nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE) {
            Ok(Some(bytes)) => Ok(bytes.to_string().into_bytes()),
            Ok(None) => Err(Refusal::Unsupported("this system names no page size".into())),
            Err(error) => Err(errno(error)),
        },
        Ask::Uname => {
            let name = nix::sys::utsname::uname().map_err(errno)?;
            Ok([name.nodename(), name.release(), name.machine()].map(OsStr::as_bytes).join(&b'\n'))
        }
        Ask::SockDiag if of == "unix" => unix_diag::listening().map_err(errno),
        Ask::SockDiag if of == "unix-bound" => unix_diag::bound().map_err(errno),
        Ask::SockDiag => sock_diag::listening(of).map_err(errno),
        Ask::Qdiscs => qdiscs::answer().map_err(errno),
        Ask::FdUse => fd_use::answer().map_err(|error| refusal(&error)),
        Ask::Inotify => inotify::answer().map_err(|error| refusal(&error)),
        Ask::SocketOwners => owners::find(of).map_err(|error| refusal(&error)),
        Ask::Connections => sock_diag::connections(of).map_err(errno),
        Ask::UserTasks => user_tasks(of),
        Ask::Mappings | Ask::Runtime | Ask::Options => Err(Refusal::Unsupported("no other process is audited".into())),
        Ask::Env => std::env::var_os(of).map(|_| Vec::new()).ok_or(Refusal::Errno(Errno::ENOENT as i32)),
    }
}

fn user_tasks(of: &str) -> Answer {
    let uid = of.parse().map_err(|_| Refusal::Unsupported(format!("{of:?} is no number of a user")))?;
    let count = processes::tasks_of(uid).map_err(|error| refusal(&error))?;
    Ok(count.to_string().into_bytes())
}

fn access(path: &str, mode: AccessFlags) -> Answer {
    faccessat(AT_FDCWD, path, mode, nix::fcntl::AtFlags::empty()).map(|()| Vec::new()).map_err(errno)
}

/// Reads a file in 4 KiB steps: the kernel allocates as much as it is asked for.
///
/// A file below /proc/sys answers whole in its first read, or not at all: a list that the buffer cuts has no rest. Any
/// other may stop short of a full buffer where its next record does not fit (seq_file), so only a read of nothing is the
/// end.
fn read(path: &str) -> io::Result<Vec<u8>> {
    content(File::open(path)?, path.starts_with("/proc/sys/"), bounds::FILE.count())
}

/// As [`read`], of a file that is open; one with more than `most` bytes is refused.
pub(super) fn content(mut file: File, whole_at_once: bool, most: usize) -> io::Result<Vec<u8>> {
    let mut step = [0u8; 4096];
    let mut content = Vec::new();
    loop {
        let count = match file.read(&mut step) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if whole_at_once && count == step.len() {
            return read_at_once(&mut file);
        }
        content.extend_from_slice(step.get(..count).unwrap_or_default());
        if count == 0 || (whole_at_once && count < step.len()) {
            return Ok(content);
        }
        if content.len() > most {
            return Err(Errno::EFBIG.into());
        }
    }
}

/// A long list of ports is at most 32,768 numbers of five digits, each with a comma.
fn read_at_once(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = vec![0; 256 << 10];
    let count = again(|| file.read_at(&mut content, 0))?;
    content.truncate(count);
    Ok(content)
}

fn list(path: &str) -> io::Result<Vec<u8>> {
    listed(path, folder::entries(path)?.map(|entry| Ok(folder::name(&entry?).as_bytes().to_vec())))
}

/// The names of a folder, sorted, with zero bytes between them. More than are taken are an error: half a list would pass
/// for a whole one.
pub(super) fn listed(path: &str, found: impl Iterator<Item = io::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
    let most = if is_of_descriptors(path) { bounds::FOLDER_OF_PROC } else { bounds::FOLDER };
    let mut names = Vec::new();
    for name in found {
        names.push(name?);
        if most.is_exceeded_by(names.len()) {
            return Err(io::Error::other(format!("{path} holds more than {most} names (tunecheck help limits)")));
        }
    }
    names.sort_unstable();
    Ok(names.join(&0))
}

/// Whether a folder is that of a process's descriptors, which are counted.
fn is_of_descriptors(path: &str) -> bool {
    path.strip_prefix("/proc/").and_then(|rest| rest.split_once('/')).is_some_and(|(_, rest)| rest == "fd")
}

pub(super) fn errno(error: Errno) -> Refusal {
    Refusal::Errno(error as i32)
}

pub(super) fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(number) => Refusal::Errno(number),
        None => Refusal::Unsupported(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::fd::{AsRawFd, OwnedFd};

    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, bind, connect, getsockname,
        listen, socket,
    };

    use super::*;

    #[derive(Default)]
    struct Seen(BTreeSet<Vec<u8>>);

    impl Sockets for Seen {
        fn clear(&mut self) {
            self.0.clear();
        }

        fn add(&mut self, message: &[u8]) {
            self.0.insert(message.to_vec());
        }
    }

    /// A connection over loopback, and where it begins; none where that cannot be, as without IPv6.
    fn connected<A: SockaddrLike>(family: AddressFamily, to: &A) -> Option<([OwnedFd; 2], A)> {
        let stream = || socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).ok();
        let [listener, client] = [stream()?, stream()?];
        bind(listener.as_raw_fd(), to).ok()?;
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        connect(client.as_raw_fd(), &getsockname::<A>(listener.as_raw_fd()).unwrap()).unwrap();
        let from = getsockname(client.as_raw_fd()).unwrap();
        Some(([listener, client], from))
    }

    #[test]
    fn connections_of_both_families_at_once_are_those_of_one_after_the_other() {
        let four = connected(AddressFamily::Inet, &SockaddrIn::new(127, 0, 0, 1, 0));
        let six = SockaddrIn6::from(std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 0, 0, 0));
        let six = connected(AddressFamily::Inet6, &six);
        let ports = [four.as_ref().map(|(_, from)| from.port()), six.as_ref().map(|(_, from)| from.port())];
        for port in ports.into_iter().flatten() {
            let ports = format!("{port}-{port}");
            let [mut at_once, mut in_turn] = [Seen::default(), Seen::default()];
            sock_diag::pass_connections(&ports, &mut at_once).unwrap();
            by_family(|query| Live.ask(query), &ports, &mut in_turn).unwrap();
            // Others may come and go on the port, toward other peers.
            let both: Vec<&Vec<u8>> = at_once.0.intersection(&in_turn.0).collect();
            assert!(both.iter().any(|message| message[4..6] == port.to_be_bytes()), "{:?} {:?}", at_once.0, in_turn.0);
        }
    }
}
