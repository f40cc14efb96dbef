//! Containers of podman and crun side by side.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Fleet, one, own, refused, short};
use crate::containers::{PODMAN, busybox_root, podman};
use crate::harness::{MOUNTS, Need, Place, Scene, done, eventually, program, script};
use crate::leftovers::Cgroups;
use crate::report::{Report, Run};

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "containers_side_by_side_are_each_as_they_are_in_one_report",
        needs: PODMAN,
        own: MOUNTS,
        trial: containers_side_by_side,
    },
    Place {
        name: "a_bare_container_of_crun_is_in_the_report_as_it_is_from_inside",
        needs: &[Need::Root, Need::Machine, Need::Program("crun"), Need::Program("busybox")],
        own: MOUNTS,
        trial: a_bare_container_of_crun,
    },
];

/// A container that runs until it is dropped.
pub(super) struct Container(pub(super) String);

impl Container {
    /// Starts a container of busybox and this shell command.
    pub(super) fn start(scene: &Scene, name: &str, flags: &[&str], command: &str) -> Self {
        let root = scene.folder.join("rootfs");
        let root = if root.exists() { root } else { busybox_root(scene) };
        let mut run = podman();
        run.args(["run", "--detach", "--network", "none", "--name", name]);
        run.args(["--cgroup-parent", &format!("/{}", scene.token())]).args(flags);
        run.arg("--rootfs").arg(root).args(["/bin/sh", "-c", command]);
        Self(done(run).trim().to_owned())
    }

    pub(super) fn pid(&self) -> String {
        let mut inspect = podman();
        inspect.args(["inspect", "--format", "{{.State.Pid}}", &self.0]);
        done(inspect).trim().to_owned()
    }

    /// The report of tunecheck in it.
    pub(super) fn inside(&self, arguments: &[&str]) -> Report {
        let mut exec = podman();
        exec.args(["exec", &self.0, "/bin/tunecheck", "--format", "json"]).args(arguments);
        Run::of(exec).report()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = podman();
        remove.args(["rm", "--force", "--time", "0", &self.0]);
        _ = remove.output();
    }
}

const SLEEP: &str = "exec busybox sleep 300";

fn containers_side_by_side(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let somaxconn = |value: u32| format!("--sysctl=net.core.somaxconn={value}");
    let start = |name: &str, flags: &[&str]| Container::start(scene, name, flags, SLEEP);
    let deep = start(
        "deep",
        &[&somaxconn(60_000), "--ulimit", "nofile=2048:4000", "--ulimit", "nproc=4096:4096", "--memory", "64m"],
    );
    let shallow = start("shallow", &[&somaxconn(50), "--pids-limit", "40"]);
    let twins = [start("twin-a", &[]), start("twin-b", &[])];
    let fleet = Fleet::read(scene);

    for (container, now, limit) in [(&deep, 60_000, 2048), (&shallow, 50, 1024), (&twins[0], 4096, 1024)] {
        let (_, report) = fleet.section(&short(&container.0));
        assert_eq!(report.finding("listen/somaxconn")["now"], now);
        assert_eq!(report.finding("files/nofile-soft")["now"], limit);
        assert_eq!((report.place("kind"), report.place("runtime")), (&"container".into(), &"podman".into()));
        // From inside, by the same binary.
        assert_eq!(own(&report), own(&container.inside(&[])), "{}", container.0);
    }
    let (_, report) = fleet.section(&short(&deep.0));
    assert_eq!(report.finding("cgroup/memory")["want"]["limit"], 64 << 20);
    let (names, _) = fleet.section(&short(&twins[1].0));
    assert!(names.iter().any(|name| name.contains(&short(&twins[0].0))), "what is alike is one section: {names:?}");
    let host = Report::parse(&fleet.document()["host"].to_string());
    assert_eq!(host.place("kind"), "host");
    let order: Vec<bool> = fleet.sections().map(|section| section["report"]["summary"]["fail"] != 0).collect();
    assert!(order.is_sorted_by_key(|failed| !failed), "worst first: {order:?}");

    // By any of its names it is the same.
    let by_pid = own(&one(scene, &["--pid", &shallow.pid()]));
    assert_eq!(own(&one(scene, &["--container", &short(&shallow.0)])), by_pid);
    assert_eq!(own(&fleet.section(&short(&shallow.0)).1), by_pid);
    by_name(scene, &shallow, &by_pid);
    let both = refused(scene, &["--name", "busybox"]);
    assert!(
        both.contains("in several network namespaces or cgroups") && both.contains("--name 'busybox' --all"),
        "{both}"
    );
    let mut all = scene.tunecheck();
    all.args(["--all", "--name", "busybox", "--format", "json"]);
    let named = Fleet::of(&Run::of(all));
    for container in [&deep, &shallow, &twins[0], &twins[1]] {
        named.section(&short(&container.0));
    }
    valid(scene, fleet.document());
}

