//! Bars on a log scale: what each limit carries, and what each step buys.

use super::markup::Html;
use super::tables::{cell, column, name, row, section, table};
use crate::model::sizing::{Capacity, Move};
use crate::model::traffic::Traffic;
use crate::report::plan::scale::Scale;
use crate::report::plan::words::{self, at_least, carries, moved, now, number, rule, slow_from};

/// Labels of powers of ten that a narrow screen has room for.
const LABELS: usize = 7;

/// The stripes over the part of a bar that is slow.
pub(super) fn stripes(html: &mut Html) {
    let size = [("width", "6"), ("height", "6")];
    html.element("svg", &[("class", "shared"), ("width", "0"), ("height", "0"), ("aria-hidden", "true")], |html| {
        let turned = [("id", "stripes"), ("patternUnits", "userSpaceOnUse"), ("patternTransform", "rotate(45)")];
        html.element("pattern", &[turned.as_slice(), &size].concat(), |html| {
            html.void("rect", &[("class", "stripe"), ("width", "3"), ("height", "6")]);
        });
    });
}

/// Requests in flight along a bar.
struct Plot {
    scale: Scale,
    asked: u64,
}

/// What a bar says.
#[derive(Clone, Copy)]
struct Bar {
    /// `None` without end.
    carries: Option<u64>,
    slow_from: Option<u64>,
}

/// The limits, the one that binds first on top.
pub(super) fn limits(html: &mut Html, capacity: &Capacity, traffic: &Traffic) {
    if capacity.carried.is_empty() {
        return;
    }
    let plot = Plot::of(capacity, traffic);
    let bars: Vec<Bar> =
        capacity.carried.iter().map(|limit| Bar { carries: limit.carries, slow_from: slow_from(limit) }).collect();
    section(html, "What each limit carries", |html| {
        plot.legend(html, &bars);
        let header = |html: &mut Html| {
            column(html, "", |html| html.text("limit"));
            column(html, "number", |html| html.text("carries"));
            column(html, "plot", |html| plot.axis(html));
            column(html, "number", |html| html.text("now"));
            column(html, "number", |html| html.text("needs"));
        };
        table(html, "chart", header, |html| {
            for (limit, bar) in capacity.carried.iter().zip(bars) {
                html.element("tr", &[("role", "row")], |html| {
                    row(html, |html| name(html, limit.limit, limit.per.word()));
                    cell(html, "number carries", "carries", |html| {
                        html.words("b", &[], &carries(limit));
                        html.words("small", &[], plot.judged(bar));
                    });
                    cell(html, "plot", "", |html| plot.bar(html, bar));
                    cell(html, "number", "now", |html| html.text(&now(limit)));
                    cell(html, "number", "needs", |html| html.text(&at_least(limit.need, limit.unit)));
                });
            }
        });
    });
}

/// The machine as it is, then each step.
pub(super) fn steps(html: &mut Html, capacity: &Capacity, traffic: &Traffic) {
    let Some(first) = capacity.first().filter(|_| !capacity.steps.is_empty()) else { return };
    let plot = Plot::of(capacity, traffic);
    section(html, "What a change buys, one upon the other", |html| {
        let header = |html: &mut Html| {
            column(html, "", |html| html.text("change"));
            column(html, "number", |html| html.text("carries"));
            column(html, "plot", |html| plot.axis(html));
            column(html, "", |html| html.text("next to bind"));
        };
        table(html, "chart steps", header, |html| {
            let as_it_is = |html: &mut Html| html.text("as it is");
            plot.step(html, as_it_is, first.carries.unwrap_or_default(), Some(first.limit));
            for (index, (step, added, before)) in words::steps(capacity).enumerate() {
                plot.step(html, |html| moves(html, index + 1, added, before), step.carries, step.next);
            }
        });
        if let Some(short) = words::short(capacity, traffic) {
            html.words("p", &[], &short);
            html.element("ul", &[], |html| {
                capacity.standing.iter().for_each(|one| html.words("li", &[], &words::stands(one)));
            });
        }
    });
}

/// The limits that a step moves: those that it adds, and how, and those before it, which move along.
fn moves(html: &mut Html, count: usize, added: &[Move], before: &[Move]) {
    // A browser breaks a line after the hyphen.
    let arrow = |one: &Move| moved(one).replace("->", "→");
    for (index, one) in added.iter().rev().enumerate() {
        let words = if index == 0 { format!("{count}. {}", arrow(one)) } else { format!("with {}", arrow(one)) };
        html.words("div", &[], &words);
        html.words("small", &[], &format!("by {}", one.change));
        if let Some(rule) = rule(one) {
            html.words("code", &[("class", "more")], &rule);
        }
    }
    for one in before.iter().rev() {
        html.words("small", &[], &format!("with {}", arrow(one)));
    }
}

impl Plot {
    fn of(capacity: &Capacity, traffic: &Traffic) -> Self {
        Self { scale: Scale::of(capacity, traffic), asked: traffic.concurrency }
    }

    fn holds(&self, bar: Bar) -> bool {
        bar.carries.is_none_or(|carries| carries >= self.asked)
    }

