//! `tunecheck.diff/v1`. These structures are frozen: a change that a reader could notice is a new version beside this
//! one.

use schemars::JsonSchema;
use serde::Serialize;

use super::v1::{Number, OutcomeV1, ValueV1};

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck diff")]
pub(super) struct DiffV1<'a> {
    /// Always `tunecheck.diff/v1`.
    pub(super) schema: &'static str,
    /// The version of tunecheck that made it.
    pub(super) tunecheck: &'static str,
    /// What was.
    pub(super) a: SideV1<'a>,
    /// What is.
    pub(super) b: SideV1<'a>,
    /// What sets the two audits apart as a whole.
    pub(super) contrasts: Vec<ContrastV1<'a>>,
    pub(super) summary: DiffSummaryV1,
    /// Why totals were not subtracted, where no contrast says it.
    pub(super) not_subtracted: Vec<&'static str>,
    /// In reading order: worse first.
    pub(super) changes: Vec<ChangeV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct SideV1<'a> {
    /// What the user called it: a path.
    pub(super) name: &'a str,
    /// What the audit read.
    pub(super) source: &'a str,
    pub(super) node: Option<&'a str>,
    pub(super) kernel: Option<&'a str>,
    /// Whether it lists only what failed, warned or is unknown.
    pub(super) partial: bool,
    pub(super) fail: usize,
    pub(super) warn: usize,
    pub(super) unknown: usize,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ContrastV1<'a> {
    /// `workload`, `node`, `place`, `size`, `kernel`, `boot`, `network-namespace`, `user`, `window`, `tunecheck` or `extent`.
    pub(super) of: &'static str,
    pub(super) a: &'a str,
    pub(super) b: &'a str,
    /// What it means for the comparison.
    pub(super) means: &'static str,
    /// Whether the two are no before and after of one thing.
    pub(super) loud: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DiffSummaryV1 {
    pub(super) worse: usize,
    pub(super) unchecked: usize,
    pub(super) appeared: usize,
    pub(super) checked: usize,
    pub(super) better: usize,
    pub(super) gone: usize,
    pub(super) waiver: usize,
    pub(super) changed: usize,
    /// Changes that warn or fail where A did neither: what `--fail-on new` trips on.
    pub(super) new: usize,
    pub(super) unchanged: usize,
    /// Findings of one side that the other left out.
    pub(super) untold: usize,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ChangeKindV1 {
    Worse,
    Unchecked,
    Appeared,
    Checked,
    Better,
    Gone,
    Waiver,
    Changed,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct ChangeV1<'a> {
    pub(super) kind: ChangeKindV1,
    pub(super) rule: &'a str,
    pub(super) subject: Option<&'a str>,
    /// Whether it warns or fails in B and did neither in A.
    pub(super) new: bool,
    pub(super) unit: String,
    /// Null where A does not have it.
    pub(super) a: Option<StateV1<'a>>,
    /// Null where B does not have it.
    pub(super) b: Option<StateV1<'a>>,
    /// Evidence of both that is not the same.
    pub(super) moved: Vec<MovedV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct StateV1<'a> {
    pub(super) outcome: OutcomeV1,
    pub(super) now: Option<ValueV1>,
    /// What was asked of it, in words.
    pub(super) want: &'a str,
    /// Why it is unknown or not applicable; else empty.
    pub(super) reason: &'a str,
    pub(super) says: &'a str,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct MovedV1<'a> {
    pub(super) fact: &'a str,
    pub(super) a: Option<Number>,
    pub(super) b: Option<Number>,
    /// Whether it is a total since a beginning; a figure of that moment otherwise.
    pub(super) total: bool,
    /// By how much a total rose; null where it began anew or was counted elsewhere.
    pub(super) by: Option<Number>,
    /// Whether both totals are known to be of one boot, and of one network namespace or cgroup where they count for one.
    /// Null for what is no total.
    pub(super) same_counter: Option<bool>,
}
