//! Statements of a small programme, made from a list of small choices, and a check that a lane
//! comes to the same whatever order they arrive in.
//!
//! The cast: the programme's key (0); a district (1) with two health centres; the paper keys of
//! three centres (2 and 3 below the district's, 3 is foreign and below the programme); authority
//! devices; two workers, a hub, a relay. Any of them says anything about any other.

#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    reason = "a test harness: it must fail loudly; one arm for each kind of statement"
)]

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{
    Admission, Admitted, CutOff, EnvelopePlace, Erasure, Grant, Lane, Opening, ProgrammeTime,
    PublishedKey, Quarantine, Reason, Receipt, ReceiptKind, ReceiptRange, Revocation, Rung, Scope,
    Standing, Statement, kind, programme_id,
};
use huza_crdt::crypto::{SealingPublic, SigningKey, SymmetricKey};
use huza_crdt::holdings::{Held, Span};
use huza_crdt::id::{
    AreaTag, CatchmentTag, CertId, EpochId, Hash, Incarnation, LogId, StatementId, StoreId,
};
use huza_crdt::time::Stamp;
use huza_crdt::trust::{AreaScope, Certificate, Issuer, Role, epoch_of};

/// Members of the cast, the programme's key among them.
pub const CAST: usize = 12;

/// Who is who in [`Play`].
pub mod who {
    pub const PROGRAMME: usize = 0;
    pub const DISTRICT: usize = 1;
    pub const CENTRE: usize = 2;
    pub const FOREIGN: usize = 3;
    pub const ONE: usize = 4;
    pub const OTHER: usize = 5;
    pub const THIRD: usize = 6;
    pub const STRANGE: usize = 7;
    pub const WORKER: usize = 8;
    pub const COLLEAGUE: usize = 9;
    pub const HUB: usize = 10;
    pub const RELAY: usize = 11;
}

const CATCHMENTS: [[u8; 8]; 2] = [[1; 8], [2; 8]];

/// Two villages of the first catchment, one of the second.
pub const AREAS: [AreaTag; 3] = [area(0, 1), area(0, 2), area(1, 1)];

const fn area(catchment: usize, village: u8) -> AreaTag {
    let mut tag = [village; 16];
    let mut at = 0;
    while at < 8 {
        tag[at] = CATCHMENTS[catchment][at];
        at += 1;
    }
    AreaTag(tag)
}

/// One choice: who says what about whom, with which numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub kind: u8,
    pub by: u8,
    pub about: u8,
    pub log: u8,
    pub seq: u8,
    pub more: u8,
}

/// A choice of as many bytes.
pub const CHOICE_BYTES: usize = 6;

/// Most choices of one run.
pub const CHOICES_MAX: usize = 24;

/// Reads choices from bytes.
#[must_use]
pub fn choices(bytes: &[u8]) -> Vec<Choice> {
    let (all, _) = bytes.as_chunks::<CHOICE_BYTES>();
    let read = |[kind, by, about, log, seq, more]: &[u8; CHOICE_BYTES]| Choice {
        kind: *kind,
        by: *by,
        about: *about,
        log: *log,
        seq: *seq,
        more: *more,
    };
    all.iter().take(CHOICES_MAX).map(read).collect()
}

/// The cast, and what it says first: its certificates and openings.
#[derive(Debug, Clone)]
pub struct Play {
    pub keys: Vec<SigningKey>,
    pub issuers: Vec<Issuer>,
    pub first: Vec<Statement>,
    pub logs: Vec<LogId>,
    certificates: Vec<Vec<u8>>,
}

impl Default for Play {
    fn default() -> Self {
        Self::new()
    }
}

