//! The part of kube-proxy.

use serde_json::{Value, json};

use crate::Behaviour;
use crate::reports::{Fixes, finding, fix, report, run_fix, sysctl};

pub(crate) const ALL: &[Behaviour] = &[
    ("kube_proxy_never_lowers_a_node", &[], true, kube_proxy_never_lowers_a_node),
    ("beyond_what_kube_proxy_sets_the_node_does", &[], true, beyond_the_cap),
    ("an_unknown_value_is_left_to_a_person", &[], true, an_unknown_value),
    ("a_timeout_is_never_below_its_own", &[], true, timeouts),
    ("the_hash_grows_with_the_table", &[], true, the_hash),
    ("its_configuration_is_merged_by_hand", &[], true, merged_by_hand),
];
/// What kube-proxy sets at most since 1.36.
const CAP: i64 = 1_048_576;

fn table(old: impl Into<Value>, new: i64) -> Value {
    finding("conntrack/max", &[sysctl("net.netfilter.nf_conntrack_max", old, new)])
}

/// A table that is full is asked to be doubled.
fn full(old: i64) -> Value {
    finding("conntrack/fill", &[sysctl("net.netfilter.nf_conntrack_max", old, 2 * old)])
}

fn established(old: i64, new: i64) -> Value {
    let timeout = sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", old, new);
    let mut finding = finding("conntrack/established-timeout", &[timeout]);
    // The rule asks for twice the time that keep-alive takes.
    finding["want"]["warn_below"] = json!(new / 2);
    finding
}

fn of(release: &str, findings: &[Value]) -> Fixes {
    fix(&report("host", true, "6.1", findings), "kubernetes", &["--kubernetes-version", release])
}

/// The same for a declared load that takes a table of this size: two entries for each connection.
fn of_load(release: &str, finding: Value, entries: i64) -> Fixes {
    let mut report = report("host", true, "6.1", &[finding]);
    report["workload"]["connections"] = json!((entries + 1) / 2);
    fix(&report, "kubernetes", &["--kubernetes-version", release])
}

fn kube_proxy_never_lowers_a_node() {
    for minor in [25, 28, 29, 35, 36, 37] {
        for (per_core, least, cores) in [
            (32768, 131_072, 2),
            (32768, 131_072, 16),
            (32768, 300_000, 2),
            (65536, 0, 8),
            (0, 131_072, 4),
            (0, 300_000, 4),
        ] {
            // What the node has now, by that configuration or by its own.
            let live: i64 = (per_core * cores).max(least).min(CAP);
            // No rule asks for less than 262144.
            let asked = (live + 2).max(262_144)..=CAP;
            for wanted in [live + 2, live * 2, 262_144, CAP].into_iter().filter(|wanted| asked.contains(wanted)) {
                let fixes = of_load(&format!("1.{minor}"), table(live, wanted), wanted);
                let conntrack = &fixes.yaml("kube-proxy.yaml")["conntrack"];
                assert_eq!(*conntrack, json!({ "min": wanted }), "maxPerCore stays what it is");
                let after =
                    if per_core == 0 { live } else { (per_core * cores).max(conntrack["min"].as_i64().unwrap()) };
                assert!(after >= live, "1.{minor}: {live} to {after}");
            }
        }
    }
}

