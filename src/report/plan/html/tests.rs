use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use super::*;
use crate::model::fact::{Cause, Gap, Unit};
use crate::model::sizing::{Amount, Carried, Move, Need, Per, Setting, Step};
use crate::model::traffic::Traffic;
use crate::model::workload::{Role, Workload};

const HOSTILE: &str =
    "<script>alert(1)</script> \"'><img src=x onerror=y> &amp; &#60; ]]> --> \u{1b}[2J\u{202e}\u{ffff}\n\0";

fn traffic() -> Traffic {
    Traffic { concurrency: 10_000, ..Traffic::of(&Workload::none(Role::Server)) }
}

fn planned() -> Sizing {
    let need = |limit, amount| Need { limit, per: Per::Pod, unit: Unit::Count, amount, rule: None };
    Sizing {
        traffic: traffic(),
        needs: vec![
            need("open files", Amount::Of(10_256, "10,000 connections, and 256".to_owned())),
            need("bandwidth", Amount::Unsaid("--response-bytes")),
            need("ports", Amount::None),
        ],
        settings: vec![Setting {
            program: "nginx",
            lines: vec!["listen 80 backlog=4096;".to_owned()],
            note: "restart",
        }],
        capacity: None,
    }
}

fn limit(limit: &'static str, carries: Option<u64>, slow_from: Option<u64>) -> Carried {
    let (have, need) = (carries.map_or(u128::MAX, u128::from), 10_000);
    let (rule, source) = (Some("files/nofile-soft"), "limit.nofile.soft".to_owned());
    let change = "LimitNOFILE= of the unit";
    Carried {
        limit,
        per: Per::Process,
        unit: Unit::Count,
        rule,
        have,
        source,
        need,
        carries,
        slow_from,
        rate: None,
        change,
    }
}

fn solved() -> Sizing {
    let moved =
        |limit, from, to| Move { limit, unit: Unit::Count, rule: None, from, to, ends: false, change: "one key" };
    let capacity = Capacity {
        node: Some("node-a".to_owned()),
        source: "live".to_owned(),
        notes: vec!["read without root".to_owned()],
        carried: vec![
            limit("files", Some(1000), None),
            limit("ports", Some(28_000), Some(5000)),
            limit("table", Some(100_000), Some(50_000)),
            limit("memory", None, Some(60_000)),
        ],
        unlimited: vec![("tracking", "no such module")],
        unknown: vec![("CPU", Gap::new(Cause::Denied, "only root may read it"))],
        steps: vec![
            Step { moves: vec![moved("files", 1000, 28_000)], carries: 28_000, next: Some("ports") },
            Step {
                moves: vec![moved("files", 1000, 90_000), moved("ports", 28_000, 90_000)],
                carries: 90_000,
                next: None,
            },
        ],
        standing: Vec::new(),
    };
    Sizing { capacity: Some(capacity), ..planned() }
}

/// Runs a look at the page as strict XML sees it: tags that do not balance and stray characters fail.
fn seen<T>(page: &str, look: impl FnOnce(&Document<'_>) -> T) -> T {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    look(&Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}: {page}")))
}

fn texts(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| node.text().filter(|_| node.is_text())).collect()
}

fn of_class<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    let is =
        |node: &Node<'_, '_>| node.attribute("class").is_some_and(|words| words.split(' ').any(|one| one == class));
    document.descendants().filter(is).collect()
}

/// Names of all elements and of their attributes, in order.
fn skeleton(page: &str) -> Vec<String> {
    seen(page, |document| {
        let names = |node: Node<'_, '_>| {
            let attributes = node.attributes().map(|attribute| format!(" {}", attribute.name()));
            format!("{}{}", node.tag_name().name(), attributes.collect::<String>())
        };
        document.descendants().filter(Node::is_element).map(names).collect()
    })
}

