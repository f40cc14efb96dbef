//! The facts behind a recorded report, as far as its figures tell them. Changes are worked out from them anew, so a report
//! that somebody tampered with can ask for nothing that its rules would not.

use crate::model::check::{Bound, Check};
use crate::model::fact::{Cause, Gap, Unit, Value};
use crate::model::facts::{Facts, Name, with_subject};
use crate::model::finding::{Finding, Proof, Want};
use crate::model::fix::Change;
use crate::model::ports::Ports;
use crate::model::recorded::{Figures, Recorded, RecordedFinding};
use crate::model::rule::{Evidence, Rule};
use crate::model::sysctl::variable::variable;

/// Most ports that a report may add to a list: all NodePorts, and as many listeners as a machine has.
const MOST_PORTS: u32 = 4096;
/// A word of the path of each file that sets sysctls at boot.
const BOOT_FILES: &[&str] = &["sysctl.d", "sysctl.conf"];
/// Most characters of a command's name, each of 15 bytes as `\xHH`, with a number.
const LONGEST_NAME: usize = 15 * 4 + 11;

/// Puts what a report tells of the machine among the facts.
pub fn machine(recorded: &Recorded, facts: &mut Facts) {
    for (name, number) in [("cpu.online", recorded.cpus), ("memory.total", recorded.memory)] {
        if let Some(number) = number.filter(|&number| number > 0) {
            known(facts, name, Value::Number(number));
        }
    }
    // Whom it asked it does not tell: a command that asks again says where the name belongs.
    known(facts, "h2.peer", Value::Text("URL".to_owned()));
}

/// Puts what a finding tells among the facts, and gives the finding as an audit made it.
pub fn finding(rule: &Rule, recorded: &RecordedFinding, facts: &mut Facts) -> Finding {
    let subject = recorded.subject.as_deref();
    let fact = with_subject(rule.fact, subject).into_owned();
    if let Some(now) = &recorded.now {
        known(facts, fact.clone(), now.clone());
    }
    if let Some(subject) = subject.filter(|_| rule.fact.starts_with("listener[")) {
        listener(subject, recorded, facts);
    }
    for proof in rule.evidence.iter().filter_map(|evidence| proof(evidence, recorded)) {
        if let Ok(value) = proof.value {
            known(facts, proof.fact, Value::Number(value));
        }
    }
    bounds(rule, recorded, facts);
    for figures in &recorded.figures {
        figure(rule, figures, facts);
    }
    Finding {
        rule: rule.id,
        title: rule.title,
        manual: rule.manual,
        scope: rule.scope,
        subject: recorded.subject.clone(),
        outcome: recorded.outcome,
        reason: recorded.reason.clone(),
        gap: None,
        fact: Name::Owned(fact),
        now: recorded.now.clone(),
        unit: Unit::Count,
        source: Name::Borrowed("report"),
        want: Want { fail_below: recorded.fail_below, warn_below: recorded.warn_below, ..Want::default() },
        share: None,
        rise: None,
        evidence: rule.evidence.iter().filter_map(|evidence| proof(evidence, recorded)).collect(),
        owner: None,
        listener: None,
        says: recorded.says.clone(),
        also: String::new(),
        fix: Vec::new(),
    }
}

/// A counter or gauge that the rule shows beside a finding, as the report has it.
fn proof(evidence: &Evidence, recorded: &RecordedFinding) -> Option<Proof> {
    let told = recorded.evidence.iter().find(|proof| proof.fact == evidence.fact)?;
    Some(Proof {
        fact: Name::Borrowed(evidence.fact),
        value: Ok(told.value?),
        rise: None,
        says: String::new(),
        total: told.total,
        scope: told.scope,
    })
}

