//! What a rule says, in the form that is judged. The form that is typed is `rules::file`.
//!
//! All of it is constant: the built-in rules are data in the binary, which nothing decodes or copies at start-up, and what
//! a user's rules say is kept until the process ends.

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::fact::{Literal, Scope, Value};
use super::facts::Name;
use super::fix::{Change, Effect, Fix, Pod};
use super::version::Version;
use super::watch::Watch;
use super::workload::Role;

/// One rule: when it applies, which fact, which bound, what to do, and why.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::rule)]
pub struct Rule {
    /// `subsystem/name`: the path of its file below `rules/`.
    pub id: &'static str,
    /// What is true when the rule passes.
    pub title: &'static str,
    /// Rows of the tuning manual that the rule encodes, as `1.3, 3.5.1`.
    pub manual: &'static str,
    /// Whose value it is.
    pub scope: Scope,
    /// Roles for which it is asked; empty for all.
    pub roles: &'static [Role],
    /// Kernel releases on which it makes sense.
    pub kernel: Kernels,
    /// Conditions without which the rule is not applicable.
    pub when: &'static [Condition],
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
    pub evidence: &'static [Evidence],
    /// How it takes part when limits are watched, if it does.
    pub watch: Option<Watch>,
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
    /// What people see or search for when the limit is hit: patterns as `model::symptom` reads them.
    pub symptoms: Vec<&'static str>,
    /// What tells it from other causes of the same symptom.
    pub tell: &'static str,
    /// What the kernel really does, how to see it, where handbooks go wrong.
    pub why: &'static str,
    /// Sources.
    pub links: Vec<&'static str>,
    /// Worked examples; the tests run them.
    pub examples: Vec<Example>,
}

impl Rule {
    /// The facts that judging needs, `[*]` included.
    pub fn judged_by(&self) -> Vec<&'static str> {
        let mut names = vec![self.fact];
        names.extend(self.applied_by());
        names.extend(self.check.facts());
        names.extend(self.evidence.iter().map(|evidence| evidence.fact));
        names
    }

    /// The facts that tell whether it applies.
    pub fn applied_by(&self) -> impl Iterator<Item = &'static str> {
        self.when.iter().map(|condition| condition.fact)
    }

    /// The facts that saying what is wrong and mending it need: without them a fix could lower a value, drop an entry,
    /// or be refused by the kernel.
    pub fn mended_by(&self) -> Vec<Name> {
        let sentences = [self.says, self.fix.application, self.fix.ask, self.fix.also, self.fix.prove];
        let mut names: Vec<Name> = sentences.into_iter().flat_map(placeholders).map(Name::from).collect();
        for fix in self.fix.sysctl {
            names.push(format!("sysctl.{}", fix.name).into());
            names.extend(["value", "last"].map(|what| format!("tuned[{}].{what}", fix.name).into()));
            match &fix.change {
                Change::Raise(bound) => names.extend(bound.of.map(Name::from)),
                Change::Add(fact) => names.push(Name::from(*fact)),
                Change::Widen(..) => names.push("sysctl.net.ipv4.ip_unprivileged_port_start".into()),
                Change::Set(_) => {}
            }
        }
        if self.module.is_some() && !self.fix.sysctl.is_empty() {
            names.push("kernel.modules".into());
        }
        if let Some(nofile) = &self.fix.nofile {
            names.extend([nofile.soft.of, nofile.hard.of].into_iter().flatten().map(Name::from));
            let limits = ["serving.nofile.soft", "serving.nofile.hard", "serving.cgroup", "sysctl.fs.nr_open"];
            names.extend(limits.map(Name::from));
        }
        if self.fix.ndots.is_some() {
            names.push("resolver.ndots".into());
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

/// Kernel releases from one on, and before another.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[databake(path = crate::model::rule)]
pub struct Kernels {
    /// The oldest.
    pub since: Option<Version>,
    /// The first that is too new.
    pub before: Option<Version>,
}

impl Kernels {
    /// Whether every release is meant.
    pub fn are_all(self) -> bool {
        self == Self::default()
    }

    /// Why a release is not among them; `None` if it is.
    pub fn excludes(self, kernel: Version) -> Option<String> {
        match self {
            Self { since: Some(since), .. } if kernel < since => {
                Some(format!("needs kernel {since}, this is {kernel}"))
            }
            Self { before: Some(before), .. } if kernel >= before => {
                Some(format!("a matter of kernels before {before}, this is {kernel}"))
            }
            _ => None,
        }
    }
}

/// A condition on a fact without which a rule is not applicable.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::rule)]
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
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::rule)]
pub enum Test {
    /// One of these values.
    OneOf(&'static [Literal]),
    /// This number or more.
    AtLeast(i128),
}

impl Test {
    /// Whether a value is what it has to be.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(values) => values.iter().any(|accepted| accepted.value() == *value),
            Self::AtLeast(least) => value.limit().is_some_and(|number| number >= *least),
        }
    }
}

/// What it means for a rule that its fact does not exist.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[databake(path = crate::model::rule)]
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

/// A counter or gauge shown beside a finding.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::rule)]
pub struct Evidence {
    /// The fact.
    pub fact: &'static str,
    /// What the number counts, as words after it.
    pub says: &'static str,
    /// Whether a value above zero turns a warn into a fail.
    pub fails: bool,
    /// Whether a rise while it is looked at turns a warn into a fail.
    pub rising_fails: bool,
    /// Whether a value above zero turns a pass into a warn, and a rise while it is looked at into a fail: it has
    /// happened, whatever the use says now.
    pub warns: bool,
    /// Whether it is a gauge: a figure now, not a total since a beginning.
    pub plain: bool,
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
