//! What is explained and is no rule: the checks of manifests, and limits that only a plan knows.

/// What it means, for people.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The command that speaks of it, a slash and a word: `manifest/jvm`.
    pub id: &'static str,
    /// What is true when nothing is wrong.
    pub title: &'static str,
    /// What people see otherwise: patterns as `model::symptom` reads them.
    pub symptoms: &'static [&'static str],
    /// What happens, and why.
    pub why: &'static str,
    /// What to do about it.
    pub change: &'static str,
}
