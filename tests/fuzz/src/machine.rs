//! A machine in one file: lines `@ASK OF`, each followed by the bytes of its answer. What is not there does not exist.

use std::collections::BTreeMap;

use tunecheck::host::{Answer, Ask, Host, Query, Refusal};

/// The machine.
pub struct Machine(BTreeMap<(Ask, String), Vec<u8>>);

impl Machine {
    /// Reads any bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut answers = BTreeMap::new();
        let starts = |at: usize| bytes.get(at) == Some(&b'@') && (at == 0 || bytes.get(at - 1) == Some(&b'\n'));
        let mut marks: Vec<usize> = (0..bytes.len()).filter(|at| starts(*at)).collect();
        marks.push(bytes.len());
        for part in marks.windows(2).map(|pair| &bytes[pair[0]..pair[1]]) {
            let end = part.iter().position(|byte| *byte == b'\n').unwrap_or(part.len());
            let head = String::from_utf8_lossy(&part[1..end]).into_owned();
            let (ask, of) = head.split_once(' ').unwrap_or((&head, ""));
            if let Ok(ask) = serde_json::from_value(ask.into()) {
                answers.insert((ask, of.to_owned()), part.get(end + 1..).unwrap_or_default().to_vec());
            }
        }
        Self(answers)
    }
}

impl Host for Machine {
    fn ask(&self, query: Query<'_>) -> Answer {
        self.0.get(&(query.ask, query.of.to_owned())).cloned().ok_or(Refusal::Errno(2))
    }

    fn source(&self) -> String {
        "bytes".to_owned()
    }
}
