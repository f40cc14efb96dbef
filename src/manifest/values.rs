//! Values of sysctls that are no value of that sysctl: the kernel refuses them, and the pod's sandbox is never made.

use super::pods::{Spec, fault};
use super::shown;
use super::sysctls::Sysctl;
use crate::model::finding::Outcome;
use crate::model::kernel_sysctls::{self, Whose};
use crate::model::manifest::Fault;

pub(super) fn judge(spec: &Spec<'_>, sysctls: &[Sysctl<'_>], faults: &mut Vec<Fault>) {
    for sysctl in sysctls.iter().filter(|sysctl| !sysctl.value.trim().is_empty()) {
        let Some(known) = kernel_sysctls::find(&sysctl.name) else { continue };
        if !matches!(known.whose, Whose::NetworkNamespace | Whose::IpcNamespace) || known.accepts(sysctl.value) {
            continue;
        }
        let says = format!(
            "{} is no value of {}: the kernel refuses it, and the sandbox is never made",
            shown(sysctl.value),
            shown(&sysctl.name)
        );
        faults.push(fault("sysctl-value", Outcome::Fail, sysctl.mark, spec.subject(), [says, known.in_words()]));
    }
}
