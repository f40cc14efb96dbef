//! Keeps every question and answer of an audit, and asks no more than one target may cost.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Answer, Ask, Host, Query, Refusal, Sockets, by_family};
use crate::model::bounds::{self, Bound};

/// Passes questions on to another host and keeps the answers, up to the bounds of one target.
pub struct Recorder<'a> {
    host: &'a dyn Host,
    /// Whether what passes is kept too: for a recording, not for what only one stage of an audit asks.
    keeps_all: bool,
    heard: RefCell<Heard>,
}

#[derive(Default)]
struct Heard {
    answers: BTreeMap<(Ask, String), Answer>,
    /// Bytes of all answers, and of those that are not the kernel's own.
    bytes: u64,
    configuration: u64,
    /// How many questions were not asked, by the bound that ended them.
    cut: BTreeMap<&'static str, usize>,
}

impl Heard {
    /// The bound that leaves no room for one more question.
    fn full(&self, query: Query<'_>) -> Option<Bound> {
        let full = |bound: Bound, used: u64| (used >= bound.most).then_some(bound);
        full(bounds::TARGET_QUESTIONS, self.answers.len() as u64)
            .or_else(|| full(bounds::TARGET_BYTES, self.bytes))
            .or_else(|| full(bounds::CONFIGURATION_BYTES, self.configuration).filter(|_| is_configuration(query)))
    }

    fn refuse(&mut self, bound: Bound) -> Answer {
        *self.cut.entry(bound.what).or_default() += 1;
        Err(Refusal::Unsupported(format!("not read: it is beyond {bound} of {} (tunecheck help limits)", bound.what)))
    }
}

/// Whether the answer is that of a file or folder which somebody wrote, and not the kernel's.
fn is_configuration(query: Query<'_>) -> bool {
    matches!(query.ask, Ask::Read | Ask::List) && !query.of.starts_with("/proc/") && !query.of.starts_with("/sys/")
}

impl<'a> Recorder<'a> {
    /// A recorder in front of `host`.
    pub fn new(host: &'a dyn Host) -> Self {
        Self { host, keeps_all: true, heard: RefCell::default() }
    }

    /// One that only makes several stages of an audit see the same.
    pub fn of_audit(host: &'a dyn Host) -> Self {
        Self { keeps_all: false, ..Self::new(host) }
    }

    /// Whether a bound left a question without an answer.
    pub(super) fn is_cut(&self) -> bool {
        !self.heard.borrow().cut.is_empty()
    }

    /// All questions with their answers.
    pub fn into_answers(self) -> BTreeMap<(Ask, String), Answer> {
        self.heard.into_inner().answers
    }
}

impl Host for Recorder<'_> {
    fn ask(&self, query: Query<'_>) -> Answer {
        let mut heard = self.heard.borrow_mut();
        let key = (query.ask, query.of.to_owned());
        if let Some(answer) = heard.answers.get(&key) {
            return answer.clone();
        }
        if let Some(bound) = heard.full(query) {
            return heard.refuse(bound);
        }
        let mut answer = self.host.ask(query);
        let bytes = answer.as_ref().map_or(0, Vec::len) as u64;
        heard.bytes += bytes;
        heard.configuration += if is_configuration(query) { bytes } else { 0 };
        // What does not fit is not kept: the bound is one of memory.
        if heard.bytes > bounds::TARGET_BYTES.most {
            answer = heard.refuse(bounds::TARGET_BYTES);
        }
        heard.answers.insert(key, answer.clone());
        answer
    }

    fn connections(&self, ports: &str, into: &mut dyn Sockets) -> Result<(), Refusal> {
        match self.keeps_all {
            true => by_family(|query| self.ask(query), ports, into),
            false => self.host.connections(ports, into),
        }
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

    fn is_tree(&self) -> bool {
        self.host.is_tree()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.host.notes();
        notes.extend(self.heard.borrow().cut.iter().map(|(what, count)| {
            format!(
                "{count} questions were not asked, and what they would tell is unknown: {what} (tunecheck help limits)."
            )
        }));
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers everything with so many bytes.
    struct Full(usize);

    impl Host for Full {
        fn ask(&self, _: Query<'_>) -> Answer {
            Ok(vec![b'#'; self.0])
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    /// How many of these questions were answered, and the notes.
    fn asked(host: &Full, count: usize, of: &str) -> (usize, Vec<String>) {
        let recorder = Recorder::new(host);
        let read = |at: usize| recorder.ask(Query { ask: Ask::Read, of: &format!("{of}{at}") });
        let answered = (0..count).filter(|at| read(*at).is_ok()).count();
        (answered, recorder.notes())
    }

    #[test]
    fn a_target_that_answers_without_end_is_cut_off_and_told() {
        let (answered, notes) = asked(&Full(4 << 20), 100, "/etc/sysctl.d/");
        assert_eq!(answered, 4);
        assert!(notes[0].starts_with("96 questions were not asked"), "{notes:?}");
        assert_eq!(asked(&Full(4 << 20), 100, "/proc/").0, 24);
        let most = bounds::TARGET_QUESTIONS.count();
        assert_eq!(asked(&Full(0), most + 10, "/proc/").0, most);
        assert_eq!(asked(&Full(9), 10, "/etc/").1, [""; 0]);
    }

    #[test]
    fn what_is_the_kernels_is_still_read_when_the_files_are_too_much() {
        let recorder = Recorder::new(&Full(9 << 20));
        let read = |of| recorder.ask(Query { ask: Ask::Read, of }).is_ok();
        assert_eq!(
            [read("/etc/a"), read("/etc/b"), read("/etc/c"), read("/proc/c"), read("/etc/a")],
            [true, true, false, true, true]
        );
    }
}
