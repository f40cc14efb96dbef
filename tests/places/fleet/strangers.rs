//! Users without rights, and names that others chose.

use std::fs;
use std::path::Path;

use super::pods::Group;
use super::{Fleet, one, short};
use crate::harness::{MOUNTS, Need, Place, Scene, done, script};
use crate::namespaces::as_nobody;
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "nobody_is_told_for_each_target_what_could_not_be_seen",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv")],
        own: MOUNTS,
        trial: nobody_is_told_for_each_target,
    },
    Place {
        name: "no_name_that_others_chose_drives_the_terminal",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: no_name_that_others_chose_drives_the_terminal,
    },
];

fn nobody_is_told_for_each_target(scene: &Scene) {
    let mut group = Group::at(scene, &"c".repeat(64));
    let pid = group.run(&["--net"], "ulimit -Sn 456; exec sleep 300");
    let mut command = as_nobody(scene);
    command.args(["--all", "--format", "json"]);
    let fleet = Fleet::of(&Run::of(command));
    let (_, report) = fleet.section("container cccccccccccc");
    assert!(report.notes().to_string().contains("network namespace could not be joined (Permission denied)"));
    let somaxconn = report.finding("listen/somaxconn");
    assert_eq!((&somaxconn["outcome"], &somaxconn["gap"]["cause"]), (&"unknown".into(), &"denied".into()));
    // Limits are open to everybody, and so are counters.
    assert_eq!(report.finding("files/nofile-soft")["now"], 456);
    assert_eq!(report.finding("listen/overflows")["outcome"], "pass");

    let mut command = as_nobody(scene);
    command.args(["--pid", &pid.to_string(), "--format", "json"]);
    let report = Run::of(command).report();
    assert_eq!(report.finding("listen/somaxconn")["gap"]["cause"], "denied");
}

fn no_name_that_others_chose_drives_the_terminal(scene: &Scene) {
    let evil = "\u{1b}[2Jx\n\u{1b}]0;y";
    let id = "d".repeat(64);
    let mut group = Group::at(scene, &id);
    let pid = group.run(&["--net"], "exec sleep 300");
    let mut other = Group::at(scene, "plain");
    let beside = other.run(&["--net"], "exec sleep 300");
    let docker = format!("/var/lib/docker/containers/{id}");
    done(script("mount -t tmpfs none /var/lib; mkdir -p \"$1\"", &[docker.as_ref()]));
    let config = serde_json::json!({ "Name": format!("/{evil}"), "Config": { "Labels": null } });
    fs::write(Path::new(&docker).join("config.v2.json"), config.to_string()).unwrap();
    // A process names itself, as here by what it runs.
    for (pid, group) in [(pid, &mut group), (beside, &mut other)] {
        let hostile = scene.folder.join(format!("{pid}\u{1b}[2J\nx"));
        fs::copy("/bin/sleep", &hostile).unwrap();
        group.run(&["--net"], &format!("exec '{}' 300", hostile.display()));
    }
    // What a container keeps where files are looked for: a FIFO waits for ever.
    let fifo = scene.folder.join("fifo").display().to_string();
    let mounted = format!("mkfifo {fifo}; mount --bind {fifo} /etc/resolv.conf; exec sleep 300");
    let mut waiting = Group::at(scene, &"e".repeat(64));
    let waits = waiting.run(&["--net", "--mount"], &mounted).to_string();
    for arguments in [
        &["--all"][..],
        &["--all", "-v"],
        &["--all", "--format", "json"],
        &["--container", &id],
        &["--pid", &waits, "--workload", "gateway"],
    ] {
        let mut command = scene.tunecheck();
        command.args(arguments);
        let run = Run::of(command);
        assert!(run.code != Some(2), "{run:?}");
        assert!(!run.stdout.contains('\u{1b}') && !run.stderr.contains('\u{1b}'), "{arguments:?}: {run:?}");
    }
    let mut command = scene.tunecheck();
    command.args(["--container", "no\u{1b}[2Jsuch"]);
    let run = Run::of(command);
    assert!(!run.stderr.contains('\u{1b}') && run.complaint().contains("?[2Jx?"), "{run:?}");
    assert_eq!(one(scene, &["--container", &short(&id)]).finding("listen/somaxconn")["now"], 4096);
}
