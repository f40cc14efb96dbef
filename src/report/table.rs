//! The report for people: header, table, then what to do about each warn and fail.

use std::fmt::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::details;
use super::groups::{Group, groups};
use super::style::Style;
use super::text::{coloured, hanging, label, sanitized};
use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::finding::{Finding, Outcome};
use crate::model::place::{Netns, Place, Writable};
use crate::model::report::Report;
use crate::model::window::seconds;

/// Cells of a usage bar.
const BAR: i128 = 8;

/// The report as text.
pub fn print(report: &Report, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, report, style);
    out
}

fn write(out: &mut String, report: &Report, style: Style) -> fmt::Result {
    let mut plain = String::new();
    header(&mut plain, report, style)?;
    out.push_str(&sanitized(&plain));
    let groups = groups(&report.findings);
    body(out, &groups, style)?;
    details::write(out, &groups, style)?;
    if report.findings.iter().any(|finding| !finding.fix.is_empty()) {
        writeln!(out, "\nEvery change in order, as a plan or a script: tunecheck fix")?;
    }
    writeln!(out, "\n{}", counts(report, style))
}

/// The table of these groups, and what is not in it.
pub(super) fn body(out: &mut String, groups: &[Group<'_>], style: Style) -> fmt::Result {
    let rows = rows_to_show(groups, style);
    if !rows.is_empty() {
        let table = table(&rows, style);
        for line in table.lines() {
            writeln!(out, " {}", if style.colour { coloured_row(line, &rows) } else { line.to_owned() })?;
        }
    }
    folded(out, groups, &rows, style)
}

/// How many findings have which outcome.
fn counts(report: &Report, style: Style) -> String {
    let count = |outcome| report.count(outcome);
    let counts: Vec<String> = [
        (Outcome::Fail, "fail"),
        (Outcome::Warn, "warn"),
        (Outcome::Pass, "pass"),
        (Outcome::Unknown, "unknown"),
        (Outcome::Waived, "waived"),
        (Outcome::NotApplicable, "not applicable"),
    ]
    .into_iter()
    .filter(|(outcome, _)| *outcome != Outcome::Waived || count(Outcome::Waived) > 0)
    .map(|(outcome, word)| {
        let text = format!("{} {word}", count(outcome));
        if style.colour && count(outcome) > 0 { coloured(&text, outcome) } else { text }
    })
    .collect();
    counts.join(" · ")
}

fn header(out: &mut String, report: &Report, style: Style) -> fmt::Result {
    let place = &report.place;
    let mut parts = vec![report.node.clone().unwrap_or_else(|| "host name unknown".into())];
    parts.extend(report.kernel.as_ref().map(|kernel| format!("Linux {kernel}")));
    parts.extend(report.cpus.map(|cpus| format!("{cpus} CPU{}", if cpus == 1 { "" } else { "s" })));
    parts.extend(report.memory.map(|bytes| humane(&Value::Number(bytes), Unit::Bytes)));
    let width = usize::from(style.width);
    writeln!(out, "{}", hanging(concat!("tunecheck ", env!("CARGO_PKG_VERSION"), "   "), &parts.join(" · "), width))?;
    if report.source != "live" {
        writeln!(out, "{}", hanging("read      ", &report.source, width))?;
    }
    writeln!(out, "{}", hanging("place     ", &stands(place), width))?;
    if !place.because.is_empty() {
        writeln!(out, "{}", hanging("because   ", &place.because.join("; "), width))?;
    }
    let line = format!("{}   (--workload, --connections, --burst, --port ... change it)", report.workload.words());
    writeln!(out, "{}", hanging("workload  ", &line, width))?;
    if let Some(window) = report.window {
        let line = format!("counters were looked at for {}: what rose then is told as such", seconds(window));
        writeln!(out, "{}", hanging("window    ", &line, width))?;
    }
    for note in &report.notes {
        writeln!(out, "{}", hanging("note      ", note, width))?;
    }
    writeln!(out)
}

/// Where an audit stood, in one line.
pub(super) fn stands(place: &Place) -> String {
    let mut stands = vec![place.words()];
    stands.push(
        match place.netns {
            Netns::Init => "init network namespace",
            Netns::Child => "network namespace of its own",
            Netns::Unknown => "network namespace unknown",
        }
        .to_owned(),
    );
    stands.extend(place.cgroup.as_ref().map(|version| format!("cgroup {version}")));
    let user = match place.uid {
        Some(0) if place.init_userns == Some(false) => "root of a user namespace".into(),
        Some(0) => "root".into(),
        Some(uid) => format!("uid {uid}"),
        None => "user unknown".into(),
    };
    // Of another process it is the user of that one, whoever asks.
    stands.push(if place.process.is_some() { format!("process of {user}") } else { user });
    stands.push(
        match place.writable {
            Writable::Yes => "sysctls writable",
            Writable::ReadOnly => "/proc/sys read-only",
            Writable::NotPermitted => "sysctls not writable by this user",
            Writable::Unknown => "unknown whether sysctls are writable",
        }
        .to_owned(),
    );
    stands.join(" · ")
}

/// As many rules that could not be checked for one reason are told in one line.
const SHARED: usize = 3;

/// The rows of the table: what needs attention always, passes if there is room for them, the rest only on request.
fn rows_to_show<'a, 'b>(groups: &'a [Group<'b>], style: Style) -> Vec<&'a Group<'b>> {
    // Header, borders and summary take some ten lines, a row with its border two.
    let fits = style.height.is_some_and(|height| groups.len() * 2 + 10 <= usize::from(height));
    let passes = (style.verbose || fits) && !style.only_failed;
    let shared = |reason: &str| groups.iter().filter(|other| other.first.reason == reason).count() >= SHARED;
    groups
        .iter()
        .filter(|group| match group.first.outcome {
            Outcome::NotApplicable | Outcome::Waived => style.verbose && !style.only_failed,
            Outcome::Pass => passes,
            Outcome::Unknown => style.verbose || !shared(&group.first.reason),
            Outcome::Warn | Outcome::Fail => true,
        })
        .collect()
}

