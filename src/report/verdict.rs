//! What a run came to, for people: which limit was hit first, when, and what to change.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::details;
use super::groups::groups;
use super::style::Style;
use super::text::{hanging, sanitized};
use crate::model::fact::Value;
use crate::model::facts::{grouped, humane};
use crate::model::finding::Finding;
use crate::model::text::markdown as cell;
use crate::model::watch::{Stage, State, Trace, Verdict};
use crate::model::window::seconds;

/// Limits that only moved and are named.
const MOVED: usize = 8;
/// Columns of a small chart.
const CHART: usize = 24;

/// The verdict as text.
pub fn print(verdict: &Verdict, width: u16, colour: bool) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, verdict, Style { width, height: None, colour, only_failed: false, verbose: false });
    out
}

fn write(out: &mut String, verdict: &Verdict, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let mut plain = String::new();
    writeln!(plain, "\n{}", hanging("tunecheck   ", &headline(verdict), width))?;
    for stage in Stage::ALL {
        writeln!(plain, "{}", hanging(&format!("{:<12}", stage.word()), &of_stage(verdict, stage), width))?;
    }
    let rows: Vec<[String; 5]> = told(verdict).map(|(word, trace)| row(word, trace)).collect();
    if !rows.is_empty() {
        writeln!(plain)?;
        let columns = widths(&rows);
        // The picture goes first where there is no room for it.
        let shown = if columns.iter().sum::<usize>() + 8 > width { 4 } else { 5 };
        for row in &rows {
            let cells = row.iter().zip(columns).take(shown).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(plain, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
    }
    for (why, rules) in unknown(verdict) {
        writeln!(plain, "{}", hanging("?           ", &format!("{}   ({why})", rules.join(", ")), width))?;
    }
    if verdict.left_out > 0 {
        writeln!(plain, "{} readings of further listeners or destinations were not followed.", verdict.left_out)?;
    }
    out.push_str(&sanitized(&plain));
    let findings = findings(verdict);
    details::write(out, &groups(&findings), style)
}

/// The verdict for a pull request.
pub fn markdown(verdict: &Verdict) -> String {
    let mut out = format!("### tunecheck: {}\n\n", cell(&headline(verdict)));
    for stage in Stage::ALL {
        out += &format!("- **{}**: {}\n", stage.word(), cell(&of_stage(verdict, stage)));
    }
    let mut rows = told(verdict).peekable();
    if rows.peek().is_some() {
        out += "\n| | limit | peak | evidence | course |\n|---|---|---|---|---|\n";
    }
    for (word, trace) in rows {
        out += &format!("| {} |\n", row(word, trace).map(|text| cell(&text)).join(" | "));
    }
    for finding in findings(verdict) {
        out += &format!("\n**{}**: {}\n", cell(finding.rule), cell(&finding.says));
        for line in finding.fix.iter().flat_map(|action| &action.lines) {
            out += &format!("- `{}`\n", sanitized(line).replace('`', "'").replace('\n', " "));
        }
    }
    for (why, rules) in unknown(verdict) {
        out += &format!("\nNot checked: {} ({})\n", cell(&rules.join(", ")), cell(why));
    }
    out
}

/// What could not be read, by the reason.
fn unknown(verdict: &Verdict) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rule, why) in &verdict.unknown {
        reasons.entry(why).or_default().push(rule);
    }
    reasons
}

fn headline(verdict: &Verdict) -> String {
    let first = match (verdict.hit.first(), verdict.standing.first()) {
        (Some(trace), _) if trace.standing => format!("used up before it began: {}, {}", named(trace), since(trace)),
        (Some(trace), None) => format!("hit first: {}, {}", named(trace), at(trace.hit)),
        (Some(trace), Some(stood)) => {
            format!("hit first: {}, {}; used up before it began: {}", named(trace), at(trace.hit), until(stood))
        }
        (None, Some(trace)) if trace.eased.is_none() => {
            format!("used up before it began, and all the while: {}", named(trace))
        }
        (None, Some(trace)) => format!("used up before it began: {}", until(trace)),
        (None, None) => "no limit was hit".to_owned(),
    };
    let end = match (&verdict.command, verdict.exit, verdict.signal) {
        (None, _, _) => String::new(),
        (Some(command), Some(code), _) => format!(" · {command} ended with {code}"),
        (Some(command), _, Some(signal)) => format!(" · {command} was ended by signal {signal}"),
        (Some(command), _, _) => format!(" · {command}"),
    };
    format!("{first} · {} readings in {}{end}", grouped(verdict.ticks.into()), seconds(verdict.milliseconds))
}

