//! What a node remembers in memory, and how it is stored.

use core::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api::{BundleScope, Command, CommandId, Now, Order, PipeId};
use super::carry::Ages;
use super::check::{Heard, Parcel};
use super::forms::Published;
use super::listing::Listing;
use crate::audit::AuditHead;
use crate::codec;
use crate::control::{Erasure, Home, Lane, Statement};
use crate::crypto::{SealingKey, SigningKey, SymmetricKey};
use crate::envelope::{ForkProof, Stored, Unnumbered};
use crate::holdings::{Claims, Digests, Holdings, Spans};
use crate::id::{
    AreaTag, CertId, DeviceKey, EpochId, Hash, Head, Incarnation, LogId, RecordId, StatementId,
    StoreId,
};
use crate::record::{Forms, RecordView, Summary, has_message, is_unread};
use crate::time::{Millis, Stamp};
use crate::trust::approval::Membership;
use crate::trust::{Issuer, Keyring};

/// Keys of single values in the two meta tables.
pub(super) mod key {
    pub(crate) const IDENTITY: &[u8] = b"identity";
    pub(crate) const MEMBERSHIP: &[u8] = b"membership";
    pub(crate) const NEXT_INGEST: &[u8] = b"next-ingest";
    pub(crate) const SEALING: &[u8] = b"sealing";
    pub(crate) const CURSOR: &[u8] = b"cursor";
    /// The number of the next entry in the list of what changed.
    pub(crate) const FED: &[u8] = b"fed";
    /// Resources that the facility took, all in all.
    pub(crate) const DELIVERED: &[u8] = b"delivered";
    /// Present while a new incarnation has still to begin.
    pub(crate) const ROLL: &[u8] = b"roll";
    /// Present while a new incarnation has still to find what it must publish again.
    pub(crate) const RECOVER: &[u8] = b"recover";
    pub(crate) const BOOT: &[u8] = b"boot";
    /// When envelopes came.
    pub(crate) const AGES: &[u8] = b"ages";
    /// Followed by the area tag.
    pub(crate) const OWN: &[u8] = b"own/";
    /// Number and hash of the last entry of the audit trail, in both stores.
    pub(crate) const AUDIT: &[u8] = b"audit";
    /// Digest of the revocations and admissions that the reader has followed.
    pub(crate) const REVIEWED: &[u8] = b"reviewed";
    /// Followed by the record id: an erased record of which nothing is left in the reader.
    pub(crate) const GONE: &[u8] = b"gone/";
    /// The time that this device has counted, and what its clock said then.
    pub(crate) const COUNTED: &[u8] = b"counted";
    /// Followed by a statement id: the time counted when this erasure was first held in force.
    pub(crate) const HEARD: &[u8] = b"heard/";
    /// Followed by the log id: the opening statement of a log of this device.
    pub(crate) const OPENING: &[u8] = b"opening/";
}

/// Who this device is.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) seed: SymmetricKey,
    pub(super) label: String,
    pub(super) store: StoreId,
    pub(super) incarnation: Incarnation,
    /// The token of [`super::Config::life`] under which this incarnation lives.
    pub(super) life: [u8; 16],
    /// Of the seed, once it was asked for.
    #[serde(skip)]
    pub(super) key: OnceCell<SigningKey>,
}

impl Identity {
    pub(super) fn key(&self) -> SigningKey {
        self.key.get_or_init(|| SigningKey::from_seed(*self.seed.expose())).clone()
    }
}

/// Which states of the two stores belong together. At each start the reader is marked with a new
/// token, then the carrier, then the reader as done; work begins after that. So the carrier may
/// be one token behind only if the reader is not done, and then nothing was written in between.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Boot {
    pub(super) this: [u8; 16],
    pub(super) before: [u8; 16],
    pub(super) done: bool,
}

/// A log that this incarnation writes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OwnRow {
    pub(super) log: LogId,
    /// Changes of this log that have a seq.
    pub(super) numbered: u64,
    /// Of earlier logs of this device: counters published again in this log.
    pub(super) again: Vec<(LogId, u64, u64)>,
}

