//! Seeded randomness: every choice of a run is drawn from one of a few named streams of its seed,
//! so that one more draw for the network does not change what the users do.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// A stream of choices.
#[derive(Debug, Clone)]
pub(crate) struct Draw(ChaCha12Rng);

impl Draw {
    /// The stream `name` of `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("huza 2026 simulation stream");
        hasher.update(&seed.to_le_bytes());
        hasher.update(name.as_bytes());
        Self(ChaCha12Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// The stream of one purpose at one place on one day: what is drawn elsewhere, on other days and
    /// for other purposes changes nothing in it.
    pub(crate) fn of(seed: u64, purpose: &str, place: &str, day: u64) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("huza 2026 simulation stream of a day");
        for number in [seed, day, purpose.len() as u64] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.update(purpose.as_bytes()).update(place.as_bytes());
        Self(ChaCha12Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Modulo favours small numbers by less than one in 2^40 for all bounds used here.
        self.0.next_u64().checked_rem(bound).unwrap_or_default()
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// True in `per_mille` of 1000 cases.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// A delay up to `max`: often short, sometimes the longest.
    pub(crate) fn delay(&mut self, max: u64) -> u64 {
        match self.below(8) {
            0 => max,
            1 => self.between(0, max),
            _ => self.between(0, max.div_ceil(8)),
        }
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(index)
    }

    /// One of them, by value.
    pub(crate) fn pick_or<T: Copy>(&mut self, from: &[T], otherwise: T) -> T {
        self.pick(from).copied().unwrap_or(otherwise)
    }

    /// Brings them into another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = usize::try_from(self.below(end as u64 + 1)).unwrap_or_default();
            items.swap(end, other);
        }
    }

    /// `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// `length` bytes.
    pub(crate) fn blob(&mut self, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_and_name_give_one_stream() {
        let draw = |seed, name| Draw::new(seed, name).bytes::<16>();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn each_purpose_place_and_day_has_a_stream_of_its_own() {
        let draw = |purpose, place, day| Draw::of(1, purpose, place, day).bytes::<16>();
        let one = draw("market", "11", 3);
        assert_eq!(one, draw("market", "11", 3));
        let others = [draw("market", "11", 4), draw("market", "1", 3), draw("market1", "1", 3)];
        assert!(!others.contains(&one));
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut draw = Draw::new(7, "bounds");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let number = draw.between(3, 6);
            assert!((3..=6).contains(&number));
            seen.insert(number);
        }
        assert_eq!(seen.len(), 4);
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.pick::<u8>(&[]), None);
        assert!(!draw.chance(0));
        assert!(draw.chance(1_000));
    }
}
