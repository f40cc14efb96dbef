//! Limits over time: reading after reading, what each limit did, and what came of it.

mod course;
mod verdict;
mod watcher;

pub(crate) use course::Course;
pub(crate) use verdict::{Ended, verdict};
pub(crate) use watcher::Watcher;
