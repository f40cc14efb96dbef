//! Shares of time, over the window that was looked at instead of since the beginning.

use crate::model::fact::Value;
use crate::model::facts::Facts;

const SHARE: &str = "cgroup.cpu.throttled_share";
/// In how many periods it happened, and in how many it could have.
const PARTS: [&str; 2] = ["cgroup.cpu.throttled", "cgroup.cpu.periods"];

/// The counters that a fact is worked out from over a window, if it is.
pub fn parts_of(fact: &str) -> &'static [&'static str] {
    if fact == SHARE { &PARTS } else { &[] }
}

/// Makes the share of throttled periods that of the window, where one was looked at and a period passed in it.
pub fn narrow(facts: &mut Facts) {
    let [throttled, periods] = PARTS.map(|name| facts.rise(name).and_then(Result::ok));
    if let (Some(throttled), Some(periods @ 1..), Ok(_)) = (throttled, periods, facts.value(SHARE)) {
        let share = throttled.saturating_mul(100) / periods;
        facts.put(SHARE, Ok(Value::Number(share.min(100))), "rise of cgroup.cpu.throttled / cgroup.cpu.periods");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::window::Window;

    #[test]
    fn a_group_that_was_throttled_at_its_start_is_judged_by_the_window() {
        let mut facts = Facts::default();
        let mut put = |name, number| facts.put(name, Ok(Value::Number(number)), "");
        put(SHARE, 50);
        put(PARTS[0], 60);
        put(PARTS[1], 120);
        narrow(&mut facts);
        assert_eq!(facts.number(SHARE), Ok(50), "without a window it is that since the beginning");
        let before = [(PARTS[0].into(), 59), (PARTS[1].into(), 100)].into();
        facts.look_back(Window { milliseconds: 2000, before });
        narrow(&mut facts);
        assert_eq!(facts.number(SHARE), Ok(5));
    }
}
