//! What the envelopes on a disk say, read with the auditor's keys and without the node's reader:
//! the model that readers and facilities are compared with.

use core::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use huza_crdt::codec;
use huza_crdt::control::Opening;
use huza_crdt::envelope::{Content, Contents, Header, Item, Unnumbered};
use huza_crdt::id::{AreaTag, EpochId, Hash, LogId, Origin, RecordId};
use huza_crdt::record::{Document, Forms, Projected, project, unpack};
use huza_crdt::store::Table;

use crate::disk::{Durable, Envelope};
use crate::programme::Auditor;
use crate::token::{Token, Tokens};

/// Longest text of a record in evidence.
const EVIDENCE_CHARS: usize = 400;

/// A place in a log.
pub(crate) type Place = (LogId, u64);

/// Reads the key of a row of envelopes.
pub(crate) fn place_of(key: &[u8]) -> Option<Place> {
    let (log, seq) = key.split_at_checked(LogId::LEN)?;
    let seq = seq.first_chunk::<8>().filter(|_| seq.len() == 8)?;
    Some((LogId::from_slice(log)?, u64::from_be_bytes(*seq)))
}

/// The key of a row of envelopes.
pub(crate) fn envelope_key((log, seq): Place) -> Vec<u8> {
    [log.0.as_slice(), &seq.to_be_bytes()].concat()
}

/// The changes of a record, and the area it is in.
type Changes = (AreaTag, BTreeMap<Origin, Arc<Change>>);

/// What some envelopes say.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The openings of logs.
    openings: BTreeMap<LogId, Opening>,
    /// Places that are carried and not read.
    quarantined: BTreeSet<Place>,
    /// Records of which something is quarantined.
    pub(crate) held_back: BTreeSet<RecordId>,
    /// Of each record.
    changes: BTreeMap<RecordId, Changes>,
    /// Every token in every change, with its record.
    pub(crate) tokens: BTreeMap<Token, RecordId>,
    /// The envelopes in which each token is, and those that its author signed for it.
    pub(crate) signed: BTreeMap<Token, BTreeSet<Place>>,
    /// The tokens in each envelope.
    pub(crate) places: BTreeMap<Place, BTreeSet<Token>>,
    /// Hash of each envelope's header.
    pub(crate) hashes: BTreeMap<Place, Hash>,
    /// Envelopes whose payloads are erased.
    pub(crate) stubs: BTreeSet<Place>,
    /// Envelopes that the auditor could not read, and why.
    pub(crate) unread: BTreeMap<Place, String>,
    /// What all that comes to, once it was asked for.
    records: OnceCell<Vec<Told>>,
}

/// A record as the envelopes tell it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) area: AreaTag,
    pub(crate) document: Document,
    /// Of the document, as JSON.
    pub(crate) view: Vec<u8>,
    pub(crate) resources: Vec<Projected>,
}

impl Model {
    /// An empty one that leaves out what is quarantined.
    pub(crate) fn without(quarantined: BTreeSet<Place>) -> Self {
        Self { quarantined, ..Self::default() }
    }

    /// Adds all envelopes of a disk.
    pub(crate) fn add(&mut self, auditor: &Auditor, tokens: &Tokens, durable: &Durable) {
        self.records.take();
        let openings = durable.carrier.openings();
        self.openings.extend(openings.map(|(log, opening)| (log, opening.clone())));
        for (place, envelope) in durable.carrier.places() {
            if self.hashes.contains_key(&place) {
                continue;
            }
            let added = envelope.as_ref().map_err(Clone::clone).and_then(|envelope| {
                self.hashes.insert(place, envelope.hash);
                if matches!(envelope.stored.wire.content, Content::Erased { .. }) {
                    self.stubs.insert(place);
                    return Ok(());
                }
                self.add_payload(auditor, tokens, envelope)
            });
            if let Err(why) = added {
                self.unread.insert(place, why);
            }
        }
    }

