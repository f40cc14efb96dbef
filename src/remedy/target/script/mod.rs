//! `script`: one POSIX shell script that shows, applies, checks and takes back what is changed on a machine.
//!
//! The machinery is in the shell files beside this one, the same in every script. What a plan adds is data: names and
//! values that were checked, in quotes, and words that only ever stand in a quoted here-document.

use std::collections::BTreeSet;

use super::super::{Step, file, quoted};
use super::notes::{self, Way};
use super::{File, Order, Rendered, Target, ceiling, disputed, elsewhere, is_change};
use crate::model::action::{Edit, Site, SysctlEdit};
use crate::model::fact::Value;
use crate::model::place::Kind;
use crate::model::sysctl::{self, variable};

pub(super) const TARGET: Target =
    Target { name: "script", about: "a POSIX shell script: plan, apply, check, undo", render };

const MACHINERY: &str = concat!(
    include_str!("values.sh"),
    include_str!("steps.sh"),
    include_str!("folder.sh"),
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
    let (mut steps, mut others, mut count) = (String::new(), String::new(), 0);
    let mut changes = String::new();
    let mut files = Files::default();
    for step in &order.plan.steps {
        match acting(step, order, site, place, &mut files) {
            Some(data) => {
                count += 1;
                steps += &about(&notes::told_in(step, &way(step, place)));
                steps += &data;
                changes += &data;
            }
            None => {
                others += &about(&[notes::told(step), vec![String::new()]].concat());
                match is_change(step) {
                    true if order.takes(step) && !is_refused(step, order) => {
                        rendered.leave_out(step, if is_of_host(step, place) { OF_HOST } else { elsewhere(step) });
                    }
                    true => rendered.decline(order, [step]),
                    false => {}
                }
            }
        }
    }
    if steps.is_empty() && order.plan.steps.iter().any(is_change) {
        return Ok(rendered);
    }
    for (what, why) in disputed(order.plan) {
        others += &about(&[format!("{what}: {why}"), String::new()]);
    }
    let data = [
        ("id", format!("{:016x}", fingerprint(&format!("{changes}{place}{}", files.kept)))),
        ("made_for", quoted(&notes::one_line(order.plan.node.as_deref().unwrap_or_default()))),
        ("place", place.to_owned()),
        ("made_in", order.plan.place.netns_inode.map(|inode| inode.to_string()).unwrap_or_default()),
        ("count", count.to_string()),
        ("keep_file", quoted(files.kept)),
        ("persists", quoted(&files.written.iter().map(|file| format!(" {file}")).collect::<String>())),
    ];
    let mut text = head(order) + "\nLC_ALL=C\nexport LC_ALL\n";
    text.extend(data.iter().map(|(name, value)| format!("{name}={value}\n")));
    let body = |text: &str| if text.is_empty() { "  :\n".to_owned() } else { text.to_owned() };
    let heading = if others.is_empty() { "" } else { "  say 'Not done by this script:'\n  say ''\n" };
    text += &format!("\nsteps() {{\n{}}}\n", body(&steps));
    text += "\n# What somebody else has to do, or to decide.\n";
    text += &format!("notes() {{\n{}}}\n", body(&format!("{heading}{others}")));
    text += MACHINERY;
    let apply = "run as root where it belongs: `sh fix.sh plan`, then `apply` (`--persist` keeps it over a reboot), `check`, `undo`.";
    rendered.files.push(File { path: "fix.sh".to_owned(), text, apply: apply.to_owned() });
    Ok(rendered)
}

/// When what the script does acts, and how it is taken back.
fn way(step: &Step, place: &str) -> Way {
    const UNDO: &str = "sh fix.sh undo";
    match &step.action.edit {
        Edit::Nofile(_) => Way::anew("after apply --persist, when the service is started again", UNDO),
        _ if place == "namespace" => Way::from("with apply, as long as the network namespace is there", step, UNDO),
        _ => Way::from("with apply; with apply --persist at every boot too", step, UNDO),
    }
}

