//! Capabilities that reading does not need are dropped, and cannot be had again.

use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::geteuid;

use super::Allowed;

/// Drops what is not needed. A sentence about it.
pub(super) fn drop_unneeded(allowed: Allowed<'_>) -> String {
    match kept(allowed) {
        Ok(kept) if kept.is_empty() => "no capabilities".to_owned(),
        Ok(kept) => {
            let mut names: Vec<String> = kept.iter().map(ToString::to_string).collect();
            names.sort();
            format!("no capabilities but {}", names.join(", "))
        }
        Err(why) => format!("capabilities were not dropped: {why}"),
    }
}

fn kept(allowed: Allowed<'_>) -> Result<CapsHashSet, caps::errors::CapsError> {
    let had = caps::read(None, CapSet::Permitted)?;
    // Without that capability a process may look only into those that have no more than it has (ptrace(2)).
    if allowed.processes && !had.contains(&Capability::CAP_SYS_PTRACE) {
        return Ok(had);
    }
    let is_needed = |capability: &Capability| is_needed(*capability, allowed, &had);
    let kept: CapsHashSet = had.iter().copied().filter(is_needed).collect();
    if kept.len() < had.len() {
        caps::set(None, CapSet::Effective, &kept)?;
        caps::set(None, CapSet::Permitted, &kept)?;
        // What it starts has no more.
        let handed_on = caps::read(None, CapSet::Inheritable)?.intersection(&kept).copied().collect();
        caps::set(None, CapSet::Inheritable, &handed_on)?;
    }
    Ok(kept)
}

fn is_needed(capability: Capability, allowed: Allowed<'_>, had: &CapsHashSet) -> bool {
    match capability {
        // Files of others, and folders on the way to them.
        Capability::CAP_DAC_READ_SEARCH => true,
        // The same where that is not there; and a folder of another user, to write into, is named by whoever starts this.
        Capability::CAP_DAC_OVERRIDE => allowed.makes.is_some() || !had.contains(&Capability::CAP_DAC_READ_SEARCH),
        // Descriptors and limits of other processes.
        Capability::CAP_SYS_PTRACE => allowed.processes,
        // Joining a namespace.
        Capability::CAP_SYS_ADMIN => allowed.others,
        // A command may run as another user.
        Capability::CAP_KILL => allowed.command,
        // Whether sysctls of the network may be written is answered by it where this is not root.
        Capability::CAP_NET_ADMIN => allowed.processes && !geteuid().is_root(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_reading_does_not_need_is_gone_for_good() {
        let told = thread::spawn(|| {
            let had = caps::read(None, CapSet::Permitted).unwrap();
            let told = drop_unneeded(Allowed::default());
            for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable] {
                let left = caps::read(None, set).unwrap();
                assert!(
                    left.iter().all(|one| had.contains(one) && *one == Capability::CAP_DAC_READ_SEARCH),
                    "{left:?}"
                );
            }
            if !had.is_empty() {
                assert!(caps::raise(None, CapSet::Permitted, Capability::CAP_SYS_ADMIN).is_err());
            }
            told
        });
        assert!(told.join().unwrap().starts_with("no capabilities"));
    }
}
