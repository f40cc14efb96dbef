//! Which process holds a socket: the one with the lowest number among those that have a descriptor of it. A master
//! opens the socket before its workers exist, so it is the master.
//!
//! Source: `proc_pid_fd(5)`: a descriptor of a socket is a link to `socket:[INODE]`. Looking at it takes the right to
//! trace the process; nothing is opened but directories and the name of a process that was found.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{fs, io};

/// Descriptors that are looked at in one process. A server opens its listeners first, so they have low numbers, and a
/// process with 50,000 connections costs no more than one with a thousand.
const DESCRIPTORS: usize = 1024;
/// Descriptors that are looked at in all: a look costs about a microsecond.
const IN_ALL: usize = 20_000;

/// The owners of sockets, by inode numbers with commas between them. A line each, `INODE PID NAME`, where NAME is the
/// command's with every byte that is not printable ASCII, and every backslash, as `\xHH`. Where not all were found,
/// `denied N` and `cut N` tell how many processes could not be looked into, and how many were not looked through.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn find(inodes: &str) -> io::Result<Vec<u8>> {
    let mut sought: BTreeSet<u64> = inodes.split(',').filter_map(|inode| inode.parse().ok()).collect();
    let (mut denied, mut cut) = (0u32, 0u32);
    let mut answer = String::new();
    let counted = counts();
    let mut room = IN_ALL;
    for pid in processes()? {
        if sought.is_empty() {
            break;
        }
        // Half of the processes of a machine are threads of the kernel, which have none.
        if counted && fs::metadata(format!("/proc/{pid}/fd")).is_ok_and(|folder| folder.len() == 0) {
            continue;
        }
        let (found, end) = look(pid, &sought, &mut room);
        // One that ended meanwhile holds nothing any more.
        if !found.is_empty()
            && let Ok(name) = fs::read(format!("/proc/{pid}/comm"))
        {
            let name = escaped(name.strip_suffix(b"\n").unwrap_or(&name));
            for inode in found {
                sought.remove(&inode);
                // Writing to a String cannot fail.
                let _ = writeln!(answer, "{inode} {pid} {name}");
            }
        }
        match end {
            End::Whole => {}
            End::Denied => denied += 1,
            End::Cut => cut += 1,
        }
    }
    for (word, count) in [("denied", denied), ("cut", cut)] {
        if !sought.is_empty() && count > 0 {
            let _ = writeln!(answer, "{word} {count}");
        }
    }
    Ok(answer.into_bytes())
}

/// Every process that is visible, by number.
fn processes() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut pids: Vec<u32> = names.collect();
    pids.sort_unstable();
    Ok(pids)
}

/// Whether the size of a process's folder of descriptors is their number, as it is since Linux 6.2.
fn counts() -> bool {
    fs::metadata("/proc/self/fd").is_ok_and(|folder| folder.len() > 0)
}

/// Whether a process holds one of these sockets.
///
/// # Errors
/// This user may not look.
pub(super) fn holds(pid: u32, sockets: &BTreeSet<u64>) -> Result<bool, ()> {
    let mut room = DESCRIPTORS;
    match look(pid, sockets, &mut room) {
        (found, _) if !found.is_empty() => Ok(true),
        (_, End::Denied) => Err(()),
        _ => Ok(false),
    }
}

/// How looking into a process ended.
enum End {
    /// Every descriptor was looked at, or the process is gone.
    Whole,
    /// This user may not look.
    Denied,
    /// It has more descriptors than are looked at.
    Cut,
}

/// The sockets of these that a process holds. The kernel lists descriptors by number.
fn look(pid: u32, sought: &BTreeSet<u64>, room: &mut usize) -> (BTreeSet<u64>, End) {
    let mut found = BTreeSet::new();
    let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    let descriptors = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(descriptors) => descriptors,
        Err(error) if denied(&error) => return (found, End::Denied),
        Err(_) => return (found, End::Whole),
    };
    for (index, descriptor) in descriptors.enumerate() {
        // A process may end while it is listed.
        let Ok(descriptor) = descriptor else { break };
        if index == DESCRIPTORS || *room == 0 {
            return (found, End::Cut);
        }
        *room -= 1;
        match fs::read_link(descriptor.path()) {
            Ok(target) => found.extend(socket(&target).filter(|inode| sought.contains(inode))),
            Err(error) if denied(&error) => return (found, End::Denied),
            // It was closed meanwhile.
            Err(_) => {}
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
