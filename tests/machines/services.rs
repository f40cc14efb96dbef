//! systemd takes the files for services.

use std::fs;

use crate::debian::Root;
use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, program};
use crate::nspawn;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "systemd_finds_no_fault_with_a_drop_in",
        needs: &[Need::Program("systemd-analyze")],
        own: &[],
        trial: systemd_finds_no_fault_with_a_drop_in,
    },
    Place {
        name: "a_service_has_the_limits_of_its_drop_in_after_a_boot",
        needs: &[Need::Root, Need::Program("mmdebstrap"), Need::Program("systemd-nspawn"), Need::Minutes(6)],
        own: MOUNTS_AND_PROCESSES,
        trial: a_service_has_the_limits_of_its_drop_in_after_a_boot,
    },
];

const SERVICE: &str = "[Service]\nExecStart=sleep infinity\nLimitNOFILE=1024:2048\n";

/// What systemd has to say about a service with a drop-in.
fn complaints(scene: &Scene, drop_in: &str) -> String {
    let folder = scene.folder.join("load.service.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(scene.folder.join("load.service"), SERVICE).unwrap();
    fs::write(folder.join("50-tunecheck.conf"), drop_in).unwrap();
    let mut analyze = program("systemd-analyze");
    // With the colon come the folders of the machine, for the targets.
    analyze.args(["verify", "load.service"]).env("SYSTEMD_UNIT_PATH", format!("{}:", scene.folder.display()));
    let output = analyze.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn systemd_finds_no_fault_with_a_drop_in(scene: &Scene) {
    assert_eq!(complaints(scene, "[Service]\nLimitNOFILE=65536:524288\n"), "");
    // It would have found one.
    assert!(complaints(scene, "[Service]\nLimitNOFILES=65536:524288\n").contains("LimitNOFILES"));
}

fn a_service_has_the_limits_of_its_drop_in_after_a_boot(scene: &Scene) {
    const SHOW: &str = "
        systemctl show -P LimitNOFILESoft -P LimitNOFILE load
        grep 'open files' /proc/$(systemctl show -P MainPID load)/limits | tr -s ' ' | cut -d ' ' -f 4,5
        grep 'open files' /proc/1/limits | tr -s ' ' | cut -d ' ' -f 5
    ";
    let root = Root::new(scene);
    root.enable("load.service", SERVICE);
    let shown = nspawn::boot(scene, &root, SHOW);
    assert_eq!(shown.lines().take(3).collect::<Vec<_>>(), ["2048", "1024", "1024 2048"]);

    root.put("/etc/systemd/system/load.service.d/50-tunecheck.conf", "[Service]\nLimitNOFILE=65536:524288\n");
    let shown = nspawn::boot(scene, &root, SHOW);
    let lines: Vec<&str> = shown.lines().collect();
    let [hard, soft, in_force, most] = lines.as_slice() else { panic!("{shown}") };
    assert_eq!([*hard, *soft], ["524288", "65536"], "what is asked for");
    // Without CAP_SYS_RESOURCE systemd gives as much as it has itself.
    let most: u32 = most.parse().unwrap();
    assert_eq!(*in_force, format!("{} {}", most.min(65536), most.min(524_288)));
}
