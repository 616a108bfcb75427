//! Whether two records may be about one person: what they share, and how much that says.
//!
//! Enter at [`Traits::compare`] for two, at [`alike`] for many. A likeness is only ever shown: nothing
//! here links, and nothing merges.
//!
//! **Score.** That of Fellegi and Sunter ("A theory for record linkage", 1969): each field adds
//! `log2(m / u)`, where `m` is how often it agrees in two records of one person, and `u` in those of two.
//! No labelled pairs of Rwanda are public, so `m` and `u` are assumed, each beside its weight; weights
//! are tenths of a bit. Before anything is compared, two of [`PEOPLE`] people of whom one in fifty is
//! registered twice are one with odds of 2 to -19.3. Offered is from odds of about 1 to 4
//! ([`OFFERED`]): somebody looks, so a false alarm costs less than a second record that nobody finds.
//!
//! **Never offered without a shared identifier**: who contradicts each other in sex or birth date, and
//! whose names do not all fit. The first is what [`Demographics::contradicts`] says; the second
//! keeps twins apart, who share all but the given name.
//!
//! **Cost.** [`alike`] compares only who shares a block: an identifier, a sound with a year of
//! birth, or two sounds of three; in a block each with the [`NEIGHBOURS`] behind it. So the cost grows with the
//! people and not with their square, even if all have one name.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::sound::{nearly, sound};
use super::summary::{Demographics, Summary, Texts, fold};
use crate::id::{AreaTag, hash_parts, truncated};

/// Whom the prior of the score is for: the people of one health centre.
pub const PEOPLE: usize = 25_000;

/// From which score on two are offered, in tenths of a bit: 19.3 bits make even odds, two less 1 to 4.
pub const OFFERED: i32 = 173;

/// In one block, each is compared with so many behind it. // guess: 16 times those of one usual name and year
const NEIGHBOURS: usize = 512;

/// An identifier is the same: m 0.95, u 10^-8 (a national number has sixteen digits). Alone it outweighs all
/// that may speak against.
const IDENTIFIER: i32 = 265;

/// A number that each facility gives anew names nobody outside it.
const LOCAL_SYSTEM: &str = "TEMPID";

/// Another value of the same system: m 0.02, u 0.999.
const OTHER_IDENTIFIER: i32 = -56;

/// A name sounds the same: m 0.9, u 1 in 50.
const NAME: i32 = 55;

/// It does but for one letter: m 0.07, u 1 in 200.
const NAME_NEARLY: i32 = 38;

/// One has a name that the other has not: m 0.2, u 0.4.
const NAME_MORE: i32 = -10;

/// Born on the same day: m 0.95 (what contradicts is not compared), u 1 in 40 years.
const BIRTH_DAY: i32 = 137;

/// In the same month, where one does not know the day.
const BIRTH_MONTH: i32 = 89;

/// In the same year, where one knows no more, or both say 1 January, which stands for not knowing.
const BIRTH_YEAR: i32 = 52;

/// Sex or birth date contradict each other, but an identifier is shared: m 0.03, u 0.98.
const CONTRADICTION: i32 = -50;

/// Of one sex: m 0.98, u 0.5.
const SEX: i32 = 10;

/// In one village: m 0.8, u 1 in 30.
const VILLAGE: i32 = 46;

/// In two: m 0.2, u 29 in 30.
const OTHER_VILLAGE: i32 = -23;

/// Why two records may be about one person, or what speaks against it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// They share this identifier.
    Identifier(String),
    /// All names that both have sound alike.
    Names,
    /// They do but for a letter.
    NamesNearly,
    /// Born on the same day.
    BirthDay,
    /// Born in the same month, as far as both know.
    BirthMonth,
    /// Born in the same year, as far as both know.
    BirthYear,
    /// Of one village.
    Village,
    /// Against it: the names do not fit.
    OtherNames,
    /// Against it: sex or birth date contradict each other.
    Contradiction,
    /// Against it: another identifier of the same system.
    OtherIdentifier,
}

crate::debug_shows!(
    enum Reason {
        Identifier,
        Names,
        NamesNearly,
        BirthDay,
        BirthMonth,
        BirthYear,
        Village,
        OtherNames,
        Contradiction,
        OtherIdentifier,
    }
);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identifier(identifier) => write!(f, "same {}", identifier.replace('|', " ")),
            Self::Names => f.write_str("names sound alike"),
            Self::NamesNearly => f.write_str("names sound alike but for a letter"),
            Self::BirthDay => f.write_str("same birth date"),
            Self::BirthMonth => f.write_str("same month of birth"),
            Self::BirthYear => f.write_str("same year of birth"),
            Self::Village => f.write_str("same village"),
            Self::OtherNames => f.write_str("but other names"),
            Self::Contradiction => f.write_str("but another sex or birth date"),
            Self::OtherIdentifier => f.write_str("but another identifier"),
        }
    }
}

