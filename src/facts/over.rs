//! Shares of time, over the window that was looked at instead of since the beginning.

use super::derive::conntrack;
use super::listeners::DROPS;
use super::pressure;
use crate::model::fact::{Cause, Gap, Value};
use crate::model::facts::{Facts, Name};
use crate::model::window::Window;

const THROTTLED_SHARE: &str = "cgroup.cpu.throttled_share";
/// What is known of each group with a CPU quota, by the end of its name. All but the first are counters.
const OF_A_GROUP: [&str; 4] = ["limit", "periods", "throttled", "throttled_usec"];

/// Counters by name, and those of each level.
macro_rules! with_levels {
    ([$($first:literal)*] $($level:literal)*) => {
        &[
            $($first,)*
            "cgroup.cpu.throttled",
            "cgroup.cpu.periods",
            "cgroup.cpu.throttled_usec",
            $(
                concat!("cgroup.cpu[", $level, "].throttled"),
                concat!("cgroup.cpu[", $level, "].periods"),
                concat!("cgroup.cpu[", $level, "].throttled_usec"),
            )*
        ]
    };
}

const QUOTAS: &[&str] = with_levels!([] 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
const CGROUP_CPU: &[&str] = with_levels!(
    ["cgroup.pressure.cpu.some.total" "cgroup.pressure.cpu.full.total"]
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
);

/// The counters that a fact is worked out from over a window, if it is. While the first of them stands still, so does what
/// the fact tells.
pub fn parts_of(fact: &str) -> &'static [&'static str] {
    match fact {
        THROTTLED_SHARE => QUOTAS,
        conntrack::FULL_DROPS => conntrack::PARTS,
        "pressure.cpu.some.share" => &["pressure.cpu.some.total"],
        "pressure.memory.some.share" => &["pressure.memory.some.total", "pressure.memory.full.total"],
        "pressure.io.some.share" => &["pressure.io.some.total", "pressure.io.full.total"],
        "cgroup.pressure.cpu.some.share" => CGROUP_CPU,
        "cgroup.pressure.memory.some.share" => {
            &["cgroup.pressure.memory.some.total", "cgroup.pressure.memory.full.total"]
        }
        "cgroup.pressure.io.some.share" => &["cgroup.pressure.io.some.total", "cgroup.pressure.io.full.total"],
        _ => &[],
    }
}

/// The name of a figure of the group so many steps above the process's own.
pub(super) fn of_level(level: usize, key: &str) -> String {
    format!("cgroup.cpu[{level}].{key}")
}

/// Why a share of the window is not there in its first reading.
pub(super) fn no_window() -> Gap {
    Gap::new(Cause::Absent, "a share of the window needs a second reading")
}

/// A listener that was not there when the window began had dropped nothing by then.
fn begin_new_listeners(facts: &mut Facts) {
    let read_before = |window: &Window| window.before.contains_key("listeners.count");
    if !facts.window().is_some_and(read_before) {
        return;
    }
    for subject in facts.subjects(DROPS) {
        let name = Name::from(format!("listener[{subject}].drops"));
        if facts.window().is_some_and(|window| !window.before.contains_key(&name)) {
            facts.began_at(name, Some(0));
        }
    }
}

/// Makes every share of time that of the window, where one was looked at, and every count that of what was there.
pub fn narrow(facts: &mut Facts) {
    let Some(milliseconds) = facts.window().map(|window| i128::from(window.milliseconds.max(1))) else { return };
    begin_new_listeners(facts);
    tell_group(facts);
    conntrack::rise_by_parts(facts);
    if facts.get(THROTTLED_SHARE).is_some() && facts.number("cgroup.cpu.throttled").is_ok() {
        let rise = |name| facts.rise(name).unwrap_or_else(|| Err(no_window()));
        let share = rise("cgroup.cpu.throttled")
            .and_then(|throttled| Ok(throttled.saturating_mul(100) / rise("cgroup.cpu.periods")?.max(1)));
        let share = share.map(|share| Value::Number(share.min(100)));
        facts.put(THROTTLED_SHARE, share, "rise of cgroup.cpu.throttled / cgroup.cpu.periods");
    }
    let of_pressure = |name: &str| name.starts_with("pressure.") || name.starts_with("cgroup.pressure.");
    let shares = facts.iter().filter(|(name, _)| of_pressure(name)).filter_map(|(name, _)| {
        let total = format!("{}.total", name.strip_suffix(pressure::SHARE)?);
        // A total that cannot be read has said why under the name of the share too.
        facts.number(&total).ok()?;
        let rise = facts.rise(&total)?;
        let share = rise.map(|rise| Value::Number((rise / milliseconds.saturating_mul(10)).min(100)));
        Some((name.to_owned(), share, format!("rise of {total} / the window")))
    });
    for (name, share, source) in shares.collect::<Vec<_>>() {
        facts.put(name, share, source);
    }
}

