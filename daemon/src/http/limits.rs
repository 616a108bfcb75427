//! How much other programs may ask for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Longest body of a request, in bytes: one resource, and room. // crdt's RESOURCE_BYTES_MAX, twice
pub const BODY_BYTES_MAX: usize = 2_097_152;

/// Longest head of a request, in bytes. // guess
pub(super) const HEAD_BYTES_MAX: usize = 16_384;

/// Connections served at once; more wait. // guess: a few apps and their pages
pub const CONNECTIONS_MAX: usize = 32;

/// Of them, most that follow changes.
pub const STREAMS_MAX: usize = 8;

/// Time in which the head of a request has to come; also how long a connection may stay idle.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(15);

/// Time for everything else of a request. // guess: longer than the slowest answer on a phone
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Requests of one program in a second, if the settings say nothing else. // guess
pub const REQUESTS_PER_SECOND: u32 = 50;

/// For so many seconds' worth of requests at once.
const BURST_SECONDS: f64 = 2.0;

/// How many requests each program has left.
#[derive(Debug)]
pub(super) struct Rates {
    per_second: f64,
    /// Name of the program -> requests left, and when that was so.
    left: Mutex<BTreeMap<String, (f64, Instant)>>,
}

impl Rates {
    pub(super) fn new(per_second: Option<u32>) -> Self {
        let per_second = per_second.unwrap_or(REQUESTS_PER_SECOND).into();
        Self { per_second, left: Mutex::default() }
    }

    /// Counts a request. The error is how long to wait, in seconds.
    pub(super) fn take(&self, app: &str, now: Instant) -> Result<(), u64> {
        let most = self.per_second * BURST_SECONDS;
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has all left is as good as new, so the list does not grow with names of old.
        all.retain(|_, (left, at)| self.now_left(*left, *at, now) < most);
        let (left, at) = all.entry(app.to_owned()).or_insert((most, now));
        let have = self.now_left(*left, *at, now);
        *at = now;
        if have < 1.0 {
            *left = have;
            return Err(whole_seconds((1.0 - have) / self.per_second));
        }
        *left = have - 1.0;
        Ok(())
    }

    fn now_left(&self, left: f64, at: Instant, now: Instant) -> f64 {
        let gained = now.saturating_duration_since(at).as_secs_f64() * self.per_second;
        (left + gained).min(self.per_second * BURST_SECONDS)
    }
}

/// Rounded up.
fn whole_seconds(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds).as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_has_its_own_rate_and_gets_it_back_with_time() {
        let rates = Rates::new(Some(2));
        let start = Instant::now();
        for _ in 0..4 {
            assert_eq!(rates.take("a", start), Ok(()));
        }
        assert_eq!(rates.take("a", start), Err(1));
        assert_eq!(rates.take("b", start), Ok(()), "another's requests do not count");
        let later = start + Duration::from_millis(500);
        assert_eq!(rates.take("a", later), Ok(()));
        assert!(rates.take("a", later).is_err());
        let much_later = start + Duration::from_secs(60);
        assert_eq!(rates.take("b", much_later), Ok(()));
        assert_eq!(rates.left.lock().unwrap().len(), 1, "who has all left is forgotten");
    }
}
