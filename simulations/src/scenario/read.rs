//! From text to a checked scenario.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use toml::{Table, Value};

use super::{Basis, DEFAULTS, Scenario, Setting};
use crate::geography::similar;

/// Why a scenario cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not TOML.
    #[error("line {line} is not valid TOML: {what}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        what: String,
    },
    /// Not `key=value`.
    #[error("`{0}` is not `key=value`")]
    Assignment(String),
    /// A key that is none.
    #[error("there is no setting `{key}`; {known}")]
    Unknown {
        /// As it was written.
        key: String,
        /// Which there are.
        known: String,
    },
    /// A value that cannot be.
    #[error("`{key}` is {value}, and should be {should}")]
    Value {
        /// Of which key.
        key: String,
        /// As it was written.
        value: String,
        /// What it should be.
        should: String,
    },
    /// A value that does not fit others.
    #[error("{0}")]
    Sense(String),
}

impl Scenario {
    /// Reads a scenario file: the defaults, `text` over them, and over both `sets` of `key=value`.
    /// Gives all values too, under their keys, as TOML.
    ///
    /// # Errors
    /// If it is not TOML, a key is unknown, or a value is of the wrong kind or out of bounds.
    pub fn read(
        text: &str,
        sets: &[String],
    ) -> Result<(Self, BTreeMap<String, String>), ScenarioError> {
        let file: Table = text.parse().map_err(|error| syntax(text, &error))?;
        let mut values = BTreeMap::new();
        for one in DEFAULTS {
            values.insert(one.key.to_owned(), value(one.value));
        }
        let mut given = Vec::new();
        flatten("", file, &mut given);
        for set in sets {
            let (key, text) =
                set.split_once('=').ok_or_else(|| ScenarioError::Assignment(set.clone()))?;
            given.push((key.trim().to_owned(), value(text.trim())));
        }
        for (key, value) in given {
            let setting = DEFAULTS.iter().find(|one| one.key == key);
            let setting = setting.ok_or_else(|| unknown(&key))?;
            values.insert(key, checked(setting, value)?);
        }
        let mut all = Table::new();
        for (key, value) in &values {
            put(&mut all, key, value.clone());
        }
        let scenario: Self =
            all.try_into().map_err(|error| ScenarioError::Sense(one_line(&error.to_string())))?;
        scenario.check()?;
        let shown = values.into_iter().map(|(key, value)| (key, value.to_string()));
        Ok((scenario, shown.collect()))
    }

    /// A scenario file that says nothing: every default as a comment, with what it is, its unit and
    /// its source.
    #[must_use]
    pub fn commented() -> String {
        let mut text = String::new();
        let mut section = "";
        for one in DEFAULTS {
            let (of, key) = one.key.rsplit_once('.').unwrap_or(("", one.key));
            if of != section {
                let _written = writeln!(text, "\n[{of}]");
                section = of;
            }
            let unit = if one.unit.is_empty() { String::new() } else { format!(" ({})", one.unit) };
            let basis = match one.basis {
                Basis::Published(source) | Basis::Measured(source) => format!(" -- {source}"),
                Basis::Assumption => " -- assumption".to_owned(),
                Basis::Choice => String::new(),
            };
            let _written = writeln!(text, "# {}{unit}{basis}\n# {key} = {}", one.what, one.value);
        }
        text
    }

    /// What no single key can tell.
    fn check(&self) -> Result<(), ScenarioError> {
        if self.place.villages.is_empty() != self.place.facilities.is_empty() {
            let what = "`place.villages` and `place.facilities` are both needed, or neither";
            return Err(ScenarioError::Sense(what.to_owned()));
        }
        if self.place.villages.is_empty() && !self.place.pick.is_empty() {
            let what = "`place.pick` chooses from tables, and `place.villages` names none";
            return Err(ScenarioError::Sense(what.to_owned()));
        }
        let windows = [
            ("home_visits", self.home_visits.from, self.home_visits.until),
            ("village_pair", self.village_pair.from, self.village_pair.until),
            ("supply_visit", self.supply_visit.from, self.supply_visit.until),
            ("market", self.market.from, self.market.until),
            ("neighbour", self.neighbour.from, self.neighbour.until),
        ];
        for (section, from, until) in windows {
            if until < from {
                let what = format!("`{section}.until` is before `{section}.from`");
                return Err(ScenarioError::Sense(what));
            }
        }
        Ok(())
    }
}