    fn add_payload(
        &mut self,
        auditor: &Auditor,
        tokens: &Tokens,
        envelope: &Envelope,
    ) -> Result<(), String> {
        let Header { log, seq, .. } = envelope.header;
        let area = self.openings.get(&log).ok_or("its log has no opening")?.area;
        let opening = |log| self.openings.get(&log);
        let found = auditor.opened.of(auditor, tokens, &opening, envelope)?;
        let place = self.places.entry((log, seq)).or_default();
        for change in found.iter() {
            let Change { signed, origin, record, tokens: in_it, .. } = change.as_ref();
            place.extend(in_it.iter().cloned());
            for token in in_it {
                let places = self.signed.entry(*token).or_default();
                places.extend([(log, seq), *signed]);
            }
            self.tokens.extend(in_it.iter().map(|token| (*token, *record)));
            if self.quarantined.contains(signed) {
                self.held_back.insert(*record);
                continue;
            }
            let (_, changes) =
                self.changes.entry(*record).or_insert_with(|| (area, BTreeMap::new()));
            changes.insert(*origin, Arc::clone(change));
        }
        Ok(())
    }

    /// The record that holds a token: what it shows and how many changes wait, for evidence.
    pub(crate) fn describe(&self, token: &Token) -> String {
        let record = self.tokens.get(token);
        let document =
            record.and_then(|record| Some(self.document(*record, self.changes.get(record)?)));
        document.map_or_else(
            || "unknown".to_owned(),
            |document| {
                let view = serde_json::to_string(&document.view()).unwrap_or_default();
                let view: String = view.chars().take(EVIDENCE_CHARS).collect();
                format!("{} changes wait, {view}", document.waiting())
            },
        )
    }

    fn document(&self, record: RecordId, (_, changes): &Changes) -> Document {
        Document::from_changes(record, changes.iter().map(|(origin, one)| (*origin, &one.raw)))
    }

    /// The records of which something is in one of these envelopes.
    pub(crate) fn records_in(&self, places: &BTreeSet<Place>) -> BTreeSet<RecordId> {
        let tokens = places.iter().filter_map(|place| self.places.get(place)).flatten();
        tokens.filter_map(|token| self.tokens.get(token)).copied().collect()
    }

    /// The records.
    pub(crate) fn records(&self) -> &[Told] {
        let told = |(record, changes): (&RecordId, &Changes)| {
            let document = self.document(*record, changes);
            let view = document.view();
            Told {
                area: changes.0,
                view: serde_json::to_vec(&view).unwrap_or_default(),
                resources: project(&view, &Forms::built_in()),
                document,
            }
        };
        self.records.get_or_init(|| self.changes.iter().map(told).collect())
    }
}

/// The envelopes that a reader cannot file yet.
pub(crate) fn waiting(durable: &Durable) -> BTreeSet<Place> {
    /// As the carrier numbers what it takes in: the place first.
    type IngestRow = (LogId, u64, Hash, Option<(LogId, u64, u64)>);
    let waits: BTreeSet<&[u8]> =
        durable.rows(Table::Waiting).filter_map(|(key, _)| key.get(EpochId::LEN..)).collect();
    let rows = durable.rows(Table::Ingest).filter(|(number, _)| waits.contains(number));
    rows.filter_map(|(_, row)| codec::decode::<IngestRow>(row).ok())
        .map(|(log, seq, ..)| (log, seq))
        .collect()
}

/// A change in an envelope.
#[derive(Debug)]
struct Change {
    /// Where its author signed for it.
    signed: Place,
    origin: Origin,
    record: RecordId,
    raw: Vec<u8>,
    tokens: Vec<Token>,
}

/// What envelopes were found to say, by the hashes of their headers, which fix what is sealed in
/// them. Only what could be opened is kept: a key may come later.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenedOnce(RefCell<BTreeMap<Hash, Arc<[Arc<Change>]>>>);

