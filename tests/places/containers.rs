//! Containers of crun, runc and podman, without a network and without an image.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{MOUNTS, Need, Place, Scene, done, program, script};
use crate::leftovers::Cgroups;
use crate::report::{Report, Run};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "alone_in_a_scratch_container_under_crun_the_report_is_whole",
        needs: &[Need::Root, Need::Program("crun")],
        own: MOUNTS,
        trial: |scene| alone_in_a_scratch_container(scene, "crun"),
    },
    Place {
        name: "alone_in_a_scratch_container_under_runc_the_report_is_whole",
        needs: &[Need::Root, Need::Program("runc")],
        own: MOUNTS,
        trial: |scene| alone_in_a_scratch_container(scene, "runc"),
    },
    Place {
        name: "a_locked_down_container_shows_its_limits",
        needs: PODMAN,
        own: MOUNTS,
        trial: a_locked_down_container_shows_its_limits,
    },
    Place {
        name: "sysctls_of_a_container_are_reported_and_mended_where_it_is_started",
        needs: PODMAN,
        own: MOUNTS,
        trial: sysctls_of_a_container_are_reported_and_mended_where_it_is_started,
    },
    Place {
        name: "a_container_on_the_host_network_shows_the_network_of_the_host",
        needs: PODMAN,
        own: MOUNTS,
        trial: a_container_on_the_host_network_shows_the_network_of_the_host,
    },
];

pub(crate) const PODMAN: &[Need] = &[
    Need::Root,
    Need::Machine,
    Need::Program("podman"),
    Need::Program("runc"),
    Need::Program("conmon"),
    Need::Program("busybox"),
];

/// A bundle whose root file system holds tunecheck and nothing else.
fn scratch_bundle(scene: &Scene, runtime: &str) -> PathBuf {
    let bundle = scene.folder.join("bundle");
    scene.put_tunecheck(&bundle.join("rootfs/tunecheck"));
    let mut spec = program(runtime);
    spec.arg("spec").current_dir(&bundle);
    done(spec);
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/tunecheck", "--format", "json"]);
    fs::write(&path, config.to_string()).unwrap();
    bundle
}

fn alone_in_a_scratch_container(scene: &Scene, runtime: &str) {
    let _cgroups = Cgroups(scene.token());
    // crun of Debian 12 refuses a machine that has both versions of cgroups; without the second it is content.
    done(script("if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi", &[]));
    let bundle = scratch_bundle(scene, runtime);
    let mut run = program(runtime);
    run.arg("--root").arg(scene.folder.join("state")).args(["run", "--bundle"]).arg(&bundle).arg(scene.token());
    let report = Run::of(run).report();
    assert_eq!((report.place("kind"), report.place("network_namespace")), (&"container".into(), &"child".into()));
    assert_eq!((report.place("sysctls"), report.place("uid")), (&"read-only-mount".into(), &0.into()));
    // The limits of the bundle, not those of this process.
    for rule in ["files/nofile-soft", "files/nofile-hard"] {
        assert_eq!(report.finding(rule)["now"], 1024);
    }
    assert_mended_outside(&report);
    let unread = report
        .findings()
        .filter(|finding| finding["outcome"] == "unknown" && finding["gap"]["cause"] != "not-visible-here");
    assert_eq!(unread.collect::<Vec<_>>(), [&Value::Null; 0], "nothing is missing but what belongs to the host");
}

/// A container cannot write its sysctls, so no fix may ask for that.
fn assert_mended_outside(report: &Report) {
    let mut changes = 0;
    for action in report.findings().flat_map(|finding| finding["fix"].as_array().unwrap()) {
        if action["edit"]["kind"] == "sysctl" {
            changes += 1;
            assert!(action["site"] == "container-run" || action["site"] == "node", "{action:#}");
            assert_ne!(action["who"], "you, here", "{action:#}");
        }
    }
    assert!(changes > 0, "no fix to judge");
}

/// A root file system with busybox and tunecheck.
pub(crate) fn busybox_root(scene: &Scene) -> PathBuf {
    let root = scene.folder.join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "etc", "run", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    done(script("cp \"$(command -v busybox)\" \"$1/bin/busybox\"; ln -s busybox \"$1/bin/sh\"", &[&root]));
    scene.put_tunecheck(&root.join("bin/tunecheck"));
    root
}

/// podman, which keeps its state in a file system that goes with this mount namespace.
pub(crate) fn podman() -> Command {
    if !Path::new("/run/podman").exists() {
        done(script("mount -t tmpfs none /run; mkdir /run/podman", &[]));
        // No lock in shared memory, and limits that a machine without CAP_SYS_RESOURCE may set.
        let configuration = "[engine]\nlock_type = \"file\"\n\
                             [containers]\ndefault_ulimits = [\"nofile=1024:4096\", \"nproc=4096:4096\"]\n";
        fs::write("/run/podman/containers.conf", configuration).unwrap();
    }
    let mut podman = program("podman");
    podman.env("CONTAINERS_CONF", "/run/podman/containers.conf");
    podman.args(["--root", "/run/podman/root", "--runroot", "/run/podman/run", "--tmpdir", "/run/podman/tmp"]);
    podman.args(["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", "runc"]);
    podman
}