/// Tells as the cgroup's CPU quota that of the group which was throttled most: in the window, or without one since it
/// began. Its counters come with it, those of the beginning of the window too.
pub(super) fn tell_group(facts: &mut Facts) {
    let over = |level: usize, key: &str| {
        let name = of_level(level, key);
        facts.rise(&name).unwrap_or_else(|| facts.number(&name)).ok()
    };
    let levels = facts.subjects("cgroup.cpu[*].limit");
    let mut levels: Vec<usize> = levels.iter().filter_map(|level| level.parse().ok()).collect();
    levels.sort_unstable();
    let rank = |level: usize| {
        let share = Some((over(level, "throttled")?.saturating_mul(10_000), over(level, "periods")?.max(1)));
        share.map(|(throttled, periods)| throttled / periods)
    };
    let limit = |level: usize| facts.number(&of_level(level, "limit")).unwrap_or(i128::MAX);
    // Of two that tie the less counts, then the process's own; max_by_key takes the last.
    let most = levels.into_iter().rev().max_by_key(|&level| (rank(level), std::cmp::Reverse(limit(level))));
    let Some(level) = most else { return };
    if let Some(file) = facts.get(&of_level(level, "throttled")).map(|fact| fact.source.clone()) {
        facts.put("cgroup.cpu.stat_file", Ok(Value::Text(file.to_string())), file);
    }
    for key in OF_A_GROUP {
        let own = of_level(level, key);
        let name = Name::from(format!("cgroup.cpu.{key}"));
        let before = facts.window().and_then(|window| window.before.get(own.as_str()).copied());
        if let Some(fact) = facts.get(&own).cloned() {
            facts.put(name.clone(), fact.reading, fact.source);
            facts.began_at(name, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::bounds;

    /// Groups by level, each with its limit, periods and throttled periods.
    fn groups(groups: &[(usize, i128, i128)]) -> Facts {
        let mut facts = Facts::default();
        for &(level, periods, throttled) in groups {
            let figures = [("limit", 500), ("periods", periods), ("throttled", throttled), ("throttled_usec", 9)];
            for (key, number) in figures {
                facts.put(of_level(level, key), Ok(Value::Number(number)), format!("group {level}"));
            }
        }
        tell_group(&mut facts);
        facts.put(THROTTLED_SHARE, Err(no_window()), "");
        facts
    }

    fn before(facts: &Facts) -> Window {
        let numbers = facts.iter().filter_map(|(name, _)| Some((name.to_owned().into(), facts.number(name).ok()?)));
        Window { milliseconds: 2000, before: numbers.collect() }
    }

    #[test]
    fn a_group_that_was_throttled_at_its_start_is_judged_by_the_window() {
        let mut facts = groups(&[(0, 120, 60)]);
        narrow(&mut facts);
        assert!(facts.number(THROTTLED_SHARE).is_err(), "without a window there is no share of one");
        facts.look_back(before(&groups(&[(0, 100, 59)])));
        narrow(&mut facts);
        assert_eq!(facts.number(THROTTLED_SHARE), Ok(5));
        facts.look_back(before(&groups(&[(0, 120, 60)])));
        narrow(&mut facts);
        assert_eq!(facts.number(THROTTLED_SHARE), Ok(0), "nothing waited in a window without a period");
    }

    #[test]
    fn the_group_that_was_throttled_in_the_window_is_told_and_not_the_one_of_long_ago() {
        let mut facts = groups(&[(0, 100, 91), (2, 17, 17)]);
        let then = groups(&[(0, 100, 91), (2, 0, 0)]);
        assert_eq!(then.get("cgroup.cpu.throttled").unwrap().source, "group 0");
        facts.look_back(before(&then));
        narrow(&mut facts);
        assert_eq!(facts.number(THROTTLED_SHARE), Ok(100));
        assert_eq!(facts.get("cgroup.cpu.throttled").unwrap().source, "group 2");
        assert_eq!(facts.rise("cgroup.cpu.throttled"), Some(Ok(17)), "the rise is that of one group");
        assert_eq!(facts.rise("cgroup.cpu.periods"), Some(Ok(17)));
    }

    #[test]
    fn a_pick_that_changes_between_two_readings_subtracts_no_two_groups() {
        let mut facts = groups(&[(0, 100, 50), (1, 1000, 900)]);
        facts.look_back(before(&groups(&[(0, 90, 45), (1, 990, 400)])));
        // The counter of a group that was not read before has no rise.
        facts.began_at("cgroup.cpu[1].throttled".into(), None);
        narrow(&mut facts);
        assert_eq!(facts.rise("cgroup.cpu.throttled"), Some(Ok(5)));
        assert_eq!(facts.number(THROTTLED_SHARE), Ok(50));
    }

    #[test]
    fn every_level_has_counters_that_are_kept() {
        for level in 0..bounds::LEVELS.count() {
            for key in OF_A_GROUP.iter().skip(1) {
                assert!(QUOTAS.contains(&of_level(level, key).as_str()), "{level} {key}");
            }
        }
    }

    #[test]
    fn pressure_is_that_of_the_window_and_none_without_one() {
        let mut facts = Facts::default();
        let [share, total] = ["pressure.cpu.some.share", "pressure.cpu.some.total"];
        facts.put(share, Err(no_window()), "");
        facts.put(total, Ok(Value::Number(9_046_500)), "");
        narrow(&mut facts);
        assert_eq!(facts.number(share), Err(no_window()));
        facts.look_back(Window { milliseconds: 62, before: [(total.into(), 9_000_000)].into() });
        narrow(&mut facts);
        assert_eq!(facts.number(share), Ok(75));
        facts.look_back(Window { milliseconds: 62, before: [].into() });
        narrow(&mut facts);
        assert_eq!(facts.number(share).unwrap_err().cause, Cause::Unsupported);
    }
}
