//! Settings: `huza.toml` of a home, over the defaults that are compiled in, below `HUZA_*`
//! variables of the environment. Flags come on top of that, as [`crate::RunOptions`].
//!
//! A key that nobody knows is an error with its name, because a misspelt setting that is quietly
//! ignored costs a field trip. Variables of the environment that are not settings are left alone:
//! other programs set some too.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use huza_crdt::node::Carry;
use serde::{Deserialize, Serialize};

use crate::{gateway::FacilitySetting, home::files, http::HttpSetting, net};

/// The defaults, as a file that explains them.
pub const DEFAULTS: &str = include_str!("config/default.toml");

/// The least and the greatest value of each setting that is a number. // guess: ten years, and a
/// terabyte
const BOUNDS: [(&str, i64, i64); 3] =
    [("erasure_hours", 0, 87_600), ("carry_mb", 0, 1_048_576), ("carry_days", 0, 3_650)];

/// What a variable of the environment that is a setting begins with.
pub const VARIABLE_PREFIX: &str = "HUZA_";

/// Longest `huza.toml` that is read, in bytes. // guess: hundreds of addresses
const FILE_BYTES_MAX: u64 = 262_144;

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings in {}; see that it can be read by you", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is longer than any list of settings.
    #[error("the settings in {} are too long; keep them below 256 kB", .0.display())]
    TooLong(PathBuf),
    /// It is not TOML.
    #[error("the settings in {from} are not valid TOML; mend the line named below")]
    Syntax {
        /// File or variable.
        from: String,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key that is no setting.
    #[error("there is no setting `{key}` (in {from}); the settings are: {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// File or variable.
        from: String,
        /// All keys there are.
        known: String,
    },
    /// A value that a setting cannot have.
    #[error("the setting `{key}` (in {from}) cannot be {value}; write {expected}")]
    Value {
        /// The setting.
        key: String,
        /// Its value, as it is written in TOML.
        value: String,
        /// What it can be, with bounds.
        expected: String,
        /// File or variable.
        from: String,
    },
    /// Settings that hold together and still cannot be read: a bug.
    #[error("the settings in {from} cannot be read; this is a fault of huza, please report it")]
    Unreadable {
        /// File or variable.
        from: String,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The file cannot be written.
    #[error("cannot write the settings in {}; see that the disk has room and is yours", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] net::NetError),
}

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Multiaddresses to listen on.
    pub listen: Vec<String>,
    /// Peers to dial.
    pub dial: Vec<String>,
    /// Whether to find peers by mDNS.
    pub mdns: bool,
    /// Whether to spread and hear news by gossip.
    pub gossip: bool,
    /// Whether to keep addresses of peers that were met, and to dial them.
    pub remember: bool,
    /// Where a gateway's facility is. Relative paths begin at the home.
    pub facility: FacilitySetting,
    /// Where other programs reach the daemon.
    pub http: HttpSetting,
    /// Where the stand-in for a keystore keeps the factor that goes with PINs. A relative path
    /// begins at the home.
    pub keystore: PathBuf,
    /// Hours for which an order to erase is held before it is carried out.
    pub erasure_hours: u32,
    /// Megabytes (2^20 bytes) carried at most for health centres to which this device does not
    /// belong, urgent envelopes apart, and days after which they are let go in any case.
    pub carry_mb: u32,
    /// See above.
    pub carry_days: u32,
    /// A filter for the log.
    pub log: String,
}

impl Config {
    /// How much is carried for others, and for how long.
    #[must_use]
    pub fn carry(&self) -> Carry {
        Carry {
            bytes: u64::from(self.carry_mb) << 20,
            millis: u64::from(self.carry_days) * 86_400_000,
        }
    }

