//! `tunecheck explain RULE|SYMPTOM`, `tunecheck explain -`, and `tunecheck explain manual`.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::exit::Exit;
use super::settings;
use super::terminal::{Terminal, print};
use crate::capacity::PAGES;
use crate::facts;
use crate::host::input;
use crate::manifest::CHECKS;
use crate::model::bounds;
use crate::model::kernel_sysctls;
use crate::model::manual::is_at;
use crate::model::page::Page;
use crate::report;
use crate::rules::{RuleSet, lookalikes, manual};
use crate::symptoms::{Answer, Symptoms, Topic};

/// Columns of a page of text, at most.
pub(super) const WIDEST: u16 = 110;

/// Explains what these words name or are a symptom of; without words, lists what can be asked.
pub(super) fn run(words: &[String], paths: &[PathBuf]) -> Result<Exit> {
    let rules = settings::rules(paths)?;
    let width = settings::width(Terminal::stdout()).min(WIDEST);
    let said = Said { rules: &rules, symptoms: symptoms(&rules), width };
    let is_asked = !words.is_empty();
    let words = &words.join(" ");
    let (text, exit) = if !is_asked {
        let listed = topics(&rules).into_iter().map(|topic| (topic.id, topic.title, topic.symptoms));
        (report::topics(listed, width), Exit::Done)
    } else if let Some(tops) = of_manual(words) {
        (rows(&rules, &tops, width)?, Exit::Done)
    } else if words.trim() == "-" {
        let bytes = input::read(Path::new("-"), bounds::LOG.most).context("standard input cannot be read")?;
        said.to_lines(&String::from_utf8_lossy(&bytes))
    } else if words.trim().contains('\n') {
        said.to_lines(words)
    } else {
        said.to(words)
    };
    print(text.as_bytes())?;
    Ok(exit)
}

/// Arguments in which a log line that begins with a hyphen, as the prompt of a login shell does, is no option.
pub(super) fn spoken(args: Vec<OsString>) -> Vec<OsString> {
    let is_line = |arg: &OsString| {
        let bytes = arg.as_encoded_bytes();
        bytes.starts_with(b"-") && !bytes.starts_with(b"--") && bytes.iter().any(u8::is_ascii_whitespace)
    };
    if args.get(1).is_none_or(|verb| verb != "explain") {
        return args;
    }
    let line = |arg: OsString| if is_line(&arg) { [" ".as_ref(), arg.as_os_str()].into_iter().collect() } else { arg };
    args.into_iter().map(line).collect()
}

/// Everything that can be explained with these rules.
pub fn symptoms(rules: &RuleSet) -> Symptoms<'_> {
    Symptoms::new(topics(rules), lookalikes())
}

/// Rules, then what is explained and is no rule.
fn topics(rules: &RuleSet) -> Vec<Topic<'_>> {
    let of_rules = rules.iter().map(|rule| {
        let symptoms = rules.doc(rule.id).map(|doc| doc.symptoms.as_slice()).unwrap_or_default();
        let fixed = rule.fix.sysctl.iter().map(|fix| fix.name).chain(rule.fix.remove);
        let settings = rule.fact.strip_prefix("sysctl.").into_iter().chain(fixed).collect();
        let judged = || std::iter::once(rule.fact).chain(rule.check.facts());
        let behind = judged().chain(judged().flat_map(facts::inputs).copied());
        let behind = behind.filter_map(|fact| fact.strip_prefix("sysctl.")).collect();
        Topic { id: rule.id, title: rule.title, symptoms, settings, behind }
    });
    let of_page = |page: &'static Page| Topic {
        id: page.id,
        title: page.title,
        symptoms: page.symptoms,
        settings: Vec::new(),
        behind: Vec::new(),
    };
    of_rules.chain(pages().map(of_page)).collect()
}

/// What is explained and is no rule.
fn pages() -> impl Iterator<Item = &'static Page> {
    CHECKS.iter().chain(PAGES)
}

fn page(id: &str) -> Option<&'static Page> {
    pages().find(|page| page.id == id)
}

/// What can be said, and how wide.
struct Said<'a> {
    rules: &'a RuleSet,
    symptoms: Symptoms<'a>,
    width: u16,
}