/// How much two records are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Likeness {
    /// The sum of all weights, in tenths of a bit.
    pub score: i32,
    /// What speaks for it, then what against.
    pub reasons: Vec<Reason>,
}

impl Likeness {
    fn add(&mut self, weight: i32, reason: impl Into<Option<Reason>>) {
        self.score += weight;
        self.reasons.extend(reason.into());
    }
}

/// What of a person is compared.
#[derive(Clone)]
pub struct Traits {
    /// Each of the names that they are known by, word by word.
    names: Vec<Vec<Word>>,
    demographics: Demographics,
    identifiers: BTreeSet<String>,
    area: AreaTag,
}

crate::debug_shows!(struct Traits { area });

/// A word of a name: its first letter if it is no more than that, and its sound.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    initial: Option<char>,
    sound: String,
}

impl Traits {
    /// Of a record in this area.
    #[must_use]
    pub fn of(summary: &Summary, area: AreaTag) -> Self {
        let names = summary.names.iter().map(String::as_str);
        let identifiers = summary.identifiers.iter().map(String::as_str);
        Self::new(names, summary.into(), identifiers, area)
    }

    /// Of the beginning of a stored summary.
    pub(crate) fn of_texts(texts: &Texts<'_>, area: AreaTag) -> Self {
        let names = texts.names.iter().copied();
        Self::new(names, texts.demographics(), texts.identifiers.iter().copied(), area)
    }

    fn new<'a>(
        names: impl Iterator<Item = &'a str>,
        demographics: Demographics,
        identifiers: impl Iterator<Item = &'a str>,
        area: AreaTag,
    ) -> Self {
        let named = |one: &&str| {
            let pair = one.split_once('|');
            pair.is_some_and(|(system, value)| {
                !["", LOCAL_SYSTEM].contains(&system) && !value.is_empty()
            })
        };
        let identifiers = identifiers.filter(named).map(str::to_owned);
        Self {
            names: names.map(words).collect(),
            demographics,
            identifiers: identifiers.collect(),
            area,
        }
    }

    /// Whether it is worth to compare with a record whose summary begins so.
    pub(crate) fn may_be(&self, texts: &Texts<'_>) -> bool {
        !self.demographics.contradicts(&texts.demographics())
            || texts.identifiers.iter().any(|one| self.identifiers.contains(*one))
    }

    /// What speaks for the two being one person, if that is enough to ask somebody.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Likeness> {
        let contradict = self.demographics.contradicts(&other.demographics);
        let shared: Vec<&String> = self.identifiers.intersection(&other.identifiers).collect();
        if contradict && shared.is_empty() {
            return None;
        }
        let names = self.compare_names(other);
        if names.is_none() && shared.is_empty() {
            return None;
        }
        let mut likeness = Likeness { score: 0, reasons: Vec::new() };
        for identifier in &shared {
            likeness.add(IDENTIFIER, Reason::Identifier((*identifier).clone()));
        }
        let fits = names.is_some();
        if let Some((weight, reason)) = names {
            likeness.add(weight, reason);
        }
        if !contradict {
            if let Some((weight, reason)) = self.compare_births(other) {
                likeness.add(weight, reason);
            }
            let sexes = self.demographics.sex.as_ref().zip(other.demographics.sex.as_ref());
            likeness.add(if sexes.is_some() { SEX } else { 0 }, None);
        }
        match self.area == other.area {
            true => likeness.add(VILLAGE, Reason::Village),
            false => likeness.add(OTHER_VILLAGE, None),
        }
        if !fits && !self.names.is_empty() && !other.names.is_empty() {
            likeness.add(0, Reason::OtherNames);
        }
        if contradict {
            likeness.add(CONTRADICTION, Reason::Contradiction);
        }
        if self.has_another_identifier(other) {
            likeness.add(OTHER_IDENTIFIER, Reason::OtherIdentifier);
        }
        (likeness.score >= OFFERED).then_some(likeness)
    }

    /// The best that any of the names of one has in common with any of the other's.
    fn compare_names(&self, other: &Self) -> Option<(i32, Reason)> {
        let pairs = self.names.iter().flat_map(|one| other.names.iter().map(move |two| (one, two)));
        pairs.filter_map(|(one, two)| compare_words(one, two)).max()
    }

    fn compare_births(&self, other: &Self) -> Option<(i32, Reason)> {
        let (one, two) = (&self.demographics.birth_date, &other.demographics.birth_date);
        let (one, two) = (one.as_deref()?, two.as_deref()?);
        let both = if one.len() < two.len() { one } else { two };
        Some(match both.len() {
            10 if !both.ends_with("-01-01") => (BIRTH_DAY, Reason::BirthDay),
            7 => (BIRTH_MONTH, Reason::BirthMonth),
            4 | 10 => (BIRTH_YEAR, Reason::BirthYear),
            _ => return None,
        })
    }

    /// Whether both have identifiers of one system, and none that is the same.
    fn has_another_identifier(&self, other: &Self) -> bool {
        let systems = |of: &Self| -> BTreeSet<String> {
            let system = |one: &String| one.split_once('|').map(|(system, _)| system.to_owned());
            of.identifiers.iter().filter_map(system).collect()
        };
        let same = self.identifiers.intersection(&other.identifiers).next().is_some();
        !same && !systems(self).is_disjoint(&systems(other))
    }

    /// Who shares one of these with somebody may be the same person.
    fn blocks(&self) -> BTreeSet<Block> {
        let of = |kind: &[u8], parts: &[&str]| {
            let parts: Vec<&[u8]> =
                [kind].into_iter().chain(parts.iter().map(|one| one.as_bytes())).collect();
            truncated(hash_parts("huza 2026 same person", &parts))
        };
        let identifiers = self.identifiers.iter().map(|one| of(b"identifier", &[one]));
        let year = self.demographics.birth_date.as_deref().and_then(|date| date.get(..4));
        // Fewer than three names are not enough where no year is known.
        let long = self.names.iter().filter(|name| name.len() > 2);
        let two = |name: &Vec<Word>| {
            let sounds: Vec<&str> = name.iter().map(|word| word.sound.as_str()).collect();
            let pairs = sounds.iter().enumerate().flat_map(|(at, one)| {
                sounds.iter().skip(at + 1).map(move |two| [*one.min(two), *one.max(two)])
            });
            pairs.map(|pair| of(b"names", &pair)).collect::<Vec<_>>()
        };
        let names = long.flat_map(two);
        let words = self.names.iter().flatten().filter(|word| word.initial.is_none());
        let words = words.zip(core::iter::repeat(year));
        let words = words.filter_map(|(word, year)| Some(of(b"year", &[&word.sound, year?])));
        identifiers.chain(names).chain(words).collect()
    }
}

