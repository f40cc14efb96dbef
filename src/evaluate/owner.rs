//! Who writes a value last, as far as facts show it.

use super::Context;
use crate::model::fact::Value;
use crate::model::place::{Kind, service_of};
use crate::model::rule::Rule;

/// Sysctls that the kubelet gives its own value at every start, or insists on: pkg/kubelet/cm of kubernetes.
const KUBELET: [&str; 6] = [
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
];

/// The owner of the judged value: a configuration file and line, or a program known to write it.
pub(super) fn of(rule: &Rule, context: Context<'_>, fact: &str) -> Option<String> {
    let place = context.place;
    if fact.starts_with("limit.") || fact.starts_with("serving.") {
        return Some(limits(context));
    }
    // Where the judged fact is no sysctl itself, the one that the fix would change is what somebody owns.
    let judged =
        fact.strip_prefix("sysctl.").or_else(|| fact.strip_prefix("boot[")?.split_once("].").map(|(key, _)| key));
    let key = judged.or_else(|| rule.fix.sysctl.first().map(|sysctl| sysctl.name))?;
    if place.node && key.starts_with("net.netfilter.nf_conntrack") {
        return Some("kube-proxy, where it runs, writes it at every start".into());
    }
    if place.node && KUBELET.contains(&key) {
        return Some(
            "the kubelet writes it at every start (with protectKernelDefaults it refuses to start instead)".into(),
        );
    }
    let tuned = tuned(context, key);
    let set = context.facts.get(&format!("boot[{key}].value")).filter(|set| set.reading.is_ok());
    let again = context.facts.holds(&format!("boot[{key}].again"));
    if tuned.is_some() && set.is_some() && !again {
        return tuned;
    }
    let Some(set) = set else {
        return tuned;
    };
    let reading = set.reading.as_ref().ok()?;
    let live = context.facts.value(&format!("boot[{key}].live")).ok();
    let same = live.is_none_or(|live| live == reading);
    let changed = if same { "" } else { ", and the live value differs" };
    // Of a line that is to go only that it is there counts, and a report that was written tells no more.
    let value = if rule.fix.remove == Some(key) { "it".to_owned() } else { reading.plain() };
    Some(format!("{} sets {value}{changed}", set.source))
}

/// TuneD, if its active profile sets the key.
fn tuned(context: Context<'_>, key: &str) -> Option<String> {
    let set = context.facts.get(&format!("tuned[{key}].value"))?;
    let value = set.reading.as_ref().ok()?.plain();
    let last = match context.facts.text(&format!("tuned[{key}].last")) {
        Some(why) => format!("and has the last word over sysctl.d ({why})"),
        None => "a line in /etc/sysctl.d wins over it (reapply_sysctl)".to_owned(),
    };
    Some(format!("TuneD: {} sets {value}; {last}", set.source))
}

/// Whether the process is one that was found by what it listens on.
fn is_found(context: Context<'_>) -> bool {
    let named = match context.facts.value("process.meant") {
        Ok(meant) => *meant == Value::Number(1),
        Err(_) => context.place.process.is_some(),
    };
    !named && context.facts.text("serving.process").is_some()
}

/// Who gave the audited process its limits.
fn limits(context: Context<'_>) -> String {
    match context.place.kind {
        Kind::Pod | Kind::HostNetworkPod => "the container runtime of the node".into(),
        Kind::Container => format!(
            "the container runtime{}",
            context.place.runtime.as_ref().map(|name| format!(" ({name})")).unwrap_or_default()
        ),
        _ if is_found(context) => {
            let process = context.facts.text("serving.process").unwrap_or_default();
            match context.facts.text("serving.cgroup").and_then(service_of) {
                Some(unit) => format!("{unit}, or whatever started {process} in it"),
                None => format!("whoever started {process}"),
            }
        }
        _ => match (&context.place.unit, &context.place.process) {
            (Some(unit), Some(process)) => format!("{unit}, or whatever started {process} in it"),
            (Some(unit), None) => format!("{unit}, or whatever started tunecheck in it"),
            (None, Some(process)) => format!("whoever started {process}"),
            (None, None) => "the shell or session that started tunecheck".into(),
        },
    }
}
