//! What is printed for container engines, given to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use serde_json::{Value, json};
use tunecheck::model::check::Check;
use tunecheck::model::fix::Change;
use tunecheck::rules::RuleSet;

use crate::containers::{PODMAN, busybox_root, podman};
use crate::engine::{Engine, stand_in};
use crate::harness::{MOUNTS, NETWORK_AND_MOUNTS, Need, Place, Scene, done, eventually, program, script};
use crate::leftovers::Cgroups;
use crate::report::{Report, Run};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "the_flags_for_podman_mend_the_container",
        needs: PODMAN,
        own: MOUNTS,
        trial: the_flags_for_podman_mend_the_container,
    },
    Place {
        name: "the_flags_for_docker_mend_the_container",
        needs: &[
            Need::Root,
            Need::Machine,
            Need::Program("docker"),
            Need::Program("dockerd"),
            Need::Program("containerd"),
            Need::Program("busybox"),
        ],
        own: NETWORK_AND_MOUNTS,
        trial: the_flags_for_docker_mend_the_container,
    },
    Place {
        name: "a_sysctl_is_a_flag_if_the_runtime_takes_it_and_the_nodes_if_it_does_not",
        needs: PODMAN,
        own: MOUNTS,
        trial: a_sysctl_is_a_flag_if_the_runtime_takes_it_and_the_nodes_if_it_does_not,
    },
    Place {
        name: "docker_refuses_what_is_no_network_sysctl_before_it_asks_a_daemon",
        needs: &[Need::Program("docker")],
        own: &[],
        trial: docker_refuses_what_is_no_network_sysctl_before_it_asks_a_daemon,
    },
    Place {
        name: "compose_takes_the_fragment",
        needs: &[Need::Program("docker-compose")],
        own: &[],
        trial: compose_takes_the_fragment,
    },
];

/// The kernel takes it in any network namespace, and connections through NAT keep the node's: no fix for a container.
const USELESS_INSIDE: &str = "net.netfilter.nf_conntrack_tcp_timeout_established";
const SOCKET: &str = "unix:///run/docker.sock";
/// What a machine without CAP_SYS_RESOURCE can give.
const LOAD: &str = "--workload server --connections 2000 --burst 2000 --rules /etc/tunecheck";

/// A root file system whose rules ask for limits that every machine can give.
fn modest_root(scene: &Scene) -> PathBuf {
    let root = busybox_root(scene);
    let rules = root.join("etc/tunecheck/files");
    fs::create_dir_all(&rules).unwrap();
    for name in ["nofile-soft.yaml", "nofile-hard.yaml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/files").join(name)).unwrap();
        let text = text.replace("at_least: 524288", "at_least: 16000").replace("at_least: 65535", "at_least: 4000");
        assert!(text.contains("at_least: 16000"));
        fs::write(rules.join(name), text).unwrap();
    }
    root
}

/// The files of a target for a report.
fn printed(scene: &Scene, report: &str, target: &str) -> PathBuf {
    let (from, folder) = (scene.folder.join("report.json"), scene.folder.join(format!("{target}.out")));
    fs::write(&from, report).unwrap();
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", target, "--output"]).arg(&folder).arg("--from").arg(from);
    let rules = scene.folder.join("rootfs/etc/tunecheck");
    if rules.exists() {
        fix.arg("--rules").arg(rules);
    }
    done(fix);
    folder.join(target)
}

/// Rules that warn or fail, and that the start of the container alone decides.
fn mended_by_start(report: &Report) -> BTreeSet<String> {
    let rules = RuleSet::built_in();
    let changes = |finding: &Value| -> Vec<bool> {
        let actions = finding["fix"].as_array().unwrap().iter();
        let changes = actions.filter(|action| ["sysctl", "nofile"].contains(&action["edit"]["kind"].as_str().unwrap()));
        changes.map(|action| action["site"] == "container-run").collect()
    };
    let decided = report.findings().filter(|finding| {
        let changes = changes(finding);
        !changes.is_empty() && changes.iter().all(|there| *there)
    });
    let ids = decided.map(|finding| finding["rule"].as_str().unwrap().to_owned());
    ids.filter(|id| !matches!(rules.get(id).unwrap().check, Check::NotRising { .. })).collect()
}

