//! What a rule says, in the form that is judged. The form that is typed is `rules::file`.
//!
//! Texts are `&'static str`: those of built-in rules lie in the binary and are not copied at start-up, those of a
//! user's rules are kept until the process ends.

use serde::{Deserialize, Serialize};

use super::fact::{Gap, Scope, Value};
use super::facts::{Facts, Name, with_subject};
use super::version::Version;
use super::workload::Role;

/// One rule: when it applies, which fact, which bound, what to do, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// `subsystem/name`: the path of its file below `rules/`.
    pub id: &'static str,
    /// What is true when the rule passes.
    pub title: &'static str,
    /// Sections of the tuning manual that the rule encodes.
    pub manual: &'static str,
    /// Whose value it is.
    pub scope: Scope,
    /// Roles for which it is asked; empty for all.
    pub roles: Vec<Role>,
    /// Oldest kernel release on which it makes sense.
    pub kernel: Option<Version>,
    /// Conditions without which the rule is not applicable.
    pub when: Vec<Condition>,
    /// The fact that is judged; `[*]` stands for each subject in turn.
    pub fact: &'static str,
    /// What it means that the fact does not exist.
    pub if_absent: IfAbsent,
    /// The sentence printed when `if_absent` decided.
    pub absent_says: &'static str,
    /// The bound.
    pub check: Check,
    /// What is printed under a warn or a fail; `{fact}` stands for the fact's value.
    pub says: &'static str,
    /// Counters and usage that prove or disprove pressure.
    pub evidence: Vec<Evidence>,
    /// When a fix acts.
    pub takes_effect: Effect,
    /// Whether a pod may set the sysctls of the fix.
    pub pod: Option<Pod>,
    /// Kernel module without which the sysctls of the fix do not exist.
    pub module: Option<&'static str>,
    /// What to change.
    pub fix: Fix,
}

/// What a rule says to people: apart from the rule, so that an audit does not load it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Doc {
    /// What people see or search for when the limit is hit.
    pub symptoms: Vec<&'static str>,
    /// What the kernel really does, how to see it, where handbooks go wrong.
    pub why: &'static str,
    /// Sources.
    pub links: Vec<&'static str>,
    /// Worked examples; the tests run them.
    pub examples: Vec<Example>,
}

impl Rule {
    /// The first part of the id.
    pub fn subsystem(&self) -> &'static str {
        self.id.split('/').next().unwrap_or_default()
    }

    /// The facts that judging needs, `[*]` included.
    pub fn judged_by(&self) -> Vec<&'static str> {
        let mut names = vec![self.fact];
        names.extend(self.when.iter().map(|condition| condition.fact));
        names.extend(self.check.facts());
        names.extend(self.evidence.iter().map(|evidence| evidence.fact));
        names
    }

    /// The facts that saying what is wrong and mending it need: without them a fix could lower a value, drop an entry,
    /// or be refused by the kernel.
    pub fn mended_by(&self) -> Vec<Name> {
        let mut names: Vec<Name> = placeholders(self.says).map(Name::from).collect();
        for fix in &self.fix.sysctl {
            names.push(format!("sysctl.{}", fix.name).into());
            match &fix.change {
                Change::Raise(bound) => names.extend(bound.of.map(Name::from)),
                Change::Add(fact) => names.push(Name::from(*fact)),
                Change::Widen(..) => names.push("sysctl.net.ipv4.ip_unprivileged_port_start".into()),
                Change::Set(_) => {}
            }
        }
        if let Some(nofile) = &self.fix.nofile {
            names.extend([nofile.soft.of, nofile.hard.of].into_iter().flatten().map(Name::from));
            names.extend(["limit.nofile.soft", "limit.nofile.hard", "sysctl.fs.nr_open"].map(Name::from));
        }
        if let Some(name) = self.fix.remove {
            names.push(format!("boot[{name}].value").into());
        }
        names
    }

    /// Whether the rule is asked of a role.
    pub fn asks(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }
}

