//! Which process holds a socket: the one with the lowest number among those that have a descriptor of it. A master
//! opens the socket before its workers exist, so it is the master.
//!
//! Source: `proc_pid_fd(5)`: a descriptor of a socket is a link to `socket:[INODE]`. Looking at it takes the right to
//! trace the process; nothing is opened but directories and the name of a process that was found.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::dir::Type;

use super::again::again;
use super::{folder, processes};
use crate::model::bounds;

/// The owners of sockets, by inode numbers with commas between them; behind an `@` the number of the cgroup in which a socket
/// was made, whose processes are looked at before all others. A line each, `INODE PID NAME`, where NAME is the command's with
/// every byte that is not printable ASCII, and every backslash, as `\xHH`. Where not all were found, `denied N` and `cut N`
/// tell how many processes could not be looked into, and how many were not looked through; `hidden 1` that this /proc shows
/// this user no others.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn find(sockets: &str) -> io::Result<Vec<u8>> {
    let mut cgroups = BTreeSet::new();
    let mut search = Search { counted: counts(), room: bounds::DESCRIPTORS_IN_ALL.count(), ..Search::default() };
    for socket in sockets.split(',') {
        let (inode, cgroup) = socket.split_once('@').unwrap_or((socket, ""));
        if let Ok(inode) = inode.parse() {
            search.sought.insert(inode);
            cgroups.extend(cgroup.parse::<u64>());
        }
    }
    search.through(of_cgroups(cgroups));
    if !search.sought.is_empty() {
        // These are among all processes, too.
        (search.denied, search.cut) = (0, 0);
        search.through(all()?);
    }
    Ok(search.into_bytes())
}

/// A look for the holders of sockets.
#[derive(Default)]
struct Search {
    /// Inode numbers of those that are not found yet.
    sought: BTreeSet<u64>,
    /// Whether the size of a process's folder of descriptors is their number.
    counted: bool,
    /// Descriptors that may still be looked at.
    room: usize,
    denied: u32,
    cut: u32,
    /// Lines of those that were found.
    answer: String,
}

impl Search {
    /// Looks through these processes in turn, until every socket is found.
    fn through(&mut self, pids: Vec<u32>) {
        for pid in pids {
            if self.sought.is_empty() {
                break;
            }
            // Half of the processes of a machine are threads of the kernel, which have none.
            if self.counted && again(|| fs::metadata(format!("/proc/{pid}/fd"))).is_ok_and(|folder| folder.len() == 0) {
                continue;
            }
            let (found, end) = look(pid, &self.sought, &mut self.room);
            // One that ended meanwhile holds nothing any more.
            if !found.is_empty()
                && let Some(name) = name_of(pid)
            {
                let name = escaped(&name);
                for inode in found {
                    self.sought.remove(&inode);
                    // Writing to a String cannot fail.
                    let _ = writeln!(self.answer, "{inode} {pid} {name}");
                }
            }
            match end {
                End::Whole => {}
                End::Closed(_) => self.denied += 1,
                End::Cut => self.cut += 1,
            }
        }
    }

