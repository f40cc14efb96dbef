//! Manifests before they are deployed: each fault with its place, no alarm for what is right, and no end that is none.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use serde_json::Value;
use support::{ROOT, Run, ended, entries, run, scratch, tunecheck};
use tunecheck::manifest::{CHECKS, Options, Steps, Surroundings, judge};
use tunecheck::model::finding::Outcome;
use tunecheck::model::fix::Pod;
use tunecheck::model::kernel_sysctls::{self, Whose};
use tunecheck::model::manifest::{Judged, Manifests};
use tunecheck::model::pod_sysctl::{PodSysctls, SAFE};
use tunecheck::report::{self, Style};
use tunecheck::rules::RuleSet;

const GOOD: &str = "fixtures/manifests/good";
const BAD: &str = "fixtures/manifests/bad";

fn manifest(args: &[&str]) -> Run {
    run(["manifest"].iter().chain(args))
}

fn json(args: &[&str]) -> Value {
    let run = manifest(&[args, &["--format", "json"]].concat());
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
}

/// What is found, as `line:column check outcome`.
fn found(args: &[&str]) -> Vec<String> {
    let told = json(args);
    let findings = told["findings"].as_array().unwrap().iter();
    findings
        .map(|one| {
            let word = |key: &str| one[key].as_str().unwrap();
            format!("{}:{} {} {}", one["line"], one["column"], word("check"), word("outcome"))
        })
        .collect()
}

/// A manifest on standard input.
fn given(text: impl AsRef<[u8]>, args: &[&str]) -> Run {
    ended(tunecheck().args(["manifest", "-"]).args(args).stdin(text.as_ref().to_vec()))
}

/// A pod with these lines in its spec, two blanks before each.
fn pod(spec: &str) -> String {
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n{indented}  containers: [{{name: c, image: i}}]\n"
    )
}

fn sysctl(name: &str, value: &str) -> String {
    pod(&format!("securityContext:\n  sysctls:\n  - name: {name}\n    value: {value}"))
}

#[test]
fn every_fault_is_found_where_it_is_and_nothing_else() {
    let expected: [(&str, &[&str]); 16] = [
        (
            "tuning",
            &[
                "13:11 sysctl-command warn",
                "13:11 sysctl-command fail",
                "13:11 sysctl-command warn",
                "13:11 ulimit-command warn",
                "24:27 ulimit-command warn",
                "37:33 sysctl-command fail",
                "37:33 ulimit-command warn",
                "57:15 ports warn",
                "57:15 sysctl-command warn",
                "57:15 sysctl-command warn",
                "57:15 sysctl-command warn",
                "57:15 sysctl-command warn",
                "78:29 sysctl-command warn",
                "78:29 sysctl-command warn",
            ],
        ),
        ("jvm-option-with-value", &["9:69 jvm fail", "16:14 jvm fail"]),
        (
            "jvm-told",
            &[
                "10:39 jvm warn",
                "14:42 jvm fail",
                "18:45 jvm fail",
                "22:46 jvm warn",
                "29:11 jvm fail",
                "38:25 jvm fail",
                "43:23 jvm fail",
                "49:45 jvm fail",
                "53:36 jvm warn",
                "57:23 jvm fail",
                "61:23 jvm fail",
                "65:47 jvm fail",
                "69:47 jvm warn",
                "73:47 jvm warn",
                "77:47 jvm warn",
                "93:47 jvm fail",
            ],
        ),
        (
            "values",
            &[
                "8:51 sysctl-value fail",
                "9:48 sysctl-value fail",
                "10:49 sysctl-value fail",
                "11:17 unsafe unknown",
                "11:58 sysctl-value fail",
                "12:17 unsafe unknown",
                "12:53 sysctl-value fail",
                "13:17 sysctl-value warn",
                "13:17 unsafe unknown",
                "14:17 sysctl-value warn",
                "28:17 unsafe unknown",
            ],
        ),
        (
            "forms",
            &[
                "8:7 sysctl-form fail",
                "17:15 sysctl-form fail",
                "27:9 name fail",
                "35:5 no-such-field fail",
                "36:5 no-such-field fail",
                "49:9 windows fail",
            ],
        ),
        (
            "names",
            &[
                "8:17 no-such-sysctl fail",
                "9:17 no-such-sysctl fail",
                "10:17 no-such-sysctl warn",
                "11:17 impossible fail",
                "12:17 impossible fail",
                "13:17 impossible fail",
                "14:17 removed fail",
                "15:17 unsafe fail",
                "16:17 no-such-sysctl fail",
            ],
        ),
        (
            "resources",
            &[
                "10:27 quantity fail",
                "10:43 no-such-field fail",
                "11:29 quantity fail",
                "15:27 quantity fail",
                "16:29 quantity warn",
                "21:29 quantity fail",
                "21:39 quantity fail",
            ],
        ),
        ("host-network", &["10:7 dns warn", "15:48 ports fail", "24:14 dns warn"]),
        (
            "fields",
            &[
                "13:7 no-such-field fail",
                "19:13 no-such-field fail",
                "25:11 no-such-field fail",
                "28:13 no-such-field fail",
                "35:3 no-such-field fail",
            ],
        ),
        (
            "sysctls",
            &[
                "8:15 unsafe fail",
                "9:16 quotes fail",
                "10:15 removed fail",
                "12:15 impossible fail",
                "14:17 impossible fail",
                "15:15 slashes warn",
                "17:15 unsafe unknown",
                "19:15 duplicate fail",
                "21:15 unsafe fail",
                "23:15 name fail",
                "25:15 impossible fail",
                "27:15 impossible fail",
                "29:15 impossible fail",
                "31:15 impossible fail",
                "33:15 impossible fail",
            ],
        ),
        (
            "host",
            &["12:7 dns warn", "16:19 host-namespace fail", "18:19 host-namespace fail", "20:19 host-namespace fail"],
        ),
        (
            "ports",
            &[
                "10:16 ports fail",
                "26:16 ports warn",
                "42:16 ports fail",
                "58:16 ports warn",
                "74:16 ports fail",
                "92:16 ports fail",
                "105:16 ports fail",
            ],
        ),
        (
            "jvm",
            &[
                "15:33 jvm fail",
                "19:38 jvm warn",
                "25:26 jvm fail",
                "30:26 jvm warn",
                "35:26 jvm warn",
                "40:22 jvm warn",
                "44:31 jvm fail",
            ],
        ),
        ("dns", &["9:9 dns fail", "12:20 dns fail", "13:13 dns fail", "19:18 dns fail"]),
        ("syntax", &["6:16 syntax fail", "15:7 no-such-field fail", "17:8 syntax unknown"]),
        ("unsafe", &["8:15 unsafe fail", "10:15 unsafe unknown"]),
    ];
    let names: BTreeSet<String> = expected.iter().map(|(name, _)| format!("{name}.yaml")).collect();
    let there = entries(Path::new(ROOT).join(BAD));
    assert_eq!(names, there.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect());
    for (name, faults) in expected {
        assert_eq!(found(&[&format!("{BAD}/{name}.yaml")]), faults, "{name}");
    }
}

