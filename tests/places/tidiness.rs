//! The harness itself: it sees what a trial leaves behind.

use std::fs;
use std::path::PathBuf;

use crate::harness::{MOUNTS, Need, Place, Scene, eventually, program};
use crate::leftovers::{cgroups_of, mounts, processes};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "what_a_trial_leaves_behind_is_found",
    needs: &[Need::Root],
    own: MOUNTS,
    trial: what_a_trial_leaves_behind_is_found,
}];

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
