//! Manifests before they are deployed: bytes in, faults out. Pure.
//!
//! What is told is what Kubernetes, the kernel or the JVM does with a field; what could be done better is not. A field
//! that another tool fills in is not missing. Nothing of a manifest is printed but the field that is asked about.

mod admission;
mod budget;
mod checks;
mod commands;
mod containers;
mod dns;
mod documents;
mod fields;
mod heaps;
mod jvm;
mod load;
mod node;
mod patches;
mod pods;
mod port_numbers;
mod ports;
mod quantity;
mod resources;
mod scalar;
mod schema;
mod shell;
mod started;
mod surroundings;
mod sysctls;
mod tree;
mod tuning;
mod values;
mod variables;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub use checks::CHECKS;
pub use load::{ByLoad, Load, Short};

use crate::model::bounds;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Judged, Mark};
use crate::model::pod_sysctl::PodSysctls;
use crate::model::version::Version;

pub use budget::Steps;
pub use surroundings::Surroundings;

use budget::Budget;
use pods::{Object, Spec};
use surroundings::Around;
use sysctls::Sysctl;
use tree::{Broken, Node};

const TOO_MUCH: &str = "it is not looked at here: cut it into several documents";
const UNFILLED: &str = "it is judged when it is filled in: envsubst < FILE | tunecheck manifest -";
const TEMPLATE: &str = "a template is judged when it is filled in: helm template CHART | tunecheck manifest -";

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
    /// What the objects of the other files of the folder say.
    pub folder: &'a Surroundings,
    /// The steps that the files of this run share.
    pub steps: &'a Steps,
    /// The declared load, if there is one.
    pub load: Option<Load<'a>>,
}

/// Judges every document of a file.
pub fn judge(file: &str, bytes: &[u8], options: Options<'_>) -> Judged {
    let mut judged = Judged { file: file.to_owned(), ..Judged::default() };
    match documents::text(bytes) {
        Ok(text) => text_of(&text, options, &mut judged),
        Err(length) => {
            let good = bytes.get(..length).and_then(|good| std::str::from_utf8(good).ok()).unwrap_or_default();
            if documents::is_meant_as_object(&String::from_utf8_lossy(bytes), pods::has_pods) {
                let mark = documents::after_text(Mark { line: 1, column: 1 }, good);
                let says = "this is neither UTF-8 nor marked as UTF-16";
                judged.faults.push(of_document(Outcome::Fail, mark, says, "save the file as UTF-8"));
            } else {
                judged.not_manifests += 1;
            }
        }
    }
    judged.faults.truncate(bounds::FAULTS.count() + bounds::BROKEN_DOCUMENTS.count());
    judged.faults.sort_by(|a, b| (a.mark, a.check, &a.says).cmp(&(b.mark, b.check, &b.says)));
    // What several aliases refer to is judged for each and told once.
    judged.faults.dedup_by(|a, b| (a.mark, a.check, &a.says) == (b.mark, b.check, &b.says));
    judged
}

fn text_of(text: &str, options: Options<'_>, judged: &mut Judged) {
    let mut bad = 0;
    let budget = Budget::of(text.len(), options.steps);
    let own = Surroundings::of_text(text, options.steps);
    let around = Around { file: &own, folder: options.folder };
    for piece in documents::pieces(text) {
        if piece.text.len() > bounds::DOCUMENT.count() {
            let says = format!("a document larger than {}", bounds::DOCUMENT);
            judged.faults.push(of_document(Outcome::Unknown, piece.start, &says, TOO_MUCH));
            continue;
        }
        let before = judged.faults.len();
        let (mut trees, error) = tree::read(piece.text, piece.start, &budget);
        for tree in &mut trees {
            let is_patch = patches::speaks(piece.text) && patches::judge(tree, around, options, judged);
            if let Some(root) = tree.root().filter(|root| !root.is_null() && !is_patch) {
                document(root, around, options, judged);
            }
        }
        if let Some(error) = error {
            bad += usize::from(broken(&error, piece.text, piece.start, judged));
        }
        if let Some(source) = piece.source() {
            for fault in judged.faults.iter_mut().skip(before) {
                fault.source = Some(source.to_owned());
            }
        }
        if budget.is_exhausted() {
            let says = "the aliases of this file stand for more than is looked at";
            judged.faults.push(of_document(Outcome::Unknown, piece.start, says, "write out what they stand for"));
            return;
        }
        if bad >= bounds::BROKEN_DOCUMENTS.count() || judged.faults.len() > bounds::FAULTS.count() {
            let says = "so much is wrong with this file that the rest of it was not read";
            judged.faults.push(of_document(Outcome::Unknown, piece.start, says, "correct what is told first"));
            return;
        }
    }
}