/// Podman keeps names where only podman was told; in its usual place they are found.
fn by_name(scene: &Scene, container: &Container, expected: &[String]) {
    let unknown = refused(scene, &["--container", "shallow"]);
    assert!(unknown.contains("no running container has the id or name shallow"), "{unknown}");
    assert!(unknown.contains(&short(&container.0)), "those that run are listed: {unknown}");
    let folder = "/var/lib/containers/storage";
    done(script(
        "mount -t tmpfs none /var/lib; mkdir -p \"$1\"; mount --bind /run/podman/root \"$1\"",
        &[folder.as_ref()],
    ));
    let report = one(scene, &["--container", "shallow"]);
    assert_eq!(own(&report), expected);
    assert!(report.notes().to_string().contains("container shallow ("), "{}", report.notes());
}

/// Holds a document to the schema that the binary prints.
fn valid(scene: &Scene, document: &Value) {
    let mut schema = scene.tunecheck();
    schema.args(["rules", "schema", "--fleet"]);
    let schema: Value = serde_json::from_str(&done(schema)).unwrap();
    let wrong: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(wrong, [""; 0]);
}

/// A container that ends with this value.
struct Bare<'a>(&'a Scene);

impl Bare<'_> {
    fn crun(&self) -> std::process::Command {
        let mut crun = program("crun");
        crun.arg("--root").arg(self.0.folder.join("state"));
        crun
    }
}

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        let mut delete = self.crun();
        delete.args(["delete", "--force", &self.0.token()]);
        _ = delete.output();
    }
}

fn bundle(scene: &Scene) -> PathBuf {
    let bundle = busybox_root(scene).parent().unwrap().to_owned();
    let mut spec = program("crun");
    spec.arg("spec").current_dir(&bundle);
    done(spec);
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/busybox", "sleep", "300"]);
    config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 333, "hard": 444 }]);
    config["linux"]["sysctl"] = json!({ "net.core.somaxconn": "2222" });
    fs::write(&path, config.to_string()).unwrap();
    bundle
}

fn a_bare_container_of_crun(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    done(script("if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi", &[]));
    let bundle = bundle(scene);
    let bare = Bare(scene);
    let pid_file = scene.folder.join("pid");
    let mut run = bare.crun();
    run.args(["run", "--detach", "--pid-file"]).arg(&pid_file).arg("--bundle").arg(bundle).arg(scene.token());
    // Its output is that of the container, which goes on.
    run.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    assert!(run.status().unwrap().success());
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(eventually(|| Path::new(&format!("/proc/{pid}/root/bin/busybox")).exists()));
    let fleet = Fleet::read(scene);
    let (_, report) = fleet.section(&format!("of {pid} "));
    assert_eq!(report.finding("listen/somaxconn")["now"], 2222);
    assert_eq!(report.finding("files/nofile-soft")["now"], 333);
    assert_eq!(report.finding("files/nofile-hard")["now"], 444);
    let mut exec = bare.crun();
    exec.args(["exec", &scene.token(), "/bin/tunecheck", "--format", "json"]);
    let inside = Run::of(exec).report();
    assert_eq!(own(&report), own(&inside));
    assert_eq!(own(&one(scene, &["--pid", &pid])), own(&inside));
}
