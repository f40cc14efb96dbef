//! The kernel, the name of the machine, its processors, and the namespaces of the reader.

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::ports::Ports;

const ONLINE: &str = "/sys/devices/system/cpu/online";
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";
const HOSTNAME: &str = "/proc/sys/kernel/hostname";

const fn entry(name: &'static str, unit: Unit, scope: Scope, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope, meaning, read, document: "https://man7.org/linux/man-pages/man7/namespaces.7.html" }
}

pub(super) const SOURCE: Source = Source {
    families: &["kernel", "cpu", "namespace"],
    read,
    entries: &[
        entry("kernel.release", Unit::Text, Scope::Host, "uname", "release of the running kernel"),
        entry("kernel.node", Unit::Text, Scope::Host, "uname", "host name of this UTS namespace"),
        entry("cpu.online", Unit::Count, Scope::Host, ONLINE, "processors in use by the kernel"),
        entry("cpu.affinity", Unit::Count, Scope::Process, "/proc/self/status", "processors the process may run on"),
        entry(
            "namespace.pid.init",
            Unit::Mode,
            Scope::Pidns,
            "/proc/self/ns/pid",
            "1: the machine's first pid namespace",
        ),
        entry(
            "namespace.user.init",
            Unit::Mode,
            Scope::Process,
            "/proc/self/ns/user",
            "1: the machine's first user namespace",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants_any("kernel") {
        let uname = gather.host.ask(Query { ask: Ask::Uname, of: "" });
        for (name, line, path) in [("kernel.node", 2, HOSTNAME), ("kernel.release", 1, OSRELEASE)] {
            // A tree or a dump has no uname(2), and often the file.
            let text = match &uname {
                // Counted from the end: the name of a node may hold anything, line feeds too.
                Ok(bytes) => text(bytes)
                    .rsplitn(3, '\n')
                    .nth(line)
                    .map(str::to_owned)
                    .ok_or_else(|| Gap::unparsable("uname", bytes)),
                Err(_) => gather
                    .host
                    .read(path)
                    .map(|bytes| text(&bytes).trim().to_owned())
                    .map_err(|refusal| refusal.gap(path)),
            };
            gather.put(name, text.map(Value::Text), if uname.is_ok() { "uname" } else { path });
        }
    }
    if gather.wants("cpu.online") {
        let reading =
            gather.host.read(ONLINE).map_err(|refusal| refusal.gap(ONLINE)).and_then(|bytes| cpu_list(ONLINE, &bytes));
        gather.put("cpu.online", reading, ONLINE);
    }
    if gather.wants("cpu.affinity") {
        let path = "/proc/self/status";
        let reading = gather.host.read(path).map_err(|refusal| refusal.gap(path)).and_then(|bytes| {
            let text = text(&bytes);
            let list = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            cpu_list(path, list.unwrap_or("?").as_bytes())
        });
        gather.put("cpu.affinity", reading, path);
    }
    // The inode numbers of the first pid and user namespace are fixed: include/linux/proc_ns.h.
    for (name, path, first) in [
        ("namespace.pid.init", "/proc/self/ns/pid", "pid:[4026531836]"),
        ("namespace.user.init", "/proc/self/ns/user", "user:[4026531837]"),
    ] {
        if gather.wants(name) {
            let reading = match gather.host.link(path) {
                Ok(target) => Ok(Value::Number(i128::from(target == first))),
                Err(refusal) => Err(refusal.gap(path)),
            };
            gather.put(name, reading, path);
        }
    }
}

/// How many processors a list such as `0-3,8` names. The notation is that of port lists.
fn cpu_list(path: &str, bytes: &[u8]) -> Reading {
    match text(bytes).parse::<Ports>() {
        Ok(list) if !list.is_empty() => Ok(Value::Number(list.count().into())),
        Ok(_) => Err(Gap::new(Cause::Unparsable, format!("{path} is empty"))),
        Err(_) => Err(Gap::unparsable(path, bytes)),
    }
}