#[test]
fn what_is_right_raises_no_alarm_for_any_cluster() {
    let clusters: [&[&str]; 5] = [
        &[],
        &["--kubernetes-version", "1.25"],
        &["--kubernetes-version", "1.37", "--pod-security", "restricted"],
        &["--pod-security", "baseline", "--allowed-unsafe-sysctls", "net.*"],
        &["--workload", "gateway", "--connections", "2000", "--burst", "500"],
    ];
    for args in clusters {
        let told = json(&[&[GOOD], args].concat());
        // With the host's network a load cannot be judged, which is said.
        let of_host = |one: &Value| one["outcome"] == "unknown" && one["check"] == "load" && args.contains(&"--burst");
        let alarms: Vec<&Value> = told["findings"].as_array().unwrap().iter().filter(|one| !of_host(one)).collect();
        assert_eq!(alarms, Vec::<&Value>::new(), "{args:?}");
        assert!(told["summary"]["files"].as_u64() >= Some(12), "{told:#}");
        assert!(told["summary"]["pods"].as_u64() >= Some(15) && told["summary"]["passed_over"].as_u64() >= Some(5));
    }
    for file in entries(Path::new(ROOT).join(GOOD)) {
        let run = manifest(&[file.to_str().unwrap(), "--fail-on", "unknown"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{}: {}", file.display(), run.stdout);
    }
}

#[test]
fn the_cluster_decides_which_sysctls_a_pod_may_set() {
    let outcome = |name: &str, args: &[&str]| {
        let run = given(sysctl(name, "\"1\""), &[args, &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let findings = told["findings"].as_array().unwrap();
        assert!(findings.len() < 2, "{told:#}");
        findings.first().map_or("none".to_owned(), |one| one["outcome"].as_str().unwrap().to_owned())
    };
    let cases: [(&str, &[&str], &str); 18] = [
        ("kernel.domainname", &["--allowed-unsafe-sysctls", "kernel.domainname"], "fail"),
        (
            "kernel.domainname",
            &["--kubernetes-version", "1.36", "--allowed-unsafe-sysctls", "kernel.domainname"],
            "fail",
        ),
        (
            "kernel.domainname",
            &["--kubernetes-version", "1.37", "--allowed-unsafe-sysctls", "kernel.domainname"],
            "none",
        ),
        ("kernel.msg_next_id", &["--allowed-unsafe-sysctls", "kernel.msg*"], "fail"),
        ("net.ipv4.tcp_syncookies", &["--pod-security", "restricted"], "none"),
        ("net.ipv4.tcp_fin_timeout", &[], "unknown"),
        ("net.ipv4.tcp_fin_timeout", &["--kubernetes-version", "1.28"], "fail"),
        ("net.ipv4.tcp_fin_timeout", &["--kubernetes-version", "1.29", "--pod-security", "baseline"], "none"),
        ("net.ipv4.tcp_fin_timeout", &["--allowed-unsafe-sysctls", "net.ipv4.*"], "none"),
        ("net.ipv4.tcp_slow_start_after_idle", &["--kubernetes-version", "1.36"], "fail"),
        ("net.ipv4.tcp_slow_start_after_idle", &["--kubernetes-version", "1.37"], "none"),
        ("net.core.somaxconn", &["--kubernetes-version", "1.37"], "fail"),
        ("net.core.somaxconn", &["--pod-security", "baseline"], "fail"),
        ("net.core.somaxconn", &["--allowed-unsafe-sysctls", "kernel.msg*,net.core.somaxconn"], "none"),
        ("net.core.somaxconn", &["--allowed-unsafe-sysctls", "net.*", "--pod-security", "restricted"], "fail"),
        ("net/ipv4/tcp_syncookies", &["--pod-security", "baseline"], "fail"),
        ("net/core/somaxconn", &["--allowed-unsafe-sysctls", "net.core.somaxconn"], "warn"),
        ("fs.file-max", &["--allowed-unsafe-sysctls", "*"], "fail"),
    ];
    for (name, args, expected) in cases {
        assert_eq!(outcome(name, args), expected, "{name} {args:?}");
    }
}

#[test]
fn the_rules_the_list_of_safe_ones_and_the_table_of_the_kernel_agree() {
    let rules = RuleSet::built_in();
    for rule in rules.iter() {
        let Some(pod) = &rule.pod else { continue };
        // The table is that of kernels of today.
        if rule.kernel.before.is_some() {
            continue;
        }
        for fix in rule.fix.sysctl {
            assert!(!SAFE.iter().any(|(name, ..)| *name == fix.name), "{} is told of twice", fix.name);
            let known = kernel_sysctls::find(fix.name).unwrap_or_else(|| panic!("{} is not in the table", fix.name));
            let is_of_pods = matches!(known.whose, Whose::NetworkNamespace | Whose::IpcNamespace);
            assert_eq!(is_of_pods, *pod != Pod::Impossible, "{}: {}", rule.id, fix.name);
        }
    }
    for (name, ..) in SAFE {
        let whose = kernel_sysctls::find(name).unwrap_or_else(|| panic!("{name}")).whose;
        assert!(matches!(whose, Whose::NetworkNamespace | Whose::IpcNamespace), "{name}");
    }
}

#[test]
fn a_declared_load_is_what_values_are_held_against_and_an_undeclared_one_is_not() {
    let file = format!("{BAD}/unsafe.yaml");
    let load = |args: &[&str]| -> Vec<String> {
        found(&[&[file.as_str()], args].concat()).into_iter().filter(|one| one.contains(" load ")).collect()
    };
    assert_eq!(load(&[]), Vec::<String>::new());
    // The value is 128. A burst should have room for half as much again, and all connections may come at once.
    let server = |burst: &str, connections: &str| load(&["--burst", burst, "--connections", connections]);
    assert_eq!(server("85", "128"), Vec::<String>::new());
    assert_eq!([server("85", "129"), server("128", "100")], [["9:16 load warn"], ["9:16 load warn"]]);
    assert_eq!(server("129", "100"), ["9:16 load fail"]);
    // Beyond half of the range connect() is slow.
    let client = ["--workload", "client", "--burst", "1", "--connections"];
    assert_eq!(load(&[&client[..], &["500"]].concat()), Vec::<String>::new());
    assert_eq!(load(&[&client[..], &["501"]].concat()), ["13:16 load warn"]);
    assert_eq!(load(&[&client[..], &["1001"]].concat()), ["13:16 load fail"]);
}

#[test]
fn a_value_without_quotes_is_told_as_kubernetes_reads_it() {
    for (value, is_text) in [
        ("1024", false),
        ("0x10", false),
        ("1_000", false),
        ("1.5", false),
        ("-1", false),
        ("yes", false),
        ("True", false),
        ("{}", false),
        ("!!int \"1\"", false),
        ("\"1024\"", true),
        ("'1'", true),
        ("10240 65535", true),
        ("bbr", true),
        ("!!str 1", true),
        ("", true),
        ("~", true),
    ] {
        let run = given(
            sysctl("net.ipv4.tcp_congestion_control", value),
            &["--allowed-unsafe-sysctls", "net.ipv4.tcp_congestion_control"],
        );
        assert_eq!(run.code, Some(i32::from(!is_text)), "{value}: {}", run.stdout);
        assert_eq!(run.stdout.contains("FAIL manifest/quotes"), !is_text, "{value}: {}", run.stdout);
    }
}

#[test]
fn what_follows_a_rejection_is_said_by_kind() {
    let told = |kind: &str, api: &str, path: &str| {
        let pod = "{securityContext: {sysctls: [{name: net.core.somaxconn, value: '8192'}]}, containers: [{name: c, image: i}]}";
        given(format!("apiVersion: {api}\nkind: {kind}\nspec: {}\n", path.replace('_', pod)), &[])
            .stdout
            .replace('\n', " ")
    };
    for (kind, api, path, follows) in [
        ("Pod", "v1", "_", "nothing makes a new one"),
        ("Job", "batch/v1", "{template: {spec: _}}", "until its backoffLimit"),
        ("CronJob", "batch/v1", "{jobTemplate: {spec: {template: {spec: _}}}}", "until its backoffLimit"),
        ("Deployment", "apps/v1", "{template: {spec: _}}", "a workload makes new ones for ever"),
    ] {
        let told: String = told(kind, api, path).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("FAIL manifest/unsafe") && told.contains(follows), "{kind}: {told}");
    }
}

#[test]
fn heaps_are_held_against_the_limit_of_whatever_runs_the_container() {
    let told = |text: &str| -> Vec<String> {
        let run = given(text, &["--format", "json"]);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let findings = told["findings"].as_array().unwrap().iter();
        findings.map(|one| format!("{} {}", one["check"].as_str().unwrap(), one["outcome"].as_str().unwrap())).collect()
    };
    let service = |rest: &str| told(&format!("services: {{web: {{image: x, {rest}}}}}\n"));
    let nothing = Vec::<String>::new();
    assert_eq!(service("mem_limit: 1g, environment: {JAVA_TOOL_OPTIONS: -Xmx8g}"), ["jvm fail"]);
    assert_eq!(service("mem_limit: 16gb, environment: {JAVA_TOOL_OPTIONS: -Xmx8g}"), nothing);
    assert_eq!(service("environment: {JAVA_TOOL_OPTIONS: -Xmx8g}"), nothing);
    assert_eq!(
        service("deploy: {resources: {limits: {memory: 512M}}}, environment: [\"JAVA_TOOL_OPTIONS=-Xmx1g\"]"),
        ["jvm fail"]
    );
    assert_eq!(service("mem_limit: 1g, command: java -Xmx2g -jar a.jar"), ["jvm fail"]);
    assert_eq!(service("mem_limit: 1g, entrypoint: [sh, -c], command: ['exec java -Xmx2g -jar a.jar']"), ["jvm fail"]);
    assert_eq!(service("mem_limit: 1g, environment: {JAVA_TOOL_OPTIONS: '-Xmx${HEAP}'}"), nothing);
    assert_eq!(
        service("mem_limit: 1g, environment: {NODE_OPTIONS: --max-old-space-size=4096}"),
        ["runtime-memory fail"]
    );
    let task =
        |task: &str, rest: &str| told(&format!("{task}containerDefinitions: [{{name: web, image: x, {rest}}}]\n"));
    let java = "environment: [{name: JAVA_TOOL_OPTIONS, value: -Xmx4g}]";
    assert_eq!(task("", &format!("memory: 512, {java}")), ["jvm fail"]);
    assert_eq!(task("memory: '512'\n", java), ["jvm fail"]);
    assert_eq!(task("memory: '8192'\n", java), nothing);
    let pod = |rest: &str| {
        told(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: i, resources: {{limits: {{memory: 1Gi}}}}, {rest}}}]}}\n"
        ))
    };
    let variable = |name: &str, value: &str| pod(&format!("env: [{{name: {name}, value: '{value}'}}]"));
    assert_eq!(variable("NODE_OPTIONS", "--max-old-space-size=4096"), ["runtime-memory fail"]);
    assert_eq!(variable("NODE_OPTIONS", "--inspect --max_old_space_size=900"), ["runtime-memory warn"]);
    assert_eq!(variable("NODE_OPTIONS", "--max-old-space-size=768"), nothing);
    assert_eq!(pod("command: [node, --max-old-space-size=2048, a.js]"), ["runtime-memory fail"]);
    assert_eq!(pod("command: [node, a.js, --max-old-space-size=2048]"), nothing);
    let both = "env: [{name: NODE_OPTIONS, value: --max-old-space-size=4096}], command: [node, --max-old-space-size=512, a.js]";
    assert_eq!(pod(both), nothing);
    assert_eq!(variable("GOMEMLIMIT", "8GiB"), ["runtime-memory warn"]);
    assert_eq!(variable("GOMEMLIMIT", "900MiB"), nothing);
    assert_eq!(variable("GOMEMLIMIT", "off"), nothing);
}

