//! Rule and workload files as they are typed, and what they mean.
//!
//! The only place where YAML is parsed. Unknown keys and duplicate keys are refused.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::fact::{Scope, Value};
use crate::model::rule::{
    Band, Bound, Change, Check, Condition, Effect, Evidence, Example, Fix, IfAbsent, NofileFix, Operand, Pod, Rule,
    Safety, Severity, SysctlFix, Test,
};
use crate::model::version::Version;
use crate::model::workload::{Role, Workload};

/// Largest rule or workload file, in bytes. A real one has 5 KiB; nested flow collections cost the parser their square.
pub const LARGEST: u64 = 64 << 10;
/// Deepest nesting of brackets and braces; a real rule has 3.
const DEEPEST: usize = 16;

/// Most of anything that a workload can declare.
const MOST: u64 = 1_000_000_000;

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, if it is known.
    pub line: Option<usize>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Problem {
    /// A problem at the line that first holds `mark`.
    pub fn at(text: &str, mark: &str, what: impl Into<String>) -> Self {
        let line = text.lines().position(|line| line.contains(mark)).map(|index| index + 1);
        Self { line, what: what.into() }
    }
}

/// Reads a rule file. `id` is its path below the rules folder, without the ending.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn rule(id: &str, text: &str) -> Result<Rule, Problem> {
    let typed: RuleFile = parse(text)?;
    typed.meaning(id).map_err(|(mark, what)| Problem::at(text, mark, what))
}

/// Reads a workload file over the numbers of `base`.
///
/// # Errors
/// The first problem found, with its line where that is known.
pub fn workload(text: &str, base: impl Fn(Role) -> Workload) -> Result<Workload, Problem> {
    let typed: WorkloadFile = parse(text)?;
    let least = [("connections", typed.connections), ("burst", typed.burst), ("destinations", typed.destinations)];
    let least = least.into_iter().chain([("streams", typed.streams), ("outgoing", typed.outgoing.map(|n| n.max(1)))]);
    for (key, number) in least {
        if number.is_some_and(|number| !(1..=MOST).contains(&number)) {
            return Err(Problem::at(text, key, format!("{key} is a number from 1 to {MOST}")));
        }
    }
    if typed.ports.as_ref().is_some_and(|ports| ports.contains(&0)) {
        return Err(Problem::at(text, "ports", "nothing listens on port 0"));
    }
    let base = base(typed.role.unwrap_or_default());
    Ok(Workload {
        role: base.role,
        connections: typed.connections.unwrap_or(base.connections),
        burst: typed.burst.unwrap_or(base.burst),
        destinations: typed.destinations.unwrap_or(base.destinations),
        streams: typed.streams.unwrap_or(base.streams),
        outgoing: typed.outgoing.or(base.outgoing),
        ports: typed.ports.unwrap_or(base.ports),
    })
}

/// The JSON Schema of a rule file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(RuleFile)
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    let mut depth: usize = 0;
    for (index, line) in text.lines().enumerate() {
        for c in line.chars() {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > DEEPEST {
                let what = format!("brackets nest deeper than {DEEPEST}");
                return Err(Problem { line: Some(index + 1), what });
            }
        }
    }
    let anchors: BTreeSet<&str> = text.lines().flat_map(|line| marked(line, '&')).collect();
    // Aliases of aliases let a small file grow without end, and the parser's own bound comes after gigabytes. A *name
    // without an anchor is prose.
    if let Some(index) = text.lines().position(|line| marked(line, '*').any(|name| anchors.contains(name))) {
        let what = "an alias (*name) is not taken here: write the value out".to_owned();
        return Err(Problem { line: Some(index + 1), what });
    }
    let problem = |error: serde_yaml::Error| {
        let line = error.location().map(|location| location.line());
        let words = error.to_string();
        let what = words.rsplit_once(" at line ").map_or(words.as_str(), |(what, _)| what);
        // The parser gives the line on which the map begins.
        let twice = what.rsplit_once("duplicate entry with key \"").map(|(_, key)| key.trim_end_matches('"'));
        let again = twice.zip(line).and_then(|(key, from)| {
            let lines = text.lines().enumerate().skip(from - 1);
            lines.filter(|(_, line)| line.trim_start().starts_with(&format!("{key}:"))).nth(1)
        });
        Problem { line: again.map(|(index, _)| index + 1).or(line), what: what.to_owned() }
    };
    // The untyped pass refuses duplicate keys, which a typed map would take silently.
    serde_yaml::from_str::<serde_yaml::Value>(text).map_err(problem)?;
    serde_yaml::from_str(text).map_err(problem)
}

