//! The playbook, played on this machine: its network namespace and the folders it writes to are the trial's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::engine::stand_in;
use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Scene, done, program, script};
use crate::report::Run;

pub(crate) const ANSIBLE: &[Need] = &[Need::Root, Need::Program("ansible-playbook"), Need::Minutes(4)];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice,
    },
    Place {
        name: "a_playbook_holds_each_limit_of_a_unit_for_itself",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_holds_each_limit_of_a_unit_for_itself,
    },
    Place {
        name: "a_playbook_fails_where_the_kernel_refuses_a_value",
        needs: &[Need::Root, Need::Program("ansible-playbook"), Need::Sysctl(CONNTRACK)],
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

/// Read-only but in the first network namespace, where it is the whole host's.
const CONNTRACK: &str = "net.netfilter.nf_conntrack_max";
pub(crate) const OURS: &str = "/etc/sysctl.d/90-tunecheck.conf";

/// What a report records of a sysctl that is changed.
fn edit(name: &str, old: Value, new: Value) -> Value {
    json!({ "site": "here", "edit": { "kind": "sysctl", "name": name, "old": old, "new": new } })
}

fn finding(rule: &str, fix: &[Value]) -> Value {
    json!({ "rule": rule, "outcome": "fail", "fix": fix })
}

/// The playbook of a report from some host that has these findings.
pub(crate) fn playbook(scene: &Scene, connections: i64, findings: Vec<Value>) -> PathBuf {
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--snapshot"]);
    audit.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-systemd"));
    let mut report: Value = serde_json::from_str(&Run::of(audit).stdout).unwrap();
    report["findings"] = findings.into();
    report["workload"]["connections"] = connections.into();
    let (from, folder) = (scene.folder.join("report.json"), scene.folder.join("out"));
    fs::write(&from, report.to_string()).unwrap();
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "ansible", "--unit", "gateway", "--output"]).arg(&folder).arg("--from").arg(from);
    done(fix);
    folder.join("ansible/tunecheck.yml")
}

/// The limits that a service lacks.
fn limits() -> Value {
    let edit = json!({ "kind": "nofile", "old_soft": 1024, "old_hard": 4096, "soft": 65535, "hard": 524288 });
    finding("files/nofile-soft", &[json!({ "site": "here", "edit": edit })])
}

pub(crate) fn somaxconn() -> Value {
    finding("listen/somaxconn", &[edit("net.core.somaxconn", json!(128), json!(65535))])
}

/// Every kind of change, and a sysctl that no network namespace but the first one has.
pub(crate) fn every_kind() -> Vec<Value> {
    let reserved = edit("net.ipv4.ip_local_reserved_ports", json!("8080"), json!("8080,30000-32767"));
    let range = edit("net.ipv4.ip_local_port_range", json!([32768, 60999]), json!([10240, 65535]));
    vec![
        somaxconn(),
        finding("listen/syn-backlog", &[edit("net.ipv4.tcp_max_syn_backlog", json!(128), json!(65535))]),
        finding("ports/range", &[reserved, range]),
        finding("time-wait/tw-reuse", &[edit("net.ipv4.tcp_tw_reuse", json!(0), json!(1))]),
        finding("device/softnet-drops", &[edit("net.core.netdev_max_backlog", json!(1000), json!(5000))]),
        limits(),
    ]
}

/// Empty folders of the trial's own in place of those that the playbook reads and writes. Those that are written to
/// have to be there: a folder that is made here would stay on the machine.
pub(crate) fn cover() {
    let each =
        "for folder in /etc/sysctl.d /etc/modules-load.d /etc/systemd/system; do mount -t tmpfs none $folder; done
        for folder in /run /usr/local/lib /usr/lib/sysctl.d; do
            if [ -d $folder ]; then mount -t tmpfs none $folder; fi
        done
        : >/run/empty
        if [ -f /etc/sysctl.conf ]; then mount --bind /run/empty /etc/sysctl.conf; fi";
    done(script(each, &[]));
}

/// A systemctl that knows units with these limits, as its `show` prints them, until a drop-in is written and read.
pub(crate) fn systemctl(scene: &Scene, soft: &str, hard: &str, after: &str) {
    let text = format!(
        "case $1 in
        show)
          if [ -e {0} ]; then {after}; else echo LimitNOFILE={hard}; echo LimitNOFILESoft={soft}; fi
          echo LoadState=loaded ;;
        daemon-reload) : >{0} ;;
        esac",
        scene.folder.join("reloaded").display()
    );
    if scene.folder.join("reloaded").exists() {
        fs::remove_file(scene.folder.join("reloaded")).unwrap();
    }
    stand_in(scene, "systemctl", &text);
}

/// What a unit has once our drop-in is in force.
const IN_FORCE: &str = "sed -n 's/^LimitNOFILE=\\(.*\\):\\(.*\\)/LimitNOFILESoft=\\1\\nLimitNOFILE=\\2/p' \
    /etc/systemd/system/gateway.service.d/50-tunecheck.conf";

