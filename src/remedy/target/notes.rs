//! What every target says of a step, in the comments of its form.

use super::super::{Step, words};
use super::Order;
use crate::model::action::{Action, Edit, Site, SysctlEdit};
use crate::model::fact::Value;
use crate::model::facts::grouped;
use crate::model::fix::{Effect, Safety};
use crate::model::place::{Kind, Place};
use crate::model::text::is_hostile;

/// Subjects named before the rest is counted.
const SUBJECTS: usize = 4;
/// Columns of a comment.
const WIDTH: usize = 100;

/// Who made a form, and for which place.
pub(super) fn made_by(order: Order<'_>) -> String {
    let node = order.plan.node.as_deref().map(|node| format!(" for {node}")).unwrap_or_default();
    one_line(&format!("Made by tunecheck {}{node}, {}.", env!("CARGO_PKG_VERSION"), order.plan.place.words()))
}

/// A step in one line: what becomes what.
pub(super) fn title(step: &Step) -> String {
    let limit = |limit: i128| if limit == i128::MAX { "unlimited".to_owned() } else { limit.to_string() };
    one_line(&match &step.action.edit {
        Edit::Sysctl(edit) => {
            let old = edit.old.as_ref().map_or_else(|| "unknown".to_owned(), shown);
            format!("{}: {old} -> {}", edit.name, shown(&edit.new))
        }
        Edit::Nofile(edit) | Edit::LowerNofile(edit) => format!(
            "open files: {} soft, {} hard -> {} soft, {} hard",
            limit(edit.old_soft),
            limit(edit.old_hard),
            limit(edit.soft),
            limit(edit.hard)
        ),
        Edit::AllowUnsafe { name } => format!("allowedUnsafeSysctls: {name}"),
        Edit::Ndots(ndots) => format!("dnsConfig: ndots {ndots}"),
        Edit::RemoveLine { name, at } => format!("remove the line that sets {name}: {at}"),
        Edit::Advice => step.action.lines.join(" "),
    })
}

/// A value as a file holds it; an empty list as a word.
fn shown(value: &Value) -> String {
    match value.plain() {
        text if text.is_empty() => "empty".to_owned(),
        text => text,
    }
}

/// When what a form writes acts, and how it is taken back: that form names nothing that it does not change.
pub(super) struct Way {
    /// When.
    pub(super) acts: String,
    /// How.
    pub(super) undo: String,
}

impl Way {
    /// That of a form whose change is in force at a moment, and then waits for what such a change always waits for.
    pub(super) fn from(moment: &str, step: &Step, undo: impl Into<String>) -> Self {
        let acts = match step.action.takes_effect {
            Effect::Now => moment.to_owned(),
            later => format!("{moment}, and then {}", later.words()),
        };
        Self { acts, undo: undo.into() }
    }

    /// That of a form which makes anew what it is for, so that nothing waits for more.
    pub(super) fn anew(moment: &str, undo: &str) -> Self {
        Self { acts: moment.to_owned(), undo: undo.to_owned() }
    }
}

/// How a sysctl gets its former value back, at once.
pub(super) fn unwrite(edit: &SysctlEdit) -> String {
    words::unwrite(edit)
}

/// Everything that has to be known of a step, line by line, each on one line of text.
pub(super) fn told(step: &Step) -> Vec<String> {
    let Action { takes_effect, undo, .. } = &step.action;
    told_in(step, &Way::anew(takes_effect.words(), undo))
}

/// The same where a form has a way of its own.
pub(super) fn told_in(step: &Step, way: &Way) -> Vec<String> {
    let action = &step.action;
    let mut lines = Vec::new();
    wrap(&mut lines, "", &title(step));
    let mut field = |name: &str, words: &str| {
        if !words.is_empty() {
            wrap(&mut lines, &format!("  {name:<8} "), words);
        }
    };
    let named = step.subjects.iter().take(SUBJECTS).cloned().collect::<Vec<_>>().join(", ");
    let more = step.subjects.len().saturating_sub(SUBJECTS);
    field("about", &if more > 0 { format!("{named} and {more} more") } else { named });
    field("why", &step.says);
    field("rules", &step.rules.join(", "));
    field("who", &action.who);
    field("scope", &action.scope);
    field("owner", step.owner.as_deref().unwrap_or_default());
    field("cost", &action.cost);
    field("safety", safety(action.safety));
    field("acts", &way.acts);
    field("but", step.short.as_deref().unwrap_or_default());
    field("prove", &action.prove);
    field("undo", &way.undo);
    lines
}

/// The comment of a step in a form whose comments begin with `mark`.
pub(super) fn comment(step: &Step, mark: &str) -> String {
    commented(&told(step), mark)
}

/// The same where the form has a way of its own.
pub(super) fn comment_in(step: &Step, way: &Way, mark: &str) -> String {
    commented(&told_in(step, way), mark)
}

/// Lines as comments.
pub(super) fn commented(lines: &[String], mark: &str) -> String {
    lines.iter().map(|line| format!("{mark} {line}").trim_end().to_owned() + "\n").collect()
}

fn safety(safety: Safety) -> &'static str {
    match safety {
        Safety::Safe => "safe: no side effect on what works now",
        Safety::Review => "review: read it first",
        Safety::Manual => "manual: a person decides",
    }
}

/// Text that can begin no line of its own and holds nothing that drives a terminal or hides.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) || c == '\n' { '\u{fffd}' } else { c }).collect()
}

/// Words in lines of `WIDTH` columns, the first after a head, the others below its end.
pub(super) fn wrap(lines: &mut Vec<String>, head: &str, words: &str) {
    let mut line = head.to_owned();
    let indent = head.chars().count();
    let mut empty = true;
    for word in one_line(words).split(' ').filter(|word| !word.is_empty()) {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
}

/// A site as a person says it, seen from where the audit stood.
pub(super) fn site(site: Site, place: &Place) -> &'static str {
    match (site, place.kind) {
        (Site::Node, Kind::Namespace) => "the host's own network namespace",
        (Site::Node, _) => "the node, outside the container",
        (Site::Here, Kind::Namespace) => "this network namespace",
        (Site::Here, _) => "this host",
        (Site::Tuned, _) => "the profile of TuneD",
        (Site::ContainerRuntime, _) => "the node's container runtime",
        (Site::Kubelet, _) => "the node's kubelet",
        (Site::KubeProxy, _) => "kube-proxy",
        (Site::Service, _) => "the service unit, or the login",
        (Site::ContainerRun, _) => "the command that starts the container",
        (Site::PodManifest, _) => "the pod's manifest",
        (Site::Application, _) => "the application",
        (Site::Owner, _) => "whoever owns the limit",
    }
}

/// How many, with the word for them.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count as i128), if count == 1 { one } else { many })
}
