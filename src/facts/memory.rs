//! Memory and tasks of the whole machine.

use procfs::{FromRead, LoadAverage};

use super::{Gather, Source, number, text};
use crate::host::{Ask, Host, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const PAGE: &str = "memory.page";
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";
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
        entry(
            PAGE,
            Unit::Bytes,
            "sysconf, or else the architecture",
            "bytes of a page, in which TCP memory is counted",
        ),
        entry("memory.available", Unit::Bytes, MEMINFO, "memory that can be had without swapping"),
        entry("tasks.count", Unit::Count, LOADAVG, "processes and threads on the machine"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants(PAGE) {
        let reading = page(gather.host);
        gather.put(PAGE, reading.map(Value::Number), "sysconf, or else the architecture");
        gather.wanted.remove(PAGE);
    }
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

/// The bytes of a page: as the machine says, or else as its architecture has it, where that leaves no choice.
fn page(host: &dyn Host) -> Result<i128, Gap> {
    let asked = host.ask(Query { ask: Ask::PageSize, of: "" });
    let told = asked.as_ref().ok().and_then(|bytes| number(&text(bytes))).filter(|bytes| *bytes > 0);
    let of_architecture = || {
        let uname = host.ask(Query { ask: Ask::Uname, of: "" }).unwrap_or_default();
        let release = host.read(OSRELEASE).unwrap_or_default();
        page_of(text(&uname).rsplit('\n').next().unwrap_or_default(), &format!("{}\n{}", text(&uname), text(&release)))
    };
    told.or_else(of_architecture).ok_or_else(|| {
        let why = "nothing says how large a page of memory is: 4, 16 or 64 KiB by how the kernel was built";
        Gap::new(Cause::Unsupported, why)
    })
}

/// By the machine that uname names, or by the ending of the kernel's release.
fn page_of(machine: &str, release: &str) -> Option<i128> {
    const FOUR: [&str; 8] = ["x86_64", "amd64", "i686", "i386", "686", "s390x", "armv7l", "riscv64"];
    const SIXTY_FOUR: [&str; 2] = ["ppc64le", "ppc64"];
    let endings = || release.lines().filter_map(|line| line.trim().rsplit(['.', '-']).next()).chain([machine]);
    let is = |names: &[&str]| endings().any(|ending| names.contains(&ending));
    let words = || release.split(|c: char| !c.is_ascii_alphanumeric());
    // Of arm64 it shows where it is not the usual one: the 64k flavours, and Red Hat up to release 8.
    let large = || words().any(|word| word == "64k" || word.starts_with("el7") || word.starts_with("el8"));
    match () {
        () if is(&FOUR) => Some(4096),
        () if is(&SIXTY_FOUR) => Some(65_536),
        () if is(&["aarch64", "arm64"]) && large() => Some(65_536),
        () if words().any(|word| word == "64k") => Some(65_536),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_large_as_the_architecture_has_it_or_unknown() {
        for (machine, release, expected) in [
            ("x86_64", "node-a\n6.1.0-50-cloud-amd64\nx86_64", Some(4096)),
            ("", "6.1.0-50-cloud-amd64", Some(4096)),
            ("", "4.18.0-553.el8_10.ppc64le\n", Some(65_536)),
            ("", "4.18.0-553.el8_10.aarch64", Some(65_536)),
            ("", "4.18.0-553.el8_10.x86_64", Some(4096)),
            ("aarch64", "n\n5.14.0-427.el9.aarch64+64k\naarch64", Some(65_536)),
            ("aarch64", "n\n6.8.0-40-generic\naarch64", None),
            ("", "6.8.0-40-generic", None),
            ("", "", None),
        ] {
            assert_eq!(page_of(machine, release), expected, "{machine} {release:?}");
        }
    }
}
