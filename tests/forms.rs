//! The forms of a fix: what stands in them to act, what only to read, and what is left out where it could not work.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "prepares reports, fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{ROOT, Run, run, scratch};

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
    for engine in ["docker", "podman"] {
        let script = &files[&format!("{engine}/{engine}-run.sh")];
        assert_eq!(acting(script), [format!("exec {engine} run \"$@\"")]);
        assert_eq!(files.keys().filter(|path| path.starts_with(engine)).count(), 1, "{files:?}");
    }
    assert!(files["README.md"].contains("Audit inside the container"), "{}", files["README.md"]);
}

#[test]
fn a_container_says_nothing_of_units_and_gets_what_each_engine_takes() {
    let (files, _) = written("container", &report("podman-sysctl"), &[]);
    assert!(!files.keys().any(|path| path.starts_with("systemd/")), "{files:?}");
    let daemon: Value = serde_json::from_str(&files["docker/daemon.json"]).unwrap();
    let nofile = json!({ "Name": "nofile", "Soft": 65536, "Hard": 524_288 });
    assert_eq!(daemon, json!({ "default-ulimits": { "nofile": nofile } }));
    assert!(files["README.md"].contains("never overwrite it"), "{}", files["README.md"]);
    let compose: Value = serde_yaml::from_str(&files["docker/compose.yaml"]).unwrap();
    assert_eq!(compose["sysctls"]["net.core.somaxconn"], "65535");
    assert_eq!(compose["ulimits"]["nofile"], json!({ "soft": 65536, "hard": 524_288 }));
    let quadlet = acting(&files["podman/quadlet.conf"]);
    assert_eq!(quadlet[0], "[Container]");
    for line in ["Sysctl=net.core.somaxconn=65535", "Ulimit=nofile=65536:524288"] {
        assert!(quadlet.contains(&line), "{line}: {quadlet:?}");
    }
}

#[test]
fn without_a_unit_the_default_of_every_service_is_left_to_a_person() {
    for more in [&[][..], &["--max-safety", "manual"]] {
        let mut report = report("debian-systemd");
        report["place"]["unit"] = Value::Null;
        let (files, _) = written("no-unit", &report, more);
        let text = &files["systemd/system.conf.d/50-tunecheck.conf"];
        assert_eq!(acting(text), ["[Manager]"]);
        assert!(text.contains("--unit NAME") && text.contains("# left to you: DefaultLimitNOFILE=65536:524288\n"));
        assert!(text.contains("systemctl show -p DefaultLimitNOFILE -p DefaultLimitNOFILESoft"), "{text}");
    }
}

#[test]
fn what_asks_for_more_thought_than_is_given_stands_in_comments() {
    let (files, _) = written("careful", &report("debian-systemd"), &["--unit", "gateway", "--max-safety", "safe"]);
    assert_eq!(acting(&files["systemd/gateway.service.d/50-tunecheck.conf"]), ["[Service]"]);
    assert_eq!(acting(&files["limits.d/90-tunecheck.conf"]), [""; 0]);
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
    let (files, _) = written("ceiling-inside", &raised("podman-sysctl"), &[]);
    assert!(!files.contains_key("docker/daemon.json"));
    let acts = ["podman/podman-run.sh", "podman/containers.conf", "podman/quadlet.conf", "docker/compose.yaml"];
    for path in acts {
        assert!(!acting(&files[path]).iter().any(|line| line.contains("2000000")), "{}", files[path]);
    }
}