#[derive(Debug, Clone)]
pub(super) struct OwnLog {
    pub(super) row: OwnRow,
    /// Outbox index -> sealed payload without a seq.
    pub(super) outbox: BTreeMap<u64, OutboxRow>,
}

/// A sealed payload that waits for its seq, as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OutboxRow {
    /// See [`crate::envelope::Payload`].
    pub(super) origin: Option<LogId>,
    pub(super) first: u64,
    pub(super) sealed: Unnumbered,
}

impl OwnLog {
    /// The first change of this log that is in no payload yet.
    pub(super) fn sealed_to(&self) -> u64 {
        let own = self.outbox.values().filter(|row| row.origin.is_none());
        own.map(|row| row.first + row.sealed.changes).fold(self.row.numbered, u64::max)
    }

    /// Whether change `counter` of an earlier log is in a payload of this one.
    pub(super) fn has_again(&self, origin: LogId, counter: u64) -> bool {
        let numbered = self.row.again.iter().any(|(log, first, changes)| {
            *log == origin && (*first..first + changes).contains(&counter)
        });
        numbered
            || self.outbox.values().any(|row| {
                row.origin == Some(origin)
                    && (row.first..row.first + row.sealed.changes).contains(&counter)
            })
    }
}

/// What an ingest number stands for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct IngestRow {
    pub(super) log: LogId,
    pub(super) seq: u64,
    pub(super) hash: Hash,
    /// If this device wrote it: the log whose changes they are, the first, how many.
    pub(super) own: Option<(LogId, u64, u64)>,
}

/// A change of a record.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ChangeRow {
    /// The envelope that carries it; none while it is on this device only.
    pub(super) place: Option<(LogId, u64)>,
    /// Other envelopes that carry it too: it was published again, or re-issued.
    pub(super) others: BTreeSet<(LogId, u64)>,
    #[serde(with = "codec::bytes")]
    pub(super) raw: Vec<u8>,
}

crate::debug_shows!(struct ChangeRow { place, others: BTreeSet::len, raw: Vec::len });

impl ChangeRow {
    /// A change that one envelope carries, or none yet.
    pub(super) const fn new(place: Option<(LogId, u64)>, raw: Vec<u8>) -> Self {
        Self { place, others: BTreeSet::new(), raw }
    }

    /// Every envelope that carries it.
    pub(super) fn places(&self) -> impl Iterator<Item = (LogId, u64)> {
        self.place.into_iter().chain(self.others.iter().copied())
    }

    /// Another envelope carries it too; `better`: that one is the place to name.
    pub(super) fn also_in(&mut self, place: (LogId, u64), better: bool) {
        let left = if better { self.place.replace(place) } else { Some(place) };
        self.others.extend(left);
        if let Some(named) = &self.place {
            self.others.remove(named);
        }
    }

    /// It does not count as carried by this envelope. Whether any is left.
    pub(super) fn not_in(&mut self, place: (LogId, u64)) -> bool {
        self.others.remove(&place);
        if self.place == Some(place) {
            self.place = self.others.pop_first();
        }
        self.place.is_some()
    }
}

/// A change that no envelope carries yet.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PendingRow {
    pub(super) record: RecordId,
    pub(super) area: AreaTag,
    pub(super) bytes: u32,
    pub(super) urgent: bool,
    /// Whether no other change goes into its envelope: a message, whose receipt is for it alone.
    pub(super) alone: bool,
    #[serde(with = "codec::bytes")]
    pub(super) card: Vec<u8>,
}

crate::debug_shows!(struct PendingRow { area, bytes, urgent, alone });

/// A record in lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SummaryRow {
    pub(super) area: AreaTag,
    /// Whether it has a visit whose form was not known when it was listed.
    pub(super) unread: bool,
    /// Whether it has a message to workers.
    pub(super) message: bool,
    pub(super) summary: Summary,
}

impl SummaryRow {
    /// A record as it is listed, as far as these forms can be read.
    pub(super) fn of(area: AreaTag, view: &RecordView, forms: &Forms) -> Self {
        Self {
            area,
            unread: is_unread(view, forms),
            message: has_message(view, forms),
            summary: Summary::of(view, forms),
        }
    }
}

