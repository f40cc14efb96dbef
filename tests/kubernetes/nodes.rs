//! Node platforms: each file in the form its reader takes, with what the platform takes and nothing else.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Behaviour;
use crate::needs;
use crate::reports::{Fixes, all_of, finding, fix, nofile, report, sysctl};

pub(crate) const ALL: &[Behaviour] = &[
    ("eks_takes_user_data_in_parts", &["python3", "sh"], true, eks),
    ("eks_keeps_the_ports_that_its_image_reserves", &["python3"], true, eks_ports),
    ("user_data_fits_what_ec2_takes", &["python3"], true, user_data),
    ("bottlerocket_takes_toml", &["python3"], true, bottlerocket),
    ("gke_takes_its_keys_and_no_other", &[], true, gke),
    ("aks_takes_numbers_in_its_ranges", &[], true, aks),
    ("openshift_only_raises", &[], true, openshift),
    ("talos_takes_a_patch", &[], true, talos),
    ("k3s_takes_arguments_files_and_a_drop_in", &[], true, k3s),
    ("butane_takes_files", &[], true, butane),
    ("crio_and_containerd_take_toml", &["python3"], true, runtimes),
];

const READ_TOML: &str = "import json, sys, tomllib; print(json.dumps(tomllib.loads(sys.stdin.read())))";
const READ_MIME: &str = "
import email, email.policy, json, sys
message = email.message_from_string(sys.stdin.read(), policy=email.policy.default)
assert message.is_multipart() and not message.defects, message.defects
parts = list(message.iter_parts())
assert not any(part.defects for part in parts)
print(json.dumps([[part.get_content_type(), part.get_payload()] for part in parts]))";

