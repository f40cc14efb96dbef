//! What a trial left behind on the machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Scene, eventually};

/// Processes, mounts, cgroups and named network namespaces that a trial started or made and that are still there. Those
/// that are about to end are waited for.
pub(crate) fn of(scene: &Scene) -> Vec<String> {
    let mut left = Vec::new();
    eventually(|| {
        left = [processes(scene), mounts(scene), cgroups(scene), namespaces(scene)].concat();
        left.is_empty()
    });
    left
}

/// Processes that carry the trial's folder in their environment or command line, other than this one.
pub(crate) fn processes(scene: &Scene) -> Vec<String> {
    let mark = scene.folder.to_string_lossy().into_owned();
    let text = |path: PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).replace('\0', " ");
    let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let id: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let (environment, line) = (text(path.join("environ")), text(path.join("cmdline")));
        let ours = environment.contains(&mark) || line.contains(&mark);
        (ours && id != std::process::id()).then(|| format!("process {id}: {line}"))
    });
    found.collect()
}

pub(crate) fn mounts(scene: &Scene) -> Vec<String> {
    let mark = scene.folder.to_string_lossy().into_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(&mark)).map(|line| format!("mount {line}")).collect()
}

fn cgroups(scene: &Scene) -> Vec<String> {
    cgroups_of(&scene.token()).into_iter().map(|path| format!("cgroup {}", path.display())).collect()
}

/// Cgroups with this name in theirs, in every hierarchy, those below before those above.
pub(crate) fn cgroups_of(token: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, token: &str, depth: u32, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                walk(&path, token, depth - 1, found);
                if path.to_string_lossy().contains(token) {
                    found.push(path);
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new("/sys/fs/cgroup"), token, 4, &mut found);
    found
}

/// Removes the cgroups that runtimes make for a trial and leave to their caller.
pub(crate) struct Cgroups(pub(crate) String);

impl Drop for Cgroups {
    fn drop(&mut self) {
        // A cgroup is busy until the container's last process, its monitor, has gone.
        eventually(|| {
            let left = cgroups_of(&self.0);
            left.iter().for_each(|path| _ = fs::remove_dir(path));
            left.is_empty()
        });
    }
}

fn namespaces(scene: &Scene) -> Vec<String> {
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = named.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(&scene.token())).map(|name| format!("network namespace {name}")).collect()
}
