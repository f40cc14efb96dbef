//! The tables of the page that hold words alone.

use super::markup::Html;
use crate::model::sizing::{Carried, Need, Setting};
use crate::report::plan::words::{SETTINGS, needed};

/// A table of this class whose rows become blocks on a narrow screen, each cell with its title. The roles say what it is
/// where a browser forgets that once it is laid out as something else.
pub(super) fn table(html: &mut Html, class: &str, header: impl FnOnce(&mut Html), rows: impl FnOnce(&mut Html)) {
    html.element("table", &[("class", class), ("role", "table")], |html| {
        html.element("thead", &[("role", "rowgroup")], |html| html.element("tr", &[("role", "row")], header));
        html.element("tbody", &[("role", "rowgroup")], rows);
    });
}

/// The title of a column.
pub(super) fn column(html: &mut Html, class: &str, inside: impl FnOnce(&mut Html)) {
    html.element("th", &[("scope", "col"), ("role", "columnheader"), ("class", class)], inside);
}

/// The title of a row.
pub(super) fn row(html: &mut Html, inside: impl FnOnce(&mut Html)) {
    html.element("th", &[("scope", "row"), ("role", "rowheader")], inside);
}

/// A cell below the title of its column.
pub(super) fn cell(html: &mut Html, class: &str, title: &str, inside: impl FnOnce(&mut Html)) {
    html.element("td", &[("role", "cell"), ("class", class), ("data-title", title)], inside);
}

/// Whose limit it is, below its name.
pub(super) fn name(html: &mut Html, limit: &str, per: &str) {
    html.text(limit);
    html.words("small", &[], &format!("per {per}"));
}

/// What the traffic takes of each limit.
pub(super) fn needs(html: &mut Html, needs: &[Need]) {
    section(html, "What the load needs", |html| {
        let header = |html: &mut Html| {
            column(html, "", |html| html.text("limit"));
            column(html, "number", |html| html.text("need"));
            column(html, "", |html| html.text("because"));
        };
        table(html, "words", header, |html| {
            for (need, (much, why)) in needs.iter().filter_map(|need| Some((need, needed(need)?))) {
                html.element("tr", &[("role", "row")], |html| {
                    row(html, |html| name(html, need.limit, need.per.word()));
                    cell(html, "number", "need", |html| html.text(&much));
                    cell(html, "", "because", |html| html.text(&why));
                });
            }
        });
    });
}

/// Where each limit was read, and what moves it.
pub(super) fn limits(html: &mut Html, carried: &[Carried]) {
    if carried.is_empty() {
        return;
    }
    section(html, "What moves each limit", |html| {
        let header = |html: &mut Html| {
            column(html, "", |html| html.text("limit"));
            column(html, "", |html| html.text("read from"));
            column(html, "", |html| html.text("moved by"));
        };
        table(html, "words", header, |html| {
            for limit in carried {
                html.element("tr", &[("role", "row")], |html| {
                    row(html, |html| name(html, limit.limit, limit.per.word()));
                    cell(html, "", "read from", |html| html.text(&limit.source));
                    cell(html, "", "moved by", |html| {
                        html.text(limit.change);
                        if let Some(rule) = limit.rule {
                            html.words("code", &[("class", "more")], &format!("tunecheck explain {rule}"));
                        }
                    });
                });
            }
        });
    });
}

/// How programs have to be set.
pub(super) fn settings(html: &mut Html, settings: &[Setting]) {
    if settings.is_empty() {
        return;
    }
    section(html, SETTINGS, |html| {
        html.element("div", &[("class", "settings")], |html| {
            for setting in settings {
                html.element("div", &[], |html| {
                    html.words("h3", &[], setting.program);
                    html.element("ul", &[("class", "lines")], |html| {
                        for line in &setting.lines {
                            html.element("li", &[], |html| html.words("code", &[], line));
                        }
                    });
                    if !setting.note.is_empty() {
                        html.words("p", &[], setting.note);
                    }
                });
            }
        });
    });
}

/// A part of the page under its title.
pub(super) fn section(html: &mut Html, title: &str, inside: impl FnOnce(&mut Html)) {
    html.element("section", &[], |html| {
        html.words("h2", &[], title);
        inside(html);
    });
}
