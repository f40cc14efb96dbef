//! The keys of a rule and of a workload file, as they are typed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::{EffectWord, IfAbsentWord, RoleWord, SafetyWord, ScopeWord, SeverityWord, StageWord};
use crate::model::check::Severity;
use crate::model::fact::Scope;
use crate::model::fix::{Effect, Safety};
use crate::model::rule::IfAbsent;
use crate::model::watch::Stage;
use crate::model::workload::Role;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with title, scope, fact, check, fix, why and examples")]
#[schemars(title = "tunecheck rule")]
pub(super) struct RuleFile {
    /// What is true when the rule passes.
    pub(super) title: String,
    /// Rows of the tuning manual that the rule encodes, as `1.3, 3.5.1`: `tunecheck explain manual` lists them.
    #[serde(default)]
    pub(super) manual: String,
    /// Whose value it is.
    #[schemars(with = "ScopeWord")]
    pub(super) scope: Scope,
    #[serde(default)]
    pub(super) applies: AppliesFile,
    /// The fact that is judged; `[*]` stands for each subject in turn.
    pub(super) fact: String,
    #[serde(default)]
    #[schemars(with = "Option<IfAbsentWord>")]
    pub(super) if_absent: IfAbsent,
    /// The sentence printed when `if_absent` decided.
    #[serde(default)]
    pub(super) absent_says: String,
    pub(super) check: CheckFile,
    /// Printed under a warn or a fail; `{fact}` stands for the fact's value.
    #[serde(default)]
    pub(super) says: String,
    #[serde(default)]
    pub(super) evidence: Vec<EvidenceFile>,
    /// How it takes part in `tunecheck watch`; without it, it does not.
    #[serde(default)]
    pub(super) watch: Option<WatchFile>,
    #[serde(default)]
    #[schemars(with = "Option<EffectWord>")]
    pub(super) takes_effect: Effect,
    #[serde(default)]
    pub(super) pod: Option<PodFile>,
    /// Kernel module without which the sysctls of the fix do not exist.
    #[serde(default)]
    pub(super) module: Option<String>,
    pub(super) fix: FixFile,
    /// Log lines and phrases that people see when the limit is hit. Words match whatever their case and punctuation;
    /// `<n>` stands for a number, `<addr>` for an address, `<name>` for a name or path without a blank, `<text>` for any
    /// words between two others. `^` at the beginning: only a log line's prefix stands before; `$` at the end: nothing
    /// stands behind. A phrase that other troubles share (`^connection refused$`) has both.
    #[serde(default)]
    pub(super) symptoms: Vec<String>,
    /// What to look at to tell this cause from others with the same symptom; printed where several share it.
    #[serde(default)]
    pub(super) tell: String,
    pub(super) why: String,
    #[serde(default)]
    pub(super) links: Vec<String>,
    pub(super) examples: Vec<ExampleFile>,
}

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AppliesFile {
    #[schemars(with = "Vec<RoleWord>")]
    pub(super) roles: Vec<Role>,
    /// Oldest kernel release.
    pub(super) kernel: Option<String>,
    /// First kernel release to which it does not apply any more.
    pub(super) kernel_before: Option<String>,
    pub(super) when: Vec<ConditionFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConditionFile {
    pub(super) fact: String,
    pub(super) equals: Option<Scalar>,
    pub(super) one_of: Option<Vec<Scalar>>,
    pub(super) at_least: Option<i64>,
    /// Printed when it does not hold.
    pub(super) otherwise: String,
    pub(super) if_absent: Option<IfConditionAbsent>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum IfConditionAbsent {
    Holds,
    Fails,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, a list of numbers, or text")]
pub(super) enum Scalar {
    Number(i64),
    Numbers(Vec<i64>),
    Text(String),
}

/// A number, or a fact's value times `times` plus `plus`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or { of: FACT, times: N, plus: N, at_least: N }")]
pub(super) enum BoundFile {
    Number(i64),
    Of(OfFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfFile {
    pub(super) of: String,
    pub(super) times: Option<f64>,
    pub(super) plus: Option<i64>,
    /// The least the bound comes to.
    pub(super) at_least: Option<i64>,
}

/// Exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckFile {
    pub(super) at_least: Option<LevelsFile>,
    pub(super) at_most: Option<LevelsFile>,
    pub(super) between: Option<BandsFile>,
    pub(super) equals: Option<EqualsFile>,
    pub(super) one_of: Option<OneOfFile>,
    pub(super) covers: Option<CoversFile>,
    pub(super) absent: Option<OtherwiseFile>,
    pub(super) usage: Option<UsageFile>,
    pub(super) not_rising: Option<RisingFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelsFile {
    pub(super) fail: Option<BoundFile>,
    pub(super) warn: Option<BoundFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BandsFile {
    pub(super) fail: Option<(BoundFile, BoundFile)>,
    pub(super) warn: Option<(BoundFile, BoundFile)>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EqualsFile {
    pub(super) value: OperandFile,
    #[schemars(with = "SeverityWord")]
    pub(super) otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OneOfFile {
    pub(super) values: Vec<OperandFile>,
    #[schemars(with = "SeverityWord")]
    pub(super) otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, a list of numbers, text, or { of: FACT }")]
pub(super) enum OperandFile {
    Literal(Scalar),
    Of(OfFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CoversFile {
    pub(super) of: String,
    #[schemars(with = "SeverityWord")]
    pub(super) otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherwiseFile {
    #[schemars(with = "SeverityWord")]
    pub(super) otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RisingFile {
    /// Outcome if the counter has moved at all.
    #[schemars(with = "SeverityWord")]
    pub(super) otherwise: Severity,
    /// Outcome if it moves while it is looked at; without it the same.
    #[schemars(with = "Option<SeverityWord>")]
    pub(super) rising: Option<Severity>,
    /// A total that is less than one in so many of the traffic passes, if it is small in itself as well.
    pub(super) seldom: Option<SeldomFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SeldomFile {
    pub(super) one_in: u32,
    /// More events than this never pass, 100 without it: beside the traffic of months an outage of today is a small share.
    /// Larger only where one event does little harm, such as a packet that is sent again.
    pub(super) at_most: Option<u32>,
    /// Whether the share holds of a window too: events that the traffic of any machine brings with it.
    #[serde(default)]
    pub(super) always: bool,
    /// The fact that counts the traffic since the same beginning. Where it cannot be read, no total passes but 0.
    pub(super) of: String,
    /// What it counts, as words after the number.
    pub(super) what: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UsageFile {
    pub(super) of: String,
    pub(super) warn: u32,
    pub(super) fail: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceFile {
    pub(super) fact: String,
    pub(super) says: String,
    /// A value above zero turns a warn into a fail.
    #[serde(default)]
    pub(super) fails: bool,
    /// A rise while it is looked at turns a warn into a fail.
    #[serde(default)]
    pub(super) rising_fails: bool,
    /// A value above zero turns a pass into a warn, a rise while it is looked at into a fail.
    #[serde(default)]
    pub(super) warns: bool,
    #[serde(default)]
    pub(super) plain: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchFile {
    /// The limit that it speaks of, in words; several rules may speak of one.
    pub(super) limit: String,
    /// What fails for a client when it is reached.
    #[schemars(with = "StageWord")]
    pub(super) stage: Stage,
    /// Rules whose limit explains this one.
    #[serde(default)]
    pub(super) follows: Vec<String>,
    /// A shortage that slows everything down, and no limit that refuses.
    #[serde(default)]
    pub(super) saturation: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "pod is unsafe, impossible or { safe: \"1.27\", kernel: \"4.15\" }")]
pub(super) enum PodFile {
    Word(PodWord),
    Safe(SafeFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PodWord {
    Unsafe,
    Impossible,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SafeFile {
    /// First Kubernetes release that admits it.
    pub(super) safe: String,
    /// First kernel release on which it does.
    pub(super) kernel: Option<String>,
}

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FixFile {
    pub(super) sysctl: Vec<SysctlFixFile>,
    pub(super) nofile: Option<NofileFile>,
    pub(super) remove: Option<String>,
    /// The `ndots` that a pod's resolver should have.
    pub(super) ndots: Option<u32>,
    pub(super) application: String,
    pub(super) ask: String,
    pub(super) also: String,
    pub(super) cost: String,
    #[schemars(with = "Option<SafetyWord>")]
    pub(super) safety: Option<Safety>,
    pub(super) prove: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SysctlFixFile {
    pub(super) name: String,
    pub(super) raise: Option<BoundFile>,
    pub(super) set: Option<Scalar>,
    pub(super) widen: Option<(i64, i64)>,
    pub(super) add: Option<AddFile>,
    /// Bytes of kernel memory for each unit of the value that comes into use.
    pub(super) bytes_each: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddFile {
    pub(super) of: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NofileFile {
    pub(super) soft: BoundFile,
    pub(super) hard: BoundFile,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleFile {
    pub(super) given: BTreeMap<String, Option<Scalar>>,
    #[serde(default)]
    #[schemars(with = "Option<RoleWord>")]
    pub(super) role: Role,
    pub(super) expect: ExpectWord,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExpectWord {
    Pass,
    Warn,
    Fail,
    Unknown,
    NotApplicable,
}
