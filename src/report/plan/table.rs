//! A plan as text.

use std::fmt::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::scale::Scale;
use super::words::{
    SETTINGS, at_least, carries, holds, load, needed, now, number, planned, rule, shape, short, solved, stands, step,
    steps, unknown, verdict,
};
use crate::model::finding::Outcome;
use crate::model::sizing::{Capacity, Carried, Need, Sizing};
use crate::model::traffic::Traffic;
use crate::report::style::Style;
use crate::report::text::{coloured, hanging, one_line, sanitized};

/// Columns of the longest bar.
const BAR: usize = 24;

/// The plan as text.
pub fn print(sizing: &Sizing, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, sizing, style);
    let plain = sanitized(&out).into_owned();
    let Some(capacity) = sizing.capacity.as_ref().filter(|_| style.colour) else { return plain };
    let answer = answer(capacity, &sizing.traffic, style);
    let outcome = if holds(capacity, &sizing.traffic) { Outcome::Pass } else { Outcome::Fail };
    plain.replacen(&answer, &coloured(&answer, outcome), 1)
}

fn write(out: &mut String, sizing: &Sizing, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let version = env!("CARGO_PKG_VERSION");
    match &sizing.capacity {
        Some(capacity) => {
            let node = one_line(capacity.node.as_deref().unwrap_or("unnamed machine"));
            writeln!(out, "tunecheck {version}   {node} · {}", one_line(&capacity.source))?;
        }
        None => writeln!(out, "tunecheck {version}")?,
    }
    writeln!(out, "{}", hanging("load      ", &load(&sizing.traffic), width))?;
    writeln!(out, "{}", hanging("shape     ", &shape(&sizing.traffic), width))?;
    match &sizing.capacity {
        Some(capacity) => carried(out, capacity, &sizing.traffic, style),
        None => {
            needs(out, &sizing.needs, style)?;
            settings(out, sizing, width)?;
            writeln!(out, "\n{}", planned(&sizing.traffic).join("\n"))
        }
    }
}

/// How much is carried: all of it is our own words.
fn answer(capacity: &Capacity, traffic: &Traffic, style: Style) -> String {
    hanging("carries   ", &verdict(capacity, traffic), usize::from(style.width))
}

fn needs(out: &mut String, needs: &[Need], style: Style) -> fmt::Result {
    let mut table = new_table(style);
    table.set_header(["limit", "per", "need", "because"]);
    for need in needs {
        let Some((much, why)) = needed(need) else { continue };
        table.add_row([need.limit, need.per.word(), &much, &why]);
    }
    writeln!(out, "\n{}", trimmed(&table))
}

fn settings(out: &mut String, sizing: &Sizing, width: usize) -> fmt::Result {
    if !sizing.settings.is_empty() {
        writeln!(out, "\n{SETTINGS}")?;
    }
    for setting in &sizing.settings {
        writeln!(out, "\n{}", setting.program)?;
        for line in &setting.lines {
            writeln!(out, "  {line}")?;
        }
        if !setting.note.is_empty() {
            writeln!(out, "{}", hanging("  ", setting.note, width))?;
        }
    }
    Ok(())
}

fn carried(out: &mut String, capacity: &Capacity, traffic: &Traffic, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    writeln!(out, "{}", answer(capacity, traffic, style))?;
    for note in &capacity.notes {
        writeln!(out, "{}", hanging("note      ", note, width))?;
    }
    let scale = Scale::of(capacity, traffic);
    let mut table = new_table(style);
    let title = format!("| {} asked for, log scale", number(traffic.concurrency));
    table.set_header(["limit", "carries", title.as_str(), "now", "needs"]);
    for limit in &capacity.carried {
        let bar = bar(&scale, limit, traffic);
        table.add_row([limit.limit, &carries(limit), &bar, &now(limit), &at_least(limit.need, limit.unit)]);
    }
    writeln!(out, "\n{}", trimmed(&table))?;
    for (limit, why) in &capacity.unlimited {
        writeln!(out, "{}", hanging("no limit  ", &format!("{limit}: {why}"), width))?;
    }
    for (limits, why) in unknown(capacity) {
        writeln!(out, "{}", hanging("?         ", &format!("{limits}: {why}"), width))?;
    }
    if !capacity.steps.is_empty() {
        writeln!(out, "\nWhat a change buys, one upon the other")?;
    }
    for (index, (one, added, _)) in steps(capacity).enumerate() {
        writeln!(out, "{}", hanging(&format!("{:>3}. ", index + 1), &step(one), width))?;
        for moved in added {
            let rule = rule(moved).map(|rule| format!(" ({rule})")).unwrap_or_default();
            writeln!(out, "{}", hanging("     by ", &format!("{}{rule}", moved.change), width))?;
        }
    }
    if let Some(short) = short(capacity, traffic) {
        writeln!(out, "\n{short}")?;
    }
    for one in &capacity.standing {
        writeln!(out, "{}", hanging("  since  ", &stands(one), width))?;
    }
    writeln!(out, "\n{}", solved(traffic).join("\n"))
}

fn new_table(style: Style) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(style.width.saturating_sub(1).max(40));
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect::<String>().trim_end().to_owned()
}

/// The bar of a limit, crossed by the line at what is asked for.
fn bar(scale: &Scale, limit: &Carried, traffic: &Traffic) -> String {
    // A share lies between 0 and 1.
    let columns = |requests: u64| (scale.share(requests) * BAR as f64).round() as usize;
    let asked = columns(traffic.concurrency);
    let full = limit.carries.map_or(BAR, |carries| columns(carries).max(1));
    let cell = |column: usize| match (column + 1 == asked, column < full) {
        (true, _) => '|',
        (false, true) => '█',
        (false, false) => ' ',
    };
    (0..BAR).map(cell).collect::<String>().trim_end().to_owned()
}
