//! The live screen of `tunecheck watch`: the loop that reads, takes keys and draws.
//!
//! [`rows`] makes a row of each limit, [`state`] holds what is shown and what keys make of it, [`draw`] turns that into
//! cells, [`tty`] takes the terminal over and gives it back. Only this loop and [`tty`] touch anything.

mod draw;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod tty;
mod words;

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, raise};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};

use crate::host::{Clock, Signals};
use crate::model::facts::grouped;
use crate::model::place::{Netns, Place};
use crate::model::workload::Workload;
use crate::rules::RuleSet;
use crate::watch::{Course, Watcher};
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
    /// The signal that ended it.
    pub(super) signal: Option<i32>,
    /// Whether nobody is there any more to read on.
    pub(super) closed: bool,
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
    let signals = Signals::caught().context("cannot catch signals")?;
    tty::give_back_on_panic();
    let taken = Taken::over().context("cannot read keys from a terminal; --format ndjson needs none")?;
    let mut screen =
        Screen { watcher, view: View::new(head, rules), signals, clock: Clock::start(), size: tty::size() };
    let ended = screen.shown(interval, duration, taken);
    let (signal, closed) = match ended {
        Ok(signal) => (signal, tty::is_closed()),
        // What a terminal says that went away is no trouble of ours.
        Err(error) if tty::is_closed() || tty::says_closed(&error) => (None, true),
        Err(error) => return Err(error).context("the terminal"),
    };
    Ok(Seen { course: screen.view.into_course(), signal, closed })
}

struct Screen<'a> {
    watcher: Watcher<'a>,
    view: View<'a>,
    signals: Signals,
    clock: Clock,
    size: (u16, u16),
}

impl Screen<'_> {
    /// The loop. Gives the signal that ended it.
    fn shown(
        &mut self,
        interval: Duration,
        duration: Option<Duration>,
        mut taken: Taken,
    ) -> std::io::Result<Option<i32>> {
        let mut terminal = cleared(self.size)?;
        let (mut due, mut drawn) = (Duration::ZERO, None::<Duration>);
        let mut stale = false;
        let end = duration.unwrap_or(Duration::MAX);
        loop {
            let now = self.clock.elapsed();
            if now >= due {
                self.read();
                due = (due + interval).max(self.clock.elapsed());
                stale |= !self.view.paused || self.view.newer.is_some();
            }
            let size = tty::size();
            if size != self.size {
                self.size = size;
                terminal = cleared(size)?;
                (stale, drawn) = (true, None);
            }
            if stale && drawn.is_none_or(|drawn| now >= drawn + NAP) && tty::takes_output() {
                self.view.resize(size.0, size.1);
                terminal.draw(|frame| draw::draw(frame, &self.view))?;
                (stale, drawn) = (false, Some(now));
            }
            if let Some(came) = self.signals.came().first() {
                return Ok(Some(came.number));
            }
            let now = self.clock.elapsed();
            if now >= end || tty::is_closed() {
                return Ok(None);
            }
            for key in tty::keys(due.min(end).saturating_sub(now).clamp(GLANCE, NAP))? {
                (stale, drawn) = (true, None);
                match self.view.press(key) {
                    Asked::Draw => {}
                    Asked::Quit => return Ok(None),
                    Asked::Suspend => {
                        drop(taken);
                        raise(Signal::SIGSTOP)?;
                        taken = Taken::over()?;
                        terminal = cleared(self.size)?;
                    }
                }
            }
        }
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
