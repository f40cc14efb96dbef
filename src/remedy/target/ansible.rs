//! `ansible`: a playbook that holds every value against the live one of each host, and raises what is short.
//!
//! The tasks are `ansible.yml`, the same in every playbook. What a plan adds is data: names and values that were checked,
//! and words in comments.

use super::super::file;
use super::notes::{self, Way};
use super::{File, Order, Rendered, Step, Target, Unit, ceiling, elsewhere, is_change};
use crate::model::action::{Edit, NofileEdit, Site, SysctlEdit};
use crate::model::place::Kind;
use crate::model::sysctl::{self, variable};

pub(super) const TARGET: Target =
    Target { name: "ansible", about: "a playbook: raises what is short on each host, and keeps it", render };

const TASKS: &str = include_str!("ansible.yml");

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let (mut sysctls, mut units) = (String::new(), String::new());
    let (mut any_sysctl, mut any_unit) = (false, false);
    let mut kept_in = file::FIRST;
    let mut told = Vec::new();
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        let (site, place) = (step.action.site, &order.plan.place);
        let taken = order.takes(step);
        match &step.action.edit {
            Edit::Sysctl(edit) if site == Site::Here && place.kind == Kind::Namespace && edit.netns => {
                rendered.leave_out(step, "it is lost with the network namespace: whoever makes the namespace sets it");
                continue;
            }
            Edit::Sysctl(edit) if matches!(site, Site::Node | Site::Here) => {
                any_sysctl |= taken;
                let undo = format!("take its line out of {}, and {}", edit.file, notes::unwrite(edit));
                let way = Way::from("when the playbook is played, and at every boot", step, undo);
                sysctls += &notes::comment_in(step, &way, "      #");
                sysctls += &format!("      {}{}", order.mark(step), sysctl_entry(edit));
                kept_in = edit.file;
            }
            Edit::Nofile(edit) if site == Site::Service && !order.options.units.is_empty() => {
                any_unit |= ceiling::mark(order, step, edit).is_empty();
                let way = Way::anew(
                    "once the playbook is played, when the service is started again",
                    "remove its drop-in, then systemctl daemon-reload, and restart the service",
                );
                units += &notes::comment_in(step, &way, "      #");
                units.extend(order.options.units.iter().map(|unit| unit_entry(order, step, *edit, unit)));
            }
            _ => {
                rendered.leave_out(step, elsewhere(step));
                continue;
            }
        }
        told.push(step);
    }
    if !any_sysctl && !any_unit {
        rendered.decline(order, told);
        return Ok(rendered);
    }
    let list = |name: &str, entries: String, any: bool| match any {
        true => format!("    {name}:\n{entries}"),
        false => format!("{entries}    {name}: []\n"),
    };
    let mut text = head(order);
    text += &format!("    # The last file that sets a sysctl wins, by name.\n    tunecheck_file: {kept_in}\n");
    text += &list("tunecheck_sysctls", sysctls, any_sysctl);
    text += &list("tunecheck_units", units, any_unit);
    text += TASKS;
    let apply = format!(
        "`ansible-playbook -i INVENTORY --limit HOST tunecheck.yml --check --diff` shows what would change, \
         without `--check` it does. It fails where a later line of another file, or a later drop-in of a unit, \
         still has the last word. Undo: take its lines out of `{kept_in}`, remove the drop-ins, and write the \
         former values back, which the run showed."
    );
    rendered.files.push(File { path: "tunecheck.yml".to_owned(), text, apply });
    Ok(rendered)
}

fn head(order: Order<'_>) -> String {
    let lines = [
        notes::made_by(order),
        "It raises and never lowers: each host's own value is read first, and the greater one stays.".to_owned(),
        "Ports to reserve are those of the host it was made for: --limit it to that one, or to its like.".to_owned(),
        "Services are not restarted: they take new limits when you do that.".to_owned(),
    ];
    format!(
        "---\n{}- name: Raise what tunecheck found too low\n  hosts: all\n  become: true\n  gather_facts: false\n  vars:\n",
        notes::commented(&lines, "#")
    )
}

fn sysctl_entry(edit: &SysctlEdit) -> String {
    let how = edit.how.word();
    let module = edit.module.map(|module| format!(", module: {module}")).unwrap_or_default();
    let (name, path, to) = (&edit.name, sysctl::path(&edit.name), edit.new.plain());
    let aliases: Vec<&str> = variable::aliases(name).collect();
    let also = if aliases.is_empty() { String::new() } else { format!(", also: [{}]", aliases.join(", ")) };
    format!("- {{how: {how}, name: \"{name}\", path: \"{path}\", to: \"{to}\"{module}{also}}}\n")
}

fn unit_entry(order: Order<'_>, step: &Step, edit: NofileEdit, unit: &Unit) -> String {
    let first = ceiling::first(order, &edit, "      #", "");
    let mark = ceiling::mark(order, step, &edit);
    format!(
        "{first}      {mark}- {{unit: \"{}\", soft: {}, hard: {}, file: \"{}\"}}\n",
        unit.name,
        edit.soft,
        edit.hard,
        unit.drop_in()
    )
}
