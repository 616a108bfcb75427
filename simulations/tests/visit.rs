//! What a visit of the standard workload costs in a session, exactly, and what it must cost.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "helpers of tests fail loudly, and a test may say what it measured"
)]

use huza_crdt::codec;
use huza_crdt::crypto::{SigningKey, SymmetricKey};
use huza_crdt::envelope::{Item, Payload, Seal, Urgency};
use huza_crdt::id::{Hash, LogId, Origin};
use huza_crdt::record::{Document, Edit, card, check, form, pack};
use huza_crdt::session::frame::Run;
use huza_simulations::standard::{self, Change, Entry, Workload};

const ALL: Workload = Workload::standard(2026);

/// Logs whose visits are measured: 24 a phone, of three days.
const LOGS: u64 = 64;
const VISITS: u64 = 24;

/// Unavoidable with this cryptography: signature, nonce, tag.
const CRYPTO: f64 = 64.0 + 24.0 + 16.0;

fn log_id(log: u64) -> LogId {
    LogId(*blake3::hash(&log.to_le_bytes()).as_bytes())
}

fn origin(index: u64) -> Origin {
    let (log, counter) = ALL.place(index);
    Origin { log: log_id(log), counter }
}

/// The visit as `Command::AddVisit` makes it.
fn item(index: u64, change: &Change, worker: &str) -> Item {
    let Entry::Visit { person, form: id, occurred, answers } = &change.entry else {
        panic!("a visit")
    };
    let (origin, record) = (origin(index), origin(*person).record());
    let form = form(id, 1).unwrap();
    let checked = check(form, answers).unwrap();
    let name = match ALL.change(*person).entry {
        Entry::Person { fields } => format!("{} {}", fields["name/given"], fields["name/family"]),
        Entry::Visit { .. } => panic!("a person"),
    };
    let card = card(form, Some(&name), &checked, (record, origin.visit()), *occurred);
    let visit = Edit::Visit {
        visit: origin.visit(),
        form: form.id.clone(),
        version: form.version,
        occurred: *occurred,
        worker: worker.to_owned(),
        answers: checked.answers,
    };
    let raw = Document::new(record).write(origin, change.at, worker, &[visit]).unwrap().unwrap();
    Item { record, change: pack(origin, &raw).unwrap(), card }
}

/// Bytes of a run of one envelope that holds these visits of a log.
fn run_bytes(log: u64, first: u64, items: Vec<Item>) -> usize {
    let log = log_id(log);
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&first.to_le_bytes());
    let urgent = items.iter().any(|item| !item.card.is_empty());
    let urgency = if urgent { Urgency::Urgent } else { Urgency::Routine };
    let seal = Seal::Member(SymmetricKey::from_bytes([7; 32]));
    let payload = Payload { origin: None, first, items };
    let sealed = payload.seal(log, &seal, urgency, entropy).unwrap();
    let previous = Hash(*blake3::hash(&entropy).as_bytes());
    let stored = sealed.number(&SigningKey::from_seed([8; 32]), log, first, previous);
    codec::encode(&Run { log, first, previous, envelopes: vec![stored.wire] }).len()
}

/// Mean bytes of a visit all in, at `together` to an envelope and one envelope to a run, and the
/// least it could be.
fn measure(together: usize) -> (f64, f64) {
    let (mut bytes, mut bits, mut envelopes) = (0, 0.0, 0);
    for log in 0..LOGS {
        let (worker, worker_bits) = ALL.worker(log);
        let indices: Vec<u64> =
            (0..VISITS).map(|nth| standard::RECORDS + log + nth * standard::LOGS).collect();
        for some in indices.chunks(together) {
            let changes: Vec<Change> =
                some.iter().map(|index| ALL.change(*index)).collect();
            let items = some.iter().zip(&changes).map(|(at, one)| item(*at, one, &worker));
            bytes += run_bytes(log, changes[0].counter, items.collect());
            bits += worker_bits + changes.iter().map(|one| one.bits).sum::<f64>();
            envelopes += 1;
        }
    }
    let visits = (LOGS * VISITS) as f64;
    (bytes as f64 / visits, f64::from(envelopes) * CRYPTO / visits + bits / 8.0 / visits)
}

#[test]
fn a_visit_is_small() {
    println!("to an envelope   bytes a visit   floor   ratio");
    for (together, most) in [(1, 300.0), (3, 140.0), (8, 90.0)] {
        let (bytes, floor) = measure(together);
        println!("{together:>14} {bytes:>15.1} {floor:>7.1} {:>7.2}", bytes / floor);
        assert!(bytes <= most, "{bytes:.1} bytes a visit at {together} to an envelope");
    }
}
