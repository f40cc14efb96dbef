//! What differs, for a pull request: GitHub's Markdown.

use std::fmt::{self, Write};

use super::{counts, has_row, movements, names, rest, side, state, title, want, without_row};
use crate::model::diff::{Change, ChangeKind, Diff};
use crate::report::text::{one_line, sanitized};

/// What differs as Markdown. What others wrote stands in code spans, where it is no markup, no link and no mention.
pub fn print(diff: &Diff<'_>) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, diff);
    out
}

fn write(out: &mut String, diff: &Diff<'_>) -> fmt::Result {
    let counts: Vec<String> = counts(diff).into_iter().map(|(_, text)| text).collect();
    let summary = if counts.is_empty() { "nothing changed".to_owned() } else { counts.join(" · ") };
    writeln!(out, "### tunecheck diff: {summary}\n")?;
    for (letter, which) in [("A", diff.a), ("B", diff.b)] {
        let [name, found] = side(which);
        writeln!(out, "- **{letter}** {} {}", code(&name), code(&found))?;
    }
    writeln!(out)?;
    for contrast in &diff.contrasts {
        let (a, b) = (code(&contrast.a), code(&contrast.b));
        // A paragraph each: alerts of GitHub hold one thought.
        let mark = if contrast.of.is_loud() { "> [!WARNING]\n> " } else { "> " };
        writeln!(out, "{mark}**{}**: A {a}, B {b}: {}\n", title(contrast.of), contrast.of.means())?;
    }
    let (changed, other): (Vec<&Change<'_>>, Vec<&Change<'_>>) =
        diff.changes.iter().partition(|change| change.kind == ChangeKind::Changed);
    table(out, &other.into_iter().filter(|change| has_row(change)).collect::<Vec<_>>())?;
    if !changed.is_empty() {
        writeln!(out, "<details><summary>{} {}</summary>\n", changed.len(), ChangeKind::Changed.words())?;
        table(out, &changed)?;
        writeln!(out, "</details>\n")?;
    }
    for (kind, title) in [(ChangeKind::Appeared, "Appeared, passing"), (ChangeKind::Gone, "Gone, passed")] {
        let folded = without_row(diff, kind);
        if !folded.is_empty() {
            let name = |(rule, count): &(&str, usize)| match count {
                1 => code(rule),
                count => format!("{} ({count})", code(rule)),
            };
            writeln!(out, "{title}: {}\n", folded.iter().map(name).collect::<Vec<_>>().join(", "))?;
        }
    }
    writeln!(out, "{}", rest(diff).join("  \n"))
}

fn table(out: &mut String, rows: &[&Change<'_>]) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "| | rule | A | B | want | evidence |\n|---|---|---|---|---|---|")?;
    for change in rows {
        let Some((rule, subject)) = change.latest().map(names) else { continue };
        let rule = [Some(rule), subject].into_iter().flatten().map(cell).collect::<Vec<_>>().join("<br>");
        let side = |(outcome, now): (&str, String)| format!("{outcome} {}", cell(&now)).trim_end().to_owned();
        let evidence: Vec<String> = movements(change).iter().map(|moved| cell(moved)).collect();
        writeln!(
            out,
            "| **{}** | {rule} | {} | {} | {} | {} |",
            change.kind.word(),
            side(state(change.a)),
            side(state(change.b)),
            cell(&want(change)),
            evidence.join("<br>")
        )?;
    }
    writeln!(out)
}

/// Text in a code span of one line that no text ends early; nothing for nothing.
fn code(text: &str) -> String {
    let plain = one_line(&sanitized(text)).replace('`', "'");
    if plain.trim().is_empty() { String::new() } else { format!("`{plain}`") }
}

/// The same in a cell of a table, which a bare `|` would end; behind a backslash it is bare.
fn cell(text: &str) -> String {
    code(&text.replace("\\|", "\\ |").replace('|', "\\|"))
}
