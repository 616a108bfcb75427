//! Numbers and dates as people type them, kept as text: no binary fractions, no clock.

use core::cmp::Ordering;

use crate::time::Stamp;

/// Most digits of a number in a form. // guess: twice what any measurement has
const DIGITS_MAX: usize = 18;

/// Writes an integer without plus sign and leading zeros; `None` if `text` is none.
pub(crate) fn normal_integer(text: &str) -> Option<String> {
    normal_decimal(text).filter(|number| !number.contains('.'))
}

/// Writes a decimal with a point and without plus sign and leading zeros; the digits behind the
/// point stay as they are, since they tell how exactly it was measured. A comma counts as point.
pub(crate) fn normal_decimal(text: &str) -> Option<String> {
    let text = text.trim().replacen(',', ".", 1);
    let (minus, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !fraction.is_none_or(all_digits) || digits.len() > DIGITS_MAX {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    let zero = whole == "0" && fraction.is_none_or(|part| part.bytes().all(|b| b == b'0'));
    let sign = if minus && !zero { "-" } else { "" };
    Some(match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    })
}

/// Compares two decimals exactly; `None` if one is none.
pub(crate) fn compare(left: &str, right: &str) -> Option<Ordering> {
    Some(scaled(left)?.cmp(&scaled(right)?))
}

/// A decimal times 10^18.
fn scaled(text: &str) -> Option<i128> {
    let normal = normal_decimal(text)?;
    let (minus, digits) = match normal.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, normal.as_str()),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let places = DIGITS_MAX.checked_sub(fraction.len())?;
    let value: i128 = format!("{whole}{fraction}{}", "0".repeat(places)).parse().ok()?;
    Some(if minus { -value } else { value })
}

/// Whether `text` is a date of the calendar, `YYYY-MM-DD`.
pub(crate) fn is_date(text: &str) -> bool {
    civil(text).is_some()
}

/// Whether `text` is `YYYY`, `YYYY-MM` or `YYYY-MM-DD`: a FHIR date, which may be estimated.
pub(crate) fn is_partial_date(text: &str) -> bool {
    match text.len() {
        4 => is_date(&format!("{text}-01-01")),
        7 => is_date(&format!("{text}-01")),
        _ => is_date(text),
    }
}

/// Year, month and day of `YYYY-MM-DD`.
fn civil(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (year.len(), month.len(), day.len()) != (4, 2, 2) {
        return None;
    }
    if !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let (year, month, day): (i64, i64, i64) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    ((1..=days).contains(&day)).then_some((year, month, day))
}

/// Reads what [`Stamp`] prints: `YYYY-MM-DDThh:mm:ssZ` (days from the civil date after H. Hinnant,
/// "chrono-compatible low-level date algorithms").
pub(crate) fn parse_stamp(text: &str) -> Option<Stamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (year, month, day) = civil(date)?;
    let mut clock = [0_i64; 3];
    let mut parts = time.split(':');
    for (slot, limit) in clock.iter_mut().zip([24, 60, 60]) {
        let part =
            parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()))?;
        *slot = part.parse().ok().filter(|value| *value < limit)?;
    }
    if parts.next().is_some() {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let month_shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    let [hour, minute, second] = clock;
    Some(Stamp(days * 86_400 + hour * 3_600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(normal_decimal(" 062,50 "), Some("62.50".into()));
        assert_eq!(normal_decimal("+7"), Some("7".into()));
        assert_eq!(normal_decimal("-0.0"), Some("0.0".into()));
        assert_eq!(normal_decimal("000"), Some("0".into()));
        for bad in ["", "1e2", "1.", ".5", "1.2.3", "--1", "NaN", "1234567890123456789"] {
            assert_eq!(normal_decimal(bad), None, "{bad}");
        }
        assert_eq!(normal_integer("5.0"), None);
        assert_eq!(compare("11.5", "11.50"), Some(Ordering::Equal));
        assert_eq!(compare("-2", "1.9"), Some(Ordering::Less));
        assert_eq!(compare("999999999999999999", "0.0000000000000001"), Some(Ordering::Greater));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert!(is_date("2024-02-29"));
        for bad in
            ["2023-02-29", "2024-13-01", "2024-1-01", "24-01-01", "2024-01-01T", "+024-01-01"]
        {
            assert!(!is_date(bad), "{bad}");
        }
        assert!(is_partial_date("1990") && is_partial_date("1990-05"));
        assert!(!is_partial_date("1990-13") && !is_partial_date("199"));
    }

    proptest! {
        #[test]
        fn stamps_round_trip(seconds in -62_000_000_000_i64..250_000_000_000) {
            let stamp = Stamp(seconds);
            prop_assert_eq!(parse_stamp(&stamp.to_string()), Some(stamp));
        }
    }
}