/// What of a stage was hit, or how near it came.
fn of_stage(verdict: &Verdict, stage: Stage) -> String {
    let at_stage = |traces: &'_ [Trace]| -> Vec<String> {
        traces
            .iter()
            .filter(|trace| trace.last.stage == stage)
            .map(|trace| match trace.standing {
                true => format!("{}, used up before it began, {}", named(trace), since(trace)),
                false => format!("{} {}", named(trace), at(trace.hit)),
            })
            .collect()
    };
    let mut hit = at_stage(&verdict.hit);
    hit.dedup();
    let short = at_stage(&verdict.saturated);
    let stood = verdict.standing.iter().filter(|trace| trace.last.stage == stage);
    let (eased, stood): (Vec<&Trace>, Vec<&Trace>) = stood.partition(|trace| trace.eased.is_some());
    let before = [
        ("used up before it began, and all the while", stood.into_iter().map(named).collect::<Vec<_>>()),
        ("used up before it began", eased.into_iter().map(until).collect()),
    ];
    let before = before.iter().filter(|(_, traces)| !traces.is_empty());
    let before: Vec<String> = before.map(|(words, traces)| format!("{words}: {}", traces.join(", "))).collect();
    let nearest = verdict.nearest.iter().find(|trace| trace.last.stage == stage);
    match (hit.is_empty(), short.is_empty(), nearest) {
        (false, _, _) => [hit, short].concat().join(", "),
        _ if !before.is_empty() => before.join("; "),
        (_, false, _) => format!("no limit was hit; short of {}", short.join(", ")),
        (_, _, Some(trace)) => match trace.peak_share {
            Some((share, _)) => format!("no limit was hit; nearest was {} at {share} %", named(trace)),
            None => format!("no limit was hit; {} moved", named(trace)),
        },
        _ => "no limit was hit".to_owned(),
    }
}

/// The limit with its subject.
fn named(trace: &Trace) -> String {
    match &trace.last.subject {
        Some(subject) => format!("{} of {subject}", trace.last.limit),
        None => trace.last.limit.to_owned(),
    }
}

/// What became of a limit that was used up before the run: when it first refused, or was hit anew.
fn since(trace: &Trace) -> String {
    match (trace.eased, trace.hit) {
        (Some(eased), Some(hit)) if hit > eased => format!("until {}, and hit again {}", seconds(eased), at(trace.hit)),
        (Some(eased), _) => format!("which first refused {}, until {}", at(trace.hit), seconds(eased)),
        (None, _) => format!("which first refused {}", at(trace.hit)),
    }
}

/// A limit that was used up before the run, and till when.
fn until(trace: &Trace) -> String {
    match trace.eased {
        Some(eased) => format!("{}, until {}", named(trace), seconds(eased)),
        None => named(trace),
    }
}

fn at(milliseconds: Option<u64>) -> String {
    match milliseconds {
        None => String::new(),
        Some(0) => "at the start".to_owned(),
        Some(time) => format!("at {}", seconds(time)),
    }
}

/// Every limit that is worth a row, each with the word for what became of it.
fn told(verdict: &Verdict) -> impl Iterator<Item = (&'static str, &Trace)> {
    fn all<'a>(word: &'static str, traces: &'a [Trace]) -> impl Iterator<Item = (&'static str, &'a Trace)> {
        traces.iter().map(move |trace| (word, trace))
    }
    let reached = all("HIT", &verdict.hit).chain(all("followed", &verdict.followed));
    let reached = reached.chain(all("before", &verdict.standing));
    let same =
        |one: &Trace, other: &Trace| (one.last.rule, &one.last.subject) == (other.last.rule, &other.last.subject);
    let near = all("near", &verdict.nearest)
        .filter(move |(_, near)| near.last.state >= State::Near && !verdict.moved.iter().any(|one| same(one, near)));
    reached.chain(all("short", &verdict.saturated)).chain(near).chain(all("moved", &verdict.moved).take(MOVED))
}

fn row(word: &str, trace: &Trace) -> [String; 5] {
    let shown = |number: i128| match number {
        i128::MAX => "unlimited".to_owned(),
        number => humane(&Value::Number(number), trace.last.unit),
    };
    let peak = match (trace.peak, trace.peak_share) {
        (Some((used, Some(of))), Some((share, _))) => format!("{} of {}, {share} %", shown(used), shown(of)),
        (Some((used, _)), Some((share, _))) => format!("{}, {share} %", shown(used)),
        // Of a counter the rise counts, not the total.
        _ if trace.last.of.is_none() && !trace.rises.is_empty() => String::new(),
        (Some((used, _)), None) => shown(used),
        _ => String::new(),
    };
    let counter = |fact: &str| match fact.rsplit('.').next().unwrap_or_default() {
        "total" => "µs waited".to_owned(),
        name => name.to_owned(),
    };
    let rises: Vec<String> =
        trace.rises.iter().map(|rise| format!("+{} {}", grouped(rise.by), counter(&rise.fact))).collect();
    [
        format!("{word} {}", at(trace.hit)).trim_end().to_owned(),
        named(trace),
        peak,
        rises.join(", "),
        chart(&trace.chart),
    ]
}

/// The course in a line; the tallest bar is the highest value.
fn chart(values: &[i128]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.iter().copied().max().unwrap_or(0).max(1);
    let each = values.len().div_ceil(CHART).max(1);
    let bar = |span: &[i128]| {
        let value = span.iter().copied().max().unwrap_or(0).clamp(0, top);
        usize::try_from(value.saturating_mul(7) / top).ok().and_then(|index| BARS.get(index)).copied().unwrap_or(' ')
    };
    values.chunks(each).map(bar).collect()
}

fn widths(rows: &[[String; 5]]) -> [usize; 5] {
    let widest =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    [0, 1, 2, 3, 4].map(widest)
}

/// What the rules say of the limits that were hit, each rule's sentence once.
fn findings(verdict: &Verdict) -> Vec<Finding> {
    let reached = verdict.hit.iter().chain(&verdict.standing).chain(&verdict.saturated);
    reached.filter_map(|trace| trace.finding.as_deref().cloned()).collect()
}
