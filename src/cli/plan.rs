//! `tunecheck plan`: what a load needs of each limit, and what a machine carries of it.

use anyhow::{Context, Result, bail};

use super::args::{PlanArgs, PlanFormat};
use super::exit::Exit;
use super::terminal::{Terminal, print};
use super::{settings, traffic};
use crate::audit::{may_apply, read};
use crate::capacity;
use crate::facts;
use crate::model::sizing::{Capacity, Sizing};
use crate::model::traffic::Traffic;
use crate::report;
use crate::rules::RuleSet;

pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let rules = settings::rules(&args.source.rules)?;
    if !args.solve && (settings::is_named(&args.source) || args.unit.is_some()) {
        bail!("to hold the load against a machine, add --solve; without it nothing is read");
    }
    let traffic = traffic::traffic(&args.traffic, &rules)?;
    let capacity = if args.solve { Some(solve(args, &rules, &traffic)?) } else { None };
    let sizing = Sizing { needs: capacity::needs(&traffic), settings: capacity::settings(&traffic), traffic, capacity };
    let terminal = Terminal::stdout();
    let text = match args.format {
        PlanFormat::Table => report::plan(&sizing, settings::plain_style(args.color, terminal)),
        PlanFormat::Html => report::plan_html(&sizing),
        PlanFormat::Json => report::plan_json(&sizing)?,
        PlanFormat::Yaml => report::plan_yaml(&sizing)?,
    };
    print(text.as_bytes()).context("cannot write the plan")?;
    Ok(Exit::Done)
}

/// What the figures stand for where it was not said what to look at.
fn caveats(traffic: &Traffic, chosen: bool) -> impl Iterator<Item = String> {
    let own = "The limit on open files is the one that tunecheck was started with: --name, --unit or --pid look at the service.";
    let any = "No service port is declared (--port): the accept queue is the longest that a listener gets here.";
    let listens = traffic.pod().incoming > 0 && traffic.ports.is_empty();
    [(!chosen).then_some(own), listens.then_some(any)].into_iter().flatten().map(str::to_owned)
}

fn solve(args: &PlanArgs, rules: &RuleSet, traffic: &Traffic) -> Result<Capacity> {
    let (host, note) = settings::audited(&args.source, args.unit.as_deref())?;
    let workload = traffic.workload();
    let mut declared = facts::looking_for(0, host.process().is_some(), None);
    facts::declare(&mut declared, &workload);
    let asked = capacity::rules().filter_map(|id| rules.get(id));
    let asked = asked.filter(|rule| may_apply(rule, workload.role, &declared));
    let read = read(host.as_ref(), asked, &workload);
    if host.is_gone() {
        bail!("{} ended while it was read: what was missing then is no answer", host.source());
    }
    let capacity::Solved { carried, unlimited, unknown, steps } = capacity::solve(traffic, &read.facts);
    Ok(Capacity {
        node: read.facts.text("kernel.node").map(str::to_owned),
        source: host.source(),
        notes: host.notes().into_iter().chain(note).chain(caveats(traffic, host.process().is_some())).collect(),
        carried,
        unlimited,
        unknown,
        steps,
    })
}
