//! One look at /proc: every process, with what tells whose it is. Nothing of a command line is kept but the name of the
//! program.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use super::again::again;
use super::member::Member;
use super::{folder, live};
use crate::model::bounds;

/// `PF_KTHREAD` of linux/sched.h, in the flags of /proc/PID/stat.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// A process as it is seen from outside.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// When it began, in clock ticks since boot: with its number it is the same process.
    pub(super) began: u64,
    /// What the kernel calls it; it may have chosen that itself.
    pub(super) name: String,
    /// Tells network namespaces apart.
    pub(super) netns: Option<u64>,
    pub(super) member: Member,
}

/// The processes of a machine, or of a container.
#[derive(Debug)]
pub(super) struct All {
    /// By number, without kernel threads.
    pub(super) processes: Vec<Process>,
    /// How many more could not be read.
    pub(super) unread: usize,
}

/// Every process that is visible. One that ends meanwhile is passed over.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn all() -> io::Result<All> {
    let mut all = All { processes: Vec::new(), unread: 0 };
    for pid in pids()? {
        match look(pid) {
            Ok(found) => all.processes.extend(found),
            Err(_) => all.unread += 1,
        }
    }
    all.processes.sort_unstable_by_key(|process| process.pid);
    Ok(all)
}

/// As [`all`], without those that are in the network namespace of this one and in no other container than it: of these nothing
/// but where they are is read.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn elsewhere(than: &Process) -> io::Result<All> {
    let look = |pid: u32| -> io::Result<Option<Process>> {
        let netns = netns(pid)?;
        let member = member(pid)?;
        let apart = member.container.is_some() && member.container != than.member.container;
        if netns.is_some() && netns == than.netns && !apart {
            return Ok(None);
        }
        let stat = content(&format!("/proc/{pid}/stat"))?;
        Ok(parsed(pid, &String::from_utf8_lossy(&stat)).map(|process| Process { netns, member, ..process }))
    };
    let mut all = All { processes: vec![than.clone()], unread: 0 };
    for pid in pids()?.into_iter().filter(|pid| *pid != than.pid) {
        match look(pid) {
            Ok(found) => all.processes.extend(found),
            Err(error) => all.unread += usize::from(!has_ended(&error)),
        }
    }
    all.processes.sort_unstable_by_key(|process| process.pid);
    Ok(all)
}

/// The numbers of all processes that are visible.
///
/// # Errors
/// Those of listing /proc: half a list would pass for a whole one.
pub(super) fn pids() -> io::Result<Vec<u32>> {
    again(|| {
        let mut pids = Vec::new();
        for entry in folder::entries("/proc")? {
            pids.extend(folder::number(&entry?));
        }
        Ok(pids)
    })
}