pub(crate) fn play(scene: &Scene, playbook: &Path, more: &[&str]) -> Run {
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
pub(crate) fn counted(run: &Run, figure: &str) -> bool {
    let recap = run.stdout.lines().rfind(|line| line.starts_with("localhost ")).unwrap_or_else(|| panic!("{run:?}"));
    recap.split_whitespace().any(|word| word == figure)
}

pub(crate) fn live(name: &str) -> String {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(crate) fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{}", name.replace('.', "/")), value).unwrap();
}

#[track_caller]
pub(crate) fn went_well(run: &Run) {
    assert!(run.code == Some(0) && counted(run, "failed=0"), "{}{}", run.stdout, run.stderr);
}

fn a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, every_kind());
    // A unit that has more than is asked for in one of two limits.
    systemctl(scene, "1024", "1048576", IN_FORCE);
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
    went_well(&dry);
    assert!(dry.stdout.contains("net.ipv4.tcp_max_syn_backlog: 256 -> 65535"), "{}", dry.stdout);
    assert_eq!((there(), files()), (values, nothing), "a dry run changes nothing");

    let run = play(scene, &playbook, &[]);
    went_well(&run);
    assert!(!counted(&run, "changed=0"), "{}", run.stdout);
    for (name, _, after) in before {
        assert_eq!(live(name), after, "{name}");
    }
    let missing = "not set: net.core.netdev_max_backlog does not exist here";
    assert!(run.stdout.contains(missing), "{}", run.stdout);
    let kept = fs::read_to_string(OURS).unwrap();
    assert!(kept.contains("net.core.somaxconn = 100000\n") && !kept.contains("netdev"), "{kept}");
    let unit = fs::read_to_string("/etc/systemd/system/gateway.service.d/50-tunecheck.conf").unwrap();
    assert!(unit.ends_with("[Service]\nLimitNOFILE=65535:1048576\n"), "{unit}");

    // What the file says at the next boot is what is live now.
    before.iter().for_each(|(name, value, _)| set(name, value));
    done(script("sysctl -q -p /etc/sysctl.d/90-tunecheck.conf", &[]));
    for (name, _, after) in before {
        assert_eq!(live(name), after, "{name}, by the file");
    }

    let again = play(scene, &playbook, &[]);
    went_well(&again);
    assert!(counted(&again, "changed=0"), "{}", again.stdout);
}

fn a_playbook_holds_each_limit_of_a_unit_for_itself(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, vec![limits()]);
    let drop_in = Path::new("/etc/systemd/system/gateway.service.d/50-tunecheck.conf");
    let older = "18446744073709551615";
    for (soft, hard, written) in [
        ("1024", "infinity", Some("65535:infinity")),
        ("1024", older, Some("65535:infinity")),
        ("2000000", "3000000", None),
        ("infinity", "infinity", None),
        ("1024", "524288", Some("65535:524288")),
    ] {
        systemctl(scene, soft, hard, IN_FORCE);
        let run = play(scene, &playbook, &[]);
        went_well(&run);
        assert_eq!(counted(&run, "changed=0"), written.is_none(), "{}", run.stdout);
        let text = fs::read_to_string(drop_in).ok();
        let acting = text.as_ref().and_then(|text| text.split_once('\n')).map(|(_, acting)| acting);
        assert_eq!(acting, written.map(|limits| format!("[Service]\nLimitNOFILE={limits}\n")).as_deref());
        if written.is_some() {
            fs::remove_dir_all(drop_in.parent().unwrap()).unwrap();
        }
    }
    // Another drop-in has the last word, every time.
    systemctl(scene, "1024", "4096", "echo LimitNOFILE=4096; echo LimitNOFILESoft=1024");
    for _ in 0..2 {
        let run = play(scene, &playbook, &[]);
        assert!(run.code != Some(0) && counted(&run, "failed=1"), "{}", run.stdout);
        assert!(run.stdout.contains("systemctl cat NAME shows which: gateway.service"), "{}", run.stdout);
    }
}

fn a_playbook_fails_where_the_kernel_refuses_a_value(scene: &Scene) {
    cover();
    let there: i64 = live(CONNTRACK).parse().unwrap();
    let change = edit(CONNTRACK, json!(there), json!(there + 1));
    let playbook = playbook(scene, there + 1, vec![finding("conntrack/max", &[change])]);
    let run = play(scene, &playbook, &[]);
    assert!(run.code != Some(0) && counted(&run, "failed=1"), "{}", run.stdout);
    let refused = run.stdout.lines().find(|line| line.contains("the kernel did not take: "));
    assert!(refused.is_some_and(|line| line.contains(CONNTRACK)), "{}", run.stdout);
    assert_eq!(live(CONNTRACK).parse::<i64>().unwrap(), there);
}

fn ansible_lint_finds_no_fault_with_a_playbook(scene: &Scene) {
    let playbook = playbook(scene, 6000, every_kind());
    let mut lint = program("ansible-lint");
    lint.args(["--offline", "--strict", "--profile", "production", "tunecheck.yml"])
        .current_dir(playbook.parent().unwrap());
    let run = Run::of(quiet(lint, scene));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
