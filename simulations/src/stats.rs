//! Statistics over devices and seeds. Small, and tested: an average that hides the worst seed
//! would make every figure of this crate worthless.

mod survival;

pub use survival::{Step, Survival};

/// The time by which a share (in per cent) of `all` had happened; `times` are those that did
/// happen. None if too few did.
#[must_use]
pub fn reached(times: &[u64], all: usize, per_cent: usize) -> Option<u64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let needed = (all * per_cent).div_ceil(100).max(1);
    times.get(needed - 1).copied()
}

/// Values of many devices or villages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    ascending: Vec<u64>,
}

impl Distribution {
    /// Of these values.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = u64>) -> Self {
        let mut ascending: Vec<u64> = values.into_iter().collect();
        ascending.sort_unstable();
        Self { ascending }
    }

    /// All values, the smallest first.
    #[must_use]
    pub fn ascending(&self) -> &[u64] {
        &self.ascending
    }

    /// The smallest value that a share of all (in per cent) does not exceed; none if there is no
    /// value.
    #[must_use]
    pub fn quantile(&self, per_cent: usize) -> Option<u64> {
        let needed = (self.ascending.len() * per_cent).div_ceil(100).max(1);
        self.ascending.get(needed - 1).copied()
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.ascending.last().copied()
    }

    /// What the share `per_cent` of those with the largest values (rounded up) has of the sum of
    /// all, in per cent, rounded down; none if the sum is 0.
    #[must_use]
    pub fn held_by_largest(&self, per_cent: usize) -> Option<u64> {
        let largest = (self.ascending.len() * per_cent).div_ceil(100);
        let sum = |values: &mut dyn Iterator<Item = &u64>| values.map(|one| u128::from(*one)).sum();
        let all: u128 = sum(&mut self.ascending.iter());
        let part: u128 = sum(&mut self.ascending.iter().rev().take(largest));
        (part * 100).checked_div(all).and_then(|share| u64::try_from(share).ok())
    }
}

/// One figure over many seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Half of the seeds are not above it.
    pub median: u64,
    /// The best seed.
    pub best: u64,
    /// The worst seed.
    pub worst: u64,
    /// Seeds in which it was not reached at all: these are worse than `worst`.
    pub never: usize,
}

/// Puts the figures of all seeds together; None if no seed reached it. A seed that did not counts
/// as worse than all that did.
#[must_use]
pub fn spread(figures: &[Option<u64>]) -> Option<Spread> {
    let mut known: Vec<u64> = figures.iter().copied().flatten().collect();
    known.sort_unstable();
    let (best, worst) = (*known.first()?, *known.last()?);
    let median = known.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(u64::MAX);
    Some(Spread { median, best, worst, never: figures.len() - known.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_reached_when_enough_have_it() {
        let times = [50, 10, 40, 20, 30];
        assert_eq!(reached(&times, 10, 50), Some(50));
        assert_eq!(reached(&times, 10, 51), None);
        assert_eq!(reached(&times, 5, 50), Some(30));
        assert_eq!(reached(&times, 5, 99), Some(50));
        assert_eq!(reached(&times, 5, 0), Some(10));
        assert_eq!(reached(&[], 0, 50), None);
    }

    #[test]
    fn quantiles_are_values_that_occur() {
        // Nearest rank, the worked example of its textbooks.
        let five = Distribution::new([35, 20, 15, 50, 40]);
        let quantiles = [5, 30, 40, 50, 100].map(|per_cent| five.quantile(per_cent));
        assert_eq!(quantiles, [Some(15), Some(20), Some(20), Some(35), Some(50)]);
        assert_eq!((five.quantile(0), five.max()), (Some(15), Some(50)));
        assert_eq!(Distribution::default().quantile(50), None);
        assert_eq!(Distribution::default().max(), None);
        assert_eq!(five.ascending(), [15, 20, 35, 40, 50]);
    }

    #[test]
    fn what_the_busiest_carry() {
        let four = Distribution::new([10, 0, 60, 30]);
        assert_eq!(four.held_by_largest(25), Some(60));
        assert_eq!(four.held_by_largest(26), Some(90), "two of four");
        assert_eq!(four.held_by_largest(100), Some(100));
        assert_eq!(Distribution::new([0, 0]).held_by_largest(50), None);
        assert_eq!(Distribution::new([u64::MAX, u64::MAX]).held_by_largest(50), Some(50));
    }

    #[test]
    fn the_worst_seed_is_told_and_one_that_never_came_is_not_forgotten() {
        let all = spread(&[Some(5), Some(1), Some(9)]).unwrap();
        assert_eq!(all, Spread { median: 5, best: 1, worst: 9, never: 0 });
        let even = spread(&[Some(4), Some(1), Some(2), Some(3)]).unwrap();
        assert_eq!(even.median, 2);
        let some = spread(&[Some(5), None, None]).unwrap();
        assert_eq!((some.median, some.worst, some.never), (u64::MAX, 5, 2));
        assert_eq!(spread(&[None]), None);
    }
}
