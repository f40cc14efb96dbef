//! The limit on open files, and the way to change it in each place.

use super::{Situation, place, quoted, words};
use crate::model::action::{Action, Edit, NofileEdit, Site};
use crate::model::fix::{Effect, NofileFix, Safety};
use crate::model::place::{Kind, service_of};
use crate::model::rule::Rule;

/// Above this a hard limit is too high: some programs walk or allocate up to it at start.
const TOO_HIGH: i128 = 1_048_576;

/// A soft limit that every program bears.
const BORNE: i128 = 65_536;

/// The action, or none if the limits are as good already.
pub(super) fn action(rule: &Rule, fix: &NofileFix, situation: Situation<'_>) -> Option<Action> {
    let facts = situation.facts;
    let old_soft = facts.number("serving.nofile.soft").ok()?;
    let old_hard = facts.number("serving.nofile.hard").ok()?;
    let (need_soft, need_hard) = (fix.soft.amount(facts, None).ok()?, fix.hard.amount(facts, None).ok()?);
    let borne = TOO_HIGH.max(need_hard);
    if old_hard > borne {
        let soft = if (need_soft..=borne).contains(&old_soft) { old_soft } else { need_soft.max(BORNE) };
        let edit = NofileEdit { old_soft, old_hard, soft, hard: need_hard.max(soft), ceiling: None };
        return Some(lowered(rule, edit, situation));
    }
    let soft = old_soft.max(need_soft);
    let hard = old_hard.max(need_hard).max(soft);
    // Above fs.nr_open every attempt is EPERM.
    let ceiling = facts.number("sysctl.fs.nr_open").unwrap_or(i128::MAX);
    let hard = if ceiling >= soft { hard.min(ceiling).max(old_hard) } else { hard };
    let within = soft <= old_hard;
    // What a pod's entrypoint can do is raise the soft limit within the hard one.
    let hard = if in_pod(situation) && within { old_hard } else { hard };
    if (soft, hard) == (old_soft, old_hard) {
        return None;
    }
    let ceiling = (hard > ceiling).then_some(ceiling);
    Some(form(rule, NofileEdit { old_soft, old_hard, soft, hard, ceiling }, situation))
}

/// The form that new limits take in each place.
pub(super) fn form(rule: &Rule, edit: NofileEdit, situation: Situation<'_>) -> Action {
    let NofileEdit { old_hard, soft, hard, .. } = edit;
    let within = soft <= old_hard;
    let in_pod = in_pod(situation);
    let mut lines = Vec::new();
    if let Some(ceiling) = edit.ceiling {
        let at = if in_pod || situation.place.kind == Kind::Container { "first, on the node," } else { "first" };
        lines.push(format!(
            "{at} raise fs.nr_open for good (files/nr-open) to {hard} or more: it is {ceiling}, and no hard limit can be above it"
        ));
    }
    let both = format!("{soft}:{hard}");
    let (site, who) = match situation.place.kind {
        Kind::Pod | Kind::HostNetworkPod => {
            if within {
                lines.push(format!(
                    "in the image's entrypoint: ulimit -Sn {soft}; exec \"$@\"   (soft up to hard needs no privilege)"
                ));
                lines.push(format!(
                    "an image without a shell: the program itself (setrlimit to {soft} in your own code, worker_rlimit_nofile {soft} in nginx),"
                ));
                lines.push(format!(
                    "  or the node's container runtime, for every container: soft {soft} hard {hard} in"
                ));
                lines.extend(of_runtime(&edit).into_iter().map(|line| format!("  {line}")));
                (Site::PodManifest, "the pod's owner")
            } else {
                lines.push(
                    "no field of a pod sets it (there is no `ulimits`); the node's container runtime does:".to_owned(),
                );
                lines.extend(of_runtime(&edit));
                (Site::ContainerRuntime, "the node's administrator")
            }
        }
        Kind::Container => {
            lines.push(format!("docker run | podman run --ulimit nofile={both} ..."));
            lines.push(format!("Compose: ulimits: {{ nofile: {{ soft: {soft}, hard: {hard} }} }}"));
            (Site::ContainerRun, "whoever starts the container")
        }
        Kind::Host | Kind::Namespace | Kind::Unknown => {
            let facts = situation.facts;
            let elsewhere = facts.text("serving.process").is_some_and(|process| process != "this process");
            if within && !elsewhere {
                lines.push(format!("this shell and what it starts: ulimit -Sn {soft}"));
            }
            // A login over ssh without PAM sessions stands in the cgroup of sshd, whose own limit is not meant.
            let own = situation.place.unit.as_deref().filter(|unit| !elsewhere && !unit.starts_with("ssh"));
            let found = facts.text("serving.cgroup").filter(|_| elsewhere).and_then(service_of);
            let name = quoted(own.or(found.as_deref()).unwrap_or("NAME"));
            lines.push(format!("a service, unless `systemctl show -p LimitNOFILE {name}` is higher already:"));
            lines.push(format!(
                "  systemctl edit {name}   with   [Service] LimitNOFILE={both}   then, when it suits, systemctl restart {name}"
            ));
            if found.is_none() {
                lines.push(
                    "a login: /etc/security/limits.d/90-tunecheck.conf, then log in again (* does not reach root):"
                        .to_owned(),
                );
                // A hard limit above fs.nr_open keeps a login out: not for root before nr_open is raised for good.
                let whose: &[&str] = if edit.ceiling.is_some() { &["*"] } else { &["*", "root"] };
                for who in whose {
                    lines.push(format!("  {who} soft nofile {soft}"));
                    lines.push(format!("  {who} hard nofile {hard}"));
                }
            }
            let unable = !elsewhere && !within && !situation.place.capabilities.contains(&"CAP_SYS_RESOURCE");
            let who = if unable {
                "root, through systemd or a new login (this process lacks CAP_SYS_RESOURCE)"
            } else {
                place::writer(situation.place)
            };
            (Site::Service, who)
        }
    };
    Action {
        site,
        who: who.to_owned(),
        edit: Edit::Nofile(edit),
        lines,
        scope: "that process and what it starts; running ones keep their limit".to_owned(),
        cost: rule.fix.cost.to_owned(),
        safety: rule.fix.safety,
        takes_effect: Effect::Restart,
        prove: words::prove_nofile(rule),
        undo: "take the setting out and start the process again".to_owned(),
    }
}

