//! Which process holds a socket.
//!
//! The kernel tells of a socket the cgroup and the user that made it, and of a process which sockets it has. So the processes
//! of that cgroup are looked at, else those of that user, else all: first the low descriptors of each, for a server opens its
//! listeners first, then every descriptor of one after the other. Of several that hold it at the same number, the one with the
//! lowest pid is named: a master opens the socket before its workers exist, and they inherit the number.
//!
//! Source: `proc_pid_fd(5)`: a descriptor of a socket is a link to `socket:[INODE]`. Looking at it takes the right to
//! trace the process; nothing is opened but directories and the name of a process that was found.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use nix::unistd::geteuid;

use super::again::again;
use super::{cgroups, fd_use, folder, processes};
use crate::model::bounds;

/// Descriptors that are looked at in every process before all of any: those behind the standard ones, and the one that
/// inetd(8) gives. Listing the descriptors of a process costs as much as looking at twenty.
const LOW: [u32; 15] = [3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 12, 13, 14, 15, 16];

/// The owners of sockets, by inode numbers with commas between them; behind an `@` the number of the cgroup and behind a `/`
/// the number of the user that made the socket. A line each, `INODE PID NAME`, where NAME is the command's with
/// every byte that is not printable ASCII, and every backslash, as `\xHH`; and `cgroup NUMBER PATH` for each cgroup that
/// was found. Where not all were found, `denied N` and `cut N` tell how many processes could not be looked into, and how
/// many were not looked through; `hidden 1` that this /proc shows this user no others; `as root` that root asked.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn find(sockets: &str) -> io::Result<Vec<u8>> {
    let mut cgroups = BTreeSet::new();
    let mut search =
        Search { counted: fd_use::is_counted(), room: bounds::DESCRIPTORS_IN_ALL.count(), ..Search::default() };
    for socket in sockets.split(',') {
        let (socket, user) = socket.split_once('/').unwrap_or((socket, ""));
        let (inode, cgroup) = socket.split_once('@').unwrap_or((socket, ""));
        if let Ok(inode) = inode.parse() {
            search.sought.insert(inode);
            search.users.extend(user.parse::<u32>());
            cgroups.extend(cgroup.parse::<u64>());
        }
    }
    for (number, (path, pids)) in cgroups::find(cgroups) {
        let _ = writeln!(search.answer, "cgroup {number} {}", processes::shown(&path.to_string_lossy()));
        search.through(pids);
    }
    if !search.sought.is_empty() {
        // Those of the cgroups are among all processes, too.
        (search.denied, search.cut) = (0, 0);
        search.through(processes::pids()?);
    }
    Ok(search.into_bytes())
}

/// A look for the holders of sockets.
#[derive(Default)]
struct Search {
    /// Inode numbers of those that are not found yet.
    sought: BTreeSet<u64>,
    /// The users that made them.
    users: BTreeSet<u32>,
    /// Whether the size of a process's folder of descriptors is their number.
    counted: bool,
    /// Descriptors that may still be looked at.
    room: usize,
    denied: u32,
    cut: u32,
    /// Lines of what was found.
    answer: String,
}

/// A process that may hold a socket.
struct Candidate {
    pid: u32,
    kin: Kin,
    /// How many of its descriptors were not looked at yet, where the kernel counts them.
    left: u64,
}

/// How near a process is to a socket. Many a server makes its sockets as root and goes on as another user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kin {
    /// Of the user that made it.
    Same,
    /// Of root, or one that may not be dumped, which shows as root's whoever runs it.
    Root,
    Other,
}

impl Search {
    /// Looks through these processes, until every socket is found.
    fn through(&mut self, pids: Vec<u32>) {
        if self.sought.is_empty() {
            return;
        }
        let mut candidates: Vec<Candidate> = pids.into_iter().filter_map(|pid| self.candidate(pid)).collect();
        candidates.sort_unstable_by_key(|candidate| (candidate.kin, candidate.pid));
        let mut rest = candidates.as_mut_slice();
        while let Some(first) = rest.first() {
            let kin = first.kin;
            let (near, further) = rest.split_at_mut(rest.partition_point(|candidate| candidate.kin == kin));
            rest = further;
            // Those who are less near get as much.
            let kept = if rest.is_empty() { 0 } else { self.room / 2 };
            self.room -= kept;
            self.through_low(near);
            self.through_all(near);
            self.room += kept;
        }
    }

    /// A process as far as one look at its folder of descriptors tells. None without any, as half of the processes of a
    /// machine are: threads of the kernel.
    fn candidate(&self, pid: u32) -> Option<Candidate> {
        let folder = again(|| fs::metadata(format!("/proc/{pid}/fd"))).ok()?;
        let kin = match folder.uid() {
            user if self.users.is_empty() || self.users.contains(&user) => Kin::Same,
            0 => Kin::Root,
            _ => Kin::Other,
        };
        let left = if self.counted { folder.len() } else { u64::MAX };
        (left > 0).then_some(Candidate { pid, kin, left })
    }

    /// The low descriptors of each, those of one number after those of another.
    fn through_low(&mut self, candidates: &mut [Candidate]) {
        for descriptor in LOW {
            for candidate in candidates.iter_mut().filter(|candidate| candidate.left > 0) {
                if self.sought.is_empty() || self.room == 0 {
                    return;
                }
                self.room -= 1;
                match again(|| fs::read_link(format!("/proc/{}/fd/{descriptor}", candidate.pid))) {
                    Ok(target) => {
                        candidate.left = candidate.left.saturating_sub(1);
                        if let Some(found) = socket(&target).filter(|inode| self.sought.contains(inode)) {
                            self.found(candidate.pid, [found]);
                            self.through_next(candidate.pid, descriptor);
                        }
                    }
                    // There is none of this number.
                    Err(error) if processes::has_ended(&error) => {}
                    Err(_) => {
                        candidate.left = 0;
                        self.denied += 1;
                    }
                }
            }
        }
    }

