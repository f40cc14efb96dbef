//! This machine, where nobody knows which of its processes is meant.

use super::{Answer, Ask, Host, Live, Query, Refusal};
use crate::model::place::NOBODY;

/// The machine tunecheck runs on. What a process has of its own is not that of tunecheck, and not known.
#[derive(Debug)]
pub struct Nobody {
    /// Why nobody knows.
    why: String,
}

impl Nobody {
    /// With the reason, a clause.
    pub fn because(why: String) -> Self {
        Self { why }
    }
}

impl Host for Nobody {
    fn ask(&self, query: Query<'_>) -> Answer {
        let asks_of_it = matches!(query.ask, Ask::Mappings | Ask::Runtime | Ask::Options)
            || ["/proc/self/limits", "/proc/self/fd"].contains(&query.of);
        if asks_of_it { Err(Refusal::NotVisibleHere(self.why.clone())) } else { Live.ask(query) }
    }

    fn source(&self) -> String {
        Live.source()
    }

    fn process(&self) -> Option<String> {
        Some(NOBODY.to_owned())
    }

    fn notes(&self) -> Vec<String> {
        vec![format!("Limits of the process that does the work here are unknown: {}.", self.why)]
    }
}
