//! `tunecheck fix --to script` for a service: folders of the trial's own, and a systemctl that stands in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::engine::stand_in;
use crate::harness::{MOUNTS, Need, Place, Scene, done, program, script};
use crate::report::Run;

const NEEDS: &[Need] = &[Need::Root, Need::Machine];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_service_gets_its_drop_in_with_persist_alone_and_undo_takes_it_away",
        needs: NEEDS,
        own: MOUNTS,
        trial: a_service_gets_its_drop_in_with_persist_alone_and_undo_takes_it_away,
    },
    Place {
        name: "a_service_keeps_what_it_has_more_of",
        needs: NEEDS,
        own: MOUNTS,
        trial: a_service_keeps_what_it_has_more_of,
    },
    Place {
        name: "a_drop_in_that_sorts_later_is_no_success",
        needs: NEEDS,
        own: MOUNTS,
        trial: a_drop_in_that_sorts_later_is_no_success,
    },
    Place {
        name: "a_drop_in_is_printed_for_the_limits_that_the_unit_has",
        needs: NEEDS,
        own: MOUNTS,
        trial: a_drop_in_is_printed_for_the_limits_that_the_unit_has,
    },
    Place {
        name: "a_drop_in_that_cannot_be_written_is_no_success",
        needs: NEEDS,
        own: MOUNTS,
        trial: a_drop_in_that_cannot_be_written_is_no_success,
    },
];

const FOLDER: &str = "/etc/systemd/system/gateway.service.d";
const DROP_IN: &str = "/etc/systemd/system/gateway.service.d/50-tunecheck.conf";

/// A machine on which only the limits of a service are too low, and the script for it.
struct Service<'a> {
    scene: &'a Scene,
    script: PathBuf,
}

impl<'a> Service<'a> {
    fn on(scene: &'a Scene) -> Self {
        done(script(
            "mount -t tmpfs none /etc/systemd/system; mount -t tmpfs none /run; mkdir -p /run/systemd/system",
            &[],
        ));
        let mut audit = scene.tunecheck();
        audit.args(["--format", "json", "--snapshot"]);
        audit.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-systemd"));
        let mut report: Value = serde_json::from_str(&Run::of(audit).stdout).unwrap();
        let edit = json!({ "kind": "nofile", "old_soft": 1024, "old_hard": 4096, "soft": 65535, "hard": 524288 });
        let fix = json!([{ "site": "here", "edit": edit }]);
        report["findings"] = json!([{ "rule": "files/nofile-soft", "outcome": "fail", "fix": fix }]);
        let from = scene.folder.join("report.json");
        fs::write(&from, report.to_string()).unwrap();
        let mut fix = scene.tunecheck();
        fix.args(["fix", "--to", "script", "--unit", "gateway", "--from"]).arg(from);
        let path = scene.folder.join("fix.sh");
        fs::write(&path, done(fix)).unwrap();
        Self { scene, script: path }
    }

    /// The limits of the unit, and a later drop-in that has the last word if `overruled`. What was called is forgotten.
    fn has(&self, soft: &str, hard: &str, overruled: bool) {
        let calls = self.scene.folder.join("calls");
        fs::write(&calls, "").unwrap();
        fs::write(self.scene.folder.join("limits"), format!("{soft}:{hard}\n")).unwrap();
        let text = format!(
            "folder={} drop_in={DROP_IN}
            printf '%s\\n' \"$*\" >>\"$folder/calls\"
            limits=$(cat \"$folder/limits\")
            if [ -e \"$folder/read\" ] && [ -z \"{}\" ]; then limits=$(sed -n 's/^LimitNOFILE=//p' \"$folder/read\"); fi
            case \"$1 $3\" in
              'show LoadState') echo loaded ;;
              'show LimitNOFILESoft') echo \"${{limits%:*}}\" ;;
              'show LimitNOFILE') echo \"${{limits#*:}}\" ;;
              'show MainPID') echo 0 ;;
              'daemon-reload ') rm -f \"$folder/read\"; if [ -e $drop_in ]; then cp $drop_in \"$folder/read\"; fi ;;
              *) exit 1 ;;
            esac",
            self.scene.folder.display(),
            if overruled { "yes" } else { "" },
        );
        stand_in(self.scene, "systemctl", &text);
    }

    fn sh(&self, arguments: &[&str]) -> Run {
        let mut shell = program("sh");
        shell.arg(&self.script).args(arguments).env("TUNECHECK_STATE", self.scene.folder.join("state"));
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.scene.folder.join("bin").display()));
        Run::of(shell)
    }

    fn reloads(&self) -> usize {
        let calls = fs::read_to_string(self.scene.folder.join("calls")).unwrap();
        calls.lines().filter(|line| *line == "daemon-reload").count()
    }
}

