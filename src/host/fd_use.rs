//! Which processes are nearest to their limit on open files: one pass over /proc.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;

use super::again::again;
use super::{folder, processes};
use crate::model::bounds;

/// Share of a limit in millionths, so that two large tables can be told apart.
const MILLION: u64 = 1_000_000;

/// One process and its descriptors; ordered by share, then by number, then by pid.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    share: u64,
    used: u64,
    pid: Reverse<u32>,
    soft: u64,
}

/// What a pass found.
#[derive(Debug, Default)]
struct Pass {
    /// Those nearest to their limit, at most [`bounds::FULLEST`].
    top: BTreeSet<Process>,
    looked: u64,
    denied: u64,
}

/// A first line `looked=N denied=N`, then for each of the ten processes with the highest share of their soft limit in
/// use, the highest first, a line `PID USED SOFT COMM`.
///
/// A process that holds twice what its limit allows has lowered the limit on purpose, as sandboxes do (sshd before a
/// login): it wants no further descriptor and is left out. One that inherited a few above its limit is not. Threads share one table and are not counted again. Processes
/// that end meanwhile are passed over. Of those that hidepid hides nothing is known, not even how many: the first line
/// ends with ` hidden` then.
///
/// # Errors
/// Those of listing /proc, and of looking for a process that hidepid hides.
pub(super) fn answer() -> io::Result<Vec<u8>> {
    let counted = is_counted();
    let mut pass = Pass::default();
    processes::pids()?.into_iter().for_each(|pid| pass.look(pid, counted));
    Ok(pass.into_bytes(processes::are_hidden()?))
}

/// The same for each pid namespace apart.
///
/// # Errors
/// Those of [`answer`].
pub(super) fn per_namespace() -> io::Result<PerNamespace> {
    let counted = is_counted();
    let mut passes: BTreeMap<Vec<u8>, Pass> = BTreeMap::new();
    let mut unplaced = Pass::default();
    for pid in processes::pids()? {
        match again(|| fs::read_link(format!("/proc/{pid}/ns/pid"))) {
            Ok(link) => passes.entry(link.into_os_string().into_vec()).or_default().look(pid, counted),
            // One that may not be looked into may be in any.
            Err(error) => unplaced.miss(&error),
        }
    }
    let hidden = processes::are_hidden()?;
    let told = passes.into_iter().map(|(pidns, mut pass)| {
        pass.denied += unplaced.denied;
        (pidns, pass.into_bytes(hidden))
    });
    Ok(PerNamespace { told: told.collect(), otherwise: unplaced.into_bytes(hidden) })
}

/// What is told of each pid namespace, as the link /proc/PID/ns/pid names it.
#[derive(Debug)]
pub(super) struct PerNamespace {
    told: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Of one in which no process was seen.
    otherwise: Vec<u8>,
}

impl PerNamespace {
    /// What is told of one.
    pub(super) fn of(&self, pidns: &[u8]) -> Vec<u8> {
        self.told.get(pidns).unwrap_or(&self.otherwise).clone()
    }
}

/// Whether the size of a process's folder of descriptors is their number, as it is since Linux 6.2.
pub(super) fn is_counted() -> bool {
    again(|| fs::metadata("/proc/self/fd")).is_ok_and(|meta| meta.len() > 0)
}

impl Pass {
    fn look(&mut self, pid: u32, counted: bool) {
        let found = used(pid, counted).and_then(|used| match used {
            0 => Ok(None),
            _ => Ok(soft(pid)?.map(|soft| (used, soft))),
        });
        match found {
            Ok(found) => {
                self.looked += 1;
                if let Some((used, soft)) = found.filter(|(used, soft)| *used < soft.saturating_mul(2)) {
                    self.keep(pid, used, soft);
                }
            }
            Err(error) => self.miss(&error),
        }
    }

    /// Counts a process that could not be looked into, unless it ended.
    fn miss(&mut self, error: &io::Error) {
        if !processes::has_ended(error) {
            self.denied += 1;
        }
    }