/// What Python makes of a text.
fn python(program: &str, text: &str) -> Value {
    let mut python = Command::new(needs::find("python3").unwrap());
    python.args(["-c", program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn toml(fixes: &Fixes, path: &str) -> Value {
    python(READ_TOML, &fixes.files[path])
}

/// The shell part and the NodeConfig.
pub(crate) fn parts(fixes: &Fixes) -> (Option<String>, Value) {
    let parts = python(READ_MIME, &fixes.files["user-data.mime"]);
    let part = |kind: &str| {
        let part = parts.as_array().unwrap().iter().find(|part| part[0] == kind);
        part.map(|part| part[1].as_str().unwrap().to_owned())
    };
    let config = part("application/node.eks.aws").unwrap_or_default();
    (part("text/x-shellscript"), serde_yaml::from_str(&config).unwrap_or_else(|error| panic!("{error}\n{config}")))
}

/// Comments without the marks and breaks of their lines.
fn unwrapped(text: &str) -> String {
    text.lines().flat_map(|line| line.trim_start_matches('#').split_whitespace()).collect::<Vec<_>>().join(" ")
}

/// `key = value` lines of a sysctl.d text.
pub(crate) fn lines(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).collect()
}

pub(crate) fn on(kind: &str, findings: &[Value], target: &str) -> Fixes {
    fix(&report(kind, true, "6.1", findings), target, &["--kubernetes-version", "1.34"])
}

/// With what a person has to decide, such as a wider port range on a node.
fn decided(findings: &[Value], target: &str) -> Fixes {
    let all = ["--kubernetes-version", "1.34", "--max-safety", "manual"];
    fix(&report("host", true, "6.1", findings), target, &all)
}

fn nr_open() -> Value {
    finding("files/nr-open", &[sysctl("fs.nr_open", 1_048_576, 2_000_000)])
}

fn somaxconn(old: impl Into<Value>) -> Value {
    finding("listen/somaxconn", &[sysctl("net.core.somaxconn", old, 65535)])
}

fn files() -> Value {
    finding("files/nofile-hard", &[nofile((1024, 4096), (65535, 524_288))])
}

fn ports() -> Value {
    let reserved = sysctl("net.ipv4.ip_local_reserved_ports", "8080", "8080,30000-32767");
    let range = sysctl("net.ipv4.ip_local_port_range", json!([32768, 60999]), json!([10240, 65535]));
    finding("ports/range", &[reserved, range])
}

fn table(old: i64, new: i64) -> Value {
    let buckets = sysctl("net.netfilter.nf_conntrack_buckets", 1024, 65536);
    finding("conntrack/max", &[sysctl("net.netfilter.nf_conntrack_max", old, new), buckets])
}

fn eks() {
    let fixes = on("pod", &[nr_open(), somaxconn(4096), files(), table(1000, 262_144)], "eks");
    let (shell, config) = parts(&fixes);
    let shell = shell.unwrap();
    assert!(shell.starts_with("#!/bin/bash\n"));
    let syntax = Command::new("sh").args(["-n", "-c", &shell]).status().unwrap();
    assert!(syntax.success());
    assert!(lines(&shell).contains(&("fs.nr_open", "2000000")));
    assert_eq!(
        config,
        json!({
            "apiVersion": "node.eks.aws/v1alpha1",
            "kind": "NodeConfig",
            "spec": {
                "kubelet": { "config": { "allowedUnsafeSysctls": ["net.core.somaxconn"] } },
                "containerd": { "baseRuntimeSpec": { "process": { "rlimits": [
                    // Not below what the image gives.
                    { "type": "RLIMIT_NOFILE", "soft": 65536, "hard": 1_048_576 },
                ] } } },
            },
        })
    );
    assert!(fixes.why("net.netfilter.nf_conntrack_max").contains("kube-proxy-config of the add-on"));
    assert!(fixes.why("net.core.somaxconn").contains("--to kubernetes"));
}

fn eks_ports() {
    let (shell, _) = parts(&decided(&[ports()], "eks"));
    let shell = shell.unwrap();
    let written = lines(&shell);
    let reserved = written.iter().position(|(name, _)| *name == "net.ipv4.ip_local_reserved_ports").unwrap();
    let range = written.iter().position(|(name, _)| *name == "net.ipv4.ip_local_port_range").unwrap();
    assert!(reserved < range, "reserved before the range is widened");
    assert_eq!(written[reserved].1, "2703,8080,9808-9809,10249-10250,10256,30000-32767,61678-61679");
}

fn user_data() {
    for kind in ["pod", "host", "host-network-pod"] {
        let eks = on(kind, all_of(kind)["findings"].as_array().unwrap(), "eks");
        assert!(eks.files["user-data.mime"].len() <= 16_384, "{kind}");
        let (shell, _) = parts(&eks);
        assert!(lines(&shell.unwrap()).len() > 8, "{kind}: the lines are all there");
        let bottlerocket = on(kind, all_of(kind)["findings"].as_array().unwrap(), "bottlerocket");
        assert!(bottlerocket.files["settings.toml"].len() <= 16_384, "{kind}");
        assert!(toml(&bottlerocket, "settings.toml")["settings"]["kernel"]["sysctl"].as_object().unwrap().len() > 8);
    }
}

fn bottlerocket() {
    let fixes = on("pod", &[nr_open(), somaxconn(4096), files()], "bottlerocket");
    assert_eq!(
        toml(&fixes, "settings.toml"),
        json!({ "settings": {
            "kernel": { "sysctl": { "fs.nr_open": "2000000" } },
            "kubernetes": { "allowed-unsafe-sysctls": ["net.core.somaxconn"] },
            // Not below what the image gives.
            "oci-defaults": { "resource-limits": {
                "max-open-files": { "soft-limit": 65536, "hard-limit": 1_048_576 },
            } },
        } })
    );
    let buckets = finding("conntrack/max", &[sysctl("net.netfilter.nf_conntrack_buckets", 1024, 65536)]);
    assert_eq!(
        toml(&on("host", &[buckets], "bottlerocket"), "settings.toml")["settings"]["kernel"],
        json!({
            "modules": { "nf_conntrack": { "allowed": true, "autoload": true } },
            "sysctl": { "net.netfilter.nf_conntrack_buckets": "65536" },
        })
    );
}

fn gke() {
    let backlog = finding("listen/syn-backlog", &[sysctl("net.ipv4.tcp_max_syn_backlog", 512, 65535)]);
    let fixes =
        on("pod", &[nr_open(), somaxconn(4096), backlog.clone(), table(1000, 262_144), ports(), files()], "gke");
    assert_eq!(
        fixes.yaml("system-config.yaml"),
        json!({
            "kubeletConfig": { "allowedUnsafeSysctls": ["net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog"] },
            "linuxConfig": { "sysctl": {
                "fs.nr_open": "2000000",
                "net.netfilter.nf_conntrack_buckets": "65536",
                "net.netfilter.nf_conntrack_max": "262144",
            } },
        })
    );
    let host = on("host", all_of("host")["findings"].as_array().unwrap(), "gke");
    for name in ["net.ipv4.ip_local_port_range", "kernel.pid_max"] {
        assert!(host.yaml("system-config.yaml")["linuxConfig"]["sysctl"][name].is_null(), "{name}");
        assert!(host.why(name).contains("no key for it"), "{name}");
    }
    // Where the plan turns SYN cookies on it would do nothing: alone it is left out for want of a key.
    let alone = on("host", std::slice::from_ref(&backlog), "gke");
    assert!(alone.why("net.ipv4.tcp_max_syn_backlog").contains("no key for it"), "{alone:?}");
    // It reaches the node, whose own value a pod does not show.
    let text = unwrapped(&fixes.files["system-config.yaml"]);
    assert!(text.contains("left to you: net.core.somaxconn = 65535: the node's own value is not known"), "{text}");
    assert!(text.contains("kubectl debug node/NODE -it --image=busybox -- sysctl -n net.core.somaxconn"), "{text}");
    assert_eq!(
        on("host-network-pod", &[somaxconn(4096)], "gke").yaml("system-config.yaml"),
        json!({ "linuxConfig": { "sysctl": { "net.core.somaxconn": "65535" } } })
    );
    let safe = fix(&report("pod", true, "6.1", &[somaxconn(4096)]), "gke", &["--max-safety", "safe"]);
    assert!(safe.files.is_empty(), "{safe:?}");
    assert!(on("pod", &[somaxconn(Value::Null)], "gke").why("net.core.somaxconn").contains("could lower"));
}

fn aks() {
    let reuse = finding("time-wait/tw-reuse", &[sysctl("net.ipv4.tcp_tw_reuse", 2, 1)]);
    let fixes = on("host", &[nr_open(), somaxconn(4096), reuse, table(131_072, 262_144), ports()], "aks");
    let read = |path: &str| -> Value { serde_json::from_str(&fixes.files[path]).unwrap() };
    assert_eq!(
        read("linuxosconfig.json"),
        json!({ "sysctls": {
            "fsNrOpen": 2_000_000,
            "netCoreSomaxconn": 65535,
            "netIpv4TcpTwReuse": true,
            "netNetfilterNfConntrackMax": 262_144,
            "netNetfilterNfConntrackBuckets": 65536,
        } })
    );
    assert!(fixes.files["aks.md"].contains("net.core.somaxconn: 4096 -> 65535"));
    assert!(fixes.why("net.ipv4.ip_local_port_range").contains("no key for ip_local_reserved_ports"));
    let kubelet = on("pod", &[somaxconn(4096)], "aks");
    assert!(!kubelet.files["aks.md"].contains("--linux-os-config"), "only what is here");
    let kubelet: Value = serde_json::from_str(&kubelet.files["linuxkubeletconfig.json"]).unwrap();
    assert_eq!(kubelet, json!({ "allowedUnsafeSysctls": ["net.core.somaxconn"] }));
    let full = finding("conntrack/fill", &[sysctl("net.netfilter.nf_conntrack_max", 2_097_152, 4_194_304)]);
    let beyond = on("host", &[full], "aks");
    let why = beyond.why("net.netfilter.nf_conntrack_max");
    assert!(why.contains("131072 to 2097152") && why.contains("DaemonSet of your own"), "{why}");
    let most = finding("files/file-max", &[sysctl("fs.file-max", 8192, i64::MAX)]);
    let most = on("host", &[most], "aks");
    assert!(most.files["linuxosconfig.json"].contains("\"fsFileMax\": 9223372036854775807"), "{most:?}");
}

fn openshift() {
    let fixes = on("host", &[nr_open(), somaxconn(4096), ports(), table(131_072, 262_144)], "openshift");
    let tuned = fixes.yaml("tuned.yaml");
    let data = tuned["spec"]["profile"][0]["data"].as_str().unwrap();
    let (_, sysctls) = data.split_once("[sysctl]\n").unwrap();
    assert!(data.starts_with("[main]\n") && data.contains("include=openshift-node\n"), "{data}");
    let lines: Vec<&str> = sysctls.lines().collect();
    assert!(lines.contains(&"fs.nr_open=>2000000") && lines.contains(&"net.core.somaxconn=>65535"), "{lines:?}");
    assert!(lines.contains(&"net.ipv4.ip_local_reserved_ports=8080,30000-32767"), "{lines:?}");
    assert_eq!(tuned["spec"]["recommend"][0]["match"][0]["label"], "tuned.openshift.io/tunecheck");
    // The parent profile has more: a line here would stand in its place.
    assert!(fixes.why("net.netfilter.nf_conntrack_max").contains("1048576 already"));
    // TuneD applies the host's own files again after its profile.
    let mut line = sysctl("fs.nr_open", 1_048_576, 2_000_000);
    line["edit"]["boot"]["at"] = json!("/etc/sysctl.d/60-site.conf:3");
    let beaten = on("host", &[finding("files/nr-open", &[line])], "openshift");
    assert!(beaten.files.is_empty() && beaten.why("fs.nr_open").contains("wins over a Tuned object"), "{beaten:?}");
    let kubelet = on("pod", &[somaxconn(4096)], "openshift");
    assert_eq!(
        kubelet.yaml("kubeletconfig.yaml")["spec"],
        json!({
            "machineConfigPoolSelector": { "matchLabels": { "tunecheck/unsafe-sysctls": "allowed" } },
            "kubeletConfig": { "allowedUnsafeSysctls": ["net.core.somaxconn"] },
        })
    );
    let text = &kubelet.files["kubeletconfig.yaml"];
    assert!(text.contains("SCC (SecurityContextConstraints)") && text.contains("add-scc-to-user"), "{text}");
}

fn talos() {
    let fixes = on("pod", &[nr_open(), somaxconn(4096), files(), table(1000, 262_144)], "talos");
    let machine = &fixes.yaml("machine-patch.yaml")["machine"];
    assert_eq!(machine["sysctls"]["fs.nr_open"], "2000000");
    assert_eq!(machine["kernel"]["modules"], json!([{ "name": "nf_conntrack" }]));
    assert!(on("pod", &[nr_open()], "talos").yaml("machine-patch.yaml")["machine"]["kernel"].is_null());
    assert_eq!(machine["kubelet"]["extraConfig"]["allowedUnsafeSysctls"], json!(["net.core.somaxconn"]));
    // Containers have 1048576 there.
    assert!(machine["baseRuntimeSpecOverrides"].is_null(), "{machine}");
    assert!(fixes.why("open files").contains("1048576 soft and hard"));
    assert_eq!(machine["sysctls"]["net.netfilter.nf_conntrack_max"], "262144");
    let reserved = decided(&[ports()], "talos").yaml("machine-patch.yaml")["machine"]["sysctls"]
        ["net.ipv4.ip_local_reserved_ports"]
        .clone();
    assert_eq!(reserved, "8080,30000-32767,50000-50001", "its own stay");
}

fn k3s() {
    let fixes = on("pod", &[nr_open(), somaxconn(4096), files(), table(1000, 262_144)], "k3s");
    assert_eq!(
        fixes.yaml("config.yaml.d/90-tunecheck.yaml"),
        json!({
            // Its own list, which an argument replaces, and ours.
            "kubelet-arg+": [
                "allowed-unsafe-sysctls=net.ipv4.ip_forward,net.ipv6.conf.all.forwarding,net.core.somaxconn",
            ],
            "kube-proxy-arg+": ["conntrack-min=262144"],
        })
    );
    assert!(lines(&fixes.files["sysctl.d/90-tunecheck.conf"]).contains(&("fs.nr_open", "2000000")));
    // Its unit has 1048576 or more.
    assert!(!fixes.has("k3s.service.d/90-tunecheck.conf"));
    assert!(fixes.why("open files").contains("systemctl show -p LimitNOFILE -p LimitNOFILESoft k3s"));
    // A load that takes more than the unit has, 256 files beside its sockets.
    let mut above = report("pod", true, "6.1", &[files()]);
    above["workload"]["connections"] = json!(2_000_000 - 256);
    let above = fix(&above, "k3s", &["--kubernetes-version", "1.34"]);
    assert!(above.files["k3s.service.d/90-tunecheck.conf"].ends_with("[Service]\nLimitNOFILE=2000000:2000000\n"));
    assert_eq!(above.files.len(), 1, "{above:?}");
    let full = finding("conntrack/fill", &[sysctl("net.netfilter.nf_conntrack_max", 1_048_576, 2_097_152)]);
    let beyond = on("host", &[full], "k3s").yaml("config.yaml.d/90-tunecheck.yaml");
    assert_eq!(beyond["kube-proxy-arg+"], json!(["conntrack-min=2097152"]), "K3s cuts nothing");
}

fn butane() {
    let fixes = decided(&[nr_open(), ports(), table(1000, 262_144)], "butane");
    let config = fixes.yaml("tunecheck.bu");
    assert_eq!((&config["variant"], &config["version"]), (&json!("flatcar"), &json!("1.0.0")));
    let file = |path: &str| {
        let files = config["storage"]["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["path"] == path).unwrap_or_else(|| panic!("no {path}: {files:?}"));
        assert_eq!(file["mode"], 0o644);
        file["contents"]["inline"].as_str().unwrap()
    };
    assert_eq!(file("/etc/modules-load.d/nf_conntrack.conf"), "nf_conntrack\n");
    let written = lines(file("/etc/sysctl.d/90-tunecheck.conf"));
    assert!(written.contains(&("net.ipv4.ip_local_reserved_ports", "8080,30000-32767")), "{written:?}");
    assert!(written.contains(&("net.ipv4.ip_local_port_range", "10240 65535")), "{written:?}");
    let later = |name: &str| {
        let mut fix = sysctl("fs.nr_open", 1_048_576, 2_000_000);
        fix["edit"]["boot"]["at"] = json!(format!("/etc/sysctl.d/{name}:3"));
        [finding("files/nr-open", &[fix]), ports()]
    };
    for (name, ours) in [("50-a.conf", "90-tunecheck.conf"), ("99-local.conf", "zz-tunecheck.conf")] {
        let butane = on("host", &later(name), "butane").yaml("tunecheck.bu").to_string();
        assert!(butane.contains(&format!("\"/etc/sysctl.d/{ours}\"")), "{name}: {butane}");
        let k3s = on("host", &later(name), "k3s");
        assert!(k3s.has(&format!("sysctl.d/{ours}")), "{name}: {k3s:?}");
    }
    let careful = on("host", &[ports()], "butane").yaml("tunecheck.bu").to_string();
    assert!(careful.contains("8080,30000-32767"), "{careful}");
    assert!(!careful.contains("\\nnet.ipv4.ip_local_port_range = "), "{careful}");
}

fn runtimes() {
    let fixes = on("pod", &[files()], "kubernetes");
    let crio = toml(&fixes, "crio.conf");
    // The default of every container, worked out from one: a person writes the greater.
    assert_eq!(crio, json!({ "crio": { "runtime": {} } }));
    assert!(fixes.files["crio.conf"].contains("\n# left to you: default_ulimits = [\"nofile=65535:524288\"]\n"));
    // Pasted as it is, below what a node has, it changes and breaks nothing.
    let theirs = "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n\
                  runtime_type = 'io.containerd.runc.v2'\n\
                  [timeouts]\n'io.containerd.timeout.shim.load' = '5s'\n";
    let ours = &fixes.files["containerd.toml"];
    assert_eq!(python(READ_TOML, &format!("{theirs}{ours}")), python(READ_TOML, theirs));
    // Its line, written where it says, is the key of that table.
    let line = ours.lines().find_map(|line| line.strip_prefix("#   base_runtime_spec")).unwrap();
    let header = ours.lines().find_map(|line| line.strip_prefix("#   [plugins.'io")).unwrap();
    let (header, line) = (format!("[plugins.'io{header}\n"), format!("base_runtime_spec{line}\n"));
    let written = python(READ_TOML, &theirs.replacen(&header, &format!("{header}{line}"), 1));
    let runtime = &written["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]["runc"];
    assert_eq!(runtime["base_runtime_spec"], "/etc/containerd/cri-base.json");
}