    /// Reads the settings of the home at `home`, with the environment of this process over them.
    ///
    /// # Errors
    /// If the file cannot be read, or a setting is unknown or wrong.
    pub fn load(home: &Path) -> Result<Self, ConfigError> {
        let path = home.join(FILE);
        let text = match fs::metadata(&path) {
            Ok(found) if found.len() > FILE_BYTES_MAX => return Err(ConfigError::TooLong(path)),
            Ok(_) => fs::read_to_string(&path)
                .map_err(|source| ConfigError::Read { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::layered(&path.display().to_string(), &text, variables)
    }

    /// The defaults, `text` over them, `variables` over both. `from` names the text in errors.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn layered(
        from: &str,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut all = parse("the defaults", DEFAULTS)?;
        overlay(&mut all, parse(from, text)?, from)?;
        for (name, value) in variables {
            let Some(key) = name.strip_prefix(VARIABLE_PREFIX).map(str::to_ascii_lowercase) else {
                continue;
            };
            let Some(default) = all.get(&key) else { continue };
            let value = of_variable(default, &value);
            overlay(
                &mut all,
                toml::Table::from_iter([(key, value)]),
                &format!("the variable {name}"),
            )?;
        }
        let config: Self = all.try_into().map_err(|source| ConfigError::Unreadable {
            from: from.to_owned(),
            source: Box::new(source),
        })?;
        config.dial.iter().try_for_each(|address| net::check_address(address))?;
        Ok(config)
    }

    /// The defaults as a file in which every setting is commented out, so that a later version's
    /// better default applies.
    #[must_use]
    pub fn commented() -> String {
        let comment = |line: &str| match line {
            "" => "\n".to_owned(),
            line if line.starts_with('#') => format!("{line}\n"),
            line => format!("# {line}\n"),
        };
        DEFAULTS.lines().map(comment).collect()
    }
}

/// Name of the file in a home.
pub(crate) const FILE: &str = "huza.toml";

/// Adds addresses to the setting `dial` in the file of the home at `home`, and leaves the rest of
/// the file as it is. Gives how many were new.
pub(crate) fn add_dial(home: &Path, addresses: &[String]) -> Result<usize, ConfigError> {
    addresses.iter().try_for_each(|address| net::check_address(address))?;
    let path = home.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(ConfigError::Read { path, source }),
    };
    let (text, added) = with_dial(&path.display().to_string(), &text, addresses)?;
    if added > 0 {
        files::replace(&path, text.as_bytes())
            .map_err(|source| ConfigError::Write { path, source })?;
    }
    Ok(added)
}

/// `text` with these addresses in `dial` too, and how many were new.
fn with_dial(from: &str, text: &str, addresses: &[String]) -> Result<(String, usize), ConfigError> {
    let known = parse(from, text)?.remove("dial").and_then(|known| known.try_into().ok());
    let mut dial: Vec<String> = known.unwrap_or_default();
    let before = dial.len();
    for address in addresses {
        if !dial.contains(address) {
            dial.push(address.clone());
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut kept = lines.clone();
    // What was set goes, over however many lines it was written.
    if let Some(at) = lines.iter().position(|line| line.trim_start().starts_with("dial")) {
        let without = |count: usize| {
            let end = at.saturating_add(count).min(lines.len());
            [lines.get(..at).unwrap_or_default(), lines.get(end..).unwrap_or_default()].concat()
        };
        let gone = |lines: &Vec<&str>| {
            parse(from, &lines.join("\n")).is_ok_and(|table| !table.contains_key("dial"))
        };
        kept = (1..=lines.len()).map(without).find(gone).unwrap_or(lines);
    }
    let value = toml::Value::Array(dial.iter().cloned().map(toml::Value::String).collect());
    // What stands behind a heading belongs to it.
    let heading = |line: &&str| line.trim_start().starts_with('[');
    let at = kept.iter().position(heading).unwrap_or(kept.len());
    let (top, after) = kept.split_at(at);
    let after = if after.is_empty() { String::new() } else { format!("\n{}\n", after.join("\n")) };
    let text = format!("{}\ndial = {value}\n{after}", top.join("\n").trim_end());
    Ok((text, dial.len() - before))
}

fn parse(from: &str, text: &str) -> Result<toml::Table, ConfigError> {
    text.parse()
        .map_err(|source| ConfigError::Syntax { from: from.to_owned(), source: Box::new(source) })
}

fn overlay(all: &mut toml::Table, over: toml::Table, from: &str) -> Result<(), ConfigError> {
    for (key, value) in over {
        let Some(default) = all.get(&key) else {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            let (known, from) = (known.join(", "), from.to_owned());
            return Err(ConfigError::UnknownKey { key, from, known });
        };
        if let Some(expected) = misfit(&key, default, &value) {
            let (value, from) = (value.to_string(), from.to_owned());
            return Err(ConfigError::Value { key, value, expected, from });
        }
        all.insert(key, value);
    }
    Ok(())
}

/// What a setting can be, if it cannot be `value`: of the kind of its default, and within its bounds.
fn misfit(key: &str, default: &toml::Value, value: &toml::Value) -> Option<String> {
    match key {
        "facility" => return misfit_facility(value),
        "http" => return misfit_http(value),
        _ => {}
    }
    let texts = |items: &Vec<toml::Value>| items.iter().all(toml::Value::is_str);
    let (fits, expected) = match default {
        toml::Value::Integer(_) => {
            let bounds = BOUNDS.iter().find(|(bounded, _, _)| *bounded == key);
            let (least, most) = bounds.map_or((0, i64::MAX), |(_, least, most)| (*least, *most));
            let fits = value.as_integer().is_some_and(|n| (least..=most).contains(&n));
            (fits, format!("a whole number from {least} to {most}"))
        }
        toml::Value::Boolean(_) => (value.is_bool(), "true or false".to_owned()),
        toml::Value::Array(_) => {
            let expected = "a list of texts, such as [\"192.168.1.5:4001\"]";
            (value.as_array().is_some_and(texts), expected.to_owned())
        }
        _ => (value.is_str(), "a text in quotes".to_owned()),
    };
    (!fits).then_some(expected)
}

/// The same of the facility: a directory, or a table about a server.
fn misfit_facility(value: &toml::Value) -> Option<String> {
    const EXPECTED: &str = "a directory in quotes, or [facility] with url, token_file, user, \
        password_file, certificate_file, key_file, ca_file, allow_http";
    match value.clone().try_into::<FacilitySetting>() {
        Ok(setting) => setting.problem().map(str::to_owned),
        Err(_) => Some(EXPECTED.to_owned()),
    }
}

/// The same of the door for other programs: an address, or a table.
fn misfit_http(value: &toml::Value) -> Option<String> {
    const EXPECTED: &str = "an address in quotes, or [http] with listen, allow_network, hosts, \
        origins, requests_per_second";
    match value.clone().try_into::<HttpSetting>() {
        Ok(setting) => setting.problem().map(str::to_owned),
        Err(_) => Some(EXPECTED.to_owned()),
    }
}

/// Reads a variable as the kind of value that the setting has: lists are separated by commas.
fn of_variable(default: &toml::Value, text: &str) -> toml::Value {
    match default {
        toml::Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
        }
        toml::Value::Boolean(_) => match text.trim() {
            "1" | "true" | "yes" | "on" => toml::Value::Boolean(true),
            "0" | "false" | "no" | "off" => toml::Value::Boolean(false),
            other => toml::Value::String(other.to_owned()),
        },
        toml::Value::Integer(_) => match text.trim().parse() {
            Ok(number) => toml::Value::Integer(number),
            Err(_) => toml::Value::String(text.to_owned()),
        },
        _ => toml::Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let error = Config::layered("huza.toml", "lisen = []", []).unwrap_err();
        assert!(error.to_string().contains("`lisen`"), "{error}");
        assert!(error.to_string().contains("listen"), "{error}");
    }

    #[test]
    fn the_facility_is_a_directory_or_a_server_with_secrets_in_files() {
        let of = |text: &str| Config::layered("t", text, []).map(|config| config.facility);
        assert_eq!(of("").unwrap(), FacilitySetting::Directory("facility".into()));
        let text = "mdns = false\n[facility]\nurl = \"https://x.example/fhir\"\ntoken_file = \"t\"";
        let FacilitySetting::Server(server) = of(text).unwrap() else { panic!("no server") };
        assert_eq!(server.token_file, Some("t".into()));
        for wrong in ["token = \"secret\"", "url = \"http://10.0.0.1\"", "url = 3"] {
            let error = of(&format!("[facility]\nurl = \"https://x\"\n{wrong}")).err();
            let error = error.or_else(|| of(&format!("[facility]\n{wrong}")).err());
            assert!(error.is_some(), "{wrong}");
        }
    }

    #[test]
    fn other_programs_are_served_nowhere_unless_it_is_said_where() {
        let of = |text: &str| Config::layered("t", text, []).map(|config| config.http.table());
        assert_eq!(of("").unwrap(), None);
        let table = of("[http]\nlisten = \"127.0.0.1:7071\"\norigins = [\"https://a.example\"]");
        let table = table.unwrap().unwrap();
        assert_eq!(table.origins, ["https://a.example"]);
        let set = variables(&[("HUZA_HTTP", "127.0.0.1:7072")]);
        let config = Config::layered("t", "", set).unwrap();
        assert_eq!(config.http.table().unwrap().listen, "127.0.0.1:7072");
        for wrong in ["http = \"0.0.0.0:7071\"", "[http]\nport = 7071", "http = 7071"] {
            let error = of(wrong).unwrap_err();
            assert!(matches!(error, ConfigError::Value { .. }), "{wrong}: {error}");
        }
        let all = "[http]\nlisten = \"0.0.0.0:7071\"\nallow_network = true";
        assert!(of(all).unwrap().unwrap().allow_network);
    }

    #[test]
    fn an_address_that_is_learnt_stays_in_front_of_the_facility() {
        let text = "mdns = false\n\n[facility]\nurl = \"https://x\"\n";
        let (text, added) = with_dial("t", text, &["10.0.0.1:4001".to_owned()]).unwrap();
        let config = Config::layered("t", &text, []).unwrap();
        assert_eq!((added, config.dial), (1, vec!["10.0.0.1:4001".to_owned()]));
        assert!(matches!(config.facility, FacilitySetting::Server(_)), "{text}");
    }

    #[test]
    fn a_value_of_the_wrong_kind_is_refused() {
        let error = Config::layered("huza.toml", "mdns = 3", []).unwrap_err();
        assert!(matches!(error, ConfigError::Value { .. }), "{error}");
        let set = variables(&[("HUZA_MDNS", "perhaps")]);
        let error = Config::layered("huza.toml", "", set).unwrap_err();
        assert!(error.to_string().contains("HUZA_MDNS"), "{error}");
        assert!(Config::layered("huza.toml", "dial = [4001]", []).is_err());
    }

    #[test]
    fn a_number_out_of_bounds_is_refused_with_key_value_and_bounds() {
        for value in ["-5", "1048577", "99999999999", "2.5", "\"much\"", "true"] {
            let error = Config::layered("t", &format!("carry_mb = {value}"), []).unwrap_err();
            let said = error.to_string();
            let want =
                format!("`carry_mb` (in t) cannot be {value}; write a whole number from 0 to");
            assert!(said.contains(&want) && said.ends_with("1048576"), "{said}");
        }
        let error = Config::layered("t", "", variables(&[("HUZA_CARRY_MB", "lots")])).unwrap_err();
        assert!(error.to_string().contains("HUZA_CARRY_MB) cannot be \"lots\""), "{error}");
        let numbers = parse("d", DEFAULTS).unwrap();
        let numbers = numbers.iter().filter(|(_, value)| value.is_integer());
        for (key, _) in numbers {
            assert!(BOUNDS.iter().any(|(bounded, _, _)| bounded == key), "{key} has bounds");
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "dial = [\"10.0.0.1:4001\"]\nmdns = false";
        let set = variables(&[
            ("HUZA_DIAL", "10.0.0.2:4001, 10.0.0.3:4001"),
            ("HUZA_ERASURE_HOURS", "24"),
            ("HUZA_HOME", "/elsewhere"),
            ("PATH", "/bin"),
        ]);
        let config = Config::layered("huza.toml", file, set).unwrap();
        assert_eq!(config.dial, ["10.0.0.2:4001", "10.0.0.3:4001"]);
        assert!(!config.mdns);
        assert!(config.gossip);
        assert_eq!(config.erasure_hours, 24);
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        assert!(Config::layered("huza.toml", "dial = [\"hub.local\"]", []).is_err());
    }

    #[test]
    fn addresses_are_added_to_a_file_and_the_rest_stays() {
        let add = |text: &str, addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|a| (*a).to_owned()).collect();
            with_dial("t", text, &addresses).unwrap()
        };
        let (text, added) = add(&Config::commented(), &["10.0.0.1:4001", "10.0.0.1:4001"]);
        assert_eq!(added, 1);
        assert!(text.contains("# Peers to call"), "{text}");
        assert_eq!(Config::layered("t", &text, []).unwrap().dial, ["10.0.0.1:4001"]);
        let several = format!("{}mdns = false\n", text.replace("\ndial = [", "\ndial = [\n  "));
        let (text, added) = add(&several, &["10.0.0.1:4001", "10.0.0.2:4001"]);
        assert_eq!(added, 1);
        let config = Config::layered("t", &text, []).unwrap();
        assert_eq!(config.dial, ["10.0.0.1:4001", "10.0.0.2:4001"]);
        assert!(!config.mdns, "{text}");
    }

    #[test]
    fn the_commented_file_is_the_defaults() {
        let defaults = Config::layered("d", "", []).unwrap();
        let delay = u64::from(defaults.erasure_hours) * 3_600_000;
        assert_eq!(delay, huza_crdt::limits::ERASURE_DELAY_MS);
        assert_eq!(defaults.carry(), Carry::default());
        assert_eq!(Config::layered("c", &Config::commented(), []).unwrap(), defaults);
        assert!(parse("c", &Config::commented()).unwrap().is_empty());
    }
}
