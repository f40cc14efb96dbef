//! The actions of all findings as one plan: each change once, in the order in which to make them.

use super::needless;
use super::sysctl::both;
use crate::model::action::{Action, Edit, How, NofileEdit, Site, SysctlEdit};
use crate::model::check::Check;
use crate::model::fact::Value;
use crate::model::facts::grouped;
use crate::model::finding::{Finding, Outcome};
use crate::model::place::Place;
use crate::model::ports::Ports;
use crate::model::report::Report;
use crate::model::rule::Rule;

/// A change, and the rules that ask for it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The change.
    pub action: Action,
    /// The rules that ask for it.
    pub rules: Vec<&'static str>,
    /// What they are about, where they judge each of several.
    pub subjects: Vec<String>,
    /// What the first of them says is wrong.
    pub says: String,
    /// Who writes the value last, as far as it shows.
    pub owner: Option<String>,
    /// What is still missing once it is made.
    pub short: Option<String>,
}

/// Two rules that ask for different values of one switch. Neither is applied: a person decides.
#[derive(Clone, Debug)]
pub struct Conflict {
    /// The sysctl.
    pub name: String,
    /// Who asks for what.
    pub wishes: Vec<(&'static str, Value)>,
}

/// Everything to change, by site.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the audit stood.
    pub place: Place,
    /// The host name, if it is known.
    pub node: Option<String>,
    /// The changes, in the order in which to make them.
    pub steps: Vec<Step>,
    /// What the rules do not agree on.
    pub conflicts: Vec<Conflict>,
    /// Rules that pass once every change is made: those that judge what is changed. A rule that judges a counter asks
    /// for changes as well, but its total stays.
    pub claims: Vec<&'static str>,
    /// What the reader has to know about the whole, one sentence each.
    pub notes: Vec<String>,
    /// How many findings warn or fail.
    pub urgent: usize,
    /// How many findings could not be checked.
    pub unknown: usize,
}

