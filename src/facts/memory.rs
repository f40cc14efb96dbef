//! Memory and tasks of the whole machine.

use procfs::{FromRead, LoadAverage};

use super::{Gather, Source, number, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};

const MEMINFO: &str = "/proc/meminfo";
const LOADAVG: &str = "/proc/loadavg";

const fn entry(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope: Scope::Host, meaning, read, document: "https://docs.kernel.org/filesystems/proc.html" }
}

pub(super) const SOURCE: Source = Source {
    families: &["memory", "tasks"],
    read,
    entries: &[
        entry("memory.total", Unit::Bytes, MEMINFO, "memory of the machine"),
        entry("memory.available", Unit::Bytes, MEMINFO, "memory that can be had without swapping"),
        entry("tasks.count", Unit::Count, LOADAVG, "processes and threads on the machine"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    gather.fill_with(
        "memory",
        MEMINFO,
        |bytes| Some(text(bytes).into_owned()),
        |text, key| {
            let title = if key == "total" { "MemTotal:" } else { "MemAvailable:" };
            // The unit in the file is kB and means KiB.
            let rest = text.lines().find_map(|line| line.strip_prefix(title))?;
            let bytes = number(rest).and_then(|kib| kib.checked_mul(1024)).map(Value::Number);
            Some(bytes.ok_or_else(|| Gap::unparsable(title, rest.as_bytes())))
        },
    );
    if gather.wants("tasks.count") {
        let reading = match gather.host.read(LOADAVG) {
            Ok(bytes) => LoadAverage::from_read(bytes.as_slice())
                .map(|load| Value::Number(load.max.into()))
                .map_err(|_| Gap::unparsable(LOADAVG, &bytes)),
            Err(refusal) => Err(refusal.gap(LOADAVG)),
        };
        gather.put("tasks.count", reading, LOADAVG);
    }
}