/// Puts among the facts who listens and what bounds the queue, in known words.
fn listener(subject: &str, recorded: &RecordedFinding, facts: &mut Facts) {
    let is_name = |name: &&String| name.len() <= LONGEST_NAME && name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let untold = || Gap::new(Cause::Unsupported, "the report does not tell");
    let process = recorded.process.as_ref().filter(is_name).cloned().map(Value::Text).ok_or_else(untold);
    facts.put(format!("listener[{subject}].owner"), process, "report");
    if let Some(limit) = recorded.queue_limit {
        known(facts, format!("listener[{subject}].limited_by"), Value::Text(limit.words().to_owned()));
    }
}

/// Puts among the facts that what no finding changes is good as it is: an audit that had found it smaller would have
/// told of it. Comes after every [`finding`], whose figures are believed first.
pub fn rest(told: &[(&Rule, &RecordedFinding)], facts: &mut Facts) {
    let all: Vec<&str> = told.iter().flat_map(|(_, recorded)| changed(recorded)).collect();
    for (rule, recorded) in told {
        let own: Vec<&str> = changed(recorded).collect();
        for fix in rule.fix.sysctl.iter().filter(|fix| !own.contains(&fix.name)) {
            let good = match &fix.change {
                Change::Raise(_) => Value::Unlimited,
                Change::Set(value) => value.value(),
                // An audit that did not know a list or a range would have changed neither.
                Change::Widen(..) | Change::Add(_) if own.is_empty() => continue,
                Change::Widen(low, high) => Value::Numbers(vec![*low, *high]),
                Change::Add(ports) => {
                    known(facts, *ports, Value::Ports(Ports::default()));
                    Value::Ports(Ports::default())
                }
            };
            if !all.contains(&fix.name) {
                known(facts, format!("sysctl.{}", fix.name), good);
            }
        }
    }
}

/// The sysctls that a finding changes.
fn changed(recorded: &RecordedFinding) -> impl Iterator<Item = &str> {
    recorded.figures.iter().filter_map(|figures| match figures {
        Figures::Sysctl { name, .. } => Some(name.as_str()),
        Figures::Nofile { .. } | Figures::Line(_) => None,
    })
}

/// The first to tell a fact is believed: what was declared comes before what is concluded.
fn known(facts: &mut Facts, name: impl Into<Name>, value: Value) {
    let name = name.into();
    if facts.get(&name).is_none() {
        facts.put(name, Ok(value), "report");
    }
}

/// The facts that the rule's check compared with.
fn bounds(rule: &Rule, recorded: &RecordedFinding, facts: &mut Facts) {
    let subject = recorded.subject.as_deref();
    let mut put = |name: &str, number: Option<i128>| {
        if let Some(number) = number {
            known(facts, with_subject(name, subject).into_owned(), Value::Number(number));
        }
    };
    match &rule.check {
        Check::Usage { of, .. } => put(of, recorded.limit),
        Check::Range { fail, warn } => {
            for (band, below) in [(fail, recorded.fail_below), (warn, recorded.warn_below)] {
                let Some(Bound { of: Some(of), times, plus, least }) = &band.at_least else { continue };
                // Where the least counted, the fact is not in the figure.
                let scaled = below.filter(|&below| below > (*least).into() && *times > 0.0);
                put(of, scaled.map(|below| (below.saturating_sub((*plus).into()) as f64 / times) as i128));
            }
        }
        _ => {}
    }
}

