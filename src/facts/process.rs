//! Limits, open files and identity of the audited process: tunecheck itself, so what its parent hands on.

use super::{Gather, Source, number, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const LIMITS: &str = "/proc/self/limits";
const STATUS: &str = "/proc/self/status";
const FDS: &str = "/proc/self/fd";
const MAPS: &str = "/proc/self/maps";

const fn entry(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    Entry {
        name,
        unit,
        scope: Scope::Process,
        meaning,
        read,
        document: "https://man7.org/linux/man-pages/man2/getrlimit.2.html",
    }
}

pub(super) const SOURCE: Source = Source {
    families: &["limit", "process"],
    read,
    entries: &[
        entry("limit.nofile.soft", Unit::Count, LIMITS, "open files at which open() and accept() fail"),
        entry("limit.nofile.hard", Unit::Count, LIMITS, "highest soft limit the process may give itself"),
        entry("limit.nproc.soft", Unit::Count, LIMITS, "tasks of this user at which fork() fails"),
        entry("limit.nproc.hard", Unit::Count, LIMITS, "highest soft limit the process may give itself"),
        entry("process.fds", Unit::Count, FDS, "open files now"),
        entry(
            "process.name",
            Unit::Text,
            "/proc/PID/comm",
            "number and name of the audited process, if it is not tunecheck",
        ),
        entry(
            "process.meant",
            Unit::Mode,
            "--pid",
            "1: it was said which process is audited, tunecheck itself or another",
        ),
        entry("process.uid", Unit::Mode, STATUS, "effective user id"),
        entry("process.real_uid", Unit::Mode, STATUS, "user whose tasks its forks are counted with"),
        entry("process.threads", Unit::Count, STATUS, "threads now"),
        entry("process.mappings", Unit::Count, MAPS, "memory mappings now"),
        entry("process.capabilities", Unit::Mode, STATUS, "effective capabilities, as a bit mask"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants_any("limit") {
        let limits = gather.host.read(LIMITS).map_err(|refusal| refusal.gap(LIMITS));
        for name in gather.wanted("limit") {
            let reading = limits.as_ref().map_err(Gap::clone).and_then(|bytes| limit(bytes, &name));
            gather.put(name, reading, LIMITS);
        }
    }
    if gather.wants("process.fds") {
        let reading = fds_in(gather, FDS);
        gather.put("process.fds", reading, FDS);
    }
    if gather.wants("process.mappings") {
        let asked = gather.host.ask(Query { ask: Ask::Mappings, of: "" });
        let reading = asked.map_err(|refusal| refusal.gap(MAPS)).and_then(|bytes| counted(MAPS, &bytes));
        gather.put("process.mappings", reading, MAPS);
    }
    if !gather.wants_any("process") {
        return;
    }
    if gather.wants("process.name") {
        let name =
            gather.host.process().ok_or_else(|| Gap::new(Cause::Absent, "tunecheck audits what it was itself given"));
        gather.put("process.name", name.map(Value::Text), "/proc");
    }
    if gather.wants("process.meant") {
        let meant = gather.host.process().is_some() || gather.host.judges_itself();
        gather.put("process.meant", Ok(Value::Number(meant.into())), "");
    }
    if gather
        .wanted
        .of_family("process")
        .all(|name| matches!(name.as_ref(), "process.meant" | "process.name" | "process.fds"))
    {
        return;
    }
    let status = gather.host.read(STATUS).map_err(|refusal| refusal.gap(STATUS));
    for (name, key, column, radix) in [
        ("process.uid", "Uid:", 1, 10),
        ("process.real_uid", "Uid:", 0, 10),
        ("process.threads", "Threads:", 0, 10),
        ("process.capabilities", "CapEff:", 0, 16),
    ] {
        if gather.wants(name) {
            let reading = status.as_ref().map_err(Gap::clone).and_then(|bytes| field(bytes, key, column, radix));
            gather.put(name, reading, STATUS);
        }
    }
}

/// `limit.nofile.soft` from /proc/PID/limits. Written here because the format's usual parser indexes out of range on a
/// short line, and a recording may hold any bytes.
pub(super) fn limit(bytes: &[u8], name: &str) -> Reading {
    let title = if name.starts_with("limit.nofile.") { "Max open files" } else { "Max processes" };
    let at = usize::from(name.ends_with(".hard"));
    let text = text(bytes);
    let line = text.lines().find_map(|line| line.strip_prefix(title));
    match line.and_then(|line| line.split_whitespace().nth(at)) {
        Some("unlimited") => Ok(Value::Unlimited),
        Some(word) => word.parse().map(Value::Number).map_err(|_| Gap::unparsable(LIMITS, word.as_bytes())),
        None => Err(Gap::unparsable(LIMITS, line.unwrap_or(&text).as_bytes())),
    }
}

/// Open files: `st_size` of the directory is their number since Linux 6.2, and 0 before.
pub(super) fn fds_in(gather: &Gather<'_>, folder: &str) -> Reading {
    let size = gather.host.ask(Query { ask: Ask::Size, of: folder }).map_err(|refusal| refusal.gap(folder))?;
    match text(&size).trim().parse() {
        Ok(count) if count > 0 => Ok(Value::Number(count)),
        _ => match gather.host.list(folder) {
            Ok(names) => Ok(Value::Number(names.len() as i128)),
            Err(refusal) => Err(refusal.gap(folder)),
        },
    }
}

/// An answer that is one number.
pub(super) fn counted(of: &str, bytes: &[u8]) -> Reading {
    number(&text(bytes)).map(Value::Number).ok_or_else(|| Gap::unparsable(of, bytes))
}

fn field(bytes: &[u8], key: &str, column: usize, radix: u32) -> Reading {
    let text = text(bytes);
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let Some(word) = line.and_then(|line| line.split_whitespace().nth(column)) else {
        return Err(Gap::new(Cause::Absent, format!("{STATUS} has no {key}")));
    };
    i128::from_str_radix(word, radix).map(Value::Number).map_err(|_| Gap::unparsable(STATUS, word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"Limit                     Soft Limit           Hard Limit           Units     \n\
        Max processes             unlimited            96343                processes \n\
        Max open files            1024                 unlimited            files     \n";

    #[test]
    fn unlimited_is_a_value() {
        assert_eq!(limit(SAMPLE, "limit.nofile.soft"), Ok(Value::Number(1024)));
        assert_eq!(limit(SAMPLE, "limit.nofile.hard"), Ok(Value::Unlimited));
        assert_eq!(limit(SAMPLE, "limit.nproc.soft"), Ok(Value::Unlimited));
        assert_eq!(limit(b"Max open files   what", "limit.nofile.soft").unwrap_err().cause, Cause::Unparsable);
        assert_eq!(limit(b"\n\n", "limit.nofile.soft").unwrap_err().cause, Cause::Unparsable);
    }

    #[test]
    fn status_fields_by_name() {
        let status = b"Name:\tx\nUid:\t1000\t0\t0\t0\nCapEff:\t000001fffeffffff\n";
        assert_eq!(field(status, "Uid:", 1, 10), Ok(Value::Number(0)));
        assert_eq!(field(status, "CapEff:", 0, 16), Ok(Value::Number(0x01ff_feff_ffff)));
        assert_eq!(field(status, "Gone:", 0, 10).unwrap_err().cause, Cause::Absent);
    }
}