/// Takes account of a document that cannot be read; whether it is one that should be.
fn broken(error: &Broken, text: &str, start: Mark, judged: &mut Judged) -> bool {
    if !documents::is_meant_as_object(text, pods::has_pods) {
        judged.not_manifests += 1;
        if judged.broken.is_none() && !error.is_limit && !documents::is_of_another_form(text) {
            judged.broken = Some((error.mark, error.what.clone()));
        }
        return false;
    }
    if text.contains("{{") && !error.is_limit {
        judged.templates += 1;
        // One notice is enough for all of a file.
        if judged.templates == 1 {
            judged.faults.push(of_document(Outcome::Unknown, error.mark, &error.what, TEMPLATE));
        }
        return false;
    }
    let line = error.mark.line.checked_sub(start.line).and_then(|at| text.lines().nth(at));
    let (outcome, change) = match error.is_limit {
        true => (Outcome::Unknown, TOO_MUCH),
        // A value in braces that is put in first may be no YAML before.
        false if line.is_some_and(|line| line.contains("${")) => (Outcome::Unknown, UNFILLED),
        false => (Outcome::Fail, "correct it: kubectl cannot read it either"),
    };
    judged.faults.push(of_document(outcome, error.mark, &error.what, change));
    true
}

/// Leaves one notice of the templates of a folder, whichever of its files holds them.
pub fn tell_templates_once(files: &mut [Judged]) {
    let mut folders: BTreeMap<PathBuf, (usize, usize, usize)> = BTreeMap::new();
    for (at, file) in files.iter().enumerate().filter(|(_, file)| file.templates > 0) {
        let (_, count, templates) = folders.entry(folder(&file.file)).or_insert((at, 0, 0));
        *count += 1;
        *templates += file.templates;
    }
    for (at, file) in files.iter_mut().enumerate() {
        let Some(&(first, count, templates)) = folders.get(&folder(&file.file)) else { continue };
        if at != first {
            file.faults.retain(|fault| fault.change != TEMPLATE);
        } else if let Some(fault) = file.faults.iter_mut().find(|fault| fault.change == TEMPLATE && templates > 1) {
            let of = if count > 1 { format!("{count} files of this folder") } else { "this file".to_owned() };
            fault.says = format!("{templates} documents in {of} are templates; of the first one: {}", fault.says);
        }
    }
}

/// The folder of a file; in a chart the one that holds all of its templates.
fn folder(file: &str) -> PathBuf {
    let path = Path::new(file);
    let whole = path.ancestors().skip(1).filter(|folder| folder.ends_with("templates")).last();
    whole.or(path.parent()).unwrap_or(path).to_owned()
}

/// A fault of a document or file as a whole.
fn of_document(outcome: Outcome, mark: Mark, says: &str, change: &str) -> Fault {
    pods::fault("syntax", outcome, mark, String::new(), [says.to_owned(), change.to_owned()])
}

