//! Sysctls that are one variable under two names, and those that the kernel moves when another one is written.
//!
//! Sources: net/netfilter/nf_conntrack_standalone.c, net/ipv4/devinet.c (`inet_forward_change`), net/ipv6/addrconf.c
//! (`addrconf_fixup_forwarding`, `addrconf_disable_ipv6`, `addrconf_fixup_linkdown`,
//! `addrconf_sysctl_addr_gen_mode`), net/core/neighbour.c, mm/page-writeback.c, mm/util.c.

use std::borrow::Cow;

/// A second name, and the one that is used here.
const ALIASES: &[(&str, &str)] = &[
    ("net.nf_conntrack_max", "net.netfilter.nf_conntrack_max"),
    ("net.ipv4.conf.all.forwarding", "net.ipv4.ip_forward"),
];

/// The last word of a name, the one of the same variable in milliseconds, and how many of those it counts in.
const IN_MILLISECONDS: &[(&str, &str, i128)] = &[
    (".base_reachable_time", ".base_reachable_time_ms", 1000),
    // In hundredths of a second (USER_HZ).
    (".retrans_time", ".retrans_time_ms", 10),
    (".gc_min_interval", ".gc_min_interval_ms", 1000),
];

/// The variable behind a name, and what a number under that name is multiplied by.
pub fn variable(name: &str) -> (Cow<'_, str>, i128) {
    if let Some((_, variable)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
        return (Cow::Borrowed(*variable), 1);
    }
    for (short, long, times) in IN_MILLISECONDS {
        if let Some(stem) = name.strip_suffix(short) {
            return (Cow::Owned(format!("{stem}{long}")), *times);
        }
    }
    (Cow::Borrowed(name), 1)
}

/// Every name of a variable, its own first.
pub fn names(variable: &str) -> Vec<Cow<'_, str>> {
    let aliases = ALIASES.iter().filter(|(_, of)| *of == variable).map(|(alias, _)| Cow::Borrowed(*alias));
    let in_other_units = IN_MILLISECONDS
        .iter()
        .filter_map(|(short, long, _)| Some(Cow::Owned(format!("{}{short}", variable.strip_suffix(long)?))));
    std::iter::once(Cow::Borrowed(variable)).chain(aliases).chain(in_other_units).collect()
}

/// The other names under which the same number is the same value.
pub fn aliases(variable: &str) -> impl Iterator<Item = &'static str> {
    ALIASES.iter().filter(move |(_, of)| *of == variable).map(|(alias, _)| *alias)
}

/// What a write to one variable makes of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// The value that is written.
    Same,
    /// 0 if that is not 0, else 1.
    Opposite,
    /// 0.
    Zero,
}

/// A variable that the kernel moves with another one.
#[derive(Clone, Copy, Debug)]
pub struct Lead {
    /// The one that is written.
    pub of: &'static str,
    /// The one that moves.
    pub to: &'static str,
    /// To what.
    pub becomes: Becomes,
    /// Whether it moves only where the write changes something.
    pub on_change: bool,
    /// What the kernel starts with in the one that is written.
    pub start: i128,
}

const fn lead(of: &'static str, to: &'static str, becomes: Becomes, on_change: bool, start: i128) -> Lead {
    Lead { of, to, becomes, on_change, start }
}

const LEADS: &[Lead] = &[
    lead("net.ipv4.ip_forward", "net.ipv4.conf.default.forwarding", Becomes::Same, true, 0),
    lead("net.ipv4.ip_forward", "net.ipv4.conf.all.accept_redirects", Becomes::Opposite, true, 0),
    lead("net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding", Becomes::Same, false, 0),
    lead("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6", Becomes::Same, false, 0),
    lead("net.ipv6.conf.all.addr_gen_mode", "net.ipv6.conf.default.addr_gen_mode", Becomes::Same, false, 0),
    lead(
        "net.ipv6.conf.all.ignore_routes_with_linkdown",
        "net.ipv6.conf.default.ignore_routes_with_linkdown",
        Becomes::Same,
        false,
        0,
    ),
    lead("vm.dirty_ratio", "vm.dirty_bytes", Becomes::Zero, true, 20),
    lead("vm.dirty_bytes", "vm.dirty_ratio", Becomes::Zero, true, 0),
    lead("vm.dirty_background_ratio", "vm.dirty_background_bytes", Becomes::Zero, false, 10),
    lead("vm.dirty_background_bytes", "vm.dirty_background_ratio", Becomes::Zero, false, 0),
    lead("vm.overcommit_ratio", "vm.overcommit_kbytes", Becomes::Zero, false, 50),
    lead("vm.overcommit_kbytes", "vm.overcommit_ratio", Becomes::Zero, false, 0),
];

/// What moves a variable.
pub fn leads_to(variable: &str) -> impl Iterator<Item = &'static Lead> {
    LEADS.iter().filter(move |lead| lead.to == variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_all_its_names() {
        assert_eq!(variable("net.nf_conntrack_max"), ("net.netfilter.nf_conntrack_max".into(), 1));
        assert_eq!(variable("net.core.somaxconn"), ("net.core.somaxconn".into(), 1));
        let (reachable, times) = variable("net.ipv4.neigh.default.base_reachable_time");
        assert_eq!((reachable.as_ref(), times), ("net.ipv4.neigh.default.base_reachable_time_ms", 1000));
        assert_eq!(names("net.ipv4.ip_forward"), ["net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding"]);
        assert_eq!(names(&reachable), [reachable.as_ref(), "net.ipv4.neigh.default.base_reachable_time"]);
        for (alias, name) in ALIASES {
            assert!(names(name).iter().any(|other| other == alias) && variable(name).0 == *name);
        }
    }

    #[test]
    fn what_leads_is_a_variable_and_what_it_leads_to_another() {
        for lead in LEADS {
            assert_eq!(variable(lead.of).0, lead.of);
            assert_eq!(variable(lead.to).0, lead.to);
            assert_ne!(lead.of, lead.to);
        }
        assert_eq!(leads_to("vm.dirty_ratio").map(|lead| lead.of).collect::<Vec<_>>(), ["vm.dirty_bytes"]);
    }
}
