//! `limits.d`: a file for pam_limits, which gives login sessions their limits.

use super::notes::{self, Way};
use super::{File, Order, Rendered, Target, ceiling, elsewhere, is_change};
use crate::model::action::{Edit, Site};

pub(super) const TARGET: Target = Target {
    name: "limits.d",
    about: "a file for /etc/security/limits.d: login sessions only, services never read it",
    render,
};

const ABOUT: &str = "\
# Limits of login sessions: ssh, su, cron, whatever goes through pam_limits. Services of systemd ignore this file
# (--to systemd is theirs), and sessions that are open keep what they have.
# * stands for every user but root, who has lines of their own; a line that names a user or a group wins over both.
# pam_limits reads limits.conf, then the files of limits.d by name, and of two lines for the same the last one wins:
# this file wins over a higher value in one that sorts before it, and loses to a lower one in one that sorts after it.
";

/// Where a higher limit is found.
const LOOK: &str = "\
#   look     grep -r nofile /etc/security/limits.conf /etc/security/limits.d
#            ulimit -Sn; ulimit -Hn   in a new login of each kind, root's too
#            Where one of the two is higher already, keep it: write the greater of each here.
";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        match &step.action.edit {
            Edit::Nofile(_) if step.action.site == Site::Service && !order.takes(step) => {
                rendered.decline(order, [step]);
            }
            Edit::Nofile(edit) if step.action.site == Site::Service => {
                let way = Way::anew("at the next login", "remove this file");
                let mut text = format!("{ABOUT}\n{}{LOOK}", notes::comment_in(step, &way, "#"));
                // pam_limits refuses a session whose limit the kernel refuses, root's as well.
                text += &ceiling::first(order, edit, "#", "; a limit above it keeps every login out");
                // What a login has now is not known, and a line of this file could take a higher limit away.
                let mark = "# left to you: ";
                for who in ["*", "root"] {
                    text += &format!("{mark}{who} soft nofile {}\n{mark}{who} hard nofile {}\n", edit.soft, edit.hard);
                }
                rendered.files.push(file(text));
            }
            _ => rendered.leave_out(step, elsewhere(step)),
        }
    }
    Ok(rendered)
}

fn file(text: String) -> File {
    let apply = "look first (`grep -r nofile /etc/security/limits.conf /etc/security/limits.d`, \
                 `ulimit -Hn` in a new login): it must not take away what is higher. Then to \
                 `/etc/security/limits.d/90-tunecheck.conf`; keep a session open until a new login of root \
                 works. It acts at the next login. Undo: remove the file.";
    File { path: "90-tunecheck.conf".to_owned(), text, apply: apply.to_owned() }
}
