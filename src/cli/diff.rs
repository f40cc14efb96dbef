//! `tunecheck diff`: two reports or snapshots, what changed.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::args::{DiffArgs, DiffFormat, LoadArgs};
use super::exit::{self, Exit};
use super::settings;
use super::terminal::{Terminal, print};
use crate::audit::audit;
use crate::compare::compare;
use crate::host::{Host, Replay, input};
use crate::model::bounds;
use crate::model::diff::Side;
use crate::model::recorded::Recorded;
use crate::model::workload::Workload;
use crate::report;
use crate::rules::RuleSet;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1f, 0x8b];
const STDIN: &str = "-";

/// One of the two, before a snapshot is audited.
enum Input {
    Report(Box<Recorded>),
    Snapshot(Replay),
}

pub(super) fn run(args: &DiffArgs) -> Result<Exit> {
    if [&args.a, &args.b].into_iter().all(|path| path == Path::new(STDIN)) {
        bail!("A and B cannot both be standard input: save one of them in a file");
    }
    let (a, b) = (opened(&args.a)?, opened(&args.b)?);
    let rules = settings::rules(&args.rules)?;
    let told = args.load != LoadArgs::default();
    let workload = match (&a, &b) {
        (Input::Report(_), Input::Report(_)) if told || !args.rules.is_empty() => bail!(
            "options of the workload and --rules say how snapshots are audited, and these are two reports: \
             record reports with these options instead"
        ),
        (Input::Report(report), _) | (_, Input::Report(report)) if !told => report.workload.clone(),
        _ => settings::workload(&args.load, &rules)?,
    };
    let (a, b) = (audited(a, &rules, &workload)?, audited(b, &rules, &workload)?);
    let (a_name, b_name) = (args.a.display().to_string(), args.b.display().to_string());
    let diff = compare(Side { name: &a_name, report: &a }, Side { name: &b_name, report: &b });
    let terminal = Terminal::stdout();
    let text = match args.format {
        DiffFormat::Table => report::diff_table(&diff, settings::plain_style(args.color, terminal)),
        DiffFormat::Json => report::diff_json(&diff, terminal.interactive)?,
        DiffFormat::Markdown => report::diff_markdown(&diff),
    };
    print(text.as_bytes()).context("cannot write what differs")?;
    Ok(exit::diff_gate(&diff, args.fail_on))
}

/// Tells a report from a snapshot by what it is: a folder, a gzip file, or anything else.
fn opened(path: &Path) -> Result<Input> {
    if input::is_folder(path) {
        return Ok(Input::Snapshot(Replay::open(path)?));
    }
    let shown = path.display();
    let archive = path.extension().is_some_and(|ending| ending == "gz" || ending == "tgz");
    let bytes = match archive {
        true => GZIP.to_vec(),
        false => input::read(path, bounds::REPORT.most).with_context(|| format!("cannot read {shown}"))?,
    };
    if !bytes.starts_with(&GZIP) {
        let report = report::recorded(&bytes).with_context(|| next_step(path))?;
        return Ok(Input::Report(Box::new(report)));
    }
    if path == Path::new(STDIN) {
        bail!("-: standard input holds an archive: a snapshot is read from a file or a folder");
    }
    Ok(Input::Snapshot(Replay::open(path)?))
}

/// What to say of a file that is no report.
fn next_step(path: &Path) -> String {
    let shown = path.display();
    match path.file_name().is_some_and(|name| name == "manifest.json") {
        true => format!("{shown}: to compare a snapshot, name its folder"),
        false => shown.to_string(),
    }
}

/// What a report tells, or an audit of the snapshot does. The audit goes through the form of reports too, so that a mix
/// of both compares like with like.
fn audited(input: Input, rules: &RuleSet, workload: &Workload) -> Result<Recorded> {
    match input {
        Input::Report(report) => Ok(*report),
        Input::Snapshot(host) => {
            let report = audit(&host, rules, workload).with_context(|| host.source())?;
            Ok(report::recorded(report::json(&report, false, false)?.as_bytes())?)
        }
    }
}
