//! How devices pass things on.

use core::fmt;
use core::str::FromStr;

/// Copies of a record that spray and wait begins with: what the ONE simulator ships.
const COPIES: u32 = 6;

/// How devices pass records on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// A phone gives what was written on it to the hub of its health centre, and nothing to anybody
    /// else. With one destination for each record this is direct delivery.
    OwnPhone,
    /// Everybody gives everything to everybody, the oldest first, and keeps it for ever (Vahdat and
    /// Becker, 2000).
    Epidemic,
    /// A record has so many copies; who holds several gives half of them to whomever it meets, and
    /// who holds one waits for the hub (Spyropoulos, Psounis and Raghavendra, 2005, binary).
    SprayAndWait {
        /// Copies of each record.
        copies: u32,
    },
    /// Who is likelier to come to the record's hub gets it too, and nobody deletes it (RFC 6693).
    Prophet,
    /// As huza does: urgent first, the own health centre whole, others within a quota, let go when
    /// two devices there vouch for it.
    Huza,
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "own-phone" | "direct" => Ok(Self::OwnPhone),
            "epidemic" => Ok(Self::Epidemic),
            "spray-and-wait" => Ok(Self::SprayAndWait { copies: COPIES }),
            "prophet" => Ok(Self::Prophet),
            "huza" => Ok(Self::Huza),
            _ => {
                let copies =
                    text.strip_prefix("spray-and-wait:").and_then(|text| text.parse().ok());
                match copies {
                    Some(copies @ 1..=1_000_000) => Ok(Self::SprayAndWait { copies }),
                    _ => Err(format!(
                        "`{text}` is no strategy; say own-phone, direct, epidemic, \
                         spray-and-wait[:COPIES], prophet or huza"
                    )),
                }
            }
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnPhone => f.write_str("own-phone"),
            Self::Epidemic => f.write_str("epidemic"),
            Self::SprayAndWait { copies } => write!(f, "spray-and-wait:{copies}"),
            Self::Prophet => f.write_str("prophet"),
            Self::Huza => f.write_str("huza"),
        }
    }
}
