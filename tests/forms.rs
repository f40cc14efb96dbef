//! The forms of a fix: what stands in them to act, what only to read, and what is left out where it could not work.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "prepares reports, fails by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{ROOT, Run, run, scratch};
use tunecheck::recalled;
use tunecheck::remedy::Plan;
use tunecheck::remedy::target::{self, Options, Order, Rendered, Unit, find};
use tunecheck::rules::RuleSet;

const TARGETS: &str = "systemd,limits.d,docker,podman,ansible";

/// The report of a recorded machine, with limits to raise in it.
fn report(host: &str) -> Value {
    let path = Path::new(ROOT).join("fixtures/hosts").join(host);
    support::json(&["--snapshot", path.to_str().unwrap(), "--connections", "60000"])
}

/// What `fix --output` writes for a report, by path, and how it ended.
fn written(test: &str, report: &Value, more: &[&str]) -> (BTreeMap<String, String>, Run) {
    let folder = scratch(test);
    let (from, out) = (folder.join("report.json"), folder.join("out"));
    fs::write(&from, report.to_string()).unwrap();
    let fixed = ["fix", "--from", from.to_str().unwrap(), "--to", TARGETS, "--output", out.to_str().unwrap()];
    let run = run(fixed.iter().chain(more));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut files = BTreeMap::new();
    let mut folders = vec![out.clone()];
    while let Some(folder) = folders.pop() {
        for path in support::entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                files.insert(path.strip_prefix(&out).unwrap().to_str().unwrap().to_owned(), text);
            }
        }
    }
    (files, run)
}

/// The lines that act.
fn acting(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).collect()
}

#[test]
fn words_of_others_stand_in_comments_alone() {
    let evil = [
        "x\n[Service]\nExecStart=/bin/evil",
        "x\u{2028}* hard nofile 1\r* soft nofile 1",
        "\"; touch canary; $(touch canary) `touch canary` '",
        "{{ lookup('pipe', 'touch canary') }} {% raw %}",
    ];
    for host in ["debian-systemd", "podman-sysctl"] {
        let clean = report(host);
        let (expected, _) = written("clean", &clean, &["--unit", "gateway"]);
        for text in evil {
            let mut struck = clean.clone();
            struck["node"] = text.into();
            for key in ["runtime", "unit"] {
                struck["place"][key] = text.into();
            }
            for finding in struck["findings"].as_array_mut().unwrap() {
                finding["owner"] = text.into();
            }
            let (files, _) = written("struck", &struck, &["--unit", "gateway"]);
            for (path, file) in files.iter().filter(|(path, _)| *path != "README.md") {
                assert_eq!(acting(file), acting(&expected[path]), "{path} of {host}: {text:?}");
            }
        }
    }
}

#[test]
fn a_host_says_nothing_of_containers() {
    let (files, _) = written("host", &report("debian-systemd"), &[]);
    assert!(!files.keys().any(|path| path.starts_with("docker/") || path.starts_with("podman/")), "{files:?}");
    for words in [
        "Audit inside the container",
        "--to script; what is not of a network namespace of its own also --to sysctl.d",
        "--to systemd, with --unit NAME",
    ] {
        assert!(files["README.md"].contains(words), "{words}: {}", files["README.md"]);
    }
}

#[test]
fn a_container_says_nothing_of_units_and_gets_what_each_engine_takes() {
    let (files, _) = written("container", &report("podman-sysctl"), &[]);
    assert!(!files.keys().any(|path| path.starts_with("systemd/")), "{files:?}");
    let daemon: Value = serde_json::from_str(&files["docker/daemon.json"]).unwrap();
    let nofile = json!({ "Name": "nofile", "Soft": 65535, "Hard": 524_288 });
    assert_eq!(daemon, json!({ "default-ulimits": { "nofile": nofile } }));
    assert!(files["README.md"].contains("never overwrite it"), "{}", files["README.md"]);
    let compose: Value = serde_yaml::from_str(&files["docker/compose.yaml"]).unwrap();
    assert_eq!(compose["sysctls"]["net.core.somaxconn"], "65535");
    assert_eq!(compose["ulimits"]["nofile"], json!({ "soft": 65535, "hard": 524_288 }));
    let quadlet = acting(&files["podman/quadlet.conf"]);
    assert_eq!(quadlet[0], "[Container]");
    for line in ["Sysctl=net.core.somaxconn=65535", "Ulimit=nofile=65535:524288"] {
        assert!(quadlet.contains(&line), "{line}: {quadlet:?}");
    }
}

/// What a target makes of a report for one unit that has these limits.
fn rendered(name: &str, report: &Value, limits: Option<(i128, i128)>) -> Rendered {
    let rules = RuleSet::built_in();
    let recorded = tunecheck::report::recorded(report.to_string().as_bytes()).unwrap();
    let plan = Plan::of(&recalled(&recorded, &rules).unwrap(), |id| rules.get(id));
    let options = Options {
        units: vec![Unit { name: "load.service".to_owned(), limits, last: None, taken: BTreeSet::new() }],
        ..Options::default()
    };
    target::rendered(find(name).unwrap(), Order { plan: &plan, options: &options }).unwrap()
}

