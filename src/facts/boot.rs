//! What the sysctl configuration files set at boot, by which file and line, and which of their lines set nothing.
//!
//! Two readers, two orders: systemd-sysctl reads the `sysctl.d` directories (sysctl.d(5)); `sysctl --system` of procps
//! reads the same and then `/etc/sysctl.conf` (sysctl(8)). TuneD may apply some of them again, in an order of its own. What is said of a variable holds under each of its names.

mod cause;
mod entries;
mod files;
mod lines;
mod settle;

use std::collections::BTreeSet;

use super::sysctl::is_known as is_known_sysctl;
use super::sysctl::read_one;
use super::{Gather, Source, Wanted, tuned};
use crate::model::fact::{Cause, Gap, Reading, Value};
use crate::model::facts::Facts;
use crate::model::sysctl::{self, known, variable};
use crate::model::version::Version;

use files::{Files, LAST_OF_PROCPS};
use lines::{Named, Order, Reader, is_line_of};
use settle::{Settled, settle};

/// Sysctls that start something when they are written and have no value to compare.
const WRITE_ONLY: [&str; 5] =
    ["net.ipv4.route.flush", "net.ipv6.route.flush", "vm.compact_memory", "vm.drop_caches", "vm.stat_refresh"];

const VALUE: &str = "boot[*].value";
const LIVE: &str = "boot[*].live";
const IDLE: &str = "boot[*].idle";

pub(super) const SOURCE: Source = Source { families: &["boot"], read, entries: entries::ENTRIES };

fn read(gather: &mut Gather<'_>) {
    let boot = Boot::of(gather);
    let gap = boot.doubt().cloned();
    if let Some(gap) = &gap {
        for pattern in [VALUE, LIVE, IDLE] {
            gather.put(pattern, Err(gap.clone()), "sysctl.d");
        }
    }
    for key in boot.variables(gather) {
        boot.tell(gather, &key);
    }
    for name in gather.wanted("boot").into_iter().filter(|name| !name.contains("[*]")) {
        if gather.facts.get(&name).is_none() {
            let none = || Gap::new(Cause::Absent, UNSET);
            gather.put(name, Err(gap.clone().unwrap_or_else(none)), "sysctl.d");
        }
    }
}

/// Takes what is wanted of a sysctl that no file sets from what was read before: the files are not read again.
pub(super) fn recall(facts: &mut Facts, wanted: &Wanted) {
    if !facts.any_of("boot[", "].value") {
        return;
    }
    let gap = facts.family(VALUE).err().unwrap_or_else(|| Gap::new(Cause::Absent, UNSET));
    for name in wanted.starting_with("boot[").filter(|name| name.ends_with("].value") && name != VALUE) {
        if facts.get(&name).is_none() {
            facts.put(name, Err(gap.clone()), "sysctl.d");
        }
    }
}

const UNSET: &str = "no sysctl.d file sets it";

/// What this machine boots with.
pub(super) struct Boot {
    /// By systemd-sysctl, and by `sysctl --system`.
    orders: [Order; 2],
    /// Which of them applies the files here, if that is known.
    reader: Option<Reader>,
    /// What stands in files that no boot applies.
    unread: Order,
    /// Whether /etc/sysctl.conf has lines that this one does not read.
    passes_over: bool,
    /// What TuneD applies again after either of them.
    again: Option<Order>,
    kernel: Option<Version>,
}

impl Boot {
    /// Reads the configuration files.
    pub(super) fn of(gather: &Gather<'_>) -> Self {
        let files = Files::of(gather.host);
        let order = |reader| {
            let mut order = Order::of(reader);
            for path in files.read_by(reader) {
                order.read(gather.host, path);
            }
            if let Some(gap) = &files.gap {
                // A folder that cannot be listed may hold the last word about any key.
                order.doubt(gap.clone());
            }
            order
        };
        let mut orders = [Reader::Systemd, Reader::Procps].map(order);
        let by_tuned = tuned::again(gather.host);
        let again = by_tuned.as_ref().ok().and_then(Option::as_ref).map(|again| {
            let mut order = Order::of(Reader::Tuned);
            for path in files::read_again(gather.host) {
                order.read(gather.host, &path);
            }
            order.of_names(|name| again.takes(name))
        });
        for order in &mut orders {
            again.iter().for_each(|again| order.follow(again));
        }
        let mut unread = Order::of(Reader::Systemd);
        files.unread.iter().for_each(|path| unread.read(gather.host, path));
        let reader = files::reader(gather.host);
        Self {
            again,
            passes_over: reader == Some(Reader::Systemd)
                && by_tuned.is_ok()
                && orders.iter().any(|order| order.has_lines_of(LAST_OF_PROCPS))
                && !files.lead_to_the_last_of_procps(gather.host),
            orders,
            unread,
            reader,
            kernel: gather.facts.text("kernel.release").and_then(|release| release.parse().ok()),
        }
    }

