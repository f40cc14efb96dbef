//! Pressure stall information (PSI): how much of the time tasks stood still for want of CPU, memory or disk.
//!
//! Averages are whole percent, rounded down; the kernel prints hundredths of a percent, which no bound needs. `total` is
//! exact, in microseconds: its rise over a window is the `share` of that window. Averages reach back to before it.

use super::{Gather, Source, over, text};
use crate::host::Refusal;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const DOCUMENT: &str = "https://docs.kernel.org/accounting/psi.html";
const CPU: &str = "/proc/pressure/cpu";
const MEMORY: &str = "/proc/pressure/memory";
const IO: &str = "/proc/pressure/io";

const fn host(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope: Scope::Host, meaning, read, document: DOCUMENT }
}

/// There is no `pressure.cpu.full`: for the whole machine the kernel prints a constant zero.
pub(super) const SOURCE: Source = Source {
    families: &["pressure"],
    read,
    entries: &[
        host("pressure.cpu.some.avg10", Unit::Percent, CPU, "time in which some task waited for a CPU, last 10 s"),
        host("pressure.cpu.some.avg60", Unit::Percent, CPU, "time in which some task waited for a CPU, last 60 s"),
        host("pressure.cpu.some.share", Unit::Percent, CPU, "time in which some task waited for a CPU, of the window"),
        host(
            "pressure.cpu.some.total",
            Unit::Microseconds,
            CPU,
            "time in which some task waited for a CPU, since boot",
        ),
        host(
            "pressure.memory.some.avg10",
            Unit::Percent,
            MEMORY,
            "time in which some task waited for memory, last 10 s",
        ),
        host(
            "pressure.memory.some.avg60",
            Unit::Percent,
            MEMORY,
            "time in which some task waited for memory, last 60 s",
        ),
        host(
            "pressure.memory.some.share",
            Unit::Percent,
            MEMORY,
            "time in which some task waited for memory, of the window",
        ),
        host(
            "pressure.memory.some.total",
            Unit::Microseconds,
            MEMORY,
            "time in which some task waited for memory, since boot",
        ),
        host(
            "pressure.memory.full.avg10",
            Unit::Percent,
            MEMORY,
            "time in which every task waited for memory, last 10 s",
        ),
        host(
            "pressure.memory.full.avg60",
            Unit::Percent,
            MEMORY,
            "time in which every task waited for memory, last 60 s",
        ),
        host(
            "pressure.memory.full.share",
            Unit::Percent,
            MEMORY,
            "time in which every task waited for memory, of the window",
        ),
        host(
            "pressure.memory.full.total",
            Unit::Microseconds,
            MEMORY,
            "time in which every task waited for memory, since boot",
        ),
        host("pressure.io.some.avg10", Unit::Percent, IO, "time in which some task waited for a disk, last 10 s"),
        host("pressure.io.some.avg60", Unit::Percent, IO, "time in which some task waited for a disk, last 60 s"),
        host("pressure.io.some.share", Unit::Percent, IO, "time in which some task waited for a disk, of the window"),
        host("pressure.io.some.total", Unit::Microseconds, IO, "time in which some task waited for a disk, since boot"),
        host("pressure.io.full.avg10", Unit::Percent, IO, "time in which every task waited for a disk, last 10 s"),
        host("pressure.io.full.avg60", Unit::Percent, IO, "time in which every task waited for a disk, last 60 s"),
        host("pressure.io.full.share", Unit::Percent, IO, "time in which every task waited for a disk, of the window"),
        host(
            "pressure.io.full.total",
            Unit::Microseconds,
            IO,
            "time in which every task waited for a disk, since boot",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for (family, path) in [("pressure.cpu", CPU), ("pressure.memory", MEMORY), ("pressure.io", IO)] {
        fill(gather, family, path, OFF);
    }
}

/// Why a machine has no such file, or one that answers EOPNOTSUPP (kernels of 4.20 and after, with PSI off).
const OFF: &str = "this kernel keeps no PSI: it needs CONFIG_PSI, and psi=1 on the kernel command line where \
                   CONFIG_PSI_DEFAULT_DISABLED is set";

/// End of the name of a share of the window: it is worked out when the window closes, from the total beside it.
pub(super) const SHARE: &str = ".share";

/// Fills the wanted names `FAMILY.some.avg10` and so on from a file of PSI, if there are any; `off` says why the file may
/// be missing.
pub(super) fn fill(gather: &mut Gather<'_>, family: &str, path: &str, off: &str) {
    let names = gather.wanted(family);
    if names.is_empty() {
        return;
    }
    let answer = gather.host.read(path).map_err(|refusal| match refusal {
        _ if refusal.is_absent() => Gap::new(Cause::Absent, off),
        Refusal::Errno(EOPNOTSUPP) => Gap::new(Cause::Absent, off),
        _ => refusal.gap(path),
    });
    let answer = answer.as_ref().map(|bytes| text(bytes));
    for name in names {
        let key = name.get(family.len() + 1..).unwrap_or_default();
        let read = |key: &str| match &answer {
            Ok(text) => figure(path, text, key),
            Err(gap) => Err((*gap).clone()),
        };
        let reading = match key.strip_suffix(SHARE) {
            Some(kind) => {
                let total = read(&format!("{kind}.total"));
                let share = total.clone().and_then(|_| Err(over::no_window()));
                gather.put(format!("{family}.{kind}.total"), total, path.to_owned());
                share
            }
            None => read(key),
        };
        gather.put(name, reading, path.to_owned());
    }
}

/// The kernel's error number for what it knows and has switched off.
const EOPNOTSUPP: i32 = 95;

/// The figure of a key such as `some.avg10` in lines such as `some avg10=0.25 avg60=0.11 avg300=0.02 total=134856223`.
fn figure(path: &str, text: &str, key: &str) -> Reading {
    let absent = || Gap::new(Cause::Absent, format!("{path} of this kernel has no {key}"));
    let (kind, name) = key.split_once('.').ok_or_else(absent)?;
    let mut lines = text.lines().map(str::split_whitespace);
    if text.trim().is_empty() {
        return Err(Gap::unparsable(path, text.as_bytes()));
    }
    let mut words = lines.find_map(|mut words| (words.next() == Some(kind)).then_some(words)).ok_or_else(absent)?;
    let word = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).ok_or_else(absent)?;
    let whole = match word.split_once('.') {
        Some((whole, hundredths)) if hundredths.bytes().all(|digit| digit.is_ascii_digit()) => whole,
        Some(_) => "",
        None => word,
    };
    whole.parse().map(Value::Number).map_err(|_| Gap::unparsable(path, word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::gather;
    use super::*;
    use crate::host::{Answer, Host, Query};
    use crate::model::facts::Facts;

    /// Read on 6.18 under load.
    const SAMPLE: &str = "some avg10=37.99 avg60=10.12 avg300=4.24 total=1547860123\n\
                          full avg10=0.05 avg60=0.00 avg300=0.00 total=95763788\n";

    #[test]
    fn averages_are_whole_percent_and_totals_exact() {
        let number = |key: &str| figure(MEMORY, SAMPLE, key);
        assert_eq!(number("some.avg10"), Ok(Value::Number(37)));
        assert_eq!(number("some.avg60"), Ok(Value::Number(10)));
        assert_eq!(number("some.total"), Ok(Value::Number(1_547_860_123)));
        assert_eq!(number("full.avg10"), Ok(Value::Number(0)));
        assert_eq!(number("full.total"), Ok(Value::Number(95_763_788)));
    }

    #[test]
    fn what_is_no_psi_is_no_pressure_of_zero() {
        // Before 5.13 the file of the CPU has one line.
        let one_line = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(figure(CPU, one_line, "full.avg10").unwrap_err().cause, Cause::Absent);
        for odd in ["", "\n", "some avg10=x", "some avg10=1.x", "some avg10=.5", "some avg10=", "\u{fffd}"] {
            assert!(figure(CPU, odd, "some.avg10").is_err(), "{odd:?}");
        }
    }

    struct Refusing(i32);

    impl Host for Refusing {
        fn ask(&self, _: Query<'_>) -> Answer {
            Err(Refusal::Errno(self.0))
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn psi_that_is_switched_off_says_how_to_switch_it_on() {
        for errno in [2, EOPNOTSUPP] {
            let mut facts = Facts::default();
            gather(&Refusing(errno), ["pressure.io.full.total"].into(), &mut facts);
            let gap = facts.value("pressure.io.full.total").unwrap_err();
            assert_eq!(gap.cause, Cause::Absent);
            assert!(gap.why.contains("psi=1"), "{gap}");
        }
        let mut facts = Facts::default();
        gather(&Refusing(13), ["pressure.cpu.some.avg10"].into(), &mut facts);
        assert_eq!(facts.value("pressure.cpu.some.avg10").unwrap_err().cause, Cause::Denied);
    }
}
