//! The script that adds to what a workload has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};

use crate::Behaviour;
use crate::reports::{Fixes, all_of, fix};
use crate::support::scratch;

pub(crate) const ALL: &[Behaviour] = &[
    ("a_merge_keeps_what_a_workload_has", &["jq", "sh"], true, merge),
    ("shellcheck_has_nothing_to_say_of_the_merge", &["shellcheck"], true, shellcheck),
];

fn fixes() -> Fixes {
    fix(&all_of("pod"), "kubernetes", &["--kubernetes-version", "1.34", "--max-safety", "manual"])
}

fn shellcheck() {
    let script = scratch("kubernetes-merge-shellcheck").join("pod-merge.sh");
    fs::write(&script, &fixes().files["pod-merge.sh"]).unwrap();
    let output = Command::new(crate::needs::find("shellcheck").unwrap()).arg(&script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// With a kubectl that knows one workload, and writes down what it is asked for.
const KUBECTL: &str = r#"#!/bin/sh
echo "$*" >>asked
case $1 in
get) cat workload.json ;;
patch) cat pod-merged.json ;;
diff) cat >/dev/null; echo "the difference"; exit 1 ;;
esac
"#;

fn merge() {
    let fixes = fixes();
    let ours = &fixes.yaml("pod-patch.yaml")["spec"]["template"]["spec"];
    let run = |name: &str, mut spec: Value| {
        if name != "no-template" {
            spec["containers"] = json!([]);
        }
        let folder = scratch(&format!("kubernetes-merge-{name}"));
        let workload = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "template": { "spec": spec } } });
        let files = [
            ("kubectl", KUBECTL),
            ("workload.json", &workload.to_string()),
            ("pod-merge.sh", &fixes.files["pod-merge.sh"]),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let mut sh = Command::new("sh");
        sh.args(["pod-merge.sh", "deployment", "gateway", "-n", "web"]).current_dir(&folder).env("PATH", path);
        let output = sh.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        let asked = fs::read_to_string(folder.join("asked")).unwrap();
        for line in asked.lines() {
            let looks = line.starts_with("get ") || line.starts_with("diff ") || line.contains("--dry-run=server");
            assert!(looks, "it applies nothing: {asked}");
        }
        let merged = fs::read_to_string(folder.join("pod-merged.json")).ok();
        (output.status.code(), said, merged.map(|text| serde_json::from_str::<Value>(&text).unwrap()))
    };
    // Nothing there: what comes out is the patch.
    let (code, said, merged) = run("empty", json!({}));
    let patch = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "template": { "spec": ours } } });
    assert_eq!((code, merged), (Some(0), Some(patch)), "{said}");
    assert!(said.contains("the difference") && said.contains("--type merge --patch-file pod-merged.json"), "{said}");
    // What is there stays, once.
    let theirs = json!({
        "securityContext": { "sysctls": [
            { "name": "kernel.shm_rmid_forced", "value": "1" },
            { "name": "net/core/somaxconn", "value": "200000" },
        ] },
        "tolerations": [{ "key": "spot", "operator": "Exists" }, ours["tolerations"][0]],
        "dnsConfig": { "options": [{ "name": "timeout", "value": "1" }] },
    });
    let (code, said, merged) = run("theirs", theirs.clone());
    let merged = merged.unwrap()["spec"]["template"]["spec"].clone();
    assert_eq!((code, &merged["tolerations"]), (Some(0), &theirs["tolerations"]), "{said}");
    let list = |value: &Value| value.as_array().unwrap().clone();
    let sysctls = list(&merged["securityContext"]["sysctls"]);
    assert_eq!(sysctls[..2], list(&theirs["securityContext"]["sysctls"])[..]);
    assert_eq!(sysctls.len(), list(&ours["securityContext"]["sysctls"]).len() + 1);
    assert_eq!(
        merged["dnsConfig"]["options"],
        json!([{ "name": "timeout", "value": "1" }, { "name": "ndots", "value": "2" }])
    );
    let (code, said, merged) = run("no-template", json!({}));
    assert_eq!((code, merged), (Some(2), None), "{said}");
    assert!(said.contains("deployment is no Deployment, StatefulSet, DaemonSet"), "{said}");
    // Another value of the same name is for a person to decide.
    let other = json!({ "securityContext": { "sysctls": [{ "name": "net.core.somaxconn", "value": "900000" }] } });
    let (code, said, merged) = run("other", other);
    assert_eq!((code, merged), (Some(1), None), "{said}");
    assert!(said.contains("net.core.somaxconn: it has 900000, the patch 200000"), "{said}");
}
