//! What a visit of the standard workload costs in a session, exactly, and the least it could cost.

use huza_crdt::codec;
use huza_crdt::crypto::{SigningKey, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Urgency};
use huza_crdt::id::{Hash, LogId, Origin};
use huza_crdt::record::{Document, Edit, card, check, form, pack};
use huza_crdt::session::frame::Run;

use super::{Change, Entry, Workload};

/// Bytes that this cryptography cannot do without: signature, nonce, tag.
const CRYPTO: f64 = 64.0 + 24.0 + 16.0;

/// Visits of each log that are measured: those of three days.
const VISITS: u64 = 24;

/// Logs that are measured, at most.
const LOGS: u64 = 64;

/// Bytes of one visit, the mean of many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// In a batch, all in, one envelope to a run.
    pub bytes: f64,
    /// What a code that knows the generator could not do without, and the cryptography of its part
    /// of an envelope.
    pub floor: f64,
}

/// What a visit costs at `together` to an envelope, of a workload of at least 24 visits a log. What
/// cannot be done answers `None`: a bug.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "thousands")]
pub fn visit_size(workload: Workload, together: usize) -> Option<Size> {
    let (mut bytes, mut bits, mut visits, mut envelopes) = (0, 0.0, 0, 0);
    for log in 0..workload.logs.min(LOGS) {
        let (worker, worker_bits) = workload.worker(log);
        let indices = (0..VISITS).map(|nth| workload.records + log + nth * workload.logs);
        let indices: Vec<u64> = indices.filter(|index| *index < workload.changes).collect();
        for some in indices.chunks(together) {
            let changes: Vec<Change> = some.iter().map(|index| workload.change(*index)).collect();
            let items =
                some.iter().zip(&changes).map(|(at, one)| item(workload, *at, one, &worker));
            let first = changes.first()?.counter;
            bytes += run_bytes(log, first, items.collect::<Option<_>>()?)?;
            bits += worker_bits + changes.iter().map(|one| one.bits).sum::<f64>();
            visits += changes.len();
            envelopes += 1;
        }
    }
    let (visits, crypto) = (visits as f64, f64::from(envelopes) * CRYPTO);
    Some(Size { bytes: bytes as f64 / visits, floor: (crypto + bits / 8.0) / visits })
}

fn log_id(log: u64) -> LogId {
    LogId(*blake3::hash(&log.to_le_bytes()).as_bytes())
}

fn origin(workload: Workload, index: u64) -> Origin {
    let (log, counter) = workload.place(index);
    Origin { log: log_id(log), counter }
}

/// The visit as `Command::AddVisit` makes it.
fn item(workload: Workload, index: u64, change: &Change, worker: &str) -> Option<Item> {
    let Entry::Visit { person, form: id, occurred, answers } = &change.entry else { return None };
    let Entry::Person { fields } = workload.change(*person).entry else { return None };
    let (origin, record) = (origin(workload, index), origin(workload, *person).record());
    let form = form(id, 1)?;
    let checked = check(form, answers).ok()?;
    let name = format!("{} {}", fields.get("name/given")?, fields.get("name/family")?);
    let card = card(&form.name(), Some(&name), &checked, (record, origin.visit()), *occurred);
    let visit = Edit::Visit {
        visit: origin.visit(),
        form: form.name(),
        occurred: *occurred,
        worker: worker.to_owned(),
        answers: checked.answers,
    };
    let raw = Document::new(record).write(origin, change.at, worker, &[visit]).ok()??;
    Some(Item { record, change: pack(origin, &raw).ok()?, card })
}

/// Bytes of a run of one envelope that holds these visits of a log.
fn run_bytes(log: u64, first: u64, items: Vec<Item>) -> Option<usize> {
    let log = log_id(log);
    let entropy = *blake3::hash(&first.to_le_bytes()).as_bytes();
    let urgent = items.iter().any(|item| !item.card.is_empty());
    let urgency = if urgent { Urgency::Urgent } else { Urgency::Routine };
    let seal = Seal::Member(SymmetricKey::from_bytes([7; 32]));
    let payload = Payload { origin: None, first, items };
    let sealed = payload.seal(log, &seal, urgency, entropy).ok()?;
    let previous = Hash(*blake3::hash(&entropy).as_bytes());
    let stored = sealed.number(&SigningKey::from_seed([8; 32]), log, first, previous);
    Some(codec::encode(&Run { log, first, previous, envelopes: vec![stored.wire] }).len())
}
