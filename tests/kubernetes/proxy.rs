//! The part of kube-proxy.

use serde_json::{Value, json};

use crate::Behaviour;
use crate::reports::{Fixes, finding, fix, report, run_fix, sysctl};

pub(crate) const ALL: &[Behaviour] = &[
    ("kube_proxy_never_lowers_a_node", &[], true, kube_proxy_never_lowers_a_node),
    ("beyond_its_cap_kube_proxy_takes_min_alone", &[], true, beyond_the_cap),
    ("an_unknown_value_is_left_to_a_person", &[], true, an_unknown_value),
    ("a_timeout_is_never_below_its_own", &[], true, timeouts),
    ("the_hash_grows_with_the_table", &[], true, the_hash),
    ("its_configuration_is_merged_by_hand", &[], true, merged_by_hand),
];
/// What kube-proxy makes of maxPerCore times the cores at most since 1.36.
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
            // No rule asks for less than 65536.
            let asked = (live + 2).max(65_536)..=CAP;
            for wanted in [live + 2, live * 2, 65_536, 262_144, CAP].into_iter().filter(|wanted| asked.contains(wanted))
            {
                let fixes = of_load(&format!("1.{minor}"), table(live, wanted), wanted);
                let conntrack = &fixes.yaml("kube-proxy.yaml")["conntrack"];
                // From the manual's load on its number is asked for, where a smaller one was recorded too.
                assert_eq!(*conntrack, json!({ "min": wanted.max(262_144) }), "maxPerCore stays what it is");
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
        // Above the cap it would ignore min on a node with many cores.
        let conntrack = &fixes.yaml("kube-proxy.yaml")["conntrack"];
        assert_eq!(*conntrack, json!({ "maxPerCore": 1, "min": big }), "{release}");
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

/// kube-proxy grows the hash with the table; K3s, which sets the table itself, does not.
fn the_hash() {
    // A full table: twice as many entries, and half as many buckets as it had entries.
    let doubled = |old: i64| {
        let buckets = sysctl("net.netfilter.nf_conntrack_buckets", 65536, old / 2);
        finding("conntrack/fill", &[sysctl("net.netfilter.nf_conntrack_max", old, 2 * old), buckets])
    };
    for old in [CAP / 2, CAP] {
        assert!(of("1.36", &[doubled(old)]).why("net.netfilter.nf_conntrack_buckets").contains("a quarter"), "{old}");
    }
    let k3s = fix(&report("host", true, "6.1", &[doubled(CAP)]), "k3s", &[]);
    assert!(k3s.files["sysctl.d/90-tunecheck.conf"].contains("\nnet.netfilter.nf_conntrack_buckets = 524288\n"));
    // Talos has kube-proxy leave the table to the node.
    let talos = fix(&report("host", true, "6.1", &[doubled(CAP)]), "talos", &[]);
    let sysctls = &talos.yaml("machine-patch.yaml")["machine"]["sysctls"];
    assert_eq!(sysctls["net.netfilter.nf_conntrack_max"], (2 * CAP).to_string());
    assert_eq!(sysctls["net.netfilter.nf_conntrack_buckets"], "524288");
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