#[test]
fn limits_of_other_platforms_and_of_nodes_are_held_against_the_load() {
    let told = |text: &str, args: &[&str]| {
        let run = given(text, &[args, &["--format", "json"]].concat());
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let findings = told["findings"].as_array().unwrap().iter();
        findings
            .map(|one| format!("{} {}", one["check"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    let compose = |limit: &str| format!("services: {{web: {{image: nginx, ulimits: {{nofile: {limit}}}}}}}\n");
    let load = ["--connections", "30000"];
    assert_eq!(told(&compose("1024"), &load), ["load fail"]);
    assert_eq!(told(&compose("1024"), &[]), Vec::<String>::new());
    assert_eq!(told(&compose("{soft: 1024, hard: 65536}"), &load), ["load warn"]);
    assert_eq!(told(&compose("65536"), &load), Vec::<String>::new());
    let task = |soft: u32, hard: u32| {
        format!(
            "containerDefinitions: [{{name: web, image: nginx, ulimits: [{{name: nofile, softLimit: {soft}, hardLimit: {hard}}}]}}]\n"
        )
    };
    assert_eq!(told(&task(1024, 4096), &load), ["load fail"]);
    assert_eq!(told(&task(1024, 65536), &load), ["load warn"]);
    let proxy =
        |rest: &str| format!("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{rest}\n");
    assert_eq!(told(&proxy("conntrack: {maxPerCore: 1000, min: 1000}"), &load), ["load warn"]);
    assert_eq!(told(&proxy("conntrack: {maxPerCore: 1000, min: 30000}"), &load), Vec::<String>::new());
    // The table of a node with many cores is not to become smaller: where nothing bounds it, min alone is raised.
    let change = |connections: &str, args: &[&str]| {
        let text = proxy("conntrack: {maxPerCore: 32768, min: 131072}");
        given(&text, &[&["--connections", connections], args].concat()).stdout.replace("\n", " ")
    };
    let kept = change("200000", &[]);
    assert!(kept.contains("min: 400000, and maxPerCore as it is") && !kept.contains("maxPerCore: 1"), "{kept}");
    assert!(!change("2000000", &["--kubernetes-version", "1.35"]).contains("maxPerCore: 1"));
    assert!(change("2000000", &["--kubernetes-version", "1.36"]).contains("maxPerCore: 1"));
    assert_eq!(told(&proxy("conntrack: {maxPerCore: 0}"), &load), ["load unknown"]);
    assert_eq!(told(&proxy("mode: ipvs"), &load), Vec::<String>::new());
    assert_eq!(told(&proxy("mode: ipvs"), &["--connections", "200000"]), ["load unknown"]);
    assert_eq!(told(&proxy("conntrack: {tcpEstablishedTimeout: ${TIMEOUT}}"), &[]), ["syntax unknown"]);
    for (timeout, expected) in [
        ("20m", &["conntrack warn"][..]),
        ("2h11m14s", &["conntrack warn"]),
        ("2h11m15s", &[]),
        ("24h0m0s", &[]),
        ("0s", &[]),
        ("\"0\"", &[]),
        ("null", &[]),
        ("$TIMEOUT", &[]),
        ("${TIMEOUT}", &[]),
        ("86400", &["conntrack fail"]),
        ("soon", &["conntrack fail"]),
        ("\"1.5\"", &["conntrack fail"]),
        ("-1h", &["conntrack fail"]),
    ] {
        assert_eq!(
            told(&proxy(&format!("conntrack:\n  tcpEstablishedTimeout: {timeout}")), &[]),
            expected,
            "{timeout}"
        );
    }
    assert_eq!(told(&proxy("contrack: {min: 1}"), &[]), ["no-such-field warn"]);
    let kubelet = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nallowedUnsafeSysctl: [x]\n";
    assert_eq!(told(kubelet, &[]), ["no-such-field warn"]);
    let kubelet =
        |rest: &str| format!("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{rest}\n");
    assert_eq!(told(&kubelet("podPidsLimit: 4096"), &load), ["load unknown"]);
    assert_eq!(told(&kubelet("podPidsLimit: 65536"), &load), Vec::<String>::new());
    assert_eq!(told(&kubelet("podPidsLimit: -1"), &load), Vec::<String>::new());
    let host = pod("hostNetwork: true\ndnsPolicy: ClusterFirstWithHostNet");
    assert_eq!(told(&host, &load), ["load unknown"]);
    assert_eq!(told(&host, &[]), Vec::<String>::new());
}

/// What is found on standard input, as `line:column check outcome`.
fn found_in(text: impl AsRef<[u8]>, args: &[&str]) -> Vec<String> {
    let run = given(text, &[args, &["--format", "json"]].concat());
    let told: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", run.stderr));
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    findings
        .map(|one| format!("{}:{} {} {}", one["line"], one["column"], word(one, "check"), word(one, "outcome")))
        .collect()
}

#[test]
fn ports_that_the_api_server_refuses_are_told_and_no_others() {
    let container = |fields: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - {{name: c, image: i, {fields}}}\n"
        )
    };
    let at = "6:";
    for (fields, expected) in [
        ("ports: [{containerPort: 80800}]", 1),
        ("ports: [{containerPort: 0}]", 1),
        ("ports: [{containerPort: -1}]", 1),
        ("ports: [{containerPort: '8080'}]", 1),
        ("ports: [{containerPort: http}]", 1),
        ("ports: [{containerPort: 65535, hostPort: 0}]", 0),
        ("ports: [{containerPort: 1, hostPort: 65536}]", 1),
        ("ports: [{containerPort: $PORT}, {containerPort: '{{ port }}'}]", 0),
        ("livenessProbe: {httpGet: {port: 70000}}", 1),
        ("livenessProbe: {httpGet: {port: '8080'}}", 1),
        ("readinessProbe: {tcpSocket: {port: http}}", 0),
        ("readinessProbe: {tcpSocket: {port: a-name-that-is-too-long}}", 1),
        ("startupProbe: {grpc: {port: 99999}}", 1),
        ("startupProbe: {grpc: {port: 9999}}", 0),
        ("lifecycle: {preStop: {httpGet: {port: 0}}}", 1),
        ("lifecycle: {preStop: {httpGet: {port: 8080}}}", 0),
        ("ports: [{containerPort: 80, name: web}, {containerPort: 443, name: web}]", 1),
        ("ports: [{containerPort: 80, name: web-server-of-all}]", 1),
        ("ports: [{containerPort: 80, name: Web}, {containerPort: 81, name: '80'}]", 2),
        ("ports: [{containerPort: 53, name: dns-tcp}, {containerPort: 53, protocol: UDP, name: dns-udp}]", 0),
        ("ports: [{containerPort: 80, name: '{{ name }}'}, {containerPort: 81, name: '{{ name }}'}]", 0),
        ("ports: [{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]", 1),
        ("ports: [{containerPort: 80, hostPort: 80}, {containerPort: 80, hostPort: 80, protocol: UDP}]", 0),
        (
            "ports: [{containerPort: 80, hostPort: 80, hostIP: 10.0.0.1}, {containerPort: 80, hostPort: 80, hostIP: 10.0.0.2}]",
            0,
        ),
        ("ports: [{containerPort: 80}, {containerPort: 80}]", 0),
    ] {
        let found = found_in(container(fields), &[]);
        assert_eq!(found.len(), expected, "{fields}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with(at) && one.ends_with("ports fail")), "{fields}: {found:?}");
    }
    // With the node's network each port of a container is one of the node; init containers start one after the other.
    let both = |kind: &str, network: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  {network}\n  {kind}:\n  - {{name: a, image: i, ports: \
             [{{containerPort: 8081}}]}}\n  - {{name: b, image: i, ports: [{{containerPort: 8081}}]}}\n"
        )
    };
    let network = "{hostNetwork: true, dnsPolicy: Default}".trim_matches(['{', '}']).replace(", ", "\n  ");
    assert_eq!(found_in(both("containers", &network), &[]), ["9:49 ports fail"]);
    assert_eq!(found_in(both("containers", "hostname: h"), &[]), Vec::<String>::new());
    assert_eq!(found_in(both("initContainers", &network), &[]), Vec::<String>::new());
    let service =
        |port: &str| format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  ports:\n  - {{{port}}}\n");
    for (port, expected) in [
        ("port: 65536", &["6:12 ports fail"][..]),
        ("port: 80, targetPort: 65536", &["6:28 ports fail"]),
        ("port: 80, targetPort: '8080'", &["6:28 ports fail"]),
        ("port: 80, targetPort: http", &[]),
        ("port: 80, targetPort: 0", &[]),
        ("port: 80, targetPort: 8080, nodePort: 90000", &["6:44 ports fail"]),
        ("port: '80'", &["6:12 ports fail"]),
    ] {
        assert_eq!(found_in(service(port), &[]), expected, "{port}");
    }
    // A Service of another API has ports of another kind.
    let other = service("port: 70000").replace("apiVersion: v1", "apiVersion: serving.knative.dev/v1");
    assert_eq!(found_in(other, &[]), Vec::<String>::new());
}

#[test]
fn what_a_patch_puts_into_a_pod_is_judged_and_nothing_is_missing_in_it() {
    let flow = |patch: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: WorkflowTemplate\nmetadata: {{name: w}}\nspec:\n  podSpecPatch: |\n{}",
            patch.lines().map(|line| format!("    {line}\n")).collect::<String>()
        )
    };
    for (patch, expected) in [
        ("containers:\n- name: main\n  resources: {limits: {memory: 1GB}}", &["8:36 quantity fail"][..]),
        ("containers:\n- name: main\n  ulimits: {nofile: 65536}", &["8:7 no-such-field fail"]),
        ("securityContext:\n  sysctls:\n  - {name: vm.max_map_count, value: '262144'}", &["8:16 impossible fail"]),
        ("containers:\n- name: main\n  env: [{name: JAVA_TOOL_OPTIONS, value: -Xmx2g}]", &[]),
        (
            "containers:\n- name: main\n  env: [{name: JAVA_TOOL_OPTIONS, value: -Xmx2g}]\n  resources: {limits: {memory: 1Gi}}",
            &["8:46 jvm fail"],
        ),
        ("containers:\n- name: main\n  resources: {limits: {memory: '{{inputs.parameters.memory}}'}}", &[]),
        ("containers: [", &["7:1 syntax fail"]),
        (
            "{\"containers\": [{\"name\": \"main\", \"resources\": {{inputs.parameters.resources}} }",
            &["6:74 syntax unknown"],
        ),
    ] {
        let found = found_in(flow(patch), &[]);
        let place = |one: &str| one.split_once(' ').unwrap().1.to_owned();
        let (says, wanted): (Vec<String>, Vec<String>) =
            (found.iter().map(|one| place(one)).collect(), expected.iter().map(|one| place(one)).collect());
        assert_eq!(says, wanted, "{patch}: {found:?}");
        if !patch.contains("containers: [") && !patch.contains("{{inputs.parameters.res") {
            assert_eq!(found, expected, "{patch}");
        }
    }
    let change = |path: &str, value: &str| format!("- op: add\n  path: {path}\n  value: {value}\n");
    let container = "/spec/template/spec/containers/0";
    for (path, value, expected) in [
        (
            "/spec/template/spec/securityContext/sysctls".to_owned(),
            "[{name: vm.max_map_count, value: '1'}]",
            &["3:18 impossible fail"][..],
        ),
        (
            "/spec/template/spec/securityContext/sysctls/-".to_owned(),
            "{name: net.ipv4.tcp_syncookies, value: 1}",
            &["3:49 quotes fail"],
        ),
        ("/spec/template/spec/securityContext/sysctls/0/value".to_owned(), "'1'", &[]),
        (format!("{container}/ulimits"), "{nofile: 1}", &["2:9 no-such-field fail"]),
        (format!("{container}/resources/limits/memory"), "1GB", &["3:10 quantity fail"]),
        (format!("{container}/resources"), "{limits: {memory: 1Gi}, requests: {memory: 2Gi}}", &["3:53 quantity fail"]),
        (
            format!("{container}/env/-"),
            "{name: JAVA_TOOL_OPTIONS, value: -XX:MaxRAMPercentage=150}",
            &["3:43 jvm fail"],
        ),
        (format!("{container}/env/-"), "{name: JAVA_TOOL_OPTIONS, value: -XX:MaxRAMPercentage=75}", &[]),
        (format!("{container}/ports/0/containerPort"), "80800", &["3:10 ports fail"]),
        (format!("{container}/image"), "a:2", &[]),
        ("/spec/resources".to_owned(), "{requests: {storage: 10Gi}}", &[]),
        ("/spec/replicas".to_owned(), "3", &[]),
    ] {
        assert_eq!(found_in(change(&path, value), &[]), expected, "{path}");
        // The same in a Kustomization, as a text that is further in.
        let text: String = change(&path, value).lines().map(|line| format!("      {line}\n")).collect();
        let whole = format!("kind: Kustomization\npatches:\n  - target: {{kind: Deployment}}\n    patch: |-\n{text}");
        let found = found_in(whole, &[]);
        let moved: Vec<String> = expected
            .iter()
            .map(|one| {
                let (place, rest) = one.split_once(' ').unwrap();
                let (line, column) = place.split_once(':').unwrap();
                format!("{}:{} {rest}", line.parse::<u32>().unwrap() + 4, column.parse::<u32>().unwrap() + 6)
            })
            .collect();
        assert_eq!(found, moved, "{path}");
    }
    // A part of an object as a text, and what a policy of another program would match.
    let strategic = "kind: Kustomization\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: d}\n    spec: {template: {spec: {containers: [{name: c, ulimits: {}}], hostNetwork: true}}}\n";
    assert_eq!(found_in(strategic, &[]), ["7:53 no-such-field fail"]);
    // What a container of a patch writes is told where the patch alone says whose it is.
    let added = |command: &str, context: &str| {
        format!(
            "- op: add\n  path: /spec/template/spec/initContainers\n  value:\n  - {{name: i, image: x, {context}command: [sh, -c, '{command}']}}\n"
        )
    };
    const PRIVILEGED: &str = "securityContext: {privileged: true}, ";
    let of_node = added("sysctl -w vm.max_map_count=262144", PRIVILEGED);
    assert_eq!(found_in(of_node, &[]), ["4:80 sysctl-command warn"]);
    for (command, context, expected) in [
        ("sysctl -w vm.max_map_count=262144", "", 0),
        ("sysctl -w net.core.somaxconn=65535", PRIVILEGED, 0),
        ("sysctl -w kernel.shmmax=1", PRIVILEGED, 0),
        ("sysctl -w net.ipv4.tcp_tw_recycle=1", PRIVILEGED, 1),
        ("ulimit -n 65536", "", 1),
    ] {
        assert_eq!(found_in(added(command, context), &[]).len(), expected, "{command} {context}");
    }
    // Patches alone are counted as what they are, and are something that was judged.
    let alone = "- {op: add, path: /spec/template/spec/containers/0/ulimits, value: {nofile: 1}}\n";
    let run = given(alone, &[]);
    assert!(run.stdout.contains("0 pod specs, 1 change by patches judged in 1 file"), "{}", run.stdout);
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""));
    let policy = "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: p}\nspec:\n  rules:\n  - mutate:\n      patch: |-\n        - {op: add, path: /spec/containers/0/ulimits, value: 1}\n";
    assert_eq!(found_in(policy, &[]), Vec::<String>::new());
}

