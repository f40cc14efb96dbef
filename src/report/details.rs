//! Under the table: what each finding says and what to do about it.

use std::fmt::{self, Write};

use super::groups::Group;
use super::style::Style;
use super::text::{coloured, hanging, label, one_line, sanitized, wrapped};
use crate::model::action::{Action, Edit};
use crate::model::finding::Outcome;

/// What is wrong and what to change, for every group that warns or fails. What could not be checked has its reason in
/// the table.
pub(super) fn write(out: &mut String, groups: &[Group<'_>], style: Style) -> fmt::Result {
    let mut printed: Vec<(&[String], &str)> = Vec::new();
    for group in groups.iter().filter(|group| group.first.outcome >= Outcome::Warn) {
        let mut plain = String::new();
        details(&mut plain, group, &mut printed, style)?;
        let word = label(group.first.outcome);
        match sanitized(&plain).strip_prefix(word) {
            Some(rest) if style.colour => writeln!(out, "\n{}{rest}", coloured(word, group.first.outcome))?,
            _ => writeln!(out, "\n{}", sanitized(&plain))?,
        }
    }
    Ok(())
}

/// One group. `printed` are the changes told before, with the rule that told them.
fn details<'a>(
    out: &mut String,
    group: &Group<'a>,
    printed: &mut Vec<(&'a [String], &'a str)>,
    style: Style,
) -> fmt::Result {
    let finding = group.first;
    let width = usize::from(style.width);
    let subjects =
        if group.subjects.is_empty() { String::new() } else { format!("  {}", group.subjects(", ", style.verbose)) };
    writeln!(out, "{} {}", label(finding.outcome), one_line(&format!("{}{subjects}", finding.rule)))?;
    if !finding.says.is_empty() {
        writeln!(out, "{}", wrapped(&finding.says, "  ", width))?;
    }
    if let Some(listener) = &finding.listener
        && let Err(gap) = &listener.process
    {
        // Units are told beside what they listen on.
        let process = if listener.unit.is_some() { "process " } else { "" };
        writeln!(out, "{}", hanging("  listens  ", &format!("{process}unknown ({gap})"), width))?;
    }
    if let Some(owner) = &finding.owner {
        writeln!(out, "{}", hanging("  owner    ", owner, width))?;
    }
    if style.verbose {
        writeln!(out, "{}", hanging("  read     ", &format!("{} from {}", finding.fact, finding.source), width))?;
        for proof in &finding.evidence {
            writeln!(out, "{}", hanging("  evidence ", &proof.says, width))?;
        }
    }
    let mut pointed = None;
    for (index, action) in finding.fix.iter().enumerate() {
        match printed.iter().find(|(lines, rule)| *lines == action.lines && *rule != finding.rule) {
            // One pointer is enough for several changes told there.
            Some((_, rule)) if pointed != Some(*rule) => {
                pointed = Some(*rule);
                writeln!(out, "  change   as under {}", one_line(rule))?;
            }
            Some(_) => {}
            None => fix(out, action, finding.fix.get(..index).unwrap_or_default(), width)?,
        }
        printed.push((&action.lines, finding.rule));
    }
    if !finding.also.is_empty() {
        writeln!(out, "{}", hanging("  also     ", &finding.also, width))?;
    }
    write!(out, "  more     tunecheck explain {}", one_line(finding.rule))
}

/// An action; `before` are those above it, whose cost and proof need not be said again. What is typed or written into a
/// file is never wrapped.
fn fix(out: &mut String, action: &Action, before: &[Action], width: usize) -> fmt::Result {
    let said = |field: fn(&Action) -> &str| before.iter().any(|other| field(other) == field(action));
    let advice = action.edit == Edit::Advice;
    for (index, line) in action.lines.iter().enumerate() {
        let title = if index == 0 { "  change   " } else { "           " };
        match advice {
            true => writeln!(out, "{}", hanging(title, line, width))?,
            false => writeln!(out, "{title}{}", one_line(line))?,
        }
    }
    writeln!(out, "{}", hanging("  who      ", &format!("{} (safety: {})", action.who, action.safety.word()), width))?;
    writeln!(out, "{}", hanging("  acts     ", action.takes_effect.words(), width))?;
    type Field = fn(&Action) -> &str;
    let fields: [(&str, Field); 4] = [
        ("  scope    ", |action| &action.scope),
        ("  cost     ", |action| &action.cost),
        ("  prove    ", |action| &action.prove),
        ("  undo     ", |action| &action.undo),
    ];
    // Advice is taken back by giving other advice.
    for (title, field) in fields.into_iter().take(if advice { 3 } else { 4 }) {
        if !field(action).is_empty() && !said(field) {
            writeln!(out, "{}", hanging(title, field(action), width))?;
        }
    }
    Ok(())
}
