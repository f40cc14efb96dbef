//! A plan keeps its promise: once its changes are made, every finding that it claims to fix is gone. On every recorded
//! machine, for every role, and on the worked examples of every rule.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "fails by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use support::{ROOT, recorded_hosts};
use tunecheck::audit;
use tunecheck::evaluate::{Context, evaluate};
use tunecheck::facts;
use tunecheck::host::{Answer, Ask, Host, Query, Replay};
use tunecheck::model::action::{Edit, NofileEdit};
use tunecheck::model::check::Check;
use tunecheck::model::fact::{Cause, Gap, Value};
use tunecheck::model::facts::Facts;
use tunecheck::model::finding::{Finding, Outcome};
use tunecheck::model::place::Place;
use tunecheck::model::report::Report;
use tunecheck::model::sysctl;
use tunecheck::model::workload::{Role, Workload};
use tunecheck::remedy::{Plan, Situation, Step, Wishes, actions};
use tunecheck::rules::RuleSet;

/// A machine on which the changes of a plan have been made.
struct Mended<'a> {
    host: &'a dyn Host,
    files: BTreeMap<String, Vec<u8>>,
}

impl Host for Mended<'_> {
    fn ask(&self, query: Query<'_>) -> Answer {
        match self.files.get(query.of).filter(|_| query.ask == Ask::Read) {
            Some(bytes) => Ok(bytes.clone()),
            None => self.host.ask(query),
        }
    }

    fn source(&self) -> String {
        self.host.source()
    }
}

impl<'a> Mended<'a> {
    fn by(plan: &Plan, host: &'a dyn Host) -> Self {
        let mut mended = Self { host, files: BTreeMap::new() };
        for step in &plan.steps {
            match &step.action.edit {
                Edit::Sysctl(edit) => {
                    mended.files.insert(sysctl::path(&edit.name), format!("{}\n", edit.new.plain()).into_bytes());
                    if edit.name == "fs.file-max" {
                        mended.rewrite("/proc/sys/fs/file-nr", |text| {
                            let words: Vec<&str> = text.split_whitespace().collect();
                            format!("{}\t{}\t{}\n", words[0], words[1], edit.new.plain())
                        });
                    }
                }
                Edit::Nofile(NofileEdit { soft, hard, .. }) | Edit::LowerNofile(NofileEdit { soft, hard, .. }) => {
                    mended.rewrite("/proc/self/limits", |text| {
                        let line = |line: &str| match line.starts_with("Max open files") {
                            true => format!("Max open files            {soft:<20} {hard:<20} files     \n"),
                            false => format!("{line}\n"),
                        };
                        text.lines().map(line).collect()
                    })
                }
                Edit::RemoveLine { at, .. } => {
                    let (file, number) = at.rsplit_once(':').unwrap();
                    let number: usize = number.parse().unwrap();
                    mended.rewrite(file, |text| {
                        let kept = text.lines().enumerate().filter(|(index, _)| index + 1 != number);
                        kept.map(|(_, line)| format!("{line}\n")).collect()
                    });
                }
                Edit::AllowUnsafe { .. } | Edit::Ndots(_) | Edit::Advice => {}
            }
        }
        mended
    }

    fn rewrite(&mut self, path: &str, change: impl FnOnce(&str) -> String) {
        let bytes = self.ask(Query { ask: Ask::Read, of: path }).unwrap();
        self.files.insert(path.to_owned(), change(std::str::from_utf8(&bytes).unwrap()).into_bytes());
    }
}

fn is_urgent(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Warn | Outcome::Fail)
}

fn plan(report: &Report, rules: &RuleSet) -> Plan {
    Plan::of(report, |id| rules.get(id))
}

fn loads(rules: &RuleSet) -> Vec<Workload> {
    let role = |role| rules.workload(role);
    let mut loads = vec![role(Role::Server), role(Role::Client), role(Role::Gateway)];
    loads.push(Workload { connections: 400_000, burst: 100_000, ports: vec![8080], ..role(Role::Server) });
    loads.push(Workload { connections: 50_000, destinations: 1, ..role(Role::Gateway) });
    loads
}

