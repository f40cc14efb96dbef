//! A plan as a page that needs nothing else: no script, nothing loaded, one file to keep with a review.

mod chart;
mod markup;
mod tables;
#[cfg(test)]
mod tests;

use super::words::{self, load, planned, shape, unknown, verdict};
use crate::model::sizing::{Capacity, Sizing};
use markup::Html;

/// What a browser may do for the page: take its style, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The plan as a page.
pub fn print(sizing: &Sizing) -> String {
    let mut html = Html::default();
    html.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |html| head(html, sizing));
        html.element("body", &[], |html| {
            html.element("main", &[], |html| body(html, sizing));
        });
    });
    html.finished()
}

fn title(sizing: &Sizing) -> String {
    match &sizing.capacity {
        Some(capacity) => format!("Capacity of {}", capacity.node.as_deref().unwrap_or("an unnamed machine")),
        None => format!("Needs of a {}", sizing.traffic.role.word()),
    }
}

fn head(html: &mut Html, sizing: &Sizing) {
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    html.void("meta", &[("name", "generator"), ("content", concat!("tunecheck ", env!("CARGO_PKG_VERSION")))]);
    html.words("title", &[], &format!("{} · tunecheck plan", title(sizing)));
    html.style(include_str!("page.css"));
}

fn body(html: &mut Html, sizing: &Sizing) {
    let traffic = &sizing.traffic;
    html.words("h1", &[], &title(sizing));
    if let Some(capacity) = &sizing.capacity {
        let holds = words::holds(capacity, traffic);
        let class = if holds { "verdict holds" } else { "verdict short" };
        html.element("p", &[("class", class)], |html| {
            html.words("strong", &[], "carries ");
            html.text(&verdict(capacity, traffic));
        });
    }
    html.element("dl", &[], |html| {
        let mut said = |name: &str, text: &str| {
            html.element("div", &[], |html| {
                html.words("dt", &[], name);
                html.words("dd", &[], text);
            });
        };
        said("load", &load(traffic));
        said("shape", &shape(traffic));
        if let Some(capacity) = &sizing.capacity {
            said("read", &capacity.source);
            capacity.notes.iter().for_each(|note| said("note", note));
        }
    });
    if let Some(capacity) = &sizing.capacity {
        solved(html, capacity, sizing);
    }
    tables::needs(html, &sizing.needs);
    tables::settings(html, &sizing.settings);
    html.element("section", &[], |html| {
        html.words("h2", &[], "Next");
        match &sizing.capacity {
            Some(_) => html.words("p", &[], &words::solved(&sizing.traffic).join(" ")),
            None => planned(traffic).iter().for_each(|line| html.words("p", &[], line)),
        }
    });
    html.words("footer", &[], concat!("tunecheck ", env!("CARGO_PKG_VERSION"), " plan"));
}

fn solved(html: &mut Html, capacity: &Capacity, sizing: &Sizing) {
    chart::stripes(html);
    chart::limits(html, capacity, &sizing.traffic);
    chart::steps(html, capacity, &sizing.traffic);
    let listed = |html: &mut Html, title: &str, rows: &[(&str, &str)]| {
        if rows.is_empty() {
            return;
        }
        html.element("section", &[], |html| {
            html.words("h2", &[], title);
            html.element("ul", &[], |html| {
                for (limit, why) in rows {
                    html.element("li", &[], |html| {
                        html.words("b", &[], limit);
                        html.text(&format!(": {why}"));
                    });
                }
            });
        });
    };
    let unknown = unknown(capacity);
    let unknown: Vec<(&str, &str)> = unknown.iter().map(|(limits, why)| (limits.as_str(), *why)).collect();
    listed(html, "Not known", &unknown);
    listed(html, "No limit here", &capacity.unlimited);
    tables::limits(html, &capacity.carried);
}
