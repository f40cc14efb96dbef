//! The rules of an audit: those built in, and those that the user adds or replaces by id.

pub mod file;
mod validate;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::catalogue::Catalogue;
use crate::model::manual::Manual;
use crate::model::rule::{Doc, Rule};
use crate::model::symptom::Lookalike;
use crate::model::workload::{Role, Workload};

pub use file::Problem;

/// The rules of `rules/`, as `src/build.rs` wrote them.
static BUILT_IN: &[Rule] = include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// What the built-in rules say to people. This and the other blobs were made by this build, so they always decode; nothing
/// stands for one that did not, and the tests refuse that.
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
    rules: Cow<'static, [Rule]>,
    /// Of rules that are not built in.
    docs: BTreeMap<&'static str, Doc>,
}

impl RuleSet {
    /// The built-in rules.
    pub fn built_in() -> Self {
        Self { rules: Cow::Borrowed(BUILT_IN), docs: BTreeMap::new() }
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
        let rules = self.rules.to_mut();
        match rules.binary_search_by(|known| known.id.cmp(rule.id)) {
            Ok(at) => rules.splice(at..=at, [rule]).for_each(drop),
            Err(at) => rules.insert(at, rule),
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
        let at = self.rules.binary_search_by(|rule| rule.id.cmp(id)).ok()?;
        self.rules.get(at)
    }

    /// The default numbers of a role, from `rules/workloads/`.
    pub fn workload(&self, role: Role) -> Workload {
        static PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/workloads.bin"));
        let workloads: Vec<Workload> = postcard::from_bytes(PACKED).unwrap_or_default();
        workloads.into_iter().find(|workload| workload.role == role).unwrap_or(Workload::none(role))
    }
}