    /// A word for what its colour says.
    fn judged(&self, bar: Bar) -> &'static str {
        match (self.holds(bar), bar.slow_from) {
            (false, _) => "short",
            (true, Some(from)) if from < self.asked => "slow",
            (true, _) => "holds",
        }
    }

    fn at(&self, requests: u64) -> String {
        percent(self.scale.share(requests))
    }

    fn step(&self, html: &mut Html, change: impl FnOnce(&mut Html), carries: u64, next: Option<&str>) {
        let bar = Bar { carries: Some(carries), slow_from: None };
        html.element("tr", &[("role", "row")], |html| {
            row(html, change);
            cell(html, "number carries", "carries", |html| {
                html.words("b", &[], &number(carries));
                html.words("small", &[], self.judged(bar));
            });
            cell(html, "plot", "", |html| self.bar(html, bar));
            cell(html, "", "next to bind", |html| html.text(next.unwrap_or("none that was read")));
        });
    }

    /// What bars and the line mean, as far as there are such ones.
    fn legend(&self, html: &mut Html, bars: &[Bar]) {
        let some = |is: &dyn Fn(&Bar) -> bool| bars.iter().any(is);
        let asked = format!("{} asked for", number(self.asked));
        let keys = [
            (true, "asked", asked.as_str()),
            (some(&|bar| !self.holds(*bar)), "short", "short: carries less"),
            (some(&|bar| self.holds(*bar) && bar.carries.is_some()), "holds", "holds it"),
            (some(&|bar| bar.slow_from.is_some()), "slow", "the part that is slow"),
            (some(&|bar| bar.carries.is_none()), "any", "any: more than anybody can mean"),
        ];
        html.element("ul", &[("class", "legend")], |html| {
            for (_, class, words) in keys.into_iter().filter(|(is, ..)| *is) {
                html.element("li", &[], |html| {
                    drawing(html, "key", |html| match class {
                        "asked" => line(html, class, "50%"),
                        "slow" => {
                            rectangle(html, "bar holds", "0%", "100%");
                            rectangle(html, class, "0%", "100%");
                        }
                        _ => rectangle(html, &format!("bar {class}"), "0%", "100%"),
                    });
                    html.text(words);
                });
            }
        });
    }

    /// The title of the column of bars: powers of ten, and the line at what is asked for.
    fn axis(&self, html: &mut Html) {
        html.words("span", &[], "requests in flight, log scale");
        drawing(html, "axis", |html| {
            let x = self.at(self.asked);
            html.void("line", &[("class", "asked"), ("x1", &x), ("x2", &x), ("y1", "16"), ("y2", "40")]);
            let anchor = anchored(self.scale.share(self.asked), 0.3);
            let place = [("class", "label"), ("x", x.as_str()), ("y", "12"), ("text-anchor", anchor)];
            html.words("text", &place, &format!("{} asked for", number(self.asked)));
            let ticks: Vec<(u32, f64)> = self.scale.ticks().collect();
            let every = ticks.len().div_ceil(LABELS);
            for (index, (power, share)) in ticks.into_iter().enumerate() {
                let x = percent(share);
                html.void("line", &[("class", "tick"), ("x1", &x), ("x2", &x), ("y1", "34"), ("y2", "40")]);
                if index % every == 0 {
                    let place =
                        [("class", "power"), ("x", x.as_str()), ("y", "30"), ("text-anchor", anchored(share, 0.01))];
                    html.words("text", &place, &short(power));
                }
            }
        });
    }

    /// One bar. The numbers beside it say the same to whoever does not see it.
    fn bar(&self, html: &mut Html, bar: Bar) {
        drawing(html, "row", |html| {
            for (_, share) in self.scale.ticks() {
                line(html, "grid", &percent(share));
            }
            let class = match (bar.carries, self.holds(bar)) {
                (None, _) => "bar any",
                (_, true) => "bar holds",
                (_, false) => "bar short",
            };
            let end = bar.carries.map_or(1.0, |carries| self.scale.share(carries));
            rectangle(html, class, "0%", &percent(end));
            if let Some(from) = bar.slow_from {
                let from = self.scale.share(from);
                rectangle(html, "slow", &percent(from), &percent(end - from));
            }
            line(html, "asked", &self.at(self.asked));
        });
    }
}

fn drawing(html: &mut Html, class: &str, inside: impl FnOnce(&mut Html)) {
    html.element("svg", &[("class", class), ("aria-hidden", "true"), ("focusable", "false")], inside);
}

fn rectangle(html: &mut Html, class: &str, x: &str, width: &str) {
    html.void("rect", &[("class", class), ("x", x), ("y", "50%"), ("width", width), ("height", "16")]);
}

fn line(html: &mut Html, class: &str, x: &str) {
    html.void("line", &[("class", class), ("x1", x), ("x2", x), ("y1", "0%"), ("y2", "100%")]);
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

/// Which part of a label stands at its place, so that it stays within the drawing: it may lie over either end by so
/// much of the whole.
fn anchored(share: f64, wide: f64) -> &'static str {
    match share {
        share if share < wide => "start",
        share if share > 1.0 - wide => "end",
        _ => "middle",
    }
}

/// A power of ten in few characters.
fn short(power: u32) -> String {
    let unit = ["", "k", "M", "G", "T", "P", "E"].get(power as usize / 3).copied().unwrap_or("?");
    format!("1{}{unit}", "0".repeat(power as usize % 3))
}
