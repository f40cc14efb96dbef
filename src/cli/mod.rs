//! The command line: what was typed, what was decided, one file per verb.

mod args;
mod confinement;
mod diff;
mod exit;
mod explain;
mod fix;
mod manifest;
mod plan;
mod probe;
mod rules;
mod screen;
mod settings;
mod terminal;
mod traffic;
mod values;
mod watch;

use std::ffi::OsString;
use std::mem::ManuallyDrop;

use anyhow::{Context, Result, anyhow, bail};
use clap::{CommandFactory, Parser};

pub use args::Cli;
pub use exit::Exit;
pub use explain::symptoms as explained;

use args::{AuditArgs, AuditOnly, Command, Format, HelpTopic};
use terminal::{Terminal, complain, print};

use crate::audit::{self, Beside, Told, audit_over, read, read_more};
use crate::host::{Live, READER, Recorder, WITNESS, be_witness, room, serve_reader, survey, write_snapshot};
use crate::model::report::Report;
use crate::model::workload::{Role, Workload};
use crate::report;
use crate::rules::RuleSet;

/// Runs tunecheck with these arguments, the first of which is its own name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    match room() {
        Ok(()) => told(args.into_iter().collect()),
        Err(none) => end(Err(none.into())),
    }
}

/// Not a part of [`run`]: its variables would take the room before anybody asked for it.
#[inline(never)]
fn told(args: Vec<OsString>) -> Exit {
    let args: Vec<OsString> = explain::spoken(args);
    if args.get(1).is_some_and(|word| word == WITNESS) {
        be_witness();
        return Exit::Done;
    }
    if args.get(1).is_some_and(|word| word == READER) {
        return end(serve_reader().map(|()| Exit::Done).map_err(Into::into));
    }
    if args.len() < 2 {
        let args = AuditArgs::default();
        confinement::enter_audit(&args);
        return end(audit_verb(&args));
    }
    if let Ok(only) = AuditOnly::try_parse_from(&args) {
        confinement::enter_audit(&only.audit);
        return end(audit_verb(&only.audit));
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            complain(&report::sanitized(error.render().to_string().trim_end()));
            return Exit::Failed;
        }
        // --help and --version.
        Err(error) => {
            return end(print(error.render().to_string().as_bytes()).map(|()| Exit::Done).map_err(Into::into));
        }
    };
    confinement::enter(&cli);
    end(match cli.command {
        None => audit_verb(&cli.audit),
        Some(Command::Audit(args)) => audit_verb(&args),
        Some(Command::Fix(args)) => fix::run(&args),
        Some(Command::Watch(args)) => watch::run(&args, cli.audit.verbose),
        Some(Command::Diff(args)) => diff::run(&args),
        Some(Command::Manifest(args)) => manifest::run(&args),
        Some(Command::Plan(args)) => plan::run(&args),
        Some(Command::Probe { command }) => probe::run(&command),
        Some(Command::Explain { words, rules }) => explain::run(&words, &rules),
        Some(Command::Snapshot { dir, rules, pid }) => snapshot_verb(&dir, &rules, pid.is_some()),
        Some(Command::Rules { command }) => rules::run(command),
        Some(Command::Help { topic }) => help_verb(topic),
        Some(Command::Completions { shell }) => completions_verb(shell),
        Some(Command::Man { command }) => man_verb(&command),
    })
}

fn end(result: Result<Exit>) -> Exit {
    result.unwrap_or_else(|error| {
        complain(&report::sanitized(&format!("tunecheck: {error:#}")));
        Exit::Failed
    })
}

fn audit_verb(args: &AuditArgs) -> Result<Exit> {
    // The process ends after this: what an audit allocated need not be given back piece by piece.
    let rules = ManuallyDrop::new(settings::rules(&args.source.rules)?);
    let workload = settings::workload(&args.load, &rules)?;
    let told = if args.verbose { Told::Everything } else { Told::Wrong };
    if args.targets.all {
        return fleet(args, &rules, &workload, told);
    }
    let host = settings::audited(&args.source, args.targets.unit.as_deref())?;
    let (peers, of_peer) = probe::ask_for(workload.role, &args.source.peer)?;
    let peers = ManuallyDrop::new(peers);
    let beside =
        Beside { sampling: settings::sampling(&args.sample), peers: peers.as_ref(), service: None, unnamed: false };
    let mut report = ManuallyDrop::new(audit_over(host.as_ref(), &rules, &workload, beside, told)?);
    if host.is_gone() {
        bail!("{} ended while it was read: what was missing then is no answer", host.source());
    }
    report.notes.extend(of_peer);
    report.waive(&args.source.waive);
    let terminal = Terminal::stdout();
    let text = match args.format {
        Format::Table => report::table(&report, settings::style(args, terminal)),
        Format::Json => report::json(&report, terminal.interactive, args.only_failed)?,
    };
    print(text.as_bytes()).context("cannot write the report")?;
    Ok(gated(std::iter::once(&*report), args))
}