impl Said<'_> {
    /// To one line or phrase.
    fn to(&self, words: &str) -> (String, Exit) {
        match self.symptoms.ask(words) {
            Answer::Known { other, best, less } => {
                let mut text = match best.as_slice() {
                    [id] if other.is_empty() => self.whole(id),
                    ids => {
                        let count = format!(
                            "{} causes, and what tells them apart (tunecheck explain RULE says all):\n",
                            other.len() + ids.len()
                        );
                        count + &self.apart(&other, ids)
                    }
                };
                if !less.is_empty() {
                    let _ = writeln!(text, "{}", report::hanging("See also: ", &less.join(", "), self.width.into()));
                }
                (text, Exit::Done)
            }
            Answer::Lookalike(is) => {
                let words = format!("no limit that tunecheck judges; {is}");
                (report::hanging("not known: ", &words, self.width.into()) + "\n", Exit::Tripped)
            }
            Answer::Unknown { meant, nearest } => {
                let mut text = format!("not known: {}\n", report::sanitized(words.trim()));
                if is_sysctl(words.trim()) {
                    text.push_str("It is a sysctl of the kernel, and no rule is about it.\n");
                } else if let Some(meant) = meant {
                    let _ = writeln!(text, "Did you mean {meant}?");
                }
                if !nearest.is_empty() {
                    let _ = write!(
                        text,
                        "Nearest by its words, and not to be taken for the cause:\n{}",
                        self.titles(&nearest)
                    );
                }
                text.push_str("tunecheck explain lists everything that is known, with its symptoms.\n");
                (text, Exit::Tripped)
            }
        }
    }

    /// To the lines of a log, each cause once.
    fn to_lines(&self, lines: &str) -> (String, Exit) {
        // Causes that are no limit and rules, the first line that led to them, and how many did.
        type Answer<'a> = ((Vec<&'a str>, Vec<&'a str>), &'a str, usize);
        let mut answers: Vec<Answer<'_>> = Vec::new();
        let (mut count, mut known) = (0, 0);
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            count += 1;
            let causes = self.symptoms.causes(line);
            let is_known = !causes.1.is_empty();
            known += usize::from(is_known);
            match answers.iter_mut().find(|(told, ..)| *told == causes) {
                Some((_, _, times)) => *times += 1,
                None if !is_known => {}
                None => answers.push((causes, line, 1)),
            }
        }
        let mut text = String::new();
        for ((other, ids), line, times) in &answers {
            let title = if *times > 1 { format!("{times}x  ") } else { String::new() };
            let _ = writeln!(text, "{}", report::hanging(&title, &report::sanitized(line.trim()), self.width.into()));
            match ids.as_slice() {
                [id] if answers.len() == 1 && other.is_empty() => text.push_str(&self.whole(id)),
                ids => text.push_str(&self.apart(other, ids)),
            }
            text.push('\n');
        }
        let _ = writeln!(text, "{known} of {count} lines are known");
        (text, if known > 0 { Exit::Done } else { Exit::Tripped })
    }

    /// Everything about one topic.
    fn whole(&self, id: &str) -> String {
        match (self.rules.get(id).zip(self.rules.doc(id)), page(id)) {
            (Some((rule, doc)), _) => {
                let usual = settings::usual(self.rules);
                report::explain(rule, doc, report::Beside { manual: manual(), usual: &usual }, self.width)
            }
            (None, Some(page)) => report::page(page, self.width),
            (None, None) => String::new(),
        }
    }

    /// A line for each cause that is no limit, and for each topic: how to tell it from the others.
    fn apart(&self, other: &[&str], ids: &[&str]) -> String {
        let tell = |id: &str| self.rules.doc(id).map(|doc| doc.tell).filter(|tell| !tell.is_empty());
        let other = other.iter().map(|is| ("no limit", *is));
        report::causes(other.chain(ids.iter().map(|id| (*id, tell(id).unwrap_or_else(|| self.title(id))))), self.width)
    }

    fn titles(&self, ids: &[&str]) -> String {
        report::causes(ids.iter().map(|id| (*id, self.title(id))), self.width)
    }

    fn title(&self, id: &str) -> &'static str {
        let of_rule = self.rules.get(id).map(|rule| rule.title);
        of_rule.or_else(|| page(id).map(|page| page.title)).unwrap_or_default()
    }
}

/// Whether the kernel has a sysctl of this name, whole or its last part.
fn is_sysctl(text: &str) -> bool {
    kernel_sysctls::all().any(|(name, _)| name == text || name.rsplit('.').next() == Some(text))
}

/// The sections and rows that are asked for, if it is the manual that is asked for: its name comes before any symptom.
fn of_manual(words: &str) -> Option<Vec<&str>> {
    let mut words = words.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    words.next().filter(|first| first.eq_ignore_ascii_case("manual"))?;
    let tops: Vec<&str> = words.collect();
    tops.iter().all(|top| top.starts_with(|c: char| c.is_ascii_digit())).then_some(tops)
}

/// The rows of the manual at these ids, each of which has to exist.
fn rows(rules: &RuleSet, tops: &[&str], width: u16) -> Result<String> {
    let manual = manual();
    if let Some(top) = tops.iter().find(|top| !manual.rows().any(|row| is_at(row.id, top))) {
        bail!("{} (tunecheck explain manual prints them)", manual.lacks(top));
    }
    Ok(report::manual(manual, rules.iter(), tops, width))
}
