//! The rules of an audit: those built in, and those that the user adds or replaces by id.

pub mod file;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalogue::Catalogue;
use crate::model::rule::Rule;
use crate::model::workload::{Role, Workload};

pub use file::Problem;

/// The rules and workloads that `src/build.rs` packed from `rules/`.
static BUILT_IN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.bin"));

/// A set of rules, by id.
#[derive(Clone, Debug)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
    workloads: Vec<Workload>,
}

impl RuleSet {
    /// The built-in rules. The blob was made by this build, so it always decodes; an empty set stands for one that did
    /// not, and the tests refuse that.
    pub fn built_in() -> Self {
        let (rules, workloads): (Vec<Rule>, Vec<Workload>) = postcard::from_bytes(BUILT_IN).unwrap_or_default();
        Self { rules: rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect(), workloads }
    }

    /// Reads one rule file, and checks it against the facts that exist.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of its lines.
    pub fn parse(id: &str, text: &str, catalogue: &Catalogue) -> Result<Rule, Vec<Problem>> {
        let rule = file::rule(id, text).map_err(|problem| vec![problem])?;
        let problems = validate::check(&rule, text, catalogue);
        if problems.is_empty() { Ok(rule) } else { Err(problems) }
    }

    /// Adds a rule, or replaces the one of the same id.
    pub fn put(&mut self, rule: Rule) {
        self.rules.insert(rule.id.clone(), rule);
    }

    /// All rules, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// The rule of this id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// Every fact that some rule mentions.
    pub fn wanted(&self) -> BTreeSet<String> {
        self.rules.values().flat_map(Rule::wanted).collect()
    }

    /// The default numbers of a role, from `rules/workloads/`.
    pub fn workload(&self, role: Role) -> Workload {
        let found = self.workloads.iter().find(|workload| workload.role == role);
        found.cloned().unwrap_or(Workload {
            role,
            connections: 0,
            burst: 0,
            destinations: 1,
            streams: 1,
            outgoing: None,
            ports: Vec::new(),
        })
    }
}
