//! The playbook, played on this machine: its network namespace and the folders it writes to are the trial's own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::engine::stand_in;
use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Scene, done, program, script};
use crate::report::Run;

const ANSIBLE: &[Need] = &[Need::Root, Need::Program("ansible-playbook"), Need::Minutes(4)];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_raises_what_is_short_keeps_what_is_more_and_has_nothing_to_do_twice,
    },
    Place {
        name: "a_playbook_takes_nothing_away_from_what_files_set_at_boot",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_takes_nothing_away_from_what_files_set_at_boot,
    },
    Place {
        name: "a_playbook_tells_of_a_file_that_is_read_later_and_sets_less",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_tells_of_a_file_that_is_read_later_and_sets_less,
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
const OURS: &str = "/etc/sysctl.d/90-tunecheck.conf";

/// What a report records of a sysctl that is changed.
fn edit(name: &str, old: Value, new: Value) -> Value {
    json!({ "site": "here", "edit": { "kind": "sysctl", "name": name, "old": old, "new": new } })
}

fn finding(rule: &str, fix: &[Value]) -> Value {
    json!({ "rule": rule, "outcome": "fail", "fix": fix })
}

/// The playbook of a report from some host that has these findings.
fn playbook(scene: &Scene, connections: i64, findings: Vec<Value>) -> PathBuf {
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
    let edit = json!({ "kind": "nofile", "old_soft": 1024, "old_hard": 4096, "soft": 65536, "hard": 524288 });
    finding("files/nofile-soft", &[json!({ "site": "here", "edit": edit })])
}

fn somaxconn() -> Value {
    finding("listen/somaxconn", &[edit("net.core.somaxconn", json!(128), json!(65535))])
}

/// Every kind of change, and a sysctl that no network namespace but the first one has.
fn every_kind() -> Vec<Value> {
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

/// Empty folders of the trial's own in place of those that the playbook reads and writes.
fn cover() {
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
fn systemctl(scene: &Scene, soft: &str, hard: &str, after: &str) {
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

#[track_caller]
fn went_well(run: &Run) {
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
    assert!(unit.ends_with("[Service]\nLimitNOFILE=65536:1048576\n"), "{unit}");

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

/// Writes a file below a folder that is the trial's own.
fn put(path: &str, text: &str) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What the files set at boot, worked out here in another way.
fn at_boot(name: &str) -> String {
    let files =
        "for name in $(find /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d -name '*.conf' \
        -printf '%f\\n' 2>/dev/null | LC_ALL=C sort -u); do
            for folder in /etc /run /usr/local/lib /usr/lib; do
                if [ -e $folder/sysctl.d/$name ]; then cat $folder/sysctl.d/$name; echo; break; fi
            done
        done";
    let text = done(script(files, &[]));
    let set = text.lines().filter_map(|line| line.split_once('='));
    let last = set.filter(|(key, _)| key.trim().trim_start_matches('-').replace('/', ".") == name).last();
    last.unwrap_or_else(|| panic!("{name} is not set: {text}")).1.trim().to_owned()
}

fn a_playbook_takes_nothing_away_from_what_files_set_at_boot(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, every_kind());
    systemctl(scene, "infinity", "infinity", "exit 1");
    put("/run/systemd/system/none", "");
    // What is live is less than what every one of these files says.
    let before = [
        ("net.core.somaxconn", "128"),
        ("net.ipv4.tcp_max_syn_backlog", "256"),
        ("net.ipv4.ip_local_reserved_ports", "100"),
        ("net.ipv4.ip_local_port_range", "32768 60999"),
        ("net.ipv4.tcp_tw_reuse", "2"),
    ];
    before.iter().for_each(|(name, value)| set(name, value));
    // More than is asked for, in a folder with the least say, in the other spelling; and what is hidden or masked.
    put("/usr/lib/sysctl.d/50-vendor.conf", "# vendor\n-net/core/somaxconn=200000\nnet.ipv4.tcp_tw_reuse = 0\n");
    put("/usr/lib/sysctl.d/60-hidden.conf", "net.core.somaxconn = 1\nnet.ipv4.tcp_max_syn_backlog = 900000\n");
    put("/run/sysctl.d/60-hidden.conf", "kernel.sysrq = 1");
    put("/usr/lib/sysctl.d/70-masked.conf", "net.ipv4.tcp_max_syn_backlog = 800000\n");
    symlink("/dev/null", "/etc/sysctl.d/70-masked.conf").unwrap();
    put("/usr/local/lib/sysctl.d/80-ports.conf", "net.ipv4.ip_local_reserved_ports = 9000-9100\n");
    put("/etc/sysctl.d/95-later.conf", "net.ipv4.ip_local_port_range = 1024 65535\n");
    // Our own file, with one key twice and in both spellings, more than is asked for, and lines of others.
    let ours = "; by hand\nnet.ipv4.tcp_rfc1337 = 1\nnet/ipv4/tcp_max_syn_backlog=100\nvm.swappiness=10\n\
                net.ipv4.tcp_max_syn_backlog = 3000";
    put(OURS, ours);

    let dry = play(scene, &playbook, &["--check", "--diff"]);
    went_well(&dry);
    assert_eq!(fs::read_to_string(OURS).unwrap(), ours, "a dry run changes nothing");
    went_well(&play(scene, &playbook, &[]));
    let kept = "; by hand\nnet.ipv4.tcp_rfc1337 = 1\nnet.ipv4.tcp_max_syn_backlog = 65535\nvm.swappiness=10\n\
                net.ipv4.ip_local_reserved_ports = 9000-9100,100,8080,30000-32767\nnet.ipv4.tcp_tw_reuse = 1\n";
    assert_eq!(fs::read_to_string(OURS).unwrap(), kept);
    assert_eq!(at_boot("net.core.somaxconn"), "200000");
    assert_eq!(at_boot("net.ipv4.ip_local_port_range"), "1024 65535");
    assert_eq!(live("net.core.somaxconn"), "65535", "what is live is raised to what is asked for");
    let again = play(scene, &playbook, &[]);
    went_well(&again);
    assert!(counted(&again, "changed=0"), "{}", again.stdout);
    assert_eq!(fs::read_to_string(OURS).unwrap(), kept);
}

fn a_playbook_tells_of_a_file_that_is_read_later_and_sets_less(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, vec![somaxconn()]);
    systemctl(scene, "infinity", "infinity", "exit 1");
    put("/run/systemd/system/none", "");
    let conf = scene.folder.join("sysctl.conf");
    fs::write(&conf, "net.core.somaxconn=1000\n").unwrap();
    done(script("if [ -f /etc/sysctl.conf ]; then mount --bind \"$1\" /etc/sysctl.conf; fi", &[&conf]));
    set("net.core.somaxconn", "128");
    put(OURS, "net.core.somaxconn = 100000\n");
    put("/etc/sysctl.d/99-later.conf", "net.core.some = 1\nnet.core.?omaxco* = 512\n");
    // The name of a sysctl is worth more than a pattern.
    let run = play(scene, &playbook, &[]);
    went_well(&run);
    if Path::new("/etc/sysctl.conf").exists() {
        assert!(run.stdout.contains("net.core.somaxconn: /etc/sysctl.conf, which only sysctl"), "{}", run.stdout);
    }
    put("/etc/sysctl.d/99-later.conf", "net.core.somaxconn = 512\n");
    for _ in 0..2 {
        let run = play(scene, &playbook, &[]);
        assert!(run.code != Some(0) && counted(&run, "failed=1"), "{}", run.stdout);
        assert!(run.stdout.contains("/etc/sysctl.d/99-later.conf sets 512"), "{}", run.stdout);
        assert_eq!(fs::read_to_string(OURS).unwrap(), "net.core.somaxconn = 100000\n");
    }
    // What is no number is for a person.
    put("/etc/sysctl.d/99-later.conf", "net.core.somaxconn = 0x1ffff\n");
    let run = play(scene, &playbook, &[]);
    assert!(run.code != Some(0) && run.stdout.contains("99-later.conf sets 0x1ffff"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(OURS).unwrap(), "net.core.somaxconn = 100000\n");
}

fn a_playbook_holds_each_limit_of_a_unit_for_itself(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, vec![limits()]);
    let drop_in = Path::new("/etc/systemd/system/gateway.service.d/50-tunecheck.conf");
    let older = "18446744073709551615";
    for (soft, hard, written) in [
        ("1024", "infinity", Some("65536:infinity")),
        ("1024", older, Some("65536:infinity")),
        ("2000000", "3000000", None),
        ("infinity", "infinity", None),
        ("1024", "524288", Some("65536:524288")),
    ] {
        systemctl(scene, soft, hard, IN_FORCE);
        let run = play(scene, &playbook, &[]);
        went_well(&run);
        assert_eq!(counted(&run, "changed=0"), written.is_none(), "{}", run.stdout);
        let text = fs::read_to_string(drop_in).ok();
        let line = written.map(|limits| format!("[Service]\nLimitNOFILE={limits}\n"));
        assert_eq!(text.as_ref().and_then(|text| text.find('[').map(|at| &text[at..])), line.as_deref());
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
