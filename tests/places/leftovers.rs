//! What a trial left behind on the machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{MOUNTS, Need, Place, Scene, eventually, program};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "what_a_trial_leaves_behind_is_found",
    needs: &[Need::Root],
    own: MOUNTS,
    trial: what_a_trial_leaves_behind_is_found,
}];

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
fn processes(scene: &Scene) -> Vec<String> {
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

fn mounts(scene: &Scene) -> Vec<String> {
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

fn namespaces(scene: &Scene) -> Vec<String> {
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = named.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(&scene.token())).map(|name| format!("network namespace {name}")).collect()
}

fn what_a_trial_leaves_behind_is_found(scene: &Scene) {
    assert_eq!(processes(scene), [""; 0]);
    let mut sleeper = program("sleep").arg("60").spawn().unwrap();
    // Until the child has become another program it is a copy of this process.
    assert!(eventually(|| processes(scene).iter().any(|line| line.contains("sleep 60"))), "{:?}", processes(scene));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    assert_eq!(processes(scene), [""; 0]);

    let mounted = scene.folder.join("mounted");
    fs::create_dir(&mounted).unwrap();
    assert!(program("mount").args(["-t", "tmpfs", "none"]).arg(&mounted).status().unwrap().success());
    assert_eq!(mounts(scene).len(), 1, "{:?}", mounts(scene));
    assert!(program("umount").arg(&mounted).status().unwrap().success());
    assert_eq!(mounts(scene), [""; 0]);

    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let pids = hierarchies.into_iter().find(|path| path.ends_with("pids"));
    let cgroup = pids.unwrap_or_else(|| PathBuf::from("/sys/fs/cgroup")).join(scene.token());
    fs::create_dir(&cgroup).unwrap();
    let found = cgroups_of(&scene.token());
    fs::remove_dir(&cgroup).unwrap();
    assert_eq!(found, [cgroup]);
}
