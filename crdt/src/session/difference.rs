//! Finding the difference of two sets without telling either: a rateless invertible Bloom lookup
//! table.
//!
//! Both sides know the members of their set as short ids. The encoder sends *coded symbols*, each
//! the sum of a drawn part of its ids; the decoder takes its own ids out of them, and from what
//! remains it peels the ids that only one side has. About 1.35 symbols are needed for each of those
//! (up to three where there are few), however large the sets are; where they do not suffice, the
//! encoder sends the next ones.
//!
//! Source: Yang, Gilad, Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024; the drawing
//! of ids into symbols is theirs. They also count the ids in a symbol. We need not: an id that was
//! peeled is in our own set, or it is the other side's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A member of a set: a hash under the session's key, so that nobody can have prepared two members
/// with one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShortId(pub [u8; 8]);

/// A coded symbol: the exclusive or of the ids in it, then of their checks, little endian.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol(pub [u8; 12]);

/// The same, to calculate with: id in the low 64 bits, check in the next 32.
type Sum = u128;

fn sum_of(id: ShortId) -> Sum {
    let id = u64::from_le_bytes(id.0);
    // The finaliser of SplitMix64 (Steele, Lea, Flood 2014). It need not resist anybody: ids are
    // hashes under a key. It must only not be linear, as the exclusive or is.
    let mut check = id ^ (id >> 30);
    check = check.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    check ^= check >> 27;
    check = check.wrapping_mul(0x94d0_49bb_1331_11eb);
    check ^= check >> 31;
    Sum::from(id) | Sum::from(check >> 32) << 64
}

/// The id, if a sum is that of a single one.
fn single(sum: Sum) -> Option<ShortId> {
    let [a, b, c, d, e, f, g, h, ..] = sum.to_le_bytes();
    let id = ShortId([a, b, c, d, e, f, g, h]);
    (sum != 0 && sum_of(id) == sum).then_some(id)
}

/// The symbols in which an id is, ascending: all ids are in symbol 0, and in symbol `i` each with a
/// probability of `1 / (1 + i / 2)`.
struct Places {
    state: u64,
    next: u64,
}

impl Places {
    const fn of(id: ShortId) -> Self {
        // Odd, so that the multiplications below never come to nothing.
        Self { state: u64::from_le_bytes(id.0) | 1, next: 0 }
    }
}

impl Iterator for Places {
    type Item = u64;

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "as the paper's reference implementation draws; each step is exact in IEEE 754"
    )]
    fn next(&mut self) -> Option<u64> {
        let place = self.next;
        self.state = self.state.wrapping_mul(0xda94_2042_e4dd_58b5);
        let drawn = ((1_u64 << 32) as f64) / (self.state as f64 + 1.0).sqrt() - 1.0;
        let step = ((place as f64 + 1.5) * drawn).ceil();
        self.next = place.saturating_add(step as u64);
        Some(place)
    }
}

/// The symbols `from..to` of a set. Costs about `4 ln(to)` steps for each id.
#[must_use]
pub fn encode(ids: &[ShortId], from: usize, to: usize) -> Vec<Symbol> {
    let mut sums = vec![0; to];
    for id in ids {
        add(&mut sums, *id);
    }
    let drawn = sums.into_iter().skip(from);
    drawn.map(|sum| Symbol(first_bytes(sum))).collect()
}

/// What only one side has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What only the decoder has.
    pub ours: BTreeSet<ShortId>,
    /// What only the encoder has.
    pub theirs: BTreeSet<ShortId>,
}

/// The difference between `ids` and the set whose first symbols these are; none if they do not
/// suffice.
pub fn decode(ids: &BTreeSet<ShortId>, symbols: &[Symbol]) -> Option<Difference> {
    let mut sums: Vec<Sum> = symbols.iter().map(|symbol| sum_from(*symbol)).collect();
    for id in ids {
        add(&mut sums, *id);
    }
    let mut found = Difference::default();
    let mut singles: Vec<usize> = (0..sums.len()).collect();
    while let Some(place) = singles.pop() {
        let Some(id) = sums.get(place).copied().and_then(single) else { continue };
        let side = if ids.contains(&id) { &mut found.ours } else { &mut found.theirs };
        // Made-up symbols could have us peel for ever.
        let new = side.insert(id);
        if !new || found.ours.len() + found.theirs.len() > sums.len() {
            return None;
        }
        for place in places_below(id, sums.len()) {
            if let Some(sum) = sums.get_mut(place) {
                *sum ^= sum_of(id);
                singles.push(place);
            }
        }
    }
    sums.iter().all(|sum| *sum == 0).then_some(found)
}