/// Judges the pods of the objects of a document.
fn document<'a>(root: Node<'a>, around: Around<'a>, options: Options<'_>, judged: &mut Judged) {
    let Some(object) = Object::of(root) else {
        judged.not_manifests += usize::from(!containers::judge(root, options, judged));
        return;
    };
    let mut open = vec![object];
    while let Some(object) = open.pop() {
        if judged.faults.len() > bounds::FAULTS.count() {
            return;
        }
        if let Some(items) = object.items() {
            open.extend(items);
            continue;
        }
        judged.objects += 1;
        port_numbers::service(object, &mut judged.faults);
        let configurations = judged.configurations;
        configuration(object, options, judged);
        let pods = object.pods(around);
        if pods.is_empty() && judged.configurations == configurations {
            judged.pass_over(&shown(object.kind()));
        }
        judged.pods += pods.len();
        for spec in &pods {
            spec_of(spec, options, &mut judged.faults);
        }
    }
}

/// Judges a configuration of a kubelet or of kube-proxy, by itself or as a file in a ConfigMap.
fn configuration(object: Object<'_>, options: Options<'_>, judged: &mut Judged) {
    judged.configurations += usize::from(node::judge(object, options, &mut judged.faults));
    if object.kind() != "ConfigMap" {
        return;
    }
    for (_, value) in object.node().get("data").into_iter().flat_map(Node::entries) {
        let Some(text) = value
            .scalar()
            .filter(|text| text.contains("KubeletConfiguration") || text.contains("KubeProxyConfiguration"))
        else {
            continue;
        };
        let before = judged.faults.len();
        let budget = Budget::of(text.len(), options.steps);
        let start = Mark { line: 1, column: 1 };
        for tree in &tree::read(text, start, &budget).0 {
            if let Some(inner) = tree.root().and_then(Object::of) {
                judged.configurations += usize::from(node::judge(inner, options, &mut judged.faults));
            }
        }
        for fault in judged.faults.iter_mut().skip(before) {
            fault.mark = in_text(value, fault.mark);
        }
    }
}

/// A place of a text that a value holds, as one of the file. The mark of a block is where its first line that is not empty
/// begins; what has no lines of its own is one place.
fn in_text(value: Node<'_>, mark: Mark) -> Mark {
    let start = value.mark();
    if !value.is_block() {
        return start;
    }
    let empty = value.scalar().unwrap_or_default().bytes().take_while(|byte| *byte == b'\n').count();
    Mark { line: (start.line + mark.line).saturating_sub(1 + empty), column: start.column + mark.column - 1 }
}

fn spec_of(spec: &Spec<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    let pod_security = match spec.level() {
        Some("baseline") => Some("baseline"),
        Some("restricted") => Some("restricted"),
        Some("privileged") => None,
        _ => options.pod_security,
    };
    let options = Options { pod_security, ..options };
    fields::judge(spec, faults);
    schema::judge(spec, options, faults);
    resources::judge(spec, faults);
    port_numbers::judge(spec, faults);
    if spec.is_of_kubernetes() {
        port_numbers::on_node(spec, faults);
    }
    if windows::judge(spec, faults) {
        return;
    }
    let mut sysctls = sysctls::judge(spec, options, faults);
    values::judge(&spec.subject(), "the sandbox is never made", &sysctls, faults);
    // A container writes after the sandbox is made.
    let written = tuning::judge(spec, options, faults);
    let mut names = BTreeSet::new();
    let mut last: Vec<&tuning::Own> = written.iter().rev().filter(|own| names.insert(own.name.as_str())).collect();
    last.reverse();
    sysctls.retain(|sysctl| !names.contains(sysctl.name.as_str()));
    sysctls.extend(last.into_iter().map(|own| Sysctl { name: own.name.clone(), value: &own.value, mark: own.mark }));
    ports::judge(spec, &sysctls, faults);
    dns::judge(spec, faults);
    jvm::judge(spec, faults);
    for container in spec.containers() {
        node::flags(spec, container, faults);
    }
    if let Some(load) = options.load {
        load.pod(spec, &sysctls, faults);
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

/// Whether a text is filled in by a template or by a person before it is applied.
fn is_filled_in_later(text: &str) -> bool {
    ["{{", "$", "<%", "__"].iter().any(|mark| text.contains(mark))
}
