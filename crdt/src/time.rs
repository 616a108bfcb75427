//! Time as values: the core reads no clock.

use serde::{Deserialize, Serialize};

/// Milliseconds of a monotonic clock since some start that only the shell knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment plus `ms` milliseconds.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`, 0 if that is in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Wall time as a device claims it: seconds since 1970-01-01T00:00:00Z. Phones lose their clock,
/// so it is shown to people and never decides whether data are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp(pub i64);

impl core::fmt::Display for Stamp {
    /// RFC 3339 in UTC, such as `2026-11-23T08:15:00Z` (days to civil date after H. Hinnant,
    /// "chrono-compatible low-level date algorithms").
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let days = self.0.div_euclid(86_400);
        let second = self.0.rem_euclid(86_400);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_print_as_rfc_3339() {
        assert_eq!(Stamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Stamp(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(Stamp(1_795_421_700).to_string(), "2026-11-23T08:15:00Z");
        assert_eq!(Stamp(-1).to_string(), "1969-12-31T23:59:59Z");
    }
}
