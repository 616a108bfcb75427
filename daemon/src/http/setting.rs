//! Where other programs reach the daemon, as `http` in `huza.toml` says.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// An address, or a table with more; an empty address: nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HttpSetting {
    /// Where to listen.
    Address(String),
    /// The same, and what else is to be known.
    Table(HttpTable),
}

/// `[http]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTable {
    /// Where to listen, such as `127.0.0.1:7071`.
    pub listen: String,
    /// Whether that may be an address that other machines reach. It is spoken without encryption.
    #[serde(default)]
    pub allow_network: bool,
    /// Names by which the daemon is asked, besides addresses and `localhost`.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Origins of web pages that may ask, such as `https://app.example`.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Requests of one program in a second, over some seconds.
    #[serde(default)]
    pub requests_per_second: Option<u32>,
}

impl HttpSetting {
    /// With everything said; nothing if it is off.
    #[must_use]
    pub fn table(&self) -> Option<HttpTable> {
        let table = match self {
            Self::Address(listen) => HttpTable { listen: listen.clone(), ..HttpTable::default() },
            Self::Table(table) => table.clone(),
        };
        (!table.listen.is_empty()).then_some(table)
    }

    /// The same, listening there instead.
    #[must_use]
    pub fn at(self, listen: String) -> Self {
        match self {
            Self::Address(_) => Self::Address(listen),
            Self::Table(table) => Self::Table(HttpTable { listen, ..table }),
        }
    }

    /// What should be written instead, if something is wrong with it.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        let table = self.table()?;
        let Ok(address) = table.listen.parse::<SocketAddr>() else {
            return Some("an address with a port, such as \"127.0.0.1:7071\"");
        };
        if !address.ip().is_loopback() && !table.allow_network {
            return Some(
                "an address of this device alone, such as \"127.0.0.1:7071\", or [http] with \
                 allow_network = true, if everybody who hears that network may read every record",
            );
        }
        let whole = |origin: &String| origin.contains("://") && !origin.ends_with('/');
        if !table.origins.iter().all(whole) {
            return Some("each of `origins` as \"https://app.example\"");
        }
        (table.requests_per_second == Some(0)).then_some("`requests_per_second` above 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(listen: &str) -> HttpTable {
        HttpTable { listen: listen.to_owned(), ..HttpTable::default() }
    }

    #[test]
    fn only_this_device_is_listened_to_unless_more_is_allowed_by_name() {
        let problem = |table| HttpSetting::Table(table).problem();
        assert_eq!(HttpSetting::Address(String::new()).problem(), None);
        assert_eq!(HttpSetting::Address(String::new()).table(), None);
        for here in ["127.0.0.1:7071", "[::1]:0"] {
            assert_eq!(HttpSetting::Address(here.to_owned()).problem(), None, "{here}");
        }
        for wrong in ["0.0.0.0:7071", "192.168.1.5:7071", "localhost:7071", "7071"] {
            assert!(problem(table(wrong)).is_some(), "{wrong}");
        }
        assert_eq!(problem(HttpTable { allow_network: true, ..table("0.0.0.0:7071") }), None);
        let origins = vec!["app.example".to_owned()];
        assert!(problem(HttpTable { origins, ..table("127.0.0.1:1") }).is_some());
        let requests_per_second = Some(0);
        assert!(problem(HttpTable { requests_per_second, ..table("127.0.0.1:1") }).is_some());
    }
}
