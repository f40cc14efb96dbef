//! `tunecheck fix` as it is typed: what it prints where, what it refuses, and what it writes into a folder.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "writes files, starts shells, fails by panicking"
)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{entries, json, run, scratch};

const TROUBLE: &str = "fixtures/hosts/in-trouble";

/// Rules that warn or fail on the machine in trouble.
fn wrong() -> Vec<String> {
    let report = json(&["--snapshot", TROUBLE]);
    let urgent = |finding: &&serde_json::Value| finding["outcome"] == "warn" || finding["outcome"] == "fail";
    let mut rules: Vec<String> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(urgent)
        .map(|finding| finding["rule"].as_str().unwrap().to_owned())
        .collect();
    rules.dedup();
    rules
}

/// Runs `sh SCRIPT VERB` in an empty folder.
fn sh(folder: &Path, script: &str, verb: &str) -> (Option<i32>, String) {
    fs::write(folder.join("fix.sh"), script).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["fix.sh", verb]).current_dir(folder).env("TUNECHECK_STATE", folder.join("state"));
    let output = shell.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn where_nothing_is_wrong_it_says_so_and_an_empty_script_does_nothing() {
    let waived = wrong().join(",");
    let fix = |more: &[&str]| run([["fix", "--snapshot", TROUBLE, "--waive", &waived].as_slice(), more].concat());
    let plan = fix(&[]);
    assert_eq!((plan.code, plan.stderr.as_str()), (Some(0), ""));
    assert!(plan.stdout.contains("Nothing to fix: no rule warns or fails."), "{}", plan.stdout);
    let script = fix(&["--to", "script"]);
    assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""));
    let folder = scratch("empty-script");
    for verb in ["plan", "apply", "check"] {
        assert_eq!(sh(&folder, &script.stdout, verb), (Some(0), "Nothing to do.\n".to_owned()), "{verb}");
    }
    let (code, said) = sh(&folder, &script.stdout, "undo");
    assert!(code == Some(0) && said.starts_with("There is nothing to undo"), "{said}");
    assert_eq!(entries(&folder).len(), 1, "only the script is there");
    for target in ["sysctl.d", "systemd", "limits.d", "docker", "podman", "ansible"] {
        let made = fix(&["--to", target]);
        assert_eq!(made.code, Some(0), "{target}: {}", made.stderr);
    }
}

/// What a reader has to know about the whole: it differs between an audit and its record.
fn is_note(line: &str) -> bool {
    line.starts_with("No service port is declared") || line.starts_with("Worked out from a recorded report")
}

#[test]
fn a_recorded_report_gives_the_plan_of_the_audit_itself() {
    let folder = scratch("recorded-plan");
    for host in support::recorded_hosts() {
        // With so many connections a rule finds one of its sysctls too small and another large enough.
        for load in [["--workload", "server"], ["--workload", "gateway"], ["--connections", "500000"]] {
            let audit = [["--snapshot", host.as_str()].as_slice(), &load].concat();
            let report = folder.join("report.json");
            fs::write(&report, json(&audit).to_string()).unwrap();
            let report = report.to_str().unwrap();
            for target in ["plan", "script", "sysctl.d"] {
                let direct = run([["fix", "--to", target].as_slice(), &audit].concat());
                let recorded = run(["fix", "--to", target, "--from", report]);
                // A network namespace has nothing that a file could keep, a container nothing for a script to do.
                let nothing = target != "plan" && direct.stderr.contains("nothing of this plan can be written");
                assert_eq!(direct.code, Some(if nothing { 2 } else { 0 }), "{}", direct.stderr);
                assert_eq!(recorded.code, direct.code);
                let told =
                    |text: &str| text.lines().filter(|line| !is_note(line)).map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(told(&recorded.stdout), told(&direct.stdout), "{host} {load:?} {target}");
                if !nothing {
                    assert_eq!(recorded.stderr, direct.stderr, "{host} {load:?} {target}");
                }
            }
        }
    }
}

#[test]
fn how_far_to_go_is_the_users_choice() {
    let script = |safety: &str| run(["fix", "--snapshot", TROUBLE, "--to", "script", "--max-safety", safety]).stdout;
    let (safe, review) = (script("safe"), script("review"));
    let step = "step raise net.netfilter.nf_conntrack_max ";
    assert!(review.contains(step) && !safe.contains(step), "it has to be reviewed");
    assert!(safe.contains(" net.netfilter.nf_conntrack_max: 2000 -> 65536"), "what is left out is told");
    assert!(safe.contains("step raise net.core.somaxconn "));
    let plan = run(["fix", "--snapshot", TROUBLE, "--max-safety", "safe"]).stdout;
    assert!(plan.contains("left to you: above --max-safety safe"), "{plan}");
}

