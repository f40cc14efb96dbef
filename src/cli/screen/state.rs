//! What the screen shows, and what a key makes of it. Nothing here reads or draws.

use std::fmt::Write;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::rows::{Key, Past, Row, Sort};
use super::words::{Signs, safe, wrapped};
use crate::cli::settings;
use crate::model::finding::Finding;
use crate::model::watch::{Meter, Tick};
use crate::model::window::seconds;
use crate::report;
use crate::rules::{RuleSet, manual};
use crate::watch::Course;

/// What `?` shows.
const HELP: &str = "\
HIT   the limit refuses now, or a counter of refusals rises
near  close to it
ok    there is room
?     it could not be read
gone  it was hit in this run and is not there any more
The time beside it says when it was hit first in this run.

use      use as a share of the limit
rate     the counter of refusals that rises fastest, a second
course   the last readings, the newest at the right

up down j k PgUp PgDn Home End   select a row, scroll
Enter     what the row's limit means and what to change
q Esc     back; quits where there is nothing to go back to
s         sort by worst, name, rate
Space p   hold the picture; readings go on, and what is hit is kept
Ctrl-Z    suspend
Ctrl-C    quit
";

/// What a key asks the loop to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Draw,
    Quit,
    Suspend,
}

/// What does not change while the screen runs.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// Node and place.
    pub(super) place: String,
    /// The declared load.
    pub(super) workload: String,
    /// Time between readings, in milliseconds.
    pub(super) interval: u64,
    /// Whether to colour.
    pub(super) colour: bool,
    /// What the terminal can show.
    pub(super) signs: Signs,
}

/// The rows as they are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    /// When it was taken, in milliseconds.
    pub(super) at: u64,
    /// Readings up to it.
    pub(super) readings: u64,
    /// A row for each limit.
    pub(super) rows: Vec<Row>,
}

/// A text over the rows.
#[derive(Clone, Debug)]
pub(super) struct Pane {
    /// Its first line.
    pub(super) title: String,
    /// Its lines, wrapped.
    pub(super) lines: Vec<String>,
    /// Lines above the first that is shown.
    pub(super) scroll: usize,
    /// The row that it is about; none for help.
    about: Option<(&'static str, Key, Option<String>)>,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) head: Head,
    pub(super) picture: Picture,
    /// The newest rows, while the picture is held.
    pub(super) newer: Option<Picture>,
    pub(super) paused: bool,
    pub(super) sort: Sort,
    pub(super) pane: Option<Pane>,
    /// The row that was chosen; without one the first is, whatever comes to stand there.
    chosen: Option<Key>,
    course: Course,
    past: Past,
    rules: &'a RuleSet,
    columns: usize,
    page: usize,
}

impl<'a> View<'a> {
    pub(super) fn new(head: Head, rules: &'a RuleSet) -> Self {
        Self {
            head,
            picture: Picture::default(),
            newer: None,
            paused: false,
            sort: Sort::default(),
            pane: None,
            chosen: None,
            course: Course::default(),
            past: Past::default(),
            rules,
            columns: 80,
            page: 20,
        }
    }

    /// Whether a limit was hit in an earlier reading.
    pub(super) fn was_hit(&self, meter: &Meter) -> bool {
        self.course.was_hit(meter)
    }

    /// What each limit did.
    pub(super) fn into_course(self) -> Course {
        self.course
    }

    /// Takes a reading in.
    pub(super) fn take(&mut self, tick: &Tick, findings: Vec<Finding>) {
        self.course.take(tick, findings);
        let mut rows = self.past.rows(tick, &self.course);
        self.sort.apply(&mut rows);
        let picture = Picture { at: tick.at, readings: self.course.ticks(), rows };
        if self.paused {
            self.newer = Some(picture);
        } else {
            self.picture = picture;
        }
    }

    /// Takes the size of the terminal in.
    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        self.page = usize::from(rows).saturating_sub(4).max(1);
        if usize::from(columns) == self.columns {
            return;
        }
        self.columns = columns.into();
        if let Some(pane) = self.pane.take() {
            self.pane = Some(self.laid_out(pane));
        }
    }

