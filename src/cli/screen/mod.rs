//! The live screen of `tunecheck watch`: the loop that reads, takes keys and draws.
//!
//! [`rows`] makes a row of each limit, [`state`] holds what is shown and what keys make of it, [`draw`] turns that into
//! cells, [`tty`] takes the terminal over and gives it back, [`job`] stops and goes on as a shell asks. Only this loop,
//! [`tty`] and [`job`] touch anything.

mod draw;
mod job;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod tty;
mod words;

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};

use crate::host::{Came, Clock, Signals};
use crate::model::facts::grouped;
use crate::model::place::{Netns, Place};
use crate::model::workload::Workload;
use crate::rules::RuleSet;
use crate::watch::{Course, Watcher};
use job::{Job, is_in_foreground};
use state::{Asked, Head, View};
use tty::{Out, Taken};
use words::Signs;

/// How long a signal may go unnoticed, and the least time between pictures that nobody asked for.
const NAP: Duration = Duration::from_millis(100);
/// The least time that is given to keys between readings.
const GLANCE: Duration = Duration::from_millis(1);

/// How a run on the screen ended, with what each limit did.
pub(super) struct Seen {
    pub(super) course: Course,
    pub(super) end: End,
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A key, or its duration.
    Asked,
    /// A signal.
    Signal(i32),
    /// Its terminal went away: nobody is there any more to read on.
    HungUp,
}

/// Shows limits until a key, a signal, the end of `duration` or of the terminal.
///
/// # Errors
/// Signals cannot be caught, or there is no terminal to read keys from.
pub(super) fn run(
    watcher: Watcher<'_>,
    rules: &RuleSet,
    interval: Duration,
    duration: Option<Duration>,
    colour: bool,
) -> Result<Seen> {
    let head = head(&watcher, interval, colour);
    let signals = Signals::caught_on_terminal().context("cannot catch signals")?;
    let job = Job::controlled().context("cannot catch signals")?;
    tty::give_back_on_panic();
    let mut screen = Screen { watcher, view: View::new(head, rules), signals, job, clock: Clock::start() };
    let end = match screen.shown(interval, duration.unwrap_or(Duration::MAX)) {
        Ok(end) => end,
        // What a terminal says that went away is no trouble of ours.
        Err(error) if tty::is_closed() || tty::says_closed(&error) => End::HungUp,
        Err(error) => return Err(error).context("the terminal cannot be used (--format ndjson needs none)"),
    };
    Ok(Seen { course: screen.view.into_course(), end })
}

struct Screen<'a> {
    watcher: Watcher<'a>,
    view: View<'a>,
    signals: Signals,
    job: Job,
    clock: Clock,
}

/// The terminal while it is ours.
struct Canvas {
    /// Dropped first: it shows the cursor then.
    cells: ratatui::Terminal<CrosstermBackend<Out>>,
    taken: Taken,
    size: (u16, u16),
    /// When it was drawn last; none if it is to be drawn at once.
    drawn: Option<Duration>,
}

impl Canvas {
    fn new() -> std::io::Result<Self> {
        let taken = Taken::over()?;
        let size = tty::size();
        Ok(Self { cells: cleared(size)?, taken, size, drawn: None })
    }

    /// After somebody else had the terminal, or it has another size.
    fn anew(&mut self) -> std::io::Result<()> {
        self.size = tty::size();
        self.cells = cleared(self.size)?;
        self.drawn = None;
        Ok(())
    }
}