/// On one line, where the parser draws a picture.
fn syntax(text: &str, error: &toml::de::Error) -> ScenarioError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ScenarioError::Syntax { line, what: one_line(error.message()) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// TOML, or else a text without quotes.
fn value(text: &str) -> Value {
    let table = format!("value = {text}").parse::<Table>();
    let value = table.ok().filter(|table| table.len() == 1).and_then(|mut one| one.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn flatten(prefix: &str, table: Table, into: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, into),
            value => into.push((key, value)),
        }
    }
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((section, rest)) => {
            let inner =
                table.entry(section.to_owned()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// Keys of its section that look like it; else all of its section; else the sections.
fn unknown(key: &str) -> ScenarioError {
    fn split(key: &str) -> (&str, &str) {
        key.rsplit_once('.').unwrap_or(("", key))
    }
    let (section, name) = split(key);
    let there = DEFAULTS.iter().map(|one| split(one.key)).filter(|(of, _)| *of == section);
    let there: Vec<&str> = there.map(|(_, name)| name).collect();
    let near = similar(name, there.iter().copied());
    let known = if !near.is_empty() {
        format!("perhaps {}", near.join(" or "))
    } else if section.is_empty() || there.is_empty() {
        let mut sections: Vec<&str> = DEFAULTS.iter().map(|one| split(one.key).0).collect();
        sections.dedup();
        format!("there are days, seed and the sections {}", sections.join(" ").trim())
    } else {
        format!("in `{section}` there are {}", there.join(", "))
    };
    ScenarioError::Unknown { key: key.to_owned(), known }
}

/// The value in the kind of its default: a single number is both ends of what is drawn, a single
/// name a list of one.
fn checked(setting: &Setting, given: Value) -> Result<Value, ScenarioError> {
    let default = value(setting.value);
    let (least, most) = setting.bounds;
    let within = |one: &Value| number(one).is_some_and(|one| (least..=most).contains(&one));
    let whole = |one: &Value| one.is_integer() && within(one);
    let wrong = |should: String| ScenarioError::Value {
        key: setting.key.to_owned(),
        value: given.to_string(),
        should,
    };
    let fitting = match (&default, &given) {
        (Value::Integer(_), one) if whole(one) => Some(given.clone()),
        (Value::Integer(_), _) => {
            return Err(wrong(format!("a whole number from {least} to {most}")));
        }
        (Value::Float(_), one) if within(one) => Some(given.clone()),
        (Value::Float(_), _) => return Err(wrong(format!("a number from {least} to {most}"))),
        (Value::Array(names), one) if names.is_empty() => names_of(one),
        (Value::Array(_), one) if whole(one) => {
            Some(Value::Array(vec![given.clone(), given.clone()]))
        }
        (Value::Array(_), Value::Array(two)) => match two.as_slice() {
            [low, high] if whole(low) && whole(high) && number(low) <= number(high) => {
                Some(given.clone())
            }
            _ => None,
        },
        (Value::String(_), Value::String(_)) => Some(given.clone()),
        // A time of day without quotes; its seconds, if TOML wants them, are not looked at.
        (Value::String(_), Value::Datetime(time)) => {
            Some(Value::String(time.to_string().chars().take(5).collect()))
        }
        _ => None,
    };
    fitting.ok_or_else(|| {
        wrong(match default {
            Value::Array(names) if names.is_empty() => "a list of names".to_owned(),
            Value::Array(_) => {
                format!("a whole number, or the least and the most, from {least} to {most}")
            }
            _ => format!("a text such as {}", setting.value),
        })
    })
}

#[expect(clippy::cast_precision_loss, reason = "bounds are far below what a float holds")]
fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|number| number as f64))
}