/// Where the runtimes of a node give every container its limits.
fn of_runtime(edit: &NofileEdit) -> [String; 2] {
    let NofileEdit { soft, hard, .. } = edit;
    [
        format!("containerd: process.rlimits in its base_runtime_spec, RLIMIT_NOFILE soft {soft} hard {hard}"),
        format!("CRI-O: default_ulimits = [\"nofile={soft}:{hard}\"] in [crio.runtime]"),
    ]
}

/// Limits that come down: a process may lower its own without any right, and for good.
fn lowered(rule: &Rule, edit: NofileEdit, situation: Situation<'_>) -> Action {
    let NofileEdit { soft, hard, .. } = edit;
    let both = format!("{soft}:{hard}");
    let unit = situation.place.unit.as_deref().filter(|unit| !unit.starts_with("ssh"));
    let name = quoted(unit.unwrap_or("NAME"));
    let entrypoint = || {
        [
            format!(
                "in the image's entrypoint: ulimit -Sn {soft}; exec \"$@\"   (needs no privilege, up to the hard limit)"
            ),
            format!(
                "for a program that takes the hard limit at start (Go, the JVM, Node): ulimit -Sn {soft}; ulimit -Hn {hard}; exec \"$@\""
            ),
        ]
    };
    let (site, who, safety, lines) = match situation.place.kind {
        Kind::Pod | Kind::HostNetworkPod => {
            let mut lines = entrypoint().to_vec();
            lines.push("an image without a shell gets it from the node's container runtime, which gives every container so much:".to_owned());
            lines.push(format!("  LimitNOFILE={both} in the unit of containerd or CRI-O, in place of infinity, or"));
            lines.extend(of_runtime(&edit).into_iter().map(|line| format!("  {line}")));
            (Site::PodManifest, "the pod's owner", Safety::Review, lines)
        }
        Kind::Container => {
            let mut lines = vec![
                format!("docker run | podman run --ulimit nofile={both} ..."),
                format!("Compose: ulimits: {{ nofile: {{ soft: {soft}, hard: {hard} }} }}"),
            ];
            lines.extend(entrypoint());
            lines.push(format!(
                "for every container: LimitNOFILE={both} in the unit of containerd (docker's containers inherit it from there), in place of infinity"
            ));
            (Site::ContainerRun, "whoever starts the container", Safety::Review, lines)
        }
        Kind::Host | Kind::Namespace | Kind::Unknown => (
            Site::Service,
            place::writer(situation.place),
            // Other programs may start from the same setting.
            Safety::Manual,
            vec![
                format!("this shell and what it starts: ulimit -Sn {soft}; ulimit -Hn {hard}"),
                format!(
                    "a service: systemctl edit {name}   with   [Service] LimitNOFILE={both}   in place of infinity or a number as high,"
                ),
                format!("  then, when it suits, systemctl restart {name}"),
                "a login: the line of /etc/security/limits.conf or limits.d that gives it so much".to_owned(),
            ],
        ),
    };
    Action {
        site,
        who: who.to_owned(),
        edit: Edit::LowerNofile(edit),
        lines,
        scope: "that process and what it starts; running ones keep their limit".to_owned(),
        cost: format!("a program that opens more than {soft} descriptors gets EMFILE"),
        safety: safety.max(rule.fix.safety),
        takes_effect: Effect::Restart,
        prove: words::prove_nofile(rule),
        undo: "take the setting out and start the process again".to_owned(),
    }
}

fn in_pod(situation: Situation<'_>) -> bool {
    matches!(situation.place.kind, Kind::Pod | Kind::HostNetworkPod)
}