impl Screen<'_> {
    /// The loop. In the background it reads on and leaves the terminal alone.
    fn shown(&mut self, interval: Duration, end: Duration) -> std::io::Result<End> {
        let mut due = Duration::ZERO;
        let mut canvas: Option<Canvas> = None;
        let mut stale = true;
        let mut away = false;
        loop {
            if self.clock.elapsed() >= due {
                self.read();
                due = (due + interval).max(self.clock.elapsed());
                stale |= !self.view.paused || self.view.newer.is_some();
            }
            if self.job.is_to_stop() {
                canvas = None;
                self.job.stop()?;
            }
            let came = self.signals.came();
            let continued = |came: &Came| came.number == Signal::SIGCONT as i32;
            if let Some(came) = came.iter().find(|came| !continued(came)) {
                return Ok(End::Signal(came.number));
            }
            let now = self.clock.elapsed();
            if tty::is_closed() {
                return Ok(End::HungUp);
            }
            if now >= end {
                return Ok(End::Asked);
            }
            if !is_in_foreground() {
                away = true;
                self.clock.wait_until(due.min(end).clamp(now + GLANCE, now + NAP));
                continue;
            }
            let on = match &mut canvas {
                None => canvas.insert(Canvas::new()?),
                Some(on) => {
                    if away || came.iter().any(continued) {
                        on.taken.again()?;
                        on.anew()?;
                    } else if on.size != tty::size() {
                        on.anew()?;
                    }
                    on
                }
            };
            away = false;
            stale |= on.drawn.is_none();
            if stale && on.drawn.is_none_or(|drawn| now >= drawn + NAP) && tty::takes_output() {
                self.view.resize(on.size.0, on.size.1);
                on.cells.draw(|frame| draw::draw(frame, &self.view))?;
                on.drawn = Some(now);
                stale = false;
            }
            match self.keys(due.min(end).saturating_sub(self.clock.elapsed()).clamp(GLANCE, NAP))? {
                None => {}
                Some(Asked::Draw) => on.drawn = None,
                Some(Asked::Quit) => return Ok(End::Asked),
                Some(Asked::Suspend) => {
                    canvas = None;
                    self.job.stop_all()?;
                }
            }
        }
    }

    /// What the keys that come ask for; none if none comes.
    fn keys(&mut self, longest: Duration) -> std::io::Result<Option<Asked>> {
        let keys = match tty::keys(longest) {
            // They are for the job that has the terminal now.
            Err(_) if !is_in_foreground() => return Ok(None),
            keys => keys?,
        };
        let mut asked = None;
        for key in keys {
            asked = Some(self.view.press(key));
            if asked != Some(Asked::Draw) {
                break;
            }
        }
        Ok(asked)
    }

    fn read(&mut self) {
        let at = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        let view = &self.view;
        let (tick, findings) = self.watcher.tick(at, |meter| !view.was_hit(meter));
        self.view.take(&tick, findings);
    }
}

/// A terminal with nothing on it. Its size is asked for here, because some know none; and it is cleared here, because the
/// library asks first where the cursor is, to which some never answer.
fn cleared((columns, rows): (u16, u16)) -> std::io::Result<ratatui::Terminal<CrosstermBackend<Out>>> {
    tty::clear()?;
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    ratatui::Terminal::with_options(CrosstermBackend::new(Out::default()), TerminalOptions { viewport })
}

fn head(watcher: &Watcher<'_>, interval: Duration, colour: bool) -> Head {
    let terminal = std::env::var("TERM").unwrap_or_default();
    Head {
        place: place(watcher.node(), watcher.place()),
        workload: workload(watcher.workload()),
        interval: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        colour,
        signs: Signs::of(&terminal),
    }
}

fn place(node: Option<&str>, place: &Place) -> String {
    let netns = match place.netns {
        Netns::Init => ", init network namespace",
        Netns::Child => ", a network namespace of its own",
        Netns::Unknown => "",
    };
    format!("{}  {}{netns}", node.unwrap_or("?"), place.words())
}

fn workload(load: &Workload) -> String {
    let number = |number: u64| grouped(number.into());
    let mut words =
        format!("{}  {} connections, burst {}", load.role.word(), number(load.connections), number(load.burst));
    if load.outgoing() > 0 {
        words += &format!(", {} destinations", number(load.destinations));
    }
    words
}
