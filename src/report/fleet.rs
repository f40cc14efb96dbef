//! A machine and everything on it, for people: the machine's report, then a section for each of the rest.

use std::fmt::{self, Write};

use super::groups::groups;
use super::style::Style;
use super::text::{hanging, one_line, sanitized};
use super::{details, table};
use crate::model::finding::Outcome;
use crate::model::fleet::{Fleet, Section};

/// Names of one section, before the rest is counted.
const NAMED: usize = 12;

/// The report as text.
pub fn print(fleet: &Fleet, style: Style) -> String {
    let mut out = table::print(&fleet.host, style);
    // Writing to a String cannot fail.
    let _ = rest(&mut out, fleet, style);
    out
}

fn rest(out: &mut String, fleet: &Fleet, style: Style) -> fmt::Result {
    for section in &fleet.sections {
        write_section(out, section, style)?;
    }
    let width = usize::from(style.width);
    let (targets, sections) = (fleet.targets(), fleet.sections.len());
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let mut words = vec![
        plural(targets, "container or network namespace")
            .replace("container or network namespaces", "containers and network namespaces"),
        plural(sections, "section"),
    ];
    if fleet.partial {
        words.iter_mut().take(1).for_each(|found| found.push_str(" that can be seen"));
    }
    if fleet.ended > 0 {
        words.push(format!("{} ended while they were read", fleet.ended));
    }
    if fleet.failed > 0 {
        words.push(format!("{} could not be audited", fleet.failed));
    }
    if fleet.left_out > 0 {
        words.push(format!("{} more were not looked at", fleet.left_out));
    }
    writeln!(out)?;
    for note in &fleet.notes {
        writeln!(out, "{}", hanging("note      ", &sanitized(note), width))?;
    }
    let worse = |outcome| fleet.sections.iter().filter(|section| worst(section) == Some(outcome)).count();
    let all = format!(
        "beside the machine itself: {} · {} with a fail, {} with a warn at worst",
        words.join(" · "),
        worse(Outcome::Fail),
        worse(Outcome::Warn)
    );
    writeln!(out, "{}", hanging("", &all, width))?;
    if sections > 0 && !style.verbose {
        writeln!(
            out,
            "{}",
            hanging("", "What to change in one of them: tunecheck fix --container ID, or --pid N", width)
        )?;
    }
    Ok(())
}

/// The worst outcome of what is a section's own.
fn worst(section: &Section) -> Option<Outcome> {
    section.own().map(|finding| finding.outcome).max()
}

/// What all of these are.
fn kind(names: &[String]) -> &'static str {
    const KINDS: [(&str, &str); 3] =
        [("pod ", "pods"), ("container ", "containers"), ("network namespace ", "network namespaces")];
    let all = |start: &str| names.iter().all(|name| name.starts_with(start));
    KINDS.iter().find(|(start, _)| all(start)).map_or("targets", |(_, kind)| kind)
}

fn write_section(out: &mut String, section: &Section, style: Style) -> fmt::Result {
    let width = usize::from(style.width);
    let shown = if style.verbose { section.names.len() } else { NAMED };
    let mut names: Vec<&str> = section.names.iter().take(shown).map(String::as_str).collect();
    let more = format!("and {} more", section.names.len().saturating_sub(shown));
    if section.names.len() > shown {
        names.push(&more);
    }
    let title = match section.names.len() {
        1 => "── ".to_owned(),
        count => format!("── {count} {} alike: ", kind(&section.names)),
    };
    let line = |title: &str, words: &str| hanging(title, &sanitized(&one_line(words)), width);
    writeln!(out, "\n{}", line(&title, &names.join(", ")))?;
    let report = &section.report;
    writeln!(out, "{}", line("read      ", &report.source))?;
    writeln!(out, "{}", line("place     ", &table::stands(&report.place)))?;
    for note in &report.notes {
        writeln!(out, "{}", line("note      ", note))?;
    }
    let groups = groups(section.own());
    // Of what holds, the number is enough: a machine has hundreds of these.
    let only_failed = style.only_failed || !style.verbose;
    table::body(out, &groups, Style { height: None, only_failed, ..style })?;
    if style.verbose {
        return details::write(out, &groups, style);
    }
    if style.only_failed {
        return Ok(());
    }
    let count = |outcome| section.own().filter(|finding| finding.outcome == outcome).count();
    let [passed, out_of_place] = [Outcome::Pass, Outcome::NotApplicable].map(count);
    writeln!(out, "and       {passed} pass · {out_of_place} not applicable   (-v shows them, and what to change)")
}
