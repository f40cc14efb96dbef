//! The playbook, played on this machine: its network namespace and the folders it writes to are the trial's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Scene, done, program, script};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice",
        needs: &[Need::Root, Need::Program("ansible-playbook")],
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice,
    },
    Place {
        name: "a_playbook_fails_where_the_kernel_refuses_a_value",
        needs: &[Need::Root, Need::Program("ansible-playbook")],
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_fails_where_the_kernel_refuses_a_value,
    },
    Place {
        name: "ansible_lint_finds_no_fault_with_a_playbook",
        needs: &[Need::Program("ansible-lint")],
        own: &[],
        trial: ansible_lint_finds_no_fault_with_a_playbook,
    },
];

/// A finding whose fix is one sysctl.
fn sysctl(rule: &str, name: &str, old: Value, new: Value) -> Value {
    let edit = json!({ "kind": "sysctl", "name": name, "old": old, "new": new });
    json!({ "rule": rule, "outcome": "fail", "fix": [{ "site": "here", "edit": edit }] })
}

/// The playbook of a report from some host that has these findings.
fn playbook(scene: &Scene, findings: Vec<Value>) -> PathBuf {
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--snapshot"]);
    audit.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-systemd"));
    let mut report: Value = serde_json::from_str(&Run::of(audit).stdout).unwrap();
    report["findings"] = findings.into();
    let (from, folder) = (scene.folder.join("report.json"), scene.folder.join("out"));
    fs::write(&from, report.to_string()).unwrap();
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "ansible", "--unit", "gateway", "--output"]).arg(&folder).arg("--from").arg(from);
    done(fix);
    folder.join("ansible/tunecheck.yml")
}

/// Every kind of change, and a sysctl that no network namespace but the first one has.
fn every_kind() -> Vec<Value> {
    let limits = json!({ "kind": "nofile", "old_soft": 1024, "old_hard": 4096, "soft": 65536, "hard": 524288 });
    vec![
        sysctl("listen/somaxconn", "net.core.somaxconn", json!(128), json!(65535)),
        sysctl("listen/syn-backlog", "net.ipv4.tcp_max_syn_backlog", json!(128), json!(65535)),
        sysctl("ports/reserved", "net.ipv4.ip_local_reserved_ports", json!("8080"), json!("8080,30000-32767")),
        sysctl("ports/range", "net.ipv4.ip_local_port_range", json!([32768, 60999]), json!([10240, 65535])),
        sysctl("time-wait/tw-reuse", "net.ipv4.tcp_tw_reuse", json!(0), json!(1)),
        sysctl("memory/orphans", "net.ipv4.tcp_max_orphans", json!(1024), json!(262_144)),
        json!({ "rule": "files/nofile-soft", "outcome": "fail", "fix": [{ "site": "here", "edit": limits }] }),
    ]
}

/// Folders of the trial's own in place of those that the playbook writes to.
fn cover() {
    let each = "mkdir -p /etc/$folder; mount -t tmpfs none /etc/$folder";
    done(script(&format!("for folder in sysctl.d modules-load.d systemd/system; do {each}; done"), &[]));
}

fn play(scene: &Scene, playbook: &Path, more: &[&str]) -> Run {
    let mut play = program("ansible-playbook");
    play.args(["--inventory", "localhost,", "--connection", "local"]).args(more).arg(playbook);
    play.args(["--extra-vars", "ansible_python_interpreter=/usr/bin/python3"]);
    let path = std::env::var("PATH").unwrap_or_default();
    play.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", scene.folder.join("bin").display()));
    Run::of(quiet(play, scene))
}

/// Without colour, and with everything that Ansible remembers in the trial's folder.
fn quiet(mut ansible: Command, scene: &Scene) -> Command {
    ansible.envs([("ANSIBLE_NOCOLOR", "1"), ("NO_COLOR", "1"), ("ANSIBLE_LOCALHOST_WARNING", "0")]);
    for name in ["ANSIBLE_HOME", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP", "XDG_CACHE_HOME", "HOME"] {
        ansible.env(name, scene.folder.join("ansible"));
    }
    ansible
}

/// The figures of the last line of a run: `changed=3`.
#[track_caller]
fn counted(run: &Run, figure: &str) -> bool {
    let recap = run.stdout.lines().rfind(|line| line.starts_with("localhost ")).unwrap_or_else(|| panic!("{run:?}"));
    recap.split_whitespace().any(|word| word == figure)
}

fn live(name: &str) -> String {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).unwrap();
}

