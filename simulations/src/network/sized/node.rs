//! One device: what it holds, knows and does.

#![expect(
    clippy::indexing_slicing,
    reason = "nodes, hubs, logs, links and urgent records have numbers that the run gave itself"
)]

use std::collections::BTreeMap;

use super::records::mix;
use super::spans::{Shelf, Span};

/// A phone or a hub.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// The hub of its health centre.
    pub(super) home: usize,
    /// Its village; none for hubs.
    pub(super) village: Option<usize>,
    /// Sorted by their hubs.
    pub(super) shelves: Vec<Shelf>,
    /// Urgent records that it has or had, and those of them that it did not let go.
    pub(super) had: Bits,
    pub(super) offered: Bits,
    /// Hub -> up to which of its statements this device knows them, and has followed them.
    pub(super) known: Vec<u32>,
    pub(super) followed: Vec<u32>,
    /// Urgent records before this one were let go if they were old.
    pub(super) aged: usize,
    /// Bytes held; bytes held of other health centres; the most that were held.
    pub(super) stored: u64,
    pub(super) borrowed: u64,
    pub(super) stored_peak: u64,
    /// Contacts that are open, and the most that were at once.
    pub(super) links: Vec<usize>,
    pub(super) at_once: u64,
    /// The most that were since it was alone.
    pub(super) crowd: usize,
    /// That in which something passes.
    pub(super) busy: Option<usize>,
    /// How likely it is to meet others (PRoPHET).
    pub(super) likely: Likely,
}

impl Node {
    /// Its spans of a health centre's logs.
    pub(super) fn spans(&self, hub: usize) -> &[Span] {
        self.shelf(hub).map_or(&[], |shelf| &shelf.spans)
    }

    pub(super) fn shelf(&self, hub: usize) -> Option<&Shelf> {
        let place = self.shelves.binary_search_by_key(&hub, |shelf| shelf.hub as usize).ok()?;
        self.shelves.get(place)
    }

    pub(super) fn shelf_mut(&mut self, hub: usize) -> &mut Shelf {
        let place = self.shelves.binary_search_by_key(&hub, |shelf| shelf.hub as usize);
        let place = place.unwrap_or_else(|place| {
            let shelf = Shelf { hub: super::records::small(hub), ..Shelf::default() };
            self.shelves.insert(place, shelf);
            place
        });
        &mut self.shelves[place]
    }

    pub(super) fn weigh(&mut self, bytes: u64, keeps: bool) {
        self.stored += bytes;
        if !keeps {
            self.borrowed += bytes;
        }
        self.stored_peak = self.stored_peak.max(self.stored);
    }

    pub(super) const fn let_go(&mut self, bytes: u64) {
        self.stored = self.stored.saturating_sub(bytes);
        self.borrowed = self.borrowed.saturating_sub(bytes);
    }
}

/// Which of some numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
    print: u64,
}

impl Bits {
    pub(super) fn has(&self, number: u32) -> bool {
        let word = self.words.get(number as usize / 64).copied().unwrap_or_default();
        word >> (number % 64) & 1 == 1
    }

    pub(super) fn flip(&mut self, number: u32) {
        let place = number as usize / 64;
        if self.words.len() <= place {
            self.words.resize(place + 1, 0);
        }
        self.words[place] ^= 1 << (number % 64);
        self.print ^= mix(u64::from(number));
    }

    /// Those that the other has not, in descending order.
    pub(super) fn without(&self, other: &Self) -> Vec<u32> {
        let mut all = Vec::new();
        if self.print == other.print {
            return all;
        }
        for (place, word) in self.words.iter().enumerate().rev() {
            let mut rest = word & !other.words.get(place).copied().unwrap_or_default();
            while rest != 0 {
                let bit = 63 - rest.leading_zeros();
                rest ^= 1 << bit;
                all.push(super::records::small(place) * 64 + bit);
            }
        }
        all
    }

