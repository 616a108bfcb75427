//! The card of an urgent visit: what a reader shows and a gateway delivers before, or without, the
//! record. At most [`CARD_BYTES_MAX`] bytes, whatever the name or the number of danger signs.

use serde::{Deserialize, Serialize};

use super::form::FormName;
use super::validate::Checked;
use crate::codec::{self, DecodeError};
use crate::id::{RecordId, VisitId};
use crate::limits::CARD_BYTES_MAX;
use crate::time::Stamp;

/// Version of the card's layout.
const CARD_VERSION: u8 = 1;

/// Bytes of the name that a card carries at most. // guess: given and family name
const NAME_BYTES_MAX: usize = 48;

/// A self-contained summary of an urgent visit. Encoded with postcard in the order of its fields.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Layout; 1.
    pub version: u8,
    /// The record, which the visit belongs to.
    pub record: RecordId,
    /// The visit.
    pub visit: VisitId,
    /// Id of the form.
    pub form: String,
    /// Version of the form.
    pub form_version: u32,
    /// When the visit took place, as the worker says.
    pub occurred: Stamp,
    /// Display name, perhaps cut short.
    pub name: String,
    /// Codes of danger signs, in the order of the form, as many as fit.
    pub dangers: Vec<String>,
    /// Number of danger signs that did not fit.
    pub more: u32,
}

crate::debug_shows!(struct Card { version, more });

impl Card {
    /// Reads a card.
    ///
    /// # Errors
    /// If the bytes are no card of a known layout or longer than [`CARD_BYTES_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > CARD_BYTES_MAX {
            return Err(DecodeError::Limit("card"));
        }
        let card: Self = codec::decode(bytes)?;
        if card.version == CARD_VERSION { Ok(card) } else { Err(DecodeError::Malformed) }
    }

    /// The bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }
}

/// The card of a visit; empty if it is not urgent.
#[must_use]
pub fn card(
    form: &FormName,
    name: Option<&str>,
    checked: &Checked,
    (record, visit): (RecordId, VisitId),
    occurred: Stamp,
) -> Vec<u8> {
    if !checked.is_urgent() {
        return Vec::new();
    }
    let mut card = Card {
        version: CARD_VERSION,
        record,
        visit,
        form: cut(&form.id, 32),
        form_version: form.version,
        occurred,
        name: cut(name.unwrap_or_default(), NAME_BYTES_MAX),
        dangers: checked.dangers.iter().map(|danger| danger.sign.clone()).collect(),
        more: 0,
    };
    while card.encode().len() > CARD_BYTES_MAX && card.dangers.pop().is_some() {
        card.more += 1;
    }
    card.encode()
}

/// The longest beginning of `text` of at most `bytes` bytes that ends between characters.
fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::form;
    use crate::record::form::FieldType;
    use crate::record::validate::check;

    const IDS: (RecordId, VisitId) = (RecordId([1; 16]), VisitId([2; 16]));

    #[test]
    fn a_card_stands_alone_and_never_grows_too_long() {
        let form = form("sick-child", 1).unwrap();
        let mut answers: BTreeMap<String, String> = form
            .fields
            .iter()
            .filter(|field| field.kind == FieldType::YesNo)
            .map(|field| (field.id.clone(), "yes".into()))
            .collect();
        answers.insert("age-months".into(), "3".into());
        answers.insert("muac".into(), "10".into());
        answers.insert("respiratory-rate".into(), "70".into());
        let checked = check(form, &answers).unwrap();
        let name = "\u{1F600}".repeat(40);
        let bytes = card(&form.name(), Some(&name), &checked, IDS, Stamp(1_795_421_700));
        assert!(bytes.len() <= CARD_BYTES_MAX, "{}", bytes.len());
        let card = Card::decode(&bytes).unwrap();
        assert_eq!(card.name.chars().count(), 12);
        assert_eq!(card.dangers.len() + card.more as usize, checked.dangers.len());
        assert!(!card.dangers.is_empty());
        assert_eq!((card.record, card.visit), IDS);
        assert!(Card::decode(&bytes[1..]).is_err());
    }

    #[test]
    fn a_visit_without_danger_has_no_card() {
        let form = form("sick-child", 1).unwrap();
        let answers = BTreeMap::from([("age-months".into(), "3".into())]);
        let checked = check(form, &answers).unwrap();
        assert!(card(&form.name(), None, &checked, IDS, Stamp(0)).is_empty());
    }
}