    /// The descriptors behind one that was found, as long as they are found too: whoever listens on several ports opens them
    /// in a row.
    fn through_next(&mut self, pid: u32, descriptor: u32) {
        for next in descriptor + 1.. {
            let link = again(|| fs::read_link(format!("/proc/{pid}/fd/{next}")));
            let found = link.ok().and_then(|target| socket(&target)).filter(|inode| self.sought.contains(inode));
            self.room = self.room.saturating_sub(1);
            match found {
                Some(found) => self.found(pid, [found]),
                None => return,
            }
        }
    }

    /// Every descriptor of each that has any which was not looked at, one process after the other.
    fn through_all(&mut self, candidates: &[Candidate]) {
        for candidate in candidates.iter().filter(|candidate| candidate.left > 0) {
            if self.sought.is_empty() {
                return;
            }
            let (found, end) = look(candidate.pid, &self.sought, &mut self.room);
            self.found(candidate.pid, found);
            match end {
                End::Whole => {}
                End::Closed(_) => self.denied += 1,
                End::Cut => self.cut += 1,
            }
        }
    }

    /// Says who holds these sockets, unless he has ended and holds nothing any more.
    fn found(&mut self, pid: u32, sockets: impl IntoIterator<Item = u64>) {
        let mut name = None;
        for inode in sockets {
            let Some(name) = name.get_or_insert_with(|| name_of(pid)) else { return };
            self.sought.remove(&inode);
            // Writing to a String cannot fail.
            let _ = writeln!(self.answer, "{inode} {pid} {}", escaped(name));
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        if self.sought.is_empty() {
            return self.answer.into_bytes();
        }
        let hidden = processes::are_hidden().unwrap_or(false);
        for (word, count) in [("denied", self.denied), ("cut", self.cut), ("hidden", hidden.into())] {
            if count > 0 {
                let _ = writeln!(self.answer, "{word} {count}");
            }
        }
        if geteuid().is_root() {
            self.answer.push_str("as root\n");
        }
        self.answer.into_bytes()
    }
}

/// What a process is called; `?` where that cannot be read, and none where it has ended.
fn name_of(pid: u32) -> Option<Vec<u8>> {
    match fs::read(format!("/proc/{pid}/comm")) {
        Ok(name) => {
            let exe = again(|| fs::read_link(format!("/proc/{pid}/exe"))).unwrap_or_default();
            Some(called(name.strip_suffix(b"\n").unwrap_or(&name), &exe))
        }
        Err(error) if processes::has_ended(&error) => None,
        Err(_) => Some(b"?".to_vec()),
    }
}

/// What a process is called: its command's name, behind that of a binary that is many programs, whose `httpd` or `nc` is
/// not the program that is known by this name.
fn called(name: &[u8], exe: &Path) -> Vec<u8> {
    const MANY: [&str; 2] = ["busybox", "toybox"];
    let binary = exe.file_stem().unwrap_or_default().as_bytes();
    match MANY.iter().any(|many| many.as_bytes() == binary) && name != binary {
        true => [binary, b" ", name].concat(),
        false => name.to_owned(),
    }
}

/// Whether a process holds one of these sockets.
///
/// # Errors
/// Those of looking into it.
pub(super) fn holds(pid: u32, sockets: &BTreeSet<u64>) -> io::Result<bool> {
    let mut room = bounds::DESCRIPTORS.count();
    match look(pid, sockets, &mut room) {
        (found, _) if !found.is_empty() => Ok(true),
        (_, End::Closed(error)) => Err(error),
        _ => Ok(false),
    }
}

/// How looking into a process ended.
enum End {
    /// Every descriptor was looked at, or the process is gone.
    Whole,
    /// It cannot be looked into.
    Closed(io::Error),
    /// It has more descriptors than are looked at.
    Cut,
}

/// The sockets of these that a process holds. The kernel lists descriptors by number.
fn look(pid: u32, sought: &BTreeSet<u64>, room: &mut usize) -> (BTreeSet<u64>, End) {
    let mut found = BTreeSet::new();
    // A process may end while it is listed, and close what was listed.
    let end = |error: io::Error| if processes::has_ended(&error) { End::Whole } else { End::Closed(error) };
    let path = format!("/proc/{pid}/fd");
    let descriptors = match folder::entries(&path) {
        Ok(descriptors) => descriptors,
        Err(error) => return (found, end(error)),
    };
    for (index, descriptor) in descriptors.enumerate() {
        if index == bounds::DESCRIPTORS.count() || *room == 0 {
            return (found, End::Cut);
        }
        *room -= 1;
        let link = descriptor.and_then(|entry| again(|| fs::read_link(Path::new(&path).join(folder::name(&entry)))));
        match link {
            Ok(target) => found.extend(socket(&target).filter(|inode| sought.contains(inode))),
            Err(error) => match end(error) {
                End::Whole => {}
                closed => return (found, closed),
            },
        }
        if found.len() == sought.len() {
            break;
        }
    }
    (found, End::Whole)
}

/// The inode number in `socket:[INODE]`.
fn socket(target: &Path) -> Option<u64> {
    let inside = target.as_os_str().as_bytes().strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inside).ok()?.parse().ok()
}

/// A name that any process may have chosen, in printable ASCII.
fn escaped(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'\\' => text.push_str("\\x5c"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