impl Play {
    #[must_use]
    pub fn new() -> Self {
        let keys: Vec<_> = (0..CAST).map(|n| SigningKey::from_seed([n as u8 + 1; 32])).collect();
        let mut play = Self {
            keys,
            issuers: vec![Issuer::Programme],
            first: Vec::new(),
            logs: Vec::new(),
            certificates: vec![Vec::new()],
        };
        let all = |n: usize| AreaScope::Catchment(CatchmentTag(CATCHMENTS[n]));
        let cast = [
            (who::PROGRAMME, Role::Authority, vec![all(0), all(1)]),
            (who::DISTRICT, Role::Authority, vec![all(0)]),
            (who::PROGRAMME, Role::Authority, vec![all(1)]),
            (who::CENTRE, Role::Authority, vec![all(0)]),
            (who::CENTRE, Role::Authority, vec![all(0)]),
            (who::ONE, Role::Authority, vec![all(0)]),
            (who::FOREIGN, Role::Authority, vec![all(1)]),
            (who::ONE, Role::Worker, vec![AreaScope::Area(AREAS[0])]),
            (who::THIRD, Role::Worker, vec![AreaScope::Area(AREAS[0]), AreaScope::Area(AREAS[1])]),
            (who::OTHER, Role::Hub, vec![all(0)]),
            (who::OTHER, Role::Relay, vec![all(0)]),
        ];
        for (index, (issuer, role, areas)) in cast.into_iter().enumerate() {
            let subject = index + 1;
            let certificate = Certificate {
                programme: programme_id(&play.keys[0].public()),
                issuer: play.issuers[issuer],
                device: play.keys[subject].public(),
                sealing: SealingPublic([9; 32]),
                role,
                areas,
                request: [subject as u8; 16],
                issued: Stamp(1_000_000),
                expires: Stamp(90_000_000),
            };
            let cose = certificate.sign(&play.keys[issuer]).unwrap();
            play.issuers.push(Issuer::Certified(Certificate::id(&cose)));
            play.certificates.push(cose.clone());
            let statement = play.say(issuer, subject as u64, kind::CERTIFICATE, None, cose);
            play.first.push(statement);
        }
        for (author, area) in [
            (who::WORKER, AREAS[0]),
            (who::COLLEAGUE, AREAS[1]),
            (who::ONE, AREAS[0]),
            (who::STRANGE, AREAS[2]),
        ] {
            let opening = Opening {
                device: play.keys[author].public(),
                certificate: play.certificate(author),
                area,
                incarnation: Incarnation([1; 16]),
            };
            let body = codec::encode(&opening);
            let statement = play.say(author, 0, kind::OPENING, Some(area.catchment()), body);
            play.logs.push(statement.log());
            play.first.push(statement);
        }
        play
    }

    #[must_use]
    pub fn root(&self) -> huza_crdt::id::DeviceKey {
        self.keys[0].public()
    }

    /// A member's certificate; of the programme's key, one that does not exist.
    #[must_use]
    pub fn certificate(&self, member: usize) -> CertId {
        match self.issuers[member] {
            Issuer::Certified(id) => id,
            Issuer::Programme => CertId([0; 16]),
        }
    }

    /// Signs a statement; `catchment` is its scope.
    #[must_use]
    pub fn say(
        &self,
        by: usize,
        number: u64,
        kind: u8,
        catchment: Option<CatchmentTag>,
        body: Vec<u8>,
    ) -> Statement {
        let scope = catchment.map_or(Scope::Programme, Scope::Catchment);
        let place = (number, Hash([0; 32]));
        Statement::sign(&self.keys[by], self.issuers[by], place, scope, (kind, body))
    }