/// The names after a mark, where YAML would take it for that of an anchor or an alias.
fn marked(line: &str, mark: char) -> impl Iterator<Item = &str> {
    line.match_indices(mark).filter_map(move |(at, _)| {
        let (before, after) = (line.get(..at)?, line.get(at + 1..)?);
        let starts = before.chars().next_back().is_none_or(|c| c.is_whitespace() || "[{,:?-".contains(c));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(after.len());
        after.get(..end).filter(|name| starts && !name.is_empty())
    })
}

/// A mark in the text of the file near which the problem is, and the problem.
type Meant<T> = Result<T, (&'static str, String)>;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a map with title, scope, fact, check, fix, why and examples")]
#[schemars(title = "tunecheck rule")]
struct RuleFile {
    /// What is true when the rule passes.
    title: String,
    /// Sections of the tuning manual that the rule encodes.
    #[serde(default)]
    manual: String,
    /// Whose value it is.
    #[schemars(with = "ScopeWord")]
    scope: Scope,
    #[serde(default)]
    applies: AppliesFile,
    /// The fact that is judged; `[*]` stands for each subject in turn.
    fact: String,
    #[serde(default)]
    #[schemars(with = "Option<IfAbsentWord>")]
    if_absent: IfAbsent,
    /// The sentence printed when `if_absent` decided.
    #[serde(default)]
    absent_says: String,
    check: CheckFile,
    /// Printed under a warn or a fail; `{fact}` stands for the fact's value.
    #[serde(default)]
    says: String,
    #[serde(default)]
    evidence: Vec<EvidenceFile>,
    #[serde(default)]
    #[schemars(with = "Option<EffectWord>")]
    takes_effect: Effect,
    #[serde(default)]
    pod: Option<PodFile>,
    /// Kernel module without which the sysctls of the fix do not exist.
    #[serde(default)]
    module: Option<String>,
    fix: FixFile,
    #[serde(default)]
    symptoms: Vec<String>,
    why: String,
    #[serde(default)]
    links: Vec<String>,
    examples: Vec<ExampleFile>,
}

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct AppliesFile {
    #[schemars(with = "Vec<RoleWord>")]
    roles: Vec<Role>,
    /// Oldest kernel release.
    kernel: Option<String>,
    when: Vec<ConditionFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ConditionFile {
    fact: String,
    equals: Option<Scalar>,
    one_of: Option<Vec<Scalar>>,
    at_least: Option<i64>,
    /// Printed when it does not hold.
    otherwise: String,
    if_absent: Option<IfConditionAbsent>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum IfConditionAbsent {
    Holds,
    Fails,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, a list of numbers, or text")]
enum Scalar {
    Number(i64),
    Numbers(Vec<i64>),
    Text(String),
}

impl Scalar {
    fn value(self, fact: &str) -> Meant<Value> {
        Ok(match self {
            Self::Number(n) => Value::Number(n.into()),
            Self::Numbers(list) => Value::Numbers(list.into_iter().map(i128::from).collect()),
            Self::Text(text) if text == "unlimited" => Value::Unlimited,
            Self::Text(text) if fact.starts_with("ports.") || fact.ends_with("reserved_ports") => {
                Value::Ports(text.parse().map_err(|error| ("examples:", error))?)
            }
            Self::Text(text) => Value::Text(text),
        })
    }
}

/// A number, or a fact's value times `times` plus `plus`.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or { of: FACT, times: N, plus: N, at_least: N }")]
enum BoundFile {
    Number(i64),
    Of(OfFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OfFile {
    of: String,
    times: Option<f64>,
    plus: Option<i64>,
    /// The least the bound comes to.
    at_least: Option<i64>,
}

impl From<BoundFile> for Bound {
    fn from(typed: BoundFile) -> Self {
        match typed {
            BoundFile::Number(n) => Self { of: None, times: 1.0, plus: n.into(), least: i128::MIN },
            BoundFile::Of(OfFile { of, times, plus, at_least }) => Self {
                of: Some(of),
                times: times.unwrap_or(1.0),
                plus: plus.unwrap_or(0).into(),
                least: at_least.map_or(i128::MIN, i128::from),
            },
        }
    }
}

/// Exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CheckFile {
    at_least: Option<LevelsFile>,
    at_most: Option<LevelsFile>,
    between: Option<BandsFile>,
    equals: Option<EqualsFile>,
    one_of: Option<OneOfFile>,
    covers: Option<CoversFile>,
    absent: Option<OtherwiseFile>,
    usage: Option<UsageFile>,
    not_rising: Option<OtherwiseFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LevelsFile {
    fail: Option<BoundFile>,
    warn: Option<BoundFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BandsFile {
    fail: Option<(BoundFile, BoundFile)>,
    warn: Option<(BoundFile, BoundFile)>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EqualsFile {
    value: OperandFile,
    #[schemars(with = "SeverityWord")]
    otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneOfFile {
    values: Vec<OperandFile>,
    #[schemars(with = "SeverityWord")]
    otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number, a list of numbers, text, or { of: FACT }")]
enum OperandFile {
    Literal(Scalar),
    Of(OfFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CoversFile {
    of: String,
    #[schemars(with = "SeverityWord")]
    otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OtherwiseFile {
    #[schemars(with = "SeverityWord")]
    otherwise: Severity,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UsageFile {
    of: String,
    warn: u32,
    fail: Option<u32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EvidenceFile {
    fact: String,
    says: String,
    #[serde(default)]
    fails: bool,
    #[serde(default)]
    plain: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "pod is unsafe, impossible or { safe: \"1.27\", kernel: \"4.15\" }")]
enum PodFile {
    Word(PodWord),
    Safe(SafeFile),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum PodWord {
    Unsafe,
    Impossible,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SafeFile {
    /// First Kubernetes release that admits it.
    safe: String,
    /// First kernel release on which it does.
    kernel: Option<String>,
}

#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields, default)]
struct FixFile {
    sysctl: Vec<SysctlFixFile>,
    nofile: Option<NofileFile>,
    remove: Option<String>,
    application: String,
    ask: String,
    also: String,
    cost: String,
    #[schemars(with = "Option<SafetyWord>")]
    safety: Option<Safety>,
    prove: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SysctlFixFile {
    name: String,
    raise: Option<BoundFile>,
    set: Option<Scalar>,
    widen: Option<(i64, i64)>,
    add: Option<AddFile>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AddFile {
    of: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NofileFile {
    soft: BoundFile,
    hard: BoundFile,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExampleFile {
    given: BTreeMap<String, Option<Scalar>>,
    #[serde(default)]
    #[schemars(with = "Option<RoleWord>")]
    role: Role,
    expect: ExpectWord,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum ExpectWord {
    Pass,
    Warn,
    Fail,
    Unknown,
    NotApplicable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WorkloadFile {
    #[serde(rename = "title")]
    _title: Option<String>,
    role: Option<Role>,
    connections: Option<u64>,
    burst: Option<u64>,
    destinations: Option<u64>,
    streams: Option<u64>,
    outgoing: Option<u64>,
    ports: Option<Vec<u16>>,
}

/// The words of the model's enums, for the schema only: the model knows nothing of schemas.
mod words {
    #![allow(dead_code)]
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum ScopeWord {
        Process,
        Netns,
        Pidns,
        Cgroup,
        Host,
    }
    #[derive(JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum IfAbsentWord {
        Unknown,
        Pass,
        NotApplicable,
    }
    #[derive(JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    pub(super) enum EffectWord {
        Now,
        NewSockets,
        Relisten,
        Restart,
        NewPods,
        Reboot,
    }
    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum RoleWord {
        Client,
        Server,
        Gateway,
    }
    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum SeverityWord {
        Warn,
        Fail,
    }
    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(super) enum SafetyWord {
        Safe,
        Review,
        Manual,
    }
}
use words::{EffectWord, IfAbsentWord, RoleWord, SafetyWord, ScopeWord, SeverityWord};

impl RuleFile {
    fn meaning(self, id: &str) -> Meant<Rule> {
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
        let pod = match self.pod {
            None => None,
            Some(PodFile::Word(PodWord::Unsafe)) => Some(Pod::Unsafe),
            Some(PodFile::Word(PodWord::Impossible)) => Some(Pod::Impossible),
            Some(PodFile::Safe(SafeFile { safe, kernel })) => {
                Some(Pod::Safe { since: release("pod:")(safe)?, kernel: kernel.map(release("pod:")).transpose()? })
            }
        };
        Ok(Rule {
            id: id.to_owned(),
            title: self.title,
            manual: self.manual,
            scope: self.scope,
            roles: self.applies.roles,
            kernel: self.applies.kernel.map(release("kernel:")).transpose()?,
            when: self.applies.when.into_iter().map(ConditionFile::meaning).collect::<Meant<_>>()?,
            check: self.check.meaning(&fact)?,
            fact: self.fact,
            if_absent: self.if_absent,
            absent_says: self.absent_says,
            says: self.says,
            evidence: self.evidence.into_iter().map(Evidence::from).collect(),
            takes_effect: self.takes_effect,
            pod,
            module: self.module,
            fix: self.fix.meaning()?,
            symptoms: self.symptoms,
            why: self.why,
            links: self.links,
            examples: self.examples.into_iter().map(ExampleFile::meaning).collect::<Meant<_>>()?,
        })
    }
}

impl ConditionFile {
    fn meaning(self) -> Meant<Condition> {
        let test = match (self.equals, self.one_of, self.at_least) {
            (Some(value), None, None) => Test::OneOf(vec![value.value(&self.fact)?]),
            (None, Some(values), None) => {
                Test::OneOf(values.into_iter().map(|value| value.value(&self.fact)).collect::<Meant<_>>()?)
            }
            (None, None, Some(least)) => Test::AtLeast(least.into()),
            _ => return Err(("when:", "a condition has exactly one of equals, one_of, at_least".to_owned())),
        };
        let if_absent = self.if_absent.map(|word| matches!(word, IfConditionAbsent::Holds));
        Ok(Condition { fact: self.fact, test, otherwise: self.otherwise, if_absent })
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
            OperandFile::Literal(scalar) => Ok(Operand::Literal(scalar.value(fact)?)),
            OperandFile::Of(OfFile { of, times: None, plus: None, at_least: None }) => Ok(Operand::Fact(of)),
            OperandFile::Of(_) => Err(("check:", "a value to equal takes no times, plus or at_least".to_owned())),
        };
        let mut checks: Vec<Check> = Vec::new();
        checks.extend(self.at_least.map(|l| Check::Range { fail: band(l.fail, None), warn: band(l.warn, None) }));
        checks.extend(self.at_most.map(|l| Check::Range { fail: band(None, l.fail), warn: band(None, l.warn) }));
        checks.extend(self.between.map(|b| Check::Range { fail: both(b.fail), warn: both(b.warn) }));
        if let Some(EqualsFile { value, otherwise }) = self.equals {
            checks.push(Check::OneOf { values: vec![operand(value)?], otherwise });
        }
        if let Some(OneOfFile { values, otherwise }) = self.one_of {
            checks.push(Check::OneOf { values: values.into_iter().map(operand).collect::<Meant<_>>()?, otherwise });
        }
        checks.extend(self.covers.map(|c| Check::Covers { of: c.of, otherwise: c.otherwise }));
        checks.extend(self.absent.map(|a| Check::Absent { otherwise: a.otherwise }));
        checks.extend(self.usage.map(|u| Check::Usage { of: u.of, warn: u.warn, fail: u.fail }));
        checks.extend(self.not_rising.map(|n| Check::NotRising { otherwise: n.otherwise }));
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
        Self { fact: typed.fact, says: typed.says, fails: typed.fails, plain: typed.plain }
    }
}

impl FixFile {
    fn meaning(self) -> Meant<Fix> {
        let nofile = self.nofile.map(|typed| NofileFix { soft: typed.soft.into(), hard: typed.hard.into() });
        Ok(Fix {
            sysctl: self.sysctl.into_iter().map(SysctlFixFile::meaning).collect::<Meant<_>>()?,
            nofile,
            remove: self.remove,
            application: self.application,
            ask: self.ask,
            also: self.also,
            cost: self.cost,
            safety: self.safety.unwrap_or_default(),
            prove: self.prove,
        })
    }
}

impl SysctlFixFile {
    fn meaning(self) -> Meant<SysctlFix> {
        let change = match (self.raise, self.set, self.widen, self.add) {
            (Some(bound), None, None, None) => Change::Raise(bound.into()),
            (None, Some(value), None, None) => Change::Set(value.value(&self.name)?),
            (None, None, Some((low, high)), None) => Change::Widen(low.into(), high.into()),
            (None, None, None, Some(add)) => Change::Add(add.of),
            _ => return Err(("sysctl:", "a sysctl of a fix has exactly one of raise, set, widen, add".to_owned())),
        };
        Ok(SysctlFix { name: self.name, change })
    }
}

impl ExampleFile {
    fn meaning(self) -> Meant<Example> {
        let given = self.given.into_iter().map(|(fact, scalar)| {
            let value = scalar.map(|scalar| scalar.value(&fact)).transpose()?;
            Ok((fact, value))
        });
        let expect = match self.expect {
            ExpectWord::Pass => "pass",
            ExpectWord::Warn => "warn",
            ExpectWord::Fail => "fail",
            ExpectWord::Unknown => "unknown",
            ExpectWord::NotApplicable => "not-applicable",
        };
        Ok(Example { given: given.collect::<Meant<_>>()?, role: self.role, expect: expect.to_owned() })
    }
}