#[test]
fn configurations_of_nodes_are_held_against_every_field_that_they_have() {
    let kubelet =
        |field: &str| format!("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{field}\n");
    let proxy =
        |field: &str| format!("apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n{field}\n");
    let none = Vec::<String>::new();
    // Neither program ends for a field that it does not know.
    for (field, expected) in [
        ("podPidLimit: 4096", &["3:1 no-such-field warn"][..]),
        ("authentication: {webhook: {enable: true}}", &["3:28 no-such-field warn"]),
        ("registerWithTaints:\n- {key: a, effects: NoSchedule}", &["4:12 no-such-field warn"]),
        ("podPidsLimit: \"4096\"", &["3:15 kubelet fail"]),
        ("podPidsLimit: 4194305", &["3:15 kubelet fail"]),
        ("podPidsLimit: 4194304", &[]),
        ("podPidsLimit: 0", &[]),
        ("maxOpenFiles: -1", &["3:15 kubelet fail"]),
        ("maxPods: -1", &["3:10 kubelet fail"]),
        ("maxPods: ${PODS}", &[]),
        ("evictionHard: {memory.available: 1Gi}\nfeatureGates: {Anything: true}", &[]),
        ("logging: {flushFrequency: 5s, options: {text: {splitStream: true}}}", &[]),
        ("evictionSoft: \"nil\"", &["3:15 syntax fail"]),
        ("allowedUnsafeSysctls: net.core.somaxconn", &["3:23 syntax fail"]),
        ("clusterDNS: {a: 10.0.0.10}", &["3:13 syntax fail"]),
        ("authentication: {webhook: [true]}", &["3:27 syntax fail"]),
        ("reservedMemory: [{numaNode: 0, limits: 1Gi}]", &["3:40 syntax fail"]),
        ("maxPods: [110]", &["3:10 syntax fail"]),
        ("evictionSoft: null\nsystemReserved: {cpu: 1}\nclusterDNS: [10.0.0.10]\nkubeReserved: $RESERVED", &[]),
    ] {
        assert_eq!(found_in(kubelet(field), &[]), expected, "{field}");
    }
    for (field, expected) in [
        ("maxPerCore: 1", &["3:1 no-such-field warn"][..]),
        ("conntrack: {max: 1}", &["3:13 no-such-field warn"]),
        ("conntrack: {min: \"1\"}", &["3:18 conntrack fail"]),
        ("nodePortAddresses: 10.0.0.0/8", &["3:20 syntax fail"]),
        ("conntrack: 131072", &["3:12 syntax fail"]),
        ("mode: nftables\nnftables: {syncPeriod: 30s}\nwinkernel: {enableDSR: true}", &[]),
    ] {
        assert_eq!(found_in(proxy(field), &[]), expected, "{field}");
    }
    // What a newer release has is not known here.
    assert_eq!(found_in(kubelet("podTasks: 1"), &["--kubernetes-version", "1.60"]), ["3:1 no-such-field unknown"]);
    assert_eq!(found_in(kubelet("podPidsLimit: 1"), &["--kubernetes-version", "1.60"]), none);
}

#[test]
fn what_is_not_stated_is_judged_by_the_kernels_default() {
    let load = |sysctls: &str, args: &[&str]| {
        let run = given(
            format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  securityContext: {{sysctls: [{sysctls}]}}\n  containers: [{{name: a, image: x}}]\n"
            ),
            &[args, &["--allowed-unsafe-sysctls", "net.core.somaxconn"]].concat(),
        );
        let told: Vec<String> =
            run.stdout.lines().filter_map(|line| line.split_once(": ")).map(|(_, told)| told.to_owned()).collect();
        told.iter().filter(|told| told.contains("manifest/load")).map(|told| told[..4].to_owned()).collect::<Vec<_>>()
    };
    let stated = "{name: net.core.somaxconn, value: '4096'}";
    for burst in ["100", "20000"] {
        let args = ["--burst", burst];
        assert_eq!(load("", &args), load(stated, &args), "{burst}");
    }
    assert_eq!(load("", &["--burst", "20000"]), ["FAIL"]);
    assert_eq!(load("{name: net.core.somaxconn, value: '65535'}", &["--burst", "20000"]), Vec::<String>::new());
    assert_eq!(load("", &[]), Vec::<String>::new());
}

#[test]
fn a_command_that_writes_a_sysctl_is_judged_by_whose_it_is() {
    let told = |kind: &str, spec: &str, context: &str, script: &str| {
        let text = format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  selector: {{}}\n  template:\n    spec:\n      {spec}\n      \
             initContainers:\n      - name: i\n        image: x\n        securityContext: {{{context}}}\n        command: [sh, -c]\n        args:\n        \
             - |\n          {script}\n      containers: [{{name: a, image: x}}]\n"
        );
        let run = given(&text, &["--format", "json"]);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let found = told["findings"].as_array().unwrap().iter();
        let of = found.filter(|one| one["check"].as_str().unwrap().ends_with("-command"));
        of.map(|one| one["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    const ROOT: &str = "privileged: true";
    for (spec, context, script, expected) in [
        ("", ROOT, "sysctl -w net.core.somaxconn=65535", ""),
        ("", ROOT, "sysctl -w net.core.somaxconn=1024", "warn"),
        ("hostNetwork: true", ROOT, "sysctl -w net.core.somaxconn=65535", "warn"),
        ("", "", "sysctl -w net.core.somaxconn=65535", "fail"),
        ("", ROOT, "sysctl -w net.core.somaxconn=abc", "fail"),
        ("", ROOT, "sysctl -w net.core.somaxconn=abc; true", "warn"),
        ("", ROOT, "sysctl -w net.core.somaxconn=abc || true", "warn"),
        ("", ROOT, "sysctl -w net.core.somaxconn=$SIZE", ""),
        ("", ROOT, "sysctl -w net.core.somaxcon=65535", "fail"),
        ("", ROOT, "sysctl -e -w net.ipv4.tcp_tw_recycle=1", "warn"),
        ("", ROOT, "sysctl -w net.ipv4.tcp_tw_recycle=1 && sysctl -w net.ipv4.tcp_tw_reuse=1", "fail"),
        ("", ROOT, "sysctl -w net.core.rmem_max=7500000", "fail"),
        ("", ROOT, "sysctl -w vm.max_map_count=262144", "warn"),
        ("", ROOT, "echo 262144 > /proc/sys/vm/max_map_count", "warn"),
        ("", ROOT, "sysctl -w kernel.shmmax=68719476736", "warn"),
        ("", ROOT, "sysctl -w kernel.msgmax=65536", ""),
        ("hostIPC: true", ROOT, "sysctl -w kernel.msgmax=65536", "warn"),
        ("hostPID: true", ROOT, "nsenter -t 1 -n sysctl -w net.core.somaxconn=65535", "warn"),
        ("", ROOT, "sysctl -p; sysctl vm.max_map_count; echo sysctl -w a.b=1", ""),
        ("", "", "ulimit -n 65536", "warn"),
        ("", "", "ulimit -n", ""),
    ] {
        assert_eq!(told("Deployment", spec, context, script), expected, "{spec} {context} {script}");
    }
}

#[test]
fn the_kernels_own_range_of_ports_is_judged_like_the_same_range_stated() {
    let pod = |sysctls: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  securityContext: {{sysctls: [{sysctls}]}}\n  containers: [{{name: c, image: \
             i, ports: [{{containerPort: 50051}}, {{containerPort: 8080}}]}}]\n"
        )
    };
    const STATED: &str = "{name: net.ipv4.ip_local_port_range, value: '32768 60999'}";
    const RESERVED: &str = "{name: net.ipv4.ip_local_reserved_ports, value: '50051'}";
    for (sysctls, warns) in [
        ("", 1),
        (STATED, 1),
        (RESERVED, 0),
        (&format!("{STATED}, {RESERVED}"), 0),
        (&STATED.replace("60999", "49999"), 0),
    ] {
        let run = given(pod(sysctls), &["--kubernetes-version", "1.37"]);
        assert_eq!(run.stdout.matches("WARN manifest/ports").count(), warns, "{sysctls}: {}", run.stdout);
    }
}

