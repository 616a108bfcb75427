//! A part of a country, chosen by the names of districts and sectors.

use std::collections::BTreeSet;

use super::Geography;

/// Names that are offered at most where one is not known.
const OFFERED: usize = 3;

/// Why a name chooses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PickError {
    /// It is none.
    #[error("there is no district or sector `{name}`{}", offer(.near))]
    Unknown {
        /// As it was written.
        name: String,
        /// Names that look like it, the most similar first.
        near: Vec<String>,
    },
    /// Sectors of several districts have it.
    #[error("there is a sector `{name}` in several districts; say one of {}", .of.join(", "))]
    Ambiguous {
        /// As it was written.
        name: String,
        /// What to write instead.
        of: Vec<String>,
    },
}

fn offer(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; perhaps {}", near.join(" or ")) }
}

impl Geography {
    /// The villages of some districts or sectors; all of them if none is named. A name is first
    /// looked for among the districts; `District/Sector` names a sector in any case. Capitals do
    /// not matter.
    ///
    /// # Errors
    /// If a name is unknown, or the name of several sectors.
    pub fn pick(&self, names: &[String]) -> Result<Self, PickError> {
        let mut picked = self.clone();
        if names.is_empty() {
            return Ok(picked);
        }
        let (mut districts, mut sectors) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            match self.district(name) {
                Some(district) => districts.insert(district),
                None => sectors.insert(self.sector(name)?),
            };
        }
        picked.villages.retain(|village| {
            districts.contains(&village.district) || sectors.contains(&village.sector)
        });
        Ok(picked)
    }

    fn district(&self, name: &str) -> Option<usize> {
        self.districts.iter().position(|district| same(&district.name, name))
    }

    fn sector(&self, name: &str) -> Result<usize, PickError> {
        let (within, sector) = match name.split_once('/') {
            Some((district, sector)) => (Some(district.trim()), sector.trim()),
            None => (None, name),
        };
        let known: BTreeSet<(usize, usize)> =
            self.villages.iter().map(|village| (village.sector, village.district)).collect();
        let name_of = |district: usize| self.districts.get(district).map_or("", |one| &one.name);
        let found: Vec<(usize, usize)> = known
            .into_iter()
            .filter(|(one, _)| self.sectors.get(*one).is_some_and(|one| same(&one.name, sector)))
            .filter(|(_, district)| within.is_none_or(|within| same(name_of(*district), within)))
            .collect();
        match found.as_slice() {
            [(one, _)] => Ok(*one),
            [] => Err(PickError::Unknown { name: name.to_owned(), near: self.similar(sector) }),
            _ => {
                let of =
                    found.iter().map(|(_, district)| format!("{}/{sector}", name_of(*district)));
                Err(PickError::Ambiguous { name: name.to_owned(), of: of.collect() })
            }
        }
    }

    /// Names of districts and sectors that differ from `name` in few letters.
    fn similar(&self, name: &str) -> Vec<String> {
        let all = self.districts.iter().chain(&self.sectors).map(|area| area.name.as_str());
        similar(name, all)
    }
}

/// Those of `all` that differ from `name` in few letters, the most similar first.
pub(crate) fn similar<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all: BTreeSet<(usize, &str)> = all.map(|one| (edits(name, one), one)).collect();
    let most = 1 + name.chars().count() / 3;
    let near = all.into_iter().filter(|(edits, _)| *edits <= most);
    near.take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.trim().to_lowercase()
}

/// Letters to put in, take out or replace until one is the other (Levenshtein 1966), capitals
/// aside.
fn edits(one: &str, other: &str) -> usize {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut next = vec![above + 1];
        for ((left, corner), with) in row.iter().skip(1).zip(&row).zip(other.chars()) {
            let replaced = corner + usize::from(letter != with);
            let inserted = next.last().map_or(usize::MAX, |last| last + 1);
            next.push(replaced.min(inserted).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geography::read::tests::small;

    fn picked(names: &[&str]) -> Result<Vec<String>, PickError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let villages = small().pick(&names)?.villages;
        Ok(villages.into_iter().map(|village| village.id).collect())
    }

    #[test]
    fn districts_and_sectors_are_chosen_by_name() {
        assert_eq!(picked(&[]).unwrap(), ["1", "2", "3", "4"]);
        assert_eq!(picked(&["east"]).unwrap(), ["3", "4"]);
        assert_eq!(picked(&["Mbogo"]).unwrap(), ["4"]);
        assert_eq!(picked(&["Mbogo", "West"]).unwrap(), ["1", "2", "4"]);
        assert_eq!(picked(&["West/Remera"]).unwrap(), ["1", "2"]);
    }

    #[test]
    fn a_name_that_is_none_brings_those_that_are_like_it() {
        let told = picked(&["Mboga"]).unwrap_err().to_string();
        assert!(told.contains("`Mboga`") && told.contains("; perhaps Mbogo"), "{told}");
        let told = picked(&["Timbuktu"]).unwrap_err().to_string();
        assert_eq!(told, "there is no district or sector `Timbuktu`");
        let told = picked(&["Remera"]).unwrap_err().to_string();
        assert!(told.contains("West/Remera, East/Remera"), "{told}");
        assert!(picked(&["West/Mbogo"]).is_err());
    }

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, count) in
            [("", "", 0), ("abc", "", 3), ("kirehe", "Kihere", 2), ("nyamata", "nyamat", 1)]
        {
            assert_eq!((edits(one, other), edits(other, one)), (count, count), "{one} {other}");
        }
    }
}