/// The fact names between braces in a sentence.
pub fn placeholders(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// A condition on a fact without which a rule is not applicable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// The fact it looks at.
    pub fact: &'static str,
    /// What the fact has to be.
    pub test: Test,
    /// What is printed when it does not hold.
    pub otherwise: &'static str,
    /// What it means that the fact does not exist; `None` makes the rule unknown.
    pub if_absent: Option<bool>,
}

/// What a condition's fact has to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Test {
    /// One of these values.
    OneOf(Vec<Value>),
    /// This number or more.
    AtLeast(i128),
}

/// What it means for a rule that its fact does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IfAbsent {
    /// The rule could not be checked.
    #[default]
    Unknown,
    /// The rule holds: nothing is there that could break it.
    Pass,
    /// There is nothing to judge.
    NotApplicable,
}

/// How bad it is that a check does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works for the declared load, below the recommendation or close to a limit.
    Warn,
    /// Will not carry the declared load, or is already breaking.
    Fail,
}

/// A number: `of` (if any) times `times` plus `plus`, and at least `least`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// A fact to take the number from.
    pub of: Option<&'static str>,
    /// Factor on the fact.
    pub times: f64,
    /// Added to it; the whole number if there is no fact.
    pub plus: i64,
    /// The least it comes to.
    pub least: i64,
}

impl Bound {
    /// The number it stands for.
    ///
    /// # Errors
    /// The gap in place of the fact it refers to.
    pub fn amount(&self, facts: &Facts, subject: Option<&str>) -> Result<i128, Gap> {
        let Some(name) = self.of else { return Ok(self.plus.into()) };
        let number = facts.number(&with_subject(name, subject))?;
        if number == i128::MAX {
            return Ok(number);
        }
        // A factor of one keeps numbers exact beyond the 53 bits of a float.
        let scaled = if self.times == 1.0 { number } else { (number as f64 * self.times).ceil() as i128 };
        Ok(scaled.saturating_add(self.plus.into()).max(self.least.into()))
    }
}

/// The numbers between which a fact has to lie.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct Band {
    /// Lower end, included.
    pub at_least: Option<Bound>,
    /// Upper end, included.
    pub at_most: Option<Bound>,
}

/// A value to compare with: written in the rule, or that of another fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// Written in the rule.
    Literal(Value),
    /// The value of this fact.
    Fact(&'static str),
}

/// The closed vocabulary of checks.
#[allow(clippy::large_enum_variant, reason = "there are fifty of them in all")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Check {
    /// `at_least`, `at_most`, `between`: outside `fail` it fails, outside `warn` it warns.
    Range {
        /// Outside it the declared load is not carried.
        fail: Band,
        /// Outside it the recommendation is missed.
        warn: Band,
    },
    /// `equals`, `one_of`.
    OneOf {
        /// Accepted values.
        values: Vec<Operand>,
        /// Outcome for any other.
        otherwise: Severity,
    },
    /// A port list that holds every port of another.
    Covers {
        /// The fact with the ports to hold.
        of: &'static str,
        /// Outcome if one is missing.
        otherwise: Severity,
    },
    /// Must not be set.
    Absent {
        /// Outcome if it is.
        otherwise: Severity,
    },
    /// A use as a share of its limit.
    Usage {
        /// The fact with the limit.
        of: &'static str,
        /// Percent from which it warns.
        warn: u32,
        /// Percent from which it fails, if it can.
        fail: Option<u32>,
    },
    /// A counter that should stand still.
    NotRising {
        /// Outcome if it has moved.
        otherwise: Severity,
    },
}