#[test]
fn pages_are_whole_and_bring_nothing_that_runs_or_loads() {
    for sizing in [planned(), solved()] {
        let page = print(&sizing);
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"), "{page}");
        seen(&page, |document| {
            for node in document.descendants().filter(Node::is_element) {
                let tag = node.tag_name().name();
                assert!(
                    !["script", "link", "img", "iframe", "object", "a", "base", "form", "use"].contains(&tag),
                    "{tag}"
                );
                for attribute in node.attributes() {
                    let name = attribute.name();
                    let passive = !name.starts_with("on") && !["src", "href", "style", "srcset"].contains(&name);
                    assert!(passive, "{name}");
                }
            }
            let policy = document.descendants().find(|node| node.attribute("http-equiv").is_some()).unwrap();
            assert_eq!(policy.attribute("content"), Some("default-src 'none'; style-src 'unsafe-inline'"));
            assert!(document.descendants().any(|node| node.has_tag_name("title") && !texts(node).is_empty()));
        });
        assert!(!page.contains("//") && !page.contains("@import"), "it names nothing outside");
    }
}

#[test]
fn every_header_of_a_table_says_of_what_and_every_row_is_as_wide_as_its_header() {
    seen(&print(&solved()), |document| {
        let mut tables = 0;
        for table in document.descendants().filter(|node| node.has_tag_name("table")) {
            let cells = |row: Node<'_, '_>| row.children().filter(|node| node.is_element()).count();
            let rows: Vec<usize> = table.descendants().filter(|node| node.has_tag_name("tr")).map(cells).collect();
            assert!(rows.len() > 1 && rows.iter().all(|count| *count == rows[0]), "{rows:?}");
            tables += 1;
        }
        assert_eq!(tables, 4);
        for header in document.descendants().filter(|node| node.has_tag_name("th")) {
            assert!(matches!(header.attribute("scope"), Some("row" | "col")));
        }
    });
}

#[test]
fn a_solved_plan_shows_every_limit_in_order_and_all_that_is_known_of_it() {
    seen(&print(&solved()), |document| {
        let chart = of_class(document, "chart")[0];
        let rows: Vec<String> = chart.descendants().filter(|node| node.has_tag_name("tr")).skip(1).map(texts).collect();
        assert_eq!(
            rows,
            [
                "filesper process1,000short1,00010,000",
                "portsper process28,000slow28,000; slow from 5,000 requests10,000",
                "tableper process100,000holds100,000; slow from 50,000 requests10,000",
                "memoryper processanyholdsunlimited; slow from 60,000 requests10,000",
            ]
        );
        let all = texts(document.root());
        let sentences = [
            "carries 1,000 requests in flight by the limits that could be read, less than the 10,000 that are asked for; first to bind: files",
            "read without root",
            "1. files 1,000 → 28,000by one key28,000holdsports",
            "2. ports 28,000 → 90,000by one keywith files 1,000 → 90,00090,000holdsnone that was read",
            "CPU: only root may read it",
            "tracking: no such module",
            "limit.nofile.softLimitNOFILE= of the unittunecheck explain files/nofile-soft",
            "open filesper pod10,25610,000 connections, and 256",
            "bandwidthper pod?--response-bytes would say it",
            "nginxlisten 80 backlog=4096;",
        ];
        for sentence in sentences {
            assert!(all.contains(sentence), "{sentence}: {all}");
        }
    });
}

