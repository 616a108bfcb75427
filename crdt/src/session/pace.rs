//! How much of a link's time one batch takes, and all that is under way.

use crate::limits::{
    BATCH_BYTES_FIRST, BATCH_BYTES_MIN, BATCH_BYTES_TARGET, BATCH_MS_TARGET, BATCHES_IN_FLIGHT_MAX,
    BATCHES_ON_ANY_LINK, FLIGHT_BYTES_MAX,
};
use crate::time::Millis;

/// How fast a peer acknowledges, and how large a batch may be for it: about
/// [`BATCH_MS_TARGET`] of the link's time, so that what is urgent never waits long behind what is
/// under way. Where that is more than [`BATCH_BYTES_TARGET`], several batches may share it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Bytes that left.
    sent: u64,
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
        let bytes = self.rate.map_or(BATCH_BYTES_FIRST, in_target);
        bytes.clamp(BATCH_BYTES_MIN, BATCH_BYTES_TARGET)
    }

    /// Whether another batch may leave beside so many that are under way.
    pub(crate) fn has_room(&self, batches: usize) -> bool {
        let most = self.rate.map_or(0, in_target).min(FLIGHT_BYTES_MAX);
        let bytes = usize::try_from(self.sent - self.acked).unwrap_or(usize::MAX);
        let room = bytes.saturating_add(self.batch_bytes()) <= most;
        batches < BATCHES_ON_ANY_LINK || (batches < BATCHES_IN_FLIGHT_MAX && room)
    }

    /// A batch leaves.
    pub(crate) const fn depart(&mut self, bytes: usize, now: Millis) -> Departure {
        self.sent += bytes as u64;
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

/// Bytes that pass in [`BATCH_MS_TARGET`] at so many a second.
fn in_target(rate: u64) -> usize {
    usize::try_from(rate.saturating_mul(BATCH_MS_TARGET) / 1_000).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `batches` over a link of so many bytes a second, as many under way at once as may be,
    /// and returns how large they became, and the most bytes that were under way since.
    fn settle(rate: u64, round_trip: u64, batches: usize) -> (usize, u64) {
        let mut pace = Pace::default();
        let (mut free, mut now, mut most) = (0, 0, 0);
        let mut under_way = std::collections::VecDeque::new();
        for sent in 0..batches {
            while !pace.has_room(under_way.len()) {
                let (departure, acked) = under_way.pop_front().unwrap();
                now = acked;
                pace.arrive(departure, Millis(now));
            }
            let bytes = pace.batch_bytes();
            free = free.max(now) + bytes as u64 * 1_000 / rate;
            under_way.push_back((pace.depart(bytes, Millis(now)), free + round_trip));
            if sent > batches / 2 {
                most = most.max(pace.sent - pace.acked);
            }
        }
        (pace.batch_bytes(), most)
    }

    fn settles(rate: u64, round_trip: u64, batches: usize) -> usize {
        settle(rate, round_trip, batches).0
    }

    #[test]
    fn what_is_under_way_is_two_batches_or_half_a_second() {
        for rate in [1_000, 20_000, 100_000, 300_000, 1_000_000, 50_000_000] {
            for round_trip in [1, 50, 600] {
                let (_, most) = settle(rate, round_trip, 60);
                let two = 2 * BATCH_BYTES_TARGET as u64;
                assert!(most <= (rate / 2).max(two), "{most} of {rate}, {round_trip} ms");
                assert!(most <= FLIGHT_BYTES_MAX as u64);
            }
        }
        assert!(settle(50_000_000, 5, 60).1 > 3 * BATCH_BYTES_TARGET as u64);
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
