//! What sets two audits apart as a whole: another load, another machine, another place.

use crate::model::diff::{Contrast, Trait};
use crate::model::fact::{Unit, Value};
use crate::model::facts::{grouped, humane};
use crate::model::place::{Netns, Place};
use crate::model::recorded::Recorded;

/// What sets two audits apart, what matters most first.
pub(super) fn contrasts(a: &Recorded, b: &Recorded) -> Vec<Contrast> {
    let differs = |of: Trait, words: fn(&Recorded) -> String| {
        let (a, b) = (words(a), words(b));
        (a != b).then_some(Contrast { of, a, b })
    };
    [
        differs(Trait::Workload, |report| report.workload.words()),
        differs(Trait::Node, |report| report.node.clone().unwrap_or_else(unknown)),
        differs(Trait::Place, |report| place(&report.place)),
        differs(Trait::Size, size),
        differs(Trait::Kernel, |report| report.kernel.clone().unwrap_or_else(unknown)),
        both(Trait::Boot, a.place.boot.clone(), b.place.boot.clone()),
        both(Trait::Netns, a.place.netns_inode.map(inode), b.place.netns_inode.map(inode)),
        differs(Trait::User, |report| match report.place.uid {
            Some(0) => "root".into(),
            Some(uid) => format!("uid {uid}"),
            None => unknown(),
        }),
        differs(Trait::Window, |report| window(report.window)),
        differs(Trait::Version, |report| report.tunecheck.clone()),
        differs(Trait::Extent, |report| if report.partial { "only what failed" } else { "everything" }.into()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Two names that are known and differ.
fn both(of: Trait, a: Option<String>, b: Option<String>) -> Option<Contrast> {
    let (a, b) = a.zip(b).filter(|(a, b)| a != b)?;
    Some(Contrast { of, a, b })
}

/// As `readlink /proc/self/ns/net` prints it.
fn inode(number: u64) -> String {
    format!("net:[{number}]")
}

fn unknown() -> String {
    "unknown".into()
}

/// In whole seconds: the clock of two like windows differs by a little.
fn window(milliseconds: Option<u64>) -> String {
    match milliseconds.map(|milliseconds| milliseconds.saturating_add(500) / 1000) {
        None => "counters read once".into(),
        Some(0) => "counters looked at for less than a second".into(),
        Some(seconds) => format!("counters looked at for {} s", grouped(seconds.into())),
    }
}

fn place(place: &Place) -> String {
    let namespace = match place.netns {
        Netns::Init => "init network namespace",
        Netns::Child => "network namespace of its own",
        Netns::Unknown => "network namespace unknown",
    };
    // Not the unit: every login has another session's.
    format!("{} · {namespace}", place.words())
}

fn size(report: &Recorded) -> String {
    let cpus = report.cpus.map_or_else(unknown, |cpus| cpus.to_string());
    let memory = report.memory.map_or_else(unknown, |bytes| humane(&Value::Number(bytes), Unit::Bytes));
    format!("{cpus} CPU{} · {memory}", if report.cpus == Some(1) { "" } else { "s" })
}