fn names_of(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(all) if all.iter().all(Value::is_str) => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::movement::DAY_MS;
    use crate::scenario::LinkKind;
    use huza_crdt::limits::{CARRY_BYTES, CARRY_MS};

    fn read(text: &str, sets: &[&str]) -> Result<Scenario, ScenarioError> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        Scenario::read(text, &sets).map(|(scenario, _)| scenario)
    }

    fn refused(text: &str, sets: &[&str]) -> String {
        read(text, sets).unwrap_err().to_string()
    }

    #[test]
    fn a_file_is_over_the_defaults_and_what_is_set_over_both() {
        let none = read("", &[]).unwrap();
        assert_eq!((none.days, none.people.workers), (30, 3));
        assert_eq!(none.links.of(LinkKind::Ble).setup_s, [2, 8]);
        // A device that is not set otherwise.
        let carry = (none.carry.mb << 20, none.carry.days * DAY_MS);
        assert_eq!(carry, (CARRY_BYTES, CARRY_MS));
        let file = "days = 7\n[place]\nvillages = \"v.csv\"\nfacilities = \"f.csv\"\npick = \"Kirehe\"\n\
            [people]\nequipped = 1\n[links.ble]\nmissed = 0.1\nsetup_s = 3\n[market]\nlink = \"wifi_direct\"";
        let sets = ["days=9", "market.minutes=[10, 20]", "home_visits.from=06:15", "seed=4711"];
        let given = read(file, &sets).unwrap();
        assert_eq!((given.days, given.seed), (9, 4711));
        assert_eq!(given.place.pick, ["Kirehe"]);
        assert_eq!(given.people.equipped.millionths(), 1_000_000);
        assert_eq!((given.links.ble.setup_s, given.market.minutes), ([3, 3], [10, 20]));
        assert_eq!(given.home_visits.from.ms(), (6 * 60 + 15) * 60_000);
        assert_eq!(
            read("", &["home_visits.from=06:15:00"]).unwrap().home_visits,
            given.home_visits
        );
        assert_eq!(given.market.link, LinkKind::WifiDirect);
        assert_eq!(given.centre_meeting, none.centre_meeting);
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused_with_those_that_are_known() {
        let told = refused("[people]\nequiped = 0.3", &[]);
        assert!(told.contains("`people.equiped`") && told.contains("perhaps equipped"), "{told}");
        let told = refused("", &["travel.by_car=1"]);
        assert!(told.contains("in `travel` there are walk_kmh"), "{told}");
        let told = refused("[aeroplanes]\nper_day = 1", &[]);
        assert!(told.contains("the sections place synthetic "), "{told}");
        // A section is no key, and no section is one either.
        assert!(refused("[markt]\ngo = 1", &[]).contains(" market "));
        assert!(refused("market = 3", &[]).contains("`market`"));
        assert!(refused("", &["days"]).contains("`days` is not `key=value`"));
        assert!(refused("seed = 1\ndays = ", &[]).contains("line 2 is not valid TOML"));
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_what_it_should_be() {
        for (set, should) in [
            ("people.equipped=1.5", "a number from 0 to 1"),
            ("people.equipped=half", "a number from 0 to 1"),
            ("days=0", "a whole number from 1 to 3650"),
            ("days=2.5", "a whole number"),
            ("market.minutes=[30, 20]", "the least and the most"),
            ("market.minutes=[30]", "the least and the most"),
            ("place.pick=3", "a list of names"),
            ("home_visits.from=7", "a text such as \"07:30\""),
            ("home_visits.from=25:00", "no time of day"),
            ("market.link=pigeon", "unknown variant `pigeon`"),
            ("market.link=pigeon", "in `market.link`"),
            ("market.until=07:00", "`market.until` is before"),
            ("place.villages=x.csv", "both needed"),
            ("place.pick=Kirehe", "names none"),
        ] {
            let told = refused("", &[set]);
            assert!(told.contains(should), "{set}: {told}");
        }
    }

    #[test]
    fn every_default_is_within_its_bounds_and_a_field_and_can_be_set() {
        for one in DEFAULTS {
            let set = format!("{}={}", one.key, one.value);
            assert_eq!(checked(one, value(one.value)), Ok(value(one.value)), "{}", one.key);
            assert_eq!(read("", &[&set]), read("", &[]), "{}", one.key);
        }
    }

    #[test]
    fn the_commented_file_says_nothing_and_with_its_comments_taken_away_the_same() {
        let text = Scenario::commented();
        assert_eq!(read(&text, &[]), read("", &[]));
        let all = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(value) if value.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => {
                value
            }
            _ => line,
        });
        let all: Vec<&str> = all.collect();
        assert!(all.contains(&"every_workdays = 14"));
        assert_eq!(read(&all.join("\n"), &[]), read("", &[]));
    }
}
