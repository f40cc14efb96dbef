//! From inside of a container the workload is audited, not the shell that asks.

use super::containers::Container;
use crate::containers::{PODMAN, podman};
use crate::harness::{MOUNTS, Place, Scene, eventually};
use crate::leftovers::Cgroups;
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "inside_of_a_container_the_limits_are_those_of_its_first_process",
        needs: PODMAN,
        own: MOUNTS,
        trial: the_limits_are_those_of_its_first_process,
    },
    Place {
        name: "inside_of_a_container_beside_another_the_first_process_of_that_one_is_audited",
        needs: PODMAN,
        own: MOUNTS,
        trial: beside_a_container_its_first_process_is_audited,
    },
    Place {
        name: "inside_of_a_container_the_process_that_listens_is_audited",
        needs: PODMAN,
        own: MOUNTS,
        trial: the_process_that_listens_is_audited,
    },
];

fn the_limits_are_those_of_its_first_process(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let container = Container::start(scene, "first", &[], "ulimit -Sn 777; exec busybox sleep 300");
    let report = container.inside(&[]);
    assert_eq!(report.finding("files/nofile-soft")["now"], 777);
    assert_eq!(report.place("process"), "1 busybox");
    let note = report.notes().to_string();
    assert!(note.contains("process 1 of this container") && note.contains("--pid self"), "{note}");
    let own = container.inside(&["--pid", "self"]);
    // Whatever podman gives to what it starts here.
    assert_ne!(own.finding("files/nofile-soft")["now"], 777);
    assert!(own.place("process").is_null());
    let other = container.inside(&["--pid", "1"]);
    assert_eq!(other.finding("files/nofile-soft")["now"], 777);
    // What is recorded there replays to the same.
    let line = "tunecheck snapshot /tmp/recorded 2>/dev/null && exec tunecheck --snapshot /tmp/recorded --format json";
    let mut record = podman();
    record.args(["exec", &container.0, "/bin/sh", "-c", line]);
    assert_eq!(Run::of(record).report().finding("files/nofile-soft")["now"], 777);
    // Another user than that of the process sees its own network namespace and files, and no limits of the process.
    let mut exec = podman();
    exec.args(["exec", "--user", "2000", &container.0, "/bin/tunecheck", "--format", "json"]);
    let stranger = Run::of(exec).report();
    assert_eq!(stranger.finding("files/nofile-soft")["outcome"], "unknown");
    assert_eq!(stranger.finding("listen/somaxconn")["now"], 4096);
    assert!(stranger.notes().to_string().contains("does the work here are unknown: process 1 busybox"));
}

/// As an ephemeral container of Kubernetes that is given a target.
fn beside_a_container_its_first_process_is_audited(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let target = Container::start(
        scene,
        "target",
        &["--sysctl=net.core.somaxconn=3333"],
        "ulimit -Sn 777; exec busybox sleep 300",
    );
    let mut run = podman();
    let joined = format!("container:{}", target.0);
    run.args(["run", "--rm", "--pid", &joined, "--network", &joined, "--cap-add", "SYS_PTRACE"]);
    run.args(["--cgroup-parent", &format!("/{}", scene.token()), "--rootfs"]).arg(scene.folder.join("rootfs"));
    run.args(["/bin/sh", "-c", "tunecheck --format json; exit $?"]);
    let report = Run::of(run).report();
    assert_eq!(report.place("process"), "1 busybox");
    assert_eq!(report.finding("files/nofile-soft")["now"], 777);
    assert_eq!(report.finding("listen/somaxconn")["now"], 3333);
}

fn the_process_that_listens_is_audited(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let command = "busybox sleep 300 & (ulimit -Sn 555; exec busybox nc -l -p 8080) & wait";
    let container = Container::start(scene, "listens", &["--user", "1000:1000"], command);
    let listens = || {
        container
            .inside(&["--pid", "self"])
            .findings()
            .any(|found| found["rule"] == "listen/backlog" && found["subject"] != serde_json::Value::Null)
    };
    assert!(eventually(listens));
    let report = container.inside(&[]);
    assert_eq!(report.finding("files/nofile-soft")["now"], 555);
    let note = report.notes().to_string();
    assert!(note.contains("the oldest one that listens"), "{note}");
}
