//! The model in the frozen form.

use super::v1::*;
use crate::model::action::{Action, Edit, NofileEdit};
use crate::model::fact::{Gap, Scope, Value};
use crate::model::finding::{Finding, Outcome, Proof};
use crate::model::fix::Effect;
use crate::model::listener::{Limit, Listener};
use crate::model::place::{Kind, Netns, Writable};
use crate::model::report::Report;

/// The version of the format.
pub(super) const SCHEMA: &str = "tunecheck.report/v1";

impl From<&Value> for ValueV1 {
    fn from(value: &Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(Number(*number)),
            Value::Numbers(list) => Self::Numbers(list.iter().copied().map(Number).collect()),
            other => Self::Text(other.plain()),
        }
    }
}

impl From<Outcome> for OutcomeV1 {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Warn => Self::Warn,
            Outcome::Fail => Self::Fail,
            Outcome::Unknown => Self::Unknown,
            Outcome::NotApplicable => Self::NotApplicable,
            Outcome::Waived => Self::Waived,
        }
    }
}

impl<'a> From<&'a Report> for ReportV1<'a> {
    fn from(report: &'a Report) -> Self {
        let (place, load) = (&report.place, &report.workload);
        Self {
            schema: SCHEMA,
            tunecheck: env!("CARGO_PKG_VERSION"),
            source: &report.source,
            node: report.node.as_deref(),
            kernel: report.kernel.as_deref(),
            cpus: report.cpus.map(Number),
            memory_bytes: report.memory.map(Number),
            place: PlaceV1 {
                kind: match place.kind {
                    Kind::Host => KindV1::Host,
                    Kind::Namespace => KindV1::Namespace,
                    Kind::Container => KindV1::Container,
                    Kind::Pod => KindV1::Pod,
                    Kind::HostNetworkPod => KindV1::HostNetworkPod,
                    Kind::Unknown => KindV1::Unknown,
                },
                network_namespace: match place.netns {
                    Netns::Init => NetnsV1::Init,
                    Netns::Child => NetnsV1::Child,
                    Netns::Unknown => NetnsV1::Unknown,
                },
                runtime: place.runtime.as_deref(),
                kubernetes_node: place.node,
                unit: place.unit.as_deref(),
                cgroup: place.cgroup.as_deref(),
                process: place.process.as_deref(),
                uid: place.uid,
                initial_user_namespace: place.init_userns,
                capabilities: &place.capabilities,
                sysctls: match place.writable {
                    Writable::Yes => WritableV1::Writable,
                    Writable::ReadOnly => WritableV1::ReadOnlyMount,
                    Writable::NotPermitted => WritableV1::NotPermitted,
                    Writable::Unknown => WritableV1::Unknown,
                },
                because: &place.because,
                boot_id: place.boot.as_deref(),
                network_namespace_inode: place.netns_inode,
                cgroup_path: place.cgroup_path.as_deref(),
            },
            workload: WorkloadV1 {
                role: load.role.word(),
                connections: load.connections,
                burst: load.burst,
                destinations: load.destinations,
                source_addresses: load.source_addresses,
                streams: load.streams,
                incoming: load.incoming(),
                outgoing: load.outgoing(),
                short_lived_per_1000s: load.short_lived,
                ports: &load.ports,
            },
            window_milliseconds: report.window,
            notes: &report.notes,
            summary: SummaryV1 {
                fail: report.count(Outcome::Fail),
                warn: report.count(Outcome::Warn),
                pass: report.count(Outcome::Pass),
                unknown: report.count(Outcome::Unknown),
                not_applicable: report.count(Outcome::NotApplicable),
                waived: report.count(Outcome::Waived),
            },
            findings: report.findings.iter().map(FindingV1::from).collect(),
        }
    }
}

