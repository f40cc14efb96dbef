//! The part of kube-proxy.

use serde_json::{Value, json};

use crate::Behaviour;
use crate::reports::{Fixes, finding, fix, report, run_fix, sysctl};

pub(crate) const ALL: &[Behaviour] = &[
    ("kube_proxy_never_lowers_a_node", &[], true, kube_proxy_never_lowers_a_node),
    ("beyond_what_kube_proxy_sets_the_node_does", &[], true, beyond_the_cap),
    ("an_unknown_value_is_left_to_a_person", &[], true, an_unknown_value),
    ("its_configuration_is_merged_by_hand", &[], true, merged_by_hand),
];
/// What kube-proxy sets at most since 1.36.
const CAP: i64 = 1_048_576;

fn table(old: impl Into<Value>, new: i64) -> Value {
    finding("conntrack/max", &[sysctl("net.netfilter.nf_conntrack_max", old, new)])
}

fn of(release: &str, findings: &[Value]) -> Fixes {
    fix(&report("host", true, "6.1", findings), "kubernetes", &["--kubernetes-version", release])
}

fn kube_proxy_never_lowers_a_node() {
    for minor in [25, 28, 29, 35, 36, 37] {
        for (per_core, least, cores) in [(32768, 131_072, 2), (32768, 131_072, 16), (65536, 0, 8), (0, 131_072, 4)] {
            // What the node has now, by that configuration or by its own.
            let live: i64 = (per_core * cores).max(least).min(CAP);
            for wanted in
                [live + 1, live * 2, 262_144, CAP].into_iter().filter(|wanted| *wanted > live && *wanted <= CAP)
            {
                let fixes = of(&format!("1.{minor}"), &[table(live, wanted)]);
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
        assert_eq!(of(release, &[table(CAP, big)]).yaml("kube-proxy.yaml")["conntrack"], json!({ "min": big }));
    }
    for release in ["1.36", "1.37"] {
        let fixes = of(release, &[table(CAP, big)]);
        assert_eq!(fixes.yaml("kube-proxy.yaml")["conntrack"], json!({ "maxPerCore": 0 }), "{release}");
        let text = &fixes.files["kube-proxy.yaml"];
        assert!(text.contains(&format!("net.netfilter.nf_conntrack_max = {big}")), "the node's line is beside it");
    }
    let (refused, _) = run_fix(&report("host", true, "6.1", &[table(CAP, big)]), &["--to", "kubernetes"]);
    assert!(refused.code == Some(2) && refused.stderr.contains("kubectl version"), "{}", refused.stderr);
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
    assert_eq!(above.yaml("kube-proxy.yaml")["conntrack"], json!({}));
    assert!(above.files["kube-proxy.yaml"].contains("left to you: conntrack.min: 262144"));
}

fn merged_by_hand() {
    let established = finding(
        "conntrack/established-timeout",
        &[sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", 600, 7200)],
    );
    let fixes = of("1.34", &[table(1000, 262_144), established]);
    assert_eq!(
        fixes.yaml("kube-proxy.yaml"),
        json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "conntrack": { "min": 262_144, "tcpEstablishedTimeout": "7200s" },
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
