//! What a platform gives its nodes itself: nothing of it is lowered, dropped or written again in vain.

use super::super::admission::RESERVED;
use super::Takes;
use crate::model::action::{How, SysctlEdit};
use crate::model::ports::Ports;

/// Errs with the reason where the platform gives a value already, and something else writes over it.
pub(super) fn is_given(edit: &SysctlEdit, takes: &Takes) -> Result<(), String> {
    const NOT_HELD: &str = "does not hold, so a line like it would not either: the node's \
                            administrator finds out what writes over it (boot/drift)";
    if let Some(why) = &edit.overwritten {
        return Err(format!(
            "{why}. A line like it would not hold either: --to kubernetes has kube-proxy's setting, for the cluster's administrator"
        ));
    }
    let default = takes.defaults.iter().find(|(name, _)| *name == edit.name).map(|(_, value)| *value);
    if let (How::Raise, Some(default), Some(new)) = (edit.how, default, edit.new.limit())
        && new <= default
    {
        return Err(format!(
            "the platform gives its nodes {default} already, and a line with {new} would take its place: the node's \
             administrator finds out what lowers it there (boot/drift)"
        ));
    }
    match (&edit.boot_line, &edit.boot) {
        (Some(at), Some(boot)) if takes.file.is_some_and(|file| is_in(at, file)) && *boot == edit.new => {
            Err(format!("the platform's own {at} gives it {} already and {NOT_HELD}", boot.plain()))
        }
        _ => Ok(()),
    }
}

/// Whether `file:line` is a line of a file.
fn is_in(at: &str, file: &str) -> bool {
    at.strip_prefix(file).is_some_and(|line| line.starts_with(':'))
}

/// The value as it is written: a list together with that of the platform, in whose place it stands.
pub(super) fn written(edit: &SysctlEdit, takes: &Takes) -> String {
    let value = edit.new.plain();
    match (edit.name.as_str(), value.parse::<Ports>(), takes.reserved.parse::<Ports>()) {
        (RESERVED, Ok(list), Ok(of_platform)) => list.union(&of_platform).to_string(),
        _ => value,
    }
}
