//! From a plan to an audit to a fix: each takes what the one before wrote.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::fs;

use serde_json::Value;
use support::{Run, json, recorded_hosts, run, scratch};

const HOST: &str = "fixtures/hosts/in-trouble";

fn done(args: &[&str]) -> String {
    let Run { code, stdout, stderr } = run(args);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}: {stdout}");
    stdout
}

/// A plan in a file, in both forms.
fn planned(name: &str, args: &[&str]) -> [String; 2] {
    let folder = scratch(name);
    ["yaml", "json"].map(|format| {
        let path = folder.join(format!("load.{format}"));
        fs::write(&path, done(&[&["plan", "--format", format], args].concat())).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[test]
fn what_a_plan_needs_is_what_an_audit_asks_for_and_a_fix_sets() {
    let traffic = ["--role", "gateway", "--rps", "1000", "--latency", "20s", "--pods", "2"];
    for load in planned("chain-fix", &traffic) {
        let report = json(&["audit", "--fail-on", "never", "--snapshot", HOST, "--workload", &load]);
        assert_eq!(report["workload"]["connections"], 10_000);
        let finding = |rule: &str| {
            let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == rule);
            found.unwrap_or_else(|| panic!("{rule}")).clone()
        };
        // 10,000 in, 10,000 out, and 256.
        assert_eq!(finding("files/nofile-soft")["outcome"], "fail");
        assert_eq!(finding("files/nofile-soft")["want"]["fail_below"], 20_256);
        assert_eq!(finding("conntrack/max")["want"]["fail_below"], 20_000);
        assert_eq!(finding("ports/range")["want"]["fail_below"], 10_000);
        let fix = run(["fix", "--snapshot", HOST, "--workload", &load, "--to", "sysctl.d"]);
        assert!(fix.stdout.contains("net.core.somaxconn = 65535\n"), "{}", fix.stdout);
        assert!(fix.stderr.contains("left out: open files"), "{}", fix.stderr);
    }
}

/// 2,000 connections a second leave 120,000 ports in TIME_WAIT, and there are 1,000 toward the one destination.
#[test]
fn what_short_lived_connections_leave_behind_is_audited_and_mended_too() {
    let [load, _] =
        planned("chain-short", &["--role", "client", "--rps", "2000", "--latency", "100ms", "--short-lived"]);
    let report = json(&["audit", "--fail-on", "never", "--snapshot", HOST, "--workload", &load]);
    let finding = |rule: &str| {
        let findings = report["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["rule"] == rule).unwrap().clone()
    };
    assert_eq!(
        (&finding("ports/range")["outcome"], &finding("time-wait/tw-reuse")["outcome"]),
        (&"fail".into(), &"warn".into())
    );
    assert_eq!(finding("ports/range")["want"]["fail_below"], 120_200);
    assert_eq!(finding("conntrack/max")["want"]["fail_below"], 360_200);
    let fix = run(["fix", "--snapshot", HOST, "--workload", &load, "--to", "sysctl.d"]);
    assert!(fix.stdout.contains("net.ipv4.tcp_tw_reuse = 1\n"), "{}", fix.stdout);
}

#[test]
fn a_plan_takes_up_what_it_wrote() {
    let loads: [&[&str]; 4] = [
        &["--role", "client", "--concurrency", "100k", "--protocol", "h2", "--streams", "100", "--pods", "7"],
        &[
            "--role",
            "gateway",
            "--connections",
            "5000",
            "--incoming-streams",
            "10",
            "--streams",
            "100",
            "--burst",
            "77",
        ],
        &["--rps", "50", "--latency", "200ms", "--short-lived", "--role", "client", "--destinations", "3"],
        &[
            "--concurrency",
            "30000",
            "--latency",
            "20s",
            "--response-bytes",
            "20k",
            "--request-bytes",
            "4k",
            "--chunk-bytes",
            "120",
            "--link",
            "25G",
            "--nodes",
            "3",
            "--pods",
            "6",
            "--port",
            "443",
            "--outgoing",
            "600",
            "--source-addresses",
            "2",
            "--nat-addresses",
            "4",
        ],
    ];
    for (nth, load) in loads.into_iter().enumerate() {
        for path in planned(&format!("chain-again-{nth}"), load) {
            let first: Value = serde_json::from_str(&done(&[&["plan", "--format", "json"], load].concat())).unwrap();
            let again: Value = serde_json::from_str(&done(&["plan", "--format", "json", "--workload", &path])).unwrap();
            assert_eq!(first, again, "{load:?}");
        }
    }
}

#[test]
fn a_machine_carries_what_its_audit_passes_and_no_more() {
    let solved = |concurrency: u64| {
        let concurrency = concurrency.to_string();
        let args = ["plan", "--solve", "--snapshot", HOST, "--concurrency", &concurrency, "--format", "json"];
        serde_json::from_str::<Value>(&done(&args)).unwrap()
    };
    let limits = solved(6000)["capacity"]["limits"].clone();
    for (rule, judged) in [("files/nofile-soft", "fail"), ("conntrack/max", "fail")] {
        let limit = limits.as_array().unwrap().iter().find(|limit| limit["rule"] == rule).unwrap();
        let carries = limit["carries"].as_u64().unwrap();
        let outcome = |connections: u64| {
            let connections = connections.to_string();
            let report = json(&["audit", "--fail-on", "never", "--snapshot", HOST, "--connections", &connections]);
            let findings = report["findings"].as_array().unwrap();
            findings.iter().find(|finding| finding["rule"] == rule).unwrap()["outcome"].as_str().unwrap().to_owned()
        };
        assert_ne!(outcome(carries), judged, "{rule} at {carries}");
        assert_eq!(outcome(carries + 1), judged, "{rule} beyond {carries}");
    }
}

#[test]
fn a_plan_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(&done(&["rules", "schema", "--plan"])).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for args in [&["plan"][..], &["plan", "--solve", "--snapshot", HOST, "--port", "9090"]] {
        let plan: Value = serde_json::from_str(&done(&[args, &["--format", "json"]].concat())).unwrap();
        let wrong: Vec<String> =
            schema.iter_errors(&plan).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_workload_file_with_impossible_traffic_is_refused_with_its_line() {
    let folder = scratch("chain-refused");
    let path = folder.join("load.yaml");
    for (text, told) in [
        ("role: client\ntraffic:\n  pods: 0\n", ":3: pods is a number from 1 to 1000000000"),
        ("role: client\ntraffic:\n  speed: 9\n", ":3: unknown field, expected one of"),
        ("traffic: fast\n", "invalid type"),
        (
            "role: client\nconnections: 5\ntraffic:\n  requests_in_flight: 900\n",
            ":2: connections is 5, and traffic comes to 900",
        ),
        (
            "short_lived_per_second: 5\ntraffic:\n  requests_per_second: 9\n  short_lived: true\n",
            ":1: short_lived_per_second is 5, and traffic comes to 9",
        ),
        ("schema: tunecheck.report/v1\n", ":1: only tunecheck.plan/v1 is a workload file"),
        ("traffic:\n  short_lived: true\n", ":2: short_lived needs requests_per_second"),
        ("traffic:\n  requests_per_second: .nan\n", ":2: requests_per_second is a number above 0"),
        ("connections: 1000000000\nstreams: 100\n", "more than 1000000000 requests in flight"),
    ] {
        fs::write(&path, text).unwrap();
        for verb in ["plan", "audit", "fix"] {
            // An audit is of one pod, and takes a load in connections of any size.
            if verb != "plan" && told.starts_with("more than") {
                continue;
            }
            let refused = run([verb, "--workload", path.to_str().unwrap()]);
            assert_eq!(refused.code, Some(2), "{verb}: {text}");
            assert!(refused.stderr.contains(told), "{}", refused.stderr);
        }
    }
}

#[test]
fn hosts_of_every_kind_are_solved_or_say_why_not() {
    for host in recorded_hosts() {
        for role in ["client", "server", "gateway"] {
            let args = ["plan", "--solve", "--role", role, "--format", "json", "--snapshot", &host];
            let plan: Value = serde_json::from_str(&done(&args)).unwrap();
            let capacity = &plan["capacity"];
            let count = |key: &str| capacity[key].as_array().unwrap().len();
            assert!(count("limits") + count("unknown") >= 9, "{}: {capacity:#}", host);
            assert!(capacity["unknown"].as_array().unwrap().iter().any(|limit| limit["limit"] == "CPU"));
        }
    }
}
