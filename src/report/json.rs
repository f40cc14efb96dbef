//! The report for programs: `tunecheck.report/v1`. These structures are frozen: a change that a reader could notice is
//! a new version beside this one.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::text::escaped;
use crate::model::action::{Action, Edit, Target};
use crate::model::fact::Value;
use crate::model::finding::{Finding, Outcome, Proof};
use crate::model::place::{Kind, Netns, Writable};
use crate::model::report::Report;
use crate::model::rule::Effect;

/// The version of the format.
const SCHEMA: &str = "tunecheck.report/v1";

/// The report as JSON, indented if a person looks at it.
///
/// # Errors
/// None that these structures can cause; the type is that of the serializer.
pub fn print(report: &Report, indent: bool) -> serde_json::Result<String> {
    let report = ReportV1::from(report);
    let text = if indent { serde_json::to_string_pretty(&report)? } else { serde_json::to_string(&report)? };
    // Only texts hold such characters, and JSON knows them by number as well.
    let number = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    Ok(escaped(&text, number).into_owned() + "\n")
}

/// The JSON Schema of a report.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(ReportV1)
}

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck report")]
struct ReportV1<'a> {
    /// Always `tunecheck.report/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    /// What was read: `live`, or a snapshot, tree or dump.
    source: &'a str,
    node: Option<&'a str>,
    kernel: Option<&'a str>,
    cpus: Option<Number>,
    memory_bytes: Option<Number>,
    place: PlaceV1<'a>,
    workload: WorkloadV1<'a>,
    /// What the reader has to know about the whole report.
    notes: &'a [String],
    summary: SummaryV1,
    /// Worst first.
    findings: Vec<FindingV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct PlaceV1<'a> {
    kind: KindV1,
    network_namespace: NetnsV1,
    runtime: Option<&'a str>,
    kubernetes_node: bool,
    unit: Option<&'a str>,
    cgroup: Option<&'a str>,
    uid: Option<u32>,
    capabilities: &'a [&'static str],
    sysctls: WritableV1,
    because: &'a [String],
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum KindV1 {
    Host,
    Namespace,
    Container,
    Pod,
    HostNetworkPod,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum NetnsV1 {
    Init,
    Child,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum WritableV1 {
    Writable,
    ReadOnlyMount,
    NotPermitted,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
struct WorkloadV1<'a> {
    role: &'static str,
    connections: u64,
    burst: u64,
    destinations: u64,
    streams: u64,
    incoming: u64,
    outgoing: u64,
    ports: &'a [u16],
}

#[derive(Serialize, JsonSchema)]
struct SummaryV1 {
    fail: usize,
    warn: usize,
    pass: usize,
    unknown: usize,
    not_applicable: usize,
    waived: usize,
}

#[derive(Serialize, JsonSchema)]
struct FindingV1<'a> {
    rule: &'a str,
    title: &'a str,
    manual: &'a str,
    scope: &'static str,
    subject: Option<&'a str>,
    outcome: OutcomeV1,
    /// Why it is unknown or not applicable; else empty.
    reason: &'a str,
    gap: Option<GapV1<'a>>,
    fact: &'a str,
    now: Option<ValueV1>,
    unit: String,
    source: &'a str,
    want: WantV1<'a>,
    share_percent: Option<Number>,
    evidence: Vec<ProofV1<'a>>,
    owner: Option<&'a str>,
    says: &'a str,
    /// What must not be forgotten when it is changed; else empty.
    also: &'a str,
    fix: Vec<ActionV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum OutcomeV1 {
    Pass,
    Warn,
    Fail,
    Unknown,
    NotApplicable,
    Waived,
}

#[derive(Serialize, JsonSchema)]
struct GapV1<'a> {
    /// `absent`, `denied`, `unparsable`, `not-visible-here` or `unsupported`.
    cause: String,
    why: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct WantV1<'a> {
    text: &'a str,
    fail_below: Option<Number>,
    warn_below: Option<Number>,
    fail_above: Option<Number>,
    warn_above: Option<Number>,
    limit: Option<Number>,
    one_of: Vec<ValueV1>,
}

#[derive(Serialize, JsonSchema)]
struct ProofV1<'a> {
    fact: &'a str,
    value: Option<Number>,
    gap: Option<GapV1<'a>>,
    says: &'a str,
    /// Whether the value is a total since a beginning; a figure now otherwise.
    total: bool,
}