    /// The statement that a choice comes to; `earlier` are those it may name.
    #[must_use]
    pub fn statement(&self, choice: Choice, earlier: &[Statement]) -> Statement {
        let Choice { kind, by, about, log, seq, more } = choice;
        let by = usize::from(by) % CAST;
        let about = usize::from(about) % CAST;
        let log = self.logs[usize::from(log) % self.logs.len()];
        let (seq, number) = (u64::from(seq % 8), u64::from(more % 8));
        let area = AREAS[usize::from(choice.log) % AREAS.len()];
        let named = |from: u8| -> BTreeSet<StatementId> {
            let some = earlier.iter().chain(&self.first).skip(usize::from(from) % 16);
            some.step_by(usize::from(more % 3) + 1).take(8).map(Statement::id).collect()
        };
        let key = SymmetricKey::from_bytes([more % 4; 32]);
        let within = Some(area.catchment());
        let revocation = |logs: Vec<CutOff>, statements: BTreeSet<StatementId>| Revocation {
            certificate: self.certificate(about),
            reason: Reason::Stolen,
            logs,
            statements: statements.into_iter().collect(),
        };
        let mut cuts = vec![CutOff { log, to: seq, end: Hash([more; 32]) }];
        cuts.truncate(usize::from(more & 1));
        match kind % 13 {
            // A revocation is what most depends on order.
            0 | 1 => {
                let body = codec::encode(&revocation(cuts, named(choice.seq)));
                self.say(by, number, kind::REVOCATION, None, body)
            }
            2 => {
                let body = codec::encode(&revocation(cuts, BTreeSet::new()));
                self.say(by, number, kind::REVOCATION, None, body)
            }
            3 => {
                // A certificate said once more.
                let cose = self.certificates[about.max(1)].clone();
                let issuer = huza_issuer(self, about.max(1));
                self.say(issuer, 100 + number, kind::CERTIFICATE, None, cose)
            }
            4 => {
                let opens = AreaScope::Area(area);
                let to = self.certificate(about);
                let sealed = vec![choice.seq; 4];
                let grant = Grant { to, opens, epoch: epoch_of(&key), sealed };
                self.say(by, number, kind::GRANT, within, codec::encode(&grant))
            }
            5 => {
                let published = PublishedKey {
                    area,
                    epoch: epoch_of(&key),
                    catchment_epoch: EpochId([9; 16]),
                    generation: if seq == 7 { u32::MAX } else { seq as u32 / 4 },
                    rotation: if seq == 6 { u32::MAX } else { seq as u32 % 4 },
                    public: SealingPublic([choice.about; 32]),
                };
                self.say(by, number, kind::PUBLISHED_KEY, within, codec::encode(&published))
            }
            6 => {
                let admission = Admission {
                    log,
                    from: seq / 2,
                    to: seq,
                    end: Hash([more; 32]),
                    admit: more & 1 == 0,
                };
                self.say(by, number, kind::ADMISSION, within, codec::encode(&admission))
            }
            7 => {
                let reissue = EnvelopePlace { log, seq: u64::from(more), hash: Hash([1; 32]) };
                let erasure = Erasure {
                    area,
                    gone: vec![(log, vec![seq, seq + 1])],
                    extends: (more & 2 == 2).then_some(StatementId([more; 16])),
                    reissue: (more & 1 == 1).then_some(reissue),
                    epoch: epoch_of(&key),
                    record: vec![about as u8],
                };
                self.say(by, number, kind::ERASURE, within, codec::encode(&erasure))
            }
            8 => {
                let rung = Rung {
                    opens: AreaScope::Area(area),
                    epoch: epoch_of(&key),
                    sealed: vec![more],
                };
                self.say(by, number, kind::RUNG, within, codec::encode(&rung))
            }
            9 => {
                let time = Stamp(1_000_000 + i64::from(choice.seq) * 20 * 86_400);
                self.say(
                    by,
                    number,
                    kind::PROGRAMME_TIME,
                    None,
                    codec::encode(&ProgrammeTime { time }),
                )
            }
            10 => {
                let receipt = Receipt {
                    store: StoreId([more % 2; 16]),
                    log,
                    kind: ReceiptKind::Stored,
                    reason: 0,
                    ranges: vec![ReceiptRange { from: 0, to: seq, end: Hash([2; 32]) }],
                };
                self.say(by, number, kind::RECEIPT, within, codec::encode(&receipt))
            }
            11 => {
                // Another certificate of a key that has one, issued by whoever.
                let certificate = Certificate {
                    programme: programme_id(&self.root()),
                    issuer: self.issuers[by],
                    device: self.keys[about].public(),
                    sealing: SealingPublic([9; 32]),
                    role: Role::ALL[usize::from(more) % Role::ALL.len()],
                    areas: vec![AreaScope::Area(area)],
                    request: [more; 16],
                    issued: Stamp(1_000_000 + i64::from(choice.seq) * 86_400),
                    expires: Stamp(90_000_000),
                };
                let cose = certificate.sign(&self.keys[by]).unwrap();
                self.say(by, number, kind::CERTIFICATE, within, cose)
            }
            _ => self.say(by, number, 100 + more % 3, None, vec![choice.seq]),
        }
    }

    /// Everything that is said: the beginning, and what the choices come to.
    #[must_use]
    pub fn all(&self, choices: &[Choice]) -> Vec<Statement> {
        let mut said: Vec<Statement> = Vec::new();
        for choice in choices {
            let statement = self.statement(*choice, &said);
            said.push(statement);
        }
        let mut all = self.first.clone();
        all.extend(said);
        all
    }
}

/// Who issued a member's certificate.
fn huza_issuer(play: &Play, member: usize) -> usize {
    let read = Certificate::read(&play.certificates[member], |_| Some(play.root()));
    let issuer = read.map_or(Issuer::Programme, |(certificate, _)| certificate.issuer);
    play.issuers.iter().position(|known| *known == issuer).unwrap_or_default()
}