/// The files that `apply --persist` writes.
struct Files {
    /// The one that keeps sysctls.
    kept: &'static str,
    written: BTreeSet<String>,
}

impl Default for Files {
    fn default() -> Self {
        Self { kept: file::FIRST, written: BTreeSet::new() }
    }
}

/// The lines that make a step, if it is for this script.
fn acting(step: &Step, order: Order<'_>, site: Site, place: &str, files: &mut Files) -> Option<String> {
    match &step.action.edit {
        _ if !order.takes(step) || is_of_host(step, place) => None,
        Edit::Sysctl(edit) if step.action.site == site => {
            let lost = place == "namespace";
            if !lost {
                files.kept = edit.file;
                files.written.insert(edit.file.to_owned());
                files.written.extend(edit.module.map(|_| "/etc/modules-load.d/tunecheck.conf".to_owned()));
            }
            Some(sysctl_step(edit, lost))
        }
        _ if is_refused(step, order) => None,
        Edit::Nofile(edit) if is_of_units(step, order) => {
            let mut lines = String::new();
            for unit in &order.options.units {
                let drop_in = unit.drop_in();
                files.written.insert(format!("/etc/systemd/system/{}.d/{drop_in}", unit.name));
                lines += &format!("  service {} {} {} {drop_in}\n", quoted(&unit.name), edit.soft, edit.hard);
            }
            Some(lines)
        }
        _ => None,
    }
}

const OF_HOST: &str =
    "it is the host's and not of this network namespace: a script that is made on the host sets it, and can undo it";

/// Whether a step changes the host in a script for a network namespace. What is remembered for undo belongs to the
/// namespace and goes with it.
fn is_of_host(step: &Step, place: &str) -> bool {
    let of_host = match &step.action.edit {
        Edit::Sysctl(edit) => step.action.site == Site::Here && !edit.netns,
        Edit::Nofile(_) => step.action.site == Site::Service,
        _ => false,
    };
    place == "namespace" && of_host
}

/// Whether these are limits on open files for the services that the user named.
fn is_of_units(step: &Step, order: Order<'_>) -> bool {
    step.action.site == Site::Service && !order.options.units.is_empty()
}

/// Whether they are above `fs.nr_open`, so that the kernel would refuse them and the service run with less.
fn is_refused(step: &Step, order: Order<'_>) -> bool {
    let Edit::Nofile(edit) = &step.action.edit else { return false };
    is_of_units(step, order) && !ceiling::mark(order, step, edit).is_empty()
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
    let aliases: Vec<&str> = variable::aliases(&edit.name).collect();
    let known_as = if aliases.is_empty() { String::new() } else { format!("known_as {} ", quoted(&aliases.join(" "))) };
    format!("  {known_as}{own}step {how} {name} {} {values}\n{module}", quoted(&sysctl::path(&edit.name)))
}

/// Words about a step, which only `plan` shows.
fn about(lines: &[String]) -> String {
    format!("  about <<'{END}'\n{}{END}\n", indented(lines))
}

/// Each line behind a blank, so that none can end the here-document.
fn indented(lines: &[String]) -> String {
    lines.iter().map(|line| format!(" {}\n", notes::one_line(line))).collect()
}

fn head(order: Order<'_>) -> String {
    let lines = [
        notes::made_by(order),
        "It raises and never lowers: every value is held against the live one again before it is written.".to_owned(),
        match (order.plan.place.kind, order.plan.place.pid()) {
            (Kind::Namespace, Some(pid)) => {
                format!(
                    "For the network namespace of process {pid}: nsenter -t {pid} -n sh fix.sh plan | apply | check | undo"
                )
            }
            _ => "sh fix.sh plan | apply [--persist] | check | undo".to_owned(),
        },
    ];
    let unused = "# shellcheck disable=SC2317,SC2329  # a plan calls only those functions that it needs\n";
    format!("#!/bin/sh\n{}{unused}", notes::commented(&lines, "#"))
}

/// FNV-1a: one plan has one state on a machine, however often its script is made.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
