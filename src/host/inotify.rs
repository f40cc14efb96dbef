//! Who holds inotify instances and watches: one pass over the descriptors of every process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use super::again::again;
use super::fd_use::{self, comm};
use super::{folder, processes};
use crate::model::bounds;

const INSTANCE: &[u8] = b"anon_inode:inotify";
const FIRST_USERNS: &[u8] = b"user:[4026531837]";
const FIRST_PIDNS: &[u8] = b"pid:[4026531836]";

/// An instance as /proc shows it. A child that was forked with one shares it, and shows the same.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Instance {
    descriptor: u32,
    watches: u64,
    /// Of the whole of its fdinfo.
    seen: u64,
}

/// A process that holds instances.
struct Holder {
    pid: u32,
    parent: u32,
    user: u32,
    instances: Vec<Instance>,
}

/// What one user holds.
#[derive(Default, PartialEq, Eq, Debug)]
struct Held {
    instances: u64,
    watches: u64,
    /// The process that holds most instances, and how many.
    most: (u64, u32),
}

/// A first line `looked=N denied=N hidden=0|1`, then for each user that holds any, the one with most instances first, a
/// line `UID INSTANCES WATCHES PID COUNT COMM`: the process that holds most of them, and how many.
///
/// The kernel counts an instance for the effective user of whoever made it, and where that is in another user namespace,
/// for the user who made that namespace as well: here the user that its process has now stands for the former, and whom
/// its root is outside for the latter. Hidden: processes may exist that this /proc does not show, or the reader's own user
/// namespace is not the first.
///
/// # Errors
/// Those of listing /proc.
pub(super) fn answer() -> io::Result<Vec<u8>> {
    let counted = fd_use::is_counted();
    let (mut looked, mut denied) = (0u64, 0u64);
    let mut holders = Vec::new();
    for pid in processes::pids()? {
        match holder(pid, counted) {
            Ok(found) => {
                looked += 1;
                holders.extend(found);
            }
            // Ended meanwhile.
            Err(error) if processes::has_ended(&error) => {}
            Err(_) => denied += 1,
        }
    }
    let first = |name: &str, of: &[u8]| {
        again(|| fs::read_link(format!("/proc/self/ns/{name}"))).is_ok_and(|link| link.as_os_str().as_bytes() == of)
    };
    let hidden = !first("pid", FIRST_PIDNS) || !first("user", FIRST_USERNS) || processes::are_hidden()?;
    let mut text = format!("looked={looked} denied={denied} hidden={}\n", u8::from(hidden));
    let mut users: Vec<(u32, Held)> = by_user(&holders).into_iter().collect();
    users.sort_by_key(|(user, held)| (std::cmp::Reverse(held.instances), *user));
    // Whoever holds most watches need not be among those with most instances.
    let (named, rest) = users.split_at(users.len().min(bounds::USERS.count()));
    let watcher = rest.iter().max_by_key(|(_, held)| held.watches);
    for (user, Held { instances, watches, most: (count, pid) }) in named.iter().chain(watcher) {
        text.push_str(&format!("{user} {instances} {watches} {pid} {count} {}\n", comm(*pid)));
    }
    Ok(text.into_bytes())
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// The instances of a process; none if it holds none. Half of the processes of a machine are threads of the kernel, which have
/// no descriptor to list.
fn holder(pid: u32, counted: bool) -> io::Result<Option<Holder>> {
    if counted && again(|| fs::metadata(format!("/proc/{pid}/fd")))?.len() == 0 {
        return Ok(None);
    }
    let mut instances = Vec::new();
    for entry in folder::entries(format!("/proc/{pid}/fd"))? {
        let Some(descriptor) = folder::number(&entry?) else { continue };
        let target = match again(|| fs::read_link(format!("/proc/{pid}/fd/{descriptor}"))) {
            // Closed meanwhile, or the process has ended.
            Err(error) if processes::has_ended(&error) => continue,
            other => other?,
        };
        if target.as_os_str().as_bytes() == INSTANCE {
            match instance(pid, descriptor) {
                // Closed meanwhile.
                Err(error) if errno(&error) == Some(Errno::ENOENT) => {}
                found => instances.push(found?),
            }
        }
    }
    if instances.is_empty() {
        return Ok(None);
    }
    let status = fs::read(format!("/proc/{pid}/status"))?;
    let status = String::from_utf8_lossy(&status);
    let field = |key: &str, at: usize| -> Option<u32> {
        status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().nth(at)?.parse().ok()
    };
    let (Some(parent), Some(effective)) = (field("PPid:", 0), field("Uid:", 1)) else { return Ok(None) };
    let user = maker(pid)?.unwrap_or(effective);
    Ok(Some(Holder { pid, parent, user, instances }))
}

fn instance(pid: u32, descriptor: u32) -> io::Result<Instance> {
    let mut lines = BufReader::new(File::open(format!("/proc/{pid}/fdinfo/{descriptor}"))?);
    let (mut line, mut watches, mut hasher) = (Vec::new(), 0, DefaultHasher::new());
    while lines.read_until(b'\n', &mut line)? > 0 {
        watches += u64::from(line.starts_with(b"inotify wd:"));
        hasher.write(&line);
        line.clear();
    }
    Ok(Instance { descriptor, watches, seen: hasher.finish() })
}

/// Who made the user namespace of a process, as seen from the first one; none in that one itself. A user without rights can
/// map nobody but himself to its root, and whoever maps others has the rights of root.
fn maker(pid: u32) -> io::Result<Option<u32>> {
    let link = again(|| fs::read_link(format!("/proc/{pid}/ns/user")))?;
    if link.as_os_str().as_bytes() == FIRST_USERNS {
        return Ok(None);
    }
    Ok(Some(mapped_alone(&fs::read_to_string(format!("/proc/{pid}/uid_map"))?)))
}

fn mapped_alone(uid_map: &str) -> u32 {
    let alone = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [_, outside, "1"] => outside.parse().ok(),
        _ => None,
    };
    uid_map.lines().find_map(alone).unwrap_or(0)
}

