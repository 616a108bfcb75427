//! A carrier's store, and what its rows say: statements and envelopes are read once, when they are
//! written, and not at each look of a law.

use std::collections::BTreeMap;
use std::sync::Arc;

use huza_crdt::codec;
use huza_crdt::control::{Opening, Statement, kind};
use huza_crdt::envelope::{Header, Stored};
use huza_crdt::id::{Hash, LogId};
use huza_crdt::store::{Batch, MemoryStore, Op, Table};

use crate::audit::{Place, place_of};

/// The rows, and what they say.
#[derive(Debug, Clone, Default)]
pub(crate) struct CarrierStore {
    pub(super) rows: MemoryStore,
    said: Arc<Said>,
}

/// What the rows say. What cannot be read is left out, but for envelopes, which somebody may miss.
#[derive(Debug, Clone, Default)]
struct Said {
    statements: BTreeMap<Vec<u8>, Arc<Statement>>,
    openings: BTreeMap<LogId, Opening>,
    envelopes: BTreeMap<Place, Arc<Result<Envelope, String>>>,
}

/// An envelope on a disk.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) header: Header,
    /// Of the header.
    pub(crate) hash: Hash,
    pub(crate) stored: Stored,
}

impl Envelope {
    /// Reads a row of a place.
    pub(crate) fn read((log, seq): Place, value: &[u8]) -> Result<Self, String> {
        let stored = codec::decode::<Stored>(value).map_err(|error| error.to_string())?;
        let header = stored.wire.header(log, seq, stored.previous);
        Ok(Self { header, hash: header.hash(), stored })
    }
}

impl CarrierStore {
    /// Applies all of `batch`.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        self.rows.apply(batch);
        for op in &batch.0 {
            let (key, value) = match op {
                Op::Put { key, value, .. } => (key, Some(value)),
                Op::Delete { key, .. } => (key, None),
            };
            match op.table() {
                Table::Statements => Arc::make_mut(&mut self.said).statement(key, value),
                Table::Envelopes => Arc::make_mut(&mut self.said).envelope(key, value),
                _ => {}
            }
        }
    }

    /// Every statement, in the order of their ids.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Statement> {
        self.said.statements.values().map(AsRef::as_ref)
    }

    /// The opening of a log.
    pub(crate) fn opening(&self, log: LogId) -> Option<&Opening> {
        self.said.openings.get(&log)
    }

    /// The logs whose openings are here.
    pub(crate) fn openings(&self) -> impl Iterator<Item = (LogId, &Opening)> {
        self.said.openings.iter().map(|(log, opening)| (*log, opening))
    }

    /// Every place that holds something, and the envelope, or why it cannot be read.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Place, &Result<Envelope, String>)> {
        self.said.envelopes.iter().map(|(place, one)| (*place, one.as_ref()))
    }

    /// Every envelope that can be read.
    pub(crate) fn envelopes(&self) -> impl Iterator<Item = (Place, &Envelope)> {
        self.places().filter_map(|(place, one)| Some((place, one.as_ref().ok()?)))
    }

    /// The envelope in a place, if one is there that can be read.
    pub(crate) fn envelope(&self, place: Place) -> Option<&Envelope> {
        self.said.envelopes.get(&place)?.as_ref().as_ref().ok()
    }
}

impl Said {
    fn statement(&mut self, key: &[u8], value: Option<&Vec<u8>>) {
        if let Some(gone) = self.statements.remove(key) {
            self.openings.remove(&gone.log());
        }
        let Some(statement) = value.and_then(|value| Statement::from_bytes(value).ok()) else {
            return;
        };
        if statement.kind() == kind::OPENING
            && let Ok(opening) = codec::decode(statement.body())
        {
            self.openings.insert(statement.log(), opening);
        }
        self.statements.insert(key.to_vec(), Arc::new(statement));
    }

    fn envelope(&mut self, key: &[u8], value: Option<&Vec<u8>>) {
        let Some(place) = place_of(key) else { return };
        match value {
            Some(value) => {
                self.envelopes.insert(place, Arc::new(Envelope::read(place, value)));
            }
            None => drop(self.envelopes.remove(&place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::envelope_key;
    use huza_crdt::control::Scope;
    use huza_crdt::crypto::SigningKey;
    use huza_crdt::id::{AreaTag, CertId, DeviceKey, Incarnation};
    use huza_crdt::trust::Issuer;

    fn opening(number: u64) -> Statement {
        let opening = Opening {
            device: DeviceKey([1; 32]),
            certificate: CertId([2; 16]),
            area: AreaTag([3; 16]),
            incarnation: Incarnation([4; 16]),
        };
        let issuer = Issuer::Certified(CertId([2; 16]));
        let body = (kind::OPENING, codec::encode(&opening));
        let key = SigningKey::from_seed([5; 32]);
        Statement::sign(&key, issuer, (number, Hash([0; 32])), Scope::Programme, body)
    }

    #[test]
    fn what_is_said_follows_the_rows() {
        let mut store = CarrierStore::default();
        let mut batch = Batch::default();
        for number in 0..3 {
            let statement = opening(number);
            batch.put(Table::Statements, statement.id().0, statement.to_bytes());
        }
        let place = (opening(0).log(), 7);
        batch.put(Table::Envelopes, envelope_key(place), [1, 2, 3]);
        store.apply(&batch);
        let copy = store.clone();
        assert_eq!((store.statements().count(), store.openings().count()), (3, 3));
        assert!(store.opening(opening(1).log()).is_some());
        assert_eq!((store.places().count(), store.envelopes().count()), (1, 0), "it is unreadable");
        let mut batch = Batch::default();
        batch.delete(Table::Statements, opening(1).id().0);
        batch.put(Table::Statements, opening(2).id().0, [9]);
        batch.delete(Table::Envelopes, envelope_key(place));
        store.apply(&batch);
        assert_eq!((store.statements().count(), store.openings().count()), (1, 1));
        assert!(store.opening(opening(1).log()).is_none());
        assert_eq!(store.places().count(), 0);
        assert_eq!((copy.openings().count(), copy.places().count()), (3, 1), "a copy is apart");
    }
}
