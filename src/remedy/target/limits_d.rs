//! `limits.d`: a file for pam_limits, which gives login sessions their limits.

use super::{File, Order, Rendered, Target, is_change, notes};
use crate::model::action::{Edit, Site};

pub(super) const TARGET: Target = Target {
    name: "limits.d",
    about: "a file for /etc/security/limits.d: login sessions only, services never read it",
    render,
};

const ABOUT: &str = "\
# Limits of login sessions: ssh, su, cron, whatever goes through pam_limits. Services of systemd ignore this file
# (--to systemd is theirs), and sessions that are open keep what they have.
# * stands for every user but root, who has lines of their own. The last file of limits.d wins, by name.
";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let mut text = String::from(ABOUT);
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        match &step.action.edit {
            Edit::Nofile(edit) if step.action.site == Site::Service => {
                text += &format!("\n{}", notes::comment(step, "#"));
                text += "#   look     ulimit -Sn; ulimit -Hn   in a login of each kind, root's too\n";
                text +=
                    "#            Where one of the two is higher already, keep it: write the greater of each here.\n";
                let mut mark = order.mark(step);
                if let Some(ceiling) = edit.ceiling {
                    // pam_limits refuses a session whose limit the kernel refuses, root's as well.
                    text += &format!(
                        "#   first    raise fs.nr_open for good to {} or more: it is {ceiling}, and a limit above it keeps \
                         every login out\n",
                        edit.hard
                    );
                    mark = "# left to you: ";
                }
                for who in ["*", "root"] {
                    text += &format!("{mark}{who} soft nofile {}\n{mark}{who} hard nofile {}\n", edit.soft, edit.hard);
                }
            }
            _ => rendered.leave_out(
                step,
                format!("it is no limit of a login: {}", notes::site(step.action.site, &order.plan.place)),
            ),
        }
    }
    if order.plan.nofile(&[Site::Service]).is_none() {
        text += "# There is none to set.\n";
    }
    let apply = "to `/etc/security/limits.d/90-tunecheck.conf`; keep a session open until a new login of root works. \
                 It acts at the next login. Undo: remove the file.";
    rendered.files.push(File { path: "90-tunecheck.conf".to_owned(), text, apply: apply.to_owned() });
    Ok(rendered)
}
