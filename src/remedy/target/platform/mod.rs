//! Platforms that own the configuration of their nodes: what each takes of a plan, in its own form.

pub(super) mod aks;
pub(super) mod bottlerocket;
pub(super) mod butane;
pub(super) mod eks;
pub(super) mod gke;
pub(super) mod k3s;
pub(super) mod openshift;
mod own;
mod parts;
pub(super) mod talos;

use serde_json::{Map, Value};

use self::parts::{Entry, Parts};
use super::Order;
use super::notes::{self, Way};
use crate::model::action::{NofileEdit, SysctlEdit};
use crate::remedy::Step;

/// Why most platforms leave to kube-proxy what it writes.
const TO_KUBE_PROXY: &str = "kube-proxy writes it at its start: --to kubernetes has its setting";
/// Where the kubelet's list of unsafe sysctls is kept, if not in the node's configuration.
const TO_KUBELET: &str = "it is no setting of the operating system: --to kubernetes has the kubelet's";

/// Whether a platform takes a sysctl of the node, or why not.
type Taken = fn(&SysctlEdit) -> Result<(), String>;

/// When what a platform is told acts, and how it is taken back.
#[derive(Clone, Copy)]
struct Takeover {
    /// When it is in force on a node.
    acts: &'static str,
    /// Whether those nodes are made anew, so that nothing on them waits for more.
    anew: bool,
    /// How it is taken back.
    undo: &'static str,
}

impl Takeover {
    const fn of_new_nodes(undo: &'static str) -> Self {
        Self { acts: "on nodes that are made with it", anew: true, undo }
    }

    fn way(self, step: &Step) -> Way {
        match self.anew {
            true => Way::anew(self.acts, self.undo),
            false => Way::from(self.acts, step, self.undo),
        }
    }
}

/// What the configuration of a platform's nodes can hold. Each says why not, and who can.
struct Takes {
    /// A sysctl of the node.
    sysctl: Taken,
    /// Values that the platform gives its nodes itself: a line with as much or less would lower them, or change nothing.
    defaults: &'static [(&'static str, i128)],
    /// The ports that it reserves. A line of ours stands in place of its list.
    reserved: &'static str,
    /// The file in which it writes what it is told, on its nodes.
    file: Option<&'static str>,
    /// A sysctl that kube-proxy writes, as one of the node. None where the platform hands arguments to kube-proxy, and
    /// writes their values itself.
    kube_proxy: Option<Taken>,
    /// Whether a sysctl of the node reaches every pod on it.
    every_pod: fn(&str) -> bool,
    /// `allowedUnsafeSysctls` of the kubelet.
    kubelet: Result<(), &'static str>,
    /// The limit on open files of containers, as it is written there.
    nofile: fn(&NofileEdit) -> Result<NofileEdit, &'static str>,
    /// How a node keeps the label and the taint when it is replaced, line by line.
    labels: &'static [&'static str],
    /// When the node's sysctls act.
    sysctls_act: Takeover,
    /// When what the kubelet, kube-proxy and the container runtime are told acts.
    others_act: Takeover,
}

impl Takes {
    /// A node that takes what it is told, and leaves to kube-proxy what kube-proxy writes.
    const PLAIN: Self = Self {
        sysctl: |_| Ok(()),
        defaults: &[],
        reserved: "",
        file: None,
        kube_proxy: Some(|_| Err(TO_KUBE_PROXY.to_owned())),
        every_pod: |_| false,
        kubelet: Ok(()),
        nofile: |edit| Ok(*edit),
        labels: &[],
        sysctls_act: Takeover::of_new_nodes("make them without it again"),
        others_act: Takeover::of_new_nodes("make them without it again"),
    };
}

fn elsewhere(step: &Step, order: Order<'_>) -> String {
    let (site, who) = (notes::site(step.action.site, &order.plan.place), notes::one_line(&step.action.who));
    format!("it is changed elsewhere ({site}), by {who}: --to plan")
}

/// Limits that are at least those that a platform gives its containers unless it is told otherwise.
fn at_least_the_default(edit: &NofileEdit) -> NofileEdit {
    NofileEdit { soft: edit.soft.max(65_536), hard: edit.hard.max(1_048_576), ..*edit }
}

/// Lines as comments that begin with `#`.
fn commented(lines: &[String]) -> String {
    notes::commented(lines, "#")
}

/// The user data of an EC2 instance, without its comments if it is longer than EC2 takes.
fn user_data(text: String) -> String {
    const MOST: usize = 16_384;
    if text.len() <= MOST {
        return text;
    }
    let told = |line: &&str| line.starts_with('#') && !line.starts_with("#!");
    let bare: Vec<&str> = text.lines().filter(|line| !told(line)).collect();
    let note = "# Without comments, since user data holds 16384 bytes at most: --to plan has them.";
    // The head of a message of several parts is no place for a comment.
    let Some(at) = bare.iter().position(|line| line.starts_with("#!") || line.starts_with('[')) else {
        return bare.join("\n") + "\n";
    };
    let (head, tail) = bare.split_at(at + 1);
    [head, &[note], tail].concat().join("\n") + "\n"
}

/// The OCI `process.rlimits` of a limit on open files.
fn rlimits(edit: &NofileEdit) -> Value {
    let number = |limit: i128| Value::from(limit as i64);
    let entries = [("type", "RLIMIT_NOFILE".into()), ("soft", number(edit.soft)), ("hard", number(edit.hard))];
    let entry: Map<String, Value> = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Value::Array(vec![Value::Object(entry)])
}