fn figure(rule: &Rule, figures: &Figures, facts: &mut Facts) {
    match figures {
        Figures::Sysctl { name, old, new, boot, last, names, tuned } => {
            let Some(fix) = rule.fix.sysctl.iter().find(|fix| fix.name == *name) else { return };
            if let Some(old) = old {
                known(facts, format!("sysctl.{name}"), old.clone());
                known(facts, format!("boot[{name}].live"), old.clone());
            }
            let told = boot.as_ref().filter(|(at, _)| is_line_of(at, BOOT_FILES));
            if let Some((at, value)) = told.filter(|(_, value)| is_bearable(&fix.change, old.as_ref(), value)) {
                facts.put(format!("boot[{name}].value"), Ok(value.clone()), at.clone());
            }
            if let Some((at, value)) =
                last.as_ref().filter(|(at, value)| is_line_of(at, BOOT_FILES) && is_name_of(value, name))
            {
                facts.put(format!("boot[{name}].last"), Ok(value.clone()), at.clone());
            }
            let names: Vec<&str> =
                names.iter().map(String::as_str).filter(|other| variable(other).0 == *name).collect();
            if !names.is_empty() {
                known(facts, format!("boot[{name}].names"), Value::Text(names.join(" ")));
            }
            if let Some((at, value)) = tuned.as_ref().filter(|(at, _)| is_line_of(at, &["tuned"])) {
                facts.put(format!("tuned[{name}].value"), Ok(value.clone()), at.clone());
                known(facts, format!("tuned[{name}].last"), Value::Text("reapply_sysctl = 0".to_owned()));
            }
            match (&fix.change, new) {
                (Change::Add(ports), Value::Ports(list)) => {
                    let held = match old {
                        Some(Value::Ports(held)) => held.clone(),
                        _ => Ports::default(),
                    };
                    if list.difference(&held).count() <= MOST_PORTS {
                        known(facts, *ports, Value::Ports(list.clone()));
                    }
                }
                // A range that starts higher than the rule asks could not start lower there.
                (Change::Widen(low, _), Value::Numbers(ends)) => {
                    if let Some(start) = ends.first().filter(|&start| start > low) {
                        known(facts, "sysctl.net.ipv4.ip_unprivileged_port_start", Value::Number(*start));
                    }
                }
                _ => {}
            }
        }
        Figures::Nofile { soft, hard, nr_open } => {
            known(facts, "serving.nofile.soft", Value::Number(*soft));
            known(facts, "serving.nofile.hard", Value::Number(*hard));
            if let Some(ceiling) = nr_open {
                known(facts, "sysctl.fs.nr_open", Value::Number(*ceiling));
            }
        }
        Figures::Line(at) => {
            if let Some(name) = rule.fix.remove.filter(|_| is_line_of(at, BOOT_FILES)) {
                let name = format!("boot[{name}].value");
                let value = facts.value(&name).cloned().unwrap_or_else(|_| Value::Text(String::new()));
                facts.put(name, Ok(value), at.clone());
            }
        }
    }
}

/// Whether what a boot file is said to give can be taken into a change: no list that reserves most ports, no range that
/// begins below what the rule asks for and what is there.
fn is_bearable(change: &Change, old: Option<&Value>, boot: &Value) -> bool {
    match (change, boot) {
        (Change::Add(_), Value::Ports(list)) => {
            let held = match old {
                Some(Value::Ports(held)) => held.clone(),
                _ => Ports::default(),
            };
            list.difference(&held).count() <= MOST_PORTS
        }
        (Change::Widen(low, _), Value::Numbers(ends)) => {
            let least = match old {
                Some(Value::Numbers(old)) => old.first().copied().unwrap_or(*low).min(*low),
                _ => *low,
            };
            matches!(ends.as_slice(), [first, last] if *first >= least && first <= last && *last <= 65535)
        }
        (Change::Raise(_), Value::Number(_)) => true,
        (Change::Set(_), _) => true,
        _ => false,
    }
}

/// Whether this is a name of a sysctl, maybe behind a minus.
fn is_name_of(value: &Value, name: &str) -> bool {
    matches!(value, Value::Text(text) if variable(text.strip_prefix('-').unwrap_or(text)).0 == *name)
}

/// Whether this is a line of a configuration file: an absolute path of plain words, one of which is a known one.
fn is_line_of(at: &str, words: &[&str]) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-@+".contains(c);
    let Some((path, line)) = at.rsplit_once(':') else { return false };
    path.starts_with('/')
        && path.ends_with(".conf")
        && path.chars().all(plain)
        && !path.contains("..")
        && path.split('/').any(|part| words.contains(&part))
        && line.parse::<u32>().is_ok()
}
