//! Values of the command line, and how they are read.

use clap::{Args, ValueEnum};
use huza_crdt::control::Reason;
use huza_crdt::id::RecordId;
use huza_crdt::node::AreaRef;
use huza_crdt::record::Language;
use huza_crdt::time::Stamp;
use huza_crdt::trust::Role;

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// A person's device that approves, shuts out and judges; two at least for each health centre
    Authority,
    /// A health worker's phone; reads its villages
    Worker,
    /// An always-on box at a health centre; signs that it stores
    Hub,
    /// Feeds a facility; signs that it was accepted
    Gateway,
    /// Carries what it cannot read
    Relay,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Authority => Self::Authority,
            RoleName::Worker => Self::Worker,
            RoleName::Hub => Self::Hub,
            RoleName::Gateway => Self::Gateway,
            RoleName::Relay => Self::Relay,
        }
    }
}

/// Why a device is shut out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReasonName {
    /// Nobody knows where it is
    Lost,
    /// Somebody has it who must not
    Stolen,
    /// Its worker has left, or works elsewhere
    Left,
    /// Another certificate takes its place
    Replaced,
    /// It, or its holder, did what they must not
    Misused,
}

impl From<ReasonName> for Reason {
    fn from(name: ReasonName) -> Self {
        match name {
            ReasonName::Lost => Self::Lost,
            ReasonName::Stolen => Self::Stolen,
            ReasonName::Left => Self::Left,
            ReasonName::Replaced => Self::Replaced,
            ReasonName::Misused => Self::Misused,
        }
    }
}

/// In which language labels are.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LangArgs {
    /// Language of the labels
    #[arg(long, default_value = "en")]
    pub(crate) lang: Lang,
}

/// A language of labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// Kinyarwanda
    Rw,
    /// French
    Fr,
    /// English
    En,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rw => Self::Rw,
            Lang::Fr => Self::Fr,
            Lang::En => Self::En,
        }
    }
}

/// A record as a user names it: by its id, or by the beginning of it.
#[derive(Clone)]
pub(crate) struct RecordRef(pub(crate) String);

// The id of an imported person is derived from a national number.
huza_crdt::debug_shows!(
    struct RecordRef {}
);

/// A record by the beginning of its id.
pub(super) fn record(text: &str) -> Result<RecordRef, String> {
    match RecordId::beginning(text) {
        Some(_) => Ok(RecordRef(text.to_owned())),
        None => Err(format!(
            "write the id that `huza person find` prints, or {} digits of its beginning at least",
            RecordId::DIGITS_MIN
        )),
    }
}

/// An area by its codes or by its tag.
pub(super) fn area(text: &str) -> Result<AreaRef, String> {
    text.parse().map_err(|()| "write it as CATCHMENT/VILLAGE, such as 0512/01".to_owned())
}

/// A field and its value.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.is_empty() => Ok((field.to_owned(), value.to_owned())),
        _ => Err("write it as FIELD=VALUE, such as weight=62.5".to_owned()),
    }
}

/// A moment.
pub(super) fn stamp(text: &str) -> Result<Stamp, String> {
    huza_daemon::time::parse(text).ok_or_else(|| {
        "there is no such time; write it as 2026-11-23T10:15:00+02:00 or 2026-11-23".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_four_digits_or_more() {
        let id = "0192f1d4-5b1e-7c3a-8d2f-1234567890ab";
        assert!([id, "0192f1d4", "0192-f1d4-5", "01AB"].iter().all(|text| record(text).is_ok()));
        let long = format!("{id}0");
        assert!(["", "019", "uwase", "0192/", &long].iter().all(|text| record(text).is_err()));
    }

    #[test]
    fn areas_are_names_or_tags() {
        assert!(matches!(area("0512/01"), Ok(AreaRef::Name(_))));
        assert!(matches!(area(&"ab".repeat(16)), Ok(AreaRef::Tag(_))));
        assert!(area("0512").is_err());
    }
}