#[test]
fn bars_follow_the_log_scale_and_end_where_a_limit_is_slow_in_another_pattern() {
    seen(&print(&solved()), |document| {
        let chart = of_class(document, "chart")[0];
        let rectangles = chart.descendants().filter(|node| node.has_tag_name("rect"));
        let drawn: Vec<String> = rectangles
            .map(|node| ["class", "x", "width"].map(|name| node.attribute(name).unwrap()).join(" "))
            .collect();
        // From 100 to 100,000: a third for each power of ten. log10(280) is 2.447, log10(50) 1.699, log10(600) 2.778.
        assert_eq!(
            drawn,
            [
                "bar short 0% 33.333%",
                "bar holds 0% 81.572%",
                "slow 56.632% 24.940%",
                "bar holds 0% 100.000%",
                "slow 89.966% 10.034%",
                "bar any 0% 100.000%",
                "slow 92.605% 7.395%",
            ]
        );
        let asked: Vec<_> = of_class(document, "asked").iter().filter_map(|node| node.attribute("x1")).collect();
        // The legend; a header and four rows; a header and three rows.
        assert_eq!(asked, ["50%"].iter().chain(&["66.667%"; 9]).copied().collect::<Vec<_>>());
        let powers: Vec<String> = of_class(document, "power").into_iter().take(4).map(texts).collect();
        assert_eq!(powers, ["100", "1k", "10k", "100k"]);
    });
}

#[test]
fn a_machine_of_which_nothing_could_be_read_gives_a_page_that_says_so() {
    let mut sizing = solved();
    let capacity = sizing.capacity.as_mut().unwrap();
    (capacity.node, capacity.carried, capacity.steps) = (None, Vec::new(), Vec::new());
    seen(&print(&sizing), |document| {
        assert_eq!(of_class(document, "chart").len(), 0);
        let all = texts(document.root());
        assert!(all.contains("Capacity of an unnamed machine") && all.contains("CPU: only root may read it"), "{all}");
        assert!(all.contains("any number, by the limits that could be read"), "{all}");
    });
}

#[test]
fn any_number_of_requests_has_a_scale_with_room_for_its_labels() {
    for concurrency in [0, 1, 2, 999_999_999, u64::MAX] {
        for carries in [Some(0), Some(1), Some(u64::MAX), None] {
            let mut sizing = solved();
            sizing.traffic.concurrency = concurrency;
            sizing.capacity.as_mut().unwrap().carried = vec![limit("files", carries, Some(0))];
            let page = print(&sizing);
            assert!(!page.contains("NaN") && !page.contains("inf%") && !page.contains("=\"-"), "{page}");
            seen(&page, |document| {
                let labels = of_class(document, "power").len() / 2;
                assert!((2..=7).contains(&labels), "{concurrency} {carries:?}: {labels}");
            });
        }
    }
}

/// A plan of which everything that a host or a user can write is this.
fn of_text(text: &str) -> Sizing {
    let mut sizing = solved();
    sizing.needs[0].amount = Amount::Of(1, text.to_owned());
    sizing.settings[0].lines = vec![text.to_owned()];
    let capacity = sizing.capacity.as_mut().unwrap();
    (capacity.node, capacity.source) = (Some(text.to_owned()), text.to_owned());
    capacity.notes = vec![text.to_owned()];
    capacity.carried[0].source = text.to_owned();
    capacity.unknown[0].1.why = text.to_owned();
    sizing
}

#[test]
fn hostile_text_is_shown_and_becomes_no_markup() {
    let page = print(&of_text(HOSTILE));
    assert_eq!(skeleton(&page), skeleton(&print(&of_text("plain"))));
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    let shown =
        "<script>alert(1)</script> \"'><img src=x onerror=y> &amp; &#60; ]]> --> \\u{1b}[2J\\u{202e}\\u{ffff}\\n\\u{0}";
    seen(&page, |document| {
        let title = document.descendants().find(|node| node.has_tag_name("title")).unwrap();
        assert_eq!(texts(title), format!("Capacity of {shown} · tunecheck plan"));
        assert_eq!(texts(document.root()).matches(shown).count(), 8);
    });
}

proptest! {
    #[test]
    fn no_text_becomes_markup(text in "\\PC*|.*|[<>&\"'/a-z \\x00-\\x1f\u{200b}-\u{206f}\u{fff0}-\u{ffff}]*") {
        prop_assert_eq!(skeleton(&print(&of_text(&text))), skeleton(&print(&of_text("plain"))));
    }
}
