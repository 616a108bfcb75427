//! Laws: what a node acknowledges or offers is on its disk, and what it held once it holds still.

use huza_crdt::codec;
use huza_crdt::control::{Statement, kind};
use huza_crdt::envelope::Stored;
use huza_crdt::id::{Hash, LogId};
use huza_crdt::store::{Batch, Op, Table};

use super::frames::{Heard, HeardEnvelope};
use crate::audit::{Place, envelope_key, place_of};
use crate::disk::Durable;
use crate::violation::{Broken, Law};

/// Whether an envelope is on a disk, as itself or as the other branch of a fork.
fn holds(durable: &Durable, envelope: &HeardEnvelope) -> bool {
    let forked = [envelope_key(envelope.place).as_slice(), &envelope.hash.0].concat();
    // Its header: the payload may have been erased meanwhile.
    let held = durable.carrier.envelope(envelope.place);
    held.is_some_and(|held| held.hash == envelope.hash)
        || durable.value(Table::Forked, &forked).is_some()
}

fn name((log, seq): Place) -> String {
    format!("envelope {seq} of log {}", log.short())
}

/// What an `Ack` says: all of the batch is durable here. Receipts may have been replaced by later
/// ones meanwhile; every other statement stays, unless it was altered on a `dirty` pipe, in which
/// case it may be refused and the rest of the batch taken.
pub(crate) fn acknowledged(
    number: u32,
    batch: Option<&Heard>,
    durable: &Durable,
    (dirty, forks): (bool, bool),
) -> Result<(), Broken> {
    let broken = |what: String| {
        Err(Broken::new(Law::AckedIsDurable, format!("batch {number} is acknowledged, but {what}")))
    };
    let Some(batch) = batch else { return broken("it never came".to_owned()) };
    // Of a log that is proven to be forked nothing more is taken.
    if let Some(lost) = batch.envelopes.iter().find(|envelope| !forks && !holds(durable, envelope))
    {
        return broken(format!("{} is not on the disk", name(lost.place)));
    }
    let lasts = |statement: &&Statement| statement.kind() != kind::RECEIPT && !dirty;
    let lasting = batch.statements.iter().filter(lasts);
    for statement in lasting {
        if durable.value(Table::Statements, &statement.id().0).is_none() {
            let (kind, id) = (statement.kind(), statement.id().short());
            return broken(format!("statement {id} of kind {kind} is not on the disk"));
        }
    }
    Ok(())
}

/// What a node offers is on its own disk.
pub(crate) fn offered(batch: &Heard, durable: &Durable) -> Result<(), Broken> {
    match batch.envelopes.iter().find(|envelope| !holds(durable, envelope)) {
        None => Ok(()),
        Some(lost) => Err(Broken::new(
            Law::AckedIsDurable,
            format!("{} is offered and not on the disk", name(lost.place)),
        )),
    }
}

/// The envelopes that a batch removes.
pub(crate) fn removed(batch: &Batch) -> impl Iterator<Item = Place> {
    batch.0.iter().filter_map(|op| match op {
        Op::Delete { table: Table::Envelopes, key } => place_of(key),
        Op::Put { .. } | Op::Delete { .. } => None,
    })
}

/// The envelopes that a batch puts on a disk, with the hashes of their headers.
pub(crate) fn headers(batch: &Batch) -> impl Iterator<Item = (Place, Hash)> {
    batch.0.iter().filter_map(|op| {
        let Op::Put { table: Table::Envelopes, key, value } = op else { return None };
        let ((log, seq), stored) = (place_of(key)?, codec::decode::<Stored>(value).ok()?);
        Some(((log, seq), stored.wire.header(log, seq, stored.previous).hash()))
    })
}

/// No envelope is removed but of logs that are only carried.
pub(crate) fn keeps(batch: &Batch, borrowed: &dyn Fn(LogId) -> bool) -> Result<(), Broken> {
    match removed(batch).find(|(log, _)| !borrowed(*log)) {
        None => Ok(()),
        Some(place) => {
            let evidence = format!("{} is removed from the disk", name(place));
            Err(Broken::new(Law::HeldForEver, evidence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use huza_crdt::crypto::{SigningKey, SymmetricKey};
    use huza_crdt::envelope::{Item, Payload, Seal, Urgency};
    use huza_crdt::id::RecordId;
    use huza_crdt::session::frame::Run;

    fn stored() -> Stored {
        let item = Item { record: RecordId([1; 16]), change: vec![1; 50], card: Vec::new() };
        let payload = Payload { origin: None, first: 0, items: vec![item] };
        let seal = Seal::Member(SymmetricKey::from_bytes([2; 32]));
        let sealed = payload.seal(LogId([3; 32]), &seal, Urgency::Routine, [4; 32]).unwrap();
        sealed.number(&SigningKey::from_seed([5; 32]), LogId([3; 32]), 0, Hash([0; 32]))
    }

    fn batch() -> Heard {
        let (log, previous) = (LogId([3; 32]), Hash([0; 32]));
        let run = Run { log, first: 0, previous, envelopes: vec![stored().wire] };
        Heard::read(&[], &[run])
    }

    fn disk_with(value: Vec<u8>) -> Durable {
        let mut durable = Durable::default();
        let mut batch = Batch::default();
        batch.put(Table::Envelopes, envelope_key((LogId([3; 32]), 0)), value);
        durable.carrier.apply(&batch);
        durable
    }

    #[test]
    fn a_node_that_acknowledges_before_it_persists_is_found() {
        let held = disk_with(codec::encode(&stored()));
        assert!(acknowledged(0, Some(&batch()), &held, (false, false)).is_ok());
        let none = Durable::default();
        let broken = acknowledged(0, Some(&batch()), &none, (false, false)).unwrap_err();
        assert_eq!(broken.law, Law::AckedIsDurable);
        assert!(acknowledged(0, None, &held, (false, false)).is_err());
    }

    #[test]
    fn another_envelope_in_its_place_does_not_count() {
        let mut other = stored();
        other.wire.items_root = [9; 16];
        assert!(
            acknowledged(0, Some(&batch()), &disk_with(codec::encode(&other)), (false, false))
                .is_err()
        );
        assert!(offered(&batch(), &disk_with(codec::encode(&other))).is_err());
        assert!(offered(&batch(), &disk_with(codec::encode(&stored()))).is_ok());
    }

    #[test]
    fn a_node_that_removes_an_envelope_is_found() {
        let mut batch = Batch::default();
        batch.delete(Table::Outbox, [1]);
        assert!(keeps(&batch, &|_| false).is_ok());
        batch.delete(Table::Envelopes, envelope_key((LogId([3; 32]), 0)));
        assert_eq!(keeps(&batch, &|_| false).unwrap_err().law, Law::HeldForEver);
        assert!(keeps(&batch, &|_| true).is_ok());
    }
}