#[test]
fn the_jvm_is_judged_by_what_it_reads_last() {
    let judged = |container: &str| {
        let text = format!("apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {{name: c, image: i, {container}}}\n");
        let run = given(text, &["--format", "json"]);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let outcomes: Vec<String> = told["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["outcome"].as_str().unwrap().to_owned())
            .collect();
        outcomes.join(" ")
    };
    const LIMIT: &str = "resources: {limits: {memory: 1Gi}}";
    let env = |name: &str, value: &str| format!("{{name: {name}, value: '{value}'}}");
    let tool = env("JAVA_TOOL_OPTIONS", "-Xmx2g");
    let cases = [
        (format!("command: [java, -Xmx1g], {LIMIT}"), "fail"),
        (format!("command: [java, -Xmx900m], {LIMIT}"), "warn"),
        (format!("command: [java, -Xmx870m], {LIMIT}"), ""),
        (format!("command: [java, -Xmx512m, -Xmx2g], {LIMIT}"), "fail"),
        (format!("command: [java, -Xmx512m], env: [{tool}], {LIMIT}"), ""),
        (format!("command: [java, -Xmx512m], env: [{}], {LIMIT}", env("_JAVA_OPTIONS", "-Xmx2g")), "fail"),
        (format!("env: [{tool}, {}], {LIMIT}", env("JDK_JAVA_OPTIONS", "-Xmx512m")), ""),
        (format!("env: [{tool}], {LIMIT}"), "fail"),
        (format!("command: [java, -XX:MaxHeapSize=1073741824], {LIMIT}"), "fail"),
        (format!("command: [java, '@/options', -Xmx2g], {LIMIT}"), ""),
        (format!("command: [java, -jar, a.jar, -Xmx2g], {LIMIT}"), "warn"),
        (format!("command: [java, -Xmx512m, -jar, a.jar, -Xmx2g], {LIMIT}"), ""),
        (format!("command: [java, -cp, a.jar, Main, -XX:MaxRAMPercentage=75], {LIMIT}"), "warn"),
        (format!("command: [java, $JAVA_OPTS, -Xmx2g], {LIMIT}"), "fail"),
        (format!("command: [java, -Xmx2g, $JAVA_OPTS], {LIMIT}"), ""),
        (format!("command: [sh, -c, 'java $JAVA_OPTS -Xmx2g -jar a.jar'], {LIMIT}"), "fail"),
        (format!("command: [sh, -c, 'java -Xmx2g $JAVA_OPTS -jar a.jar'], {LIMIT}"), ""),
        (format!("command: [sh, -c, 'java -Xmx${{HEAP}} -jar a.jar'], {LIMIT}"), ""),
        (format!("command: [/sbin/tini, --, sh, -c, 'java -Xmx2g -jar a.jar'], {LIMIT}"), "fail"),
        (format!("command: [dumb-init, java, -Xmx2g, -jar, a.jar], {LIMIT}"), "fail"),
        (format!("command: [sh, -c, '[ -x /opt/java ] && java -Xmx2g -jar a.jar'], {LIMIT}"), "fail"),
        (format!("command: [sh, -c, 'echo java -Xmx2g'], {LIMIT}"), ""),
        (format!("command: [sh, -c, 'java -Xmx\"2g\" -jar a.jar'], {LIMIT}"), "fail"),
        (
            format!("env: [{}], {LIMIT}", env("JAVA_TOOL_OPTIONS", "-XX:OnOutOfMemoryError=\"kill -9 %p\" -Xmx2g")),
            "fail",
        ),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx2g")), "fail"),
        (format!("env: [{}], {LIMIT}", env("MY_FLAGS", "-Xmx2g")), "warn"),
        (format!("env: [{}], {LIMIT}", env("MY_FLAGS", "no heap")), ""),
        (format!("command: [java, -jar, a.jar], env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx2g")), ""),
        (format!("command: [sh, -c, 'exec java $O -jar a'], env: [{}], {LIMIT}", env("O", "-Xmx2g")), "fail"),
        (format!("command: [java, $(O)], env: [{}], {LIMIT}", env("O", "-Xmx2g")), "fail"),
        (format!("command: [java, $$(O)], env: [{}], {LIMIT}", env("O", "-Xmx2g")), ""),
        (format!("env: [{}, {}], {LIMIT}", env("A", "-Xmx2g"), env("JAVA_TOOL_OPTIONS", "$(A) -Xms1m")), "fail"),
        (format!("env: [{}, {}], {LIMIT}", env("JAVA_TOOL_OPTIONS", "$(B) -Xms1m"), env("B", "-Xmx600m")), ""),
        (format!("env: [{}], {LIMIT}", env("JAVA_TOOL_OPTIONS", "-Xms4g")), "fail"),
        (format!("env: [{}], {LIMIT}", env("JAVA_TOOL_OPTIONS", "-Xms100m")), ""),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx2gb")), "fail"),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx$HEAP")), ""),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-XX:MaxRAMPercentage=75%")), "fail"),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx512m -XX:MaxMetaspaceSize=256m")), ""),
        (format!("env: [{}], {LIMIT}", env("CATALINA_OPTS", "-Xmx800m -XX:MaxMetaspaceSize=256m")), "warn"),
        (format!("env: [{}], resources: {{limits: {{memory: 64Gi}}}}", env("CATALINA_OPTS", "-Xmx60g")), ""),
        (format!("env: [{}], resources: {{limits: {{memory: 80Mi}}}}", env("CATALINA_OPTS", "-Xmx64m")), "warn"),
        (format!("env: [{}], resources: {{limits: {{memory: 120Mi}}}}", env("CATALINA_OPTS", "-Xmx64m")), ""),
        (
            format!(
                "env: [{}], resources: {{limits: {{memory: 200Mi}}}}",
                env("CATALINA_OPTS", "-XX:MaxRAMPercentage=75")
            ),
            "warn",
        ),
        (
            format!(
                "env: [{}], resources: {{limits: {{memory: 200Mi}}}}",
                env("CATALINA_OPTS", "-XX:MaxRAMPercentage=50")
            ),
            "",
        ),
        (
            format!(
                "env: [{}], resources: {{limits: {{memory: 256Mi}}}}",
                env("CATALINA_OPTS", "-XX:MaxRAMPercentage=75")
            ),
            "",
        ),
        (format!("command: [notjava, -Xmx2g], {LIMIT}"), ""),
        (format!("args: [-Xmx2g], {LIMIT}"), ""),
        ("command: [java, -Xmx2g]".to_owned(), ""),
        ("command: [java, -XX:MaxRAMPercentage=75, -Xmx2g]".to_owned(), ""),
        ("command: [java, -XX:MaxRAMPercentage=75], resources: {limits: {memory: '{{ x }}'}}".to_owned(), ""),
        ("command: [java, -Xms2g, -Xmx1g]".to_owned(), "fail"),
        ("command: [java, -Xms1g, -Xmx1g]".to_owned(), ""),
    ];
    // Whether something reads a variable of any program's name, its image or its command says.
    let java_opts = env("JAVA_OPTS", "-Xmx2g");
    let of_scripts = [
        (format!("env: [{java_opts}], {LIMIT}"), "warn"),
        (format!("image: 'tomcat:10', env: [{java_opts}], {LIMIT}"), "fail"),
        (format!("image: 'tomcat.example/tools/app:1', env: [{java_opts}], {LIMIT}"), "warn"),
        (format!("command: [/opt/bin/catalina.sh, run], env: [{java_opts}], {LIMIT}"), "fail"),
        (format!("command: [sh, -c, 'java $JAVA_OPTS -jar a.jar'], env: [{java_opts}], {LIMIT}"), "fail"),
        (format!("env: [{}], {LIMIT}", env("JVM_OPTS", "-Xmx2g")), "warn"),
        (format!("image: 'cassandra:5', env: [{}], {LIMIT}", env("JVM_OPTS", "-Xmx2g")), "fail"),
        (format!("env: [{}], {LIMIT}", env("ES_JAVA_OPTS", "-Xmx2g")), "fail"),
    ];
    for (container, expected) in cases.into_iter().chain(of_scripts) {
        assert_eq!(judged(&container), expected, "{container}");
    }
}