/// An envelope whose records the facility has still to be given.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DeliverRow {
    pub(super) log: LogId,
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) records: Vec<RecordId>,
}

crate::debug_shows!(struct DeliverRow { log, seq, records: Vec::len });

/// What the facility was last given of a resource.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ToldRow {
    /// Of text and references; none: it is to be given again.
    pub(super) hash: Option<[u8; 16]>,
    /// The changes that it was made of.
    pub(super) heads: BTreeSet<Head>,
}

/// A resource that the facility refused.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FailedRow {
    pub(super) key: String,
    pub(super) hash: [u8; 16],
    pub(super) code: u16,
    pub(super) why: String,
    pub(super) at: Stamp,
    /// The envelopes because of which it was given.
    pub(super) envelopes: BTreeMap<u64, DeliverRow>,
}

crate::debug_shows!(struct FailedRow { code, at, envelopes });

/// What the facility answered about a log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) accepted: Spans,
    /// Code -> spans.
    pub(super) refused: BTreeMap<u16, Spans>,
}

/// How a contact ended after which both held other things than the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Met {
    /// Digest of all that was held here.
    pub(super) ours: [u8; 16],
    /// The same of the peer.
    pub(super) theirs: [u8; 16],
    /// The certificate that it showed.
    pub(super) certificate: CertId,
    /// Envelopes for which the peer had no room.
    pub(super) withheld: u64,
}

/// Key of a change in the store.
pub(super) fn change_key(record: RecordId, log: LogId, counter: u64) -> Vec<u8> {
    [record.0.as_slice(), &log.0, &counter.to_be_bytes()].concat()
}

/// Record, log and counter of a change's key.
pub(super) fn read_change_key(key: &[u8]) -> Option<(RecordId, LogId, u64)> {
    let (record, rest) = key.split_at_checked(RecordId::LEN)?;
    let (log, counter) = read_log_key(rest)?;
    Some((RecordId::from_slice(record)?, log, counter))
}

/// Key of log and number.
pub(super) fn log_key(log: LogId, number: u64) -> Vec<u8> {
    [log.0.as_slice(), &number.to_be_bytes()].concat()
}

/// Log and number of a key.
pub(super) fn read_log_key(key: &[u8]) -> Option<(LogId, u64)> {
    let (log, number) = key.split_at_checked(LogId::LEN)?;
    Some((LogId::from_slice(log)?, u64::from_be_bytes(number.try_into().ok()?)))
}

/// Where a batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// A session, whose peer has shown this certificate.
    Session(PipeId, CertId),
    /// A bundle: the command with its page is answered.
    Bundle(CommandId),
}

/// Something the carrier has to write; one after the other.
pub(super) enum Task {
    /// A batch of a session or of a bundle.
    Ingest { parcel: Parcel },
    /// The same, its signatures checked.
    Accept { heard: Heard },
    /// Plan a bundle.
    Bundle { id: CommandId, scope: BundleScope },
    /// Statements that are needed but came another way: the chain of a session's peer, a welcome.
    Admit { statements: Vec<Statement>, of: Option<PipeId> },
    /// Begin a log in an area.
    Open { area: AreaTag },
    /// Keep a sealed payload until it gets a seq.
    Outbox { area: AreaTag, row: Box<OutboxRow> },
    /// Give seqs to the outbox.
    Number,
    /// Sign receipts for what changed.
    Receipts {
        /// Who is answered when they are signed.
        of: Option<CommandId>,
    },
    /// Write down what peers acknowledged, as every other task does on the way.
    Remember,
    /// Keep an envelope of another branch of a forked log, as evidence.
    KeepFork { log: LogId, seq: u64, kept: Box<Stored> },
    /// Begin a new incarnation.
    Roll,
    /// Find what a new incarnation must publish again.
    Recover,
    /// Do what the holder of this authority device decides.
    Order { id: CommandId, order: Box<Order> },
    /// Grant today's keys to devices that should have them and do not.
    CatchUp,
    /// Take in statements that a user brought.
    Take { id: CommandId, statements: Vec<Statement> },
    /// Note which erasures were heard, and how long they have waited.
    Ripen,
    /// Tell everybody that an author signed two histories, if it is not known yet.
    ProveFork {
        /// The two headers.
        proof: Box<ForkProof>,
    },
    /// Put back what was put aside of the true history of a frozen log.
    Reclaim { log: LogId },
    /// Let go of what is carried for others and may go.
    Release,
    /// Make gaps of what was let go and is to be kept.
    Reopen,
    /// Remove the payloads that these erasures name.
    Stub { erasures: Vec<StatementId> },
    /// Erase a record again: envelopes came that no order names yet.
    EraseMore { record: RecordId, places: BTreeSet<(LogId, u64)> },
}