/// The machine and everything on it.
fn fleet(args: &AuditArgs, rules: &RuleSet, workload: &Workload, told: Told) -> Result<Exit> {
    let survey = survey(args.source.name.as_deref()).context("/proc cannot be listed")?;
    if let Some(name) = args.source.name.as_deref().filter(|_| survey.subjects.is_empty() && survey.left_out == 0) {
        bail!("nothing on this machine is called {name}");
    }
    let mut fleet = ManuallyDrop::new(audit::fleet(&Live, &survey, rules, workload, told)?);
    fleet.waive(&args.source.waive);
    let terminal = Terminal::stdout();
    let text = match args.format {
        Format::Table => report::fleet(&fleet, settings::style(args, terminal)),
        Format::Json => report::fleet_json(&fleet, terminal.interactive, args.only_failed)?,
    };
    print(text.as_bytes()).context("cannot write the report")?;
    let reports: Vec<&Report> = fleet.reports().collect();
    Ok(gated(reports.into_iter(), args))
}

/// How an audit ends, after the last line about it.
fn gated<'a>(reports: impl Iterator<Item = &'a Report> + Clone, args: &AuditArgs) -> Exit {
    let (exit, unknown) = exit::gate(reports, args.fail_on);
    unknown.iter().for_each(|told| complain(told));
    exit
}

fn snapshot_verb(dir: &std::path::Path, paths: &[std::path::PathBuf], itself: bool) -> Result<Exit> {
    let rules = settings::rules(paths)?;
    let source = args::SourceArgs { pid: itself.then_some(values::Pid::Own), ..Default::default() };
    // What an audit here would read.
    let host = settings::audited(&source, None)?;
    let notes = host.notes();
    let recorder = Recorder::new(host.as_ref());
    // Everything that any role and any outcome could want, so that every replay finds it.
    let mut all = read(&recorder, rules.iter(), &rules.workload(Role::Server));
    read_more(&recorder, rules.iter(), &mut all);
    let count = write_snapshot(recorder, dir)?;
    notes.iter().for_each(|note| complain(&report::sanitized(note)));
    complain(&format!("{count} answers recorded in {0}; replay: tunecheck --snapshot {0}", dir.display()));
    Ok(Exit::Done)
}

fn completions_verb(shell: clap_complete::Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tunecheck", &mut script);
    print(&script)?;
    Ok(Exit::Done)
}

/// The command of these words.
fn command_of(words: &[String]) -> Result<clap::Command> {
    let mut main = Cli::command();
    main.build();
    let words = || words.iter().flat_map(|words| words.split_whitespace());
    let found = words().try_fold(&main, below);
    found.cloned().ok_or_else(|| {
        anyhow!("there is no command {} (tunecheck help lists them)", words().collect::<Vec<_>>().join(" "))
    })
}

/// What `--help` behind these words prints.
fn help_of(words: &[String]) -> Result<String> {
    command_of(words)?;
    let asked = words.iter().flat_map(|words| words.split_whitespace());
    let asked = std::iter::once("tunecheck").chain(asked).chain(["--help"]);
    match Cli::try_parse_from(asked) {
        Err(help) if !help.use_stderr() => Ok(help.render().to_string()),
        _ => bail!("there is no help of {}", words.join(" ")),
    }
}

fn help_verb(topic: Option<HelpTopic>) -> Result<Exit> {
    let text = match topic {
        Some(HelpTopic::Limits) => report::limits(settings::width(Terminal::stdout()).min(explain::WIDEST).into()),
        Some(HelpTopic::Command(words)) => help_of(&words)?,
        None => help_of(&[])?,
    };
    print(text.as_bytes())?;
    Ok(Exit::Done)
}

fn man_verb(command: &[String]) -> Result<Exit> {
    let page = command_of(command)?;
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)?;
    Ok(Exit::Done)
}

/// The command below another by its name, or by the name of its page: `probe-h2`, `tunecheck-probe-h2`.
fn below<'a>(command: &'a clap::Command, word: &str) -> Option<&'a clap::Command> {
    let of_page = || {
        let (first, rest) = word.split_once('-')?;
        let next = if first == command.get_name() { command } else { command.find_subcommand(first)? };
        below(next, rest)
    };
    command.find_subcommand(word).or_else(of_page)
}