    fn keep(&mut self, pid: u32, used: u64, soft: u64) {
        let share = used.saturating_mul(MILLION) / soft.max(1);
        self.top.insert(Process { share, used, pid: Reverse(pid), soft });
        if self.top.len() > bounds::FULLEST.count() {
            self.top.pop_first();
        }
    }

    fn into_bytes(self, hidden: bool) -> Vec<u8> {
        let hidden = if hidden { " hidden" } else { "" };
        let mut text = format!("looked={} denied={}{hidden}\n", self.looked, self.denied);
        for Process { used, pid: Reverse(pid), soft, .. } in self.top.iter().rev() {
            text.push_str(&format!("{pid} {used} {soft} {}\n", comm(*pid)));
        }
        text.into_bytes()
    }
}

/// Open descriptors of a process: `st_size` of its directory where the kernel counts (since 6.2), else the names in it.
/// A kernel thread has none.
fn used(pid: u32, counted: bool) -> io::Result<u64> {
    let folder = format!("/proc/{pid}/fd");
    if counted {
        return Ok(again(|| fs::metadata(&folder))?.len());
    }
    folder::entries(folder)?.try_fold(0, |count, name| name.map(|_| count + 1))
}

/// The soft limit on open files. `None` for a file without it, as of a process that has just ended.
fn soft(pid: u32) -> io::Result<Option<u64>> {
    let mut page = [0u8; 4096];
    // The kernel builds this file as one record, so one read has it whole.
    let mut limits = File::open(format!("/proc/{pid}/limits"))?;
    let count = match again(|| limits.read(&mut page)) {
        Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => return Ok(None),
        other => other?,
    };
    Ok(page.get(..count).and_then(soft_in))
}

pub(super) fn soft_in(limits: &[u8]) -> Option<u64> {
    const TITLE: &[u8] = b"Max open files";
    let line = limits.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(TITLE))?;
    match std::str::from_utf8(line).ok()?.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        word => word.parse().ok(),
    }
}

/// The name that a process goes by, which it may choose itself: whatever would break the line is replaced.
pub(super) fn comm(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned();
    let name: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if name.is_empty() { "?".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_found_by_its_title() {
        let limits = b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             96343                96343                processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(soft_in(limits), Some(1024));
        assert_eq!(soft_in(b"Max open files   unlimited  unlimited files\n"), Some(u64::MAX));
        assert_eq!(soft_in(b"Max open files"), None);
        assert_eq!(soft_in(b"\xff\n\n"), None);
    }

    #[test]
    fn the_ten_nearest_to_their_limit_are_named_the_nearest_first() {
        let mut pass = Pass::default();
        for pid in 1..=30 {
            pass.keep(pid, u64::from(pid), 100);
        }
        pass.keep(99, 62, 64);
        pass.keep(100, 900_000, 1_048_576);
        let shown: Vec<u32> = pass.top.iter().rev().map(|process| process.pid.0).collect();
        assert_eq!(shown, [99, 100, 30, 29, 28, 27, 26, 25, 24, 23]);
    }

    #[test]
    fn a_pass_over_the_live_processes_sees_this_one() {
        let text = String::from_utf8(answer().unwrap()).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("looked=") && first.contains(" denied="), "{first}");
        assert!((1..=bounds::FULLEST.count()).contains(&rest.lines().count()), "{rest}");
        let own = std::process::id();
        let pidns = fs::read_link("/proc/self/ns/pid").unwrap().into_os_string().into_vec();
        let of_namespace = String::from_utf8(per_namespace().unwrap().of(&pidns)).unwrap();
        assert!(of_namespace.starts_with("looked=") && !of_namespace.starts_with("looked=0 "), "{of_namespace}");
        let elsewhere = String::from_utf8(per_namespace().unwrap().of(b"pid:[1]")).unwrap();
        assert!(elsewhere.starts_with("looked=0 ") && elsewhere.lines().count() == 1, "{elsewhere}");
        let (counted, listed) = (used(own, true).unwrap(), used(own, false).unwrap());
        // Counted, or a kernel before 6.2; other tests open and close files meanwhile.
        assert!(counted == 0 || counted.abs_diff(listed) < 50, "{counted} counted, {listed} listed");
        assert!(listed > 2 && soft(own).unwrap() > Some(0));
    }
}