crate::debug_shows!(enum Task {
    ProveFork,
    Ingest,
    Accept,
    Bundle { id, scope },
    Recover,
    Order { id, order },
    CatchUp,
    Take { id },
    Ripen,
    Reclaim { log },
    Release,
    Reopen,
    Stub { erasures: Vec::len },
    EraseMore,
    Admit { statements: Vec::len, of },
    Open { area },
    Outbox { area, row },
    Number,
    Receipts,
    Remember,
    KeepFork,
    Roll,
});

/// The time that this device has counted over all its starts, and both clocks when it last looked:
/// see [`Node::counted`](super::Node::counted).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) total: Millis,
    pub(super) at: Now,
}

/// The half that carries.
#[derive(Default)]
pub(super) struct Carrier {
    pub(super) identity: Option<Identity>,
    pub(super) membership: Option<Membership>,
    pub(super) lane: Option<Lane>,
    /// Of it, the forms.
    pub(super) published: Published,
    pub(super) holdings: Holdings,
    /// Whether headers that judgements name are being looked up: until then it is not known what
    /// is quarantined.
    pub(super) marking: bool,
    /// Digests of the holdings, until they change.
    pub(super) digests: Option<Arc<Digests>>,
    /// What is held, as new sessions begin with it.
    pub(super) claims: Option<Arc<Claims>>,
    pub(super) next_ingest: u64,
    /// When something was ingested last.
    pub(super) ingested_at: Millis,
    /// When the reader last began to lag behind, or to file.
    pub(super) unfiled_since: Millis,
    pub(super) own: BTreeMap<AreaTag, OwnLog>,
    /// What this device keeps; all else it borrows.
    pub(super) home: Home,
    /// Bytes of envelopes held of each certificate's logs.
    pub(super) bytes: BTreeMap<CertId, u64>,
    /// Bytes of envelopes that are only carried.
    pub(super) borrowed: u64,
    /// When to look at what may be let go.
    pub(super) release_at: Option<Millis>,
    pub(super) ages: Ages,
    /// Whether the reader has still to hear that something was let go.
    pub(super) let_go: bool,
    /// How contacts ended after which both held other things.
    pub(super) met: BTreeMap<DeviceKey, Met>,
    /// Of them, what is not stored yet.
    pub(super) met_changed: BTreeSet<DeviceKey>,
    pub(super) taken: BTreeMap<(LogId, DeviceKey), Spans>,
    /// Devices that claimed to hold more of our own logs than we do, and until when that stops
    /// us: once for each device and incarnation, however often it claims.
    pub(super) doubts: BTreeMap<DeviceKey, Millis>,
    /// Areas whose log is being opened.
    pub(super) opening: BTreeSet<AreaTag>,
    /// Of `taken`, what is not stored yet.
    pub(super) taken_changed: BTreeSet<(LogId, DeviceKey)>,
    pub(super) tasks: VecDeque<Task>,
    pub(super) busy: bool,
    /// Batches whose signatures can be checked before their turn, and whether such a check is under
    /// way.
    pub(super) unchecked: Vec<Parcel>,
    pub(super) checking: bool,
    pub(super) receipts_at: Option<Millis>,
    pub(super) counted: Counted,
    /// The time counted when an erasure was first held in force.
    pub(super) heard: BTreeMap<StatementId, Millis>,
    /// Erasures in force.
    pub(super) erasures: BTreeSet<StatementId>,
    /// Of them, those that have been held for long enough.
    pub(super) ripe: BTreeSet<StatementId>,
    /// When to look at those that have not.
    pub(super) erasures_at: Option<Millis>,
    /// Wanted by a user: number the outbox without waiting for a contact.
    pub(super) number_all: bool,
    /// The last entry of the audit trail that the carrier's store knows of.
    pub(super) audited: AuditHead,
}

