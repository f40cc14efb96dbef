//! The files in which tunecheck's lines are kept.

/// Sorts after distributions' files and before a 99- of the owner's.
pub(super) const FIRST: &str = "/etc/sysctl.d/90-tunecheck.conf";
/// For a line that has to win over a file that sorts after `FIRST`.
const LAST: &str = "/etc/sysctl.d/zz-tunecheck.conf";

/// The file of our own that sorts after the line that sets a key now: the last assignment wins, by file name over all
/// directories (sysctl.d(5)).
pub(super) fn after(boot_line: Option<&str>) -> &'static str {
    let name = boot_line.map(|at| at.rsplit('/').next().unwrap_or_default());
    let name = name.map(|name| name.split(':').next().unwrap_or_default());
    if name.is_none_or(|name| name <= "90-tunecheck.conf") { FIRST } else { LAST }
}
