//! sysctl.d, with real files in a root of its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{MOUNTS, Need, Place, Scene, done, program, script};
use crate::namespaces::report;
use crate::report::Report;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "the_line_that_wins_at_boot_is_cited",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: the_line_that_wins_at_boot_is_cited,
    },
    Place {
        name: "a_sysctl_file_that_cannot_be_read_leaves_no_false_answer",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_sysctl_file_that_cannot_be_read_leaves_no_false_answer,
    },
];

/// A root directory with the machine's /proc and /sys, tunecheck, and sysctl files of its own.
struct Root(PathBuf);

impl Root {
    fn new(scene: &Scene) -> Self {
        let root = scene.folder.join("root");
        scene.put_tunecheck(&root.join("tunecheck"));
        for folder in ["proc", "sys", "dev", "usr/lib"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        symlink("usr/lib", root.join("lib")).unwrap();
        done(script("for of in proc sys dev; do mount --rbind /$of \"$1/$of\"; done", &[&root]));
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn inside(&self, user: &str) -> Command {
        let mut chroot = program("chroot");
        chroot.arg(format!("--userspec={user}")).arg(&self.0).arg("/tunecheck");
        chroot
    }

    fn report(&self) -> Report {
        report(self.inside("0:0"), &[])
    }
}

/// The live value, and one that no file sets by accident.
fn live(key: &str) -> u64 {
    let path = Path::new("/proc/sys").join(key.replace('.', "/"));
    fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

#[track_caller]
fn assert_drift(report: &Report, key: &str, cited: &str) {
    let drift = report.about("boot/drift", key);
    assert_eq!((&drift["outcome"], &drift["now"]), (&"warn".into(), &live(key).into()), "{drift:#}");
    assert_eq!(drift["owner"], format!("{cited}, and the live value differs"), "{drift:#}");
}

fn the_line_that_wins_at_boot_is_cited(scene: &Scene) {
    let root = Root::new(scene);
    // No value is that of this machine, so every file would show if it won. No file is ever applied.
    let other = |nth: u64| format!("net.core.somaxconn = {}\n", live("net.core.somaxconn") + nth);
    root.file("/usr/lib/sysctl.d/50-one.conf", &other(1));
    root.file("/usr/local/lib/sysctl.d/10-first.conf", &other(2));
    assert_drift(
        &root.report(),
        "net.core.somaxconn",
        &format!("/usr/lib/sysctl.d/50-one.conf:1 sets {}", live("net.core.somaxconn") + 1),
    );

    // A file of the same name in a folder that counts more hides it, and the last name counts whatever its folder.
    root.file("/etc/sysctl.d/50-one.conf", &format!("# ours\n\n{}", other(3)));
    root.file(
        "/run/sysctl.d/60-two.conf",
        &format!("; theirs\nnet/core/somaxconn={}\n", live("net.core.somaxconn") + 4),
    );
    root.file("/etc/sysctl.d/70-no-ending", &other(5));
    let won = format!("/run/sysctl.d/60-two.conf:2 sets {}", live("net.core.somaxconn") + 4);
    assert_drift(&root.report(), "net.core.somaxconn", &won);
    let somaxconn = root.report();
    assert_eq!(somaxconn.finding("listen/somaxconn")["owner"], format!("{won}, and the live value differs"));

    // A link to /dev/null switches a file off; a link that leads nowhere is no file.
    root.file("/usr/lib/sysctl.d/80-off.conf", &other(6));
    symlink("/dev/null", root.path("/etc/sysctl.d/80-off.conf")).unwrap();
    symlink("../gone.conf", root.path("/etc/sysctl.d/99-gone.conf")).unwrap();
    let report = root.report();
    assert_drift(&report, "net.core.somaxconn", &won);
    let recycle = report.finding("time-wait/tw-recycle");
    assert_eq!(recycle["reason"], "no sysctl.d file sets it");
    root.file("/usr/lib/sysctl.d/20-old.conf", "-net.ipv4.tcp_tw_recycle = 1\n");
    let report = root.report();
    let recycle = report.finding("time-wait/tw-recycle");
    assert_eq!((&recycle["outcome"], &recycle["now"]), (&"warn".into(), &"1, in a boot file".into()));
    assert_eq!(recycle["fix"][0]["edit"]["at"], "/usr/lib/sysctl.d/20-old.conf:1");

    // sysctl --system reads /etc/sysctl.conf last of all, systemd-sysctl not at all. Which of them a boot runs is told by
    // the files of init; where they tell nothing and the two differ nobody knows.
    root.file("/etc/sysctl.conf", &other(7));
    let drift = root.report().about("boot/drift", "net.core.somaxconn").clone();
    assert_eq!(drift["outcome"], "unknown", "{drift:#}");
    assert!(drift["reason"].as_str().unwrap().contains("is not known"), "{drift:#}");
    root.file("/etc/init.d/procps", "");
    let last = format!("/etc/sysctl.conf:1 sets {}", live("net.core.somaxconn") + 7);
    assert_drift(&root.report(), "net.core.somaxconn", &last);
    root.file("/usr/lib/systemd/systemd-sysctl", "");
    assert_drift(&root.report(), "net.core.somaxconn", &won);
    fs::create_dir_all(root.path("/run/systemd/system")).unwrap();
    assert_drift(&root.report(), "net.core.somaxconn", &won);

    root.file("/etc/sysctl.d/90-right.conf", &format!("net.core.somaxconn = {}\n", live("net.core.somaxconn")));
    let report = root.report();
    let drift = report.about("boot/drift", "net.core.somaxconn");
    assert_eq!(drift["outcome"], "pass", "{drift:#}");
}

fn a_sysctl_file_that_cannot_be_read_leaves_no_false_answer(scene: &Scene) {
    let root = Root::new(scene);
    let (somaxconn, timeout) = ("net.core.somaxconn", "net.ipv4.tcp_fin_timeout");
    root.file("/etc/sysctl.d/20-right.conf", &format!("{somaxconn} = {}\n", live(somaxconn)));
    root.file("/etc/sysctl.d/50-secret.conf", &format!("{somaxconn} = 1\nnet.ipv4.tcp_tw_recycle = 1\n"));
    root.file("/etc/sysctl.d/80-after.conf", &format!("{timeout} = {}\n", live(timeout)));
    let secret = root.path("/etc/sysctl.d/50-secret.conf");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    let root_sees = root.report();
    assert_drift(&root_sees, somaxconn, "/etc/sysctl.d/50-secret.conf:1 sets 1");

    let nobody = report(root.inside("65534:65534"), &[]);
    assert_hidden(&nobody, "denied", somaxconn);
    // What a later file sets is sure, whatever the hidden one holds.
    assert_eq!(nobody.about("boot/drift", timeout)["outcome"], "pass");

    let mut snapshot = root.inside("0:0");
    snapshot.args(["snapshot", "/recording"]);
    done(snapshot);
    let recording = root.path("/recording");
    let replayed = |of: &Path| {
        let mut audit = scene.tunecheck();
        audit.arg("--snapshot").arg(of);
        report(audit, &[])
    };
    assert_drift(&replayed(&recording), somaxconn, "/etc/sysctl.d/50-secret.conf:1 sets 1");
    fs::remove_file(recording.join("files/etc/sysctl.d/50-secret.conf")).unwrap();
    let lost = replayed(&recording);
    assert_hidden(&lost, "unsupported", somaxconn);
    assert_eq!(lost.about("boot/drift", timeout)["outcome"], "pass");
    assert!(lost.notes().to_string().contains("1 recorded file"), "{}", lost.notes());
}

/// The hidden file may have had the last word about this key, and may have set any other.
#[track_caller]
fn assert_hidden(report: &Report, cause: &str, key: &str) {
    for finding in report.findings().filter(|finding| finding["rule"] == "boot/drift" && finding["subject"] == key) {
        assert_eq!(finding["outcome"], "unknown", "{finding:#}");
    }
    let recycle = report.finding("time-wait/tw-recycle");
    assert_eq!((&recycle["outcome"], &recycle["gap"]["cause"]), (&"unknown".into(), &cause.into()), "{recycle:#}");
    assert!(recycle["gap"]["why"].as_str().unwrap().contains("50-secret.conf"), "{recycle:#}");
    let owner = &report.finding("listen/somaxconn")["owner"];
    assert!(owner.is_null(), "who sets it is not known: {owner}");
}
