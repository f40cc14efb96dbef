//! What is wrong with the pods of a manifest before anything is deployed.

use std::collections::BTreeMap;

use super::finding::Outcome;

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One thing that is wrong, or cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub mark: Mark,
    /// The check that found it: a word such as `ulimits`.
    pub check: &'static str,
    /// Warn, fail, or unknown.
    pub outcome: Outcome,
    /// The object and container it is about, such as `Deployment/gateway, container app`; empty for a whole document.
    pub subject: String,
    /// What is wrong.
    pub says: String,
    /// What to do about it.
    pub change: String,
    /// The file of a chart that the document was made from, if it says so.
    pub source: Option<String>,
}

/// What is said of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// What the user called the file.
    pub file: String,
    /// In the order of its lines.
    pub faults: Vec<Fault>,
    /// Objects: what has an `apiVersion` or a `kind`.
    pub objects: usize,
    /// Objects without a pod, by kind.
    pub passed_over: BTreeMap<String, usize>,
    /// Configurations of kubelets and of kube-proxy, services of Compose files and ECS tasks that were judged.
    pub configurations: usize,
    /// Documents that are no objects for Kubernetes.
    pub not_manifests: usize,
    /// Templates that are not filled in.
    pub templates: usize,
    /// Pods and pod templates.
    pub pods: usize,
    /// Patches, or single changes of one, that put something into a pod's spec.
    pub patches: usize,
    /// Where and why the first document could not be read that is neither an object nor a template.
    pub broken: Option<(Mark, String)>,
}

impl Judged {
    /// Counts an object of a kind without pods.
    pub fn pass_over(&mut self, kind: &str) {
        *self.passed_over.entry(kind.to_owned()).or_default() += 1;
    }
}

/// What is said of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// By file.
    pub files: Vec<Judged>,
    /// Files and folders that could not be read, each with the reason.
    pub unreadable: Vec<(String, String)>,
}

impl Manifests {
    /// Whether nothing that could be read is something that is judged.
    pub fn is_without_objects(&self) -> bool {
        self.sum(|file| file.objects + file.configurations + file.patches) == 0
    }

    /// How many faults have an outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.files.iter().flat_map(|file| &file.faults).filter(|fault| fault.outcome == outcome).count()
    }

    /// The sum of a number over all files.
    pub fn sum(&self, of: impl Fn(&Judged) -> usize) -> usize {
        self.files.iter().map(of).sum()
    }

    /// Objects without a pod, by kind, the most frequent first.
    pub fn passed_over(&self) -> Vec<(&str, usize)> {
        let mut by_kind: BTreeMap<&str, usize> = BTreeMap::new();
        for (kind, count) in self.files.iter().flat_map(|file| &file.passed_over) {
            *by_kind.entry(kind).or_default() += count;
        }
        let mut kinds: Vec<_> = by_kind.into_iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        kinds
    }
}