#[test]
fn what_a_plan_claims_to_fix_on_a_recorded_machine_passes_once_it_is_applied() {
    let rules = RuleSet::built_in();
    let mut claimed = BTreeSet::new();
    for host in recorded_hosts() {
        let replay = Replay::open(&Path::new(ROOT).join(&host)).unwrap();
        for load in loads(&rules) {
            let report = audit(&replay, &rules, &load).unwrap();
            let plan = plan(&report, &rules);
            let after = audit(&Mended::by(&plan, &replay), &rules, &load).unwrap();
            for finding in after.findings.iter().filter(|finding| plan.claims.contains(&finding.rule)) {
                let change: Vec<_> = plan.steps.iter().map(|step| &step.action.edit).collect();
                assert!(!is_urgent(finding), "{host}: {finding:#?}\nafter {change:#?}");
            }
            claimed.extend(plan.claims);
        }
    }
    assert!(claimed.len() >= 8 && claimed.contains("ports/range"), "few rules were reached: {claimed:?}");
}

#[test]
fn no_step_is_made_needless_by_another() {
    let rules = RuleSet::built_in();
    let counts = |id: &&str| matches!(rules.get(id).unwrap().check, Check::NotRising { .. });
    let (mut beside, mut switched) = (0, 0);
    for host in recorded_hosts() {
        let replay = Replay::open(&Path::new(ROOT).join(&host)).unwrap();
        for load in loads(&rules) {
            let report = audit(&replay, &rules, &load).unwrap();
            let plan = plan(&report, &rules);
            let sysctl = |name: &str| {
                plan.steps.iter().any(|step| matches!(&step.action.edit, Edit::Sysctl(edit) if edit.name == name))
            };
            // The kernel does not look at the one while the other is on.
            let cookies = sysctl("net.ipv4.tcp_syncookies");
            assert!(!cookies || !sysctl("net.ipv4.tcp_max_syn_backlog"), "{host}");
            switched += usize::from(
                cookies
                    && report.findings.iter().any(|finding| finding.rule == "listen/syn-backlog" && is_urgent(finding)),
            );
            // A counter stands with the step that mends its cause, and is none of its own.
            let table = |step: &&Step| step.rules.iter().any(|rule| ["conntrack/max", "conntrack/fill"].contains(rule));
            if plan.steps.iter().any(|step| table(&step)) {
                let own = plan.steps.iter().find(|step| step.rules == ["conntrack/drops"]);
                assert!(own.is_none(), "{host}: {own:#?}");
                beside += plan.steps.iter().filter(|step| step.rules.iter().any(&counts)).count();
            }
        }
    }
    assert!(beside > 0 && switched > 0, "no recorded machine reaches it: {beside}, {switched}");
}

/// What `audit` reads under another name as well.
const ALSO: [(&str, &str); 4] = [
    ("net.bridge.bridge-nf-call-iptables", "bridge.filtered"),
    ("net.netfilter.nf_conntrack_max", "conntrack.max"),
    ("net.netfilter.nf_conntrack_buckets", "conntrack.buckets"),
    ("fs.file-max", "file.max"),
];

fn mended(facts: &mut Facts, plan: &Plan) {
    for step in &plan.steps {
        match &step.action.edit {
            Edit::Sysctl(edit) => {
                facts.put(format!("sysctl.{}", edit.name), Ok(edit.new.clone()), "plan");
                for (_, other) in ALSO.iter().filter(|(name, _)| *name == edit.name) {
                    facts.put(*other, Ok(edit.new.clone()), "plan");
                }
            }
            Edit::Nofile(NofileEdit { soft, hard, .. }) | Edit::LowerNofile(NofileEdit { soft, hard, .. }) => {
                facts.put("serving.nofile.soft", Ok(Value::Number(*soft)), "plan");
                facts.put("serving.nofile.hard", Ok(Value::Number(*hard)), "plan");
            }
            Edit::RemoveLine { name, .. } => {
                facts.put(format!("boot[{name}].value"), Err(Gap::new(Cause::Absent, "no file sets it")), "plan");
            }
            Edit::AllowUnsafe { .. } | Edit::Ndots(_) | Edit::Advice => {}
        }
    }
}