impl Carrier {
    /// Envelopes that this incarnation has written.
    pub(super) fn written(&self) -> u64 {
        let logs = self.own.values().filter_map(|own| self.holdings.logs.get(&own.row.log));
        logs.map(|held| held.spans.count()).sum()
    }

    /// This device as an issuer of statements.
    pub(super) fn issuer(&self) -> Option<(Issuer, CertId)> {
        let id = self.membership.as_ref()?.certificate;
        Some((Issuer::Certified(id), id))
    }

    /// This device's own certificate.
    pub(super) fn certificate(&self) -> Option<&crate::trust::Certificate> {
        self.lane.as_ref()?.certificate(&self.membership.as_ref()?.certificate)
    }

    /// Whether an order in force names an envelope.
    pub(super) fn is_erased(&self, log: &LogId, seq: u64) -> bool {
        self.lane.as_ref().is_some_and(|lane| lane.is_erased(log, seq))
    }

    /// Whether what an order re-issues has come, if anything stays. One that was carried and let go
    /// since is where it belongs.
    pub(super) fn has_reissue(&self, erasure: &Erasure) -> bool {
        erasure.reissue.is_none_or(|place| {
            let held = self.holdings.logs.get(&place.log);
            held.is_some_and(|held| held.spans.contains(place.seq))
        })
    }

    /// Of the envelopes that an order names, those of which the payload is held.
    pub(super) fn payloads_of(&self, erasure: &Erasure) -> Vec<(LogId, u64)> {
        let all = erasure.gone.iter().flat_map(|(log, seqs)| seqs.iter().map(|seq| (*log, *seq)));
        let held = |log: &LogId, seq: u64| {
            let held = self.holdings.logs.get(log);
            held.is_some_and(|held| held.keeps(seq) && !held.is_stub(seq))
        };
        all.filter(|(log, seq)| held(log, *seq)).collect()
    }

    /// How many payloads go when the orders that wait are carried out.
    pub(super) fn doomed(&self) -> usize {
        let waiting = self.erasures.difference(&self.ripe);
        let orders = waiting.filter_map(|id| self.lane.as_ref()?.erasure(id));
        let places: BTreeSet<(LogId, u64)> = orders.flat_map(|one| self.payloads_of(one)).collect();
        places.len()
    }

    /// The area of a log that this incarnation writes.
    pub(super) fn own_area(&self, log: LogId) -> Option<AreaTag> {
        self.own.iter().find(|(_, own)| own.row.log == log).map(|(area, _)| *area)
    }
}

/// Revocations and admissions that the reader is following.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reviewing {
    pub(super) judgements: [u8; 16],
    /// Whether it is known which envelopes have to be looked at again.
    pub(super) listed: bool,
}

