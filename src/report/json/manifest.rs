//! `tunecheck.manifest/v1`. These structures are frozen: a change that a reader could notice is a new version beside this
//! one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::v1::OutcomeV1;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Judged, Manifests};

/// The version of the format.
const SCHEMA: &str = "tunecheck.manifest/v1";

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck manifest")]
struct ManifestV1<'a> {
    /// Always `tunecheck.manifest/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    summary: ManifestSummaryV1<'a>,
    /// By file, line and column.
    findings: Vec<ManifestFindingV1<'a>>,
    /// Files and folders that could not be read.
    unreadable: Vec<UnreadableV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct ManifestSummaryV1<'a> {
    fail: usize,
    warn: usize,
    unknown: usize,
    /// Files that were read.
    files: usize,
    /// Objects in them.
    objects: usize,
    /// Pods and pod templates that were judged.
    pods: usize,
    /// Patches, or single changes of one, that put something into a pod's spec and were judged.
    patches: usize,
    /// Configurations of kubelets and of kube-proxy, services of Compose files and ECS tasks that were judged.
    configurations: usize,
    /// Objects without a pod or a pod template.
    passed_over: usize,
    /// How many of them are of which kind.
    passed_over_kinds: BTreeMap<&'a str, usize>,
    /// Documents that are no objects for Kubernetes.
    not_manifests: usize,
    /// Templates that are not filled in.
    templates: usize,
}

#[derive(Serialize, JsonSchema)]
struct ManifestFindingV1<'a> {
    /// What the user called the file; `-` is standard input. For a document that Helm filled in: the template that it
    /// was made from.
    file: &'a str,
    /// What was read, and what line and column are of.
    read_from: &'a str,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    /// `syntax`, `no-such-field`, `sysctl-form`, `quotes`, `name`, `duplicate`, `no-such-sysctl`, `removed`, `impossible`,
    /// `host-namespace`, `unsafe`, `slashes`, `sysctl-value`, `windows`, `quantity`, `ports`, `dns`, `jvm`, `conntrack`, `kubelet`,
    /// `flags`, `runtime-memory`, `ulimits`, `sysctl-command`, `ulimit-command` or `load`.
    check: &'static str,
    outcome: OutcomeV1,
    /// The object and container; null for a whole document.
    subject: Option<&'a str>,
    /// What is wrong.
    says: &'a str,
    /// What to do about it; empty if there is nothing to say.
    change: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct UnreadableV1<'a> {
    path: &'a str,
    reason: &'a str,
}

/// What was found as JSON, indented if a person looks at it.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(manifests: &Manifests, indent: bool) -> serde_json::Result<String> {
    super::text(&ManifestV1::from(manifests), indent)
}

/// The JSON Schema of what was found.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ManifestV1)
}

impl<'a> From<&'a Manifests> for ManifestV1<'a> {
    fn from(manifests: &'a Manifests) -> Self {
        let finding = |file: &'a Judged, fault: &'a Fault| ManifestFindingV1 {
            file: fault.source.as_deref().unwrap_or(&file.file),
            read_from: &file.file,
            line: fault.mark.line,
            column: fault.mark.column,
            check: fault.check,
            outcome: OutcomeV1::from(fault.outcome),
            subject: Some(fault.subject.as_str()).filter(|subject| !subject.is_empty()),
            says: &fault.says,
            change: &fault.change,
        };
        Self {
            schema: SCHEMA,
            tunecheck: env!("CARGO_PKG_VERSION"),
            summary: ManifestSummaryV1 {
                fail: manifests.count(Outcome::Fail),
                warn: manifests.count(Outcome::Warn),
                unknown: manifests.count(Outcome::Unknown),
                files: manifests.files.len(),
                objects: manifests.sum(|file| file.objects),
                pods: manifests.sum(|file| file.pods),
                patches: manifests.sum(|file| file.patches),
                configurations: manifests.sum(|file| file.configurations),
                passed_over: manifests.passed_over().iter().map(|(_, count)| count).sum(),
                passed_over_kinds: manifests.passed_over().into_iter().collect(),
                not_manifests: manifests.sum(|file| file.not_manifests),
                templates: manifests.sum(|file| file.templates),
            },
            findings: manifests
                .files
                .iter()
                .flat_map(|file| file.faults.iter().map(move |fault| finding(file, fault)))
                .collect(),
            unreadable: manifests.unreadable.iter().map(|(path, reason)| UnreadableV1 { path, reason }).collect(),
        }
    }
}