#[test]
fn exit_codes_say_whether_the_gate_holds_and_whether_the_work_was_done() {
    let unsafe_ones = format!("{BAD}/unsafe.yaml");
    for (fail_on, code) in [("fail", 1), ("warn", 1), ("unknown", 1), ("never", 0)] {
        assert_eq!(manifest(&[&unsafe_ones, "--fail-on", fail_on]).code, Some(code), "{fail_on}");
    }
    assert_eq!(manifest(&[BAD]).code, Some(1));
    let run = manifest(&["no/such/file.yaml", &unsafe_ones]);
    assert_eq!(run.code, Some(2));
    assert!(run.stdout.contains("1 fail") && run.stderr.contains("no/such/file.yaml: No such file"), "{}", run.stderr);
    for empty in ["", "\n---\n# only a comment\n---\n"] {
        let run = given(empty, &[]);
        assert_eq!(run.code, Some(2), "{empty:?}: {}", run.stdout);
        assert!(run.stderr.contains("no objects passed") && !run.stdout.contains("nothing wrong"), "{}", run.stdout);
    }
    let folder = scratch("empty-folder");
    assert_eq!(manifest(&[folder.to_str().unwrap()]).code, Some(2));
    for (name, text) in [("comments.yaml", "# only a comment\n---\n"), ("empty.yaml", "")] {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        let run = manifest(&[file.to_str().unwrap()]);
        assert!(run.code == Some(0) && run.stderr.contains("nothing was judged"), "{name}: {}", run.stderr);
        assert_eq!(manifest(&[file.to_str().unwrap(), "--fail-on", "unknown"]).code, Some(1), "{name}");
    }
    // What was named and is no YAML is not what was meant; in a folder it is something else, and so is a template.
    let broken = folder.join("broken.yaml");
    for (text, code) in [("a: [\n", 2), ("a: [{% if x %}\n", 0), ("{\n  // b\n  \"a\": 1\n}\n", 0)] {
        fs::write(&broken, text).unwrap();
        let run = manifest(&[broken.to_str().unwrap()]);
        assert_eq!((run.code, run.stderr.contains("broken.yaml: ")), (Some(code), code == 2), "{text}: {}", run.stderr);
        assert_eq!(manifest(&[folder.to_str().unwrap()]).code, Some(0), "{text}");
    }
    assert_eq!(given("[1, 2", &[]).code, Some(2));
    for nothing in ["hello", "[]", "{\"a\": 1}\n{\"a\": 2}\n"] {
        let run = given(nothing, &[]);
        assert_eq!(run.code, Some(0), "{nothing:?}: {}", run.stdout);
        assert_eq!(given(nothing, &["--fail-on", "unknown"]).code, Some(1));
        assert!(run.stderr.contains("nothing was judged") && !run.stdout.contains("nothing wrong"), "{}", run.stdout);
    }
    assert_eq!(manifest(&["-", "-"]).code, Some(2));
}

#[test]
fn folders_are_read_to_the_bottom_and_other_files_are_not() {
    let folder = scratch("manifest_folder");
    fs::create_dir_all(folder.join("a/b")).unwrap();
    for (name, text) in
        [("a/b/one.yml", pod("ulimits: {}")), ("two.json", "{\"a\": 1}".to_owned()), ("c.txt", "[".to_owned())]
    {
        fs::write(folder.join(name), text).unwrap();
    }
    let told = json(&[folder.to_str().unwrap()]);
    assert_eq!((&told["summary"]["files"], &told["summary"]["fail"]), (&Value::from(2), &Value::from(1)), "{told:#}");
    assert!(told["findings"][0]["file"].as_str().unwrap().ends_with("a/b/one.yml"));
}

const READ: &str = "fixtures/manifests/read";

#[test]
fn pods_are_found_by_their_shape_wherever_they_lie() {
    let expected: [(&str, &[&str]); 3] = [
        (
            "custom.yaml",
            &[
                "DeploymentConfig/web, spec.template.spec: impossible",
                "Elasticsearch/logs, spec.nodeSets[1].podTemplate.spec, container elasticsearch: no-such-field",
                "FlinkDeployment/flow, spec.podTemplate, container job: no-such-field",
                "InferenceService/model, spec.predictor, container server: no-such-field",
                "Service/web, spec.template.spec: jvm",
                "Deployment/inner, container app: no-such-field",
                "RayCluster/rays, spec.headGroupSpec.template.spec, container head: no-such-field",
                "Rollout/web, spec.template.spec: impossible",
                "Rollout/web, spec.template.spec, container app: no-such-field",
                "KafkaNodePool/broker, spec: jvm",
                "Kafka/events, spec.kafka: jvm",
                "Workflow/build-, spec: impossible",
                "Workflow/build-, spec.templates[0]: jvm",
                "Task/compile, spec, container javac: jvm",
            ],
        ),
        (
            "typed-list.yaml",
            &["Deployment/one, container a: no-such-field", "Deployment/two, container a: no-such-field"],
        ),
        ("typed-list.json", &["Pod/one, container a: no-such-field"]),
    ];
    for (name, faults) in expected {
        let told = json(&[&format!("{READ}/{name}")]);
        let found = told["findings"].as_array().unwrap().iter();
        let found: Vec<String> = found
            .map(|one| format!("{}: {}", one["subject"].as_str().unwrap(), one["check"].as_str().unwrap()))
            .collect();
        assert_eq!(found, faults, "{name}");
    }
    let told = json(&[&format!("{READ}/custom.yaml")]);
    assert_eq!(told["summary"]["passed_over_kinds"], serde_json::json!({ "Service": 1, "Widget": 2 }));
    let run = manifest(&[&format!("{READ}/custom.yaml")]);
    let told = run.stdout.replace('\n', " ");
    assert!(told.contains("3 objects without a pod passed over: 2 Widget, 1 Service"), "{told}");
}

#[test]
fn configurations_of_nodes_and_containers_of_other_platforms_are_judged_by_their_rules() {
    let expected: [(&str, &[&str]); 4] = [
        (
            "node.yaml",
            &[
                "6:5 impossible fail",
                "7:5 impossible fail",
                "8:5 impossible warn",
                "9:5 no-such-sysctl warn",
                "10:5 impossible fail",
                "11:5 impossible warn",
                "17:8 conntrack warn",
                "18:3 no-such-field warn",
                "32:12 conntrack warn",
                "51:41 flags warn",
            ],
        ),
        (
            "compose.yaml",
            &[
                "4:21 ulimits fail",
                "10:32 sysctl-value fail",
                "11:7 impossible fail",
                "20:9 host-namespace fail",
                "21:9 no-such-sysctl fail",
                "27:15 host-namespace fail",
                "27:67 impossible fail",
                "30:57 ulimits fail",
                "30:61 ulimits fail",
            ],
        ),
        ("task.json", &["10:24 impossible fail", "12:52 ulimits fail", "17:72 duplicate warn"]),
        ("cloudformation.yaml", &["10:41 host-namespace fail"]),
    ];
    for (name, faults) in expected {
        assert_eq!(found(&[&format!("{READ}/{name}")]), faults, "{name}");
    }
    let told = json(&[&format!("{READ}/compose.yaml"), "--burst", "2000"]);
    let load: Vec<&Value> = told["findings"].as_array().unwrap().iter().filter(|one| one["check"] == "load").collect();
    assert!(load.len() == 1 && load[0]["subject"] == "service web" && load[0]["line"] == 9, "{load:?}");
    // What kube-proxy makes of min, and a kubelet of kernel.domainname, depends on the release.
    let node = format!("{READ}/node.yaml");
    let older = found(&[&node, "--kubernetes-version", "1.35"]);
    assert!(older.contains(&"11:5 impossible fail".to_owned()) && !older.contains(&"32:12 conntrack warn".to_owned()));
    let newer = found(&[&node, "--kubernetes-version", "1.37"]);
    assert!(newer.iter().all(|one| !one.starts_with("11:5")) && newer.contains(&"32:12 conntrack warn".to_owned()));
}

#[test]
fn a_field_that_no_release_has_is_told_as_the_api_server_does() {
    let file = format!("{READ}/unknown-fields.yaml");
    let told = json(&[&file]);
    let found = told["findings"].as_array().unwrap().iter();
    let found: Vec<String> = found
        .map(|one| {
            assert_eq!((&one["check"], &one["outcome"]), (&Value::from("no-such-field"), &Value::from("fail")));
            let says = one["says"].as_str().unwrap().split(':').next().unwrap();
            format!("{}:{} {says}; {}", one["line"], one["column"], one["change"].as_str().unwrap())
        })
        .collect();
    let expected = [
        "9:7 unknown field spec.hostnetwork; did you mean hostNetwork?",
        "15:11 unknown field spec.containers[0].hostPID; move it: a pod's spec has a field of this name",
        "16:24 unknown field spec.containers[0].resources.limit; did you mean limits?",
        "17:60 unknown field spec.containers[0].livenessProbe.timeoutSecond; did you mean timeoutSeconds?",
        "19:76 unknown field spec.containers[0].env[0].valueFrom.fieldRef.api; delete it",
        "22:55 unknown field spec.volumes[0].ephemeral.volumeClaimTemplate.spec.storageClass; \
         did you mean storageClassName?",
        "27:13 unknown field spec.securityContext.sysctls[0].unsafe; delete it",
    ];
    assert_eq!(found, expected);
    // A release that is not known yet may have them.
    let newer = json(&[&file, "--kubernetes-version", "1.38"]);
    assert_eq!((&newer["summary"]["fail"], &newer["summary"]["unknown"]), (&Value::from(0), &Value::from(7)));
}

#[test]
fn a_release_newer_than_the_newest_known_is_judged_as_that_and_a_patch_of_it_is_no_newer_one() {
    let file = format!("{BAD}/unsafe.yaml");
    let newer = manifest(&[&file, "--kubernetes-version", "1.40"]);
    assert_eq!(newer.code, Some(1), "{}", newer.stderr);
    assert!(
        newer.stderr.contains("Kubernetes 1.40 is newer than what is known here: judged as 1.37"),
        "{}",
        newer.stderr
    );
    let newest = manifest(&[&file, "--kubernetes-version", "1.37.9"]);
    assert_eq!((newest.stdout.as_str(), newest.stderr.as_str()), (newer.stdout.as_str(), ""));
    for refused in ["1.24", "2.0", "v", "1.x"] {
        assert_eq!(manifest(&[&file, "--kubernetes-version", refused]).code, Some(2), "{refused}");
    }
    // The kubelet takes slashes in its list for dots.
    let allowed = ["--allowed-unsafe-sysctls", "net/core/somaxconn"];
    assert_eq!(
        given(sysctl("net.core.somaxconn", "\"1024\""), &[&allowed[..], &["--fail-on", "unknown"]].concat()).code,
        Some(0)
    );
}

