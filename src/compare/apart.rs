//! Whether two totals are two readings of one counter.

use crate::model::diff::Apart;
use crate::model::fact::Scope;
use crate::model::place::Place;
use crate::model::recorded::RecordedProof;

/// Why a total of A says nothing of that of B; none where both are of one boot, and of one network namespace or cgroup
/// where they count for one. That a name was given again cannot be told: a total that fell tells it.
pub(super) fn apart(places: [&Place; 2], a: &RecordedProof, b: &RecordedProof) -> Option<Apart> {
    let [was, is] = places;
    match was.boot.as_ref().zip(is.boot.as_ref()) {
        None => return Some(Apart::Boot),
        Some((was, is)) if was != is => return Some(Apart::Contrast),
        Some(_) => {}
    }
    match a.scope.filter(|scope| b.scope == Some(*scope)) {
        Some(Scope::Host) => None,
        Some(Scope::Netns) => match was.netns_inode.zip(is.netns_inode) {
            None => Some(Apart::Netns),
            Some((was, is)) => (was != is).then_some(Apart::Contrast),
        },
        Some(Scope::Cgroup) => {
            let same = named(was).is_some_and(|path| named(is) == Some(path));
            (!same).then_some(Apart::Cgroup)
        }
        Some(Scope::Process | Scope::Pidns) | None => Some(Apart::Owner),
    }
}

/// The cgroup by its path. Every cgroup namespace has its own `/`, and shows what lies beside it from there.
fn named(place: &Place) -> Option<&str> {
    place.cgroup_path.as_deref().filter(|path| *path != "/" && !path.starts_with("/.."))
}