#[test]
fn a_drop_in_acts_where_it_is_known_to_take_nothing_away() {
    let report = report("debian-systemd");
    let drop_in = |limits| {
        let rendered = rendered("systemd", &report, limits);
        let file = rendered.files.iter().find(|file| file.path == "load.service.d/50-tunecheck.conf").cloned();
        (file, rendered.left_out)
    };
    for (limits, line) in [
        (None, "# left to you: LimitNOFILE=65535:524288"),
        (Some((1024, 4096)), "LimitNOFILE=65535:524288"),
        (Some((1024, 1_048_576)), "LimitNOFILE=65535:1048576"),
        (Some((100_000, 200_000)), "LimitNOFILE=100000:524288"),
        (Some((1024, i128::MAX)), "LimitNOFILE=65535:infinity"),
    ] {
        let file = drop_in(limits).0.unwrap();
        assert!(file.text.ends_with(&format!("[Service]\n{line}\n")), "{}", file.text);
        let look = "systemctl show -p LimitNOFILE -p LimitNOFILESoft load.service";
        assert_eq!(file.text.contains(look), limits.is_none(), "{}", file.text);
        for words in [look, "`systemctl cat load.service`", "override.conf"] {
            assert!(file.apply.contains(words), "{words}: {}", file.apply);
        }
    }
    for (limits, has) in [((65535, 524_288), "65535:524288"), ((i128::MAX, i128::MAX), "infinity:infinity")] {
        let (file, left_out) = drop_in(Some(limits));
        assert_eq!(file, None);
        let why = format!("load.service has LimitNOFILE={has} already");
        assert!(left_out.iter().any(|(_, reason)| *reason == why), "{left_out:?}");
    }
}

#[test]
fn what_could_take_something_away_from_others_is_told_before() {
    let (files, _) = written("others", &report("debian-systemd"), &[]);
    let logins = &files["limits.d/90-tunecheck.conf"];
    for words in ["grep -r nofile /etc/security/limits.conf /etc/security/limits.d", "ulimit -Hn", "the last one wins"]
    {
        assert!(logins.contains(words), "{words}: {logins}");
    }
    let (files, _) = written("others-inside", &report("podman-sysctl"), &[]);
    let readme = &files["README.md"];
    for words in [
        "`systemctl restart docker` STOPS EVERY CONTAINER of the host",
        "docker info -f '{{.LiveRestoreEnabled}}'",
        "the flag of the one container is the better way",
        "`default-ulimits` in `/etc/docker/daemon.json`",
    ] {
        assert!(readme.contains(words), "{words}: {readme}");
    }
    for path in ["podman/podman-run.sh", "podman/quadlet.conf"] {
        assert!(files[path].contains("stands in for default_ulimits of containers.conf as a whole"), "{}", files[path]);
    }
}

#[test]
fn a_form_in_which_nothing_would_act_is_none_and_every_reason_names_who_can() {
    let only = |host: &str, rules: &[&str], load: &str| {
        let path = Path::new(ROOT).join("fixtures/hosts").join(host);
        let mut report = support::json(&["--snapshot", path.to_str().unwrap(), "--connections", load]);
        let findings = report["findings"].as_array_mut().unwrap();
        findings.retain(|finding| rules.contains(&finding["rule"].as_str().unwrap()));
        assert!(!findings.is_empty(), "{rules:?} of {host}");
        report
    };
    let host = only("debian-systemd", &["listen/somaxconn", "conntrack/max"], "600000");
    let inside = only("podman-sysctl", &["listen/somaxconn"], "60000");
    let limits = only("podman-sysctl", &["files/nofile-soft"], "2000000");
    for (report, target, who) in [
        (&host, "limits.d", "--to sysctl.d"),
        (&host, "docker", "--to sysctl.d"),
        (&host, "podman", "--to script"),
        (&inside, "sysctl.d", "--to podman"),
        (&inside, "systemd", "--to docker"),
        (&inside, "limits.d", "--to docker"),
        (&inside, "ansible", "--to docker"),
        (&limits, "ansible", "--to podman"),
    ] {
        let rendered = rendered(target, report, None);
        assert_eq!(rendered.files, [], "{target}");
        assert!(!rendered.left_out.is_empty(), "{target}");
        for (what, why) in &rendered.left_out {
            assert!(why.contains(who), "{target}: {what}: {why}");
        }
    }
    // The limit is above fs.nr_open: the script would have no flag.
    let docker = rendered("docker", &limits, None);
    assert_eq!(docker.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["compose.yaml"]);
    assert_eq!(acting(&docker.files[0].text), [""; 0]);
}

