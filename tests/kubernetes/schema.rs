//! Manifests against the schemas of Kubernetes, and the component against kustomize.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::Behaviour;
use crate::needs;
use crate::reports::{all_of, fix};
use crate::support::scratch;

/// PyPI's kubernetes-validate: .ci/run installs it; elsewhere TUNECHECK_KUBERNETES_VALIDATE or PATH says where it is.
pub(crate) const VALIDATE: &str = "kubernetes-validate";
/// Debian 12 has 1.20, which knows no components, so CI may lack it.
pub(crate) const KUBECTL: &str = "kubectl 1.21 or newer";

pub(crate) const ALL: &[Behaviour] = &[
    ("the_schemas_refuse_what_is_wrong", &[VALIDATE], true, the_schemas_refuse_what_is_wrong),
    ("a_patched_workload_fits_the_oldest_and_the_newest_schema", &[VALIDATE], true, patched_workloads),
    ("the_component_is_one", &[], true, the_component_is_one),
    ("kustomize_builds_the_component", &[KUBECTL], false, kustomize),
];
pub(crate) const OLDEST: &str = "1.25";
pub(crate) const NEWEST: &str = "1.37";

/// A workload with everything that a patch replaces.
fn workload(kind: &str) -> Value {
    let mut workload = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": "gateway", "labels": { "tunecheck/tuned": "true" } },
        "spec": {
            "selector": { "matchLabels": { "app": "gateway" } },
            "template": {
                "metadata": { "labels": { "app": "gateway" } },
                "spec": {
                    "containers": [{ "name": "gateway", "image": "gateway:1" }],
                    "nodeSelector": { "disk": "ssd" },
                    "tolerations": [{ "key": "spot", "operator": "Exists" }],
                    "dnsConfig": { "nameservers": ["192.0.2.1"], "options": [{ "name": "ndots", "value": "5" }] },
                    "securityContext": {
                        "runAsNonRoot": true,
                        "sysctls": [{ "name": "kernel.shm_rmid_forced", "value": "1" }],
                    },
                },
            },
        },
    });
    if kind == "StatefulSet" {
        workload["spec"]["serviceName"] = json!("gateway");
    }
    workload
}

/// A strategic merge: maps are joined, and these lists are replaced as a whole.
fn merged(base: &mut Value, patch: &Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merged(base.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch.clone(),
    }
}

pub(crate) fn validate(release: &str, files: &[PathBuf]) -> Output {
    let program = needs::find(VALIDATE).unwrap();
    let output = Command::new(program).args(["--strict", "-k", release]).args(files).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // It ends with 0 for a kind that it does not know.
    assert!(!said.contains("Couldn't find schema"), "{said}");
    output
}

pub(crate) fn written(folder: &Path, name: &str, value: &Value) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, value.to_string()).unwrap();
    path
}

fn the_schemas_refuse_what_is_wrong() {
    let folder = scratch("kubernetes-refused");
    let container = "/spec/template/spec/containers/0";
    let broken = |at: &str, value: Value| {
        let mut workload = workload("Deployment");
        merged(workload.pointer_mut(at).unwrap(), &value);
        workload
    };
    let sysctls = json!([{ "name": "net.core.somaxconn", "value": "65535" }]);
    let wrong = [
        ("container", broken(container, json!({ "securityContext": { "sysctls": sysctls } }))),
        ("ulimits", broken(container, json!({ "ulimits": { "nofile": 65536 } }))),
        ("pod-ulimits", broken("/spec/template/spec", json!({ "ulimits": [] }))),
        (
            "number",
            broken("/spec/template/spec/securityContext", json!({ "sysctls": [{ "name": "a.b", "value": 65535 }] })),
        ),
    ];
    for release in [OLDEST, NEWEST] {
        for (name, manifest) in &wrong {
            let output = validate(release, &[written(&folder, &format!("{name}.yaml"), manifest)]);
            assert!(!output.status.success(), "{release} takes {name}");
        }
        let right = written(&folder, "right.yaml", &workload("Deployment"));
        assert!(validate(release, &[right]).status.success(), "{release}");
    }
}