fn table(rows: &[&Group<'_>], style: Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style.width.saturating_sub(1).max(40));
    table.set_header(["", "rule", "now", "want", "evidence"]);
    for group in rows {
        let finding = group.first;
        let rule = match group.subjects.is_empty() {
            true => finding.rule.to_owned(),
            false => format!("{}\n{}", finding.rule, group.subjects("\n", style.verbose)),
        };
        let cells = [label(finding.outcome), &rule, &now(finding), &finding.want.text, &evidence(finding)];
        table.add_row(cells.map(sanitized));
    }
    table.to_string()
}

fn now(finding: &Finding) -> String {
    match (&finding.now, finding.outcome) {
        (Some(value), _) => match finding.rise {
            Some(rise @ 1..) => format!("{} (+{})", humane(value, finding.unit), grouped(rise)),
            _ => humane(value, finding.unit),
        },
        (None, Outcome::Unknown) => finding.gap.as_ref().map(|gap| gap.cause.to_string()).unwrap_or_default(),
        (None, Outcome::Pass) => "not there".into(),
        (None, _) => "-".into(),
    }
}

fn evidence(finding: &Finding) -> String {
    let mut lines = Vec::new();
    if let Some(share) = finding.share {
        lines.push(bar(share));
    }
    if finding.outcome == Outcome::NotApplicable {
        return finding.reason.clone();
    }
    lines
        .extend(finding.evidence.iter().filter(|proof| matches!(proof.value, Ok(1..))).map(|proof| proof.says.clone()));
    if lines.is_empty() && matches!(finding.outcome, Outcome::Unknown | Outcome::NotApplicable | Outcome::Pass) {
        lines.push(finding.gap.as_ref().map_or_else(|| finding.reason.clone(), |gap| gap.why.clone()));
    }
    lines.join("\n")
}

fn bar(share: i128) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = share.clamp(0, 100) * BAR * 8 / 100;
    let full = "█".repeat(usize::try_from(eighths / 8).unwrap_or(0));
    let part = usize::try_from(eighths % 8).ok().and_then(|index| EIGHTHS.get(index)).filter(|&&c| c != ' ');
    let gap = if full.is_empty() && part.is_none() { "" } else { " " };
    format!("{full}{}{gap}{share} %", part.map(char::to_string).unwrap_or_default())
}

/// Colours the outcome in a line of the table; the first cell is the only one that holds it.
fn coloured_row(line: &str, rows: &[&Group<'_>]) -> String {
    let mut outcomes: Vec<Outcome> = rows.iter().map(|group| group.first.outcome).collect();
    outcomes.dedup();
    for outcome in outcomes {
        let word = label(outcome);
        if let Some(rest) =
            line.strip_prefix("│ ").and_then(|rest| rest.strip_prefix(word)).filter(|rest| rest.starts_with(' '))
        {
            return format!("│ {}{rest}", coloured(word, outcome));
        }
    }
    line.to_owned()
}

/// One line for each outcome, and each reason of an unknown, whose findings are not in the table.
fn folded(out: &mut String, groups: &[Group<'_>], rows: &[&Group<'_>], style: Style) -> fmt::Result {
    let hidden = |outcome: Outcome| {
        groups
            .iter()
            .filter(move |group| group.first.outcome == outcome && !rows.iter().any(|row| std::ptr::eq(*row, *group)))
    };
    let line = |out: &mut String, title: &str, names: Vec<&str>, words: &str| {
        let text = format!("{}   ({words})", names.join(", "));
        writeln!(out, "{}", hanging(title, &sanitized(&text), style.width.into()))
    };
    let mut reasons: Vec<&str> = hidden(Outcome::Unknown).map(|group| group.first.reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let same = hidden(Outcome::Unknown).filter(|group| group.first.reason == reason);
        line(out, "?         ", names(same), reason)?;
    }
    if style.only_failed {
        return Ok(());
    }
    for (outcome, title) in
        [(Outcome::Waived, "waived    "), (Outcome::Pass, "pass      "), (Outcome::NotApplicable, "n/a       ")]
    {
        let names = names(hidden(outcome));
        if !names.is_empty() {
            line(out, title, names, "-v shows them")?;
        }
    }
    Ok(())
}

/// The rules of these groups, each once.
fn names<'a, 'b: 'a>(groups: impl Iterator<Item = &'a Group<'b>>) -> Vec<&'a str> {
    let mut names: Vec<&str> = groups.map(|group| group.first.rule).collect();
    names.dedup();
    names
}