    /// The line that gives a sysctl this value, as name or pattern and `file:line`; none where no line does, or where nobody
    /// knows which one has the last word.
    pub(super) fn line_of(&self, key: &str, live: &Value) -> Option<(String, String)> {
        let live = Ok(live.clone());
        let mut lines = self.orders().iter().map(|order| settle(order, key, &live, self.kernel).0);
        let first = lines.next()?.filter(|settled| settled.value == live)?;
        let agreed = lines.all(|other| other.is_some_and(|other| other.at == first.at));
        (agreed && self.doubt().is_none()).then_some((first.by, first.at))
    }

    /// The orders that this machine may boot with.
    fn orders(&self) -> &[Order] {
        match self.reader {
            Some(Reader::Procps) => &self.orders[1..],
            Some(_) => &self.orders[..1],
            None => &self.orders,
        }
    }

    fn doubt(&self) -> Option<&Gap> {
        self.orders().iter().find_map(|order| order.doubt.as_ref())
    }

    /// The variables that are told of: those that a line names, and what patterns mean of those that were read.
    fn variables(&self, gather: &Gather<'_>) -> BTreeSet<String> {
        let all = self.orders.iter().chain([&self.unread]);
        let mut keys: BTreeSet<String> = all.flat_map(Order::variables).map(str::to_owned).collect();
        if self.orders.iter().any(Order::has_patterns) {
            let read = gather.facts.of_family("sysctl.").filter_map(|(name, _)| name.strip_prefix("sysctl."));
            keys.extend(read.map(|name| variable::variable(name).0.into_owned()));
        }
        keys.retain(|key| is_readable(key) && is_of_concern(key));
        keys
    }

    /// Tells of one variable.
    fn tell(&self, gather: &mut Gather<'_>, key: &str) {
        self.tell_last(gather, key);
        let live = read_one(gather, key);
        let [(by_systemd, idle_by_systemd), (by_procps, idle_by_procps)] =
            self.orders.each_ref().map(|order| settle(order, key, &live.reading, self.kernel));
        for (name, settled) in [("systemd", &by_systemd), ("procps", &by_procps)] {
            if let Some(settled) = settled {
                gather.put(
                    format!("boot[{key}].{name}"),
                    shown(key, &settled.value, &live.reading),
                    settled.at.clone(),
                );
            }
        }
        let again = self.is_applied_again(key);
        if again {
            gather.put(format!("boot[{key}].again"), Ok(Value::Number(1)), tuned::MAIN);
        }
        let unread = settle(&self.unread, key, &live.reading, self.kernel).0;
        let other = |line: &&Settled| by_systemd.as_ref().is_none_or(|set| set.value != line.value);
        let unnamed = (
            unread.as_ref().filter(other),
            "no boot reads a file there whose name does not end in .conf",
            "give the file such a name",
        );
        let passed_over = (
            self.passed_over(by_systemd.as_ref(), by_procps.as_ref()).filter(|_| !again),
            "systemd-sysctl does not read /etc/sysctl.conf, and no link in /etc/sysctl.d leads to it",
            "write it into a file of /etc/sysctl.d",
        );
        let mut told: Vec<(&str, cause::Told)> = Vec::new();
        for (line, why, wanted) in [passed_over, unnamed] {
            if let Some(line) = line {
                told.push((&line.at, [why.to_owned(), self.mend(gather, key, line, &live.reading, wanted)]));
            }
        }
        if let Some((at, _)) = told.first() {
            let joined = |part: usize| {
                told.iter().filter_map(|(_, told)| told.get(part).cloned()).collect::<Vec<_>>().join("; ")
            };
            tell_idle(gather, key, at, [joined(0), joined(1)]);
        }
        let (settled, idle) = match self.reader {
            Some(Reader::Procps) => (by_procps, idle_by_procps),
            Some(_) => (by_systemd, idle_by_systemd),
            None => (agreed(by_systemd, by_procps), idle_by_systemd.filter(|_| idle_by_procps.is_some())),
        };
        if let Some(idle) = idle {
            let mend = format!("write a value there that the kernel takes, or take the line out: {}", idle.at);
            tell_idle(gather, key, &idle.at, [idle.why, mend]);
        }
        let Some(set) = settled else { return };
        gather.put(format!("boot[{key}].value"), shown(key, &set.value, &live.reading), set.at.clone());
        gather.put(format!("boot[{key}].name"), Ok(Value::Text(set.by.clone())), set.at.clone());
        let named = |name: &&str| self.orders.iter().any(|order| order.names(name));
        let mut names = vec![key];
        for alias in variable::aliases(key) {
            names.push(alias);
        }
        names.retain(named);
        gather.put(format!("boot[{key}].names"), Ok(Value::Text(names.join(" "))), set.at.clone());
        if known::is_moved_by_the_kernel(key) {
            return;
        }
        if let Some(told) = self.absence(gather, key, &set, &live.reading) {
            return tell_idle(gather, key, &set.at, told);
        }
        gather.put(format!("boot[{key}].live"), shown(key, &live.reading, &live.reading), live.source);
        if let (Ok(value), Ok(live)) = (&set.value, &live.reading)
            && value != live
        {
            let why = cause::of_drift(gather, key, again, live);
            gather.put(format!("boot[{key}].cause"), Ok(Value::Text(why)), set.at);
        }
    }

