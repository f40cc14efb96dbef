//! `script`: one POSIX shell script that shows, applies, checks and takes back what is changed on a machine.
//!
//! The machinery is in the shell files beside this one, the same in every script. What a plan adds is data: names and
//! values that were checked, in quotes, and words that only ever stand in a quoted here-document.

use std::fmt::Write;

use super::super::{file, quoted};
use super::{File, Order, Rendered, Target, Unit, disputed, elsewhere, is_change, notes};
use crate::model::action::{Edit, Site, SysctlEdit};
use crate::model::fact::Value;
use crate::model::place::Kind;
use crate::model::sysctl;

pub(super) const TARGET: Target =
    Target { name: "script", about: "a POSIX shell script: plan, apply, check, undo", render };

const MACHINERY: &str = concat!(
    include_str!("values.sh"),
    include_str!("steps.sh"),
    include_str!("state.sh"),
    include_str!("keep.sh"),
    include_str!("undo.sh"),
    include_str!("main.sh"),
);
/// Ends a here-document. No line of words can be it: each begins with a blank.
const END: &str = "TOLD";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let (site, place) = where_to(order);
    let mut steps = String::new();
    let mut notes_text = String::new();
    let (mut count, mut modules, mut units) = (0, false, false);
    let mut keep_file = file::FIRST;
    for step in &order.plan.steps {
        let lines = || notes::told(step);
        let data = match &step.action.edit {
            Edit::Advice => {
                told(&mut notes_text, lines());
                continue;
            }
            _ if !order.takes(step) => {
                told(&mut notes_text, lines());
                rendered.decline(order, [step]);
                continue;
            }
            Edit::Sysctl(edit) if step.action.site == site => {
                if !(place == "namespace" && edit.netns) {
                    modules |= edit.module.is_some();
                    keep_file = later(keep_file, file::after(edit.boot_line.as_deref()));
                }
                sysctl_step(edit, place == "namespace" && edit.netns)
            }
            Edit::Nofile(edit) if step.action.site == Site::Service && !order.options.units.is_empty() => {
                units = true;
                let unit = |unit: &Unit| format!("  service {} {} {}\n", quoted(&unit.name), edit.soft, edit.hard);
                order.options.units.iter().map(unit).collect()
            }
            _ => {
                told(&mut notes_text, lines());
                rendered.leave_out(step, elsewhere(step));
                continue;
            }
        };
        count += 1;
        let lines = notes::told_with(step, "sh fix.sh undo");
        let _ = write!(steps, "  about <<'{END}'\n{}{END}\n{data}", indented(&lines));
    }
    for (what, why) in disputed(order.plan) {
        told(&mut notes_text, vec![format!("{what}: {why}")]);
    }
    let mut persists = String::new();
    if modules {
        persists += " /etc/modules-load.d/tunecheck.conf";
    }
    for unit in order.options.units.iter().filter(|_| units) {
        let _ = write!(persists, " /etc/systemd/system/{}.d/50-tunecheck.conf", unit.name);
    }
    let body = format!("{steps}{notes_text}{place}{keep_file}");
    let mut text = head(order);
    let _ = write!(
        text,
        "\nLC_ALL=C\nexport LC_ALL\nid={:016x}\nmade_for={}\nplace={place}\ncount={count}\nkeep_file={}\npersists={}\n",
        fingerprint(&body),
        quoted(&notes::one_line(order.plan.node.as_deref().unwrap_or_default())),
        quoted(keep_file),
        quoted(&persists),
    );
    let or_nothing = |text: String| if text.is_empty() { "  :\n".to_owned() } else { text };
    let _ = write!(text, "\nsteps() {{\n{}}}\n", or_nothing(steps));
    let notes_text = match notes_text.is_empty() {
        true => String::new(),
        false => format!("  say 'Not done by this script:'\n  say ''\n{notes_text}"),
    };
    let _ = write!(text, "\n# What somebody else has to do, or to decide.\nnotes() {{\n{}}}\n", or_nothing(notes_text));
    text += MACHINERY;
    let apply = "run as root where it belongs: `sh fix.sh plan`, then `apply` (`--persist` keeps it over a reboot), `check`, `undo`.";
    rendered.files.push(File { path: "fix.sh".to_owned(), text, apply: apply.to_owned() });
    Ok(rendered)
}

/// The site that the script changes, and what it makes sure of before. A script changes one place: where there is
/// something to do on the node as well, that is for a script made there.
fn where_to(order: Order<'_>) -> (Site, &'static str) {
    let here = order.plan.sysctls(&[Site::Here]).next().is_some() || order.plan.at(&[Site::Service]).any(is_change);
    match (here || order.plan.sysctls(&[Site::Node]).next().is_none(), order.plan.place.kind) {
        (true, Kind::Namespace) => (Site::Here, "namespace"),
        (true, _) => (Site::Here, "host"),
        (false, _) => (Site::Node, "host"),
    }
}

fn sysctl_step(edit: &SysctlEdit, lost: bool) -> String {
    let how = edit.how.word();
    let values = match &edit.new {
        Value::Numbers(list) => list.iter().map(i128::to_string).collect::<Vec<_>>().join(" "),
        value => quoted(&value.plain()),
    };
    let name = quoted(&edit.name);
    let module = edit.module.map(|module| format!("  module {} {name}\n", quoted(module))).unwrap_or_default();
    let own = if lost { "own " } else { "" };
    format!("  {own}step {how} {name} {} {values}\n{module}", quoted(&sysctl::path(&edit.name)))
}

/// The one of two files that sorts later.
fn later(one: &'static str, other: &'static str) -> &'static str {
    if one > other { one } else { other }
}

fn told(text: &mut String, lines: Vec<String>) {
    let _ = write!(text, "  about <<'{END}'\n{}\n{END}\n", indented(&lines));
}

/// Each line behind a blank, so that none can end the here-document.
fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!(" {}\n", notes::one_line(line))).collect()
}

fn head(order: Order<'_>) -> String {
    let node = order.plan.node.as_deref().map(|node| format!(" for {}", notes::one_line(node))).unwrap_or_default();
    let lines = [
        format!(
            "Made by tunecheck {}{node}, {}.",
            env!("CARGO_PKG_VERSION"),
            notes::one_line(&order.plan.place.words())
        ),
        "It raises and never lowers: every value is held against the live one again before it is written.".to_owned(),
        "sh fix.sh plan | apply [--persist] | check | undo".to_owned(),
    ];
    let unused = "# shellcheck disable=SC2317,SC2329  # a plan calls only those functions that it needs\n";
    format!("#!/bin/sh\n{}{unused}", notes::commented(&lines, "#"))
}

/// FNV-1a: one plan has one state on a machine, however often its script is made.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
