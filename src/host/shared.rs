//! What is the same for every process of a machine, read once for an audit of several.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::reader::Readers;
use super::{Answer, Ask, Host, Live, Query};
use crate::model::bounds;

/// Remembers what it was asked.
#[derive(Debug, Default)]
pub(super) struct Shared {
    kept: RefCell<BTreeMap<(Ask, String), Answer>>,
    /// Those who read what lies inside of the processes.
    pub(super) readers: Rc<Readers>,
}

impl Shared {
    /// The answer, that of the first time if it was asked before.
    pub(super) fn ask(&self, query: Query<'_>) -> Answer {
        // Who holds a socket is asked for other sockets each time, and a cgroup's files are its own.
        if query.ask == Ask::SocketOwners || query.of.starts_with("/sys/fs/cgroup/") {
            return Live.ask(query);
        }
        let key = (query.ask, query.of.to_owned());
        if let Some(answer) = self.kept.borrow().get(&key) {
            return answer.clone();
        }
        let answer = Live.ask(query);
        let mut kept = self.kept.borrow_mut();
        if kept.len() < bounds::SHARED_ANSWERS.count()
            && answer.as_ref().map_or(0, Vec::len) <= bounds::SHARED_ANSWER.count()
        {
            kept.insert(key, answer.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_once_is_not_read_again() {
        let shared = Shared::default();
        let uptime = || shared.ask(Query { ask: Ask::Read, of: "/proc/uptime" }).unwrap();
        let first = uptime();
        std::thread::sleep(std::time::Duration::from_millis(30));
        assert_eq!(uptime(), first);
        assert_ne!(Live.ask(Query { ask: Ask::Read, of: "/proc/uptime" }).unwrap(), first);
    }
}
