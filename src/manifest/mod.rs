//! Manifests before they are deployed: bytes in, faults out. Pure.
//!
//! What is told is what Kubernetes, the kernel or the JVM does with a field; what could be done better is not. A field
//! that another tool fills in is not missing. Nothing of a manifest is printed but the field that is asked about.

mod dns;
mod documents;
mod fields;
mod jvm;
mod pods;
mod ports;
mod quantity;
mod sysctls;
mod tree;
mod values;

use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Judged, Mark};
use crate::model::pod_sysctl::PodSysctls;
use crate::model::version::Version;

use pods::Spec;
use tree::{Broken, Node};

/// Broken documents of one file after which the rest is not read.
const MOST_BROKEN: usize = 20;
/// Faults of one file that are told.
const MOST_FAULTS: usize = 1000;

/// Judges the sysctls of a pod, as dotted names and values, by the declared load.
pub type ByLoad<'a> = dyn Fn(&[(String, String)]) -> Vec<Short> + 'a;

/// What the user decided, and what a sysctl is judged by.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The release of the oldest kubelet that may run the pods.
    pub kubernetes: Option<Version>,
    /// The Pod Security level that the pods' namespace enforces, if it refuses some sysctls.
    pub pod_security: Option<&'static str>,
    /// What the kubelets of the pods' nodes have in `allowedUnsafeSysctls`.
    pub allowed: &'a [String],
    /// What is known of sysctls.
    pub known: &'a PodSysctls,
    /// The declared load, if there is one.
    pub load: Option<&'a ByLoad<'a>>,
}

/// A sysctl whose value does not carry the declared load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Its dotted name.
    pub name: String,
    /// Warn or fail.
    pub outcome: Outcome,
    /// Why.
    pub says: String,
    /// What to do.
    pub change: String,
}

/// Judges every document of a file.
pub fn judge(file: &str, bytes: &[u8], options: Options<'_>) -> Judged {
    let mut judged = Judged { file: file.to_owned(), ..Judged::default() };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = bytes.get(..error.valid_up_to()).and_then(|good| std::str::from_utf8(good).ok());
            let mark = end_of(good.unwrap_or_default());
            judged.faults.push(of_document(Outcome::Fail, mark, "this is not UTF-8 text", "save the file as UTF-8"));
            return judged;
        }
    };
    let mut bad = 0;
    for (line, piece) in documents::pieces(text) {
        let (trees, error) = tree::read(piece, line);
        for tree in &trees {
            let Some(root) = tree.root().filter(|root| !root.is_null()) else { continue };
            object(root, options, &mut judged);
            if tree.is_exhausted() {
                let says = "its aliases stand for more than is looked at";
                judged.faults.push(of_document(Outcome::Unknown, root.mark(), says, "write out what they stand for"));
            }
        }
        if let Some(error) = error {
            judged.faults.push(broken(&error, piece));
            bad += 1;
        }
        if bad >= MOST_BROKEN || judged.faults.len() > MOST_FAULTS {
            let says = "so much is wrong with this file that the rest of it was not read";
            judged.faults.push(of_document(
                Outcome::Unknown,
                Mark { line, column: 1 },
                says,
                "correct what is told first",
            ));
            break;
        }
    }
    judged.faults.truncate(MOST_FAULTS + MOST_BROKEN);
    judged.faults.sort_by(|a, b| (a.mark, a.check, &a.says).cmp(&(b.mark, b.check, &b.says)));
    // What several aliases refer to is judged for each and told once.
    judged.faults.dedup_by(|a, b| (a.mark, a.check, &a.says) == (b.mark, b.check, &b.says));
    judged
}

/// Where a text ends.
fn end_of(text: &str) -> Mark {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Mark { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

/// What is said of a document that cannot be read.
fn broken(error: &Broken, piece: &str) -> Fault {
    let (outcome, change) = match error.is_limit {
        true => (Outcome::Unknown, "it is not looked at here: cut it into several documents"),
        false if piece.contains("{{") => {
            (Outcome::Unknown, "a template is judged when it is filled in: helm template CHART | tunecheck manifest -")
        }
        false => (Outcome::Fail, "correct it: kubectl cannot read it either"),
    };
    of_document(outcome, error.mark, &error.what, change)
}

/// A fault of a document or file as a whole.
fn of_document(outcome: Outcome, mark: Mark, says: &str, change: &str) -> Fault {
    let (says, change) = (says.to_owned(), change.to_owned());
    Fault { mark, check: "syntax", outcome, subject: String::new(), says, change }
}

/// Judges the pods of an object, or of the objects of a list.
fn object(root: Node<'_>, options: Options<'_>, judged: &mut Judged) {
    let mut open = vec![root];
    while let Some(node) = open.pop() {
        if judged.faults.len() > MOST_FAULTS {
            return;
        }
        if let Some(items) = pods::list(node) {
            open.extend(items.items());
            continue;
        }
        if !node.is_map() {
            continue;
        }
        judged.objects += 1;
        match pods::spec(node) {
            Some(spec) => {
                judged.pods += 1;
                spec_of(&spec, options, &mut judged.faults);
            }
            None => judged.passed_over += 1,
        }
    }
}

fn spec_of(spec: &Spec<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    fields::judge(spec, faults);
    let sysctls = sysctls::judge(spec, options, faults);
    values::judge(spec, &sysctls, faults);
    ports::judge(spec, &sysctls, faults);
    dns::judge(spec, faults);
    for container in spec.containers() {
        jvm::judge(spec, container, faults);
    }
    let Some(load) = options.load else { return };
    let pairs: Vec<(String, String)> = sysctls.iter().map(|one| (one.name.clone(), one.value.to_owned())).collect();
    for short in load(&pairs) {
        if let Some(one) = sysctls.iter().find(|one| one.name == short.name) {
            faults.push(Fault {
                mark: one.mark,
                check: "load",
                outcome: short.outcome,
                subject: spec.subject(),
                says: short.says,
                change: short.change,
            });
        }
    }
}

/// Text of a manifest as it can stand in a sentence: of no more than a line's length.
fn shown(text: &str) -> String {
    const LONGEST: usize = 64;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
