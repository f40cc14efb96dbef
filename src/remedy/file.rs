//! The files in which tunecheck's lines are kept.

use crate::model::action::SysctlEdit;

/// Sorts after distributions' files and before a 99- of the owner's.
pub(super) const FIRST: &str = "/etc/sysctl.d/90-tunecheck.conf";
/// For a line that has to win over a file that sorts after `FIRST`: the first of these that does.
const LATER: [&str; 4] = [
    "/etc/sysctl.d/zz-tunecheck.conf",
    "/etc/sysctl.d/zzz-tunecheck.conf",
    "/etc/sysctl.d/zzzz-tunecheck.conf",
    "/etc/sysctl.d/zzzzzzzz-tunecheck.conf",
];
/// `sysctl --system` reads it after every other file, whatever its name.
const READ_LAST: &str = "/etc/sysctl.conf:";

/// The file of our own that sorts after the line that sets a key now: the last assignment wins, by file name over all
/// directories (sysctl.d(5)).
pub(super) fn after(boot_line: Option<&str>) -> &'static str {
    let wins = |file: &&str| boot_line.is_none_or(|line| name(line) <= name(file));
    std::iter::once(FIRST).chain(LATER).find(wins).unwrap_or(FIRST)
}

/// Whether the line that sets a key now is read after each file of ours, and wins over it.
pub(super) fn is_beaten_by(boot_line: &str) -> bool {
    boot_line.starts_with(READ_LAST) || LATER.iter().all(|file| name(boot_line) > name(file))
}

/// Whether the line that sets a sysctl now is the one to change: the owner's own, no pattern that sets more, and the one
/// name under which any line sets it.
pub(super) fn is_edited_in_place(edit: &SysctlEdit, at: &str) -> bool {
    let alone = match (&edit.boot_name, edit.boot_names.as_slice()) {
        (Some(named), [only]) => named == only,
        (named, _) => named.is_none(),
    };
    at.starts_with("/etc/") && (alone || is_beaten_by(at))
}

/// The file name of `/etc/sysctl.d/99-site.conf:3`.
fn name(line: &str) -> &str {
    let name = line.rsplit('/').next().unwrap_or_default();
    name.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_our_own_wins_over_the_line_that_sets_a_key_now() {
        for (line, ours) in [
            (None, FIRST),
            (Some("/usr/lib/sysctl.d/50-default.conf:3"), FIRST),
            (Some("/etc/sysctl.d/90-tunecheck.conf:2"), FIRST),
            (Some("/etc/sysctl.d/99-site.conf:1"), LATER[0]),
            (Some("/etc/sysctl.d/zz-zz.conf:1"), LATER[1]),
            (Some("/etc/sysctl.d/zzz-site.conf:1"), LATER[1]),
            (Some("/etc/sysctl.d/zzzz.conf:1"), LATER[3]),
        ] {
            assert_eq!(after(line), ours, "{line:?}");
            assert!(line.is_none_or(|line| name(line) <= name(ours) && !is_beaten_by(line)));
        }
        assert!(is_beaten_by("/etc/sysctl.conf:7") && is_beaten_by("/etc/sysctl.d/~last.conf:1"));
        assert!(!is_beaten_by("/etc/sysctl.d/99-sysctl.conf:7"));
    }
}
