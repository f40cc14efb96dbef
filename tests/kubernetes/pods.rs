//! The part of pods, and the kubelet's part that goes with it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::Behaviour;
use crate::reports::{Fixes, all_of, everything, finding, fix, lower_nofile, nofile, report, run_fix, sysctl};
use crate::support::{recorded_hosts, run, scratch};

pub(crate) const ALL: &[Behaviour] = &[
    ("no_unsafe_sysctl_without_the_kubelet", &[], true, no_unsafe_sysctl_without_the_kubelet),
    ("a_range_is_not_widened_before_its_ports_are_reserved", &[], true, a_range_follows_its_reserved_ports),
    ("a_kernel_without_a_sysctl_of_its_own_for_pods_gets_none", &[], true, an_old_kernel),
    ("the_release_is_asked_for_where_it_decides", &[], true, the_release_is_asked_for),
    ("a_report_of_a_host_says_nothing_of_pods", &[], true, a_host),
    ("every_value_is_text_in_quotes", &[], true, every_value_is_text_in_quotes),
    ("what_a_patch_replaces_is_said_where_it_stands", &[], true, replaced_lists_are_told),
    ("resolver_options_come_where_a_rule_asks_for_them", &[], true, resolver),
    ("open_files_are_set_in_the_runtime_or_the_entrypoint", &["sh"], true, open_files),
    ("a_policy_version_is_told_with_each_sysctl", &[], true, policies),
    ("every_file_and_every_person_that_is_named_is_there", &[], true, named),
    ("every_recorded_machine_can_be_mended", &[], true, every_recorded_machine),
];

/// Safe sysctls by the first release whose kubelets admit them
/// (kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster).
const SAFE: &[(&str, u32)] = &[
    ("kernel.shm_rmid_forced", 4),
    ("net.ipv4.ip_local_port_range", 4),
    ("net.ipv4.tcp_syncookies", 4),
    ("net.ipv4.ping_group_range", 18),
    ("net.ipv4.ip_unprivileged_port_start", 22),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
    ("net.ipv4.tcp_slow_start_after_idle", 37),
    ("net.ipv4.tcp_notsent_lowat", 37),
];
/// What a runtime cannot write in a pod: absent there, or read-only (seen on Linux 6.18).
const HOST_ONLY: &[&str] = &[
    "fs.",
    "vm.",
    "kernel.",
    "net.core.rmem",
    "net.core.wmem",
    "net.core.netdev",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.neigh.default",
    "net.ipv6.neigh.default",
    "net.netfilter.",
];

/// The names that a pod would set, and those that the kubelet would allow.
fn names(fixes: &Fixes) -> (BTreeSet<String>, BTreeSet<String>) {
    let list = |value: &Value| -> BTreeSet<String> {
        let names = value.as_array().into_iter().flatten();
        names.map(|name| name["name"].as_str().or(name.as_str()).unwrap().to_owned()).collect()
    };
    let pod = match fixes.has("pod-patch.yaml") {
        true => list(&fixes.yaml("pod-patch.yaml")["spec"]["template"]["spec"]["securityContext"]["sysctls"]),
        false => BTreeSet::new(),
    };
    let kubelet = match fixes.has("kubelet.yaml") {
        true => list(&fixes.yaml("kubelet.yaml")["allowedUnsafeSysctls"]),
        false => BTreeSet::new(),
    };
    (pod, kubelet)
}

fn no_unsafe_sysctl_without_the_kubelet() {
    let mut seen = BTreeSet::new();
    for kind in ["pod", "container", "host-network-pod"] {
        let report = all_of(kind);
        for minor in 25..=37 {
            let release = format!("1.{minor}");
            let safe = |name: &str| SAFE.iter().any(|(safe, since)| *safe == name && *since <= minor);
            for level in ["privileged", "baseline", "restricted"] {
                for most in ["safe", "review", "manual"] {
                    let what = format!("{kind} {release} {level} {most}");
                    let fixes = fix(
                        &report,
                        "kubernetes",
                        &["--kubernetes-version", &release, "--pod-security", level, "--max-safety", most],
                    );
                    let (pod, kubelet) = names(&fixes);
                    let not_safe: BTreeSet<String> = pod.iter().filter(|name| !safe(name)).cloned().collect();
                    assert_eq!(not_safe, kubelet, "{what}");
                    for name in &pod {
                        assert!(!HOST_ONLY.iter().any(|start| name.starts_with(start)), "{what}: {name}");
                    }
                    if !not_safe.is_empty() {
                        assert_eq!((level, kind == "host-network-pod", most != "safe"), ("privileged", false, true));
                        let spec = &fixes.yaml("pod-patch.yaml")["spec"]["template"]["spec"];
                        assert_eq!(spec["nodeSelector"], json!({ "tunecheck/unsafe-sysctls": "allowed" }), "{what}");
                        assert_eq!(spec["tolerations"][0]["key"], "tunecheck/unsafe-sysctls", "{what}");
                    }
                    if kind == "host-network-pod" {
                        assert!(pod.is_empty(), "{what}: {pod:?}");
                    }
                    assert_eq!(most == "manual" && kind != "host-network-pod", most == "manual" && !pod.is_empty());
                    // The component says the same as the patch.
                    if fixes.has("pod-patch.yaml") {
                        let (patch, part) = (fixes.yaml("pod-patch.yaml"), fixes.yaml("component/patch.yaml"));
                        assert_eq!(patch["spec"], part["spec"], "{what}");
                    }
                    seen.extend(pod);
                }
            }
        }
    }
    // Else nothing was checked: both kinds have to occur.
    for name in ["net.core.somaxconn", "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.ip_local_reserved_ports"] {
        assert!(seen.contains(name), "{name}: {seen:?}");
    }
}

