//! Cgroups by the numbers that sockets tell: those of cgroup v2.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::dir::Type;

use super::again::again;
use super::folder;
use crate::model::bounds;

/// Where cgroup v2 is: alone, or beside v1. Only its cgroups have the numbers that sockets tell.
fn mount() -> Option<PathBuf> {
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists())
}

/// Cgroups by number, each with its path below the root and its processes. The number of a cgroup is the inode number of its
/// directory, which a listing of the directory above tells: `cgroup_id()` of the kernel. None where there is no cgroup v2
/// here. That of the root is nobody's.
pub(super) fn find(mut cgroups: BTreeSet<u64>) -> BTreeMap<u64, (PathBuf, Vec<u32>)> {
    let mut found = BTreeMap::new();
    let Some(mount) = mount().filter(|_| !cgroups.is_empty()) else { return found };
    if let Ok(root) = again(|| fs::metadata(&mount)) {
        cgroups.remove(&root.ino());
    }
    let mut folders = VecDeque::from([mount.clone()]);
    for _ in 0..bounds::CGROUP_FOLDERS.count() {
        let Some(folder) = folders.pop_front().filter(|_| !cgroups.is_empty()) else { break };
        // Where a part of them cannot be read, all processes are looked through.
        let below = folder::entries(&folder).into_iter().flatten().filter_map(Result::ok);
        for entry in below.filter(|entry| entry.file_type() == Some(Type::Directory)) {
            let path = folder.join(folder::name(&entry));
            if cgroups.remove(&entry.ino()) {
                let inside = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
                let pids = inside.lines().filter_map(|pid| pid.parse::<u32>().ok()).collect();
                let below = Path::new("/").join(path.strip_prefix(&mount).unwrap_or(&path));
                found.insert(entry.ino(), (below, pids));
            }
            // Most have none below them, which their count of links tells for a tenth of the cost of a listing.
            if !cgroups.is_empty() && again(|| fs::metadata(&path)).is_ok_and(|found| found.nlink() != 2) {
                folders.push_back(path);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_of_a_cgroup_are_found_by_its_number() {
        use std::os::unix::fs::MetadataExt;
        let line = fs::read_to_string("/proc/self/cgroup").unwrap();
        let (Some(mount), Some(path)) = (mount(), line.lines().find_map(|line| line.strip_prefix("0::/"))) else {
            return;
        };
        // That of the root is no cgroup of anybody, and names no process.
        let root = fs::metadata(&mount).unwrap().ino();
        let Ok(number) = fs::metadata(mount.join(path)).map(|folder| folder.ino()) else { return };
        let own = find([number].into());
        assert_eq!(own.values().any(|(_, pids)| pids.contains(&std::process::id())), number != root);
        assert!(own.values().all(|(found, _)| *found == Path::new("/").join(path)), "{own:?}");
        assert!(find([root, u64::MAX].into()).is_empty() && find(BTreeSet::new()).is_empty());
    }
}
