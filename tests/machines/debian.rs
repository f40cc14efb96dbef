//! A Debian 12 root file system.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::harness::{Scene, done, script};

const RECIPE: &str = include_str!("debian.sh");

/// The root file system as its packages left it. It takes minutes to make and is kept with what cargo builds, so
/// nothing may write to it.
fn pristine() -> PathBuf {
    let mut recipe = DefaultHasher::new();
    RECIPE.hash(&mut recipe);
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let root = cache.join(format!("debian-{:016x}", recipe.finish()));
    // Every trial is a process: the first one makes it, the others wait until it has.
    let lock = File::create(cache.join("debian.lock")).unwrap();
    lock.lock().unwrap();
    if !root.exists() {
        done(script(RECIPE, &[&root]));
    }
    root
}

/// A root file system to write to, which is gone with the trial and its mount namespace.
pub(crate) struct Root(pub(crate) PathBuf);

impl Root {
    pub(crate) fn new(scene: &Scene) -> Self {
        const OVERLAY: &str = r#"
            cd "$1"
            mkdir memory root
            # What is written is written to memory: nothing here outlives the trial, and a disk takes its time to keep it.
            mount -t tmpfs -o size=1g,mode=755 none memory
            mkdir memory/upper memory/work
            mount -t overlay -o "lowerdir=$2,upperdir=memory/upper,workdir=memory/work" none root
        "#;
        done(script(OVERLAY, &[&scene.folder, &pristine()]));
        let root = Self(scene.folder.join("root"));
        fs::copy(&scene.tunecheck, root.0.join("usr/bin/tunecheck")).unwrap();
        root
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a unit that is started at boot.
    pub(crate) fn enable(&self, unit: &str, content: &str) {
        self.put(&format!("/etc/systemd/system/{unit}"), content);
        self.link(&format!("/etc/systemd/system/multi-user.target.wants/{unit}"), &format!("../{unit}"));
    }

    pub(crate) fn link(&self, path: &str, to: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Where a file of the root file system is on this machine.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }
}