#[derive(Serialize, JsonSchema)]
struct ActionV1<'a> {
    target: TargetV1,
    who: &'a str,
    edit: EditV1<'a>,
    /// What to type or to write, line by line.
    lines: &'a [String],
    scope: &'a str,
    cost: &'a str,
    safety: &'static str,
    takes_effect: &'static str,
    prove: &'a str,
    undo: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum TargetV1 {
    Here,
    ContainerRun,
    PodManifest,
    Node,
    KubeProxy,
    Application,
    Owner,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
enum EditV1<'a> {
    Sysctl { name: &'a str, old: Option<ValueV1>, new: ValueV1 },
    Nofile { soft: Number, hard: Number },
    RemoveLine { name: &'a str, at: &'a str },
    Advice,
}

/// A whole number of any size.
#[derive(Clone, Copy, JsonSchema)]
struct Number(#[schemars(with = "i64")] i128);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(number) => serializer.serialize_i64(number),
            Err(_) => serializer.serialize_i128(self.0),
        }
    }
}

/// A number, several numbers, `unlimited`, a port list, or words.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ValueV1 {
    Number(Number),
    Numbers(Vec<Number>),
    Text(String),
}

impl From<&Value> for ValueV1 {
    fn from(value: &Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(Number(*number)),
            Value::Numbers(list) => Self::Numbers(list.iter().copied().map(Number).collect()),
            other => Self::Text(other.plain()),
        }
    }
}

impl<'a> From<&'a Report> for ReportV1<'a> {
    fn from(report: &'a Report) -> Self {
        let (place, load) = (&report.place, &report.workload);
        Self {
            schema: SCHEMA,
            tunecheck: env!("CARGO_PKG_VERSION"),
            source: &report.source,
            node: report.node.as_deref(),
            kernel: report.kernel.as_deref(),
            cpus: report.cpus.map(Number),
            memory_bytes: report.memory.map(Number),
            place: PlaceV1 {
                kind: match place.kind {
                    Kind::Host => KindV1::Host,
                    Kind::Namespace => KindV1::Namespace,
                    Kind::Container => KindV1::Container,
                    Kind::Pod => KindV1::Pod,
                    Kind::HostNetworkPod => KindV1::HostNetworkPod,
                    Kind::Unknown => KindV1::Unknown,
                },
                network_namespace: match place.netns {
                    Netns::Init => NetnsV1::Init,
                    Netns::Child => NetnsV1::Child,
                    Netns::Unknown => NetnsV1::Unknown,
                },
                runtime: place.runtime.as_deref(),
                kubernetes_node: place.node,
                unit: place.unit.as_deref(),
                cgroup: place.cgroup.as_deref(),
                uid: place.uid,
                capabilities: &place.capabilities,
                sysctls: match place.writable {
                    Writable::Yes => WritableV1::Writable,
                    Writable::ReadOnly => WritableV1::ReadOnlyMount,
                    Writable::NotPermitted => WritableV1::NotPermitted,
                    Writable::Unknown => WritableV1::Unknown,
                },
                because: &place.because,
            },
            workload: WorkloadV1 {
                role: load.role.word(),
                connections: load.connections,
                burst: load.burst,
                destinations: load.destinations,
                streams: load.streams,
                incoming: load.incoming(),
                outgoing: load.outgoing(),
                ports: &load.ports,
            },
            notes: &report.notes,
            summary: SummaryV1 {
                fail: report.count(Outcome::Fail),
                warn: report.count(Outcome::Warn),
                pass: report.count(Outcome::Pass),
                unknown: report.count(Outcome::Unknown),
                not_applicable: report.count(Outcome::NotApplicable),
                waived: report.count(Outcome::Waived),
            },
            findings: report.findings.iter().map(FindingV1::from).collect(),
        }
    }
}

