//! What `tunecheck manifest` says against what strict schemas say.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Behaviour;
use crate::schema::{NEWEST, OLDEST, VALIDATE, validate, written};
use crate::support::{ROOT, entries, json, scratch};

pub(crate) const ALL: &[Behaviour] = &[
    ("strict_schemas_refuse_what_manifest_calls_no_field_or_unquoted", &[VALIDATE], true, refused),
    ("strict_schemas_take_the_manifests_that_raise_no_alarm", &[VALIDATE], true, taken),
];

/// The objects of a manifest, lists taken apart, as far as the schemas know their kinds and they are whole.
fn objects(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    let text = text.trim_start_matches('\u{feff}');
    let documents: Vec<Value> = match serde_json::from_str(text) {
        Ok(value) => vec![value],
        Err(_) => serde_yaml::Deserializer::from_str(text)
            .map(|document| {
                let mut value = <serde_yaml::Value as serde::Deserialize>::deserialize(document).unwrap();
                value.apply_merge().unwrap();
                serde_json::to_value(value).unwrap()
            })
            .collect(),
    };
    let parts = |document: Value| match document["kind"].as_str() {
        Some("List") => document["items"].as_array().unwrap().clone(),
        _ => vec![document],
    };
    documents.into_iter().flat_map(parts).filter(|object| !object.is_null()).collect()
}

fn refused() {
    let folder = scratch("kubernetes-manifests-refused");
    for file in ["fields", "sysctls", "dns"] {
        let path = Path::new(ROOT).join(format!("fixtures/manifests/bad/{file}.yaml"));
        for (number, object) in objects(&path).iter().enumerate() {
            let one = written(&folder, &format!("{file}-{number}.json"), object);
            let told = json(&["manifest", one.to_str().unwrap()]);
            let of_schemas = |finding: &&Value| {
                let says = finding["says"].as_str().unwrap();
                says.contains("has no field") || says.contains("is text, and") || says.contains("without a name:")
            };
            let findings: Vec<&Value> = told["findings"].as_array().unwrap().iter().filter(of_schemas).collect();
            for release in [OLDEST, NEWEST] {
                // An object whose faults schemas do not know passes them.
                let output = validate(release, std::slice::from_ref(&one));
                assert_eq!(
                    !output.status.success(),
                    !findings.is_empty(),
                    "{release} {}: {findings:#?}",
                    one.display()
                );
            }
        }
    }
}

fn taken() {
    let folder = scratch("kubernetes-manifests-taken");
    let mut files: Vec<PathBuf> = Vec::new();
    for path in entries(Path::new(ROOT).join("fixtures/manifests/good")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        // Kinds that the schemas lack, objects of no API server, and a part of an object.
        if ["compose.yml", "node.yaml", "other-kinds.yaml", "patch.yaml"].contains(&name) {
            continue;
        }
        for (number, mut object) in objects(&path).into_iter().enumerate() {
            // The validator reports by name.
            if object["metadata"]["name"].is_null() {
                object["metadata"]["name"] = Value::from("generated");
            }
            files.push(written(&folder, &format!("{number}-{name}.json"), &object));
        }
    }
    assert!(files.len() > 15, "{files:?}");
    for release in [OLDEST, NEWEST] {
        // resources of a pod as a whole are a field from 1.32 on.
        let known = |path: &&PathBuf| release == NEWEST || !path.ends_with("0-pod-level.yaml.json");
        let files: Vec<PathBuf> = files.iter().filter(known).cloned().collect();
        let output = validate(release, &files);
        assert!(output.status.success(), "{release}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
