//! Wall time as a user writes it, and now.

use std::time::{SystemTime, UNIX_EPOCH};

use huza_crdt::time::Stamp;

/// Seconds.
const DAY: i64 = 86_400;

/// What this device's clock claims.
#[must_use]
pub fn now() -> Stamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    Stamp(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// Reads RFC 3339 with `Z` or an offset such as `+02:00`, or a date alone (midnight UTC).
/// Fractions of a second are dropped.
#[must_use]
pub fn parse(text: &str) -> Option<Stamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let midnight = days(date)? * DAY;
    if rest.is_empty() {
        return Some(Stamp(midnight));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':')?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => zone,
    };
    let seconds = hour * 3_600 + minute * 60 + second.min(59);
    Some(Stamp(midnight + seconds - offset(zone)?))
}

/// The beginning of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, if there is such a day.
#[must_use]
pub fn birth_date(text: &str) -> Option<Stamp> {
    let day = match text.len() {
        4 => days(&format!("{text}-01-01")),
        7 => days(&format!("{text}-01")),
        _ => days(text),
    };
    day.map(|day| Stamp(day * DAY))
}

/// What to look at again where a time has not come yet by this device's clock, by more than zones of time
/// and clocks that are a little wrong explain. No more than that: the clock may be what is wrong.
#[must_use]
pub fn not_yet(field: &str, stamp: Stamp) -> Option<String> {
    let now = now();
    let late = now.0.saturating_add(DAY);
    let warning =
        || format!("{field}: {stamp} has not come yet by this device's clock, which says {now}");
    (stamp.0 > late).then(warning)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" || zone == "z" {
        return Some(0);
    }
    let (sign, clock) = match zone.strip_prefix('+') {
        Some(clock) => (1, clock),
        None => (-1, zone.strip_prefix('-')?),
    };
    let [hour, minute] = numbers(clock, ':')?;
    (hour < 24 && minute < 60).then_some(sign * (hour * 3_600 + minute * 60))
}

/// Days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days(date: &str) -> Option<i64> {
    let (year, rest) = date.split_once('-')?;
    let [month, day] = numbers(rest, '-')?;
    let year: i64 = number(year, 4)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year - era * 400;
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// `N` numbers of two digits each, with `between` between them.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let all: Option<Vec<i64>> = text.split(between).map(|part| number(part, 2)).collect();
    all?.try_into().ok()
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stamp_prints_is_read_again() {
        for seconds in [0, 951_782_400, 1_795_421_700, 4_102_444_799] {
            assert_eq!(parse(&Stamp(seconds).to_string()), Some(Stamp(seconds)));
        }
    }

    #[test]
    fn offsets_dates_and_fractions() {
        assert_eq!(parse("2026-11-23T10:15:00+02:00"), Some(Stamp(1_795_421_700)));
        assert_eq!(parse("2026-11-23T08:15:00.25Z"), Some(Stamp(1_795_421_700)));
        assert_eq!(parse("1970-01-02"), Some(Stamp(86_400)));
    }

    #[test]
    fn birth_dates_may_be_estimated_but_must_exist() {
        let all = ["1998", "1998-04", "1998-04-12", "2000-02-29"];
        assert!(
            all.iter().all(|date| birth_date(date).is_some_and(|date| not_yet("", date).is_none()))
        );
        for text in ["", "98", "1998-13", "1998-02-30", "1998-4-1", "12/04/1998", "1998-04-"] {
            assert_eq!(birth_date(text), None, "{text}");
        }
        assert!(not_yet("born", birth_date("9999").unwrap()).is_some());
        assert!(not_yet("", now()).is_none());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "today",
            "2026-02-30",
            "2026-13-01",
            "2026-11-23T25:00:00Z",
            "2026-11-23T08:15:00",
            "2026-11-23T08:15Z",
            "2026-1-2",
            "2026-11-23T08:15:00Zz",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
