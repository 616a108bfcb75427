//! Law: readers that hold the same envelopes, control lane and keys show the same records, whatever
//! came to them in which order. It needs no model of what the envelopes say.

use huza_crdt::store::Table;

use super::end::Resources;
use crate::disk::Durable;
use crate::violation::{Broken, Law};

/// Whether a reader shows all that its carrier holds, and nothing else: it has not written what is in
/// no envelope yet, and does not wait for keys.
pub(crate) fn shows_what_it_holds(durable: &Durable) -> bool {
    let apart = [Table::Outbox, Table::Pending, Table::Waiting];
    apart.into_iter().all(|table| durable.rows(table).next().is_none())
}

/// What decides what such a reader shows: its envelopes and its control lane, as one hash.
pub(crate) fn grounds(durable: &Durable) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for table in [Table::Envelopes, Table::Statements] {
        for (key, value) in durable.rows(table) {
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// Whether two readers show the same.
pub(crate) fn shows_same(
    (name, one): (&str, &Resources),
    (other_name, other): (&str, &Resources),
) -> Result<(), Broken> {
    if one == other {
        return Ok(());
    }
    let mut keys = one.keys().chain(other.keys());
    let differs = keys.find(|key| one.get(*key) != other.get(*key)).cloned().unwrap_or_default();
    let (this, that) = (one.get(&differs), other.get(&differs));
    let evidence = format!(
        "{name} and {other_name} hold the same, and show {differs} as {this:?} and {that:?}"
    );
    Err(Broken::new(Law::SameShowsSame, evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use huza_crdt::store::Batch;

    #[test]
    fn two_readers_that_differ_are_found() {
        let shown = |text: &str| Resources::from([("Patient/1".to_owned(), text.to_owned())]);
        let same = |one: &Resources, other: &Resources| shows_same(("a", one), ("b", other));
        assert!(same(&shown("x"), &shown("x")).is_ok());
        assert_eq!(same(&shown("x"), &shown("y")).unwrap_err().law, Law::SameShowsSame);
        assert!(same(&shown("x"), &Resources::new()).is_err());
    }

    #[test]
    fn who_waits_for_something_is_not_compared() {
        let mut durable = Durable::default();
        let none = grounds(&durable);
        let put = |durable: &mut Durable, table: Table| {
            let mut batch = Batch::default();
            batch.put(table, [1], [1]);
            durable.apply(table.store(), &batch);
        };
        put(&mut durable, Table::Statements);
        assert_ne!(grounds(&durable), none);
        assert!(shows_what_it_holds(&durable));
        put(&mut durable, Table::Waiting);
        assert!(!shows_what_it_holds(&durable));
    }
}