    fn into_bytes(mut self) -> Vec<u8> {
        let hidden = !self.sought.is_empty() && processes::are_hidden().unwrap_or(false);
        for (word, count) in [("denied", self.denied), ("cut", self.cut), ("hidden", hidden.into())] {
            if !self.sought.is_empty() && count > 0 {
                let _ = writeln!(self.answer, "{word} {count}");
            }
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

/// Where cgroup v2 is: alone, or beside v1. Only its cgroups have the numbers that sockets tell.
fn cgroup2() -> Option<PathBuf> {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists())
}

/// The processes of cgroups, by number. The number of a cgroup is the inode number of its directory, which a listing of the
/// directory above tells: `cgroup_id()` of the kernel. None where there is no cgroup v2 here.
fn of_cgroups(mut cgroups: BTreeSet<u64>) -> Vec<u32> {
    let mut pids = Vec::new();
    let mut folders = VecDeque::from_iter(cgroup2());
    for _ in 0..bounds::CGROUP_FOLDERS.count() {
        let Some(folder) = folders.pop_front().filter(|_| !cgroups.is_empty()) else { break };
        // Where a part of them cannot be read, all processes are looked through.
        let below = folder::entries(&folder).into_iter().flatten().filter_map(Result::ok);
        for entry in below.filter(|entry| entry.file_type() == Some(Type::Directory)) {
            let path = folder.join(folder::name(&entry));
            if cgroups.remove(&entry.ino()) {
                let inside = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
                pids.extend(inside.lines().filter_map(|pid| pid.parse::<u32>().ok()));
            }
            folders.push_back(path);
        }
    }
    pids.sort_unstable();
    pids
}

/// Every process that is visible, by number.
fn all() -> io::Result<Vec<u32>> {
    let mut pids = processes::pids()?;
    pids.sort_unstable();
    Ok(pids)
}

/// Whether the size of a process's folder of descriptors is their number, as it is since Linux 6.2.
fn counts() -> bool {
    again(|| fs::metadata("/proc/self/fd")).is_ok_and(|folder| folder.len() > 0)
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
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_binary_that_is_many_programs_is_named_too() {
        let named = |name: &str, exe: &str| String::from_utf8(called(name.as_bytes(), Path::new(exe))).unwrap();
        assert_eq!(named("httpd", "/bin/busybox.static"), "busybox httpd");
        assert_eq!(named("nc", "/usr/bin/toybox"), "toybox nc");
        assert_eq!(named("busybox", "/bin/busybox"), "busybox");
        assert_eq!(named("httpd", "/usr/sbin/httpd"), "httpd");
    }

    #[test]
    fn the_holder_of_each_socket_is_named_and_a_socket_of_nobody_is_not() {
        let sockets = UnixDatagram::pair().unwrap();
        let inode =
            |held: &UnixDatagram| socket(&fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).unwrap());
        let own = [&sockets.0, &sockets.1].map(|held| inode(held).unwrap());
        let answer = find(&format!("{},{},{},x,", own[0], own[1], u64::MAX)).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let name = escaped(fs::read("/proc/self/comm").unwrap().trim_ascii_end());
        for inode in own {
            let line = format!("{inode} {} {name}", std::process::id());
            assert_eq!(answer.lines().filter(|other| *other == line).count(), 1, "{line} in {answer}");
        }
        assert!(!answer.contains(&u64::MAX.to_string()), "{answer}");
    }

    #[test]
    fn the_processes_of_a_cgroup_are_found_by_its_number() {
        use std::os::unix::fs::MetadataExt;
        let line = fs::read_to_string("/proc/self/cgroup").unwrap();
        let (Some(mount), Some(path)) = (cgroup2(), line.lines().find_map(|line| line.strip_prefix("0::/"))) else {
            return;
        };
        // That of the root is no cgroup of anybody, and names no process.
        let root = fs::metadata(&mount).unwrap().ino();
        let Ok(number) = fs::metadata(mount.join(path)).map(|folder| folder.ino()) else { return };
        assert_eq!(of_cgroups([number].into()).contains(&std::process::id()), number != root);
        assert_eq!(of_cgroups([root, u64::MAX].into()), [0; 0]);
        assert_eq!(of_cgroups(BTreeSet::new()), [0; 0]);
        // A cgroup that is the wrong one costs a look and nothing else.
        let held = UnixDatagram::unbound().unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd())).unwrap();
        let answer = find(&format!("{}@{root}", socket(&link).unwrap())).unwrap();
        assert!(String::from_utf8(answer).unwrap().contains(&format!(" {} ", std::process::id())));
    }

    #[test]
    fn nothing_asked_is_nothing_looked_at() {
        for nothing in ["", ",", "x", "-1"] {
            assert_eq!(find(nothing).unwrap(), b"");
        }
    }

    #[test]
    fn a_name_of_any_bytes_is_one_word_of_printable_ascii() {
        assert_eq!(escaped(b"php-fpm8.2"), "php-fpm8.2");
        assert_eq!(escaped(b"a\n1 2 \\x\x1b\xc3\xa4"), "a\\x0a1 2 \\x5cx\\x1b\\xc3\\xa4");
        let all: Vec<u8> = (0..=255).collect();
        assert!(escaped(&all).bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
