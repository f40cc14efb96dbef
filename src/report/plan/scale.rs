//! The scale of the bars, on the terminal and on the page.

use crate::model::sizing::Capacity;
use crate::model::traffic::Traffic;

/// Capacities differ by powers of ten, so a bar grows by as much for each of them.
pub(super) struct Scale {
    /// The power of ten at which bars begin.
    least: u32,
    /// The power of ten at which the longest one ends.
    most: u32,
}

impl Scale {
    /// Holds what each limit carries, what each step buys, and what is asked for. Whatever carries more than one request
    /// has a length.
    pub(super) fn of(capacity: &Capacity, traffic: &Traffic) -> Self {
        let carried = capacity.carried.iter().filter_map(|limit| limit.carries);
        let bought = capacity.steps.iter().map(|step| step.carries);
        let mut all: Vec<u64> =
            carried.chain(bought).chain([traffic.concurrency]).map(|number| number.max(1)).collect();
        all.sort_unstable();
        let below = |number: u64| number.saturating_sub(1).checked_ilog10().unwrap_or(0);
        let least = all.first().map_or(0, |&number| below(number));
        let most = all.last().map_or(0, |&number| if number > 1 { below(number) + 1 } else { 0 });
        Self { least, most: most.max(least + 1) }
    }

    /// How far along so many requests are: from 0 at the beginning to 1 at the end.
    pub(super) fn share(&self, requests: u64) -> f64 {
        let digits = (requests.max(1) as f64).log10();
        ((digits - f64::from(self.least)) / f64::from(self.most - self.least)).clamp(0.0, 1.0)
    }

    /// The powers of ten, ends included, and how far along each is.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (u32, f64)> {
        let span = f64::from(self.most - self.least);
        (self.least..=self.most).map(move |power| (power, f64::from(power - self.least) / span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::{Role, Workload};

    fn scale(asked: u64) -> Scale {
        Scale::of(&Capacity::default(), &Traffic { concurrency: asked, ..Traffic::of(&Workload::none(Role::Server)) })
    }

    #[test]
    fn ends_are_the_powers_of_ten_around_what_it_holds() {
        let ends = |asked: u64| (scale(asked).least, scale(asked).most);
        assert_eq!([0, 1, 2, 10, 11].map(ends), [(0, 1), (0, 1), (0, 1), (0, 1), (1, 2)]);
        assert_eq!([999, 1000, 1001].map(ends), [(2, 3), (2, 3), (3, 4)]);
        assert_eq!(ends(u64::MAX), (19, 20));
    }

    #[test]
    fn each_power_of_ten_is_as_long_as_the_next() {
        let scale = Scale { least: 2, most: 6 };
        let ticks: Vec<_> = scale.ticks().collect();
        assert_eq!(ticks, [(2, 0.0), (3, 0.25), (4, 0.5), (5, 0.75), (6, 1.0)]);
        for (power, share) in ticks {
            assert!((scale.share(10_u64.pow(power)) - share).abs() < 1e-12);
        }
        assert_eq!((scale.share(0), scale.share(u64::MAX)), (0.0, 1.0));
    }
}
