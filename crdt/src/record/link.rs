//! What people say of two records: that they are one person's, or not.
//!
//! It stands under the other's id in `links` of each of the two records, and only there: who reads
//! one of them learns an id and no more. Two records never become one.
//!
//! **Conflict rule.** Of what was said apart nothing is chosen: while two statements that are in force
//! differ, whether in one record or between the two, the pair is [`Standing::Disputed`]. It counts as
//! not linked, is offered again, and the next statement settles it. A suggestion by an import
//! weighs nothing beside what a person said.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::fhir::SUGGESTED_SAME_PERSON;
use super::view::Shown;
use super::{Document, Edit};
use crate::id::RecordId;

/// What a person says of two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// They are about one person.
    SamePerson,
    /// They are about two people, however alike.
    DifferentPeople,
    /// What was said is taken back.
    Unlinked,
}

impl Said {
    const ALL: [Self; 3] = [Self::SamePerson, Self::DifferentPeople, Self::Unlinked];

    /// As a record has it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SamePerson => "same person",
            Self::DifferentPeople => "different people",
            Self::Unlinked => "unlinked",
        }
    }

    /// The kind of a link that says so, for this reason.
    #[must_use]
    pub fn because(self, reason: Option<&str>) -> String {
        match reason {
            Some(reason) => format!("{}{REASON}{reason}", self.text()),
            None => self.text().to_owned(),
        }
    }

    /// What a kind of link says; `None` for one that says something else, such as `mother of`.
    fn read(kind: &str) -> Option<Self> {
        let said = kind.split_once(REASON).map_or(kind, |(said, _)| said);
        Self::ALL.into_iter().find(|one| one.text() == said)
    }
}

/// Stands before the reason.
const REASON: &str = ": ";

/// How two records stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody said anything.
    Open,
    /// An import found them under one id, with another sex or birth date.
    Suggested,
    /// Somebody said so.
    Said(Said),
    /// Not all say the same.
    Disputed,
}

impl Standing {
    /// What one record says of the other, conflicting values and all.
    #[must_use]
    pub fn of(link: &Shown) -> Self {
        let one = |kind: &str| match Said::read(kind) {
            Some(said) => Self::Said(said),
            None if kind == SUGGESTED_SAME_PERSON => Self::Suggested,
            None => Self::Open,
        };
        link.all().map(|value| one(&value.value)).fold(Self::Open, Self::and)
    }

    /// Whether all values of a link say the same, for whatever reason.
    pub(super) fn agree(link: &Shown) -> bool {
        let is_read = |kind: &str| Said::read(kind).is_some() || kind == SUGGESTED_SAME_PERSON;
        link.all().all(|value| is_read(&value.value)) && Self::of(link) != Self::Disputed
    }

    /// With what is said elsewhere, such as in the other record.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Said(one), Self::Said(two)) if one != two => Self::Disputed,
            _ => self.max(other),
        }
    }

    /// Whether the two count as one person's.
    #[must_use]
    pub fn is_same_person(self) -> bool {
        self == Self::Said(Said::SamePerson)
    }

    /// Whether somebody has still to decide: then they are offered.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Said(Said::SamePerson | Said::DifferentPeople))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "",
            Self::Suggested => SUGGESTED_SAME_PERSON,
            Self::Said(said) => said.text(),
            Self::Disputed => "workers disagree",
        })
    }
}

/// What a record says of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other record.
    pub to: RecordId,
    /// What it says.
    pub standing: Standing,
}

impl Link {
    /// Of one entry of `links`; `None` if it says nothing about one person.
    pub(crate) fn read((to, shown): (&String, &Shown)) -> Option<Self> {
        let to = RecordId(uuid::Uuid::try_parse(to).ok()?.into_bytes());
        let standing = Standing::of(shown);
        (standing != Standing::Open).then_some(Self { to, standing })
    }
}

/// Leaves out what an import suggests of two records of which something is said already.
pub(crate) fn without_answered(document: &Document, all: &mut Vec<Vec<Edit>>) {
    let suggests =
        |edit: &Edit| matches!(edit, Edit::Link { kind, .. } if kind == SUGGESTED_SAME_PERSON);
    if !all.iter().flatten().any(suggests) {
        return;
    }
    let links = document.view().links;
    let answered =
        |edit: &Edit| matches!(edit, Edit::Link { to, .. } if links.contains_key(&to.to_string()));
    for edits in all.iter_mut() {
        edits.retain(|edit| !(suggests(edit) && answered(edit)));
    }
    all.retain(|edits| !edits.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_back_with_and_without_a_reason() {
        for said in Said::ALL {
            for reason in [None, Some("both cards: seen"), Some("")] {
                assert_eq!(Said::read(&said.because(reason)), Some(said));
            }
        }
        assert_eq!(Said::read("mother of"), None);
        assert_eq!(Said::read("same personality"), None);
    }

    #[test]
    fn who_disagrees_is_disputed_in_whatever_order() {
        let all = Said::ALL.map(Standing::Said);
        let all: Vec<_> = [Standing::Open, Standing::Suggested, Standing::Disputed]
            .into_iter()
            .chain(all)
            .collect();
        for one in &all {
            assert_eq!(one.and(*one), *one);
            for two in &all {
                assert_eq!(one.and(*two), two.and(*one));
                for three in &all {
                    assert_eq!(
                        one.and(*two).and(*three),
                        one.and(two.and(*three)),
                        "{one:?} {two:?} {three:?}"
                    );
                }
            }
        }
        let said = Standing::Said;
        assert_eq!(said(Said::SamePerson).and(said(Said::Unlinked)), Standing::Disputed);
        assert_eq!(
            Standing::Suggested.and(said(Said::DifferentPeople)),
            said(Said::DifferentPeople)
        );
    }
}