/// The report out of a container that busybox starts tunecheck in.
fn inside(scene: &Scene, flags: &[&str], arguments: &str) -> Report {
    let root = scene.folder.join("rootfs");
    let root = if root.exists() { root } else { busybox_root(scene) };
    let mut run = podman();
    run.args(["run", "--rm", "--cgroup-parent", &format!("/{}", scene.token())]);
    run.args(flags).arg("--rootfs").arg(root);
    run.args(["/bin/sh", "-c", &format!("exec tunecheck --format json {arguments}")]);
    Run::of(run).report()
}

fn a_locked_down_container_shows_its_limits(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let locked = ["--network", "none", "--read-only", "--cap-drop", "all"];
    let limits = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"];
    let ulimits = ["--ulimit", "nofile=2048:4000", "--ulimit", "nproc=4096:4096"];
    let flags = [locked.as_slice(), &limits, &ulimits].concat();
    let report = inside(scene, &flags, "");
    assert_eq!((report.place("kind"), report.place("runtime")), (&"container".into(), &"podman".into()));
    assert_eq!(report.place("sysctls"), "read-only-mount");
    assert_eq!(report.place("capabilities"), &json!([]));
    assert_eq!(report.finding("cgroup/memory")["want"]["limit"], 64 << 20);
    assert_eq!(report.finding("cgroup/pids")["want"]["limit"], 50);
    let cpu = report.finding("cgroup/cpu-throttled")["evidence"].as_array().unwrap();
    let limit = cpu.iter().find(|proof| proof["fact"] == "cgroup.cpu.limit").expect("the limit of CPU time");
    assert_eq!(limit["value"], 500, "thousandths: {limit:#}");
    for rule in ["cgroup/memory", "cgroup/pids", "cgroup/cpu-throttled"] {
        assert_eq!(report.finding(rule)["outcome"], "pass", "{rule}");
    }
    assert_eq!(report.finding("files/nofile-soft")["now"], 2048);
    assert_eq!(report.finding("files/nofile-hard")["now"], 4000);
    let owner = report.finding("files/nofile-soft")["owner"].as_str().unwrap();
    assert_eq!(owner, "the container runtime (podman)");
    assert_mended_outside(&report);
}

fn sysctls_of_a_container_are_reported_and_mended_where_it_is_started(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let flags = [
        "--network",
        "none",
        "--sysctl",
        "net.core.somaxconn=1024",
        "--sysctl",
        "net.ipv4.ip_local_port_range=10000 65000",
    ];
    let server = inside(scene, &flags, "--workload server --burst 2000");
    let somaxconn = server.finding("listen/somaxconn");
    assert_eq!((&somaxconn["now"], &somaxconn["outcome"]), (&1024.into(), &"fail".into()));
    let fix = &somaxconn["fix"][0];
    assert_eq!((&fix["site"], &fix["edit"]["old"]), (&"container-run".into(), &1024.into()));
    let line = fix["lines"][0].as_str().unwrap();
    assert!(line.starts_with("podman run --sysctl net.core.somaxconn=65535 "), "{line}");

    let client = inside(scene, &flags, "--workload client --connections 60000");
    let ports = client.finding("ports/range");
    assert_eq!((&ports["now"], &ports["outcome"]), (&(65000 - 10000 + 1).into(), &"fail".into()));
    let fix = &ports["fix"][0];
    assert_eq!((&fix["site"], &fix["edit"]["old"]), (&"container-run".into(), &json!([10000, 65000])));
    let line = fix["lines"][0].as_str().unwrap();
    assert!(line.starts_with("podman run --sysctl 'net.ipv4.ip_local_port_range=10000 65535' "), "{line}");
    for report in [&server, &client] {
        assert_mended_outside(report);
        let text = report.findings().map(Value::to_string).collect::<String>();
        assert!(!text.contains("sysctl -w net.core.somaxconn") && !text.contains("sysctl -w 'net.ipv4"), "{text}");
    }
}

fn a_container_on_the_host_network_shows_the_network_of_the_host(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // More than any somaxconn, so that there is a fix to judge.
    let report = inside(scene, &["--network", "host"], "--burst 1000000000");
    assert_eq!((report.place("kind"), report.place("network_namespace")), (&"container".into(), &"init".into()));
    assert!(report.subjects("listen/backlog").contains(&address.as_str()), "{:?}", report.subjects("listen/backlog"));
    let somaxconn = report.finding("listen/somaxconn");
    let live: u64 = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    assert_eq!(somaxconn["now"], live);
    for rule in ["memory/tcp-mem", "memory/orphans"] {
        assert_ne!(report.finding(rule)["outcome"], "unknown", "{rule}");
    }
    let fix = &somaxconn["fix"][0];
    assert_eq!((&fix["site"], &fix["who"]), (&"node".into(), &"root on the node, outside the container".into()));
    assert!(fix["scope"].as_str().unwrap().contains("network namespace"), "{fix:#}");
    // Container engines refuse --sysctl net.* together with the host's network.
    for action in report.findings().flat_map(|finding| finding["fix"].as_array().unwrap()) {
        assert!(action["site"] != "container-run" || action["edit"]["kind"] == "nofile", "{action:#}");
    }
}
