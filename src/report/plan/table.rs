//! A plan as text.

use std::fmt::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use super::words::{amount, load, number, on_a_node, shape, step, unknown, verdict};
use crate::model::sizing::{Amount, Capacity, Carried, Need, Sizing};
use crate::model::traffic::Traffic;
use crate::report::style::Style;
use crate::report::text::{hanging, sanitized};

/// Columns of the longest bar.
const BAR: usize = 24;

/// The plan as text.
pub fn print(sizing: &Sizing, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, sizing, style);
    sanitized(&out).into_owned()
}

fn write(out: &mut String, sizing: &Sizing, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let version = env!("CARGO_PKG_VERSION");
    match &sizing.capacity {
        Some(capacity) => {
            let node = capacity.node.as_deref().unwrap_or("unnamed machine");
            writeln!(out, "tunecheck {version}   {node} · {}", capacity.source)?;
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
            writeln!(out, "\nThe load of one pod as a file: the same with --format yaml > load.yaml")?;
            writeln!(out, "Then, in a pod: tunecheck --workload load.yaml; tunecheck fix --workload load.yaml")?;
            match on_a_node(&sizing.traffic) {
                Some(options) => writeln!(out, "On a node:      tunecheck --workload load.yaml {options}"),
                None => Ok(()),
            }
        }
    }
}

fn needs(out: &mut String, needs: &[Need], style: Style) -> fmt::Result {
    let mut table = new_table(style);
    table.set_header(["limit", "per", "need", "because"]);
    for need in needs {
        let (much, why) = match &need.amount {
            Amount::Of(much, why) => (amount(*much, need.unit), why.clone()),
            Amount::Unsaid(option) => ("?".to_owned(), format!("{option} would say it")),
            Amount::None => continue,
        };
        table.add_row([need.limit, need.per.word(), &much, &why]);
    }
    writeln!(out, "\n{}", trimmed(&table))
}

fn settings(out: &mut String, sizing: &Sizing, width: usize) -> fmt::Result {
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
    writeln!(out, "{}", hanging("carries   ", &verdict(capacity, traffic), width))?;
    for note in &capacity.notes {
        writeln!(out, "{}", hanging("note      ", note, width))?;
    }
    let scale = Scale::of(capacity, traffic);
    let mut table = new_table(style);
    table.set_header(["limit", "carries", scale.title.as_str(), "now", "needs"]);
    for limit in &capacity.carried {
        let carries = limit.carries.map_or("any".to_owned(), number);
        let now = match limit.slow_from {
            Some(from) if Some(from) < limit.carries => {
                format!("{}; slow from {}", amount(limit.have, limit.unit), number(from))
            }
            _ => amount(limit.have, limit.unit),
        };
        let bar = scale.bar(limit);
        table.add_row([limit.limit, &carries, &bar, &now, &amount(limit.need, limit.unit)]);
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
    for (index, one) in capacity.steps.iter().enumerate() {
        writeln!(out, "{}", hanging(&format!("{:>3}. ", index + 1), &step(one), width))?;
        let before =
            index.checked_sub(1).and_then(|index| capacity.steps.get(index)).map_or(0, |step| step.moves.len());
        for moved in one.moves.iter().skip(before) {
            let rule = moved.rule.map(|rule| format!(" (tunecheck explain {rule})")).unwrap_or_default();
            writeln!(out, "{}", hanging("     by ", &format!("{}{rule}", moved.change), width))?;
        }
    }
    writeln!(out, "\nWhat to change here for the declared load, with undo: the same with --format yaml > load.yaml,")?;
    writeln!(out, "then tunecheck fix --workload load.yaml")
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

/// Capacities differ by powers of ten, so a bar grows by as much for each of them.
struct Scale {
    title: String,
    least: f64,
    most: f64,
    asked: usize,
}

impl Scale {
    fn of(capacity: &Capacity, traffic: &Traffic) -> Self {
        let all = || capacity.carried.iter().filter_map(|limit| limit.carries).chain([traffic.concurrency]);
        let least = digits(all().min().unwrap_or(1)).floor();
        let most = digits(all().max().unwrap_or(1)).ceil().max(least + 1.0);
        let mut scale = Self { title: String::new(), least, most, asked: 0 };
        scale.asked = scale.columns(traffic.concurrency);
        scale.title = format!("| {} asked for, log scale", number(traffic.concurrency));
        scale
    }

    fn columns(&self, requests: u64) -> usize {
        let share = (digits(requests) - self.least) / (self.most - self.least);
        // Between 0 and 1 by the choice of the ends; the cast rounds down.
        (share.clamp(0.0, 1.0) * BAR as f64).round() as usize
    }

    fn bar(&self, limit: &Carried) -> String {
        let full = limit.carries.map_or(BAR, |carries| self.columns(carries).max(1));
        let cell = |column: usize| match (column + 1 == self.asked, column < full) {
            (true, _) => '|',
            (false, true) => '█',
            (false, false) => ' ',
        };
        (0..BAR).map(cell).collect::<String>().trim_end().to_owned()
    }
}

fn digits(requests: u64) -> f64 {
    (requests.max(1) as f64).log10()
}