#[test]
fn objects_beside_a_pod_say_what_it_gets() {
    let object = |kind: &str, rest: &str| format!("apiVersion: v1\nkind: {kind}\n{rest}\n---\n");
    let pod = |container: &str| {
        let spec = format!(
            "securityContext: {{sysctls: [{{name: net.core.somaxconn, value: '4096'}}]}}\n  containers: [{{name: a, image: x, {container}}}]"
        );
        object("Pod", &format!("metadata: {{name: p, namespace: n}}\nspec:\n  {spec}"))
    };
    let namespace = |name: &str, level: &str| {
        object(
            "Namespace",
            &format!("metadata: {{name: {name}, labels: {{pod-security.kubernetes.io/enforce: {level}}}}}"),
        )
    };
    let map = |namespace: &str, name: &str, heap: &str| {
        object(
            "ConfigMap",
            &format!("metadata: {{name: {name}, namespace: {namespace}}}\ndata: {{JAVA_TOOL_OPTIONS: '{heap}'}}"),
        )
    };
    let range = |limits: &str| {
        object(
            "LimitRange",
            &format!("metadata: {{name: r, namespace: n}}\nspec: {{limits: [{{type: Container, {limits}}}]}}"),
        )
    };
    let limited = "resources: {limits: {memory: 1Gi}}";
    let from = "envFrom: [{configMapRef: {name: c}}]";
    let by_key = "env: [{name: JAVA_TOOL_OPTIONS, valueFrom: {configMapKeyRef: {name: c, key: JAVA_TOOL_OPTIONS}}}]";
    let percent = "env: [{name: JAVA_TOOL_OPTIONS, value: '-XX:MaxRAMPercentage=75'}]";
    let cases: [(String, &str); 16] = [
        (namespace("n", "baseline") + &pod(""), "namespace"),
        (pod("") + &namespace("n", "restricted"), "namespace"),
        (namespace("n", "privileged") + &pod(""), "kubelet"),
        (namespace("other", "baseline") + &pod(""), "kubelet"),
        (namespace("n", "baseline") + &namespace("n", "privileged") + &pod(""), "kubelet"),
        (map("n", "c", "-Xmx4g") + &pod(&format!("{from}, {limited}")), "jvm fail, kubelet"),
        (map("n", "c", "-Xmx4g") + &pod(&format!("{by_key}, {limited}")), "jvm fail, kubelet"),
        (map("n", "c", "-Xmx512m") + &pod(&format!("{from}, {limited}")), "kubelet"),
        (map("other", "c", "-Xmx4g") + &pod(&format!("{from}, {limited}")), "kubelet"),
        (map("n", "c", "-Xmx4g") + &map("n", "c", "-Xmx1m") + &pod(&format!("{from}, {limited}")), "kubelet"),
        (pod(percent), "jvm warn, kubelet"),
        (range("default: {memory: 1Gi}") + &pod(percent), "kubelet"),
        (range("max: {memory: 1Gi}") + &pod(percent), "kubelet"),
        (range("default: {cpu: 1}") + &pod(percent), "jvm warn, kubelet"),
        (range("default: {memory: 1Gi}") + &map("n", "c", "-Xmx4g") + &pod(from), "jvm fail, kubelet"),
        (
            format!(
                "configMapGenerator:\n- name: c\n  literals: ['JAVA_TOOL_OPTIONS=-Xmx4g']\nnamespace: n\n---\n{}",
                pod(&format!("{from}, {limited}"))
            ),
            "jvm fail, kubelet",
        ),
    ];
    let told = |told: &Value| -> String {
        let findings = told["findings"].as_array().unwrap().iter();
        let mut found: Vec<String> = findings
            .map(|one| match one["says"].as_str().unwrap() {
                says if says.contains("a namespace that enforces") => "namespace".to_owned(),
                says if says.contains("a kubelet that does not allow it") => "kubelet".to_owned(),
                _ => format!("{} {}", one["check"].as_str().unwrap(), one["outcome"].as_str().unwrap()),
            })
            .collect();
        found.sort();
        found.join(", ")
    };
    let folder = scratch("manifest_surroundings");
    for (at, (text, expected)) in cases.iter().enumerate() {
        let given: Value = serde_json::from_str(&given(text, &["--format", "json"]).stdout).unwrap();
        assert_eq!(told(&given), *expected, "{text}");
        // The same in files of one folder, and nothing of another folder's.
        let own = folder.join(at.to_string());
        fs::create_dir_all(&own).unwrap();
        for (part, object) in text.split("---\n").filter(|object| !object.is_empty()).enumerate() {
            fs::write(own.join(format!("{part}.yaml")), object).unwrap();
        }
        assert_eq!(told(&json(&[own.to_str().unwrap()])), *expected, "{text}");
    }
}

#[test]
fn what_kubectl_reads_is_read() {
    let one = pod("ulimits: 5");
    let json = |name: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}},\"spec\":{{\"ulimits\":5}}}}"
        )
    };
    let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(order).collect()
    };
    let cases: [(Vec<u8>, &[&str]); 6] = [
        (format!("{one}---\n\u{feff}{one}").into_bytes(), &["5:3", "12:3"]),
        (format!("\u{feff}{one}").replace('\n', "\r\n").into_bytes(), &["5:3"]),
        (utf16(&one, u16::to_le_bytes), &["5:3"]),
        (utf16(&one, u16::to_be_bytes), &["5:3"]),
        (format!("{}\n{}\n", json("a"), json("b")).into_bytes(), &["1:65", "2:65"]),
        (format!("{}{}", json("a"), json("b")).into_bytes(), &["1:65", "1:142"]),
    ];
    for (bytes, places) in cases {
        let run = given(&bytes, &["--format", "json"]);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let found = told["findings"].as_array().unwrap().iter();
        let found: Vec<String> = found.map(|one| format!("{}:{}", one["line"], one["column"])).collect();
        assert_eq!(found, places, "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(told["summary"]["fail"], places.len());
        let file = scratch("manifest_kubectl").join("file.yaml");
        fs::write(&file, &bytes).unwrap();
        let of_file = manifest(&[file.to_str().unwrap(), "--format", "json"]).stdout;
        assert_eq!(of_file.replace(file.to_str().unwrap(), "-"), run.stdout);
    }
}

#[test]
fn what_is_no_manifest_is_passed_over_and_counted() {
    let no_manifests = [
        "{\n  // comments\n  \"group\": {\"kind\": \"build\"}\n}\n",
        "{\"id\": 1}\n{\"id\": 2}\n",
        "owners:\n  - @someone\n",
        "- op: add\n  path: /spec/replicas\n  value: 3\n",
        "a: [\n",
        "\u{0}\u{1}",
    ];
    let folder = scratch("manifest_others");
    for (at, text) in no_manifests.iter().enumerate() {
        fs::write(folder.join(format!("{at}.json")), text).unwrap();
    }
    let told = json(&[folder.to_str().unwrap()]);
    assert_eq!(told["findings"], Value::Array(Vec::new()));
    assert_eq!(told["summary"]["not_manifests"], 7);
    fs::write(folder.join("pod.yaml"), pod("hostPID: true")).unwrap();
    let run = manifest(&[folder.to_str().unwrap(), "--fail-on", "unknown"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.contains("1 pod spec judged in 7 files"), "{}", run.stdout);
}

#[test]
fn templates_are_told_of_once_a_folder_and_what_helm_filled_in_by_its_source() {
    let folder = scratch("manifest_chart");
    fs::create_dir_all(folder.join("templates/tests")).unwrap();
    for name in ["a.yaml", "b.yaml", "tests/c.yaml"] {
        let text = "apiVersion: v1\nkind: {{ .Values.kind }}\n---\n{{ if .Values.b }}\napiVersion: v1\n{{ end }}\n";
        fs::write(folder.join("templates").join(name), text).unwrap();
    }
    let told = json(&[folder.to_str().unwrap()]);
    assert_eq!((&told["summary"]["unknown"], &told["summary"]["templates"]), (&Value::from(1), &Value::from(6)));
    assert!(told["findings"][0]["says"].as_str().unwrap().contains("6 documents in 3 files"), "{told:#}");
    assert_eq!(manifest(&[folder.to_str().unwrap(), "--fail-on", "unknown"]).code, Some(1));

    let filled_in = format!("---\n# Source: gateway/templates/pod.yaml\n{}", pod("ulimits: 5"));
    let run = given(&filled_in, &["--format", "json"]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    let one = &told["findings"][0];
    assert_eq!((&one["file"], &one["read_from"]), (&Value::from("gateway/templates/pod.yaml"), &Value::from("-")));
    let table = given(&filled_in, &[]).stdout;
    assert!(table.starts_with("gateway/templates/pod.yaml (-:7:3): FAIL"), "{table}");
    let github = given(&filled_in, &["--format", "github"]).stdout;
    assert!(github.starts_with("::error file=gateway/templates/pod.yaml,title="), "{github}");
}

#[test]
fn a_document_is_bounded_and_a_stream_is_not() {
    let padding = "y".repeat(4000);
    let pods: String = (0..3_000)
        .map(|at| format!("- {{apiVersion: v1, kind: Pod, metadata: {{name: p{at}, annotations: {{x: {padding}}}}}, spec: {{containers: [{{name: a, image: x}}]}}}}\n"))
        .collect();
    let run = given(format!("apiVersion: v1\nkind: List\nitems:\n{pods}"), &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("3000 pod specs judged in 1 file"), "{}", run.stdout);
    // Documents whose aliases stand for more than their bytes pay from one purse.
    let laughs: String =
        (1..9).map(|n| format!("  a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
    let bomb = format!("---\napiVersion: example.com/v1\nkind: Bomb\nspec:\n  a0: &a0 [x]\n{laughs}");
    let run = given(bomb.repeat(300), &["--format", "json"]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, &told["summary"]["unknown"]), (Some(0), &Value::from(1)), "{told:#}");
}

#[test]
fn no_secret_of_a_manifest_is_printed() {
    const SECRET: &str = "hunter2-S3CRET";
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {SECRET}}}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {{name: p, annotations: {{a: {SECRET}}}}}\nspec:\n  ulimits: {SECRET}\n  containers:\n  - name: c\n    image: {SECRET}\n    \
         command: [java, -Dpassword={SECRET}, -Xmx2g, -Xms4g, -XX:MaxRAMPercentage=95, -jar, {SECRET}]\n    \
         env:\n    - {{name: TOKEN, value: {SECRET}}}\n    - {{name: JAVA_TOOL_OPTIONS, value: '-Dkey={SECRET} -Xmx3g'}}\n    \
         resources: {{limits: {{memory: 1Gi}}}}\n---\napiVersion: [{SECRET}\n  {SECRET}: {SECRET}\n---\napiVersion: \"{SECRET}: \\q{SECRET}\"\n---\napiVersion: *{SECRET}\n"
    );
    for format in ["table", "json", "github"] {
        let run = given(&text, &["--format", format, "--burst", "600"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stdout.contains("-Xmx") && run.stdout.contains("syntax"), "{}", run.stdout);
        assert!(!run.stdout.contains("S3CRET") && !run.stderr.contains("S3CRET"), "{}{}", run.stdout, run.stderr);
    }
}

#[test]
fn text_of_others_drives_no_terminal_and_no_workflow() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: \"a\\e[31m\\r\\n::error::x\\u202e\"\nspec:\n  ulimits: {}\n  containers: [{name: \"b,\\n%0A\"}]\n";
    for format in ["table", "json", "github"] {
        let out = given(text, &["--format", format]).stdout;
        let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!out.contains(hostile), "{out:?}");
        assert!(
            out.lines().filter(|line| line.contains("::error")).all(|line| format != "table" || !line.starts_with(':'))
        );
    }
    let out = given(text, &["--format", "github"]).stdout;
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(out.starts_with("::error file=-,line=6,col=3,title=tunecheck manifest/no-such-field::Pod/a"), "{out}");
    let folder = scratch("manifest_names");
    let named = folder.join("a,b:c\n::error::.yaml");
    fs::write(&named, pod("ulimits: {}")).unwrap();
    let out = manifest(&[named.to_str().unwrap(), "--format", "github"]).stdout;
    assert!(out.lines().count() == 1 && out.contains("a%2Cb%3Ac%0A%3A%3Aerror%3A%3A.yaml,line=5"), "{out}");
}