type Block = [u8; 8];

/// Everybody whom [`Traits::compare`] may find alike, as two indices each, the lower one first; never both the
/// same.
#[must_use]
pub fn alike(people: &[Traits]) -> BTreeMap<(usize, usize), Likeness> {
    let mut members: Vec<(Block, usize)> = people
        .iter()
        .enumerate()
        .flat_map(|(index, one)| one.blocks().into_iter().map(move |block| (block, index)))
        .collect();
    members.sort_unstable();
    let mut found = BTreeMap::new();
    for block in members.chunk_by(|(one, _), (two, _)| one == two) {
        for (at, (_, one)) in block.iter().enumerate() {
            for (_, two) in block.iter().skip(at + 1).take(NEIGHBOURS) {
                if found.contains_key(&(*one, *two)) {
                    continue;
                }
                let likeness =
                    people.get(*one).zip(people.get(*two)).and_then(|(a, b)| a.compare(b));
                found.extend(likeness.map(|likeness| ((*one, *two), likeness)));
            }
        }
    }
    found
}

/// The words of a name, none twice.
fn words(name: &str) -> Vec<Word> {
    let folded = fold(name);
    let parts = folded.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
    let word = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().filter(|_| letters.next().is_none());
        Word { initial: first.filter(|c| c.is_alphabetic()), sound: sound(part) }
    };
    parts.map(word).collect::<BTreeSet<Word>>().into_iter().collect()
}

/// How well two names fit, in whatever order their words are; `None` if a word of the shorter one has
/// none to fit in the longer one.
fn compare_words(one: &[Word], other: &[Word]) -> Option<(i32, Reason)> {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let mut left: Vec<&Word> = long.iter().collect();
    let mut take = |fits: &dyn Fn(&Word) -> bool| {
        let at = left.iter().position(|word| fits(word))?;
        Some(left.swap_remove(at))
    };
    let (mut score, mut reason) = (0, Reason::Names);
    let (mut rest, mut certain) = (Vec::new(), 0);
    for word in short.iter() {
        if word.initial.is_none()
            && take(&|two| two.initial.is_none() && two.sound == word.sound).is_some()
        {
            score += NAME;
            certain += 1;
        } else {
            rest.push(word);
        }
    }
    for word in rest {
        if take(&|two| nearly(&two.sound, &word.sound)).is_some() {
            score += NAME_NEARLY;
            reason = Reason::NamesNearly;
        } else {
            // An initial fits, and says nothing.
            take(&|two| begins(word, two) || begins(two, word))?;
        }
    }
    let more = i32::try_from(long.len() - short.len()).unwrap_or(i32::MAX).min(3);
    (certain > 0).then_some((score + more * NAME_MORE, reason))
}

/// Whether one word is the first letter of the other.
fn begins(initial: &Word, word: &Word) -> bool {
    let sound = initial.initial.map(|letter| sound(&letter.to_string()));
    sound.is_some_and(|sound| !sound.is_empty() && word.sound.starts_with(&sound))
}
