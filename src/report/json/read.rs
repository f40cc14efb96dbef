//! A recorded report read back: what a plan is made of, and nothing else. Unknown keys are passed over.

use std::borrow::Cow;

use serde::Deserialize;
use thiserror::Error;

use super::convert::SCHEMA;
use crate::model::action::{NofileEdit, RecordedEdit};
use crate::model::fact::Value;
use crate::model::place::{Kind, Netns, Place, Writable};

/// Why a report cannot be read back.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// It is no JSON, or not of this shape.
    #[error("this is no tunecheck report: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another format, or another version of it.
    #[error("the format is {0:?}; this tunecheck reads {SCHEMA} (tunecheck --format json)")]
    Format(String),
    /// It was taken of nothing.
    #[error("{0}")]
    Value(String),
}

/// A report as it was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// The host name.
    pub node: Option<String>,
    /// CPUs online.
    pub cpus: Option<i128>,
    /// Memory in bytes.
    pub memory: Option<i128>,
    /// Where the audit stood.
    pub place: Place,
    /// What warned or failed.
    pub findings: Vec<RecordedFinding>,
    /// How many could not be checked.
    pub unknown: usize,
}

/// A finding that warned or failed.
#[derive(Debug)]
pub struct RecordedFinding {
    /// The rule's id.
    pub rule: String,
    /// Who writes the value last.
    pub owner: Option<String>,
    /// The least that the rule accepts without a warning, where it asked for a number.
    pub need: Option<i128>,
    /// Its changes.
    pub fix: Vec<RecordedEdit>,
}

/// Reads a report back.
///
/// # Errors
/// [`Unreadable`]: no JSON, not of this format, or a value that is none.
pub fn read(bytes: &[u8]) -> Result<Recorded, Unreadable> {
    let format: FormatIn = serde_json::from_slice(bytes)?;
    if format.schema != SCHEMA {
        return Err(Unreadable::Format(format.schema.chars().take(60).collect()));
    }
    let report: ReportIn = serde_json::from_slice(bytes)?;
    let urgent = |finding: &FindingIn| matches!(finding.outcome.as_ref(), "warn" | "fail");
    let unknown = report.findings.iter().filter(|finding| finding.outcome == "unknown").count();
    let findings = report.findings.into_iter().filter(urgent).map(FindingIn::meaning).collect::<Result<_, _>>()?;
    let kernel = report.kernel.as_deref().and_then(|release| release.parse().ok());
    Ok(Recorded {
        node: report.node.map(Cow::into_owned),
        cpus: report.cpus.map(i128::from),
        memory: report.memory_bytes.map(i128::from),
        place: Place { kernel, ..report.place.meaning() },
        findings,
        unknown,
    })
}

#[derive(Deserialize)]
struct FormatIn {
    #[serde(default)]
    schema: String,
}

#[derive(Deserialize)]
struct ReportIn<'a> {
    #[serde(borrow)]
    node: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kernel: Option<Cow<'a, str>>,
    cpus: Option<i64>,
    memory_bytes: Option<i64>,
    #[serde(borrow)]
    place: PlaceIn<'a>,
    #[serde(borrow)]
    findings: Vec<FindingIn<'a>>,
}