fn a_range_follows_its_reserved_ports() {
    let reserved = sysctl("net.ipv4.ip_local_reserved_ports", "8080", "8080,30000");
    let range = sysctl("net.ipv4.ip_local_port_range", json!([32768, 60999]), json!([10240, 65535]));
    let both = report("pod", false, "6.1", &[finding("ports/range", &[reserved, range.clone()])]);
    let at = |report: &Value, release: &str| {
        names(&fix(report, "kubernetes", &["--kubernetes-version", release, "--pod-security", "baseline"])).0
    };
    assert_eq!(at(&both, "1.27").len(), 2);
    // Reserved ports are not safe before 1.27, and baseline refuses what is not: the range, safe since 1.4, stays too.
    assert!(at(&both, "1.26").is_empty());
    let alone = report("pod", false, "6.1", &[finding("ports/range", &[range])]);
    assert_eq!(at(&alone, "1.25"), BTreeSet::from(["net.ipv4.ip_local_port_range".to_owned()]));
}

fn an_old_kernel() {
    let fin = sysctl("net.ipv4.tcp_fin_timeout", 30, 60);
    let of = |kernel: &str| {
        let report = report("pod", false, kernel, &[finding("time-wait/fin-timeout", std::slice::from_ref(&fin))]);
        fix(&report, "kubernetes", &["--kubernetes-version", "1.34"])
    };
    assert_eq!(names(&of("4.6.0")).0.len(), 1);
    let old = of("4.4.0-1127-aws");
    assert!(names(&old).0.is_empty() && !old.has("kubelet.yaml"), "{old:?}");
    assert!(old.why("net.ipv4.tcp_fin_timeout").contains("4.6 is the first that does"));
}