fn beyond_the_cap() {
    let big = 2 * CAP;
    for release in ["1.25", "1.35"] {
        assert_eq!(of(release, &[full(CAP)]).yaml("kube-proxy.yaml")["conntrack"], json!({ "min": big }));
    }
    for release in ["1.36", "1.37"] {
        let fixes = of(release, &[full(CAP)]);
        assert_eq!(fixes.yaml("kube-proxy.yaml")["conntrack"], json!({ "maxPerCore": 0 }), "{release}");
        let text = &fixes.files["kube-proxy.yaml"];
        assert!(text.contains(&format!("net.netfilter.nf_conntrack_max = {big}")), "the node's line is beside it");
    }
    let (refused, _) = run_fix(&report("host", true, "6.1", &[full(CAP)]), &["--to", "kubernetes"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("kubectl get nodes"), "{}", refused.stderr);
}

fn an_unknown_value() {
    let fixes = of("1.34", &[table(Value::Null, 262_144)]);
    assert!(!fixes.has("kube-proxy.yaml"));
    assert!(fixes.why("net.netfilter.nf_conntrack_max").contains("could lower it"));
    let above = fix(
        &report("host", true, "6.1", &[table(1000, 262_144)]),
        "kubernetes",
        &["--kubernetes-version", "1.34", "--max-safety", "safe"],
    );
    assert!(above.files.is_empty(), "{above:?}");
    assert!(above.why("net.netfilter.nf_conntrack_max").contains("above --max-safety safe"));
}

fn timeouts() {
    for (new, written) in [(1300, "86400s"), (86_400, "86400s"), (100_000, "100000s")] {
        let fixes = of("1.34", &[established(600, new)]);
        assert_eq!(fixes.yaml("kube-proxy.yaml")["conntrack"], json!({ "tcpEstablishedTimeout": written }));
        let k3s = fix(&report("host", true, "6.1", &[established(600, new)]), "k3s", &[]);
        let argument = format!("conntrack-tcp-timeout-established={written}");
        assert_eq!(k3s.yaml("config.yaml.d/90-tunecheck.yaml")["kube-proxy-arg+"], json!([argument]));
    }
    // A pod has a timeout of its own, which says nothing of the node's.
    for target in ["kubernetes", "k3s", "gke", "eks", "bottlerocket", "talos", "butane", "openshift", "aks"] {
        for kind in ["pod", "container"] {
            let fixes = fix(&report(kind, true, "6.1", &[established(600, 100_000)]), target, &[]);
            assert!(fixes.files.is_empty(), "{target} {kind}: {fixes:?}");
            fixes.why("net.netfilter.nf_conntrack_tcp_timeout_established");
        }
    }
}

/// With kube-proxy told to keep its hands off, the node grows the hash itself.
fn the_hash() {
    // A full table: twice as many entries, and half as many buckets as it had entries.
    let doubled = |old: i64| {
        let buckets = sysctl("net.netfilter.nf_conntrack_buckets", 65536, old / 2);
        finding("conntrack/fill", &[sysctl("net.netfilter.nf_conntrack_max", old, 2 * old), buckets])
    };
    let within = doubled(CAP / 2);
    assert!(of("1.36", &[within]).why("net.netfilter.nf_conntrack_buckets").contains("a quarter"));
    let why = of("1.36", &[doubled(CAP)]);
    let why = why.why("net.netfilter.nf_conntrack_buckets");
    assert!(!why.contains("a quarter") && why.contains("--to sysctl.d"), "{why}");
    for (target, path) in [
        ("k3s", "sysctl.d/90-tunecheck.conf"),
        ("eks", "user-data.mime"),
        ("butane", "tunecheck.bu"),
        ("bottlerocket", "settings.toml"),
        ("talos", "machine-patch.yaml"),
    ] {
        let fixes = fix(&report("host", true, "6.1", &[doubled(CAP)]), target, &["--kubernetes-version", "1.36"]);
        let text = &fixes.files[path];
        let at = |name: &str, value: i64| {
            let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            lines.any(|line| line.contains(name) && line.contains(&value.to_string()))
        };
        assert!(at("nf_conntrack_buckets", 524_288) && at("nf_conntrack_max", 2 * CAP), "{target}: {text}");
        if target != "k3s" {
            assert!(text.contains("maxPerCore: 0 (--to kubernetes)"), "{target}: {text}");
        }
    }
}

fn merged_by_hand() {
    let fixes = of("1.34", &[table(1000, 262_144), established(600, 7200)]);
    assert_eq!(
        fixes.yaml("kube-proxy.yaml"),
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            // Less than its own 86400 s would lower it on every node.
            "conntrack": { "min": 262_144, "tcpEstablishedTimeout": "86400s" },
        })
    );
    let text = &fixes.files["kube-proxy.yaml"];
    for step in ["Do NOT apply", "get configmap kube-proxy", "edit configmap kube-proxy", "rollout restart daemonset"] {
        assert!(text.contains(step), "{step}");
    }
    // What it does with the value is that of the release.
    let says = |release: &str| of(release, &[table(1000, 262_144)]).files["kube-proxy.yaml"].clone();
    assert!(says("1.28").contains("it does not lower them"));
    assert!(says("1.29").contains("also where that lowers"));
    assert!(says("1.36").contains("pull/142035"));
}