#[derive(Deserialize)]
struct PlaceIn<'a> {
    kind: KindIn,
    network_namespace: NetnsIn,
    #[serde(borrow)]
    runtime: Option<Cow<'a, str>>,
    kubernetes_node: bool,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
    uid: Option<u32>,
    #[serde(borrow, default)]
    capabilities: Vec<Cow<'a, str>>,
    sysctls: WritableIn,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindIn {
    Host,
    Namespace,
    Container,
    Pod,
    HostNetworkPod,
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NetnsIn {
    Init,
    Child,
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WritableIn {
    Writable,
    ReadOnlyMount,
    NotPermitted,
    Unknown,
}

impl PlaceIn<'_> {
    fn meaning(self) -> Place {
        const CAPABILITIES: [&str; 4] = ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"];
        Place {
            kind: match self.kind {
                KindIn::Host => Kind::Host,
                KindIn::Namespace => Kind::Namespace,
                KindIn::Container => Kind::Container,
                KindIn::Pod => Kind::Pod,
                KindIn::HostNetworkPod => Kind::HostNetworkPod,
                KindIn::Unknown => Kind::Unknown,
            },
            netns: match self.network_namespace {
                NetnsIn::Init => Netns::Init,
                NetnsIn::Child => Netns::Child,
                NetnsIn::Unknown => Netns::Unknown,
            },
            writable: match self.sysctls {
                WritableIn::Writable => Writable::Yes,
                WritableIn::ReadOnlyMount => Writable::ReadOnly,
                WritableIn::NotPermitted => Writable::NotPermitted,
                WritableIn::Unknown => Writable::Unknown,
            },
            runtime: self.runtime.map(Cow::into_owned),
            node: self.kubernetes_node,
            unit: self.unit.map(Cow::into_owned),
            uid: self.uid,
            capabilities: CAPABILITIES.into_iter().filter(|name| self.capabilities.iter().any(|c| c == name)).collect(),
            init_pidns: None,
            cgroup: None,
            kernel: None,
            because: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct FindingIn<'a> {
    #[serde(borrow)]
    rule: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    owner: Option<Cow<'a, str>>,
    #[serde(default)]
    want: WantIn,
    #[serde(borrow, default)]
    fix: Vec<ActionIn<'a>>,
}

impl FindingIn<'_> {
    fn meaning(self) -> Result<RecordedFinding, Unreadable> {
        let rule = self.rule.into_owned();
        let fix = self.fix.into_iter().map(|action| action.meaning(&rule)).collect::<Result<_, _>>()?;
        let need = self.want.warn_below.or(self.want.fail_below).map(i128::from);
        Ok(RecordedFinding { owner: self.owner.map(Cow::into_owned), need, fix, rule })
    }
}

#[derive(Deserialize, Default)]
struct WantIn {
    warn_below: Option<i64>,
    fail_below: Option<i64>,
}

#[derive(Deserialize)]
struct ActionIn<'a> {
    #[serde(borrow)]
    site: Cow<'a, str>,
    edit: EditIn,
    #[serde(default)]
    lines: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum EditIn {
    Sysctl { name: String, old: Option<ValueIn>, new: ValueIn, boot_line: Option<String>, tuned: Option<String> },
    Nofile { old_soft: Option<i64>, old_hard: Option<i64>, soft: i64, hard: i64, nr_open: Option<i64> },
    AllowUnsafe {},
    Ndots {},
    RemoveLine { at: String },
    Advice,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ValueIn {
    Number(i64),
    Numbers(Vec<i64>),
    Text(String),
}

impl From<ValueIn> for Value {
    fn from(value: ValueIn) -> Self {
        match value {
            ValueIn::Number(number) => Self::Number(number.into()),
            ValueIn::Numbers(list) => Self::Numbers(list.into_iter().map(i128::from).collect()),
            ValueIn::Text(text) if text == "unlimited" => Self::Unlimited,
            ValueIn::Text(text) => Self::Text(text),
        }
    }
}

impl ActionIn<'_> {
    fn meaning(self, rule: &str) -> Result<RecordedEdit, Unreadable> {
        let limit = |limit: Option<i64>| limit.map_or(i128::MAX, i128::from);
        Ok(match self.edit {
            EditIn::Sysctl { name, old, new, boot_line, tuned } => {
                RecordedEdit::Sysctl { name, old: old.map(Value::from), new: new.into(), boot_line, tuned }
            }
            EditIn::Nofile { old_soft, old_hard, soft, hard, nr_open } => RecordedEdit::Nofile(NofileEdit {
                old_soft: limit(old_soft),
                old_hard: limit(old_hard),
                soft: soft.into(),
                hard: hard.into(),
                ceiling: nr_open.map(i128::from),
            }),
            EditIn::AllowUnsafe {} => RecordedEdit::AllowUnsafe,
            EditIn::Ndots {} => RecordedEdit::Ndots,
            EditIn::RemoveLine { at } => RecordedEdit::RemoveLine { at },
            EditIn::Advice => match self.site.as_ref() {
                "application" => RecordedEdit::Advice { application: true, lines: self.lines },
                "owner" => RecordedEdit::Advice { application: false, lines: self.lines },
                other => return Err(Unreadable::Value(format!("rule {rule}: there is no advice for site {other:?}"))),
            },
        })
    }
}