/// An audit that finds fault, the script made of its report, and the audit in a container that this one starts.
fn mends(engine: &Engine<'_>) -> PathBuf {
    let audit = format!("exec tunecheck --format json {LOAD}");
    let audit = ["/bin/sh", "-c", &audit];
    // With a limit among its flags podman has no default for the others.
    let others = ["--ulimit", "nproc=4096:4096"];
    let before = engine.plainly(&[&others[..], &["--ulimit", "nofile=1024:2000"]].concat(), &audit);
    let claimed = mended_by_start(&before.report());
    for rule in ["files/nofile-soft", "files/nofile-hard", "listen/somaxconn"] {
        assert!(claimed.contains(rule), "{rule}: {claimed:?}");
    }
    let files = printed(engine.scene, &before.stdout, engine.name);
    let after = engine.by_script(&files.join(format!("{}-run.sh", engine.name)), &others, &audit).report();
    for rule in &claimed {
        assert_eq!(after.finding(rule)["outcome"], "pass", "{:#}", after.finding(rule));
    }
    files
}

fn the_flags_for_podman_mend_the_container(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let root = modest_root(scene);
    let command = podman();
    let engine = Engine::of(scene, &command, &["--rootfs", root.to_str().unwrap()]);
    let files = mends(&engine);

    // The limit as the default of every container, beside the entry that is there already.
    let conf = fs::read_to_string(files.join("containers.conf")).unwrap();
    let entry = conf.lines().find_map(|line| line.strip_prefix("default_ulimits = [")?.strip_suffix(']')).unwrap();
    let conf = conf.replace(entry, &format!("{entry}, \"nproc=4096:4096\""));
    fs::write("/run/podman/containers.conf", format!("[engine]\nlock_type = \"file\"\n{conf}")).unwrap();
    let limits = engine.plainly(&[], &["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"]);
    assert_eq!(limits.stdout, "4256\n16000\n", "{}", limits.stderr);
}

/// A Docker daemon, ended with the value.
struct Daemon(Child);

impl Daemon {
    fn start(scene: &Scene, configuration: &str) -> Self {
        let path = scene.folder.join("daemon.json");
        fs::write(&path, configuration).unwrap();
        let at = |name: &str| scene.folder.join(name);
        let mut daemon = program("dockerd");
        daemon.arg("--config-file").arg(path).arg("--data-root").arg(at("data")).arg("--pidfile").arg(at("pid"));
        // The path of a socket is short.
        daemon.args(["--exec-root", "/run/docker", "--host", SOCKET]);
        daemon.args(["--bridge", "none", "--iptables=false", "--storage-driver", "vfs"]);
        let log = fs::File::create(at("dockerd.log")).unwrap();
        daemon.stdout(log.try_clone().unwrap()).stderr(log);
        let daemon = Self(daemon.spawn().unwrap());
        let up = eventually(|| docker().arg("version").output().unwrap().status.success());
        assert!(up, "{}", fs::read_to_string(at("dockerd.log")).unwrap());
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Asked to, it ends its containerd as well.
        done(script(&format!("kill {}", self.0.id()), &[]));
        self.0.wait().unwrap();
    }
}

fn docker() -> Command {
    let mut docker = program("docker");
    docker.env("DOCKER_HOST", SOCKET);
    docker
}

