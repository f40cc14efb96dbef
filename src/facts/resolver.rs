//! How the resolver of this place looks names up.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit, Value};

const PATH: &str = "/etc/resolv.conf";
const NDOTS: &str = "resolver.ndots";

pub(super) const SOURCE: Source = Source {
    families: &["resolver"],
    read,
    entries: &[Entry {
        name: NDOTS,
        unit: Unit::Mode,
        scope: Scope::Process,
        meaning: "dots that a name needs to be asked for as it stands, before the search list",
        read: PATH,
        document: "https://man7.org/linux/man-pages/man5/resolv.conf.5.html",
    }],
};

fn read(gather: &mut Gather<'_>) {
    let reading = match gather.host.read(PATH) {
        Ok(bytes) => Ok(Value::Number(ndots(&text(&bytes)))),
        Err(refusal) => Err(refusal.gap(PATH)),
    };
    gather.put(NDOTS, reading, PATH);
}

/// The last `ndots` counts, 15 at most; without one it is 1.
fn ndots(text: &str) -> i128 {
    let options = text.lines().filter_map(|line| line.trim_start().strip_prefix("options"));
    let words = options.flat_map(str::split_whitespace);
    words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back().unwrap_or(1).clamp(0, 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ndots_counts() {
        assert_eq!(ndots("nameserver 10.0.0.10\nsearch a.b\noptions ndots:5\n"), 5);
        assert_eq!(ndots("options timeout:1 ndots:2\noptions ndots:99\n"), 15);
        assert_eq!(ndots("# options ndots:5\nnameserver ::1\n"), 1);
        assert_eq!(ndots("options ndots:x"), 1);
    }
}