/// Whether other users' processes are hidden from this one (hidepid of proc(5)): every pid namespace has a first process.
///
/// # Errors
/// Those of looking at it.
pub(super) fn are_hidden() -> io::Result<bool> {
    match again(|| fs::metadata("/proc/1")) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether an error says that a process has ended.
pub(super) fn has_ended(error: &io::Error) -> bool {
    [Some(Errno::ENOENT as i32), Some(Errno::ESRCH as i32)].contains(&error.raw_os_error())
}

/// Threads of all processes whose real user is this one.
///
/// # Errors
/// Those of listing /proc, and of reading a process that has not ended.
pub(super) fn tasks_of(uid: u32) -> io::Result<u64> {
    let threads = |status: &[u8]| -> Option<u64> {
        let status = String::from_utf8_lossy(status);
        let field = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next());
        let real: u32 = field("Uid:")?.parse().ok()?;
        if real == uid { field("Threads:")?.parse().ok() } else { None }
    };
    let mut sum = 0;
    for pid in pids()? {
        match fs::read(format!("/proc/{pid}/status")) {
            Ok(status) => sum += threads(&status).unwrap_or(0),
            Err(error) if has_ended(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// Lines of /proc/PID/maps, of which each is a mapping.
///
/// # Errors
/// Those of reading it: without the right to look into the process, EACCES.
pub(super) fn mappings(pid: u32) -> io::Result<u64> {
    let mut file = File::open(format!("/proc/{pid}/maps"))?;
    let mut step = [0u8; 1 << 16];
    let mut lines = 0;
    loop {
        match file.read(&mut step) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) => return Ok(lines),
            Ok(count) => {
                let read = step.get(..count).unwrap_or_default();
                lines += read.iter().filter(|&&byte| byte == b'\n').count() as u64;
            }
            Err(error) => return Err(error),
        }
    }
}

/// One process; none if it has ended, or is a kernel thread.
///
/// # Errors
/// Those of reading what is there.
pub(super) fn look(pid: u32) -> io::Result<Option<Process>> {
    match read(pid) {
        Err(error) if has_ended(&error) => Ok(None),
        other => other,
    }
}

/// When a process began, in clock ticks since boot; none if it has ended.
///
/// # Errors
/// Those of reading it.
pub(super) fn began(pid: u32) -> io::Result<Option<u64>> {
    match content(&format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parsed(pid, &String::from_utf8_lossy(&stat)).map(|process| process.began)),
        Err(error) if has_ended(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file of a process. Its size, for which the standard library asks, is always 0.
fn content(path: &str) -> io::Result<Vec<u8>> {
    live::content(again(|| File::open(path))?, false, bounds::FILE.count())
}

fn read(pid: u32) -> io::Result<Option<Process>> {
    let stat = content(&format!("/proc/{pid}/stat"))?;
    let Some(process) = parsed(pid, &String::from_utf8_lossy(&stat)) else { return Ok(None) };
    let member = member(pid)?;
    Ok(Some(Process { netns: netns(pid)?, member, ..process }))
}

fn member(pid: u32) -> io::Result<Member> {
    let cgroup = content(&format!("/proc/{pid}/cgroup"))?;
    Ok(Member::of(&String::from_utf8_lossy(&cgroup)))
}

/// What `stat` says; none of a kernel thread or a process that has ended.
fn parsed(pid: u32, stat: &str) -> Option<Process> {
    // The name may hold blanks, brackets and line feeds.
    let (before, after) = stat.rsplit_once(") ")?;
    let name = before.split_once(" (")?.1;
    let field = |number: usize| -> Option<u64> { after.split(' ').nth(number - 3)?.parse().ok() };
    if field(9)? & KERNEL_THREAD != 0 || after.starts_with('Z') {
        return None;
    }
    Some(Process {
        pid,
        parent: u32::try_from(field(4)?).ok()?,
        began: field(22)?,
        name: shown(name),
        netns: None,
        member: Member::default(),
    })
}

/// The inode number of /proc/PID/net/dev. Each network namespace has files of its own there, and unlike the link
/// /proc/PID/ns/net they are open to every user. None where this user may not see it all the same.
///
/// # Errors
/// Those of looking at it.
pub(super) fn netns(pid: u32) -> io::Result<Option<u64>> {
    match again(|| fs::metadata(format!("/proc/{pid}/net/dev"))) {
        Ok(file) => Ok(Some(file.ino())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        // A process that ends has left it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(error),
    }
}

/// The number of a process's network namespace as `lsns` shows it. None without the right to look into the process.
pub(super) fn namespace(pid: u32) -> Option<u64> {
    Some(again(|| fs::metadata(format!("/proc/{pid}/ns/net"))).ok()?.ino())
}

/// The program of a process: the last part of the first argument. Empty if there is none, or it may not be seen.
pub(super) fn program(pid: u32) -> String {
    let mut line = Vec::new();
    let read = File::open(format!("/proc/{pid}/cmdline"))
        .and_then(|file| file.take(bounds::PROGRAM.most).read_to_end(&mut line));
    let first = line.split(|&byte| byte == 0).next().filter(|_| read.is_ok()).unwrap_or_default();
    let last = first.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    // Some put a whole status there: nginx: worker process.
    let word = last.split(|&byte| byte == b' ' || byte == b':').next().unwrap_or_default();
    String::from_utf8_lossy(word).into_owned()
}

/// A name without what would break a line or drive a terminal.
pub(super) fn shown(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if crate::model::text::is_hostile(c) || c == '\n' { '?' } else { c }).collect();
    if plain.is_empty() { "?".into() } else { plain }
}

impl Process {
    /// Number and name, as a report shows them.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.pid, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_as_it_is() {
        let own = look(std::process::id()).unwrap().unwrap();
        assert_eq!(own.netns, netns(own.pid).unwrap());
        assert!(own.netns.is_some() && own.began > 0 && own.parent > 0);
        assert!(all().unwrap().processes.iter().any(|process| process.pid == own.pid && process.began == own.began));
        let program = program(own.pid);
        assert!(std::env::args().next().unwrap().ends_with(&program) && !program.is_empty(), "{program}");
    }

    #[test]
    fn mappings_and_tasks_of_this_process_are_counted() {
        let before = mappings(std::process::id()).unwrap();
        let lines = fs::read_to_string("/proc/self/maps").unwrap().lines().count() as u64;
        assert!(before > 0 && before.abs_diff(lines) < 50, "{before} and {lines}");
        let own = fs::metadata("/proc/self").unwrap().uid();
        assert!(tasks_of(own).unwrap() > 0);
        assert_eq!(tasks_of(4_294_967_290).unwrap(), 0);
        assert!(mappings(u32::MAX).is_err());
    }

    #[test]
    fn kernel_threads_and_processes_that_ended_are_passed_over() {
        assert!(look(u32::MAX).unwrap().is_none());
        let kernel = |pid: &u32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"kthreadd\n");
        assert!(pids().unwrap().iter().filter(|pid| kernel(pid)).all(|&pid| look(pid).unwrap().is_none()));
    }

    #[test]
    fn a_name_of_any_bytes_is_one_harmless_line() {
        assert_eq!(shown("nginx"), "nginx");
        assert_eq!(shown("a\n\u{1b}[2J\u{202e}b"), "a??[2J?b");
        assert_eq!(shown(""), "?");
    }
}