fn the_release_is_asked_for() {
    let (refused, out) = run_fix(&all_of("pod"), &["--to", "kubernetes"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--kubernetes-version") && refused.stderr.contains("kubectl get nodes"));
    assert!(!out.exists(), "nothing is written");
    for release in ["1.24", "2.0", "131"] {
        let (refused, _) = run_fix(&all_of("pod"), &["--to", "kubernetes", "--kubernetes-version", release]);
        assert_eq!(refused.code, Some(2), "{release}");
    }
    // A newer one than the newest known is judged as that, and it is said.
    let newest = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.37"]);
    for release in ["1.38", "1.99"] {
        let (made, out) = run_fix(&all_of("pod"), &["--to", "kubernetes", "--kubernetes-version", release]);
        assert_eq!(made.code, Some(0), "{release}: {}", made.stderr);
        assert!(
            made.stderr.contains(&format!("{release} is newer than what is known here: judged as 1.37")),
            "{}",
            made.stderr
        );
        assert!(fs::read_to_string(out.join("README.md")).unwrap().contains("judged as 1.37"));
        let patch = fs::read_to_string(out.join("kubernetes/pod-patch.yaml")).unwrap();
        assert_eq!(patch, newest.files["pod-patch.yaml"], "{release}");
    }
    // Where no pod is to be written, nothing depends on it.
    let fin = finding("time-wait/fin-timeout", &[sysctl("net.ipv4.tcp_fin_timeout", 30, 60)]);
    let fixes = fix(&report("host", false, "6.1", &[fin]), "kubernetes", &[]);
    assert!(fixes.files.is_empty(), "{fixes:?}");
}

fn a_host() {
    for kind in ["host", "namespace"] {
        let fixes = fix(&all_of(kind), "kubernetes", &["--kubernetes-version", "1.34"]);
        assert!(names(&fixes).0.is_empty() && !fixes.has("kubelet.yaml") && !fixes.has("crio.conf"), "{fixes:?}");
        let why = fixes.why("net.core.somaxconn");
        assert!(why.contains("says nothing of a pod's own network namespace"), "{why}");
    }
    let fixes = fix(&all_of("host-network-pod"), "kubernetes", &["--kubernetes-version", "1.34"]);
    let why = fixes.why("net.core.somaxconn");
    assert!(why.contains("hostNetwork: true takes no net.\\* sysctls"), "{why}");
}

fn every_value_is_text_in_quotes() {
    let fixes = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.37"]);
    for path in ["pod-patch.yaml", "component/patch.yaml"] {
        let values = fixes.files[path].lines().filter_map(|line| line.trim().strip_prefix("value: "));
        let numbers: Vec<&str> = values.filter(|value| *value != "allowed").collect();
        assert!(numbers.len() > 8, "{numbers:?}");
        for value in numbers {
            assert!(value.starts_with('"') && value.ends_with('"'), "{path}: {value}");
        }
        let sysctls = &fixes.yaml(path)["spec"]["template"]["spec"]["securityContext"]["sysctls"];
        for sysctl in sysctls.as_array().unwrap() {
            let name = sysctl["name"].as_str().unwrap();
            assert!(!name.contains('/') && sysctl["value"].is_string(), "{sysctl}");
        }
    }
}

fn replaced_lists_are_told() {
    let fixes = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.30", "--max-safety", "manual"]);
    for (path, lists) in [
        ("pod-patch.yaml", &["securityContext.sysctls", "tolerations", "dnsConfig.options"][..]),
        ("component/patch.yaml", &["securityContext.sysctls", "tolerations", "dnsConfig.options"]),
    ] {
        for list in lists {
            let text = &fixes.files[path];
            assert!(text.contains(&format!("WARNING: spec.template.spec.{list} is one list: this one REPLACES")));
            assert!(text.contains(&format!("-o jsonpath='{{.spec.template.spec.{list}}}'")), "{path} {list}");
        }
    }
    for (path, look) in [("kubelet.yaml", "/proxy/configz"), ("crio.conf", "grep -rn default_ulimits /etc/crio")] {
        assert!(fixes.files[path].contains("REPLACES") && fixes.files[path].contains(look), "{path}");
    }
}

fn resolver() {
    let ask = finding("conntrack/insert-failed", &[json!({ "site": "pod-manifest", "edit": { "kind": "ndots" } })]);
    for kind in ["pod", "host-network-pod"] {
        let report = report(kind, true, "6.1", std::slice::from_ref(&ask));
        // No sysctl is to be written, so no release is asked for.
        let fixes = fix(&report, "kubernetes", &["--max-safety", "manual"]);
        let spec = &fixes.yaml("pod-patch.yaml")["spec"]["template"]["spec"];
        assert_eq!(*spec, json!({ "dnsConfig": { "options": [{ "name": "ndots", "value": "2" }] } }), "{kind}");
        // A report does not tell what it is now, so a person looks.
        let default = fix(&report, "kubernetes", &[]);
        assert!(default.files.is_empty(), "{default:?}");
        assert!(default.why("dnsConfig").contains("above --max-safety review"), "{default:?}");
    }
    let safe = fix(&report("pod", true, "6.1", &[ask]), "kubernetes", &["--max-safety", "safe"]);
    assert!(safe.files.is_empty() && safe.why("dnsConfig").contains("above --max-safety safe"), "{safe:?}");
}

fn open_files() {
    let of = |kind: &str, old, new| {
        let report = report(kind, false, "6.1", &[finding("files/nofile-soft", &[nofile(old, new)])]);
        fix(&report, "kubernetes", &[])
    };
    for kind in ["pod", "container"] {
        let runtime = of(kind, (1024, 4096), (65535, 524_288));
        assert!(runtime.files["crio.conf"].contains("default_ulimits = [\"nofile=65535:524288\"]"));
        assert!(runtime.files["containerd.toml"].contains("soft: 65535, hard: 524288"));
        assert!(!runtime.has("entrypoint.sh"));
        let within = of(kind, (1024, 524_288), (65535, 524_288));
        assert_eq!(within.files.keys().collect::<Vec<_>>(), ["entrypoint.sh"], "{kind}");
        let folder = scratch(&format!("kubernetes-entrypoint-{kind}"));
        let script = folder.join("entrypoint.sh");
        fs::write(&script, &within.files["entrypoint.sh"]).unwrap();
        let started = |hard: u32| {
            let shell = "ulimit -Sn 100; ulimit -Hn \"$1\"; exec sh \"$0\" sh -c 'echo \"$(ulimit -Sn) $1\"' sh 'a  b'";
            let output = Command::new("sh").arg("-c").arg(shell).arg(&script).arg(hard.to_string()).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        // What is told, where the hard limit lets it through; else as much as it does. Arguments stay what they are.
        let told = within.files["entrypoint.sh"].replace("65535", "512");
        fs::write(&script, told).unwrap();
        assert_eq!(started(4096), "512 a  b\n");
        assert_eq!(started(200), "200 a  b\n");
    }
    let high = 1_073_741_816;
    let high = report("pod", false, "6.1", &[finding("files/nofile-hard", &[lower_nofile((high, high))])]);
    let lowered = fix(&high, "kubernetes", &[]);
    assert_eq!(lowered.files.keys().collect::<Vec<_>>(), ["entrypoint.sh"], "{lowered:?}");
    let text = &lowered.files["entrypoint.sh"];
    assert!(text.contains("ulimit -Sn 65536 ") && text.contains("ulimit -Hn 524288\n"), "{text}");
    assert!(!text.to_lowercase().contains("raise the"), "{text}");
    for platform in ["eks", "bottlerocket", "gke", "aks", "openshift", "talos", "k3s", "butane", "script", "ansible"] {
        let left = fix(&high, platform, &[]);
        let why = left.why("open files");
        assert!(
            left.files.is_empty() && why.contains("--to kubernetes") && !why.contains("raise"),
            "{platform}: {why}"
        );
    }
    // No field of any patch sets it.
    let fixes = fix(&report("pod", false, "6.1", &everything()), "kubernetes", &["--kubernetes-version", "1.37"]);
    assert!(!fixes.files["pod-patch.yaml"].contains("ulimits"));
}

fn policies() {
    let fixes = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.37"]);
    let text = &fixes.files["pod-patch.yaml"];
    assert!(text.contains("enforce-version") && text.contains("kubectl get ns NAMESPACE --show-labels"), "{text}");
    for (name, since) in [
        ("net.ipv4.ip_local_port_range", "in every version"),
        ("net.ipv4.ip_local_reserved_ports", "in v1.27 and later"),
        ("net.ipv4.tcp_fin_timeout", "in v1.29 and later"),
        ("net.ipv4.tcp_slow_start_after_idle", "in v1.37 and later"),
        ("net.core.somaxconn", "in no version"),
    ] {
        let (_, below) = text.split_once(&format!("# {name}: ")).unwrap_or_else(|| panic!("{name}\n{text}"));
        let line = below.lines().find(|line| line.starts_with("#   policy")).unwrap();
        assert!(line.contains(since), "{name}: {line}");
    }
    assert!(text.contains("SCC whose allowedUnsafeSysctls has it"), "{text}");
    assert!(text.contains("jq '.spec.template.spec"), "what a workload has can be seen beforehand");
}

/// Names of files that some output has.
const FILES: &[&str] = &[
    "kubelet.yaml",
    "kube-proxy.yaml",
    "containerd.toml",
    "crio.conf",
    "entrypoint.sh",
    "pod-patch.yaml",
    "pod-merge.sh",
    "linuxosconfig.json",
    "linuxkubeletconfig.json",
    "aks.md",
    "tuned.yaml",
    "kubeletconfig.yaml",
];
const TARGETS: &[&str] = &["kubernetes", "eks", "bottlerocket", "gke", "aks", "openshift", "talos", "k3s", "butane"];

/// No file speaks of one that is not there, and every reason says who can do it or which target writes it.
fn named() {
    let check = |what: &str, fixes: &Fixes| {
        for (path, text) in &fixes.files {
            let whole = |name: &str| text.split([' ', '`', '(', ')', ',', ':']).any(|word| word == name);
            for name in FILES.iter().filter(|name| whole(name)) {
                assert!(fixes.has(name), "{what}: {path} speaks of {name}: {:?}", fixes.files.keys());
            }
        }
        for reason in fixes.reasons() {
            let who = ["--to ", "--max-safety", "administrator", "owner", "DaemonSet", "systemctl show"];
            assert!(who.iter().any(|who| reason.contains(who)), "{what}: {reason}");
        }
    };
    for kind in ["pod", "container", "host", "host-network-pod"] {
        for most in ["safe", "review", "manual"] {
            for target in TARGETS {
                let args = ["--kubernetes-version", "1.30", "--max-safety", most];
                check(&format!("{kind} {most} {target}"), &fix(&all_of(kind), target, &args));
            }
        }
    }
}

fn every_recorded_machine() {
    for host in recorded_hosts() {
        for target in ["kubernetes", "eks", "bottlerocket", "gke", "aks", "openshift", "talos", "k3s", "butane"] {
            let args = ["fix", "--snapshot", &host, "--to", target, "--kubernetes-version", "1.34"];
            let run = run(args);
            // Some have nothing that this target could write.
            let refused = run.code == Some(2) && !run.stderr.is_empty();
            assert!(run.code == Some(0) || refused, "{host} {target}: {}", run.stderr);
        }
    }
}
