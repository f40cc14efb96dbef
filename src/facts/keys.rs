//! Keys that users hold in kernel keyrings, against what they may hold.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::grouped;

const PATH: &str = "/proc/key-users";

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/keyrings.7.html";
    Entry { name, unit, scope: Scope::Host, meaning, read: PATH, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["keys"],
    read,
    entries: &[
        entry("keys.share", Unit::Percent, "most of a quota of keys or of their bytes that any user has used"),
        entry("keys.user", Unit::Text, "that user, with keys and bytes in use and allowed"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let worst = match gather.host.read(PATH) {
        Ok(bytes) => worst(&bytes).ok_or_else(|| Gap::unparsable(PATH, &bytes)),
        Err(refusal) => Err(refusal.gap(PATH)),
    };
    gather.put("keys.share", worst.as_ref().map(|user| Value::Number(user.share())).map_err(Gap::clone), PATH);
    gather.put("keys.user", worst.map(|user| Value::Text(user.words())), PATH);
}

/// A row: what counts against the quotas of one user.
#[derive(Debug, PartialEq)]
struct User {
    uid: u32,
    keys: [i128; 2],
    bytes: [i128; 2],
}

impl User {
    /// Percent of the quota that is nearer to its end.
    fn share(&self) -> i128 {
        let share = |[used, most]: [i128; 2]| used.saturating_mul(100) / most.max(1);
        share(self.keys).max(share(self.bytes))
    }

    fn words(&self) -> String {
        let of = |[used, most]: [i128; 2]| format!("{} of {}", grouped(used), grouped(most));
        format!("uid {} has {} keys and {} bytes of them", self.uid, of(self.keys), of(self.bytes))
    }
}

/// The user nearest to a quota. A row is `UID: USAGE KEYS/LIVE COUNTED/MOST BYTES/MOST`; none at all is a file of
/// another kind, since root always has keys.
fn worst(bytes: &[u8]) -> Option<User> {
    text(bytes).lines().map(user).collect::<Option<Vec<User>>>()?.into_iter().max_by_key(User::share)
}

fn user(line: &str) -> Option<User> {
    let (uid, rest) = line.trim().split_once(':')?;
    let pair = |word: &str| -> Option<[i128; 2]> {
        let (used, most) = word.split_once('/')?;
        Some([used.parse().ok()?, most.parse().ok()?])
    };
    let mut words = rest.split_whitespace().skip(2);
    Some(User { uid: uid.parse().ok()?, keys: pair(words.next()?)?, bytes: pair(words.next()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_nearest_to_either_quota_is_the_one() {
        let rows = b"    0:     9 8/8 3/1000000 40/25000000\n 1000:   190 188/188 180/200 3600/20000\n";
        let user = worst(rows).unwrap();
        assert_eq!((user.uid, user.share()), (1000, 90));
        assert_eq!(user.words(), "uid 1000 has 180 of 200 keys and 3,600 of 20,000 bytes of them");
        assert_eq!(worst(b"1001: 5 4/4 3/200 19900/20000\n").unwrap().share(), 99);
        assert_eq!(worst(b""), None);
        assert_eq!(worst(b"0: 9 8/8 3 40\n"), None);
        assert_eq!(worst(b"0: 9 8/8 3/0 0/0\n").unwrap().share(), 300);
    }
}
