//! How much of a link's time one batch takes.

use crate::limits::{BATCH_BYTES_FIRST, BATCH_BYTES_MIN, BATCH_BYTES_TARGET, BATCH_MS_TARGET};
use crate::time::Millis;

/// How fast a peer acknowledges, and how large a batch may be for it: about
/// [`BATCH_MS_TARGET`] of the link's time, so that what is urgent never waits long behind what is
/// under way.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bytes acknowledged.
    acked: u64,
    /// Bytes in a second, as the last batches were acknowledged.
    rate: Option<u64>,
}

/// When a batch left, and what had been acknowledged by then.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Departure {
    pub(crate) at: Millis,
    acked: u64,
    pub(crate) bytes: u64,
}

impl Pace {
    /// Bytes after which a batch is full.
    pub(crate) fn batch_bytes(&self) -> usize {
        let bytes = self.rate.map(|rate| rate.saturating_mul(BATCH_MS_TARGET) / 1_000);
        let bytes = bytes
            .map_or(BATCH_BYTES_FIRST, |rate| usize::try_from(rate).unwrap_or(BATCH_BYTES_TARGET));
        bytes.clamp(BATCH_BYTES_MIN, BATCH_BYTES_TARGET)
    }

    /// A batch leaves.
    pub(crate) const fn depart(&self, bytes: usize, now: Millis) -> Departure {
        Departure { at: now, acked: self.acked, bytes: bytes as u64 }
    }

    /// It is acknowledged: all that was acknowledged since it left passed in that time. Half of the
    /// rate is what it was before, since one batch may have met a full disk.
    pub(crate) fn arrive(&mut self, departure: Departure, now: Millis) {
        self.acked += departure.bytes;
        let took = now.since(departure.at).max(1);
        let rate = (self.acked - departure.acked).saturating_mul(1_000) / took;
        self.rate = Some(self.rate.map_or(rate, |before| before.midpoint(rate)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `batches` over a link of so many bytes a second, two under way at once, and returns
    /// how large they became.
    fn settles(rate: u64, round_trip: u64, batches: usize) -> usize {
        let mut pace = Pace::default();
        let (mut free, mut now) = (0, 0);
        let mut under_way = std::collections::VecDeque::new();
        for _ in 0..batches {
            if under_way.len() == 2 {
                let (departure, acked) = under_way.pop_front().unwrap();
                now = acked;
                pace.arrive(departure, Millis(now));
            }
            let bytes = pace.batch_bytes();
            free = free.max(now) + bytes as u64 * 1_000 / rate;
            under_way.push_back((pace.depart(bytes, Millis(now)), free + round_trip));
        }
        pace.batch_bytes()
    }

    #[test]
    fn batches_take_about_half_a_second() {
        let near = |bytes: usize, wanted: usize| bytes > wanted / 2 && bytes < wanted * 3 / 2;
        assert!(near(settles(20_000, 50, 20), 10_000), "{}", settles(20_000, 50, 20));
        assert!(near(settles(20_000, 600, 20), 10_000), "{}", settles(20_000, 600, 20));
        assert_eq!(settles(5_000_000, 10, 20), BATCH_BYTES_TARGET);
        assert_eq!(settles(1_000, 600, 20), BATCH_BYTES_MIN);
    }
}
