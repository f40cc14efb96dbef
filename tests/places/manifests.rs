//! What `tunecheck manifest` says of sysctls, held against the kernel: a network namespace of its own is what a pod gets.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tunecheck::model::fix::Pod;
use tunecheck::model::pod_sysctl::{OF_NODE, RANGE};
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
        name: "a_manifest_fails_for_the_ranges_of_ports_that_the_kernel_refuses",
        needs: &[Need::Root],
        own: NETWORK,
        trial: a_manifest_fails_for_the_ranges_that_the_kernel_refuses,
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
        let of_pods = rules.iter().filter(move |rule| rule.pod.as_ref().is_some_and(wanted));
        of_pods.flat_map(|rule| &rule.fix.sysctl).map(|fix| fix.name).filter(|name| name.starts_with("net."))
    };
    let impossible = OF_NODE.iter().copied().chain(told(|pod| *pod == Pod::Impossible));
    let writable: Vec<&str> = impossible.filter(|name| can_be_set(name)).collect();
    assert_eq!(writable, Vec::<&str>::new());
    // Those of conntrack are there once something in the namespace uses it.
    let possible = told(|pod| *pod != Pod::Impossible).filter(|name| !name.starts_with("net.netfilter."));
    let refused: Vec<&str> = possible.filter(|name| !can_be_set(name)).collect();
    assert_eq!(refused, Vec::<&str>::new());
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