fn the_flags_for_docker_mend_the_container(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    done(script("if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi", &[]));
    done(script("mount -t tmpfs none /run", &[]));
    let root = modest_root(scene);
    let image = "localhost/tunecheck:1";
    let files = {
        let _daemon = Daemon::start(scene, "{}");
        done(script(&format!("tar -C \"$1\" -c . | DOCKER_HOST={SOCKET} docker import - {image}"), &[&root]));
        mends(&Engine::of(scene, &docker(), &[image]))
    };
    let _daemon = Daemon::start(scene, &fs::read_to_string(files.join("daemon.json")).unwrap());
    let limits = Engine::of(scene, &docker(), &[image]).plainly(&[], &["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"]);
    assert_eq!(limits.stdout, "4256\n16000\n", "{}", limits.stderr);
}

/// A change of every sysctl that a built-in rule changes, to a value that the kernel takes where it takes any.
fn every_sysctl(report: &str) -> (Value, BTreeSet<&'static str>) {
    let mut names = BTreeSet::new();
    let mut findings = Vec::new();
    for rule in RuleSet::built_in().iter().filter(|rule| !rule.fix.sysctl.is_empty()) {
        let edits = rule.fix.sysctl.iter().map(|fix| {
            names.insert(fix.name);
            let path = format!("/proc/sys/{}", fix.name.replace('.', "/"));
            let live = Run::of(script("unshare --net cat \"$1\"", &[Path::new(&path)])).stdout;
            let live: Vec<i64> = live.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let (old, new) = match (&fix.change, live.as_slice()) {
                // Lower than anything that a rule asks for.
                (Change::Raise(_), [live]) if fix.name.starts_with("net.") => (json!(1), json!(live + 1)),
                (Change::Raise(_), _) => (Value::Null, json!(1000)),
                (Change::Set(value), _) => match value.value().plain().parse::<i64>() {
                    Ok(number) => (json!(9), json!(number)),
                    Err(_) => (json!("none"), json!(value.value().plain())),
                },
                (Change::Widen(low, high), _) => (json!([32768, 60999]), json!([low, high])),
                (Change::Add(_), _) => (json!(""), json!("40000")),
            };
            // Changes are worked out from figures, and never below what a boot file gives.
            let boot = new.is_number().then(|| json!({ "at": "/etc/sysctl.d/60-site.conf:1", "value": new }));
            let edit = json!({ "kind": "sysctl", "name": fix.name, "old": old, "new": new, "boot": boot });
            json!({ "site": "here", "edit": edit })
        });
        let edits: Vec<Value> = edits.collect();
        let want = json!({ "limit": 1, "warn_below": 1, "fail_below": 1 });
        let now = edits[0]["edit"]["old"].clone();
        findings.push(json!({ "rule": rule.id, "outcome": "fail", "now": now, "want": want, "fix": edits }));
    }
    let mut report: Value = serde_json::from_str(report).unwrap();
    report["findings"] = findings.into();
    (report, names)
}