impl Plan {
    /// The plan for what warns or fails in a report.
    pub fn of<'a>(report: &Report, rule: impl Fn(&str) -> Option<&'a Rule>) -> Self {
        let mut plan = Self {
            place: report.place.clone(),
            node: report.node.clone(),
            steps: Vec::new(),
            conflicts: Vec::new(),
            claims: Vec::new(),
            notes: report.notes.clone(),
            urgent: 0,
            unknown: report.count(Outcome::Unknown),
        };
        let mut urgent = Vec::new();
        for finding in report.findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Warn | Outcome::Fail))
        {
            let Some(rule) = rule(finding.rule) else { continue };
            plan.urgent += 1;
            urgent.push(rule);
            let changes = finding.fix.iter().any(|action| is_mending(&action.edit));
            let need = finding.want.warn_below.or(finding.want.fail_below);
            let short = need.and_then(|need| shortfall(&finding.fix, need));
            if changes && short.is_none() && !stays_counted(rule, finding) && !plan.claims.contains(&rule.id) {
                plan.claims.push(rule.id);
            }
            for action in &finding.fix {
                plan.add(Step {
                    owner: owner(finding, rule, action, report.place.node),
                    short: short.clone().filter(|_| is_widened(&action.edit).is_some()),
                    rules: vec![rule.id],
                    subjects: finding.subject.iter().cloned().collect(),
                    says: finding.says.clone(),
                    action: action.clone(),
                });
            }
        }
        let disputed = |step: &Step, conflicts: &[Conflict]| matches!(&step.action.edit, Edit::Sysctl(edit) if conflicts.iter().any(|conflict| conflict.name == edit.name));
        let conflicts = std::mem::take(&mut plan.conflicts);
        plan.steps.retain(|step| !disputed(step, &conflicts));
        let wishing = |id: &&str| conflicts.iter().any(|conflict| conflict.wishes.iter().any(|(rule, _)| rule == id));
        plan.claims.retain(|id| !wishing(id));
        plan.conflicts = conflicts;
        needless::drop(&mut plan, &urgent);
        plan.steps.sort_by_key(|step| (step.action.site, rank(&step.action.edit)));
        plan
    }

    /// The sites that have changes, in order.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites: Vec<Site> = self.steps.iter().map(|step| step.action.site).collect();
        sites.dedup();
        sites
    }

    /// The steps of some sites.
    pub fn at<'a>(&'a self, sites: &'a [Site]) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(|step| sites.contains(&step.action.site))
    }

    /// The sysctls of some sites, with their steps.
    pub fn sysctls<'a>(&'a self, sites: &'a [Site]) -> impl Iterator<Item = (&'a Step, &'a SysctlEdit)> {
        self.at(sites).filter_map(|step| match &step.action.edit {
            Edit::Sysctl(edit) => Some((step, edit)),
            _ => None,
        })
    }

    /// The new limits on open files, if any site asks for them.
    pub fn nofile<'a>(&'a self, sites: &'a [Site]) -> Option<(&'a Step, &'a NofileEdit)> {
        self.at(sites).find_map(|step| match &step.action.edit {
            Edit::Nofile(edit) => Some((step, edit)),
            _ => None,
        })
    }

    /// The limits on open files that come down, if any site asks for it.
    pub fn lowered_nofile<'a>(&'a self, sites: &'a [Site]) -> Option<(&'a Step, &'a NofileEdit)> {
        self.at(sites).find_map(|step| match &step.action.edit {
            Edit::LowerNofile(edit) => Some((step, edit)),
            _ => None,
        })
    }

    fn add(&mut self, new: Step) {
        let same = |old: &&mut Step| old.action.site == new.action.site && is_same(&old.action, &new.action);
        let Some(old) = self.steps.iter_mut().find(same) else { return self.steps.push(new) };
        let joined = match (&old.action.edit, &new.action.edit) {
            (Edit::Sysctl(one), Edit::Sysctl(other)) => match joined(one, other) {
                Some(edit) => Edit::Sysctl(edit),
                None => return dispute(&mut self.conflicts, (one, &old.rules), (other, &new.rules)),
            },
            (Edit::LowerNofile(one), Edit::LowerNofile(other)) => {
                Edit::LowerNofile(NofileEdit { soft: one.soft.max(other.soft), hard: one.hard.max(other.hard), ..*one })
            }
            (Edit::Nofile(one), Edit::Nofile(other)) => Edit::Nofile(NofileEdit {
                soft: one.soft.max(other.soft),
                hard: one.hard.max(other.hard),
                ceiling: one.ceiling.or(other.ceiling),
                ..*one
            }),
            (edit, _) => edit.clone(),
        };
        // The words are those of the greater change.
        if joined != old.action.edit {
            old.action = Action { edit: joined, ..new.action.clone() };
        }
        old.action.safety = old.action.safety.max(new.action.safety);
        old.action.takes_effect = old.action.takes_effect.max(new.action.takes_effect);
        old.rules.extend(new.rules.iter().filter(|rule| !old.rules.contains(rule)).copied().collect::<Vec<_>>());
        old.subjects.extend(new.subjects);
    }
}

/// Whether a total speaks against the machine, which stays what it is when the limit behind it is mended.
fn stays_counted(rule: &Rule, finding: &Finding) -> bool {
    let risen = |fact: &str| {
        finding.evidence.iter().any(|proof| proof.fact == fact && proof.value.as_ref().is_ok_and(|&total| total > 0))
    };
    matches!(rule.check, Check::NotRising { .. })
        || rule.evidence.iter().any(|evidence| evidence.warns && risen(evidence.fact))
}

/// Who writes a value last: of a sysctl the line that sets this one, since a rule may change several. Words for a person
/// have no owner but that person.
fn owner(finding: &Finding, rule: &Rule, action: &Action, node: bool) -> Option<String> {
    // Beside the sysctl that is judged, or the first that the fix changes, nobody was looked for; kube-proxy writes several.
    let judged = finding.fact.strip_prefix("sysctl.").or(rule.fix.sysctl.first().map(|fix| fix.name));
    let beside = |edit: &Edit| matches!(edit, Edit::Sysctl(edit) if !node && Some(edit.name.as_str()) != judged);
    let of_rule = finding.owner.clone().filter(|_| is_mending(&action.edit) && !beside(&action.edit));
    match &action.edit {
        _ if action.site == Site::KubeProxy => of_rule,
        Edit::Sysctl(SysctlEdit { boot_line: Some(at), boot: Some(value), tuned: None, .. }) => {
            Some(format!("{at} sets {}", value.plain()))
        }
        Edit::Sysctl(_) => of_rule.filter(|owner| !owner.starts_with('/')),
        _ => of_rule,
    }
}

