//! What a rule file means: the typed keys as a rule of the model.

use super::kept;
use super::typed::*;
use crate::model::check::{Band, Bound, Check, Operand, Seldom};
use crate::model::fact::{Literal, Value};
use crate::model::fix::{Change, Fix, NofileFix, Pod, SysctlFix};
use crate::model::rule::{Condition, Doc, Evidence, Example, Kernels, Rule, Test};
use crate::model::symptom::Pattern;
use crate::model::sysctl;
use crate::model::version::Version;
use crate::model::watch::Watch;

/// Events that may be seldom, where a rule does not say how many.
const FEW: u32 = 100;

fn all_kept(texts: Vec<String>) -> Vec<&'static str> {
    texts.into_iter().map(kept).collect()
}

/// A mark in the text of the file near which the problem is, and the problem.
pub(super) type Meant<T> = Result<T, (&'static str, String)>;

impl Scalar {
    fn value(self, fact: &str) -> Meant<Value> {
        Ok(match self {
            Self::Number(n) => Value::Number(n.into()),
            Self::Numbers(list) => Value::Numbers(list.into_iter().map(i128::from).collect()),
            Self::Text(text) if text == "unlimited" => Value::Unlimited,
            Self::Text(text)
                if fact.starts_with("ports.") || fact.ends_with("reserved_ports") || fact == "udp.ports" =>
            {
                Value::Ports(text.parse().map_err(|error| ("examples:", error))?)
            }
            Self::Text(text) => Value::Text(text),
        })
    }

    fn literal(self, fact: &str) -> Meant<Literal> {
        self.value(fact).map(Literal::kept)
    }
}

impl From<BoundFile> for Bound {
    fn from(typed: BoundFile) -> Self {
        match typed {
            BoundFile::Number(n) => Self { of: None, times: 1.0, plus: n, least: i64::MIN },
            BoundFile::Of(OfFile { of, times, plus, at_least }) => Self {
                of: Some(kept(of)),
                times: times.unwrap_or(1.0),
                plus: plus.unwrap_or(0),
                least: at_least.unwrap_or(i64::MIN),
            },
        }
    }
}

impl RuleFile {
    /// The rule, and what it says to people.
    pub(super) fn meaning(self, id: &str) -> Meant<(Rule, Doc)> {
        let release = |mark| move |text: String| text.parse::<Version>().map_err(|error| (mark, error));
        let fact = self.fact.clone();
        let acts = !self.fix.sysctl.is_empty() || self.fix.nofile.is_some();
        if acts && (self.fix.cost.is_empty() || self.fix.safety.is_none()) {
            return Err(("fix:", "a fix that changes something needs `cost` and `safety`".to_owned()));
        }
        if !self.fix.sysctl.is_empty() && self.pod.is_none() {
            return Err((
                "fix:",
                "a fix with a sysctl needs `pod`: unsafe, impossible or { safe: \"1.27\" }".to_owned(),
            ));
        }
        if self.examples.is_empty() {
            return Err(("examples:", "at least one worked example is needed".to_owned()));
        }
        if let Some(module) = self.module.as_deref().filter(|module| !sysctl::is_module(module)) {
            return Err(("module:", format!("{module:?} is no name of a kernel module")));
        }
        let pod = match self.pod {
            None => None,
            Some(PodFile::Word(PodWord::Unsafe)) => Some(Pod::Unsafe),
            Some(PodFile::Word(PodWord::Impossible)) => Some(Pod::Impossible),
            Some(PodFile::Safe(SafeFile { safe, kernel })) => {
                Some(Pod::Safe { since: release("pod:")(safe)?, kernel: kernel.map(release("pod:")).transpose()? })
            }
        };
        if let Some(what) = self.symptoms.iter().find_map(|symptom| Pattern::parse(symptom).err()) {
            return Err(("symptoms:", what));
        }
        let doc = Doc {
            symptoms: all_kept(self.symptoms),
            tell: kept(self.tell),
            why: kept(self.why),
            links: all_kept(self.links),
            examples: self.examples.into_iter().map(ExampleFile::meaning).collect::<Meant<_>>()?,
        };
        let rule = Rule {
            id: kept(id.to_owned()),
            title: kept(self.title),
            manual: kept(self.manual),
            scope: self.scope,
            roles: self.applies.roles.leak(),
            kernel: Kernels {
                since: self.applies.kernel.map(release("kernel:")).transpose()?,
                before: self.applies.kernel_before.map(release("kernel_before:")).transpose()?,
            },
            when: self.applies.when.into_iter().map(ConditionFile::meaning).collect::<Meant<Vec<_>>>()?.leak(),
            check: self.check.meaning(&fact)?,
            fact: kept(self.fact),
            if_absent: self.if_absent,
            absent_says: kept(self.absent_says),
            says: kept(self.says),
            evidence: self.evidence.into_iter().map(Evidence::from).collect::<Vec<_>>().leak(),
            watch: self.watch.map(Watch::from),
            takes_effect: self.takes_effect,
            pod,
            module: self.module.map(kept),
            fix: self.fix.meaning()?,
        };
        Ok((rule, doc))
    }
}

impl ConditionFile {
    fn meaning(self) -> Meant<Condition> {
        let test = match (self.equals, self.one_of, self.at_least) {
            (Some(value), None, None) => Test::OneOf(vec![value.literal(&self.fact)?].leak()),
            (None, Some(values), None) => Test::OneOf(
                values.into_iter().map(|value| value.literal(&self.fact)).collect::<Meant<Vec<_>>>()?.leak(),
            ),
            (None, None, Some(least)) => Test::AtLeast(least.into()),
            _ => return Err(("when:", "a condition has exactly one of equals, one_of, at_least".to_owned())),
        };
        let if_absent = self.if_absent.map(|word| matches!(word, IfConditionAbsent::Holds));
        Ok(Condition { fact: kept(self.fact), test, otherwise: kept(self.otherwise), if_absent })
    }
}

impl CheckFile {
    fn meaning(self, fact: &str) -> Meant<Check> {
        let band = |low: Option<BoundFile>, high: Option<BoundFile>| Band {
            at_least: low.map(Bound::from),
            at_most: high.map(Bound::from),
        };
        let both = |pair: Option<(BoundFile, BoundFile)>| match pair {
            Some((low, high)) => band(Some(low), Some(high)),
            None => Band::default(),
        };
        let operand = |typed| match typed {
            OperandFile::Literal(scalar) => Ok(Operand::Literal(scalar.literal(fact)?)),
            OperandFile::Of(OfFile { of, times: None, plus: None, at_least: None }) => Ok(Operand::Fact(kept(of))),
            OperandFile::Of(_) => Err(("check:", "a value to equal takes no times, plus or at_least".to_owned())),
        };
        let mut checks: Vec<Check> = Vec::new();
        checks.extend(self.at_least.map(|l| Check::Range { fail: band(l.fail, None), warn: band(l.warn, None) }));
        checks.extend(self.at_most.map(|l| Check::Range { fail: band(None, l.fail), warn: band(None, l.warn) }));
        checks.extend(self.between.map(|b| Check::Range { fail: both(b.fail), warn: both(b.warn) }));
        if let Some(EqualsFile { value, otherwise }) = self.equals {
            checks.push(Check::OneOf { values: vec![operand(value)?].leak(), otherwise });
        }
        if let Some(OneOfFile { values, otherwise }) = self.one_of {
            checks.push(Check::OneOf {
                values: values.into_iter().map(operand).collect::<Meant<Vec<_>>>()?.leak(),
                otherwise,
            });
        }
        checks.extend(self.covers.map(|c| Check::Covers { of: kept(c.of), otherwise: c.otherwise }));
        checks.extend(self.absent.map(|a| Check::Absent { otherwise: a.otherwise }));
        checks.extend(self.usage.map(|u| Check::Usage { of: kept(u.of), warn: u.warn, fail: u.fail }));
        checks.extend(self.not_rising.map(|n| Check::NotRising {
            otherwise: n.otherwise,
            rising: n.rising.unwrap_or(n.otherwise).max(n.otherwise),
            seldom: n.seldom.map(|s| Seldom {
                always: s.always,
                one_in: s.one_in,
                at_most: s.at_most.unwrap_or(FEW),
                of: kept(s.of),
                what: kept(s.what),
            }),
        }));
        match (checks.pop(), checks.is_empty()) {
            (Some(Check::Range { fail, warn }), true) if (&fail, &warn) == (&Band::default(), &Band::default()) => {
                Err(("check:", "at_least, at_most and between take `fail`, `warn` or both".to_owned()))
            }
            (Some(check), true) => Ok(check),
            _ => Err(("check:", "a check is exactly one of at_least, at_most, between, equals, one_of, covers, absent, usage, not_rising".to_owned())),
        }
    }
}

impl From<EvidenceFile> for Evidence {
    fn from(typed: EvidenceFile) -> Self {
        Self {
            fact: kept(typed.fact),
            says: kept(typed.says),
            fails: typed.fails,
            rising_fails: typed.rising_fails,
            warns: typed.warns,
            plain: typed.plain,
        }
    }
}

impl From<WatchFile> for Watch {
    fn from(typed: WatchFile) -> Self {
        Self {
            limit: kept(typed.limit),
            stage: typed.stage,
            follows: all_kept(typed.follows).leak(),
            saturation: typed.saturation,
        }
    }
}

impl FixFile {
    fn meaning(self) -> Meant<Fix> {
        let nofile = self.nofile.map(|typed| NofileFix { soft: typed.soft.into(), hard: typed.hard.into() });
        Ok(Fix {
            sysctl: self.sysctl.into_iter().map(SysctlFixFile::meaning).collect::<Meant<Vec<_>>>()?.leak(),
            nofile,
            remove: self.remove.map(name).transpose()?,
            ndots: self.ndots,
            application: kept(self.application),
            ask: kept(self.ask),
            also: kept(self.also),
            cost: kept(self.cost),
            safety: self.safety.unwrap_or_default(),
            prove: kept(self.prove),
        })
    }
}

/// A sysctl's name that a fix may print into a script or a file.
fn name(text: String) -> Meant<&'static str> {
    match sysctl::is_name(&text) {
        true => Ok(kept(text)),
        false => Err(("fix:", format!("{text:?} is no name of a sysctl: words with dots between them"))),
    }
}

