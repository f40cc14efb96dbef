//! `tunecheck watch`: the loop that reads, around a command or alone.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::args::{Color, WatchArgs, WatchFormat, WatchGate};
use super::exit::{Exit, after};
use super::terminal::{Terminal, print_beside, print_to_reader};
use super::{confinement, screen, settings};
use crate::host::{Child, Clock, End, Kept, Output, Signals};
use crate::model::finding::Outcome;
use crate::model::watch::{Tick, Trace, Verdict};
use crate::model::workload::Role;
use crate::report;
use crate::rules::RuleSet;
use crate::watch::{Course, Ended, Watcher, verdict};

/// How long a signal, or the end of a command, may go unnoticed.
const NAP: Duration = Duration::from_millis(20);

pub(super) fn run(args: &WatchArgs, verbose: bool) -> Result<Exit> {
    let rules = settings::rules(&args.rules)?;
    // Whoever declares no side is told of both: a load test opens connections as well.
    let mut load = args.load.clone();
    load.workload.get_or_insert_with(|| Role::Gateway.word().to_owned());
    let workload = settings::workload(&load, &rules)?;
    let host = Kept::default();
    let terminal = Terminal::stdout();
    let format = match (args.format, args.command.is_empty()) {
        (WatchFormat::Auto, false) => WatchFormat::Table,
        (WatchFormat::Auto, true) if terminal.interactive && args.output.is_none() => WatchFormat::Screen,
        (WatchFormat::Auto, true) => WatchFormat::Ndjson,
        (WatchFormat::Screen, false) => {
            bail!("a screen would meet the output of the command: leave --format screen out")
        }
        (WatchFormat::Screen, true) if !terminal.interactive => {
            bail!("--format screen needs a terminal; here ndjson would do")
        }
        (WatchFormat::Screen, true) if args.output.is_some() => {
            bail!("--output takes what --format ndjson, table, json or markdown print")
        }
        (format, true) if format != WatchFormat::Screen && format != WatchFormat::Ndjson && args.duration.is_none() => {
            bail!("a verdict needs an end: --duration 1m, or -- COMMAND")
        }
        (format, _) => format,
    };
    let watcher = Watcher::new(&host, &rules, &workload);
    if format == WatchFormat::Screen {
        return on_screen(args, watcher, &rules, terminal);
    }
    let mut run = Run {
        watcher,
        course: Course::default(),
        clock: Clock::start(),
        sink: Sink::of(args, format)?,
        signals: Signals::caught().context("cannot catch signals")?,
        lines: format == WatchFormat::Ndjson,
        interval: args.interval.unwrap_or(Duration::from_millis(if args.command.is_empty() { 1000 } else { 200 })),
        ended_by: None,
        mute: None,
    };
    let ended = if args.command.is_empty() { run.alone(args.duration)? } else { run.around(args, verbose)? };
    let verdict = verdict(&run.course, &rules, ended);
    let text = told(&verdict, format, args, terminal)?;
    let told = run.sink.tell(&text).and_then(|()| run.sink.close());
    // What was measured is not lost with its place.
    if let (Err(_), Sink::File(_)) = (&told, &run.sink) {
        print_beside(text.as_bytes()).context("cannot write to standard error")?;
    }
    // What is said first is why readings before it are missing.
    run.mute.map_or(told, Err)?;
    Ok(run.ended_by.map_or_else(|| code(&verdict, args.fail_on), Exit::Signal))
}

/// The live screen, and after it, if a limit was hit, the verdict: the screen is gone then.
fn on_screen(args: &WatchArgs, watcher: Watcher<'_>, rules: &RuleSet, terminal: Terminal) -> Result<Exit> {
    let interval = args.interval.unwrap_or(Duration::from_secs(1));
    let seen = screen::run(watcher, rules, interval, args.duration, coloured(args, terminal))?;
    let verdict = verdict(&seen.course, rules, Ended::default());
    let told_of = !verdict.hit.is_empty() || !verdict.saturated.is_empty();
    if told_of && seen.end != screen::End::HungUp {
        print_to_reader(told(&verdict, WatchFormat::Table, args, terminal)?.as_bytes())?;
    }
    Ok(match seen.end {
        screen::End::Asked => code(&verdict, args.fail_on),
        screen::End::Signal(signal) => Exit::Signal(signal),
        screen::End::HungUp => Exit::Signal(Signal::SIGHUP as i32),
    })
}

fn coloured(args: &WatchArgs, to: Terminal) -> bool {
    match args.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => args.output.is_none() && to.interactive && !to.plain,
    }
}

/// One run, and what it needs at each reading.
struct Run<'a> {
    watcher: Watcher<'a>,
    course: Course,
    clock: Clock,
    sink: Sink,
    signals: Signals,
    lines: bool,
    interval: Duration,
    /// The signal that ended it, where no command was there to take it.
    ended_by: Option<i32>,
    /// Why nothing more can be told. A command goes on all the same.
    mute: Option<anyhow::Error>,
}