#[test]
fn the_json_is_what_its_schema_says() {
    let printed = run(["rules", "schema", "--manifest"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let schema: Value = serde_json::from_str(&printed.stdout).unwrap();
    for check in CHECKS {
        let id = check.id.strip_prefix("manifest/").unwrap();
        assert!(printed.stdout.contains(&format!("`{id}`")), "{id}");
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    for args in [&[BAD][..], &[GOOD], &["nowhere", BAD, "--burst", "600"]] {
        let told = json(args);
        assert_eq!(told["schema"], "tunecheck.manifest/v1");
        let wrong: Vec<String> = validator.iter_errors(&told).map(|error| error.to_string()).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}

fn judged(bytes: &[u8]) -> Judged {
    let rules = RuleSet::built_in();
    let known = PodSysctls::of(rules.iter());
    let options = Options {
        kubernetes: None,
        pod_security: None,
        allowed: &[],
        known: &known,
        folder: &Surroundings::default(),
        steps: &Steps::default(),
        load: None,
    };
    judge("file", bytes, options)
}

/// Judges and prints in every form; the faults lie in the file.
fn holds(bytes: &[u8]) {
    let judged = judged(bytes);
    let lines = String::from_utf8_lossy(bytes).lines().count();
    for fault in &judged.faults {
        assert!(CHECKS.iter().any(|check| check.id.strip_prefix("manifest/") == Some(fault.check)), "{fault:?}");
        assert!(fault.mark.line >= 1 && fault.mark.column >= 1 && fault.mark.line <= lines + 2, "{fault:?} of {lines}");
        assert!(matches!(fault.outcome, Outcome::Fail | Outcome::Warn | Outcome::Unknown), "{fault:?}");
        assert!(!fault.says.is_empty());
    }
    let manifests = Manifests { files: vec![judged], unreadable: Vec::new() };
    let style = Style { width: 80, height: None, colour: true, only_failed: false, verbose: false };
    report::manifest_table(&manifests, style);
    report::manifest_github(&manifests);
    report::manifest_json(&manifests, false).unwrap();
}

#[test]
fn what_is_beyond_the_limits_of_this_reader_is_unknown_and_what_nobody_can_read_fails() {
    let deep = format!("apiVersion: {}{}", "[".repeat(101), "]".repeat(101));
    let many = format!("apiVersion: [{}]", "1,".repeat(3_000_001));
    for (text, outcome) in [
        (deep.as_bytes(), Outcome::Unknown),
        (many.as_bytes(), Outcome::Unknown),
        (b"apiVersion: {{ .Values.a }}b", Outcome::Unknown),
        (b"apiVersion: v1\nvalue: {{ .Values.a | quote }}", Outcome::Unknown),
        (b"apiVersion: v1\n? {a: b}\n: c", Outcome::Fail),
        (b"apiVersion: [", Outcome::Fail),
        (b"apiVersion: *b", Outcome::Fail),
        (b"apiVersion: &a [*a]", Outcome::Fail),
        (b"apiVersion: \xff", Outcome::Fail),
    ] {
        let faults = judged(text).faults;
        let [fault] = faults.as_slice() else { panic!("{faults:?}") };
        assert_eq!((fault.check, fault.outcome), ("syntax", outcome), "{fault:?}");
    }
}

#[test]
fn aliases_of_aliases_and_deep_nesting_come_to_an_end() {
    let laughs: String =
        (1..30).map(|n| format!("- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))).collect();
    let containers: String = (0..2000).map(|_| "  - *c\n".to_owned()).collect();
    let lists: String = (0..2000).map(|_| "- *l\n".to_owned()).collect();
    let bombs = [
        format!("- &a0 [x]\n{laughs}"),
        format!(
            "apiVersion: v1\nkind: List\nx: &l\n  apiVersion: v1\n  kind: Pod\n  spec:\n   c: &c {{name: x, ulimits: {{}}}}\n   containers:\n{}items:\n{lists}",
            containers.replace("  -", "   -")
        ),
        "apiVersion: v1\nkind: List\nitems: &i [*i]\n".to_owned(),
        "a: &a\n  <<: *a\n".to_owned(),
        "[".repeat(200_000),
        "{a: ".repeat(200_000),
        "- ".repeat(200_000),
        "? ".repeat(100_000),
        "---\n[\n".repeat(50_000),
        (0..100_000).map(|n| format!("k{n}: v\n")).collect(),
    ];
    for bomb in bombs {
        let start = Instant::now();
        holds(bomb.as_bytes());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?} for {}...", start.elapsed(), &bomb[..60]);
    }
}

/// As many cases, the same in every run unless the environment says otherwise.
fn cases(cases: u32) -> ProptestConfig {
    let told = ProptestConfig::default();
    let rng_seed = if told.rng_seed == RngSeed::Random { RngSeed::Fixed(20_000) } else { told.rng_seed };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { told.cases } else { cases }, rng_seed, failure_persistence: None, ..told }
}

fn corpus() -> Vec<Vec<u8>> {
    let folders = [GOOD, BAD].map(|folder| entries(Path::new(ROOT).join(folder)));
    folders.iter().flatten().map(|path| fs::read(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_bytes_end_in_a_report(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        holds(&bytes);
    }

    #[test]
    fn any_pieces_of_yaml_end_in_a_report(
        words in proptest::collection::vec(
            select(vec!["\n", "- ", ": ", "{", "}", "[", "]", "\"", "'", "|", ">", "---", "...", "%", "&a ", "*a", "<<: ",
                "!!str ", "  ", "\t", "#", "?", ",", "\u{feff}", "\r", "é", "apiVersion: v1\n", "kind: Pod\n", "spec:\n",
                "containers:", "sysctls:", "securityContext:", "name: net.core.somaxconn", "value: 1"]),
            0..60,
        )
    ) {
        holds(words.concat().as_bytes());
    }

    #[test]
    fn any_change_of_a_manifest_ends_in_a_report(
        text in select(corpus()),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut text = text;
        for (at, byte, how) in changes {
            let at = at.index(text.len().max(1)).min(text.len().saturating_sub(1));
            match how {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
        }
        holds(&text);
        holds(&text[..end.index(text.len() + 1)]);
    }
}

#[test]
fn no_change_is_looked_up_at_a_place_that_holds_another_one() {
    let folder = scratch("commands-at-one-place");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: a }\nspec:\n  initContainers:\n  - name: tune\n    image: x\n    \
               securityContext: { privileged: true }\n    command: [sh, -c, 'sysctl -w fs.file-max=65536; sysctl -w \
               net.ipv4.tcp_tw_recycle=1; sysctl -w vm.max_map_count=262144 net.ipv4.tcp_timestamps=0']\n  containers: [{ name: a, image: x }]\n";
    fs::write(folder.join("pod.yaml"), pod).unwrap();
    let told = manifest(&[folder.to_str().unwrap()]).stdout;
    assert_eq!(told.matches("change   set it where the node is made").count(), 2, "{told}");
    assert!(!told.contains("as under"), "{told}");
    assert!(told.contains("net.ipv4.tcp_timestamps 0: the kernel's default is 1"), "{told}");
}

#[test]
fn direct_memory_that_is_told_has_to_fit_beside_the_heap() {
    let told = |options: &str| {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  containers:\n  - {{name: c, image: i, env: [{{name: JAVA_TOOL_OPTIONS, value: \
             '{options}'}}], resources: {{limits: {{memory: 2Gi}}}}}}\n"
        );
        given(&pod, &[]).stdout
    };
    const DIRECT: &str = "-XX:MaxDirectMemorySize=512m";
    let heap = told(&format!("-Xmx2g {DIRECT}"));
    assert!(heap.contains("change   -XX:MaxRAMPercentage=70 in place of -Xmx"), "{heap}");
    // What is proposed is found to be right, and what it replaces is not.
    let share = told(&format!("-XX:MaxRAMPercentage=75 {DIRECT}"));
    assert!(
        share.contains("are 2048 MiB together") && share.contains("change   -XX:MaxRAMPercentage=70, or"),
        "{share}"
    );
    assert!(told(&format!("-XX:MaxRAMPercentage=70 {DIRECT}")).contains("nothing wrong found"));
    assert!(told("-XX:MaxRAMPercentage=75").contains("nothing wrong found"));
    let most = told("-Xmx2g -XX:MaxDirectMemorySize=2g");
    assert!(most.contains("change   a higher limit, or less of what is told beside the heap"), "{most}");
}

#[test]
fn a_command_that_cannot_write_a_sysctl_of_the_pod_is_sent_to_the_pods_own_spec() {
    let told = |name: &str, network: &str| {
        let pod = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec:\n  {network}\n  containers:\n  - {{name: c, image: i, command: [sysctl, -w, \
             {name}=1024]}}\n"
        );
        given(&pod, &[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let own = told("net.core.somaxconn", "hostname: h");
    assert!(own.contains("change securityContext.sysctls of the pod") && own.contains("allowedUnsafeSysctls"), "{own}");
    let safe = told("net.ipv4.tcp_keepalive_time", "hostname: h");
    assert!(safe.contains("safe for kubelets from 1.29") && !safe.contains("allowedUnsafe"), "{safe}");
    for (name, network) in [
        ("net.core.somaxconn", "hostNetwork: true"),
        ("vm.max_map_count", "hostname: h"),
        ("net.core.rmem_max", "hostname: h"),
    ] {
        let node = told(name, network);
        assert!(node.contains("set it where the node is made") && !node.contains("securityContext.sysctls"), "{node}");
    }
}