/// A value that a fix may print into a script or a file.
fn settable(value: Value) -> Meant<Value> {
    match &value {
        Value::Text(text) if !sysctl::is_value(text) => {
            Err(("set:", format!("{text:?} is no value that a fix can write: letters, digits, blanks and _-.,:/")))
        }
        _ => Ok(value),
    }
}

impl SysctlFixFile {
    fn meaning(self) -> Meant<SysctlFix> {
        let change = match (self.raise, self.set, self.widen, self.add) {
            (Some(bound), None, None, None) => Change::Raise(bound.into()),
            (None, Some(value), None, None) => Change::Set(Literal::kept(settable(value.value(&self.name)?)?)),
            (None, None, Some((low, high)), None) => Change::Widen(low.into(), high.into()),
            (None, None, None, Some(add)) => Change::Add(kept(add.of)),
            _ => return Err(("sysctl:", "a sysctl of a fix has exactly one of raise, set, widen, add".to_owned())),
        };
        Ok(SysctlFix { name: name(self.name)?, change, bytes_each: self.bytes_each })
    }
}

impl ExampleFile {
    fn meaning(self) -> Meant<Example> {
        let given = self.given.into_iter().map(|(fact, scalar)| {
            let value = scalar.map(|scalar| scalar.value(&fact)).transpose()?;
            Ok((kept(fact), value))
        });
        let expect = match self.expect {
            ExpectWord::Pass => "pass",
            ExpectWord::Warn => "warn",
            ExpectWord::Fail => "fail",
            ExpectWord::Unknown => "unknown",
            ExpectWord::NotApplicable => "not-applicable",
        };
        Ok(Example { given: given.collect::<Meant<_>>()?, role: self.role, expect })
    }
}
