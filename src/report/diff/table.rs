//! What differs, on a terminal.

use std::fmt::{self, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};

use super::{counts, has_row, movements, names, rest, side, state, still_holding, title, want, without_row};
use crate::model::diff::{Change, ChangeKind, Diff};
use crate::model::finding::Outcome;
use crate::model::recorded::RecordedFinding;
use crate::report::style::Style;
use crate::report::text::{coloured, hanging, label, one_line, sanitized, wrapped};

/// Columns that the name of a rule gets at most.
const LONGEST_NAME: u16 = 26;

/// What differs as text.
pub fn print(diff: &Diff<'_>, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, diff, style);
    out
}

fn write(out: &mut String, diff: &Diff<'_>, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let line =
        |out: &mut String, title: &str, words: &str| writeln!(out, "{}", sanitized(&hanging(title, words, width)));
    for (letter, which) in [("A", diff.a), ("B", diff.b)] {
        let [name, found] = side(which);
        line(out, &format!("{letter}  "), &format!("{name}   {found}"))?;
    }
    for contrast in &diff.contrasts {
        let words = format!("A {} | B {}: {}", contrast.a, contrast.b, contrast.of.means());
        let title = format!("{}   ", title(contrast.of));
        let mut plain = String::new();
        line(&mut plain, &title, &words)?;
        match plain.strip_prefix(&title) {
            Some(rest) if style.colour && contrast.of.is_loud() => {
                write!(out, "{}{rest}", coloured(&title, Outcome::Warn))?;
            }
            _ => out.push_str(&plain),
        }
    }
    let rows: Vec<&Change<'_>> = diff.changes.iter().filter(|change| has_row(change)).collect();
    writeln!(out)?;
    if !rows.is_empty() {
        for line in table(&rows, style.width).lines() {
            writeln!(out, " {}", if style.colour { coloured_row(line) } else { line.to_owned() })?;
        }
    }
    for (kind, title) in [(ChangeKind::Appeared, "appeared, passing   "), (ChangeKind::Gone, "gone, passed        ")] {
        let folded = without_row(diff, kind);
        if !folded.is_empty() {
            let name = |(rule, count): &(&str, usize)| {
                if *count > 1 { format!("{rule} ({count})") } else { (*rule).to_owned() }
            };
            line(out, title, &folded.iter().map(name).collect::<Vec<_>>().join(", "))?;
        }
    }
    let holding = still_holding(diff);
    if !holding.is_empty() {
        line(out, "changed, passing    ", &holding.join(", "))?;
    }
    for (finding, subjects) in told(&rows) {
        details(out, finding, &subjects, style)?;
    }
    let mut used = 0;
    for (kind, text) in counts(diff) {
        let length = text.chars().count();
        let (joint, before) = match used {
            0 => ("\n", 0),
            _ if used + 3 + length > width => ("\n", 0),
            _ => (" · ", used + 3),
        };
        used = before + length;
        let text = colour(kind).filter(|_| style.colour).map_or(text.clone(), |outcome| coloured(&text, outcome));
        write!(out, "{joint}{text}")?;
    }
    if used > 0 {
        writeln!(out)?;
    }
    for sentence in rest(diff) {
        line(out, "", &sentence)?;
    }
    Ok(())
}

fn table(rows: &[&Change<'_>], width: u16) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width.saturating_sub(1).max(40));
    table.set_header(["", "rule", "A", "B", "want", "evidence"]);
    for change in rows {
        let rule = match change.latest().map(names) {
            Some((rule, Some(subject))) => format!("{rule}\n{subject}"),
            Some((rule, None)) => rule.to_owned(),
            None => continue,
        };
        let cell = |(outcome, now): (&str, String)| format!("{outcome} {now}").trim_end().to_owned();
        let cells = [
            change.kind.word().to_owned(),
            rule,
            cell(state(change.a)),
            cell(state(change.b)),
            want(change),
            movements(change).join("\n"),
        ];
        table.add_row(cells.map(|cell| sanitized(&cell).into_owned()));
    }
    // Names of rules are looked up and typed: they are broken last.
    let longest = rows.iter().filter_map(|change| change.latest()).map(|finding| finding.rule.chars().count()).max();
    let least = u16::try_from(longest.unwrap_or(0)).unwrap_or(LONGEST_NAME).min(LONGEST_NAME);
    if let Some(column) = table.column_mut(1).filter(|_| width >= 80) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least + 2)));
    }
    table.to_string()
}

/// What B has of everything that got worse, with the subjects about which a rule says the same.
fn told<'a>(rows: &[&Change<'a>]) -> Vec<(&'a RecordedFinding, Vec<&'a str>)> {
    let mut told: Vec<(&RecordedFinding, Vec<&str>)> = Vec::new();
    for finding in rows.iter().filter(|change| change.is_worse()).filter_map(|change| change.b) {
        let says = |finding: &'a RecordedFinding| (&finding.rule, finding.outcome, &finding.says, &finding.reason);
        match told.last_mut().filter(|(first, _)| says(first) == says(finding)) {
            Some((_, subjects)) => subjects.extend(finding.subject.as_deref()),
            None => told.push((finding, finding.subject.as_deref().into_iter().collect())),
        }
    }
    told
}

/// What B says about something that got worse, and where to read on.
fn details(out: &mut String, finding: &RecordedFinding, subjects: &[&str], style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let word = label(finding.outcome);
    let mut plain = String::new();
    let title = format!("{word} {}  ", one_line(&finding.rule));
    writeln!(plain, "{}", hanging(&title, &subjects.join(", "), width).trim_end())?;
    let says = if finding.outcome == Outcome::Unknown { &finding.reason } else { &finding.says };
    if !says.is_empty() {
        writeln!(plain, "{}", wrapped(says, "  ", width))?;
    }
    writeln!(plain, "  more     tunecheck explain {}", one_line(&finding.rule))?;
    match sanitized(&plain).strip_prefix(word) {
        Some(rest) if style.colour => write!(out, "\n{}{rest}", coloured(word, finding.outcome)),
        _ => write!(out, "\n{}", sanitized(&plain)),
    }
}

/// The colour of a kind; what is neither good nor bad has none.
fn colour(kind: ChangeKind) -> Option<Outcome> {
    match kind {
        ChangeKind::Worse => Some(Outcome::Fail),
        ChangeKind::Appeared => Some(Outcome::Warn),
        ChangeKind::Unchecked | ChangeKind::Checked => Some(Outcome::Unknown),
        ChangeKind::Better => Some(Outcome::Pass),
        ChangeKind::Gone | ChangeKind::Waiver => Some(Outcome::Waived),
        ChangeKind::Changed => None,
    }
}

/// Colours the kind in a line of the table; the first cell is the only one that holds it.
fn coloured_row(line: &str) -> String {
    for kind in ChangeKind::ALL {
        let rest = line.strip_prefix("│ ").and_then(|rest| rest.strip_prefix(kind.word()));
        if let (Some(rest), Some(outcome)) = (rest.filter(|rest| rest.starts_with(' ')), colour(kind)) {
            return format!("│ {}{rest}", coloured(kind.word(), outcome));
        }
    }
    line.to_owned()
}
