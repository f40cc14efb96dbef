//! Why a line of a boot file has no effect, and what to do about it.

use super::super::kernel::{ONLINE, cpu_list};
use super::super::signs::is_node;
use super::super::{Gather, text, tuned};
use super::files::{RUNNING, reader};
use super::lines::Reader;
use super::read_one;
use crate::host::Host;
use crate::model::fact::{Cause, Value};
use crate::model::sysctl::known::{self, Family};
use crate::model::sysctl::kube_proxy;
use crate::model::version::Version;

/// Why, and what to do.
pub(super) type Told = [String; 2];

const MODULE_FOLDERS: [&str; 4] =
    ["/etc/modules-load.d", "/run/modules-load.d", "/usr/local/lib/modules-load.d", "/usr/lib/modules-load.d"];
/// Read by scripts of init, and by systemd where a link in a folder leads to it.
const MODULES: &str = "/etc/modules";
const CMDLINE: &str = "/proc/cmdline";
const LOADED: &str = "/proc/modules";

/// Why a sysctl that a line sets does not exist; none where that is no fault of the line: an interface comes later, and
/// is given its values then.
pub(super) fn of_absence(gather: &Gather<'_>, name: &str, by: &str, at: &str, kernel: Option<Version>) -> Option<Told> {
    let told = |why: String, mend: String| Some([why, mend]);
    let delete = || format!("take the line out: {at}");
    if let Some(odd) = odd_character(by) {
        return told(format!("its name holds {odd}, so it names no sysctl"), format!("write the name anew: {at}"));
    }
    if let Some(rest) = name.strip_prefix("proc.sys.") {
        return told("a name begins below /proc/sys".to_owned(), format!("write {rest} in {at}"));
    }
    if let Some(new) = known::renamed(name) {
        return told(format!("it is called {new} now"), format!("write {new} in {at}"));
    }
    let release = gather.facts.text("kernel.release").unwrap_or("of unknown release");
    if let Some(removed) = known::removed_in(name)
        && kernel.is_none_or(|kernel| kernel >= removed)
    {
        return told(format!("Linux {removed} took it out, and this is {release}"), delete());
    }
    if is_of_interface(name) {
        return None;
    }
    if let Some(family) = known::family_of(name)
        && (family.witness == name || is_absent(gather, family.witness))
    {
        let Family { module, .. } = family;
        let mend = format!(
            "if it is wanted: {module} in a file of /etc/modules-load.d, which is read before {at} is applied, and now modprobe {module} and sysctl -p {}; else take the line out",
            at.rsplit_once(':').map_or(at, |(file, _)| file)
        );
        return told(format!("the module {module}, which brings it, is not loaded"), mend);
    }
    told(format!("kernel {release} has no {name}"), format!("look for a slip in the name, or {}", delete()))
}

/// The character in a name by which it names no sysctl of any kernel, in words; none where there is no such.
pub(super) fn odd_character(name: &str) -> Option<String> {
    Some(match name.chars().find(|c| !c.is_ascii_graphic())? {
        '\u{a0}' => "a no-break space".to_owned(),
        '\u{feff}' => "a byte order mark".to_owned(),
        ' ' | '\t' => "a blank".to_owned(),
        odd => format!("U+{:04X}", u32::from(odd)),
    })
}

fn is_absent(gather: &Gather<'_>, name: &str) -> bool {
    read_one(gather, name).reading.is_err_and(|gap| gap.cause == Cause::Absent)
}

/// Whether a name is that of a sysctl that matters, and more: written from the root, or behind a mark.
pub(super) fn is_slip(name: &str) -> bool {
    name.strip_prefix("proc.sys.").or(name.strip_prefix('\u{feff}')).is_some_and(|rest| rest.starts_with("net."))
}

/// Whether a sysctl is one of a single network interface.
fn is_of_interface(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    matches!(parts.as_slice(), ["net", _, "conf" | "neigh", interface, _] if !["all", "default"].contains(interface))
}

