//! Limits that were used up in the field, as they were reported: what is said of them.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "reads reports, fails by panicking"
)]

mod support;

use serde_json::Value;
use support::{case, json};

/// The report of a case.
fn report(name: &str, more: &[&str]) -> Value {
    let folder = case(name);
    json(&[["--snapshot", folder.to_str().unwrap()].as_slice(), more].concat())
}

/// The only finding of a rule.
fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    let found: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == rule).collect();
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found[0]
}

fn outcomes<const N: usize>(report: &Value, rules: [&str; N]) -> [String; N] {
    rules.map(|rule| finding(report, rule)["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn a_neighbour_table_that_refused_is_trouble_at_any_fill() {
    let full = report("09-neighbours", &[]);
    assert_eq!(outcomes(&full, ["neigh/fill", "neigh/fill-ipv6"]), ["fail", "pass"]);
    // The kernel has cleaned up meanwhile.
    let cleaned = report("09-neighbours-cleaned", &[]);
    assert_eq!(outcomes(&cleaned, ["neigh/fill", "neigh/fill-ipv6"]), ["warn", "warn"]);
    let evidence = finding(&cleaned, "neigh/fill")["evidence"][0]["says"].as_str().unwrap();
    assert!(evidence.starts_with("4,333 times a neighbour found no place"), "{evidence}");
}

#[test]
fn lost_queries_are_no_full_table() {
    let report = report("28-lost-queries", &[]);
    let rules = ["conntrack/insert-failed", "conntrack/drops", "conntrack/fill", "conntrack/max"];
    assert_eq!(outcomes(&report, rules), ["warn", "pass", "pass", "pass"]);
    let said = finding(&report, "conntrack/insert-failed").to_string();
    assert!(said.contains("single-request-reopen"), "{said}");
}

#[test]
fn overlong_chains_do_not_hide_a_full_table() {
    let full = report("conntrack-full-and-overlong", &[]);
    assert_eq!(outcomes(&full, ["conntrack/drops"]), ["warn"]);
    assert_eq!(finding(&full, "conntrack/drops")["now"], 388);
    // Without the column nothing tells the two apart, and a table that is there is no reason to say that nothing is tracked.
    let unnamed = report("conntrack-without-columns", &[]);
    assert_eq!(outcomes(&unnamed, ["conntrack/drops", "conntrack/insert-failed"]), ["unknown", "unknown"]);
}
