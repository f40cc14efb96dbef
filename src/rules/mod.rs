//! The rules of an audit: those built in, and those that the user adds or replaces by id.

pub mod file;
mod validate;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::catalogue::Catalogue;
use crate::model::manual::Manual;
use crate::model::rule::{Doc, Rule};
use crate::model::symptom::Lookalike;
use crate::model::workload::{Role, Workload};

pub use file::Problem;

/// The rules and workloads that `src/build.rs` packed from `rules/`. All blobs were made by this build, so they always
/// decode; nothing stands for one that did not, and the tests refuse that.
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.bin"));

/// What the built-in rules say to people.
static DOCS: LazyLock<BTreeMap<&'static str, Doc>> = LazyLock::new(|| {
    static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/docs.bin"));
    let (ids, docs): (Vec<&'static str>, Vec<Doc>) = postcard::from_bytes(PACKED).unwrap_or_default();
    ids.into_iter().zip(docs).collect()
});

/// What looks like a symptom of a rule and is none.
pub fn lookalikes() -> Vec<Lookalike> {
    static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lookalikes.bin"));
    postcard::from_bytes(PACKED).unwrap_or_default()
}

/// The tuning manual, row by row: what `explain manual` prints, and what a rule may name. A plain audit asks for neither.
pub fn manual() -> &'static Manual {
    static TABLE: LazyLock<Manual> = LazyLock::new(|| {
        static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/manual.bin"));
        Manual(postcard::from_bytes(PACKED).unwrap_or_default())
    });
    &TABLE
}

/// A set of rules, by id.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Sorted by id, as `src/build.rs` packs them.
    rules: Vec<Rule>,
    /// Of rules that are not built in.
    docs: BTreeMap<&'static str, Doc>,
    workloads: Vec<Workload>,
}

impl RuleSet {
    /// The built-in rules.
    pub fn built_in() -> Self {
        Self::unpacked(BUILT_IN)
    }

    /// What `src/build.rs` packed; nothing if it was packed for another layout.
    pub(crate) fn unpacked(packed: &'static [u8]) -> Self {
        let (rules, workloads): (Vec<Rule>, Vec<Workload>) = postcard::from_bytes(packed).unwrap_or_default();
        Self { rules, docs: BTreeMap::new(), workloads }
    }

    /// Reads one rule file, and checks it against the facts that exist.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines.
    pub fn parse(id: &str, text: &str, catalogue: &Catalogue) -> Result<(Rule, Doc), Vec<Problem>> {
        let (rule, doc) = file::rule(id, text).map_err(|problem| vec![problem])?;
        let problems = validate::check(&rule, &doc, text, catalogue);
        if problems.is_empty() { Ok((rule, doc)) } else { Err(problems) }
    }

    /// Adds a rule, or replaces the one of the same id.
    pub fn put(&mut self, rule: Rule, doc: Doc) {
        self.docs.insert(rule.id, doc);
        match self.find(rule.id) {
            Ok(at) => self.rules.splice(at..=at, [rule]).for_each(drop),
            Err(at) => self.rules.insert(at, rule),
        }
    }

    /// What a rule says to people.
    pub fn doc(&self, id: &str) -> Option<&Doc> {
        self.docs.get(id).or_else(|| DOCS.get(id))
    }

    /// All rules, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rule of this id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(self.find(id).ok()?)
    }

    fn find(&self, id: &str) -> Result<usize, usize> {
        self.rules.binary_search_by(|rule| rule.id.cmp(id))
    }

    /// The default numbers of a role, from `rules/workloads/`.
    pub fn workload(&self, role: Role) -> Workload {
        let found = self.workloads.iter().find(|workload| workload.role == role);
        found.cloned().unwrap_or(Workload::none(role))
    }
}