/// Why the value now is another one than a line sets, which TuneD may apply again.
pub(super) fn of_drift(gather: &Gather<'_>, name: &str, again: bool, live: &Value) -> String {
    let why = of_overwriting(gather, name, again, live);
    match were_applied(gather.host) {
        true => why,
        false => format!(
            "nothing here shows that systemd ran (there is no {RUNNING}), so the boot files may never have been applied; if they were: {why}"
        ),
    }
}

/// Whether the boot files were applied, as far as it shows: a script of init applies them without a trace.
fn were_applied(host: &dyn Host) -> bool {
    reader(host) == Some(Reader::Procps) || !matches!(host.exists(RUNNING), Ok(false))
}

/// Why, if the line was applied.
fn of_overwriting(gather: &Gather<'_>, name: &str, again: bool, live: &Value) -> String {
    let shown = live.plain();
    let profile = (!again).then(|| tuned::set(gather.host, name)).flatten().filter(|(value, _)| value == live);
    if let Some((_, profile)) = profile {
        return format!(
            "TuneD's profile sets {shown} ({profile}), and it is applied after sysctl.d; after that TuneD applies again only /etc/sysctl.d, /run/sysctl.d and /etc/sysctl.conf, not what reapply_sysctl_exclude names, and nothing where reapply_sysctl is 0"
        );
    }
    let proxy =
        wrote_by_kube_proxy(gather, name, live).map(|wrote| format!("kube-proxy wrote {wrote} over it at its start"));
    let written = proxy.clone().unwrap_or_else(|| {
        format!("{}it was set by hand, and is lost at reboot, or somebody writes it after boot", who_writes(name))
    });
    let family = known::family_of(name).filter(|family| is_loadable(gather.host, family.module));
    let Some(Family { module, .. }) = family else { return written };
    let unnamed = match loaded_by(gather.host, module) {
        Ok(Some(file)) => return format!("{module} is loaded before ({file}), so the line did act: {written}"),
        Ok(None) => format!("no file of modules-load.d names {module}; "),
        Err(()) => String::new(),
    };
    match (is_what_the_module_brings(gather, name, live), proxy) {
        (true, Some(proxy)) => format!(
            "{proxy}; where none runs, the line was applied before {module} was loaded, and set nothing: {unnamed}{shown} is what it starts with"
        ),
        (false, Some(proxy)) => proxy,
        // What a module starts with may be what a program writes as well.
        (true, None) if !who_writes(name).is_empty() && gather.facts.holds("sign.kubelet") => format!(
            "{}or the line was applied before {module} was loaded, and set nothing: {unnamed}{shown} is what it starts with too",
            who_writes(name)
        ),
        (true, None) => format!(
            "the line was applied before {module} was loaded, and set nothing: {unnamed}{shown} is what it starts with"
        ),
        (false, None) => format!(
            "{}{unnamed}if {module} was loaded after the line was applied, the line set nothing; if not, somebody wrote over it later",
            who_writes(name)
        ),
    }
}

/// Programs that are known to write a sysctl when they start.
fn who_writes(name: &str) -> &'static str {
    match name {
        "net.ipv4.ip_forward" => {
            "Docker, libvirt, network plugins of Kubernetes and systemd-networkd (IPForward=, IPv4Forwarding=) write it when they start; "
        }
        "net.netfilter.nf_conntrack_max" => "kube-proxy writes it when it starts; ",
        "vm.overcommit_memory"
        | "vm.panic_on_oom"
        | "kernel.panic"
        | "kernel.panic_on_oops"
        | "kernel.keys.root_maxkeys"
        | "kernel.keys.root_maxbytes" => "the kubelet writes it when it starts; ",
        _ => "",
    }
}

/// Whether a module is one that was loaded: built in, its sysctls are there from the first moment on.
fn is_loadable(host: &dyn Host, module: &str) -> bool {
    match host.read(LOADED) {
        Ok(bytes) => text(&bytes).lines().any(|line| line.split(' ').next() == Some(module)),
        Err(_) => true,
    }
}

