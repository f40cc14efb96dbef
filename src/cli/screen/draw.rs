//! The picture of a state. Pure: the same state and size give the same cells.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::rows::Row;
use super::state::{Pane, View, name};
use super::words::{Signs, rate, safe, short, time, width};
use crate::model::fact::Value;
use crate::model::facts::{grouped, humane};
use crate::model::watch::State;
use crate::model::window::seconds;

/// Below this there is no room for a row.
const SMALLEST: (u16, u16) = (24, 5);
/// Lines above the rows.
const TOP: u16 = 3;

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, view: &View<'_>) {
    let area = frame.area();
    let mut sheet = Sheet { buffer: frame.buffer_mut(), columns: area.width, signs: view.head.signs };
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        sheet.line(0, &format!("{}x{} is too small: {}x{}", area.width, area.height, SMALLEST.0, SMALLEST.1), plain());
        return;
    }
    let last = area.height - 1;
    header(&mut sheet, view);
    let room = last - TOP;
    match &view.pane {
        Some(pane) => text(&mut sheet, pane, room),
        None => rows(&mut sheet, view, room),
    }
    sheet.line(last, &footer(view, area.width), bold());
}

fn plain() -> Style {
    Style::new()
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The cells, by whole lines and pieces of lines.
struct Sheet<'a> {
    buffer: &'a mut Buffer,
    columns: u16,
    signs: Signs,
}

impl Sheet<'_> {
    /// A line from its beginning, cut where the terminal ends.
    fn line(&mut self, y: u16, text: &str, style: Style) {
        self.at(0, y, text, style);
    }

    /// A piece of a line.
    fn at(&mut self, x: u16, y: u16, text: &str, style: Style) {
        let room = usize::from(self.columns.saturating_sub(x));
        self.buffer.set_stringn(x, y, text, room, style);
    }

    /// Two texts at both ends of a line; where they do not fit, the left one gives way.
    fn ends(&mut self, y: u16, left: &str, right: &str, style: Style) {
        let columns = usize::from(self.columns);
        let room = columns.saturating_sub(width(right) + 2);
        let left = self.signs.fit(left, room);
        self.line(y, &left, style);
        let x = columns.saturating_sub(width(right));
        self.at(u16::try_from(x).unwrap_or(0), y, right, style);
    }
}

fn header(sheet: &mut Sheet<'_>, view: &View<'_>) {
    let head = &view.head;
    let picture = &view.picture;
    let wide = sheet.columns >= 60;
    let (title, declared) = if wide { ("tunecheck watch  ", "workload ") } else { ("", "") };
    sheet.ends(0, &format!("{title}{}", safe(&head.place)), &format!("at {}", time(picture.at)), bold());
    let right = if view.paused {
        let since = view.newer.as_ref().map_or(0, |newer| newer.readings.saturating_sub(picture.readings));
        format!("HELD, {} newer", grouped(since.into()))
    } else if !wide {
        format!("every {}", seconds(head.interval))
    } else {
        format!("every {}, reading {}", seconds(head.interval), grouped(picture.readings.into()))
    };
    sheet.ends(1, &format!("{declared}{}", safe(&head.workload)), &right, plain());
}

fn footer(view: &View<'_>, columns: u16) -> String {
    let wide = columns >= 76;
    match (&view.pane, view.paused, wide) {
        (Some(_), _, true) => "Esc back   up/down PgUp/PgDn scroll   Space hold   Ctrl-C quit".to_owned(),
        (Some(_), ..) => "Esc back  up/down scroll".to_owned(),
        (None, true, true) => "HELD: readings go on, the picture stands   Space go on  s sort  q quit".to_owned(),
        (None, true, false) => "HELD, readings go on  Space go on  q quit".to_owned(),
        (None, false, true) => {
            format!("q quit  Space hold  s sort: {}  up/down select  Enter explain  ? help", view.sort.word())
        }
        (None, false, false) => format!("q quit ? help s {} Enter explain", view.sort.word()),
    }
}

fn text(sheet: &mut Sheet<'_>, pane: &Pane, room: u16) {
    let rows = usize::from(room);
    let end = (pane.scroll + rows).min(pane.lines.len());
    let place = format!("{}-{} of {}", (pane.scroll + 1).min(end), end, pane.lines.len());
    sheet.ends(2, &safe(&pane.title), &place, head_style());
    for (y, line) in (TOP..TOP + room).zip(pane.lines.iter().skip(pane.scroll)) {
        sheet.at(1, y, line, plain());
    }
}

fn head_style() -> Style {
    Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
}

/// Columns of each part of a row; 0 where there is no room for it.
#[derive(Clone, Copy, Debug, Default)]
struct Layout {
    hit: usize,
    name: usize,
    figures: usize,
    bar: usize,
    rate: usize,
    course: usize,
}

impl Layout {
    /// Marker, state and share.
    const FIXED: usize = 1 + 4 + 1 + 6;

    fn of(columns: u16, rows: &[Row]) -> Self {
        let columns = usize::from(columns);
        let hit = if rows.iter().any(|row| row.hit.is_some()) { 7 } else { 0 };
        let mut layout = match columns {
            0..56 => Self::default(),
            56..76 => Self { bar: 6, rate: 7, ..Self::default() },
            76..110 => Self { figures: 11, bar: 6, rate: 7, course: 9, ..Self::default() },
            110..160 => Self { figures: 22, bar: 12, rate: 7, course: 25, ..Self::default() },
            _ => Self { figures: 26, bar: 20, rate: 7, course: 61, ..Self::default() },
        };
        layout.hit = hit;
        let taken = Self::FIXED + hit + layout.figures + layout.bar + layout.rate + layout.course + 1;
        layout.name = columns.saturating_sub(taken);
        layout
    }
}

