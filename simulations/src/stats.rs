//! Statistics over devices and seeds. Small, and tested: an average that hides the worst seed
//! would make every figure of this crate worthless.

/// The time by which a share (in per cent) of `all` had happened; `times` are those that did
/// happen. None if too few did.
#[must_use]
pub fn reached(times: &[u64], all: usize, per_cent: usize) -> Option<u64> {
    let mut times = times.to_vec();
    times.sort_unstable();
    let needed = (all * per_cent).div_ceil(100).max(1);
    times.get(needed - 1).copied()
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
