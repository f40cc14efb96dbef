//! `fs.nr_open`, above which the kernel refuses every limit on open files.

use super::{Order, Step};
use crate::model::action::{NofileEdit, Site};
use crate::model::fact::Value;
use crate::model::place::Kind;

/// What the line with new limits begins with: it is left to a person where the kernel would refuse them.
pub(super) fn mark(order: Order<'_>, step: &Step, edit: &NofileEdit) -> &'static str {
    match edit.ceiling {
        Some(_) if raised(order, edit).is_none() => "# left to you: ",
        _ => order.mark(step),
    }
}

/// What has to be done before the limits can be given, and `what` happens without it, as a comment that begins with
/// `comment`; nothing if they can be given as it is.
pub(super) fn first(order: Order<'_>, edit: &NofileEdit, comment: &str, what: &str) -> String {
    let Some(ceiling) = edit.ceiling else { return String::new() };
    let at = if order.plan.place.kind == Kind::Container { "on the node, " } else { "" };
    let words = match raised(order, edit) {
        Some(new) => format!("{at}after fs.nr_open, which this plan raises for good from {ceiling} to {new}"),
        None => format!("{at}raise fs.nr_open for good to {} or more: it is {ceiling}", edit.hard),
    };
    format!("{comment}   first    {words}{what}\n")
}

/// What the plan raises `fs.nr_open` to, if that is enough and the user wants it done.
fn raised(order: Order<'_>, edit: &NofileEdit) -> Option<i128> {
    let mut raises = order.plan.sysctls(&[Site::Node, Site::Here]).filter(|(step, _)| order.takes(step));
    let new = raises.find(|(_, raise)| raise.name == "fs.nr_open").map(|(_, raise)| &raise.new);
    new.and_then(Value::limit).filter(|new| *new >= edit.hard)
}
