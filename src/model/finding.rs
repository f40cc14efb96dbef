//! What a rule says about one subject.

use super::action::Action;
use super::fact::{Gap, Scope, Unit, Value};
use super::facts::Name;
use super::listener::Listener;

/// The result of a rule. Worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The rule does not concern this machine or workload.
    NotApplicable,
    /// The rule holds.
    Pass,
    /// The rule was switched off by the user, with a reason.
    Waived,
    /// The rule could not be checked.
    Unknown,
    /// Works for the declared load, below the recommendation or close to a limit.
    Warn,
    /// Will not carry the declared load, or is already breaking.
    Fail,
}

impl Outcome {
    /// All outcomes, worst first.
    pub const ALL: [Self; 6] = [Self::Fail, Self::Warn, Self::Unknown, Self::Waived, Self::Pass, Self::NotApplicable];

    /// The word used in rules, in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not-applicable",
            Self::Pass => "pass",
            Self::Waived => "waived",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a check asked for, with every bound resolved to a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Want {
    /// In words: `≥ 600`.
    pub text: String,
    /// Below it the outcome is fail.
    pub fail_below: Option<i128>,
    /// Below it the outcome is warn.
    pub warn_below: Option<i128>,
    /// Above it the outcome is fail.
    pub fail_above: Option<i128>,
    /// Above it the outcome is warn.
    pub warn_above: Option<i128>,
    /// The limit that a use is measured against.
    pub limit: Option<i128>,
    /// Accepted values.
    pub one_of: Vec<Value>,
}

/// A counter or gauge beside a finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Proof {
    /// The fact.
    pub fact: Name,
    /// Its value, or why there is none.
    pub value: Result<i128, Gap>,
    /// How far it rose while it was looked at.
    pub rise: Option<i128>,
    /// The sentence for a person, with its window.
    pub says: String,
    /// Whether the figure is a total since a beginning (a gauge otherwise).
    pub total: bool,
    /// Whose value it is; none for a fact that the catalogue does not know.
    pub scope: Option<Scope>,
}

/// What a rule says about one subject.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// The rule's title.
    pub title: &'static str,
    /// The sections of the manual that the rule encodes.
    pub manual: &'static str,
    /// Whose value it is.
    pub scope: Scope,
    /// The subject, for rules that judge each of several.
    pub subject: Option<String>,
    /// The result.
    pub outcome: Outcome,
    /// Why it is unknown or not applicable.
    pub reason: String,
    /// The kind of gap, if one decided.
    pub gap: Option<Gap>,
    /// The fact that was judged.
    pub fact: Name,
    /// Its value.
    pub now: Option<Value>,
    /// What the value counts.
    pub unit: Unit,
    /// Where the value was read.
    pub source: Name,
    /// What was asked of it.
    pub want: Want,
    /// Use as a share of the limit, in percent.
    pub share: Option<i128>,
    /// How far the judged counter rose while it was looked at.
    pub rise: Option<i128>,
    /// Counters and gauges.
    pub evidence: Vec<Proof>,
    /// Who writes the value last, as far as it shows.
    pub owner: Option<String>,
    /// The listener that was judged; none where nobody asked who listens.
    pub listener: Option<Listener>,
    /// The rule's own sentence, with values in it.
    pub says: String,
    /// What must not be forgotten when it is changed.
    pub also: String,
    /// What to change, in this place.
    pub fix: Vec<Action>,
}