fn a_service_gets_its_drop_in_with_persist_alone_and_undo_takes_it_away(scene: &Scene) {
    let service = Service::on(scene);
    service.has("1024", "4096", false);
    let plan = service.sh(&["plan"]);
    assert!(plan.stdout.contains("gateway.service 1024:4096 -> 65535:524288, with --persist"), "{}", plan.stdout);
    assert_eq!(service.sh(&["check"]).code, Some(1));

    let skipped = service.sh(&["apply"]);
    assert!(skipped.stdout.contains("skipped    gateway.service LimitNOFILE=1024:4096"), "{skipped:?}");
    assert!(skipped.stdout.contains("with --persist") && !skipped.stdout.contains("changed  "), "{skipped:?}");
    assert!(!Path::new(FOLDER).exists() && service.reloads() == 0);

    let applied = service.sh(&["apply", "--persist"]);
    assert_eq!((applied.code, applied.stderr.as_str()), (Some(0), ""), "{}", applied.stdout);
    assert!(applied.stdout.contains("changed    gateway.service LimitNOFILE=65535:524288"), "{}", applied.stdout);
    assert!(applied.stdout.contains("systemctl restart gateway.service"), "{}", applied.stdout);
    assert_eq!(fs::read_to_string(DROP_IN).unwrap(), "[Service]\nLimitNOFILE=65535:524288\n");
    assert_eq!(service.reloads(), 1);
    assert_eq!(service.sh(&["check"]).code, Some(0));
    let again = service.sh(&["apply", "--persist"]);
    assert!(again.code == Some(0) && !again.stdout.contains("changed  "), "{}", again.stdout);

    let undone = service.sh(&["undo"]);
    assert_eq!((undone.code, undone.stderr.as_str()), (Some(0), ""), "{}", undone.stdout);
    assert!(!Path::new(FOLDER).exists(), "the folder was made by the script");
    assert_eq!(service.reloads(), 2);
    assert_eq!(service.sh(&["check"]).code, Some(1));

    // A folder with a drop-in of somebody else stays.
    fs::create_dir(FOLDER).unwrap();
    fs::write(format!("{FOLDER}/10-admin.conf"), "[Service]\n").unwrap();
    assert_eq!(service.sh(&["apply", "--persist"]).code, Some(0));
    assert_eq!(service.sh(&["undo"]).code, Some(0));
    assert!(!Path::new(DROP_IN).exists() && Path::new(FOLDER).join("10-admin.conf").exists());
}

fn a_service_keeps_what_it_has_more_of(scene: &Scene) {
    let service = Service::on(scene);
    for (soft, hard, written) in [
        ("1024", "1048576", Some("65535:1048576")),
        ("100000", "200000", Some("100000:524288")),
        ("1024", "infinity", Some("65535:infinity")),
        ("65536", "524288", None),
        ("2000000", "3000000", None),
        ("infinity", "infinity", None),
    ] {
        service.has(soft, hard, false);
        let applied = service.sh(&["apply", "--persist"]);
        assert_eq!(applied.code, Some(0), "{soft}:{hard}: {applied:?}");
        let text = fs::read_to_string(DROP_IN).ok();
        assert_eq!(text, written.map(|limits| format!("[Service]\nLimitNOFILE={limits}\n")), "{soft}:{hard}");
        assert_eq!(service.reloads(), usize::from(written.is_some()));
        assert_eq!(service.sh(&["undo"]).code, Some(0));
        assert!(!Path::new(FOLDER).exists());
    }
}

fn a_drop_in_that_sorts_later_is_no_success(scene: &Scene) {
    let service = Service::on(scene);
    service.has("1024", "4096", true);
    let applied = service.sh(&["apply", "--persist"]);
    assert!(applied.code == Some(1) && !applied.stdout.contains("changed  "), "{applied:?}");
    assert!(applied.stderr.contains("systemctl cat gateway.service"), "{}", applied.stderr);
    assert_eq!(service.sh(&["undo"]).code, Some(0));
    assert!(!Path::new(FOLDER).exists());
}

fn a_drop_in_that_cannot_be_written_is_no_success(scene: &Scene) {
    let service = Service::on(scene);
    service.has("1024", "4096", false);
    done(script("mount -o remount,ro /etc/systemd/system", &[]));
    let applied = service.sh(&["apply", "--persist"]);
    assert!(applied.code == Some(1) && !applied.stdout.contains("changed  "), "{applied:?}");
    assert!(
        applied.stderr.contains("cannot write to /etc/systemd/system: ")
            && applied.stderr.ends_with("Nothing was changed.\n"),
        "{}",
        applied.stderr
    );
    assert_eq!(service.reloads(), 0);
    done(script("mount -o remount,rw /etc/systemd/system", &[]));
    fs::create_dir(FOLDER).unwrap();
    done(script("mount -o remount,ro /etc/systemd/system", &[]));
    let applied = service.sh(&["apply", "--persist"]);
    assert!(applied.code == Some(1) && !applied.stdout.contains("changed  "), "{applied:?}");
}

fn a_drop_in_is_printed_for_the_limits_that_the_unit_has(scene: &Scene) {
    done(script("mount -t tmpfs none /etc/systemd/system", &[]));
    let printed = |limits: &str| {
        fs::write("/etc/systemd/system/gateway.service", format!("[Service]\nExecStart=true\n{limits}\n")).unwrap();
        // The limits of the unit are judged, not those of this process.
        let mut fix = script("exec \"$1\" fix --to systemd --unit gateway --connections 15000", &[&scene.tunecheck]);
        fix.stdin(std::process::Stdio::null());
        let run = Run::of(fix);
        let line = run.stdout.lines().find(|line| line.starts_with("LimitNOFILE=")).map(str::to_owned);
        line.unwrap_or(run.stderr)
    };
    assert_eq!(printed("LimitNOFILE=1024:2048"), "LimitNOFILE=65535:524288");
    assert_eq!(printed("LimitNOFILE=1024:1048576"), "LimitNOFILE=65535:1048576", "a higher one stays");
    let enough = printed("LimitNOFILE=100000:524288");
    assert!(!enough.contains("open files"), "nothing is short: {enough}");
    let endless = printed("LimitNOFILE=100000:infinity");
    assert!(endless.contains("open files: 100000 soft, unlimited hard -> 100000 soft, 524288 hard"), "{endless}");
}
