//! `plan`: the whole plan for a person to read, in Markdown.

use super::notes;
use super::{File, Order, Rendered, Target, disputed, is_change};
use crate::model::action::{Edit, Site};
use crate::model::text::markdown;

pub(super) const TARGET: Target =
    Target { name: "plan", about: "everything to change, in order, for a person to read (Markdown)", render };

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let file = File {
        path: "plan.md".to_owned(),
        text: format!("# Plan\n\n{}", body(order)),
        apply: "The whole plan, to read first.".to_owned(),
    };
    Ok(Rendered { files: vec![file], left_out: Vec::new() })
}

/// The plan without a title: what it is about, then each site with its steps.
pub(super) fn body(order: Order<'_>) -> String {
    let plan = order.plan;
    let mut text = String::new();
    let node = plan.node.as_deref().map(|node| format!("{}: ", markdown(node))).unwrap_or_default();
    let place = markdown(&plan.place.words());
    text += &match plan.steps.is_empty() && plan.conflicts.is_empty() {
        true if plan.urgent == 0 => format!("{node}{place}. Nothing to fix: no rule warns or fails.\n"),
        true => format!("{node}{place}. Nothing can be proposed for what warns or fails.\n"),
        false => format!(
            "{node}{place}. {} for {} that {}.\n",
            notes::counted(plan.steps.len(), "step", "steps"),
            notes::counted(plan.urgent, "finding", "findings"),
            if plan.urgent == 1 { "warns or fails" } else { "warn or fail" },
        ),
    };
    if plan.unknown > 0 {
        let rules = notes::counted(plan.unknown, "rule", "rules");
        text += &format!("{rules} could not be checked and may ask for more: `tunecheck` says why.\n");
    }
    text.extend(plan.notes.iter().map(|note| format!("{}\n", markdown(note))));
    for (index, site) in plan.sites().into_iter().enumerate() {
        text += &format!("\n## {}. {}\n", index + 1, capitalised(notes::site(site, &plan.place)));
        for step in plan.at(&[site]) {
            text.push_str("\n```text\n");
            let mut lines = notes::told(step);
            // Advice is its own title.
            if step.action.edit != Edit::Advice {
                lines.extend(step.action.lines.iter().enumerate().map(|(index, line)| {
                    format!("  {:<8} {}", if index == 0 { "change" } else { "" }, notes::one_line(line))
                }));
            }
            lines.extend(order.told_only(step).map(|why| format!("  left to you: {why}")));
            text.extend(lines.into_iter().map(|line| line.replace("```", "'''") + "\n"));
            text.push_str("```\n");
        }
    }
    for (what, why) in disputed(plan) {
        text += &format!("\n## Conflict: {}\n\n{}.\n", markdown(&what), markdown(&capitalised(&why)));
    }
    if !plan.claims.is_empty() {
        text += &format!("\nOnce all of it is made, these rules pass: {}.\n", markdown(&plan.claims.join(", ")));
    }
    let forms: Vec<&str> =
        FORMS.iter().filter(|(sites, _)| plan.at(sites).any(is_change)).map(|(_, form)| *form).collect();
    if !forms.is_empty() {
        text += &format!("\nWritten out by the same command with {}.\n", forms.join("; or "));
    }
    text
}

/// The form that writes out what is changed at some sites.
const FORMS: [(&[Site], &str); 3] = [
    (&[Site::Here, Site::Node, Site::Service], "`--to script > fix.sh`, then `sh fix.sh plan`"),
    (&[Site::ContainerRun], "`--to docker` or `--to podman`"),
    (
        &[Site::PodManifest, Site::Kubelet, Site::ContainerRuntime, Site::KubeProxy],
        "`--to kubernetes --kubernetes-version RELEASE`, or the platform of the nodes, such as `--to eks`",
    ),
];

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
