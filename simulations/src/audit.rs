//! What the envelopes on a disk say, read with the auditor's keys and without the node's reader:
//! the model that readers and facilities are compared with.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{Opening, Statement, kind};
use huza_crdt::envelope::{Content, Contents, Header, Item, Stored, Unnumbered};
use huza_crdt::id::{AreaTag, DeviceKey, EpochId, Hash, LogId, Origin, RecordId};
use huza_crdt::record::{Document, unpack};
use huza_crdt::store::Table;

use crate::disk::Durable;
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

/// What some envelopes say.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The openings of logs.
    openings: BTreeMap<LogId, Opening>,
    /// Places that are carried and not read.
    quarantined: BTreeSet<Place>,
    /// Records of which something is quarantined.
    pub(crate) held_back: BTreeSet<RecordId>,
    /// Raw changes of each record, and the area it is in.
    changes: BTreeMap<RecordId, (AreaTag, BTreeMap<Origin, Vec<u8>>)>,
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
}

impl Model {
    /// An empty one that leaves out what is quarantined.
    pub(crate) fn without(quarantined: BTreeSet<Place>) -> Self {
        Self { quarantined, ..Self::default() }
    }

    /// Adds all envelopes of a disk.
    pub(crate) fn add(&mut self, auditor: &Auditor, tokens: &Tokens, durable: &Durable) {
        self.openings.extend(openings(durable));
        for (key, value) in durable.rows(Table::Envelopes) {
            let Some(place) = place_of(&key) else { continue };
            if self.hashes.contains_key(&place) {
                continue;
            }
            let read = codec::decode::<Stored>(&value).map_err(|error| error.to_string());
            let added = read.and_then(|stored| {
                let header = stored.wire.header(place.0, place.1, stored.previous);
                self.hashes.insert(place, header.hash());
                let Content::Sealed(sealed) = stored.wire.content else {
                    self.stubs.insert(place);
                    return Ok(());
                };
                self.add_payload(auditor, tokens, &header, &sealed)
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
        header: &Header,
        sealed: &[u8],
    ) -> Result<(), String> {
        let area = self.openings.get(&header.log).ok_or("its log has no opening")?.area;
        let found = open(auditor, tokens, &self.openings, header, sealed)?;
        let place = self.places.entry((header.log, header.seq)).or_default();
        for Change { signed, origin, record, raw, tokens: in_it } in found {
            place.extend(in_it.iter().cloned());
            for token in &in_it {
                let places = self.signed.entry(token.clone()).or_default();
                places.extend([(header.log, header.seq), signed]);
            }
            self.tokens.extend(in_it.into_iter().map(|token| (token, record)));
            if self.quarantined.contains(&signed) {
                self.held_back.insert(record);
                continue;
            }
            let (_, changes) =
                self.changes.entry(record).or_insert_with(|| (area, BTreeMap::new()));
            changes.insert(origin, raw);
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

    fn document(
        &self,
        record: RecordId,
        (_, changes): &(AreaTag, BTreeMap<Origin, Vec<u8>>),
    ) -> Document {
        Document::from_changes(record, changes.iter().map(|(origin, raw)| (*origin, raw)))
    }

    /// The records of which something is in one of these envelopes.
    pub(crate) fn records_in(&self, places: &BTreeSet<Place>) -> BTreeSet<RecordId> {
        let tokens = places.iter().filter_map(|place| self.places.get(place)).flatten();
        tokens.filter_map(|token| self.tokens.get(token)).copied().collect()
    }

    /// The records, with their areas.
    pub(crate) fn records(&self) -> impl Iterator<Item = (AreaTag, Document)> {
        self.changes.iter().map(|(record, changes)| (changes.0, self.document(*record, changes)))
    }
}

/// The envelopes that a reader cannot file yet.
pub(crate) fn waiting(durable: &Durable) -> BTreeSet<Place> {
    /// As the carrier numbers what it takes in: the place first.
    type IngestRow = (LogId, u64, Hash, Option<(LogId, u64, u64)>);
    let waits: BTreeSet<Vec<u8>> = durable
        .rows(Table::Waiting)
        .into_iter()
        .filter_map(|(key, _)| Some(key.get(EpochId::LEN..)?.to_vec()))
        .collect();
    let rows = durable.rows(Table::Ingest).into_iter().filter(|(number, _)| waits.contains(number));
    rows.filter_map(|(_, row)| codec::decode::<IngestRow>(&row).ok())
        .map(|(log, seq, ..)| (log, seq))
        .collect()
}

/// The logs whose openings are on a disk.
pub(crate) fn openings(durable: &Durable) -> impl Iterator<Item = (LogId, Opening)> {
    durable.rows(Table::Statements).into_iter().filter_map(|(_, value)| {
        let statement = Statement::from_bytes(&value).ok()?;
        if statement.kind() != kind::OPENING {
            return None;
        }
        let opening: Opening = codec::decode(statement.body()).ok()?;
        Some((statement.log(), opening))
    })
}

/// A change in an envelope.
struct Change {
    /// Where its author signed for it.
    signed: Place,
    origin: Origin,
    record: RecordId,
    raw: Vec<u8>,
    tokens: Vec<Token>,
}

/// Opens one payload: its changes, and the tokens in them.
fn open(
    auditor: &Auditor,
    tokens: &Tokens,
    openings: &BTreeMap<LogId, Opening>,
    header: &Header,
    sealed: &[u8],
) -> Result<Vec<Change>, String> {
    let opening = openings.get(&header.log).ok_or("its log has no opening")?;
    let key = auditor.key(opening.area, header.epoch).ok_or("no key opens it")?;
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
                let author: DeviceKey =
                    openings.get(&signed.0).ok_or("re-issued from an unknown log")?.device;
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
    let mut model = Model::default();
    model.add(auditor, tokens, durable);
    let mut found: BTreeSet<Token> = model.tokens.keys().cloned().collect();
    for (key, value) in durable.rows(Table::Outbox) {
        let Some((log, _)) = place_of(&key) else { continue };
        let Ok((_, _, waiting)) = codec::decode::<OutboxRow>(&value) else { continue };
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
            open(auditor, tokens, &model.openings, &header, &waiting.payload).unwrap_or_default();
        found.extend(changes.into_iter().flat_map(|change| change.tokens));
    }
    found
}
