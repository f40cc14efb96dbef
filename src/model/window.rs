//! The span between two readings: what makes "has happened" into "is happening".

use std::collections::BTreeMap;

use super::fact::{Cause, Gap};
use super::facts::Name;

/// What counters showed at the beginning of a span of time.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// How long it is, in milliseconds.
    pub milliseconds: u64,
    /// Numbers at its beginning, by the name of the fact.
    pub before: BTreeMap<Name, i128>,
}

impl Window {
    /// How far a counter went since the beginning.
    ///
    /// # Errors
    /// The gap where it was not read then, or went back: it began anew, or wrapped.
    pub fn rise(&self, name: &str, now: i128) -> Result<i128, Gap> {
        let before = self.before.get(name);
        let before =
            before.ok_or_else(|| Gap::new(Cause::Unsupported, "it could not be read when the window began"))?;
        match now - before {
            rise @ 0.. => Ok(rise),
            _ => Err(Gap::new(Cause::Unparsable, "it went back: the counter began anew")),
        }
    }

    /// The window in words, to stand behind a number: `in 2 s`.
    pub fn words(&self) -> String {
        format!("in {}", seconds(self.milliseconds))
    }

    /// A number of events as a rate, with one decimal below ten a second.
    pub fn rate(&self, rise: i128) -> String {
        let tenths = rise.saturating_mul(10_000) / i128::from(self.milliseconds.max(1));
        match tenths {
            ..100 => format!("{}.{} a second", tenths / 10, tenths % 10),
            _ => format!("{} a second", super::facts::grouped(tenths / 10)),
        }
    }
}

/// A time as people write it: `350 ms`, `2 s`, `2.5 s`.
pub fn seconds(milliseconds: u64) -> String {
    match milliseconds {
        0..1000 => format!("{milliseconds} ms"),
        _ => {
            let text = format!("{}.{}", milliseconds / 1000, milliseconds % 1000 / 100);
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_began_anew_has_no_rise() {
        let window = Window { milliseconds: 2000, before: [(Name::from("a"), 40)].into() };
        assert_eq!(window.rise("a", 71), Ok(31));
        assert_eq!(window.rise("a", 40), Ok(0));
        assert_eq!(window.rise("a", 3).unwrap_err().cause, Cause::Unparsable);
        assert_eq!(window.rise("b", 3).unwrap_err().cause, Cause::Unsupported);
    }

    #[test]
    fn times_and_rates_read_as_people_write_them() {
        assert_eq!([350, 2000, 2014, 2500].map(seconds), ["350 ms", "2 s", "2 s", "2.5 s"]);
        let window = Window { milliseconds: 2000, before: BTreeMap::new() };
        assert_eq!([3, 31, 3000].map(|rise| window.rate(rise)), ["1.5 a second", "15 a second", "1,500 a second"]);
    }
}