    /// The index of the row that is chosen.
    pub(super) fn selected(&self) -> usize {
        let at = |key: &Key| self.picture.rows.iter().position(|row| row.key == *key);
        self.chosen.as_ref().and_then(at).unwrap_or(0)
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent) -> Asked {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (key.code, control) {
            (KeyCode::Char('c'), true) => return Asked::Quit,
            (KeyCode::Char('z'), true) => return Asked::Suspend,
            (_, true) => return Asked::Draw,
            (KeyCode::Char('q') | KeyCode::Esc, _) if self.pane.is_none() => return Asked::Quit,
            (KeyCode::Char('q') | KeyCode::Esc | KeyCode::Enter, _) if self.pane.is_some() => self.pane = None,
            (KeyCode::Char(' ' | 'p'), _) => self.pause(),
            (KeyCode::Char('s'), _) if self.pane.is_none() => self.sort_anew(),
            (KeyCode::Char('?' | 'h'), _) => self.help(),
            (KeyCode::Enter, _) => self.explain(),
            (KeyCode::Up | KeyCode::Char('k'), _) => self.step(|at, _| at.saturating_sub(1)),
            (KeyCode::Down | KeyCode::Char('j'), _) => self.step(|at, _| at.saturating_add(1)),
            (KeyCode::PageUp, _) => self.step(|at, page| at.saturating_sub(page)),
            (KeyCode::PageDown, _) => self.step(|at, page| at.saturating_add(page)),
            (KeyCode::Home | KeyCode::Char('g'), _) => self.step(|_, _| 0),
            (KeyCode::End | KeyCode::Char('G'), _) => self.step(|_, _| usize::MAX),
            _ => {}
        }
        Asked::Draw
    }

    fn pause(&mut self) {
        self.paused = !self.paused;
        if let Some(newer) = self.newer.take() {
            self.picture = newer;
            self.sort.apply(&mut self.picture.rows);
        }
    }

    fn sort_anew(&mut self) {
        self.sort = self.sort.next();
        self.sort.apply(&mut self.picture.rows);
    }

    fn step(&mut self, to: impl Fn(usize, usize) -> usize) {
        if let Some(pane) = &mut self.pane {
            let last = pane.lines.len().saturating_sub(self.page);
            pane.scroll = to(pane.scroll, self.page).min(last);
            return;
        }
        let last = self.picture.rows.len().saturating_sub(1);
        let at = to(self.selected(), self.page).min(last);
        self.chosen = if at == 0 { None } else { self.picture.rows.get(at).map(|row| row.key.clone()) };
    }

    fn help(&mut self) {
        let pane = Pane { title: "Help".to_owned(), lines: Vec::new(), scroll: 0, about: None };
        self.pane = Some(self.laid_out(pane));
    }

    fn explain(&mut self) {
        let Some(row) = self.picture.rows.get(self.selected()) else { return };
        let title = format!("{}  {}", row.rule, name(row));
        let about = Some((row.rule, row.key.clone(), row.gap.clone()));
        let pane = Pane { title, lines: Vec::new(), scroll: 0, about };
        self.pane = Some(self.laid_out(pane));
    }

    /// A pane with its text in the columns that there are.
    fn laid_out(&self, mut pane: Pane) -> Pane {
        let columns = self.columns.saturating_sub(2).max(10);
        pane.lines = match &pane.about {
            None => wrapped(HELP, columns, false),
            Some((rule, key, gap)) => {
                let mut lines = wrapped(&report::sanitized(&self.news(rule, key, gap.as_deref())), columns, false);
                if let (Some(rule), Some(doc)) = (self.rules.get(rule), self.rules.doc(rule)) {
                    let beside = report::Beside { manual: manual(), usual: &settings::usual(self.rules) };
                    let width = u16::try_from(columns).unwrap_or(u16::MAX).min(110);
                    lines.extend(wrapped(&report::explain(rule, doc, beside, width), columns, true));
                }
                lines
            }
        };
        pane.scroll = pane.scroll.min(pane.lines.len().saturating_sub(self.page));
        pane
    }

    /// What was seen of a limit in this run, before what its rule says at all times.
    fn news(&self, rule: &str, key: &Key, gap: Option<&str>) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        if let Some(gap) = gap {
            let _ = writeln!(out, "It could not be read: {}\n", safe(gap));
        }
        let same = |last: &Meter| last.rule == rule && last.subject == key.1;
        let Some(trace) = self.course.traces().find(|trace| same(&trace.last)) else { return out };
        if let Some(at) = trace.hit {
            let _ = writeln!(out, "Hit first {} after the start", seconds(at));
        }
        for rise in &trace.rises {
            let _ = writeln!(out, "  +{} {} in this run ({})", rise.by, rise.fact, rise.what);
        }
        if let Some(finding) = &trace.finding {
            let _ = writeln!(out, "{}", safe(&finding.says));
            for line in finding.fix.iter().flat_map(|action| &action.lines) {
                let _ = writeln!(out, "    {}", safe(line));
            }
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out
    }
}

/// A limit with its subject.
pub(super) fn name(row: &Row) -> String {
    match &row.key {
        (limit, Some(subject)) => format!("{limit} {}", safe(subject)),
        (limit, None) if row.of_all => format!("{limit} (all)"),
        (limit, None) => (*limit).to_owned(),
    }
}
