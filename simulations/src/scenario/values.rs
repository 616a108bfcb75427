//! Values as they are written in a scenario.

use serde::Deserialize;

/// A share, a chance, or a factor: a number with up to six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "f64")]
pub struct Ratio {
    millionths: u64,
}

/// What 1 is.
const WHOLE: u64 = 1_000_000;

impl Ratio {
    /// Of a million.
    #[must_use]
    pub const fn millionths(self) -> u64 {
        self.millionths
    }

    /// That many times `number`, rounded down.
    #[must_use]
    pub const fn of(self, number: u64) -> u64 {
        number.saturating_mul(self.millionths) / WHOLE
    }

    /// `number` divided by it, rounded down; the largest number if it is 0.
    #[must_use]
    pub const fn divide(self, number: u64) -> u64 {
        match number.saturating_mul(WHOLE).checked_div(self.millionths) {
            Some(number) => number,
            None => u64::MAX,
        }
    }
}

impl TryFrom<f64> for Ratio {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Self, Self::Error> {
        if !(0.0..=1e6).contains(&number) {
            return Err("not a number from 0 to a million");
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the bounds are checked above"
        )]
        let millionths = (number * 1e6).round() as u64;
        Ok(Self { millionths })
    }
}

/// A time of day, written as `07:30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Clock {
    ms: u64,
}

impl Clock {
    /// Milliseconds since midnight.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.ms
    }
}

impl TryFrom<String> for Clock {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parse = || {
            let (hours, minutes) = text.split_once(':')?;
            let digits = |text: &str, most| text.parse::<u64>().ok().filter(|one| *one <= most);
            let minutes = digits(hours, 24)? * 60 + digits(minutes, 59)?;
            (minutes <= 24 * 60).then_some(Self { ms: minutes * 60_000 })
        };
        parse().ok_or_else(|| format!("`{text}` is no time of day such as `07:30`"))
    }
}

/// What a contact goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Bluetooth Low Energy.
    Ble,
    /// Wi-Fi Direct between phones.
    WifiDirect,
    /// The access point of a phone or a hub.
    Hotspot,
}

impl LinkKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ble, Self::WifiDirect, Self::Hotspot];

    /// As it is written in scenarios and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ble => "ble",
            Self::WifiDirect => "wifi_direct",
            Self::Hotspot => "hotspot",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_multiply_and_divide() {
        let ratio = |number: f64| Ratio::try_from(number).unwrap();
        assert_eq!(ratio(0.03).millionths(), 30_000);
        assert_eq!(ratio(1.3).of(2_000), 2_600);
        assert_eq!(ratio(4.0).divide(2_000), 500);
        assert_eq!(ratio(0.0).divide(1), u64::MAX);
        assert!(Ratio::try_from(-0.1).is_err() && Ratio::try_from(f64::NAN).is_err());
    }

    #[test]
    fn times_of_day_are_read() {
        let clock = |text: &str| Clock::try_from(text.to_owned()).map(Clock::ms);
        assert_eq!(clock("07:30"), Ok(27_000_000));
        assert_eq!(clock("24:00"), Ok(86_400_000));
        for text in ["24:01", "7", "7:60", "-1:00", ""] {
            assert!(clock(text).is_err(), "{text}");
        }
    }
}
