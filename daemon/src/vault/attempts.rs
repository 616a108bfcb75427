//! How attempts at a secret are slowed.
//!
//! A slot counts its failures, durably and before each try. The wait before the next try follows
//! from that count alone: no clock can be set forward to shorten it, and none that is wrong can
//! lengthen it. Whoever restarts the device in the middle of a wait has already paid with a count.

use core::time::Duration;

/// Failures that cost no wait. // guess: a person's slips
pub const FREE_FAILURES: u32 = 2;

/// The first wait.
pub const WAIT_MIN: Duration = Duration::from_secs(1);

/// The longest wait: about 100,000 attempts a year, 1 in 10 of finding a PIN of six digits drawn
/// at random. // guess: what a worker with an alert patient can bear
pub const WAIT_MAX: Duration = Duration::from_secs(300);

/// What an attempt waits first, after so many failures: nothing up to [`FREE_FAILURES`], then
/// [`WAIT_MIN`], doubling up to [`WAIT_MAX`].
#[must_use]
pub fn wait(failures: u32) -> Duration {
    let Some(beyond) = failures.checked_sub(FREE_FAILURES + 1) else { return Duration::ZERO };
    let factor = 1_u32.checked_shl(beyond).unwrap_or(u32::MAX);
    WAIT_MIN.saturating_mul(factor).min(WAIT_MAX)
}

/// An attempt that is counted and not made yet.
#[derive(Debug)]
#[must_use = "the attempt is counted as failed unless it is made"]
pub struct Attempt {
    pub(super) worker: String,
    wait: Duration,
}

impl Attempt {
    pub(super) fn new(worker: &str, failures: u32) -> Self {
        Self { worker: worker.to_owned(), wait: wait(failures) }
    }

    /// How long to wait before it is made.
    #[must_use]
    pub const fn wait(&self) -> Duration {
        self.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_begin_at_the_third_failure_and_double_up_to_five_minutes() {
        let seconds: Vec<u64> = (0..14).map(|failures| wait(failures).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait(u32::MAX), WAIT_MAX);
    }
}