impl<'a> From<&'a Finding> for FindingV1<'a> {
    fn from(finding: &'a Finding) -> Self {
        let want = &finding.want;
        Self {
            rule: &finding.rule,
            title: &finding.title,
            manual: &finding.manual,
            scope: finding.scope.word(),
            subject: finding.subject.as_deref(),
            outcome: match finding.outcome {
                Outcome::Pass => OutcomeV1::Pass,
                Outcome::Warn => OutcomeV1::Warn,
                Outcome::Fail => OutcomeV1::Fail,
                Outcome::Unknown => OutcomeV1::Unknown,
                Outcome::NotApplicable => OutcomeV1::NotApplicable,
                Outcome::Waived => OutcomeV1::Waived,
            },
            reason: &finding.reason,
            gap: finding.gap.as_ref().map(GapV1::from),
            fact: &finding.fact,
            now: finding.now.as_ref().map(ValueV1::from),
            unit: finding.unit.to_string(),
            source: &finding.source,
            want: WantV1 {
                text: &want.text,
                fail_below: want.fail_below.map(Number),
                warn_below: want.warn_below.map(Number),
                fail_above: want.fail_above.map(Number),
                warn_above: want.warn_above.map(Number),
                limit: want.limit.map(Number),
                one_of: want.one_of.iter().map(ValueV1::from).collect(),
            },
            share_percent: finding.share.map(Number),
            evidence: finding.evidence.iter().map(ProofV1::from).collect(),
            owner: finding.owner.as_deref(),
            says: &finding.says,
            also: &finding.also,
            fix: finding.fix.iter().map(ActionV1::from).collect(),
        }
    }
}

impl<'a> From<&'a crate::model::fact::Gap> for GapV1<'a> {
    fn from(gap: &'a crate::model::fact::Gap) -> Self {
        Self { cause: gap.cause.to_string().replace(' ', "-"), why: &gap.why }
    }
}

impl<'a> From<&'a Proof> for ProofV1<'a> {
    fn from(proof: &'a Proof) -> Self {
        Self {
            fact: &proof.fact,
            value: proof.value.as_ref().ok().copied().map(Number),
            gap: proof.value.as_ref().err().map(GapV1::from),
            says: &proof.says,
            total: proof.total,
        }
    }
}

impl<'a> From<&'a Action> for ActionV1<'a> {
    fn from(action: &'a Action) -> Self {
        Self {
            target: match action.target {
                Target::Here => TargetV1::Here,
                Target::ContainerRun => TargetV1::ContainerRun,
                Target::PodManifest => TargetV1::PodManifest,
                Target::Node => TargetV1::Node,
                Target::KubeProxy => TargetV1::KubeProxy,
                Target::Application => TargetV1::Application,
                Target::Owner => TargetV1::Owner,
            },
            who: &action.who,
            edit: match &action.edit {
                Edit::Sysctl { name, old, new } => {
                    EditV1::Sysctl { name, old: old.as_ref().map(ValueV1::from), new: ValueV1::from(new) }
                }
                Edit::Nofile { soft, hard } => EditV1::Nofile { soft: Number(*soft), hard: Number(*hard) },
                Edit::RemoveLine { name, at } => EditV1::RemoveLine { name, at },
                Edit::Advice => EditV1::Advice,
            },
            lines: &action.lines,
            scope: &action.scope,
            cost: &action.cost,
            safety: action.safety.word(),
            takes_effect: match action.takes_effect {
                Effect::Now => "now",
                Effect::NewSockets => "new-sockets",
                Effect::Relisten => "relisten",
                Effect::Restart => "restart",
                Effect::NewPods => "new-pods",
                Effect::Reboot => "reboot",
            },
            prove: &action.prove,
            undo: &action.undo,
        }
    }
}
