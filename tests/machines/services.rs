//! A service under a drop-in as it is printed, in a systemd that boots.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::Root;
use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, done};
use crate::nspawn;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "a_service_has_the_limits_of_its_drop_in_after_a_boot",
    needs: &[Need::Root, Need::Program("mmdebstrap"), Need::Program("systemd-nspawn"), Need::Minutes(8)],
    own: MOUNTS_AND_PROCESSES,
    trial: a_service_has_the_limits_of_its_drop_in_after_a_boot,
}];

/// A machine on which services have 1024 and 4096.
const MACHINE: &str = "fixtures/hosts/in-trouble";
const SERVICE: &str = "[Service]\nExecStart=sleep infinity\nLimitNOFILE=1024:2048\n";

/// The drop-in that is printed for load.service, where it is printed.
fn drop_in(scene: &Scene) -> PathBuf {
    let folder = scene.folder.join("remedy");
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "systemd", "--unit", "load.service", "--connections", "30000", "--snapshot"]);
    fix.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(MACHINE)).arg("--output").arg(&folder);
    done(fix);
    folder.join("systemd/load.service.d/50-tunecheck.conf")
}

fn a_service_has_the_limits_of_its_drop_in_after_a_boot(scene: &Scene) {
    const SHOW: &str = "
        systemctl show -P LimitNOFILESoft load
        systemctl show -P LimitNOFILE load
        for process in $(systemctl show -P MainPID load) 1; do
            set -- $(grep 'open files' /proc/$process/limits)
            echo $4
            echo $5
        done
    ";
    let root = Root::new(scene);
    root.enable("load.service", SERVICE);
    let shown = nspawn::boot(scene, &root, SHOW);
    assert_eq!(shown.lines().take(4).collect::<Vec<_>>(), ["1024", "2048", "1024", "2048"]);

    // Nothing tells what this unit has: a person looks first, and takes the mark away.
    let text = fs::read_to_string(drop_in(scene)).unwrap();
    assert!(text.contains("\n# left to you: LimitNOFILE="), "{text}");
    root.put("/etc/systemd/system/load.service.d/50-tunecheck.conf", text.replace("# left to you: ", ""));
    let shown = nspawn::boot(scene, &root, SHOW);
    let lines: Vec<u64> = shown.lines().map(|line| line.parse().unwrap()).collect();
    let [soft, hard, soft_in_force, hard_in_force, _, most] = lines[..] else { panic!("{shown}") };
    assert_eq!((soft, hard), (65_535, 524_288));
    // Where the machine lacks CAP_SYS_RESOURCE, systemd gives what it has itself.
    assert_eq!((soft_in_force, hard_in_force), (soft.min(most), hard.min(most)));
}
