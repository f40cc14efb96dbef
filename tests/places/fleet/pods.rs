//! Pods as the kubelet lays them out: cgroups with their uid, folders of logs with their name. And units of systemd,
//! which are cgroups as well.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use super::{Fleet, one, own, refused, short};
use crate::harness::{MOUNTS, Need, Place, Scene, done, eventually, program, script};

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "a_pod_is_found_by_its_namespace_and_name",
        needs: &[Need::Root, Need::Machine, Need::Program("unshare")],
        own: MOUNTS,
        trial: a_pod_is_found_by_its_namespace_and_name,
    },
    Place {
        name: "the_main_process_of_a_unit_is_audited",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: the_main_process_of_a_unit_is_audited,
    },
];

const UID: &str = "6c1f4a5e-5a0f-4c2b-9d1a-0a1b2c3d4e5f";

/// Processes in cgroups, both of which end with this value.
pub(super) struct Group {
    folder: PathBuf,
    children: Vec<Child>,
}

impl Group {
    /// A cgroup of this path below one of this trial.
    pub(super) fn at(scene: &Scene, path: &str) -> Self {
        let folder = Path::new("/sys/fs/cgroup/pids").join(scene.token()).join(path);
        fs::create_dir_all(&folder).unwrap();
        Self { folder, children: Vec::new() }
    }

    /// Starts a shell command in it, and waits until it is there.
    pub(super) fn run(&mut self, flags: &[&str], command: &str) -> u32 {
        let mut start = program("unshare");
        start
            .args(flags)
            .args(["sh", "-c", "echo $$ > \"$0/cgroup.procs\"; eval \"$1\""])
            .arg(&self.folder)
            .arg(command);
        let child = start.spawn().unwrap();
        let pid = child.id();
        self.children.push(child);
        let started = || {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.ends_with(b"\x00300\0") && !line.starts_with(b"sh\0"))
        };
        assert!(eventually(|| started() && !comm(pid).contains("nsenter")), "{}", comm(pid));
        pid
    }
}

fn comm(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in &mut self.children {
            _ = child.kill();
            _ = child.wait();
        }
        let mut folder = self.folder.clone();
        while folder != Path::new("/sys/fs/cgroup/pids") && fs::remove_dir(&folder).is_ok() {
            folder.pop();
        }
    }
}

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn a_pod_is_found_by_its_namespace_and_name(scene: &Scene) {
    let pod = format!("kubepods/burstable/pod{UID}");
    let pause = scene.folder.join("pause");
    fs::copy("/bin/sleep", &pause).unwrap();
    let mut sandbox = Group::at(scene, &format!("{pod}/{}", id('a')));
    let holder = sandbox.run(&["--net"], &format!("sysctl -qw net.core.somaxconn=1234; exec {} 300", pause.display()));
    let mut app = Group::at(scene, &format!("{pod}/{}", id('b')));
    let pid = app.run(&["--mount"], &format!("ulimit -Sn 456; exec nsenter --net=/proc/{holder}/ns/net sleep 300"));
    let logs = format!("/var/log/pods/shop_cart-0_{UID}");
    done(script("mount -t tmpfs none /var/log; mkdir -p \"$1\" /var/log/pods/odd", &[logs.as_ref()]));

    let report = one(scene, &["--pod", "shop/cart-0"]);
    assert_eq!(report.finding("listen/somaxconn")["now"], 1234);
    assert_eq!(report.finding("files/nofile-soft")["now"], 456, "the container's limits, not the sandbox's");
    assert!(report.place("process").as_str().unwrap().starts_with(&format!("{pid} ")));
    assert_eq!(report.place("kind"), "pod");
    assert_eq!(own(&one(scene, &["--pid", &pid.to_string()])), own(&report));
    assert_eq!(own(&one(scene, &["--container", &short(&id('b'))])), own(&report));

    let fleet = Fleet::read(scene);
    let (names, section) = fleet.section("pod shop/cart-0 container bbbbbbbbbbbb");
    assert_eq!(names.len(), 1);
    assert_eq!(own(&section), own(&report));
    assert!(!fleet.document().to_string().contains("aaaaaaaaaaaa"), "the sandbox does no work");
    let unknown = refused(scene, &["--pod", "shop/cart-1"]);
    assert!(unknown.contains("no pod shop/cart-1 runs on this node; running are: shop/cart-0"), "{unknown}");
}

fn the_main_process_of_a_unit_is_audited(scene: &Scene) {
    let unit = format!("{}.service", scene.token());
    let mut group = Group::at(scene, &unit);
    let main = group.run(&[], "ulimit -Sn 321; exec sleep 300");
    group.run(&[], "ulimit -Sn 123; exec sleep 300");
    let report = one(scene, &["--unit", &unit]);
    assert_eq!(report.finding("files/nofile-soft")["now"], 321);
    assert!(report.place("process").as_str().unwrap().starts_with(&format!("{main} ")));
    assert_eq!(report.place("unit"), unit.as_str());
    assert!(refused(scene, &["--unit", "no-such-unit"]).contains("no process is in a cgroup of no-such-unit.service"));
}
