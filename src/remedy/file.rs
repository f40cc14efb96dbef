//! The files in which tunecheck's lines are kept.

/// Sorts after distributions' files and before a 99- of the owner's.
pub(super) const FIRST: &str = "/etc/sysctl.d/90-tunecheck.conf";
/// For a line that has to win over a file that sorts after `FIRST`.
const LAST: &str = "/etc/sysctl.d/zz-tunecheck.conf";

/// The file of our own that sorts after the line that sets a key now: the last assignment wins, by file name over all
/// directories (sysctl.d(5)).
pub(super) fn after(boot_line: Option<&str>) -> &'static str {
    if boot_line.is_none_or(|line| name(line) <= name(FIRST)) { FIRST } else { LAST }
}

/// Whether the line that sets a key now is read after each file of ours, and wins over it.
pub(super) fn is_beaten_by(boot_line: &str) -> bool {
    name(boot_line) > name(LAST)
}

/// The file name of `/etc/sysctl.d/99-site.conf:3`.
fn name(line: &str) -> &str {
    let name = line.rsplit('/').next().unwrap_or_default();
    name.split(':').next().unwrap_or_default()
}
