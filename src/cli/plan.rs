//! `tunecheck plan`: what a load needs of each limit, and what a machine carries of it.

use anyhow::{Context, Result, bail};

use super::args::{PlanArgs, PlanFormat, ProtocolWord, TrafficArgs};
use super::exit::Exit;
use super::terminal::{Terminal, complain, print};
use super::{probe, settings, traffic};
use crate::audit::{may_apply, read};
use crate::capacity;
use crate::facts;
use crate::model::facts::{Facts, grouped};
use crate::model::sizing::{Capacity, Sizing};
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::Role;
use crate::report;
use crate::rules::RuleSet;

pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let rules = settings::rules(&args.source.rules)?;
    if !args.solve && (settings::is_named(&args.source) || args.unit.is_some()) {
        bail!("to hold the load against a machine, add --solve; without it nothing is read");
    }
    let declared = traffic::traffic(&args.traffic, &rules)?;
    let traffic = match &args.source.peer.h2 {
        None => declared,
        Some(_) => traffic::traffic(&as_allowed(args, &declared)?, &rules)?,
    };
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

/// What was typed, with no more streams on a connection than the peer of `--h2` takes. If none were declared, the usual
/// number bounds it as well: what a peer allows may be more than anybody could declare.
fn as_allowed(args: &PlanArgs, declared: &Traffic) -> Result<TrafficArgs> {
    if declared.role == Role::Server {
        bail!("--h2 is the peer of connections that are opened here: say --role client or gateway");
    }
    if args.traffic.protocol.map(Protocol::from) == Some(Protocol::H1) || declared.short_lived {
        bail!("--h2 is for HTTP/2, and this traffic is HTTP/1.1: say --protocol h2");
    }
    let wanted = args.traffic.streams.or((declared.streams > 1).then_some(declared.streams));
    let Some(peers) = probe::ask(&args.source.peer)? else { return Ok(args.traffic.clone()) };
    let limit = probe::limit(&peers)?;
    let streams = wanted.unwrap_or(traffic::STREAMS).min(limit.unwrap_or(u64::MAX));
    let takes = match limit {
        None => "any number of requests".to_owned(),
        Some(limit) => format!("{} requests", grouped(limit.into())),
    };
    let planned = match wanted {
        Some(wanted) if wanted > streams => {
            format!("; {} are planned instead of {}", grouped(streams.into()), grouped(wanted.into()))
        }
        _ => format!("; {} are planned", grouped(streams.into())),
    };
    let silent = probe::silent(&peers);
    let told = format!("{} takes {takes} at a time on one connection{planned}{silent}", peers.origin);
    complain(&report::sanitized(&told));
    Ok(TrafficArgs { streams: Some(streams), protocol: Some(ProtocolWord::H2), ..args.traffic.clone() })
}

/// What the figures stand for where it was not said what to look at.
fn caveats(traffic: &Traffic, facts: &Facts, chosen: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(process) = facts.text("serving.process").filter(|process| !chosen && *process != "this process") {
        notes.push(format!(
            "The limit on open files is that of {process}: --name, --unit or --pid look at another one."
        ));
    }
    if traffic.pod().incoming > 0 && traffic.ports.is_empty() {
        notes.push(
            "No service port is declared (--port): the accept queue is the longest that a listener gets here."
                .to_owned(),
        );
    }
    if traffic.pod().incoming > 0 {
        notes.push(format!("A burst is taken to grow with the load: {} for the declared one.", traffic.burst));
    }
    if traffic.pods > 1 {
        notes.push(format!(
            "This is what all {} pods carry together, if each pod and node is like this one.",
            traffic.pods
        ));
    }
    notes
}

fn solve(args: &PlanArgs, rules: &RuleSet, traffic: &Traffic) -> Result<Capacity> {
    let host = settings::audited(&args.source, args.unit.as_deref())?;
    let workload = traffic.workload();
    let mut declared = facts::looking_for(0, host.process().is_some(), None);
    facts::declare(&mut declared, &workload);
    let asked = capacity::rules().filter_map(|id| rules.get(id));
    let asked = asked.filter(|rule| may_apply(rule, workload.role, &declared));
    let read = read(host.as_ref(), asked, &workload);
    if host.is_gone() {
        bail!("{} ended while it was read: what was missing then is no answer", host.source());
    }
    let found = capacity::solve(traffic, &read.facts);
    let caveats = caveats(traffic, &read.facts, host.process().is_some());
    let notes = host.notes().into_iter().chain(caveats).chain(found.notes).collect();
    Ok(Capacity { source: host.source(), notes, ..found })
}