fn by_user(holders: &[Holder]) -> BTreeMap<u32, Held> {
    let by_pid: BTreeMap<u32, &Holder> = holders.iter().map(|holder| (holder.pid, holder)).collect();
    let mut users: BTreeMap<u32, Held> = BTreeMap::new();
    for holder in holders {
        let inherited =
            |instance: &Instance| by_pid.get(&holder.parent).is_some_and(|parent| parent.instances.contains(instance));
        let own: Vec<&Instance> = holder.instances.iter().filter(|instance| !inherited(instance)).collect();
        if own.is_empty() {
            continue;
        }
        let held = users.entry(holder.user).or_default();
        held.instances += own.len() as u64;
        held.watches += own.iter().map(|instance| instance.watches).sum::<u64>();
        held.most = held.most.max((own.len() as u64, holder.pid));
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder_of(pid: u32, parent: u32, user: u32, watches: &[u64]) -> Holder {
        let instances = watches.iter().zip(3..).map(|(&watches, descriptor)| Instance { descriptor, watches, seen: 7 });
        Holder { pid, parent, user, instances: instances.collect() }
    }

    #[test]
    fn what_a_child_inherited_is_counted_once() {
        let users = by_user(&[
            holder_of(10, 1, 0, &[5, 1]),
            holder_of(11, 10, 0, &[5, 1]),
            holder_of(12, 10, 0, &[5, 2]),
            holder_of(20, 1, 1000, &[9]),
        ]);
        assert_eq!(users.get(&0), Some(&Held { instances: 3, watches: 8, most: (2, 10) }));
        assert_eq!(users.get(&1000), Some(&Held { instances: 1, watches: 9, most: (1, 20) }));
    }

    #[test]
    fn a_user_namespace_counts_for_who_made_it() {
        assert_eq!(mapped_alone("         0       1000          1\n         1     100000      65536\n"), 1000);
        assert_eq!(mapped_alone("         0     231072      65536\n"), 0);
        assert_eq!(mapped_alone(""), 0);
    }

    #[test]
    fn a_pass_over_the_live_processes_answers_in_its_form() {
        let text = String::from_utf8(answer().unwrap()).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("looked=") && first.contains(" denied=") && first.contains(" hidden="), "{first}");
        assert!(rest.lines().all(|line| line.splitn(6, ' ').count() == 6), "{rest}");
    }
}
