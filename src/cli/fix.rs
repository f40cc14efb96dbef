//! `tunecheck fix`: the plan, in the form that was asked for.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::args::FixArgs;
use super::exit::Exit;
use super::terminal::{Terminal, complain, print};
use super::{probe, settings};
use crate::audit::{Beside, Told, audit_over, recalled};
use crate::host::{input, write_new};
use crate::model::bounds;
use crate::model::report::Report;
use crate::remedy::Plan;
use crate::remedy::target::{self, Order, Rendered, Target};
use crate::report;
use crate::rules::RuleSet;

pub(super) fn run(args: &FixArgs) -> Result<Exit> {
    let rules = settings::rules(&args.source.rules)?;
    let (mut report, host) = match &args.from {
        None => {
            let host = settings::audited(&args.source, None)?;
            let workload = settings::workload(&args.load, &rules)?;
            let (peers, note) = probe::ask_for(workload.role, &args.source.peer)?;
            note.iter().for_each(|note| complain(&report::sanitized(note)));
            let service = settings::service(&args.unit, host.as_ref());
            let beside = Beside { sampling: None, peers: peers.as_ref(), service: service.as_ref(), unnamed: false };
            (audit_over(host.as_ref(), &rules, &workload, beside, Told::Wrong)?, Some(host))
        }
        Some(path) => (recorded(path, &rules).with_context(|| format!("--from {}", path.display()))?, None),
    };
    report.waive(&args.source.waive);
    let newer = args.kubernetes_version.and_then(target::newer);
    newer.iter().for_each(|note| complain(note));
    report.notes.extend(newer);
    let plan = Plan::of(&report, |id| rules.get(id));
    for note in report.notes.iter().filter(|note| note.starts_with("The waiver of ")) {
        complain(&report::sanitized(note));
    }
    for unit in settings::units_that_are_not_here(&args.unit, host.as_deref()) {
        complain(&report::sanitized(&format!(
            "{unit}: there is no such unit here; its drop-in is for a machine that has it"
        )));
    }
    let options = settings::options(args, host.as_deref());
    let order = Order { plan: &plan, options: &options };
    let asked: Vec<&Target> = match args.to.as_slice() {
        [] => target::fitting(&plan, args.output.is_some()),
        names => names.iter().filter_map(|name| target::find(name)).collect(),
    };
    let render = |target: &&Target| -> Result<(&'static str, Rendered)> {
        let rendered = target::rendered(target, order).map_err(|what| anyhow!("--to {}: {what}", target.name))?;
        Ok((target.name, rendered))
    };
    let rendered: Vec<(&str, Rendered)> = asked.iter().map(render).collect::<Result<_>>()?;
    match (&args.output, rendered.as_slice()) {
        (Some(_), all) if !args.to.is_empty() && plan.urgent > 0 && all.iter().all(|(_, one)| one.files.is_empty()) => {
            let told: Vec<String> = all.iter().flat_map(|(name, one)| told_of_nothing(name, one)).collect();
            bail!("{}", told.join("\n"));
        }
        (Some(folder), _) => {
            let files = target::folder(order, &rendered);
            write_new(folder, &files).with_context(|| format!("--output {}", folder.display()))?;
            let (count, folder) = (files.len(), folder.display());
            complain(&report::sanitized(&format!(
                "{count} {} written; read {folder}/README.md",
                if count == 1 { "file" } else { "files" }
            )));
        }
        (None, [(name, one)]) => single(name, one, &plan)?,
        (None, _) => bail!("several targets need --output DIR, which takes their files"),
    }
    Ok(Exit::Done)
}

/// One target goes to standard output. What is not in it is told beside it.
fn single(name: &str, rendered: &Rendered, plan: &Plan) -> Result<()> {
    match rendered.files.len() {
        0 if plan.urgent > 0 => bail!("{}", told_of_nothing(name, rendered).join("\n")),
        0 => complain("Nothing to fix: no rule warns or fails."),
        count => {
            print(target::joined(rendered).as_bytes()).context("cannot write the fix")?;
            if count > 1 {
                complain(&format!("{count} files, each under its name: --output DIR writes them"));
            }
        }
    }
    left_out(rendered).iter().for_each(|line| complain(&report::sanitized(line)));
    Ok(())
}

/// Each on a line of its own, which a terminal gets wrapped.
fn left_out(rendered: &Rendered) -> Vec<String> {
    let stderr = Terminal::stderr();
    let width = stderr.columns.filter(|_| stderr.interactive).map_or(usize::MAX, usize::from);
    let line = |(what, why): &(String, String)| report::hanging("left out: ", &format!("{what}: {why}"), width);
    rendered.left_out.iter().map(line).collect()
}

/// What is said where a target can write nothing of a plan.
fn told_of_nothing(name: &str, rendered: &Rendered) -> Vec<String> {
    [vec![format!("--to {name}: nothing of this plan can be written in that form")], left_out(rendered)].concat()
}

/// A report that was recorded, with its changes worked out anew.
fn recorded(path: &Path, rules: &RuleSet) -> Result<Report> {
    let bytes = input::read(path, bounds::REPORT.most).context("cannot read it")?;
    Ok(recalled(&report::recorded(&bytes)?, rules)?)
}
