//! What lies inside of a process, and what is below its root.

use nix::errno::Errno;

use super::below::Below;
use super::{Answer, Ask, Host, Live, Query, Refusal, processes, runtime};

/// Answers a question about the process of this number: about its files as it sees them, its memory, its environment, what
/// it is made of and what it was told.
pub(super) fn ask(pid: u32, query: Query<'_>) -> Answer {
    match query.ask {
        Ask::Mappings => match processes::mappings(pid) {
            Ok(count) => Ok(count.to_string().into_bytes()),
            Err(error) => Err(super::live::refusal(&error)),
        },
        Ask::Runtime => runtime::signs(pid),
        Ask::Options => runtime::options(pid, query.of),
        Ask::Env => {
            let set = |all: Vec<u8>| {
                let mut names =
                    all.split(|&byte| byte == 0).filter_map(|entry| entry.split(|&byte| byte == b'=').next());
                names.any(|name| name == query.of.as_bytes())
            };
            match set(Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{pid}/environ") })?) {
                true => Ok(Vec::new()),
                false => Err(Refusal::Errno(Errno::ENOENT as i32)),
            }
        }
        _ => {
            let answer = Below::process(pid).and_then(|below| below.ask(query));
            answer.map_err(|refusal| refusal.at(&format!("/proc/{pid}/root{}", query.of)))
        }
    }
}
