//! Ids of imported things: the same on every phone that imports the same thing, and different for
//! `Patient/1` of two clinics.

use uuid::Uuid;

use super::json::Json;
use crate::id::RecordId;
use crate::record::summary::identifiers;

/// Namespace of all ids derived here. Arbitrary, and fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x7b1e_6a0c_52d4_4f0e_9c27_3a58_e1d9_04b6);

/// Systems whose values name one person in the whole country, the preferred one first; bare strings
/// as Rwanda's client registry writes them. Not here: TEMPID (given by each facility),
/// NID_APPLICATION_NUMBER (names an application) and PASSPORT (repeats between countries).
const UNIQUE_SYSTEMS: [&str; 3] = ["NID", "UPI", "NIN"];

/// Derives an id from `parts`; what it is for comes first, so that kinds never collide.
pub(super) fn derive(parts: &[&str]) -> Uuid {
    // U+001F keeps the parts apart; where a part holds one, lengths in front do.
    let name: String = parts.iter().map(|part| format!("{}:{part}\u{1f}", part.len())).collect();
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// The record of a person with an identifier that is unique in the country.
pub(super) fn by_identifier<'a>(
    identifiers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<RecordId> {
    identifiers
        .filter_map(|(system, value)| {
            let rank = UNIQUE_SYSTEMS.iter().position(|unique| *unique == system)?;
            Some((rank, system, unique_value(system, value)?))
        })
        .min()
        .map(|(_, system, value)| record(derive(&["identifier", system, &value])))
}

/// The record of a Patient resource with a unique identifier.
pub(super) fn by_identifiers_of(patient: &Json<'_>) -> Option<RecordId> {
    by_identifier(identifiers(patient))
}

/// The value without spaces and in capitals; `None` for what cannot be one (a NID has 16 digits)
/// or stands for "none", since that would make many people one.
fn unique_value(system: &str, value: &str) -> Option<String> {
    let value: String =
        value.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect();
    let digits: Vec<char> = value.chars().filter(char::is_ascii_digit).collect();
    let several = digits.iter().any(|digit| Some(digit) != digits.first());
    let shape = match system {
        "NID" => value.len() == 16 && digits.len() == 16,
        // YYMMDD-NNNN-NNNN
        "UPI" => value.len() == 16 && digits.len() == 14,
        _ => (8..=32).contains(&value.len()) && digits.len() >= 6,
    };
    (shape && several).then_some(value)
}

/// The record of somebody told apart from another under the same id.
#[must_use]
pub fn separate_record(of: RecordId, sex: Option<&str>, birth_date: Option<&str>) -> RecordId {
    let (sex, birth) = (sex.unwrap_or_default(), birth_date.unwrap_or_default());
    record(derive(&["separate", &of.to_string(), sex, birth]))
}

/// An id as a UUID of 36 characters, which counts as unique wherever it comes from.
pub(super) fn as_uuid(id: &str) -> Option<Uuid> {
    (id.len() == 36).then(|| Uuid::try_parse(id).ok()).flatten()
}

/// The UUID of `urn:uuid:...`.
pub(super) fn urn_uuid(url: &str) -> Option<Uuid> {
    as_uuid(url.strip_prefix("urn:uuid:")?)
}

/// A record with this UUID.
pub(super) fn record(uuid: Uuid) -> RecordId {
    RecordId(uuid.into_bytes())
}

/// Base, type and id of `http://server/fhir/Type/id`, a version behind it ignored.
pub(super) fn split_absolute(url: &str) -> Option<(&str, &str, &str)> {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let (head, id) = without_version(url).rsplit_once('/')?;
    let (base, kind) = head.rsplit_once('/')?;
    super::tables::is_type(kind).then_some((base, kind, id))
}

/// Type and id of `Type/id`, a version behind it ignored.
pub(super) fn split_relative(reference: &str) -> Option<(&str, &str)> {
    let (kind, id) = without_version(reference).split_once('/')?;
    (super::tables::is_type(kind) && !id.contains('/')).then_some((kind, id))
}

fn without_version(reference: &str) -> &str {
    reference.split_once("/_history/").map_or(reference, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_real_unique_identifiers_name_a_person() {
        let by = |pairs: &[(&str, &str)]| {
            by_identifier(pairs.iter().map(|(system, value)| (*system, *value)))
        };
        let nid = by(&[("NID", "1199070012345678")]);
        assert!(nid.is_some());
        assert_eq!(by(&[("NID", "1 1990 7 0012345 6 78")]), nid);
        assert_eq!(by(&[("UPI", "220919-7657-5617"), ("NID", "1199070012345678")]), nid);
        assert_eq!(by(&[("NID", "0000000000000000")]), None);
        assert_eq!(by(&[("NID", "12")]), None);
        assert_eq!(by(&[("TEMPID", "1199070012345678")]), None);
        assert!(by(&[("UPI", "220919-7657-5617")]).is_some());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive(&["a", "b"]), derive(&["ab", ""]));
        assert_ne!(derive(&["a\u{1f}1:b"]), derive(&["a", "b"]));
    }
}