    /// Whether TuneD applies a line for a variable again.
    fn is_applied_again(&self, key: &str) -> bool {
        self.again.as_ref().is_some_and(|again| again.read_last(key).is_some())
    }

    /// Tells of the line that a file has to be read after if it is to have the last word.
    fn tell_last(&self, gather: &mut Gather<'_>, key: &str) {
        // Of two readers the one that reads on after the other.
        let named = self.orders().iter().rev().find_map(|order| order.read_last(key));
        if let Some(Named { at, name }) = named {
            gather.put(format!("boot[{key}].last"), Ok(Value::Text(name.clone())), at.clone());
        }
    }

    /// The line of /etc/sysctl.conf that would set a variable to another value than it has at boot, if it were read.
    fn passed_over<'a>(&self, by_systemd: Option<&Settled>, by_procps: Option<&'a Settled>) -> Option<&'a Settled> {
        let line = by_procps.filter(|line| self.passes_over && is_line_of(&line.at, LAST_OF_PROCPS))?;
        by_systemd.is_none_or(|set| set.value != line.value).then_some(line)
    }

    /// What to do about a line that is not read: nothing brings it into force where it would be an error or lower a size.
    fn mend(&self, gather: &Gather<'_>, key: &str, line: &Settled, live: &Reading, wanted: &str) -> String {
        let number = |reading: &Reading| reading.as_ref().ok().and_then(Value::limit);
        let lowers = sysctl::known::is_size(key) && number(&line.value) < number(live);
        match (self.absence(gather, key, line, live), lowers, live) {
            (Some([why, _]), ..) => {
                format!("take the line out: {}; were it read, it would set nothing: {why}", line.at)
            }
            (None, true, Ok(live)) => {
                format!("take the line out: {}; were it read, it would lower {}", line.at, live.plain())
            }
            _ => format!("if it is wanted: {wanted}; else take the line out: {}", line.at),
        }
    }

    /// Why the line that sets a variable sets nothing: there is none. A line whose author asked to ignore that is let be.
    fn absence(&self, gather: &Gather<'_>, key: &str, set: &Settled, live: &Reading) -> Option<cause::Told> {
        let absent = live.as_ref().is_err_and(|gap| gap.cause == Cause::Absent);
        let removed = || known::removed_in(key).is_some_and(|of| self.kernel.is_some_and(|kernel| kernel >= of));
        // Where no sysctl at all is seen, one that is missing says nothing.
        let any = gather.facts.of_family("sysctl.").any(|(_, fact)| fact.reading.is_ok());
        (!set.quiet && (absent && any || live.is_err() && (removed() || cause::odd_character(&set.by).is_some())))
            .then(|| cause::of_absence(gather, key, &set.by, &set.at, self.kernel))
            .flatten()
    }
}

fn tell_idle(gather: &mut Gather<'_>, key: &str, at: &str, [why, mend]: cause::Told) {
    gather.put(format!("boot[{key}].idle"), Ok(Value::Text(why)), at.to_owned());
    gather.put(format!("boot[{key}].mend"), Ok(Value::Text(mend)), at.to_owned());
}

/// The reading as a person may see it, beside the live one.
fn shown(key: &str, reading: &Reading, live: &Reading) -> Reading {
    reading.clone().map(|value| cause::shown(key, &value, live.as_ref().ok()))
}

/// What both readers make of a variable. Where they differ nobody knows.
fn agreed(by_systemd: Option<Settled>, by_procps: Option<Settled>) -> Option<Settled> {
    let (one, other) = match (by_systemd, by_procps) {
        (Some(one), Some(other)) => (one, other),
        (None, None) => return None,
        (Some(alone), None) => return Some(unsure(alone, "systemd-sysctl")),
        (None, Some(alone)) => return Some(unsure(alone, "sysctl --system")),
    };
    if one.value == other.value {
        return Some(one);
    }
    let of = |settled: &Settled| settled.at.clone();
    let why = format!(
        "systemd-sysctl ends with {} and sysctl --system with {}, and which of them a boot runs here is not known",
        of(&one),
        of(&other)
    );
    Some(Settled { value: Err(Gap::new(Cause::Unsupported, why)), ..one })
}

fn unsure(alone: Settled, reader: &str) -> Settled {
    let why = format!("only {reader} takes {}, and whether a boot runs that here is not known", alone.at);
    Settled { value: Err(Gap::new(Cause::Unsupported, why)), ..alone }
}

/// Whether a key can matter to connections: the network, memory, and what the catalogue knows by name. A machine's
/// configuration sets much else, such as `fs.protected_*`, that is not for this program to judge.
fn is_of_concern(key: &str) -> bool {
    key.starts_with("net.") || key.starts_with("vm.") || is_known_sysctl(key) || cause::is_slip(key)
}

/// Whether a key names a sysctl that has a value: some are triggers that can only be written, and a key that climbs
/// out of /proc/sys names none.
fn is_readable(key: &str) -> bool {
    !WRITE_ONLY.contains(&key) && sysctl::path(key).split('/').all(|part| part != "..")
}

#[cfg(test)]
mod tests;