/// Admits statements in this order, and those whose grounds come later again when they have come.
#[must_use]
pub fn admit_all(root: huza_crdt::id::DeviceKey, statements: &[&Statement]) -> Lane {
    let mut lane = Lane::new(root);
    let mut waiting: Vec<&Statement> = statements.to_vec();
    loop {
        let before = waiting.len();
        let refused = |one: &&Statement| {
            !matches!(
                lane.admit((*one).clone()),
                Ok(Admitted::New { .. } | Admitted::Known | Admitted::Outdated)
            )
        };
        waiting = waiting.into_iter().filter(refused).collect();
        if waiting.len() == before {
            return lane;
        }
    }
}

/// What a lane comes to, as far as anybody asks.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub statements: BTreeSet<StatementId>,
    pub standing: BTreeMap<CertId, Standing>,
    pub quarantine: BTreeMap<(LogId, u64), Option<Quarantine>>,
    pub writing: BTreeMap<AreaTag, Vec<PublishedKey>>,
    pub granted: BTreeMap<CertId, BTreeSet<(EpochId, StatementId)>>,
    pub erasures: Vec<StatementId>,
    pub rungs: usize,
    pub judgements: [u8; 16],
    pub time: Option<Stamp>,
    pub weighty: BTreeSet<StatementId>,
}

/// Ten envelopes of a log, whose headers all have the hash that judgements name now and then.
#[must_use]
pub fn held() -> Held {
    let mut held = Held::default();
    held.spans.insert(Span { from: 0, to: 9, end: Hash([1; 32]) });
    held.marks.extend((0..9).map(|seq| (seq, Hash([1; 32]))));
    held
}

/// Asks a lane everything.
#[must_use]
pub fn verdict(lane: &Lane) -> Verdict {
    let certificates: Vec<CertId> = lane.certificates().map(|(id, _)| *id).collect();
    let logs: Vec<LogId> = lane.openings().map(|(log, _)| *log).collect();
    let places = logs.iter().flat_map(|log| (0..10).map(move |seq| (*log, seq)));
    let weighty = lane.receipts().filter(|(issuer, _, receipt)| match issuer {
        Issuer::Certified(id) => lane.is_weighty(*id, receipt),
        Issuer::Programme => false,
    });
    let granted = |id: &CertId| {
        let grants = lane.grants_to(*id);
        (*id, grants.map(|(statement, grant)| (grant.epoch, statement.id())).collect())
    };
    Verdict {
        statements: lane.statements().map(|(id, _)| *id).collect(),
        standing: certificates.iter().map(|id| (*id, lane.standing(id))).collect(),
        quarantine: places.map(|at| (at, lane.quarantine(&at.0, at.1, &held()))).collect(),
        writing: AREAS.iter().map(|area| (*area, lane.writing_keys(*area))).collect(),
        granted: certificates.iter().map(granted).collect(),
        erasures: lane.erasure_ids(),
        rungs: lane.rungs().count(),
        judgements: lane.judgements(),
        time: lane.programme_time(),
        weighty: weighty.map(|(_, id, _)| *id).collect(),
    }
}

/// Orders `statements` by a seed.
#[must_use]
pub fn shuffled(statements: &[Statement], seed: u64) -> Vec<&Statement> {
    let mut order: Vec<&Statement> = statements.iter().collect();
    let mut state = seed | 1;
    for at in (1..order.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

/// In whatever order statements come, a lane comes to the same; the same again from its own
/// statements in the order of their ids, as a node reads them when it starts.
///
/// # Panics
/// If it does not.
pub fn check(play: &Play, choices: &[Choice], seed: u64) {
    let all = play.all(choices);
    let one = admit_all(play.root(), &all.iter().collect::<Vec<_>>());
    let expected = verdict(&one);
    for order in [all.iter().rev().collect(), shuffled(&all, seed)] {
        let other = admit_all(play.root(), &order);
        assert_eq!(verdict(&other), expected, "{choices:?} with seed {seed}");
    }
    let stored: Vec<&Statement> = one.statements().map(|(_, statement)| statement).collect();
    assert_eq!(verdict(&admit_all(play.root(), &stored)), expected, "{choices:?} from the store");
    // The programme's key is beyond everybody's reach, and nobody reaches above themselves.
    for (certificate, standing) in &expected.standing {
        let revoked = one.revoked(certificate);
        assert_eq!(*standing == Standing::Revoked, revoked.is_some());
    }
}

/// Bytes as choices; the first eight are the seed of the order.
pub fn fuzz(play: &Play, bytes: &[u8]) {
    let Some((seed, rest)) = bytes.split_first_chunk::<8>() else { return };
    check(play, &choices(rest), u64::from_le_bytes(*seed));
}