fn a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice(scene: &Scene) {
    cover();
    let playbook = playbook(scene, every_kind());
    // A unit that has more than is asked for in one of two limits.
    let bin = scene.folder.join("bin");
    fs::create_dir(&bin).unwrap();
    let systemctl = "[ \"$1\" = show ] || exit 0\n\
                     printf '%s\\n' LoadState=loaded LimitNOFILE=1048576 LimitNOFILESoft=1024";
    fs::write(bin.join("systemctl"), format!("#!/bin/sh\n{systemctl}\n")).unwrap();
    done(script("chmod +x \"$1\"", &[&bin.join("systemctl")]));
    let before = [
        ("net.core.somaxconn", "100000", "100000"),
        ("net.ipv4.tcp_max_syn_backlog", "256", "65535"),
        ("net.ipv4.ip_local_reserved_ports", "100-200,32000-33000", "100-200,8080,30000-33000"),
        ("net.ipv4.ip_local_port_range", "9000 50001", "9000 65535"),
        ("net.ipv4.tcp_tw_reuse", "2", "1"),
    ];
    before.iter().for_each(|(name, value, _)| set(name, value));
    let there =
        || [live("net.core.somaxconn"), live("net.ipv4.ip_local_reserved_ports"), live("net.ipv4.tcp_tw_reuse")];
    let files = || done(script("find /etc/sysctl.d /etc/modules-load.d /etc/systemd/system -type f", &[]));

    let (values, nothing) = (there(), files());
    let dry = play(scene, &playbook, &["--check", "--diff"]);
    assert!(dry.code == Some(0) && counted(&dry, "failed=0"), "{}{}", dry.stdout, dry.stderr);
    assert!(dry.stdout.contains("net.ipv4.tcp_max_syn_backlog: 256 -> 65535"), "{}", dry.stdout);
    assert_eq!((there(), files()), (values, nothing), "a dry run changes nothing");

    let run = play(scene, &playbook, &[]);
    assert!(
        run.code == Some(0) && counted(&run, "failed=0") && !counted(&run, "changed=0"),
        "{}{}",
        run.stdout,
        run.stderr
    );
    for (name, _, after) in before {
        assert_eq!(live(name), after, "{name}");
    }
    let missing = "not set: net.ipv4.tcp_max_orphans does not exist here";
    assert!(run.stdout.contains(missing), "{}", run.stdout);
    let kept = fs::read_to_string("/etc/sysctl.d/90-tunecheck.conf").unwrap();
    assert!(kept.contains("net.core.somaxconn = 100000\n") && !kept.contains("orphans"), "{kept}");
    let unit = fs::read_to_string("/etc/systemd/system/gateway.service.d/50-tunecheck.conf").unwrap();
    assert!(unit.ends_with("[Service]\nLimitNOFILE=65536:1048576\n"), "{unit}");

    // What the file says at the next boot is what is live now.
    before.iter().for_each(|(name, value, _)| set(name, value));
    done(script("sysctl -q -p /etc/sysctl.d/90-tunecheck.conf", &[]));
    for (name, _, after) in before {
        assert_eq!(live(name), after, "{name}, by the file");
    }

    let systemctl = systemctl.replace("Soft=1024", "Soft=65536");
    fs::write(bin.join("systemctl"), format!("#!/bin/sh\n{systemctl}\n")).unwrap();
    let again = play(scene, &playbook, &[]);
    assert!(again.code == Some(0) && counted(&again, "changed=0"), "{}{}", again.stdout, again.stderr);
}

fn a_playbook_fails_where_the_kernel_refuses_a_value(scene: &Scene) {
    cover();
    // Read-only but in the first network namespace, where it is the whole host's.
    let name = "net.netfilter.nf_conntrack_max";
    if !Path::new("/proc/sys/net/netfilter/nf_conntrack_max").exists() {
        return;
    }
    let more: i64 = live(name).parse::<i64>().unwrap() + 1;
    let playbook = playbook(scene, vec![sysctl("conntrack/max", name, json!(more - 1), json!(more))]);
    let run = play(scene, &playbook, &[]);
    assert!(run.code != Some(0) && counted(&run, "failed=1"), "{}", run.stdout);
    assert_eq!(live(name).parse::<i64>().unwrap(), more - 1);
}

fn ansible_lint_finds_no_fault_with_a_playbook(scene: &Scene) {
    let playbook = playbook(scene, every_kind());
    let mut lint = program("ansible-lint");
    lint.args(["--offline", "--strict", "--profile", "production", "tunecheck.yml"])
        .current_dir(playbook.parent().unwrap());
    let run = Run::of(quiet(lint, scene));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
