//! What holds on every platform.

use serde_json::{Value, json};

use crate::Behaviour;
use crate::nodes::{lines, on, parts, toml};
use crate::reports::{Fixes, all_of, finding, fix, report, sysctl};

pub(crate) const ALL: &[Behaviour] = &[
    ("no_platform_lowers_or_cuts", &["python3"], true, no_platform_lowers_or_cuts),
    ("what_is_not_taken_leaves_no_document", &["python3"], true, no_empty_documents),
    ("no_platform_widens_a_range_without_reserved_ports", &[], true, ranges),
];

const PLATFORMS: &[&str] = &["eks", "bottlerocket", "gke", "aks", "openshift", "talos", "k3s", "butane"];

/// The sysctls that a platform would set, with their values as text.
fn set_by(platform: &str, fixes: &Fixes) -> Vec<(String, String)> {
    let map = |value: &Value| -> Vec<(String, String)> {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    };
    let owned = |text: &str| lines(text).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match platform {
        "eks" if fixes.files.is_empty() => Vec::new(),
        "eks" => owned(&parts(fixes).0.unwrap_or_default()),
        _ if fixes.files.is_empty() => Vec::new(),
        "bottlerocket" => map(&toml(fixes, "settings.toml")["settings"]["kernel"]["sysctl"]),
        "gke" => map(&fixes.yaml("system-config.yaml")["linuxConfig"]["sysctl"]),
        "talos" => map(&fixes.yaml("machine-patch.yaml")["machine"]["sysctls"]),
        "k3s" => fixes.files.get("sysctl.d/90-tunecheck.conf").map(|text| owned(text)).unwrap_or_default(),
        "butane" => {
            let config = fixes.yaml("tunecheck.bu");
            let files = config["storage"]["files"].as_array().unwrap().iter();
            files.flat_map(|file| -> Vec<_> { owned(file["contents"]["inline"].as_str().unwrap()) }).collect()
        }
        "openshift" if fixes.has("tuned.yaml") => {
            let tuned = fixes.yaml("tuned.yaml");
            let data = tuned["spec"]["profile"][0]["data"].as_str().unwrap();
            let lines = data.split_once("[sysctl]\n").unwrap().1.lines();
            let split = lines.map(|line| line.split_once("=>").or_else(|| line.split_once('=')).unwrap());
            split.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// Where a rule asks for less than the 200000 of [`all_of`], which a boot line asks for elsewhere.
const ASKED: &[(&str, i64)] = &[
    ("net.netfilter.nf_conntrack_buckets", 65_536),
    // Twice the time that keep-alive takes, of which the report says 1.
    ("net.netfilter.nf_conntrack_tcp_timeout_established", 2),
];

fn no_platform_lowers_or_cuts() {
    for platform in PLATFORMS {
        let blind = |name: &str, rule: &str| finding(rule, &[sysctl(name, Value::Null, 1_100_000)]);
        let unknown =
            [blind("fs.nr_open", "files/nr-open"), blind("net.core.netdev_max_backlog", "device/softnet-drops")];
        for kind in ["host", "pod", "host-network-pod"] {
            let fixes = on(kind, &unknown, platform);
            assert!(fixes.why("fs.nr_open").contains("could lower it"), "{platform} {kind}");
            assert_eq!(set_by(platform, &fixes), [], "{platform} {kind}");
        }
        let all = on("host", all_of("host")["findings"].as_array().unwrap(), platform);
        for (name, value) in set_by(platform, &all) {
            let least = ASKED.iter().find(|(asked, _)| *asked == name).map_or(200_000, |(_, number)| *number);
            let right = value.parse().is_ok_and(|number: i64| number >= least || number < 2);
            let ports = ["ip_local_port_range", "ip_local_reserved_ports"].iter().any(|end| name.ends_with(end));
            assert!(right || ports, "{platform}: {name} = {value}");
        }
        // What asks for more thought than the user wants is only told.
        let safe = fix(&all_of("host"), platform, &["--max-safety", "safe", "--kubernetes-version", "1.34"]);
        let names: Vec<String> = set_by(platform, &safe).into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name == "net.core.netdev_max_backlog"), "{platform}: {names:?}");
    }
}

/// A document that says nothing could be applied all the same, and take away what is there.
fn no_empty_documents() {
    for target in PLATFORMS.iter().chain(&["kubernetes"]) {
        for kind in ["host", "pod"] {
            let everything = all_of(kind);
            for finding in everything["findings"].as_array().unwrap() {
                let one = report(kind, true, "6.12.1", std::slice::from_ref(finding));
                let fixes = fix(&one, target, &["--max-safety", "safe", "--kubernetes-version", "1.34"]);
                let what = format!("{target} {kind} {}", finding["rule"]);
                for (path, text) in &fixes.files {
                    for nothing in ["allowedUnsafeSysctls: []", "allowedUnsafeSysctls\": []", "spec: {}"] {
                        assert!(!text.contains(nothing), "{what} {path}: {text}");
                    }
                    for nothing in ["conntrack: {}", "files: []", "sysctl: {}", "sysctls: {}", "machine: {}"] {
                        assert!(!text.contains(nothing), "{what} {path}: {text}");
                    }
                    let mut bare =
                        text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
                    let last = bare.next_back();
                    assert!(path == "containerd.toml" || last.is_some(), "{what} {path}: {text}");
                    let heads = ["{}", "[Service]", "[sysctl]", "[settings.kernel.sysctl]", "[crio.runtime]"];
                    assert!(last.is_none_or(|last| !heads.contains(&last)), "{what} {path}: {text}");
                }
                assert!(!fixes.files.is_empty() || fixes.readme.contains(": "), "{what}: {}", fixes.readme);
            }
        }
    }
}

fn ranges() {
    let range = sysctl("net.ipv4.ip_local_port_range", json!([32768, 60999]), json!([10240, 65535]));
    let alone = finding("ports/range", &[range]);
    for platform in PLATFORMS {
        let why = on("host", std::slice::from_ref(&alone), platform);
        let why = why.why("net.ipv4.ip_local_port_range");
        assert!(why.contains("not widened without") || why.contains("no key for it"), "{platform}: {why}");
    }
}