#[test]
fn a_limit_waits_for_the_ceiling_that_the_plan_raises_in_every_form() {
    let path = Path::new(ROOT).join("fixtures/hosts/debian-systemd");
    let report = support::json(&["--snapshot", path.to_str().unwrap(), "--connections", "1999744"]);
    let limits = |files: &BTreeMap<String, String>| -> Vec<usize> {
        let of = |path: &str| acting(&files[path]).iter().filter(|line| line.contains("2000000")).count();
        vec![of("limits.d/90-tunecheck.conf"), of("ansible/tunecheck.yml")]
    };
    let (files, _) = written("raised", &report, &["--unit", "gateway"]);
    // What a login has now nobody knows: its lines are a person's to write.
    // In the playbook the ceiling is the same number.
    assert_eq!(limits(&files), [0, 2], "{files:?}");
    for path in ["limits.d/90-tunecheck.conf", "systemd/gateway.service.d/50-tunecheck.conf", "ansible/tunecheck.yml"] {
        let text = &files[path];
        assert!(text.contains("after fs.nr_open, which this plan raises for good from 1048576 to 2000000"), "{text}");
    }
    let drop_in = rendered("systemd", &report, Some((1024, 4096)));
    assert!(drop_in.files[0].text.ends_with("[Service]\nLimitNOFILE=2000000:2000000\n"), "{}", drop_in.files[0].text);
    // Without that step nothing acts.
    let mut alone = report.clone();
    let findings = alone["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["rule"] != "files/nr-open");
    let (files, _) = written("not-raised", &alone, &["--unit", "gateway"]);
    assert_eq!(limits(&files), [0, 0], "{files:?}");
    let drop_in = rendered("systemd", &alone, Some((1024, 4096)));
    assert_eq!(acting(&drop_in.files[0].text), ["[Service]"]);
}

#[test]
fn without_a_unit_the_default_of_every_service_is_left_to_a_person() {
    for more in [&[][..], &["--max-safety", "manual"]] {
        let mut report = report("debian-systemd");
        report["place"]["unit"] = Value::Null;
        let (files, _) = written("no-unit", &report, more);
        let text = &files["systemd/system.conf.d/50-tunecheck.conf"];
        assert_eq!(acting(text), ["[Manager]"]);
        assert!(text.contains("--unit NAME") && text.contains("# left to you: DefaultLimitNOFILE=65535:524288\n"));
        assert!(text.contains("systemctl show -p DefaultLimitNOFILE -p DefaultLimitNOFILESoft"), "{text}");
    }
}

#[test]
fn what_asks_for_more_thought_than_is_given_stands_in_comments() {
    let (files, _) = written("careful", &report("debian-systemd"), &["--unit", "gateway", "--max-safety", "safe"]);
    assert!(!files.contains_key("systemd/gateway.service.d/50-tunecheck.conf"), "{files:?}");
    assert!(!files.contains_key("limits.d/90-tunecheck.conf"), "{files:?}");
    assert!(files["README.md"].contains("65535 soft, 524288 hard: above --max-safety safe"), "{}", files["README.md"]);
    let playbook: Value = serde_yaml::from_str(&files["ansible/tunecheck.yml"]).unwrap();
    assert_eq!(playbook[0]["vars"]["tunecheck_units"], json!([]));
    let (files, _) = written("careful-inside", &report("podman-sysctl"), &["--max-safety", "safe"]);
    assert!(!files.contains_key("docker/daemon.json") && !files["podman/podman-run.sh"].contains("\nset -- --ulimit"));
}

#[test]
fn a_limit_that_the_kernel_refuses_is_no_line_of_a_login_or_a_container() {
    let raised = |host: &str| {
        let mut report = report(host);
        for finding in report["findings"].as_array_mut().unwrap() {
            for action in finding["fix"].as_array_mut().unwrap() {
                if action["edit"]["kind"] == "nofile" {
                    action["edit"]["nr_open"] = json!(1_048_576);
                }
            }
        }
        // The limit is worked out from the load: 256 descriptors are for files.
        report["workload"]["connections"] = json!(1_999_744);
        report
    };
    let (files, _) = written("ceiling", &raised("debian-systemd"), &["--unit", "gateway"]);
    assert_eq!(acting(&files["limits.d/90-tunecheck.conf"]), [""; 0]);
    for path in ["limits.d/90-tunecheck.conf", "systemd/gateway.service.d/50-tunecheck.conf", "ansible/tunecheck.yml"] {
        assert!(files[path].contains("raise fs.nr_open for good to 2000000 or more"), "{}", files[path]);
    }
    let path = scratch("ceiling-script").join("report.json");
    fs::write(&path, raised("debian-systemd").to_string()).unwrap();
    let script = run(["fix", "--from", path.to_str().unwrap(), "--to", "script", "--unit", "gateway"]);
    assert_eq!(script.code, Some(0), "{}", script.stderr);
    assert!(!script.stdout.contains("\n  service '"), "{}", script.stdout);
    let told = "2000000 hard: fs.nr_open has to be raised for good first";
    assert!(script.stderr.contains(told), "{}", script.stderr);
    let (files, _) = written("ceiling-inside", &raised("podman-sysctl"), &[]);
    assert!(!files.contains_key("docker/daemon.json"));
    let acts = ["podman/podman-run.sh", "podman/containers.conf", "podman/quadlet.conf", "docker/compose.yaml"];
    for path in acts {
        assert!(!acting(&files[path]).iter().any(|line| line.contains("2000000")), "{}", files[path]);
    }
}
