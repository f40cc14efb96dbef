//! Values of sysctls that are no value of that sysctl: the kernel refuses them.

use super::pods::fault;
use super::shown;
use super::sysctls::Sysctl;
use crate::model::finding::Outcome;
use crate::model::kernel_sysctls::{self, Whose};
use crate::model::manifest::Fault;

/// `then` is what follows, as the end of a sentence.
pub(super) fn judge(subject: &str, then: &str, sysctls: &[Sysctl<'_>], faults: &mut Vec<Fault>) {
    for sysctl in sysctls.iter().filter(|sysctl| !sysctl.value.trim().is_empty()) {
        let Some(known) = kernel_sysctls::find(&sysctl.name) else { continue };
        if !matches!(known.whose, Whose::NetworkNamespace | Whose::IpcNamespace) || known.accepts(sysctl.value) {
            continue;
        }
        let says = format!(
            "{} is no value of {}: the kernel refuses it, and {then}",
            shown(sysctl.value),
            shown(&sysctl.name)
        );
        faults.push(fault("sysctl-value", Outcome::Fail, sysctl.mark, subject.to_owned(), [says, known.in_words()]));
    }
}