fn a_sysctl_is_a_flag_if_the_runtime_takes_it_and_the_nodes_if_it_does_not(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let root = busybox_root(scene);
    let command = podman();
    let engine = Engine::of(scene, &command, &["--rootfs", root.to_str().unwrap()]);
    let report = engine.plainly(&[], &["/bin/sh", "-c", "exec tunecheck --format json"]).stdout;
    let (report, names) = every_sysctl(&report);
    // A finding about IPVS comes only where its keys exist: without the module no container has them.
    let (mut report, mut names) = (report, names);
    // It does nothing beside SYN cookies, which this plan turns on.
    names.remove("net.ipv4.tcp_max_syn_backlog");
    // A change of tcp_tw_recycle comes only where it is in force, which no kernel of today has.
    names.remove("net.ipv4.tcp_tw_recycle");
    report["findings"].as_array_mut().unwrap().retain(|finding| finding["rule"] != "time-wait/tw-recycle");
    if !Path::new("/proc/sys/net/ipv4/vs").exists() {
        names.retain(|name| !name.starts_with("net.ipv4.vs."));
        report["findings"].as_array_mut().unwrap().retain(|finding| finding["rule"] != "ipvs/conn-reuse-mode");
    }
    let script = printed(scene, &report.to_string(), "podman").join("podman-run.sh");

    // All flags at once: one that is refused keeps the container from starting.
    let run = engine.by_script(&script, &[], &["/bin/busybox", "true"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));

    stand_in(scene, "podman", "printf '%s\\n' \"$@\"");
    let told = engine.by_script(&script, &[], &[]).stdout;
    let mut words = told.lines();
    let mut flags = BTreeSet::new();
    while let Some(word) = words.next() {
        if word == "--sysctl" {
            flags.insert(words.next().unwrap().split_once('=').unwrap().0.to_owned());
        }
    }
    assert!(flags.contains("net.core.somaxconn") && !flags.contains("fs.nr_open"), "{flags:?}");

    let engine = Engine::of(scene, &command, &["--rootfs", root.to_str().unwrap()]);
    let edits = report["findings"].as_array().unwrap().iter().flat_map(|finding| finding["fix"].as_array().unwrap());
    let edits: Vec<&Value> = edits.map(|action| &action["edit"]).collect();
    for name in names.iter().filter(|name| !flags.contains(**name)) {
        let new = &edits.iter().find(|edit| edit["name"] == *name).unwrap()["new"];
        let run = engine.plainly(&["--sysctl", &format!("{name}={}", new.to_string().trim_matches('"'))], &["true"]);
        let said = run.stderr.to_lowercase();
        let refused = ["is not allowed", "permission denied", "no such file"].iter().any(|why| said.contains(why));
        match *name {
            USELESS_INSIDE if !Path::new("/proc/sys/net/netfilter").exists() => assert!(refused, "{said}"),
            USELESS_INSIDE => assert!(!said.contains(name), "this is no exception any more: {said}"),
            _ => assert!(
                run.code != Some(0) && refused && said.contains(&name.rsplit('.').next().unwrap().to_lowercase()),
                "{name}: {run:?}"
            ),
        }
    }
}

fn docker_refuses_what_is_no_network_sysctl_before_it_asks_a_daemon(scene: &Scene) {
    let rules = RuleSet::built_in();
    let names: BTreeSet<&str> = rules.iter().flat_map(|rule| rule.fix.sysctl).map(|fix| fix.name).collect();
    for name in names {
        let mut run = program("docker");
        run.env("DOCKER_HOST", format!("unix://{}", scene.folder.join("none").display()));
        run.args(["run", "--sysctl", &format!("{name}=1"), "image"]);
        let said = Run::of(run).stderr;
        assert_eq!(said.contains("is not allowed"), !name.starts_with("net."), "{name}: {said}");
    }
}

fn compose_takes_the_fragment(scene: &Scene) {
    let mut audit = scene.tunecheck();
    audit
        .args(["--format", "json", "--sysctl"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dumps/whole.txt"));
    let (mut report, _) = every_sysctl(&Run::of(audit).stdout);
    report["place"]["kind"] = "container".into();
    report["place"]["network_namespace"] = "child".into();
    let limits = json!({ "kind": "nofile", "old_soft": 1024, "old_hard": 4096, "soft": 65535, "hard": 524288 });
    let limits = json!({ "rule": "files/nofile-soft", "outcome": "fail", "fix": [{ "site": "here", "edit": limits }] });
    report["findings"].as_array_mut().unwrap().push(limits);
    let files = printed(scene, &report.to_string(), "docker");
    let fragment = fs::read_to_string(files.join("compose.yaml")).unwrap();
    let indented: String = fragment.lines().map(|line| format!("    {line}\n")).collect();
    let whole = format!("version: \"3.9\"\nservices:\n  web:\n    image: localhost/web:1\n{indented}");
    fs::write(scene.folder.join("docker-compose.yml"), whole).unwrap();
    let mut compose = program("docker-compose");
    compose.arg("config").current_dir(&scene.folder);
    let meant = done(compose);
    for line in ["net.core.somaxconn: ", "net.ipv4.ip_local_port_range: 10240 65535", "soft: 65535", "hard: 524288"] {
        assert!(meant.contains(line), "{line}: {meant}");
    }
}
