//! How a group is throttled.

use super::{Formula, entry};
use crate::facts::over;
use crate::model::fact::{Scope, Unit, Value};
use crate::model::version::Version;

/// Up to here what a CPU did not use of its slice of a quota expired, unless the fix was brought back.
const SLICES_STAY: Version = Version { major: 5, minor: 4, patch: 0 };

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "cgroup.cpu.throttled_share",
            Unit::Percent,
            Scope::Cgroup,
            "cgroup.cpu.throttled / cgroup.cpu.periods",
            "share of periods in which the quota ran out, of the window, or else since the cgroup began",
        ),
        needs: &["cgroup.cpu.throttled", "cgroup.cpu.periods"],
        compute: |facts, _| {
            let throttled = facts.number("cgroup.cpu.throttled")?.saturating_mul(100);
            let share = throttled / facts.number("cgroup.cpu.periods")?.max(1);
            // Where a window is looked at, what was before it says nothing; it is closed later.
            match facts.number("window.milliseconds") {
                Ok(1..) => Err(over::no_window()),
                _ => Ok(Value::Number(share)),
            }
        },
    },
    Formula {
        entry: entry(
            "cgroup.cpu.throttled_because",
            Unit::Text,
            Scope::Cgroup,
            "kernel.release",
            "why a group is throttled on this kernel",
        ),
        needs: &["kernel.release"],
        compute: |facts, _| {
            let kernel = facts.text("kernel.release").and_then(|text| text.parse::<Version>().ok());
            let why = match kernel.filter(|kernel| *kernel < SLICES_STAY) {
                Some(_) => {
                    "it used up its quota, or seemed to: kernels before 5.4 throttle groups below their quota too"
                }
                None => "it used up its quota",
            };
            Ok(Value::Text(why.to_owned()))
        },
    },
];
