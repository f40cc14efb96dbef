//! A load that may use a tenth of a CPU.

use std::fs;
use std::path::{Path, PathBuf};

use super::{ALONE, NEEDS, Watched, peak, rise, watch};
use crate::harness::{Place, Scene, eventually, script};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_load_that_uses_up_its_cpu_quota_names_it_and_one_without_a_quota_does_not",
        needs: NEEDS,
        own: ALONE,
        trial: a_load_that_uses_up_its_cpu_quota_names_it,
    },
    Place {
        name: "a_quota_of_the_group_above_is_told_and_not_what_the_own_group_once_lacked",
        needs: NEEDS,
        own: ALONE,
        trial: a_quota_of_the_group_above_is_told,
    },
];

/// A cgroup with a CPU quota, until it is dropped.
struct Quota {
    folder: PathBuf,
    v2: bool,
}

impl Quota {
    fn named(name: &str) -> Self {
        let (v1, v2) = (Path::new("/sys/fs/cgroup/cpu"), Path::new("/sys/fs/cgroup"));
        let quota = if v1.join("cgroup.procs").exists() {
            Self { folder: v1.join(name), v2: false }
        } else {
            fs::write(v2.join("cgroup.subtree_control"), "+cpu").unwrap();
            Self { folder: v2.join(name), v2: true }
        };
        fs::create_dir(&quota.folder).unwrap();
        quota
    }

    /// A group below it, with a quota of its own to come.
    fn below(&self, name: &str) -> Self {
        if self.v2 {
            fs::write(self.folder.join("cgroup.subtree_control"), "+cpu").unwrap();
        }
        let below = Self { folder: self.folder.join(name), v2: self.v2 };
        fs::create_dir(&below.folder).unwrap();
        below
    }

    /// Lets it have so many microseconds of CPU time in 100 ms.
    fn set(&self, quota: u32) {
        if self.v2 {
            fs::write(self.folder.join("cpu.max"), format!("{quota} 100000")).unwrap();
        } else {
            fs::write(self.folder.join("cpu.cfs_quota_us"), quota.to_string()).unwrap();
        }
    }

    fn counted(&self, name: &str) -> u64 {
        let stat = fs::read_to_string(self.folder.join("cpu.stat")).unwrap();
        stat.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
    }

    /// Runs a load under watch, both of them inside.
    fn around(&self, scene: &Scene, load: &str) -> Watched {
        const INSIDE: &str = r#"echo $$ > "$1/cgroup.procs"; shift; exec "$@""#;
        let watch = watch(scene, &[], load);
        let mut inside = script(INSIDE, &[&self.folder, Path::new(watch.get_program())]);
        inside.args(watch.get_args()).envs(watch.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Watched::of(scene, inside)
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // It is busy until its last process has gone.
        eventually(|| fs::remove_dir(&self.folder).is_ok());
    }
}

fn a_load_that_uses_up_its_cpu_quota_names_it(scene: &Scene) {
    Watched::load(scene, "spin.py").no_hit();

    let quota = Quota::named(&scene.token());
    quota.set(10_000);
    let watched = quota.around(scene, "spin.py");
    let throttled = watched.only_hit("CPU quota");
    let (periods, waited) = (quota.counted("nr_periods"), quota.counted("nr_throttled"));
    let rose = rise(throttled, "cgroup.cpu.throttled");
    // Those before the first reading and after the last one are not seen.
    assert!(rose >= 10 && rose <= waited && waited <= periods, "{rose} of {waited} of {periods}");

    let [highest, ..] = peak(throttled);
    assert!(highest > Some(25), "{throttled:#}");
    assert_eq!(throttled["chart"].as_array().unwrap().iter().map(|bar| bar.as_u64()).max(), Some(highest));

    // What it once lacked is no limit that is met now.
    quota.set(1_000_000);
    let calm = quota.around(scene, "calm.py");
    assert!(waited * 100 / quota.counted("nr_periods") > 25, "the share since the beginning is still high");
    calm.no_hit();
}

fn a_quota_of_the_group_above_is_told(scene: &Scene) {
    const BUSY: &str = r#"echo $$ > "$1/cgroup.procs"; while :; do :; done"#;
    let above = Quota::named(&scene.token());
    let (own, beside) = (above.below("own"), above.below("beside"));
    own.set(10_000);
    own.around(scene, "spin.py");
    let once = own.counted("nr_throttled");
    assert!(once * 100 / own.counted("nr_periods") > 25, "the own group has been short of CPU");

    // Both have to share less than either may use, so that the quota above runs out and the own one does not.
    own.set(20_000);
    above.set(20_000);
    let mut busy = script(BUSY, &[&beside.folder]).spawn().unwrap();
    let watched = own.around(scene, "spin.py");
    busy.kill().unwrap();
    busy.wait().unwrap();
    let rose = rise(watched.only_hit("CPU quota"), "cgroup.cpu.throttled");
    let (waited, of_own) = (above.counted("nr_throttled"), own.counted("nr_throttled") - once);
    assert!(rose > of_own && rose <= waited + of_own, "{rose} of {waited} above and {of_own}");
}
