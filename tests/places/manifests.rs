//! What `tunecheck manifest` says of sysctls, held against the kernel: a network namespace of its own is what a pod gets.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tunecheck::model::fix::Pod;
use tunecheck::model::kernel_sysctls::{self, Takes, Whose};
use tunecheck::model::pod_sysctl::RANGE;
use tunecheck::model::sysctl;
use tunecheck::rules::RuleSet;

use crate::harness::{NETWORK, Need, Place, Scene};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_sysctl_of_the_node_cannot_be_written_in_a_network_namespace_and_others_can",
        needs: &[Need::Root, Need::Machine],
        own: NETWORK,
        trial: a_sysctl_of_the_node_cannot_be_written,
    },
    Place {
        name: "the_kernel_refuses_each_value_that_a_manifest_fails_for",
        needs: &[Need::Root],
        own: NETWORK,
        trial: the_kernel_refuses_each_value_that_a_manifest_fails_for,
    },
    Place {
        name: "a_manifest_fails_for_the_ranges_of_ports_that_the_kernel_refuses",
        needs: &[Need::Root],
        own: NETWORK,
        trial: a_manifest_fails_for_the_ranges_that_the_kernel_refuses,
    },
    Place {
        name: "limits_that_a_manifest_fails_for_are_refused_by_the_kernel_and_others_are_taken",
        needs: &[Need::Root],
        own: NETWORK,
        trial: limits_that_a_manifest_fails_for_are_refused,
    },
];

/// Whether a runtime that sets a sysctl here succeeds: it has to be there, and to take a value.
fn can_be_set(name: &str) -> bool {
    let path = sysctl::path(name);
    let value = fs::read(&path);
    value.is_ok_and(|value| fs::write(&path, value).is_ok())
}

fn a_sysctl_of_the_node_cannot_be_written(_: &Scene) {
    let rules = RuleSet::built_in();
    let told = |wanted: fn(&Pod) -> bool| {
        // What a rule says of older kernels is not seen on this one.
        let of_today = rules.iter().filter(|rule| rule.kernel.before.is_none());
        let of_pods = of_today.filter(move |rule| rule.pod.as_ref().is_some_and(wanted));
        of_pods.flat_map(|rule| rule.fix.sysctl).map(|fix| fix.name).filter(|name| name.starts_with("net."))
    };
    let of_node = kernel_sysctls::all().filter(|(name, sysctl)| {
        name.starts_with("net.") && matches!(sysctl.whose, Whose::Node | Whose::ReadOnly | Whose::Gone)
    });
    let impossible = of_node.map(|(name, _)| name).chain(told(|pod| *pod == Pod::Impossible));
    let writable: Vec<&str> = impossible.filter(|name| can_be_set(name)).collect();
    assert_eq!(writable, Vec::<&str>::new());
    // Those of a module are there once it is loaded, or once something in the namespace uses it.
    let is_of_module =
        |name: &&str| ["net.netfilter.", "net.ipv4.vs.", "net.bridge."].iter().any(|of| name.starts_with(of));
    let possible = told(|pod| *pod != Pod::Impossible).filter(|name| !is_of_module(name));
    let refused: Vec<&str> = possible.filter(|name| !can_be_set(name)).collect();
    assert_eq!(refused, Vec::<&str>::new());
}

/// Those of which the bounds hang on another sysctl, on a device, on the ticks of the kernel or on its release; and one that is never 0
/// again, for the whole machine.
const OTHER_BOUNDS: [&str; 9] = [
    "ioam6",
    ".mtu",
    "thresh",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_probe_interval",
    "net.ipv4.tcp_ecn",
    "fib_multipath_hash_fields",
    "net.ipv4.route.min_pmtu",
    "nf_hooks_lwtunnel",
];

fn the_kernel_refuses_each_value_that_a_manifest_fails_for(_: &Scene) {
    let (mut written, mut wrong) = (0, Vec::new());
    for (name, known) in kernel_sysctls::all().filter(|(_, known)| known.whose == Whose::NetworkNamespace) {
        let Takes::Numbers { from, to, .. } = known.takes else { continue };
        let path = sysctl::path(&name.replace('*', "lo"));
        let Ok(before) = fs::read(&path) else { continue };
        if name.contains("nf_hooks_lwtunnel") || fs::write(&path, &before).is_err() {
            continue;
        }
        let is_exact = !OTHER_BOUNDS.iter().any(|other| name.contains(other));
        let words = [from - 1, from, to, to + 1].map(|number| number.to_string());
        for value in words.iter().map(String::as_str).chain(["abc", "1,2", "1.5", "+1"]) {
            let taken = fs::write(&path, value).is_ok();
            fs::write(&path, &before).unwrap();
            if taken && !known.accepts(value) {
                wrong.push(format!("{name} takes {value}"));
            }
            // A number of seconds is bounded by the ticks of this kernel.
            let is_of_ticks = to != i128::from(i32::MAX) && from < -1_000_000;
            if !taken && known.accepts(value) && is_exact && !is_of_ticks {
                wrong.push(format!("{name} refuses {value}"));
            }
            written += 1;
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(written > 500, "{written}");
}

fn a_manifest_fails_for_the_ranges_that_the_kernel_refuses(scene: &Scene) {
    let path = sysctl::path(RANGE);
    let file = scene.folder.join("pod.json");
    for value in [
        "10240 65535",
        "10240 10240",
        "10240 65535 7",
        "10240",
        "\t10240\t65535\n",
        "1024 65535",
        "60999 32768",
        "1024 65536",
        "0 65535",
        "10240,65535",
        "ports",
        "61000",
        "-1 5",
    ] {
        fs::write(&path, "32768 60999").unwrap();
        let taken = fs::write(&path, value).is_ok();
        assert_eq!(verdict(scene, &file, value) == "fail", !taken, "{value:?}");
    }
    // What the kernel says to a range below the unprivileged ports is a question of the runtime.
    assert!(fs::write(&path, "1000 65535").is_err());
    assert_eq!(verdict(scene, &file, "1000 65535"), "warn");
}

/// The worst that is said of a pod with this range.
fn verdict(scene: &Scene, file: &Path, value: &str) -> String {
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod",
        "spec": { "securityContext": { "sysctls": [{ "name": RANGE, "value": value }] }, "containers": [] },
    });
    fs::write(file, pod.to_string()).unwrap();
    let output = Command::new(&scene.tunecheck).args(["manifest", "--format", "json"]).arg(file).output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap();
    findings.first().map_or("none".to_owned(), |finding| finding["outcome"].as_str().unwrap().to_owned())
}

fn limits_that_a_manifest_fails_for_are_refused(scene: &Scene) {
    let file = scene.folder.join("compose.yaml");
    for (soft, hard) in [("512", "1024"), ("1024", "1024"), ("1025", "1024"), ("-1", "-1"), ("1024", "-1")] {
        let unlimited = |limit: &str| if limit == "-1" { "unlimited".to_owned() } else { limit.to_owned() };
        let asked = format!("--nofile={}:{}", unlimited(soft), unlimited(hard));
        let taken = Command::new("prlimit").args([&asked, "true"]).output().unwrap().status.success();
        let text = format!("services: {{a: {{image: a, ulimits: {{nofile: {{soft: {soft}, hard: {hard}}}}}}}}}\n");
        fs::write(&file, text).unwrap();
        let output = Command::new(&scene.tunecheck).arg("manifest").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!taken)), "{soft}:{hard}");
    }
}