/// The half that reads.
#[derive(Default)]
pub(super) struct Reader {
    /// Who unlocked it.
    pub(super) worker: String,
    /// Whether its store is still being read.
    pub(super) opening: bool,
    /// Who wants it locked.
    pub(super) locking: Vec<CommandId>,
    pub(super) audit: AuditHead,
    /// Whether the trail is not the one of which the carrier remembers the end.
    pub(super) audit_broken: bool,
    /// Digest of the revocations and admissions that were followed.
    pub(super) reviewed: [u8; 16],
    /// The same, of those that are being followed.
    pub(super) reviewing: Option<Reviewing>,
    /// Records that orders in force name: nothing of them is given to anybody.
    pub(super) gone: BTreeSet<RecordId>,
    /// Of them, those whose time has come and of which something is still here.
    pub(super) forgetting: BTreeSet<RecordId>,
    /// Envelopes that this device wrote as an outsider and that were erased since; and whether it
    /// has still to look what of them is here.
    pub(super) erased_outside: BTreeSet<(LogId, u64)>,
    pub(super) look_outside: bool,
    /// Envelopes that hold something of an erased record, and that this device has to order gone.
    pub(super) remains: BTreeMap<RecordId, BTreeSet<(LogId, u64)>>,
    /// Records of which nothing is left here.
    pub(super) forgotten: BTreeSet<RecordId>,
    pub(super) sealing: Option<SealingKey>,
    pub(super) keyring: Keyring,
    /// How often the keyring was opened anew.
    pub(super) keyrings: u64,
    /// First ingest number that is not filed.
    pub(super) cursor: u64,
    pub(super) listing: Listing,
    /// The number of the next entry in the list of what changed.
    pub(super) fed: u64,
    pub(super) pending: BTreeMap<(LogId, u64), PendingRow>,
    pub(super) pending_since: Option<Millis>,
    /// Ingest number of each envelope that waits -> the key epoch that it waits for, or what stands
    /// for another reason.
    pub(super) waiting: BTreeMap<u64, EpochId>,
    /// Records to be listed anew: they had visits whose form was not known.
    pub(super) relist: BTreeSet<RecordId>,
    /// Envelopes that waited for a key which has come: ingest numbers.
    pub(super) refile: BTreeSet<u64>,
    /// Ingest numbers of envelopes whose records the facility has still to be given.
    pub(super) due: BTreeSet<u64>,
    /// Of them, those with a change that waits for another, and the records concerned.
    pub(super) held: BTreeMap<u64, Vec<RecordId>>,
    /// Resources that wait because the facility shows changes of their records that are not here.
    pub(super) ahead: BTreeMap<RecordId, BTreeSet<String>>,
    /// Hash of a name that references mean -> records with a resource that waits for what it means;
    /// under [`super::gateway::NOW`] those that wait no longer.
    pub(super) awaited: BTreeMap<[u8; 16], BTreeSet<RecordId>>,
    /// Resources that the facility took, all in all.
    pub(super) delivered: u64,
    /// Whether the facility is being given something.
    pub(super) delivering: bool,
    /// When it last began to file, and whether something urgent came since.
    pub(super) filed_at: Option<Millis>,
    pub(super) alarmed: bool,
    /// Filings done by this process.
    pub(super) filings: u64,
    /// Areas whose published key cannot be sealed to.
    pub(super) unsealable: BTreeSet<AreaTag>,
    pub(super) answered: BTreeMap<LogId, Answered>,
    /// Of each log, envelopes with messages that a worker was shown here.
    pub(super) shown: BTreeMap<LogId, Spans>,
    /// Envelopes whose messages a user was told of: only those can have been shown.
    pub(super) told: BTreeSet<(LogId, u64)>,
    pub(super) commands: VecDeque<(CommandId, Command)>,
    pub(super) busy: bool,
    /// Logs in which this process has written.
    pub(super) counted: BTreeSet<LogId>,
    /// How often a new incarnation began in this process: a filing begun before one does not
    /// move the cursor.
    pub(super) rolls: u64,
    /// What is to be written as soon as its logs are open.
    pub(super) planned: Option<super::write::Plan>,
    /// Wanted by users: seal and number without waiting for a contact; with the number of
    /// envelopes that this device had written before.
    pub(super) seal_all: Vec<(CommandId, u64)>,
}

impl Reader {
    /// A record that may be shown.
    pub(super) fn visible(&self, record: RecordId) -> Option<SummaryRow> {
        self.listing.get(&record).filter(|_| !self.gone.contains(&record))
    }

    /// How many records may be shown.
    pub(super) fn visible_count(&self) -> usize {
        let hidden = self.gone.iter().filter(|record| self.listing.contains(record)).count();
        self.listing.len().saturating_sub(hidden)
    }

    /// Every record that may be shown, from this id on.
    pub(super) fn visible_from(&self, first: RecordId) -> impl Iterator<Item = RecordId> {
        self.listing.from(first).filter(|record| !self.gone.contains(record))
    }

    /// Who is hidden has changed: what the facility has still to be given is looked at again.
    pub(super) fn reconsider(&mut self) {
        self.held.clear();
        self.filings += 1;
    }

    /// Whether a record is erased, and nothing of it is filed any more.
    pub(super) fn is_forgotten(&self, record: RecordId) -> bool {
        let forgotten = self.forgotten.contains(&record) || self.forgetting.contains(&record);
        forgotten && self.gone.contains(&record)
    }
}