    /// How many only one of the two has.
    pub(super) fn differing(&self, other: &Self) -> u64 {
        if self.print == other.print {
            return 0;
        }
        let both = self.words.len().min(other.words.len());
        let ones =
            |words: &[u64]| words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        let apart = self.words.iter().zip(&other.words);
        apart.map(|(one, other)| u64::from((one ^ other).count_ones())).sum::<u64>()
            + ones(&self.words[both..])
            + ones(&other.words[both..])
    }
}

/// RFC 6693, section 3.3: the values that it recommends.
const ENCOUNTER_MAX: f64 = 0.7;
const ENCOUNTER_FIRST: f64 = 0.5;
const FIRST_THRESHOLD: f64 = 0.1;
const BETA: f64 = 0.9;
const GAMMA: f64 = 0.999;
const DELTA: f64 = 0.01;

/// Typical milliseconds between two encounters, below which they count for less. // RFC 6693: 1,800 s
const TYPICAL_MS: u64 = 1_800_000;

/// Milliseconds of the unit of time in which predictabilities age. // guess: left to the deployment; a
/// way to the centre every two weeks keeps two thirds of its weight
const UNIT_MS: u64 = 3_600_000;

/// Delivery predictabilities.
#[derive(Debug, Clone, Default)]
pub(super) struct Likely {
    /// Node -> how likely it is met, and when it was last.
    of: BTreeMap<usize, (f64, u64)>,
    aged_ms: u64,
}

impl Likely {
    pub(super) fn of(&self, node: usize) -> f64 {
        self.of.get(&node).map_or(0.0, |(likely, _)| *likely)
    }

    /// Takes so many units of time off all of them.
    pub(super) fn age(&mut self, now: u64) {
        let units = (now - self.aged_ms) / UNIT_MS;
        self.aged_ms += units * UNIT_MS;
        let mut factor = 1.0;
        let (mut square, mut left) = (GAMMA, units);
        // Not `powi`, whose bits are not promised.
        while left > 0 {
            if left % 2 == 1 {
                factor *= square;
            }
            square *= square;
            left /= 2;
        }
        for (likely, _) in self.of.values_mut() {
            *likely *= factor;
        }
    }

    /// It meets a node, which knows others.
    pub(super) fn meet(&mut self, node: usize, theirs: &Self, now: u64) {
        let (likely, last) = self.of.get(&node).copied().unwrap_or_default();
        let likely = if likely < FIRST_THRESHOLD {
            ENCOUNTER_FIRST
        } else {
            #[expect(clippy::cast_precision_loss, reason = "both are below 2^53")]
            let share = (now - last).min(TYPICAL_MS) as f64 / TYPICAL_MS as f64;
            likely + (1.0 - DELTA - likely) * ENCOUNTER_MAX * share
        };
        self.of.insert(node, (likely, now));
        for (other, (theirs, _)) in &theirs.of {
            let through = likely * theirs * BETA;
            let entry = self.of.entry(*other).or_insert((0.0, 0));
            entry.0 = entry.0.max(through);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_that_one_has_and_another_has_not() {
        let bits = |numbers: &[u32]| {
            let mut bits = Bits::default();
            numbers.iter().for_each(|number| bits.flip(*number));
            bits
        };
        let (one, other) = (bits(&[0, 63, 64, 200]), bits(&[63, 65]));
        assert_eq!((one.without(&other), other.without(&one)), (vec![200, 64, 0], vec![65]));
        assert_eq!((one.differing(&other), one.differing(&one)), (4, 0));
        assert!(one.has(64) && !one.has(65) && !one.has(100_000));
    }

    #[test]
    fn predictabilities_are_those_of_the_rfc() {
        let (mut phone, mut other) = (Likely::default(), Likely::default());
        other.meet(9, &Likely::default(), 0);
        assert!((other.of(9) - 0.5).abs() < 1e-12);
        other.meet(9, &Likely::default(), TYPICAL_MS);
        assert!((other.of(9) - (0.5 + 0.49 * 0.7)).abs() < 1e-12);
        phone.meet(1, &other, TYPICAL_MS);
        assert!((phone.of(9) - 0.5 * 0.843 * 0.9).abs() < 1e-12);
        phone.age(10 * UNIT_MS);
        assert!((phone.of(1) - 0.5 * 0.999_f64.powi(10)).abs() < 1e-12);
    }
}
