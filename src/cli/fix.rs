//! `tunecheck fix`: the plan, in the form that was asked for.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::args::FixArgs;
use super::exit::Exit;
use super::settings;
use super::terminal::{complain, print};
use crate::audit::audit;
use crate::facts;
use crate::host::{input, write_new};
use crate::model::fact::Value;
use crate::model::facts::Facts;
use crate::model::finding::Outcome;
use crate::remedy::target::{self, Order, Rendered, Target};
use crate::remedy::{Part, Plan, Situation, recall};
use crate::report;
use crate::rules::RuleSet;

/// Largest report that is read back.
const LARGEST_REPORT: u64 = 64 << 20;

pub(super) fn run(args: &FixArgs) -> Result<Exit> {
    let rules = settings::rules(&args.source.rules)?;
    let plan = match &args.from {
        Some(path) => recorded(path, &args.source.waive, &rules)?,
        None => audited(args, &rules)?,
    };
    let options = settings::options(args, plan.place.unit.as_deref());
    let order = Order { plan: &plan, options: &options };
    let asked: Vec<&Target> = match args.to.as_slice() {
        [] => target::fitting(&plan, args.output.is_some()),
        names => names.iter().filter_map(|name| target::find(name)).collect(),
    };
    let render = |target: &&Target| -> Result<(&'static str, Rendered)> {
        let rendered = (target.render)(order).map_err(|what| anyhow!("--to {}: {what}", target.name))?;
        Ok((target.name, rendered))
    };
    let rendered: Vec<(&str, Rendered)> = asked.iter().map(render).collect::<Result<_>>()?;
    match (&args.output, rendered.as_slice()) {
        (Some(folder), _) => {
            let files = target::folder(order, &rendered);
            write_new(folder, &files).with_context(|| format!("--output {}", folder.display()))?;
            complain(&report::sanitized(&format!(
                "{} files written; read {}/README.md",
                files.len(),
                folder.display()
            )));
        }
        (None, [(_, one)]) => {
            print(target::joined(one).as_bytes()).context("cannot write the fix")?;
            for (what, why) in &one.left_out {
                complain(&report::sanitized(&format!("left out: {what}: {why}")));
            }
        }
        (None, _) => bail!("several targets need --output DIR, which takes their files"),
    }
    Ok(Exit::Done)
}

/// The plan for what is wrong here, or in what stands for a machine.
fn audited(args: &FixArgs, rules: &RuleSet) -> Result<Plan> {
    let workload = settings::workload(&args.load, rules)?;
    let host = settings::host(&args.source)?;
    let mut report = audit(host.as_ref(), rules, &workload)?;
    report.waive(&args.source.waive);
    let urgent = report.findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Warn | Outcome::Fail));
    let parts = urgent.filter_map(|finding| {
        let (actions, owner) = (finding.fix.clone(), finding.owner.clone());
        let need = finding.want.warn_below.or(finding.want.fail_below);
        Some(Part { rule: rules.get(finding.rule)?, actions, owner, need })
    });
    Ok(Plan::of(report.place.clone(), report.node.clone(), report.count(Outcome::Unknown), parts))
}

/// The plan for a recorded report: its changes, held against the rules that it names.
fn recorded(path: &Path, waived: &[String], rules: &RuleSet) -> Result<Plan> {
    let shown = path.display();
    let bytes = input::read(path, LARGEST_REPORT).with_context(|| format!("cannot read --from {shown}"))?;
    let report = report::recorded(&bytes).with_context(|| format!("--from {shown}"))?;
    let mut facts = Facts::default();
    for (name, number) in [("cpu.online", report.cpus), ("memory.total", report.memory)] {
        if let Some(number) = number {
            facts.put(name, Ok(Value::Number(number)), "report");
        }
    }
    let situation = Situation { facts: &facts, place: &report.place, catalogue: facts::catalogue() };
    let mut parts = Vec::new();
    for finding in report.findings.into_iter().filter(|finding| !waived.contains(&finding.rule)) {
        let rule = rules.get(&finding.rule).ok_or_else(|| {
            anyhow!(
                "--from {shown}: there is no rule {:?} here; a rule of your own comes in with --rules",
                finding.rule
            )
        })?;
        let mut actions = Vec::new();
        for edit in finding.fix {
            actions.extend(recall(rule, edit, situation).with_context(|| format!("--from {shown}"))?);
        }
        parts.push(Part { rule, actions, owner: finding.owner, need: finding.need });
    }
    Ok(Plan::of(report.place.clone(), report.node, report.unknown, parts.into_iter()))
}