/// Whether an edit alters what a rule judges; what the kubelet or a resolver is told does not.
fn is_mending(edit: &Edit) -> bool {
    matches!(edit, Edit::Sysctl(_) | Edit::Nofile(_) | Edit::LowerNofile(_) | Edit::RemoveLine { .. })
}

/// The ports of a range that is widened.
fn is_widened(edit: &Edit) -> Option<Ports> {
    let Edit::Sysctl(SysctlEdit { how: How::Widen, new: Value::Numbers(ends), .. }) = edit else { return None };
    let [low, high] = ends.as_slice() else { return None };
    Some(Ports::range(u16::try_from(*low).ok()?, u16::try_from(*high).ok()?))
}

/// What a range lacks even when it is as wide as it can be, reserved ports taken out.
fn shortfall(actions: &[Action], need: i128) -> Option<String> {
    let range = actions.iter().find_map(|action| is_widened(&action.edit))?;
    let reserved = actions.iter().find_map(|action| match &action.edit {
        Edit::Sysctl(SysctlEdit { how: How::Add, new: Value::Ports(ports), .. }) => Some(ports),
        _ => None,
    });
    let usable = i128::from(reserved.map_or(range.count(), |reserved| range.difference(reserved).count()));
    (usable < need).then(|| {
        format!(
            "there are {} ports even then, and connect() is quick with {} or more: what is missing takes more destination or source addresses, fewer connections, or connections that are kept open",
            grouped(usable),
            grouped(need)
        )
    })
}

fn is_same(one: &Action, other: &Action) -> bool {
    match (&one.edit, &other.edit) {
        (Edit::Sysctl(one), Edit::Sysctl(other)) => one.name == other.name,
        (Edit::Nofile(_), Edit::Nofile(_))
        | (Edit::LowerNofile(_), Edit::LowerNofile(_))
        | (Edit::Ndots(_), Edit::Ndots(_)) => true,
        (Edit::Advice, Edit::Advice) => one.lines == other.lines,
        (one, other) => one == other,
    }
}

fn joined(one: &SysctlEdit, other: &SysctlEdit) -> Option<SysctlEdit> {
    let new = (one.how == other.how).then(|| both(one.how, &one.new, &other.new)).flatten()?;
    Some(SysctlEdit { new, ..one.clone() })
}

fn dispute(
    conflicts: &mut Vec<Conflict>,
    (one, ones): (&SysctlEdit, &[&'static str]),
    (other, others): (&SysctlEdit, &[&'static str]),
) {
    let wish = |edit: &SysctlEdit, rules: &[&'static str]| -> Vec<_> {
        rules.iter().map(|rule| (*rule, edit.new.clone())).collect()
    };
    match conflicts.iter_mut().find(|conflict| conflict.name == one.name) {
        Some(conflict) => conflict.wishes.extend(wish(other, others)),
        None => {
            conflicts.push(Conflict { name: one.name.clone(), wishes: [wish(one, ones), wish(other, others)].concat() })
        }
    }
}

/// What comes first within a site. Equal ones stay in the order of their findings and of the rule.
fn rank(edit: &Edit) -> u8 {
    match edit {
        Edit::Sysctl(edit) => match edit.name.as_str() {
            // A hard limit above fs.nr_open is refused.
            "fs.nr_open" => 0,
            // A range is not widened over ports that are not reserved.
            "net.ipv4.ip_local_reserved_ports" => 1,
            "net.ipv4.ip_local_port_range" => 2,
            // A table that grows finds its hash grown.
            "net.netfilter.nf_conntrack_buckets" => 3,
            "net.netfilter.nf_conntrack_max" => 4,
            _ => 5,
        },
        Edit::AllowUnsafe { .. } => 6,
        Edit::Nofile(_) | Edit::LowerNofile(_) => 7,
        Edit::Ndots(_) => 8,
        Edit::RemoveLine { .. } => 9,
        Edit::Advice => 10,
    }
}