fn patched_workloads() {
    let folder = scratch("kubernetes-patched");
    let mut files = Vec::new();
    for place in ["pod", "container"] {
        for release in [OLDEST, "1.28", "1.31", "1.34", NEWEST] {
            for level in ["privileged", "restricted"] {
                let args = ["--kubernetes-version", release, "--pod-security", level, "--max-safety", "manual"];
                let fixes = fix(&all_of(place), "kubernetes", &args);
                for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
                    let mut workload = workload(kind);
                    merged(&mut workload, &fixes.yaml("pod-patch.yaml"));
                    let spec = &workload["spec"]["template"]["spec"];
                    // What is a map is merged; what the file warns of is replaced.
                    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
                    assert_eq!(spec["nodeSelector"]["disk"], "ssd");
                    files.push(written(&folder, &format!("{place}-{release}-{level}-{kind}.yaml"), &workload));
                }
            }
        }
    }
    for release in [OLDEST, NEWEST] {
        let output = validate(release, &files);
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn the_component_is_one() {
    let fixes = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.34"]);
    let component = fixes.yaml("component/kustomization.yaml");
    assert_eq!(component["apiVersion"], "kustomize.config.k8s.io/v1alpha1");
    assert_eq!(component["kind"], "Component");
    let [patch] = component["patches"].as_array().unwrap().as_slice() else { panic!("{component}") };
    assert!(fixes.has(&format!("component/{}", patch["path"].as_str().unwrap())));
    let named = fixes.yaml("component/patch.yaml");
    // kustomize takes no patch without these, and replaces them by the target's.
    assert!(named["apiVersion"].is_string() && named["kind"].is_string() && named["metadata"]["name"].is_string());
}

/// Whether there is a kubectl whose kustomize knows components.
pub(crate) fn kubectl_knows_components() -> bool {
    let Some(kubectl) = needs::find("kubectl") else { return false };
    let Ok(output) = Command::new(kubectl).args(["version", "--client", "-o", "json"]).output() else { return false };
    let version: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let minor = version["clientVersion"]["minor"].as_str().unwrap_or_default();
    minor.trim_end_matches('+').parse().is_ok_and(|minor: u32| minor >= 21)
}

fn kustomize() {
    let folder = scratch("kubernetes-kustomize");
    let fixes = fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.34"]);
    fs::create_dir(folder.join("component")).unwrap();
    for file in ["component/kustomization.yaml", "component/patch.yaml"] {
        fs::write(folder.join(file), &fixes.files[file]).unwrap();
    }
    let mut other = workload("Deployment");
    other["metadata"] = json!({ "name": "other" });
    let all = [workload("Deployment"), workload("StatefulSet"), other.clone()];
    let resources: Vec<String> = (0..all.len()).map(|number| format!("{number}.yaml")).collect();
    for (name, workload) in resources.iter().zip(&all) {
        written(&folder, name, workload);
    }
    let top = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization", "resources": resources, "components": ["component"],
    });
    written(&folder, "kustomization.yaml", &top);
    let kubectl = needs::find("kubectl").unwrap();
    let output = Command::new(kubectl).arg("kustomize").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let built: Vec<Value> = text.split("\n---\n").map(|text| serde_yaml::from_str(text).unwrap()).collect();
    assert_eq!(built.len(), all.len());
    for workload in &built {
        // Without the label it stays as it is; with it, it is what this test's own merge makes of it.
        let mut expected = all
            .iter()
            .find(|one| one["kind"] == workload["kind"] && one["metadata"]["name"] == workload["metadata"]["name"])
            .unwrap()
            .clone();
        if workload["metadata"]["name"] == "gateway" {
            merged(&mut expected, &fixes.yaml("pod-patch.yaml"));
        }
        assert_eq!(*workload, expected);
    }
}