#[test]
fn two_rules_that_disagree_about_a_switch_are_named_and_neither_is_applied() {
    let folder = scratch("conflict");
    let rules = folder.join("site");
    fs::create_dir(&rules).unwrap();
    let rule = "title: SYN cookies are always sent\n\
        scope: netns\n\
        fact: sysctl.net.ipv4.tcp_syncookies\n\
        check:\n  equals: { value: 2, otherwise: fail }\n\
        takes_effect: now\n\
        pod: unsafe\n\
        fix:\n  sysctl:\n    - { name: net.ipv4.tcp_syncookies, set: 2 }\n  cost: none\n  safety: safe\n\
        why: We say so.\n\
        examples:\n  - { given: { sysctl.net.ipv4.tcp_syncookies: 2 }, expect: pass }\n";
    fs::write(rules.join("cookies.yaml"), rule).unwrap();
    let own = folder.to_str().unwrap();
    let plan = run(["fix", "--snapshot", TROUBLE, "--rules", own]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    let conflict = "## Conflict: net.ipv4.tcp_syncookies\n\nLeft to you: ";
    let told = plan.stdout.split_once(conflict).unwrap_or_else(|| panic!("{}", plan.stdout)).1;
    for wish in ["listen/syncookies asks for 1", "site/cookies asks for 2"] {
        assert!(told.lines().next().unwrap().contains(wish), "{told}");
    }
    let script = run(["fix", "--snapshot", TROUBLE, "--rules", own, "--to", "script"]).stdout;
    assert!(!script.contains("step set net.ipv4.tcp_syncookies"), "{script}");
    assert!(script.contains("listen/syncookies asks for 1"), "{script}");
}

#[test]
fn a_folder_gets_every_file_and_what_to_do_with_it() {
    let folder = scratch("folder");
    let out = folder.join("remedy");
    let out = out.to_str().unwrap();
    let fix = ["fix", "--snapshot", TROUBLE, "--output", out];
    let made = run([fix.as_slice(), &["--to", "script,systemd", "--unit", "gateway", "--to", "sysctl.d"]].concat());
    assert_eq!((made.code, made.stdout.as_str()), (Some(0), ""), "{}", made.stderr);
    assert!(made.stderr.contains("README.md"), "{}", made.stderr);
    let readme = fs::read_to_string(Path::new(out).join("README.md")).unwrap();
    for target in ["script", "systemd", "sysctl.d"] {
        assert!(readme.contains(&format!("## Files of {target}")), "{readme}");
        let files = entries(Path::new(out).join(target));
        assert!(!files.is_empty(), "{target}");
    }
    assert!(Path::new(out).join("script/fix.sh").is_file());
    // What is there is not written over.
    let again = run(fix);
    assert!(again.code == Some(2) && again.stderr.contains("is not empty"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(Path::new(out).join("README.md")).unwrap(), readme);
}

#[test]
fn what_cannot_be_done_is_refused_with_the_next_step() {
    let folder = scratch("refusals");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (no_json, other) = (file("no.json", "not json"), file("other.json", "{\"schema\":\"x\"}"));
    let none = folder.join("none.json").to_str().unwrap().to_owned();
    let cases: [(&[&str], &str); 8] = [
        (&["--to", "nonsense"], "possible values: plan, script, "),
        (&["--from", &none], "none.json"),
        (&["--from", &no_json], "this is no tunecheck report"),
        (&["--from", &other], "this tunecheck reads tunecheck.report/v1"),
        (&["--from", &no_json, "--connections", "5"], "cannot be used with"),
        (&["--to", "script,plan"], "several targets need --output DIR"),
        (&["--unit", "a b"], "the name of a service"),
        (&["--kubernetes-version", "1.24"], "known are 1.25 to 1.37"),
    ];
    for (arguments, says) in cases {
        let refused = run([["fix"].as_slice(), arguments].concat());
        assert!(refused.code == Some(2) && refused.stdout.is_empty(), "{arguments:?}: {}", refused.stdout);
        assert!(refused.stderr.contains(says), "{arguments:?}: {}", refused.stderr);
    }
}

#[test]
fn a_pipe_into_it_is_read() {
    let report = json(&["--snapshot", TROUBLE]).to_string();
    let made = support::ended(support::tunecheck().args(["fix", "--from", "-", "--to", "script"]).stdin(report));
    assert!(made.code == Some(0) && made.stdout.contains("step raise net.core.somaxconn"), "{}", made.stderr);
}

#[test]
fn tuned_is_asked_where_it_has_the_last_word_and_named_where_it_has_not() {
    let root = scratch("tuned");
    let put = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("proc/sys/net/core/somaxconn", "128\n");
    put("etc/tuned/active_profile", "ours\n");
    put("etc/tuned/ours/tuned.conf", "[main]\ninclude=base\n[sysctl]\nnet.core.somaxconn=128\n");
    put("usr/lib/tuned/base/tuned.conf", "[sysctl]\nvm.swappiness=10\n");
    let tree = root.to_str().unwrap();

    let named = run(["fix", "--root", tree]).stdout;
    let owner = "TuneD: /etc/tuned/ours/tuned.conf:4 sets 128; a line in /etc/sysctl.d wins over it";
    assert!(named.contains(owner) && named.contains("/etc/sysctl.d/90-tunecheck.conf: net.core.somaxconn"), "{named}");
    assert!(run(["fix", "--root", tree, "--to", "script"]).stdout.contains("step raise net.core.somaxconn"));

    put("etc/tuned/tuned-main.conf", "reapply_sysctl = 0\n");
    let asked = run(["fix", "--root", tree]).stdout;
    assert!(asked.contains("The profile of TuneD") && asked.contains("  net.core.somaxconn=>65535"), "{asked}");
    for target in ["script", "sysctl.d"] {
        let left = run(["fix", "--root", tree, "--to", target]);
        assert!(
            !left.stdout.contains("step raise") && !left.stdout.contains("\nnet.core.somaxconn"),
            "{}",
            left.stdout
        );
        assert!(left.stderr.contains("left out: net.core.somaxconn: 128 -> 65535"), "{}", left.stderr);
    }
    let report = root.join("report.json");
    fs::write(&report, json(&["--root", tree]).to_string()).unwrap();
    let told =
        |text: &str| text.lines().skip_while(|line| !line.starts_with("## ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(told(&run(["fix", "--from", report.to_str().unwrap()]).stdout), told(&asked));

    put("etc/tuned/tuned-main.conf", "reapply_sysctl = 1\nreapply_sysctl_exclude = net.core.*\n");
    let asked = run(["fix", "--root", tree]).stdout;
    assert!(asked.contains("  net.core.somaxconn=>65535") && asked.contains("(reapply_sysctl_exclude)"), "{asked}");

    // Applied again after every other file, so that no file of ours comes after it.
    put("etc/tuned/tuned-main.conf", "reapply_sysctl = 1\n");
    put("usr/lib/systemd/systemd-sysctl", "");
    put("etc/sysctl.conf", "net.core.somaxconn = 256\n");
    put("etc/sysctl.d/zz-site.conf", "net.core.somaxconn = 4096\n");
    let edited = run(["fix", "--root", tree]).stdout;
    assert!(edited.contains("/etc/sysctl.conf:1: net.core.somaxconn = 65535   (that line sets it now)"), "{edited}");
    assert!(edited.contains("/etc/sysctl.conf:1 sets 256"), "{edited}");
    let script = run(["fix", "--root", tree, "--to", "script"]).stdout;
    assert!(!script.contains("zz-tunecheck.conf"), "{script}");
    // A boot does not start it, until a link says so; it may lead to what the tree does not hold.
    put("etc/systemd/system/multi-user.target.wants/other.service", "");
    let unstarted = run(["fix", "--root", tree]).stdout;
    assert!(
        unstarted.contains("/etc/sysctl.d/zz-site.conf:1 sets 4096") && !unstarted.contains("TuneD"),
        "{unstarted}"
    );
    let link = root.join("etc/systemd/system/multi-user.target.wants/tuned.service");
    std::os::unix::fs::symlink("/usr/lib/systemd/system/tuned.service", link).unwrap();
    assert!(run(["fix", "--root", tree]).stdout.contains("/etc/sysctl.conf:1 sets 256"));
    put("etc/tuned/tuned-main.conf", "reapply_sysctl = 0\n");
    let audit = run(["audit", "--root", tree, "-v"]).stdout;
    assert!(audit.contains("systemd-sysctl does not read /etc/sysctl.conf"), "{audit}");
}

#[test]
fn a_drop_in_for_a_unit_that_nobody_can_look_at_is_left_to_a_person() {
    let made = run(["fix", "--snapshot", TROUBLE, "--to", "systemd", "--unit", "gateway"]);
    assert!(made.stdout.contains("# left to you: LimitNOFILE=65535:524288"), "{}", made.stdout);
    assert!(
        made.stdout.contains("systemctl show -p LimitNOFILE -p LimitNOFILESoft gateway.service"),
        "{}",
        made.stdout
    );
}

#[test]
fn a_unit_that_the_machine_does_not_have_is_named() {
    let tree = std::env::temp_dir().join(format!("tunecheck-no-unit-{}", std::process::id()));
    for (file, content) in [
        ("etc/systemd/system/web.service", "[Service]\nExecStart=/bin/web\n"),
        ("proc/sys/net/core/somaxconn", "128\n"),
    ] {
        let file = tree.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let said = |unit: &str| run(["fix", "--root", tree.to_str().unwrap(), "--to", "script", "--unit", unit]);
    let (there, missing) = (said("web"), said("wbe"));
    assert_eq!((there.code, missing.code), (Some(0), Some(0)), "{}{}", there.stderr, missing.stderr);
    assert!(!there.stderr.contains("no such unit"), "{}", there.stderr);
    assert!(missing.stderr.contains("wbe.service: there is no such unit here"), "{}", missing.stderr);
    fs::remove_dir_all(&tree).unwrap();
}

#[test]
fn a_rule_that_gives_the_machine_away_is_told_as_dangerous_and_never_applied() {
    let root = scratch("dangerous");
    let rules = root.join("rules/site");
    fs::create_dir_all(&rules).unwrap();
    let settings = [
        ("kernel.modprobe", "/sbin/modprobe", "/tmp/evil"),
        ("kernel.core_pattern", "core", "/tmp/evil"),
        ("kernel.yama.ptrace_scope", "1", "0"),
    ];
    for (name, now, value) in settings {
        let file = root.join("tree/proc/sys").join(name.replace('.', "/"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{now}\n")).unwrap();
        let rule = format!(
            "title: {name} is ours\nscope: host\nfact: sysctl.{name}\n\
            check:\n  equals: {{ value: {value}, otherwise: fail }}\n\
            takes_effect: now\npod: impossible\n\
            fix:\n  sysctl:\n    - {{ name: {name}, set: {value} }}\n  cost: none\n  safety: safe\n\
            why: We say so.\n\
            examples:\n  - {{ given: {{ sysctl.{name}: {value} }}, expect: pass }}\n"
        );
        fs::write(rules.join(format!("{}.yaml", name.replace(['.', '_'], "-"))), rule).unwrap();
    }
    fs::create_dir_all(root.join("tree/proc/sys/net/core")).unwrap();
    fs::write(root.join("tree/proc/sys/net/core/somaxconn"), "128\n").unwrap();
    let (tree, own) = (root.join("tree"), root.join("rules"));
    let (tree, own) = (tree.to_str().unwrap(), own.to_str().unwrap());
    for target in ["plan", "script", "ansible", "sysctl.d"] {
        let fix = ["fix", "--root", tree, "--rules", own, "--max-safety", "manual", "--to", target];
        let made = run(fix);
        assert_eq!(made.code, Some(0), "{target}: {}", made.stderr);
        for (name, _, value) in settings {
            let acts = made.stdout.lines().find(|line| {
                let line = line.trim_start();
                line.starts_with(&format!("step set {name}"))
                    || line.starts_with(&format!("{name} = "))
                    || line.starts_with(&format!("- {{how: set, name: \"{name}\""))
            });
            assert_eq!(acts, None, "{target} {value}");
            assert!(made.stdout.contains(name), "{target} tells {name}: {}", made.stdout);
        }
        assert!(made.stdout.matches("DANGEROUS: ").count() >= 3, "{target}: {}", made.stdout);
    }
}

#[test]
fn a_name_is_no_markup_in_a_plan() {
    let folder = scratch("markup");
    let mut report = json(&["--snapshot", TROUBLE]);
    report["node"] = "<!-- [a](http://x) `b`\n# c".into();
    let path = folder.join("report.json");
    fs::write(&path, report.to_string()).unwrap();
    let path = path.to_str().unwrap();
    let plan = run(["fix", "--from", path, "--to", "plan"]);
    let out = folder.join("out");
    let made = run(["fix", "--from", path, "--output", out.to_str().unwrap()]);
    assert_eq!((plan.code, made.code), (Some(0), Some(0)), "{}{}", plan.stderr, made.stderr);
    for text in [plan.stdout, fs::read_to_string(out.join("README.md")).unwrap()] {
        let line = text.lines().nth(2).unwrap();
        assert!(line.starts_with("\\<!-- \\[a\\](http://x) \\`b\\`\u{fffd}# c: "), "{line}");
        assert!(!text.contains("\n<!--") && !text.contains("\n# c"), "{text}");
    }
}
