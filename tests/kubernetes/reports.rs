//! Reports made by hand, and what `tunecheck fix` makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tunecheck::model::fix::Change;
use tunecheck::rules::RuleSet;

use crate::support::{Run, run, scratch};

/// Files by path, and what is left out with the reason.
#[derive(Debug)]
pub(crate) struct Fixes {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) readme: String,
}

impl Fixes {
    /// A YAML file, parsed.
    pub(crate) fn yaml(&self, path: &str) -> Value {
        let text = self.files.get(path).unwrap_or_else(|| panic!("no {path} in {:?}", self.files.keys()));
        serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}\n{text}"))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The line that says why a step is left out.
    pub(crate) fn why(&self, step: &str) -> &str {
        let said = || self.readme.lines().map(str::trim_start);
        let line = said().find(|line| line.starts_with(&format!("- {step}")));
        // Without any file the reasons are in the refusal.
        let line = line.or_else(|| said().find(|line| self.files.is_empty() && line.contains(step)));
        line.unwrap_or_else(|| panic!("{step} is not left out:\n{}", self.readme))
    }

    /// Every reason for what is left out.
    pub(crate) fn reasons(&self) -> Vec<&str> {
        let (below, mark) = match self.readme.split_once("\nNot in them:\n") {
            Some((_, below)) => (below, "- "),
            None => (self.readme.as_str(), "left out: "),
        };
        below.lines().filter(|line| line.starts_with(mark)).collect()
    }
}

pub(crate) fn sysctl(name: &str, old: impl Into<Value>, new: impl Into<Value>) -> Value {
    let (old, new): (Value, Value) = (old.into(), new.into());
    // Changes are worked out from figures: what a boot file asks for is never gone below, so it gives the new value. Of
    // what kube-proxy writes that would say that the file does not hold.
    let file = new.is_number() && !name.starts_with("net.netfilter.nf_conntrack");
    let boot = file.then(|| json!({ "at": "/usr/lib/sysctl.d/60-site.conf:3", "value": new }));
    json!({ "site": "here", "edit": { "kind": "sysctl", "name": name, "old": old, "new": new, "boot": boot } })
}

pub(crate) fn nofile(old: (i64, i64), new: (i64, i64)) -> Value {
    let edit = json!({
        "kind": "nofile", "old_soft": old.0, "old_hard": old.1, "soft": new.0, "hard": new.1, "nr_open": null,
    });
    json!({ "site": "here", "edit": edit })
}

/// Limits that are too high, as a report tells them.
pub(crate) fn lower_nofile(old: (i64, i64)) -> Value {
    let edit = json!({
        "kind": "lower-nofile", "old_soft": old.0, "old_hard": old.1, "soft": 65_536, "hard": 524_288,
    });
    json!({ "site": "here", "edit": edit })
}

pub(crate) fn finding(rule: &str, fix: &[Value]) -> Value {
    // The value that was judged, and bounds so low that nothing is asked for beyond the rule's own numbers.
    let now = fix.first().map(|action| action["edit"]["old"].clone());
    let limit = now.as_ref().filter(|now| now.is_number());
    // This rule asks for its bound itself.
    let bound =
        fix.first().filter(|_| rule == "files/nr-open").map_or(json!(1), |action| action["edit"]["new"].clone());
    json!({
        "rule": rule, "outcome": "fail", "now": now, "want": { "limit": limit, "warn_below": bound, "fail_below": 1 },
        "fix": fix,
    })
}

/// A report of a place.
pub(crate) fn report(kind: &str, node: bool, kernel: &str, findings: &[Value]) -> Value {
    let netns = if ["host", "host-network-pod"].contains(&kind) { "init" } else { "child" };
    json!({
        "schema": "tunecheck.report/v1",
        "node": "node-a", "kernel": kernel, "cpus": 4, "memory_bytes": 1_u64 << 40,
        "workload": {
            "role": "server", "connections": 6000, "burst": 600, "destinations": 1, "streams": 1, "outgoing": 0, "ports": [],
        },
        "place": {
            "kind": kind, "network_namespace": netns, "runtime": null, "kubernetes_node": node, "unit": null,
            "uid": 0, "capabilities": [], "sysctls": "read-only-mount",
        },
        "findings": findings,
    })
}

/// A finding of every built-in rule that changes something.
pub(crate) fn everything() -> Vec<Value> {
    let rules = RuleSet::built_in();
    let changes = rules.iter().map(|rule| {
        let mut fix: Vec<Value> = rule
            .fix
            .sysctl
            .iter()
            .map(|fix| match &fix.change {
                // Less than any rule asks for.
                Change::Raise(_) => sysctl(fix.name, 1, 200_000),
                Change::Set(value) => sysctl(fix.name, 9, value.value().limit().unwrap() as i64),
                Change::Widen(..) => sysctl(fix.name, json!([32768, 60999]), json!([10240, 65535])),
                Change::Add(_) => sysctl(fix.name, "8080", "8080,30000-32767"),
            })
            .collect();
        if rule.fix.nofile.is_some() {
            fix.push(nofile((1024, 4096), (65535, 524_288)));
        }
        if rule.fix.ndots.is_some() {
            fix.push(json!({ "site": "pod-manifest", "edit": { "kind": "ndots", "ndots": 2 } }));
        }
        finding(rule.id, &fix)
    });
    changes.collect()
}

/// Everything in a place on a kernel of today.
pub(crate) fn all_of(kind: &str) -> Value {
    report(kind, kind != "container", "6.12.1", &everything())
}

/// Runs `fix` for a report.
pub(crate) fn run_fix(report: &Value, args: &[&str]) -> (Run, std::path::PathBuf) {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = scratch(&format!("kubernetes-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    let path = folder.join("report.json");
    fs::write(&path, report.to_string()).unwrap();
    let out = folder.join("out");
    let (path, shown) = (path.to_str().unwrap(), out.to_str().unwrap());
    (run(["fix", "--from", path, "--output", shown].into_iter().chain(args.iter().copied())), out)
}

/// What `fix` writes for one target.
pub(crate) fn fix(report: &Value, target: &str, args: &[&str]) -> Fixes {
    let (run, out) = run_fix(report, &[&["--to", target], args].concat());
    let mut files = BTreeMap::new();
    // A target that has nothing to write refuses, and says why.
    if run.code == Some(2) && !run.stderr.contains("is missing") {
        return Fixes { files, readme: run.stderr };
    }
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    if out.join(target).exists() {
        collect(&out.join(target), "", &mut files);
    }
    let readme = fs::read_to_string(out.join("README.md")).unwrap();
    fs::remove_dir_all(out.parent().unwrap()).unwrap();
    Fixes { files, readme }
}

fn collect(folder: &Path, below: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        match path.is_dir() {
            true => collect(&path, &format!("{name}/"), files),
            false => _ = files.insert(name, fs::read_to_string(&path).unwrap()),
        }
    }
}