impl Check {
    /// The facts it compares with.
    pub fn facts(&self) -> Vec<&'static str> {
        match self {
            Self::Range { fail, warn } => {
                [&fail.at_least, &fail.at_most, &warn.at_least, &warn.at_most].into_iter().filter_map(of).collect()
            }
            Self::OneOf { values, .. } => values
                .iter()
                .filter_map(|value| match value {
                    Operand::Fact(name) => Some(*name),
                    Operand::Literal(_) => None,
                })
                .collect(),
            Self::Covers { of, .. } | Self::Usage { of, .. } => vec![of],
            Self::Absent { .. } | Self::NotRising { .. } => Vec::new(),
        }
    }
}

fn of(bound: &Option<Bound>) -> Option<&'static str> {
    bound.as_ref()?.of
}

/// A counter or gauge shown beside a finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// The fact.
    pub fact: &'static str,
    /// What the number counts, as words after it.
    pub says: &'static str,
    /// Whether a value above zero turns a warn into a fail.
    pub fails: bool,
    /// Whether it is a gauge: a figure now, not a total since a beginning.
    pub plain: bool,
}

/// When a fix acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At once.
    #[default]
    Now,
    /// For sockets made afterwards.
    NewSockets,
    /// When the server calls listen() again.
    Relisten,
    /// When the process is started again.
    Restart,
    /// For pods made afterwards.
    NewPods,
    /// At the next boot.
    Reboot,
}

impl Effect {
    /// The moment as a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Now => "at once",
            Self::NewSockets => "for new sockets",
            Self::Relisten => "when the server calls listen() again: restart it",
            Self::Restart => "when the process is started again",
            Self::NewPods => "for pods made afterwards",
            Self::Reboot => "at the next boot",
        }
    }
}

/// Whether `spec.securityContext.sysctls` of a pod may hold a sysctl.
///
/// Source: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pod {
    /// Every kubelet from this release on admits it, on a kernel of at least `kernel`.
    Safe {
        /// First Kubernetes release.
        since: Version,
        /// First kernel release, if there is a lower end.
        kernel: Option<Version>,
    },
    /// Namespaced; the kubelet rejects the pod unless its `allowedUnsafeSysctls` has the name.
    Unsafe,
    /// Not namespaced, or read-only in a pod: no setting makes it work.
    Impossible,
}

/// How much thought a change asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// No side effect on what works now.
    Safe,
    /// Read it first.
    #[default]
    Review,
    /// A person decides.
    Manual,
}

impl Safety {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Review => "review",
            Self::Manual => "manual",
        }
    }
}

/// What to change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fix {
    /// Sysctls, in the order of application.
    pub sysctl: Vec<SysctlFix>,
    /// The limit on open files.
    pub nofile: Option<NofileFix>,
    /// A sysctl whose line has to leave the boot configuration.
    pub remove: Option<&'static str>,
    /// What the application's owner changes.
    pub application: &'static str,
    /// What to ask of whoever owns the limit.
    pub ask: &'static str,
    /// A sentence that must not be forgotten.
    pub also: &'static str,
    /// Memory or side effects.
    pub cost: &'static str,
    /// How much thought it asks for.
    pub safety: Safety,
    /// A command that shows that it worked; empty for the usual one.
    pub prove: &'static str,
}

/// A change of one sysctl. None of them can lower a size or drop an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SysctlFix {
    /// The sysctl, with dots.
    pub name: &'static str,
    /// The change.
    pub change: Change,
}

/// How a sysctl's value changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// To this number, if it is more than the live one.
    Raise(Bound),
    /// To this mode.
    Set(Value),
    /// A range of ports, outwards only.
    Widen(i128, i128),
    /// A port list, by the ports of this fact.
    Add(&'static str),
}

/// The limit on open files that a fix asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'static"))]
pub struct NofileFix {
    /// Soft limit.
    pub soft: Bound,
    /// Hard limit.
    pub hard: Bound,
}

/// A worked example: facts, and the outcome they must give.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    /// Facts by name; `None` for a fact that does not exist.
    pub given: Vec<(&'static str, Option<Value>)>,
    /// The role; server if it is not named.
    pub role: Role,
    /// The outcome, by its word.
    pub expect: &'static str,
}
