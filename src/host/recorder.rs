//! Keeps every question and answer of an audit.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Answer, Ask, Host, Query};

/// Passes questions on to another host and keeps the answers.
pub struct Recorder<'a> {
    host: &'a dyn Host,
    heard: RefCell<BTreeMap<(Ask, String), Answer>>,
}

impl<'a> Recorder<'a> {
    /// A recorder in front of `host`.
    pub fn new(host: &'a dyn Host) -> Self {
        Self { host, heard: RefCell::default() }
    }

    /// All questions with their answers.
    pub fn into_answers(self) -> BTreeMap<(Ask, String), Answer> {
        self.heard.into_inner()
    }
}

impl Host for Recorder<'_> {
    fn ask(&self, query: Query<'_>) -> Answer {
        let mut heard = self.heard.borrow_mut();
        heard.entry((query.ask, query.of.to_owned())).or_insert_with(|| self.host.ask(query)).clone()
    }

    fn source(&self) -> String {
        self.host.source()
    }

    fn process(&self) -> Option<String> {
        self.host.process()
    }

    fn judges_itself(&self) -> bool {
        self.host.judges_itself()
    }

    fn notes(&self) -> Vec<String> {
        self.host.notes()
    }
}