impl OpenedOnce {
    /// The changes in an envelope. `opening`: what is known of the logs that it speaks of.
    fn of<'a>(
        &self,
        auditor: &Auditor,
        tokens: &Tokens,
        opening: &dyn Fn(LogId) -> Option<&'a Opening>,
        Envelope { header, hash, stored }: &Envelope,
    ) -> Result<Arc<[Arc<Change>]>, String> {
        // Of a stub the header is the same, and nothing is left to open.
        let Content::Sealed(sealed) = &stored.wire.content else { return Err("a stub".to_owned()) };
        let known = self.0.borrow().get(hash).cloned();
        if let Some(known) = known {
            let logs = known.iter().map(|change| change.signed.0);
            let mut logs = logs.chain([header.log]);
            return match logs.all(|log| opening(log).is_some()) {
                true => Ok(known),
                false => Err("a log in it has no opening".to_owned()),
            };
        }
        let changes = open(auditor, tokens, opening, header, sealed)?;
        let changes: Arc<[Arc<Change>]> = changes.into_iter().map(Arc::new).collect();
        self.0.borrow_mut().insert(*hash, Arc::clone(&changes));
        Ok(changes)
    }
}

/// Opens one payload: its changes, and the tokens in them.
fn open<'a>(
    auditor: &Auditor,
    tokens: &Tokens,
    opening: &dyn Fn(LogId) -> Option<&'a Opening>,
    header: &Header,
    sealed: &[u8],
) -> Result<Vec<Change>, String> {
    let area = opening(header.log).ok_or("its log has no opening")?.area;
    let key = auditor.key(area, header.epoch).ok_or("no key opens it")?;
    let contents = Contents::open(header, sealed, &key).map_err(|error| error.to_string())?;
    let mut changes = Vec::new();
    let mut take = |signed: Place, log: LogId, items: Vec<(u64, Item)>| {
        for (counter, item) in items {
            let origin = Origin { log, counter };
            let raw = unpack(origin, &item.change).map_err(|error| error.to_string())?;
            let tokens = tokens.find(&raw);
            changes.push(Change { signed, origin, record: item.record, raw, tokens });
        }
        Ok::<(), String>(())
    };
    match contents {
        Contents::Changes { payload, .. } => {
            let log = payload.origin.unwrap_or(header.log);
            let items = (payload.first..).zip(payload.items).collect();
            take((header.log, header.seq), log, items)?;
        }
        Contents::Reissued(all) => {
            for reissue in all {
                let (signed, log) = ((reissue.header.log, reissue.header.seq), reissue.log());
                let author = opening(signed.0).ok_or("re-issued from an unknown log")?.device;
                let items = reissue.items(author).map_err(|error| error.to_string())?;
                take(signed, log, items)?;
            }
        }
    }
    Ok(changes)
}

/// What waits in an outbox for its number, as far as this simulation must know.
pub(crate) type OutboxRow = (Option<LogId>, u64, Unnumbered);

/// The tokens that a disk's carrier holds sealed: in envelopes, and in the outbox.
pub(crate) fn sealed_tokens(
    auditor: &Auditor,
    tokens: &Tokens,
    durable: &Durable,
) -> BTreeSet<Token> {
    let carrier = &durable.carrier;
    let opening = |log| carrier.opening(log);
    let mut found = BTreeSet::new();
    for (_, envelope) in carrier.envelopes() {
        // What nobody can open keeps no promise; that it is there is the end's law.
        let changes = auditor.opened.of(auditor, tokens, &opening, envelope);
        let changes = changes.iter().flat_map(|changes| changes.iter());
        found.extend(changes.flat_map(|change| change.tokens.iter().cloned()));
    }
    for (key, value) in durable.rows(Table::Outbox) {
        let Some((log, _)) = place_of(key) else { continue };
        let Ok((_, _, waiting)) = codec::decode::<OutboxRow>(value) else { continue };
        let header = Header {
            log,
            seq: 0,
            previous: Hash([0; 32]),
            epoch: waiting.epoch,
            urgency: waiting.urgency,
            payload_bytes: 0,
            payload_hash: Hash([0; 32]),
            items_root: waiting.items_root,
        };
        let changes =
            open(auditor, tokens, &opening, &header, &waiting.payload).unwrap_or_default();
        found.extend(changes.into_iter().flat_map(|change| change.tokens));
    }
    found
}
