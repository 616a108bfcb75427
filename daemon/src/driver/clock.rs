//! The only clocks: the wall's, as claimed, and one that only goes forward.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use huza_crdt::{
    node::Now,
    time::{Millis, Stamp},
};

/// Both clocks; the second begins at 0 when this is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let seconds = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds)
            }
        };
        Now { millis: Millis(millis), stamp: Stamp(seconds) }
    }

    /// When `millis` is; `None` if that is beyond what the system can tell.
    pub(crate) fn instant(&self, millis: Millis) -> Option<Instant> {
        self.start.checked_add(Duration::from_millis(millis.0))
    }
}
