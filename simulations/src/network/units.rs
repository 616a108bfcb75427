//! Figures in words that a person reads.

use serde::{Deserialize, Serialize};

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things.
    Count,
    /// Seconds, told in minutes, hours or days.
    Seconds,
    /// Bytes.
    Bytes,
    /// Millionths of a whole, told in per cent.
    Millionths,
}

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 86_400;

impl Unit {
    /// The value in the unit that a person would choose.
    #[must_use]
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Count => grouped(value),
            Self::Seconds => duration(value),
            Self::Bytes => bytes(value),
            Self::Millionths => per_cent(value),
        }
    }
}

/// Digits in groups of three: `14,814`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 phone`, `14,814 phones`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// Minutes below two hours, hours below two days, then days.
pub(super) fn duration(seconds: u64) -> String {
    let tenths = |unit_s: u64, name: &str| {
        let tenths = (seconds.saturating_mul(10).saturating_add(unit_s / 2)) / unit_s;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => format!("{whole} {name}"),
            (whole @ 0..100, part) => format!("{whole}.{part} {name}"),
            (whole, part) => format!("{} {name}", whole + u64::from(part >= 5)),
        }
    };
    match seconds {
        0..7_200 => format!("{} min", seconds.div_ceil(MINUTE_S)),
        7_200..172_800 => tenths(HOUR_S, "hours"),
        _ => tenths(DAY_S, "days"),
    }
}

/// Three digits in the unit that fits, powers of ten.
pub(super) fn bytes(number: u64) -> String {
    let (unit, name) = match number {
        0..1_000 => return format!("{number} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        1_000_000_000..1_000_000_000_000 => (1_000_000_000, "GB"),
        _ => (1_000_000_000_000, "TB"),
    };
    match number / unit {
        whole @ 0..100 => format!("{whole}.{} {name}", number % unit * 10 / unit),
        whole => format!("{} {name}", grouped(whole)),
    }
}

/// One decimal, two below one per cent; what is not nothing and not all is not told as such.
pub(super) fn per_cent(millionths: u64) -> String {
    match millionths {
        0 => "0 %".to_owned(),
        1..100 => "<0.01 %".to_owned(),
        100..10_000 => format!("0.{:02} %", millionths / 100),
        999_000..1_000_000 => ">99.9 %".to_owned(),
        1_000_000 => "100 %".to_owned(),
        _ => {
            let tenths = millionths.saturating_add(500) / 1_000;
            format!("{}.{} %", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_in_the_unit_that_fits() {
        let told = |unit: Unit, values: &[u64]| {
            values.iter().map(|value| unit.show(*value)).collect::<Vec<_>>()
        };
        assert_eq!(
            told(Unit::Count, &[0, 999, 14_814, 1_000_000]),
            ["0", "999", "14,814", "1,000,000"]
        );
        assert_eq!(
            told(Unit::Seconds, &[0, 61, 7_199, 7_200, 9_000, 172_799]),
            ["0 min", "2 min", "120 min", "2 hours", "2.5 hours", "48 hours"]
        );
        assert_eq!(
            told(Unit::Seconds, &[172_800, 250_560, 8_683_200]),
            ["2 days", "2.9 days", "101 days"]
        );
        assert_eq!(
            told(Unit::Bytes, &[999, 1_250, 999_999, 123_456_789, 5_000_000_000]),
            ["999 B", "1.2 kB", "999 kB", "123 MB", "5.0 GB"]
        );
        assert_eq!(
            told(Unit::Millionths, &[0, 1, 1_790, 12_345, 998_000, 999_999, 1_000_000]),
            ["0 %", "<0.01 %", "0.17 %", "1.2 %", "99.8 %", ">99.9 %", "100 %"]
        );
        assert_eq!((count(1, "hub"), count(486, "hub")), ("1 hub".into(), "486 hubs".into()));
    }
}