#[test]
fn what_a_rule_claims_to_fix_in_its_own_examples_passes_once_it_is_applied() {
    let rules = RuleSet::built_in();
    let place = Place::plain_host();
    let mut mends = BTreeSet::new();
    for rule in rules.iter() {
        for example in &rules.doc(rule.id).unwrap().examples {
            let load = rules.workload(example.role);
            let mut facts = Facts::default();
            facts.put("sysctl.net.ipv4.ip_local_reserved_ports", Ok(Value::Ports("".parse().unwrap())), "");
            facts.put("listeners.count", Ok(Value::Number(0)), "");
            facts.put("kubernetes.node", Ok(Value::Number(0)), "");
            for limit in ["serving.nofile.soft", "serving.nofile.hard"] {
                facts.put(limit, Ok(Value::Number(1024)), "");
            }
            for (name, other) in ALSO {
                let given = example.given.iter().find(|(name, _)| *name == other);
                if let Some((_, Some(value))) = given {
                    facts.put(format!("sysctl.{name}"), Ok(value.clone()), "");
                }
            }
            for (name, value) in &example.given {
                let reading = value.clone().ok_or_else(|| Gap::new(Cause::Absent, format!("{name} does not exist")));
                facts.put(*name, reading, "/etc/sysctl.d/99-ours.conf:3");
            }
            let given = facts;
            let facts = completed(given.clone(), &load, &example.given);
            let judged = |facts: &Facts| {
                let context = Context { facts, place: &place, catalogue: facts::catalogue(), role: example.role };
                evaluate([rule].into_iter(), context)
            };
            let situation = Situation { facts: &facts, place: &place, catalogue: facts::catalogue() };
            let mut findings = judged(&facts);
            for finding in findings.iter_mut().filter(|finding| is_urgent(finding)) {
                finding.fix = actions(rule, finding, &Wishes::default(), situation);
            }
            let plan = plan(&of_findings(place.clone(), load.clone(), findings), &rules);
            if plan.claims.is_empty() {
                continue;
            }
            mends.insert(rule.id);
            // What follows from the values that change is worked out anew.
            let mut after = given;
            mended(&mut after, &plan);
            let after = completed(after, &load, &example.given);
            for finding in judged(&after) {
                let what: Vec<_> = plan.steps.iter().map(|step| &step.action.edit).collect();
                assert!(!is_urgent(&finding), "{}: {:?}\nafter {what:#?}\n{finding:#?}", rule.id, example.given);
            }
        }
    }
    // Every rule that changes a value, and judges what it changes and no counter. The port range is judged by what
    // derives from it, and no example can give both: recorded machines reach it. Quotas of keys are shown by the kernel
    // beside what is used of them.
    let able = rules.iter().filter(|rule| {
        let counts =
            matches!(rule.check, Check::NotRising { .. }) || ["ports.usable", "keys.share"].contains(&rule.fact);
        !counts && (!rule.fix.sysctl.is_empty() || rule.fix.nofile.is_some() || rule.fix.remove.is_some())
    });
    let missed: Vec<&str> = able.map(|rule| rule.id).filter(|id| !mends.contains(id)).collect();
    assert_eq!(missed, Vec::<&str>::new(), "no example of these rules was mended");
}

fn of_findings(place: Place, workload: Workload, findings: Vec<Finding>) -> Report {
    Report {
        source: "example".to_owned(),
        node: None,
        kernel: None,
        cpus: None,
        memory: None,
        place,
        workload,
        window: None,
        notes: Vec::new(),
        findings,
    }
}

/// The facts with the load that an example declares, and what follows from them worked out anew.
fn completed(mut facts: Facts, load: &Workload, given: &[(&'static str, Option<Value>)]) -> Facts {
    let told = |start: &str| given.iter().any(|(name, _)| name.starts_with(start));
    for derived in ["ports.", "keepalive.", "tcp_mem.", "bridge.filtered", "socket_buffers."]
        .into_iter()
        .filter(|start| !told(start))
    {
        facts.forget(derived);
    }
    facts::declare(&mut facts, load);
    for (name, value) in given.iter().filter(|(name, _)| name.starts_with("workload.")) {
        facts.put(*name, Ok(value.clone().unwrap()), "");
    }
    facts::derive(&mut facts);
    facts
}