/// The file that has a module loaded before sysctls are set, if one does.
///
/// # Errors
/// Not all such files could be seen.
fn loaded_by(host: &dyn Host, module: &str) -> Result<Option<String>, ()> {
    let mut hidden = false;
    let same = |word: &str| word.replace('-', "_") == module;
    let names = |path: &String| {
        let bytes = host.read(path).unwrap_or_default();
        text(&bytes).lines().any(|line| same(line.trim()))
    };
    let mut files = Vec::new();
    for folder in MODULE_FOLDERS {
        match host.list(folder) {
            Ok(names) => {
                let named = names.into_iter().filter(|name| name.ends_with(".conf"));
                files.extend(named.map(|name| format!("{folder}/{name}")));
            }
            Err(refusal) => hidden |= !refusal.is_absent(),
        }
    }
    files.push(MODULES.to_owned());
    if let Some(found) = files.into_iter().find(names) {
        return Ok(Some(found));
    }
    let bytes = host.read(CMDLINE).unwrap_or_default();
    let cmdline = text(&bytes);
    let asked = cmdline.split_whitespace().filter_map(|word| {
        word.strip_prefix("rd.").unwrap_or(word).strip_prefix("modules_load=").or(word.strip_prefix("modules-load="))
    });
    let asked = asked.flat_map(|list| list.split(',')).any(same).then(|| CMDLINE.to_owned());
    if asked.is_none() && hidden { Err(()) } else { Ok(asked) }
}

/// Whether a value is the one that its module starts with.
fn is_what_the_module_brings(gather: &Gather<'_>, name: &str, live: &Value) -> bool {
    let buckets = read_one(gather, "net.netfilter.nf_conntrack_buckets").reading;
    let buckets = buckets.ok().and_then(|buckets| buckets.limit()).unwrap_or(0);
    let kernel: Option<Version> = gather.facts.text("kernel.release").and_then(|release| release.parse().ok());
    live.limit().is_some_and(|live| known::starts_with(name, live, buckets, kernel))
}

/// How kube-proxy comes to a value, on a node of Kubernetes where it does.
fn wrote_by_kube_proxy(gather: &Gather<'_>, name: &str, live: &Value) -> Option<String> {
    kube_proxy::key(name)?;
    if !is_node(gather.host) {
        return None;
    }
    let cpus = gather.host.read(ONLINE).ok().and_then(|bytes| cpu_list(ONLINE, &bytes).ok()?.limit());
    kube_proxy::wrote(name, live.limit()?, cpus)
}

/// The value of a sysctl as a person may see it: of one that is for root alone only whether it is the same.
pub(super) fn shown(name: &str, value: &Value, other: Option<&Value>) -> Value {
    if !known::is_secret(name) {
        return value.clone();
    }
    let same = |other: &Value| {
        let plain = |value: &Value| value.plain().to_ascii_lowercase();
        let address = |value: &Value| value.plain().parse::<std::net::Ipv6Addr>().ok();
        plain(value) == plain(other) || address(value).is_some_and(|of| address(other) == Some(of))
    };
    let words = if other.is_none_or(same) { "not shown" } else { "not shown, another one" };
    Value::Text(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_not_shown() {
        let name = "net.ipv6.conf.default.stable_secret";
        let value = |text: &str| Value::Text(text.to_owned());
        let live = value("2001:0db8:0000:0000:0000:0000:0000:0001");
        assert_eq!(shown(name, &value("2001:db8::1"), Some(&live)), shown(name, &live, None));
        assert_ne!(shown(name, &value("2001:db8::2"), Some(&live)), shown(name, &live, None));
        assert!(!shown(name, &value("2001:db8::2"), Some(&live)).plain().contains("2001"));
        assert_eq!(shown("net.core.somaxconn", &Value::Number(7), None), Value::Number(7));
    }

    #[test]
    fn an_interface_is_told_from_all_of_them() {
        assert!(
            is_of_interface("net.ipv4.conf.eth0.rp_filter") && is_of_interface("net.ipv6.neigh.hub0.retrans_time_ms")
        );
        assert!(!is_of_interface("net.ipv4.conf.all.rp_filter") && !is_of_interface("net.core.somaxconn"));
    }
}
