//! The kernel, the name of the machine, its processors, and the namespaces of the reader.

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::ports::Ports;

pub(super) const ONLINE: &str = "/sys/devices/system/cpu/online";
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";
const HOSTNAME: &str = "/proc/sys/kernel/hostname";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const MODULES: &str = "/proc/modules";
const NET: &str = "/proc/self/ns/net";

const fn entry(name: &'static str, unit: Unit, scope: Scope, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope, meaning, read, document: "https://man7.org/linux/man-pages/man7/namespaces.7.html" }
}

pub(super) const SOURCE: Source = Source {
    families: &["kernel", "cpu", "namespace"],
    read,
    entries: &[
        entry("kernel.release", Unit::Text, Scope::Host, "uname", "release of the running kernel"),
        entry("kernel.node", Unit::Text, Scope::Host, "uname", "host name of this UTS namespace"),
        entry("kernel.boot_id", Unit::Text, Scope::Host, BOOT_ID, "random name of this boot: another one after each"),
        entry("kernel.modules", Unit::Text, Scope::Host, MODULES, "loaded modules, a blank between them"),
        entry("cpu.online", Unit::Count, Scope::Host, ONLINE, "processors in use by the kernel"),
        entry("cpu.affinity", Unit::Count, Scope::Process, "/proc/self/status", "processors the process may run on"),
        entry(
            "namespace.net.inode",
            Unit::Text,
            Scope::Netns,
            NET,
            "inode number of the network namespace; a later one may get it again",
        ),
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
    if gather.wants("kernel.modules") {
        let names = |bytes: Vec<u8>| {
            let names: Vec<String> =
                text(&bytes).lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
            Value::Text(names.join(" "))
        };
        let modules = gather.host.read(MODULES).map(names).map_err(|refusal| refusal.gap(MODULES));
        gather.put("kernel.modules", modules, MODULES);
    }
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
    if gather.wants("kernel.boot_id") {
        let reading =
            gather.host.read(BOOT_ID).map_err(|refusal| refusal.gap(BOOT_ID)).and_then(|bytes| boot_id(&bytes));
        gather.put("kernel.boot_id", reading, BOOT_ID);
    }
    if gather.wants("namespace.net.inode") {
        let reading = gather.host.link(NET).map_err(|refusal| refusal.gap(NET)).and_then(|target| inode(&target));
        gather.put("namespace.net.inode", reading, NET);
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

/// A UUID, as the kernel prints it.
fn boot_id(bytes: &[u8]) -> Reading {
    let text = text(bytes);
    let id = text.trim();
    match id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        true => Ok(Value::Text(id.to_owned())),
        false => Err(Gap::unparsable(BOOT_ID, bytes)),
    }
}

/// The number in `net:[4026531840]`.
fn inode(target: &str) -> Reading {
    let number = target.strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
    match number.and_then(|number| number.parse::<u64>().ok()) {
        Some(number) => Ok(Value::Text(number.to_string())),
        None => Err(Gap::unparsable(NET, target.as_bytes())),
    }
}

/// How many processors a list such as `0-3,8` names. The notation is that of port lists.
pub(super) fn cpu_list(path: &str, bytes: &[u8]) -> Reading {
    match text(bytes).parse::<Ports>() {
        Ok(list) if !list.is_empty() => Ok(Value::Number(list.count().into())),
        Ok(_) => Err(Gap::new(Cause::Unparsable, format!("{path} is empty"))),
        Err(_) => Err(Gap::unparsable(path, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_and_a_namespace_are_named_as_the_kernel_prints_them_or_not_at_all() {
        let id = "0f6f0a36-7a3c-4b58-8b53-5d2c9d3c9a11";
        assert_eq!(boot_id(format!("{id}\n").as_bytes()), Ok(Value::Text(id.to_owned())));
        assert_eq!(inode("net:[4026531840]"), Ok(Value::Text("4026531840".to_owned())));
        for bytes in [&b""[..], b"\xff\0", b"0f6f0a36", "é".repeat(18).as_bytes()] {
            assert!(boot_id(bytes).is_err_and(|gap| gap.cause == Cause::Unparsable));
        }
        for target in ["", "net:[", "net:[]", "pid:[4026531836]", "net:[-1]", "net:[99999999999999999999]"] {
            assert!(inode(target).is_err_and(|gap| gap.cause == Cause::Unparsable), "{target}");
        }
    }
}
