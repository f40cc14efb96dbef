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

/// The file of our own that is read after these lines: the last assignment wins, by file name over all directories
/// (sysctl.d(5)). A line that is read after each of them cannot be beaten.
pub(super) fn after<'a>(lines: impl Iterator<Item = &'a str>) -> &'static str {
    lines.filter(|line| !is_last(line)).map(after_one).max().unwrap_or(FIRST)
}

fn after_one(line: &str) -> &'static str {
    std::iter::once(FIRST).chain(LATER).find(|file| name(line) <= name(file)).unwrap_or(FIRST)
}

/// The line that a file of ours has to be read after if it is to have the last word, and the name there.
pub(super) fn last_line(edit: &SysctlEdit) -> Option<(&str, &str)> {
    let set = edit.boot_line.as_deref().map(|at| (at, edit.name.as_str()));
    let last = edit.last_line.as_ref().map(|(at, name)| (at.as_str(), name.as_str()));
    set.into_iter().chain(last).max_by_key(|(at, _)| (at.starts_with(READ_LAST), name(at)))
}

/// The line that is read after each file of ours and wins over it, and the name there.
pub(super) fn winner(edit: &SysctlEdit) -> Option<(&str, &str)> {
    last_line(edit).filter(|(at, _)| is_last(at))
}

fn is_last(line: &str) -> bool {
    line.starts_with(READ_LAST) || LATER.iter().all(|file| name(line) > name(file))
}

/// Whether the line that sets a sysctl now is the one to change: the owner's own, the last that names it, no pattern that
/// sets more, and the one name under which any line sets it.
pub(super) fn is_edited_in_place(edit: &SysctlEdit, at: &str) -> bool {
    let alone = match (&edit.boot_name, edit.set_names.as_slice()) {
        (Some(named), [only]) => named == only,
        (named, _) => named.is_none(),
    };
    let last = edit.last_line.as_ref().is_none_or(|(last, _)| last == at);
    at.starts_with("/etc/") && last && (alone || is_last(at))
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
            assert_eq!(after(line.into_iter()), ours, "{line:?}");
            assert!(line.is_none_or(|line| name(line) <= name(ours) && !is_last(line)));
        }
        assert!(is_last("/etc/sysctl.conf:7") && is_last("/etc/sysctl.d/~last.conf:1"));
        assert!(!is_last("/etc/sysctl.d/99-sysctl.conf:7"));
    }
}
