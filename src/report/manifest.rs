//! What is wrong with manifests: for people, and as annotations of a workflow on GitHub.

use std::fmt::{self, Write};

use super::style::Style;
use super::text::{coloured, hanging, label, one_line, sanitized, wrapped};
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Judged, Manifests};

/// What was found as text: by file and line, then the sums.
pub fn table(manifests: &Manifests, style: Style) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, manifests, style);
    out
}

fn write(out: &mut String, manifests: &Manifests, style: Style) -> fmt::Result {
    let mut told: Vec<(&str, Option<String>)> = Vec::new();
    for file in &manifests.files {
        for fault in &file.faults {
            one(out, file, fault, &mut told, style)?;
        }
    }
    let counts = [(Outcome::Fail, "fail"), (Outcome::Warn, "warn"), (Outcome::Unknown, "unknown")];
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(outcome, word)| (manifests.count(outcome), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let (pods, patches) = (manifests.sum(|file| file.pods), manifests.sum(|file| file.patches));
    let configurations = manifests.sum(|file| file.configurations);
    let found = match (counts.is_empty(), pods + patches + configurations) {
        (true, 0) => "nothing to judge".to_owned(),
        (true, _) => "nothing wrong found".to_owned(),
        (false, _) => counts.join(" · "),
    };
    let mut judged = vec![counted(pods, "pod spec")];
    if patches > 0 {
        judged.push(format!("{} by patches", counted(patches, "change")));
    }
    if configurations > 0 {
        judged.push(counted(configurations, "configuration"));
    }
    let told = [judged.join(", "), "judged in".to_owned(), counted(manifests.files.len(), "file")].join(" ");
    let mut sums = format!("{found} · {told} · {}", passed_over(&manifests.passed_over()));
    for (count, what) in [
        (manifests.sum(|file| file.templates), "template"),
        (manifests.sum(|file| file.not_manifests), "document without apiVersion and kind"),
    ] {
        if count > 0 {
            let what = counted(count, what)
                .replace("document without apiVersion and kinds", "documents without apiVersion and kind");
            sums += &format!(" · {what}");
        }
    }
    writeln!(out, "{}", sanitized(&wrapped(&one_line(&sums), "", usize::from(style.width))))
}

/// Objects without a pod, by kind; the rarest ones as a number.
fn passed_over(kinds: &[(&str, usize)]) -> String {
    const MOST: usize = 12;
    let count = kinds.iter().map(|(_, count)| count).sum();
    let mut named: Vec<String> = kinds.iter().take(MOST).map(|(kind, count)| format!("{count} {kind}")).collect();
    if kinds.len() > MOST {
        named.push(format!("{} more kinds", kinds.len() - MOST));
    }
    let colon = if named.is_empty() { "" } else { ": " };
    format!("{} without a pod passed over{colon}{}", counted(count, "object"), named.join(", "))
}

/// One fault. `told` are the changes that were told before, with the place where.
fn one<'a>(
    out: &mut String,
    file: &Judged,
    fault: &'a Fault,
    told: &mut Vec<(&'a str, Option<String>)>,
    style: Style,
) -> fmt::Result {
    let width = usize::from(style.width);
    let word = label(fault.outcome);
    let at = place(file, fault);
    let subject = if fault.subject.is_empty() { String::new() } else { format!("  {}", one_line(&fault.subject)) };
    let word = if style.colour { coloured(word, fault.outcome) } else { word.to_owned() };
    writeln!(out, "{}: {word} manifest/{}{}", sanitized(&at), fault.check, sanitized(&subject))?;
    writeln!(out, "{}", sanitized(&wrapped(&fault.says, "  ", width)))?;
    let before = told.iter().find(|(change, _)| *change == fault.change);
    let change = match before {
        // A short one is said again sooner than it is looked up.
        Some((change, Some(place))) if change.len() > width => format!("as under {place}"),
        _ => fault.change.clone(),
    };
    if before.is_none() {
        // A place with another change beside it leads nowhere: the commands of a script stand at one.
        let alone = file.faults.iter().all(|other| other.mark != fault.mark || other.change == fault.change);
        told.push((&fault.change, alone.then(|| at.clone())));
    }
    if !change.is_empty() {
        writeln!(out, "{}", sanitized(&hanging("  change   ", &change, width)))?;
    }
    writeln!(out)
}

/// Where a fault is: of a template that Helm filled in, the lines are those of what it printed.
fn place(file: &Judged, fault: &Fault) -> String {
    let read = format!("{}:{}:{}", one_line(&file.file), fault.mark.line, fault.mark.column);
    match &fault.source {
        Some(source) => format!("{} ({read})", one_line(source)),
        None => read,
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What was found as workflow commands (docs.github.com/actions/reference/workflows-and-actions/workflow-commands).
pub fn github(manifests: &Manifests) -> String {
    let mut out = String::new();
    let faults = manifests.files.iter().flat_map(|file| file.faults.iter().map(move |fault| (file, fault)));
    for (file, fault) in faults {
        let level = match fault.outcome {
            Outcome::Fail => "error",
            Outcome::Warn => "warning",
            _ => "notice",
        };
        let about = if fault.subject.is_empty() { String::new() } else { format!("{}: ", fault.subject) };
        let change = if fault.change.is_empty() { String::new() } else { format!("\nchange: {}", fault.change) };
        let message = data(&format!("{about}{}{change}", fault.says));
        let at = match &fault.source {
            Some(source) => property(source),
            None => format!("{},line={},col={}", property(&file.file), fault.mark.line, fault.mark.column),
        };
        let title = property(&format!("tunecheck manifest/{}", fault.check));
        out += &format!("::{level} file={at},title={title}::{message}\n");
    }
    out
}

/// Text as the message of a workflow command.
fn data(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    sanitized(&escaped).into_owned()
}

/// Text as a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