impl<'a> From<&'a Finding> for FindingV1<'a> {
    fn from(finding: &'a Finding) -> Self {
        let want = &finding.want;
        Self {
            rule: finding.rule,
            title: finding.title,
            manual: finding.manual,
            scope: finding.scope.word(),
            subject: finding.subject.as_deref(),
            outcome: OutcomeV1::from(finding.outcome),
            reason: &finding.reason,
            gap: finding.gap.as_ref().map(GapV1::from),
            fact: &finding.fact,
            now: finding.now.as_ref().map(ValueV1::from),
            unit: finding.unit.to_string(),
            source: &finding.source,
            want: WantV1 {
                text: &want.text,
                fail_below: want.fail_below.map(Number),
                warn_below: want.warn_below.map(Number),
                fail_above: want.fail_above.map(Number),
                warn_above: want.warn_above.map(Number),
                limit: want.limit.map(Number),
                one_of: want.one_of.iter().map(ValueV1::from).collect(),
            },
            share_percent: finding.share.map(Number),
            rise: finding.rise.map(Number),
            evidence: finding.evidence.iter().map(ProofV1::from).collect(),
            owner: finding.owner.as_deref(),
            listens: finding.listener.as_ref().map(ListensV1::from),
            says: &finding.says,
            also: &finding.also,
            fix: finding.fix.iter().map(ActionV1::from).collect(),
        }
    }
}

impl<'a> From<(&'a str, &'a Value)> for SettingV1<'a> {
    fn from((at, value): (&'a str, &'a Value)) -> Self {
        Self { at, value: ValueV1::from(value) }
    }
}

impl<'a> From<&'a Listener> for ListensV1<'a> {
    fn from(listener: &'a Listener) -> Self {
        Self {
            process: listener.process.as_deref().ok(),
            unit: listener.unit.as_deref(),
            gap: listener.process.as_ref().err().map(GapV1::from),
            limited_by: listener.limit.map(Limit::words),
        }
    }
}

impl<'a> From<&'a Gap> for GapV1<'a> {
    fn from(gap: &'a Gap) -> Self {
        Self { cause: gap.cause.to_string().replace(' ', "-"), why: &gap.why }
    }
}

impl<'a> From<&'a Proof> for ProofV1<'a> {
    fn from(proof: &'a Proof) -> Self {
        Self {
            fact: &proof.fact,
            value: proof.value.as_ref().ok().copied().filter(|&number| number != i128::MAX).map(Number),
            rise: proof.rise.map(Number),
            gap: proof.value.as_ref().err().map(GapV1::from),
            says: &proof.says,
            total: proof.total,
            scope: proof.scope.map(Scope::word),
        }
    }
}

impl<'a> From<&'a Action> for ActionV1<'a> {
    fn from(action: &'a Action) -> Self {
        Self {
            site: action.site.word(),
            who: &action.who,
            edit: match &action.edit {
                Edit::Sysctl(edit) => EditV1::Sysctl {
                    name: &edit.name,
                    old: edit.old.as_ref().map(ValueV1::from),
                    new: ValueV1::from(&edit.new),
                    boot: edit.boot_line.as_deref().zip(edit.boot.as_ref()).map(SettingV1::from),
                    last: edit
                        .last_line
                        .as_ref()
                        .map(|(at, name)| SettingV1 { at, value: ValueV1::Text(name.clone()) }),
                    names: &edit.set_names,
                    tuned: edit.tuned.as_ref().map(|(at, value)| SettingV1::from((at.as_str(), value))),
                },
                Edit::Nofile(NofileEdit { old_soft, old_hard, soft, hard, ceiling }) => EditV1::Nofile {
                    old_soft: finite(*old_soft),
                    old_hard: finite(*old_hard),
                    soft: Number(*soft),
                    hard: Number(*hard),
                    nr_open: ceiling.map(Number),
                },
                Edit::LowerNofile(NofileEdit { old_soft, old_hard, soft, hard, .. }) => EditV1::LowerNofile {
                    old_soft: finite(*old_soft),
                    old_hard: finite(*old_hard),
                    soft: Number(*soft),
                    hard: Number(*hard),
                },
                Edit::AllowUnsafe { name } => EditV1::AllowUnsafe { name },
                Edit::Ndots(ndots) => EditV1::Ndots { ndots: Number(*ndots) },
                Edit::RemoveLine { name, at } => EditV1::RemoveLine { name, at },
                Edit::Advice => EditV1::Advice,
            },
            lines: &action.lines,
            scope: &action.scope,
            cost: &action.cost,
            safety: action.safety.word(),
            takes_effect: match action.takes_effect {
                Effect::Now => "now",
                Effect::NewSockets => "new-sockets",
                Effect::Relisten => "relisten",
                Effect::Restart => "restart",
                Effect::NewPods => "new-pods",
                Effect::Reboot => "reboot",
            },
            prove: &action.prove,
            undo: &action.undo,
        }
    }
}

/// A limit; none where it is unlimited.
fn finite(limit: i128) -> Option<Number> {
    (limit != i128::MAX).then_some(Number(limit))
}