fn add(sums: &mut [Sum], id: ShortId) {
    for place in places_below(id, sums.len()) {
        if let Some(sum) = sums.get_mut(place) {
            *sum ^= sum_of(id);
        }
    }
}

fn places_below(id: ShortId, end: usize) -> impl Iterator<Item = usize> {
    Places::of(id).map_while(move |place| usize::try_from(place).ok().filter(|at| *at < end))
}

fn first_bytes(sum: Sum) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = sum.to_le_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

fn sum_from(symbol: Symbol) -> Sum {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = symbol.0;
    Sum::from_le_bytes([a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ids(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<ShortId> {
        let hash = |number: u64| blake3::hash(&number.to_le_bytes());
        numbers.into_iter().map(|n| ShortId(hash(n).as_bytes()[..8].try_into().unwrap())).collect()
    }

    fn symbols(set: &BTreeSet<ShortId>, to: usize) -> Vec<Symbol> {
        encode(&set.iter().copied().collect::<Vec<_>>(), 0, to)
    }

    /// Symbols that were needed for a difference of this many.
    fn needed(common: u64, different: u64, salt: u64) -> usize {
        let base = salt << 32;
        let ours = ids(base..base + common + different / 2);
        let theirs = ids((base..base + common)
            .chain(base + 1_000_000..base + 1_000_000 + different - different / 2));
        let all = symbols(&theirs, 64 + usize::try_from(different).unwrap() * 4);
        let found = (1..all.len()).find_map(|n| Some((n, decode(&ours, &all[..n])?)));
        let (needed, found) = found.unwrap();
        assert_eq!(found.ours, ours.difference(&theirs).copied().collect());
        assert_eq!(found.theirs, theirs.difference(&ours).copied().collect());
        needed
    }

    #[test]
    fn equal_sets_need_one_symbol() {
        assert_eq!(needed(1_000, 0, 1), 1);
        assert_eq!(decode(&ids([]), &symbols(&ids([]), 1)), Some(Difference::default()));
    }

    #[test]
    fn few_symbols_find_few_differences_in_a_nation() {
        let median = |different: u64| {
            let mut all: Vec<usize> = (0..9).map(|salt| needed(2_000, different, salt)).collect();
            all.sort_unstable();
            all[4] as f64 / different as f64
        };
        let (two, twenty, two_hundred) = (median(2), median(20), median(200));
        assert!(two <= 2.5 && twenty <= 2.0 && two_hundred <= 1.6, "{two} {twenty} {two_hundred}");
    }

    #[test]
    fn later_symbols_go_on_where_the_first_ended() {
        let set = ids(0..500);
        let whole = symbols(&set, 96);
        let list: Vec<ShortId> = set.iter().copied().collect();
        let parts = [encode(&list, 0, 32), encode(&list, 32, 96)].concat();
        assert_eq!(whole, parts);
    }

    proptest! {
        #[test]
        fn made_up_symbols_end(bytes in prop::collection::vec(any::<[u8; 12]>(), 0..64)) {
            let made_up: Vec<Symbol> = bytes.into_iter().map(Symbol).collect();
            decode(&ids(0..50), &made_up);
        }

        /// A peer that knows how we peel.
        #[test]
        fn symbols_that_peel_into_one_another_end(numbers in prop::collection::vec(0_u64..40, 1..64)) {
            let ids: Vec<ShortId> = ids(0..40).into_iter().collect();
            let lies: Vec<Symbol> = numbers.iter()
                .map(|n| Symbol(first_bytes(sum_of(ids[usize::try_from(*n).unwrap()]))))
                .collect();
            decode(&ids.into_iter().take(20).collect(), &lies);
        }

        #[test]
        fn any_two_sets_are_told_apart(ours in prop::collection::btree_set(0_u64..300, 0..120),
                                       theirs in prop::collection::btree_set(0_u64..300, 0..120)) {
            let (ours, theirs) = (ids(ours), ids(theirs));
            let found = decode(&ours, &symbols(&theirs, 2_000)).unwrap();
            prop_assert_eq!(found.ours, ours.difference(&theirs).copied().collect());
            prop_assert_eq!(found.theirs, theirs.difference(&ours).copied().collect());
        }
    }
}
