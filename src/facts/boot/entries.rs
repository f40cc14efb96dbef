//! What is known of the boot configuration of a sysctl, by name.

use super::{IDLE, LIVE, VALUE};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/sysctl.d.5.html";
    Entry { name, unit: Unit::Text, scope: Scope::Host, meaning, read: "sysctl.d", document }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry(VALUE, "value that the configuration files give a sysctl at boot, in the order of this machine's init"),
    entry(LIVE, "value that the sysctl has now"),
    entry("boot[*].systemd", "value by the order of systemd-sysctl"),
    entry("boot[*].procps", "value by the order of sysctl --system"),
    entry("boot[*].name", "name or pattern in the line that gives it"),
    entry("boot[*].names", "names of the same variable that lines set, a blank between them"),
    entry(
        "boot[*].last",
        "name in the line that is read after every other one for the sysctl, behind a minus where it gives no value",
    ),
    entry(IDLE, "why the line that should set a sysctl sets nothing"),
    entry("boot[*].mend", "what to do about that line"),
    entry("boot[*].cause", "why the value now is not that of the files"),
    Entry {
        unit: Unit::Mode,
        ..entry("boot[*].again", "1: TuneD applies a line for it again after its profile, so that the line wins")
    },
];