impl Run<'_> {
    fn alone(&mut self, duration: Option<Duration>) -> Result<Ended> {
        let mut due = Duration::ZERO;
        loop {
            self.read();
            due = (due + self.interval).max(self.clock.elapsed());
            let last = duration.is_some_and(|end| due > end);
            while !last && self.clock.elapsed() < due {
                if let Some(came) = self.signals.came().first() {
                    self.ended_by = Some(came.number);
                    return Ok(Ended::default());
                }
                self.clock.wait_until(due.min(self.clock.elapsed() + NAP));
            }
            if last || self.mute.is_some() || self.sink.is_closed() {
                return Ok(Ended::default());
            }
        }
    }

    /// A reading before the command, readings while it runs, and some while the load settles.
    fn around(&mut self, args: &WatchArgs, verbose: bool) -> Result<Ended> {
        self.read();
        let program = args.command.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let mut child = Child::start(&args.command).with_context(|| format!("cannot run {program}"))?;
        confinement::enter_watch(args, verbose);
        let mut due = self.clock.elapsed() + self.interval;
        let end = loop {
            child.pass_on(&self.signals.came());
            if let Some(end) = child.ended().context("cannot wait for the command")? {
                break end;
            }
            if self.clock.elapsed() >= due {
                self.read();
                due = (due + self.interval).max(self.clock.elapsed());
            }
            self.clock.wait_until(due.min(self.clock.elapsed() + NAP));
        };
        self.read();
        let settled = self.clock.elapsed() + args.settle;
        due = self.clock.elapsed() + self.interval;
        // A signal now asks for the verdict: there is no command any more to hand it on to.
        while self.clock.elapsed() < settled && self.signals.came().is_empty() {
            if self.clock.elapsed() >= due {
                self.read();
                due = (due + self.interval).max(self.clock.elapsed());
            }
            self.clock.wait_until(due.min(settled).min(self.clock.elapsed() + NAP));
        }
        self.read();
        let End { exit, signal } = end;
        Ok(Ended { command: Some(program), exit, signal })
    }

    fn read(&mut self) {
        let at = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let course = &self.course;
        let (tick, findings) = self.watcher.tick(at, |meter| !course.was_hit(meter));
        self.course.take(&tick, findings);
        if self.lines && self.mute.is_none() {
            self.mute = self.tell_tick(&tick).err();
        }
    }

    fn tell_tick(&mut self, tick: &Tick) -> Result<()> {
        let line = report::tick_json(tick)?;
        self.sink.tell(&line)
    }
}

/// Where the result goes.
enum Sink {
    Stdout { closed: bool },
    Stderr,
    File(Output),
}

impl Sink {
    fn of(args: &WatchArgs, format: WatchFormat) -> Result<Self> {
        Ok(match &args.output {
            Some(path) => {
                let mut file = Output::create(path).context("--output")?;
                // Readings are there to be followed; a verdict replaces another one when it is whole.
                if format == WatchFormat::Ndjson {
                    file.put().context("cannot write --output")?;
                }
                Self::File(file)
            }
            None if args.command.is_empty() => Self::Stdout { closed: false },
            None => Self::Stderr,
        })
    }

    fn tell(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Stdout { closed } => {
                *closed = !print_to_reader(text.as_bytes()).context("cannot write to standard output")?;
            }
            Self::Stderr => {
                print_beside(text.as_bytes()).context("cannot write to standard error")?;
            }
            Self::File(file) => file.write_all(text.as_bytes()).context("cannot write --output")?,
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        match self {
            Self::File(file) => file.put().context("cannot write --output"),
            _ => Ok(()),
        }
    }

    /// Whether nobody reads any more.
    fn is_closed(&self) -> bool {
        matches!(self, Self::Stdout { closed: true })
    }
}

fn told(verdict: &Verdict, format: WatchFormat, args: &WatchArgs, terminal: Terminal) -> Result<String> {
    Ok(match format {
        // Readings without a command have no verdict of their own.
        WatchFormat::Ndjson if args.command.is_empty() => String::new(),
        WatchFormat::Ndjson => report::verdict_json(verdict, false)?,
        WatchFormat::Json => report::verdict_json(verdict, true)?,
        WatchFormat::Markdown => report::verdict_markdown(verdict),
        _ => {
            let to = if args.command.is_empty() { terminal } else { Terminal::stderr() };
            report::verdict(verdict, settings::width(to), coloured(args, to))
        }
    })
}

fn code(verdict: &Verdict, gate: WatchGate) -> Exit {
    // Some limits refuse nobody: at that of TIME_WAIT a connection only skips it.
    let fails = |trace: &Trace| trace.finding.as_ref().is_none_or(|finding| finding.outcome == Outcome::Fail);
    // What was used up before it began is used up.
    let mut reached = verdict.hit.iter().chain(&verdict.standing);
    let trips = match gate {
        WatchGate::Never => false,
        WatchGate::Fail => reached.any(fails),
        WatchGate::Warn => reached.next().is_some(),
        WatchGate::Unknown => reached.next().is_some() || !verdict.unknown.is_empty(),
    };
    match (verdict.exit, verdict.signal) {
        (Some(0) | None, None) if trips => Exit::Tripped,
        (Some(0) | None, None) => Exit::Done,
        (Some(code), _) => Exit::Command(u8::try_from(code).unwrap_or(u8::MAX)),
        (None, Some(signal)) => Exit::Command(after(signal)),
    }
}
