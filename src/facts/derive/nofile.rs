//! How far fs.nr_open has to reach.

use super::{Formula, entry};
use crate::facts::units::{MOST_ASKED, NR_OPEN};
use crate::model::fact::{Cause, Scope, Unit, Value};

/// What the kernel starts with (fs/file.c). Programs and units that ask for "as much as there is" write this number.
const DEFAULT: i128 = 1_048_576;
/// For files, pipes, epoll and name lookups, as files/nofile-* has it.
const SPARE: i128 = 256;
const HARD: &str = "limit.nofile.hard";

pub(super) const FORMULAS: &[Formula] = &[Formula {
    entry: entry(
        "nofile.highest",
        Unit::Count,
        Scope::Host,
        "the greatest of 1048576, workload.sockets + 256, limit.nofile.hard where it is not too high itself and, on a host, units.nofile",
        "highest limit on open files that something here needs, asks for or rightly has, and at least the kernel's default of fs.nr_open",
    ),
    needs: &[HARD, MOST_ASKED, NR_OPEN],
    compute: |facts, _| {
        // Unit files in an image say nothing of the node.
        let asked = if facts.holds("container") { Ok(0) } else { facts.number(MOST_ASKED) };
        let load = facts.number("workload.sockets").map_or(0, |sockets| sockets.saturating_add(SPARE));
        let (mut highest, mut unknown) = (DEFAULT.max(load), None);
        // A hard limit beyond its band comes down (files/nofile-hard): nothing has to reach it.
        let most = DEFAULT.max(facts.number("workload.files").unwrap_or(0));
        let hard = facts.number(HARD).map(|hard| if hard > most { 0 } else { hard });
        for limit in [hard, asked] {
            match limit {
                Ok(i128::MAX) => {}
                Ok(limit) => highest = highest.max(limit),
                Err(gap) if gap.cause == Cause::Absent => {}
                Err(gap) => unknown = Some(gap),
            }
        }
        // What is unknown can only ask for more.
        match unknown {
            Some(gap) if facts.number(NR_OPEN)? >= highest => Err(gap),
            _ => Ok(Value::Number(highest)),
        }
    },
}];
