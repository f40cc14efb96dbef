//! `tunecheck.report/v1`. These structures are frozen: a change that a reader could notice is a new version beside this
//! one.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck report")]
pub(super) struct ReportV1<'a> {
    /// Always `tunecheck.report/v1`.
    pub(super) schema: &'static str,
    /// The version of tunecheck that made it.
    pub(super) tunecheck: &'static str,
    /// What was read: `live`, or a snapshot, tree or dump.
    pub(super) source: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) kernel: Option<&'a str>,
    pub(super) cpus: Option<Number>,
    pub(super) memory_bytes: Option<Number>,
    pub(super) place: PlaceV1<'a>,
    pub(super) workload: WorkloadV1<'a>,
    /// How long counters were looked at; null where everything was read once.
    pub(super) window_milliseconds: Option<u64>,
    /// What the reader has to know about the whole report.
    pub(super) notes: &'a [String],
    pub(super) summary: SummaryV1,
    /// Worst first.
    pub(super) findings: Vec<FindingV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct PlaceV1<'a> {
    pub(super) kind: KindV1,
    pub(super) network_namespace: NetnsV1,
    pub(super) runtime: Option<&'a str>,
    pub(super) kubernetes_node: bool,
    pub(super) unit: Option<&'a str>,
    pub(super) cgroup: Option<&'a str>,
    /// The audited process as its number and name; null where tunecheck audits what it was itself given.
    pub(super) process: Option<&'a str>,
    pub(super) uid: Option<u32>,
    /// Whether that user is one of the machine's first user namespace; null where it is unknown.
    pub(super) initial_user_namespace: Option<bool>,
    pub(super) capabilities: &'a [&'static str],
    pub(super) sysctls: WritableV1,
    pub(super) because: &'a [String],
    /// /proc/sys/kernel/random/boot_id; null where it could not be read.
    pub(super) boot_id: Option<&'a str>,
    /// The number that /proc/self/ns/net shows. A later namespace may get the number of one that is gone.
    pub(super) network_namespace_inode: Option<u64>,
    /// The cgroup of the audited process, as its cgroup namespace shows it.
    pub(super) cgroup_path: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum KindV1 {
    Host,
    Namespace,
    Container,
    Pod,
    HostNetworkPod,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NetnsV1 {
    Init,
    Child,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum WritableV1 {
    Writable,
    ReadOnlyMount,
    NotPermitted,
    Unknown,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WorkloadV1<'a> {
    pub(super) role: &'static str,
    pub(super) connections: u64,
    pub(super) burst: u64,
    pub(super) destinations: u64,
    pub(super) source_addresses: u64,
    pub(super) streams: u64,
    pub(super) incoming: u64,
    pub(super) outgoing: u64,
    /// Requests in 1,000 seconds that have a connection of their own each; 0 where connections are kept.
    pub(super) short_lived_per_1000s: u64,
    pub(super) ports: &'a [u16],
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SummaryV1 {
    pub(super) fail: usize,
    pub(super) warn: usize,
    pub(super) pass: usize,
    pub(super) unknown: usize,
    pub(super) not_applicable: usize,
    pub(super) waived: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FindingV1<'a> {
    pub(super) rule: &'a str,
    pub(super) title: &'a str,
    pub(super) manual: &'a str,
    pub(super) scope: &'static str,
    pub(super) subject: Option<&'a str>,
    pub(super) outcome: OutcomeV1,
    /// Why it is unknown or not applicable; else empty.
    pub(super) reason: &'a str,
    pub(super) gap: Option<GapV1<'a>>,
    pub(super) fact: &'a str,
    pub(super) now: Option<ValueV1>,
    pub(super) unit: String,
    pub(super) source: &'a str,
    pub(super) want: WantV1<'a>,
    pub(super) share_percent: Option<Number>,
    /// How far the judged counter rose in the window; null without one, and for what is no counter.
    pub(super) rise: Option<Number>,
    pub(super) evidence: Vec<ProofV1<'a>>,
    pub(super) owner: Option<&'a str>,
    /// The listening socket that was judged; null for other findings, and where nobody had to know who listens.
    pub(super) listens: Option<ListensV1<'a>>,
    pub(super) says: &'a str,
    /// What must not be forgotten when it is changed; else empty.
    pub(super) also: &'a str,
    pub(super) fix: Vec<ActionV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OutcomeV1 {
    Pass,
    Warn,
    Fail,
    Unknown,
    NotApplicable,
    Waived,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ListensV1<'a> {
    /// Command name and pid of the first process that holds it: `nginx 812`.
    pub(super) process: Option<&'a str>,
    /// Unit, container or pod that made the socket, by its cgroup; null where the kernel does not tell, or none is visible here.
    pub(super) unit: Option<&'a str>,
    /// Why the process is not known.
    pub(super) gap: Option<GapV1<'a>>,
    /// `somaxconn`, `the application`, or either of them.
    pub(super) limited_by: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct GapV1<'a> {
    /// `absent`, `denied`, `unparsable`, `not-visible-here`, `unsupported` or `failed`.
    pub(super) cause: String,
    pub(super) why: &'a str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct WantV1<'a> {
    pub(super) text: &'a str,
    pub(super) fail_below: Option<Number>,
    pub(super) warn_below: Option<Number>,
    pub(super) fail_above: Option<Number>,
    pub(super) warn_above: Option<Number>,
    pub(super) limit: Option<Number>,
    pub(super) one_of: Vec<ValueV1>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ProofV1<'a> {
    pub(super) fact: &'a str,
    /// Null where there is a gap, and where it is unlimited.
    pub(super) value: Option<Number>,
    /// How far it rose in the window; null without one.
    pub(super) rise: Option<Number>,
    pub(super) gap: Option<GapV1<'a>>,
    pub(super) says: &'a str,
    /// Whether the value is a total since a beginning; a figure now otherwise.
    pub(super) total: bool,
    /// Whose value it is: `process`, `netns`, `pidns`, `cgroup` or `host`.
    pub(super) scope: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ActionV1<'a> {
    /// `node`, `here`, `tuned`, `container-runtime`, `kubelet`, `kube-proxy`, `service`, `container-run`, `pod-manifest`,
    /// `application` or `owner`.
    pub(super) site: &'static str,
    pub(super) who: &'a str,
    pub(super) edit: EditV1<'a>,
    /// What to type or to write, line by line.
    pub(super) lines: &'a [String],
    pub(super) scope: &'a str,
    pub(super) cost: &'a str,
    pub(super) safety: &'static str,
    pub(super) takes_effect: &'static str,
    pub(super) prove: &'a str,
    pub(super) undo: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(super) enum EditV1<'a> {
    Sysctl {
        name: &'a str,
        old: Option<ValueV1>,
        new: ValueV1,
        /// The line of the configuration that sets it at boot.
        boot: Option<SettingV1<'a>>,
        /// The line that is read after every other one for it; its value is the name there, behind a minus where the line
        /// gives none.
        last: Option<SettingV1<'a>>,
        /// The names of the same variable that boot files set, or TuneD's profile where that has the last word.
        names: &'a [String],
        /// The line of the TuneD profile that sets it, where TuneD has the last word.
        tuned: Option<SettingV1<'a>>,
    },
    Nofile {
        /// Null where it is unlimited.
        old_soft: Option<Number>,
        /// Null where it is unlimited.
        old_hard: Option<Number>,
        soft: Number,
        hard: Number,
        /// `fs.nr_open`, where the hard limit lies above it.
        nr_open: Option<Number>,
    },
    /// The hard limit is higher than programs bear, and comes down.
    LowerNofile {
        /// Null where it is unlimited.
        old_soft: Option<Number>,
        /// Null where it is unlimited.
        old_hard: Option<Number>,
        soft: Number,
        hard: Number,
    },
    AllowUnsafe {
        name: &'a str,
    },
    Ndots {
        ndots: Number,
    },
    RemoveLine {
        name: &'a str,
        at: &'a str,
    },
    Advice,
}

/// A line that gives a sysctl a value.
#[derive(Serialize, JsonSchema)]
pub(super) struct SettingV1<'a> {
    /// `file:line`.
    pub(super) at: &'a str,
    pub(super) value: ValueV1,
}

/// A whole number of any size.
#[derive(Clone, Copy, JsonSchema)]
pub(super) struct Number(#[schemars(with = "i64")] pub(super) i128);

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
pub(super) enum ValueV1 {
    Number(Number),
    Numbers(Vec<Number>),
    Text(String),
}