fn rows(sheet: &mut Sheet<'_>, view: &View<'_>, room: u16) {
    let all = &view.picture.rows;
    let layout = Layout::of(sheet.columns, all);
    let selected = view.selected();
    let room_for = usize::from(room);
    let first = (selected + 1).saturating_sub(room_for);
    head(sheet, layout, all.len(), first, room_for);
    if all.is_empty() {
        sheet.line(TOP, " no limit of this workload applies here", plain());
    }
    for (y, (index, row)) in (TOP..TOP + room).zip(all.iter().enumerate().skip(first)) {
        line(sheet, y, layout, row, index == selected, view.head.colour);
    }
}

fn head(sheet: &mut Sheet<'_>, layout: Layout, count: usize, first: usize, room: usize) {
    let Layout { hit, name, figures, bar, rate, course } = layout;
    let part = |word: &'static str, columns: usize| if columns > 0 { word } else { "" };
    let limit = match count > room {
        true => format!("limit {}-{} of {count}", first + 1, (first + room).min(count)),
        false => "limit".to_owned(),
    };
    let limit = sheet.signs.fit(&limit, name);
    let (when, of, speed, last) =
        (part("hit at", hit), part("used/limit", figures), part("rate", rate), part("course", course));
    let text = format!(
        " {:<4}{when:>hit$} {limit:<name$}{of:>figures$}{:>bar$}{:>6}{speed:>rate$}{last:>course$}",
        "", "", "use"
    );
    let columns = usize::from(sheet.columns);
    sheet.line(2, &format!("{text:<columns$}"), head_style());
}

fn line(sheet: &mut Sheet<'_>, y: u16, layout: Layout, row: &Row, selected: bool, colour: bool) {
    let base = if selected { Style::new().add_modifier(Modifier::REVERSED) } else { plain() };
    if selected {
        let columns = usize::from(sheet.columns);
        sheet.line(y, &format!("{:<columns$}", ">"), base);
    }
    let mut x = 1;
    let mut put = |sheet: &mut Sheet<'_>, text: &str, columns: usize, style: Style| {
        let columns = u16::try_from(columns).unwrap_or(u16::MAX);
        let start: u16 = x;
        x = x.saturating_add(columns);
        if columns > 0 {
            sheet.at(start, y, text, style);
        }
    };
    let right = |text: &str, columns: usize| format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))));
    let Layout { hit, name: named, figures, bar, rate: speed, course } = layout;
    put(sheet, word(row), 4, if colour { base.patch(tint(row)) } else { base });
    let when = row.hit.map(time).unwrap_or_default();
    put(sheet, &right(&when, hit), hit, base);
    put(sheet, "", 1, base);
    let signs = sheet.signs;
    put(sheet, &signs.fit(&name(row), named), named, base);
    if let Some(gap) = row.gap.as_ref().filter(|_| row.state == State::Unknown) {
        let room = figures + bar + 6 + speed + course;
        // A few letters of a sentence say nothing: Enter shows it.
        if room < 12 {
            return;
        }
        put(sheet, &format!(" {}", signs.fit(&safe(gap), room.saturating_sub(1))), room, base);
        return;
    }
    put(sheet, &right(&used(row, figures), figures), figures, base);
    let drawn = row.share.filter(|_| bar > 0).map(|share| signs.bar(share, bar - 1));
    put(sheet, &right(&drawn.unwrap_or_default(), bar), bar, if colour { base.patch(tint(row)) } else { base });
    let rises = row.rate.map(rate).unwrap_or_default();
    let share = match row.share {
        Some(share) => format!("{}%", share.clamp(0, 9999)),
        // Six columns hold a rate too.
        None if speed == 0 => rises.clone(),
        None => String::new(),
    };
    put(sheet, &right(&share, 6), 6, base);
    put(sheet, &right(&rises, speed), speed, base);
    let top = if row.share.is_some() { 100 } else { 1 };
    let cells = course.saturating_sub(1);
    let drawn = if cells > 0 && !row.gone { signs.course(&row.course, top, cells) } else { String::new() };
    put(sheet, &right(&drawn, course), course, base);
}

/// The word for what a limit is at.
fn word(row: &Row) -> &'static str {
    match row.state {
        _ if row.gone => "gone",
        State::Hit => "HIT",
        State::Short => "short",
        State::Near => "near",
        State::Calm => "ok",
        State::Unknown => "?",
    }
}

fn tint(row: &Row) -> Style {
    match row.state {
        _ if row.gone => plain(),
        State::Hit => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        State::Short | State::Near => Style::new().fg(Color::Yellow),
        State::Calm => Style::new().fg(Color::Green),
        State::Unknown => Style::new().fg(Color::Cyan),
    }
}

/// Use and limit, in full where there is room.
fn used(row: &Row, columns: usize) -> String {
    let brief = |number: i128| if number == i128::MAX { "inf".to_owned() } else { short(number) };
    let full = |number: i128| match number {
        i128::MAX => "unlimited".to_owned(),
        number => humane(&Value::Number(number), row.unit),
    };
    let both = |shown: &dyn Fn(i128) -> String| match (row.used, row.of) {
        (Some(used), Some(of)) => format!("{}/{}", shown(used), shown(of)),
        (Some(used), None) => shown(used),
        _ => String::new(),
    };
    let text = both(&full);
    if width(&text) < columns { text } else { both(&brief) }
}
