//! The set of accepted statements, and the rules by which one is accepted.
//!
//! Acceptance takes two steps, so that signatures can be checked in bulk and elsewhere:
//! [`Lane::candidates`] says which signatures must hold, [`Lane::admit`] applies the rules that
//! need no cryptography. `admit` must only be given statements whose signatures hold.

use std::collections::{BTreeMap, BTreeSet};

use super::body::{Body, Erasure, Grant, Opening, PublishedKey, Receipt, ReceiptKind, Rung, kind};
use super::standing::{Revocations, Verdict};
use super::statement::Statement;
use crate::codec::DecodeError;
use crate::crypto::Signed;
use crate::envelope::ForkProof;
use crate::id::{
    AreaTag, CertId, DeviceKey, EpochId, Hash, LogId, ProgrammeId, StatementId, StoreId,
};
use crate::limits::{
    CHAIN_MAX, FORMS_PER_ISSUER_MAX, STATEMENTS_PER_ISSUER_MAX, STATEMENTS_PER_WORKER_MAX,
    UNREAD_PER_ISSUER_MAX,
};
use crate::time::Stamp;
use crate::trust::{Certificate, CertificateError, Issuer, Role};

/// Why a statement is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// Its body is not in the format of its kind.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It holds a certificate that is not acceptable.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Its issuer's certificate is not known.
    #[error("its issuer is not known")]
    UnknownIssuer,
    /// Its issuer may not say this.
    #[error("its issuer may not say this")]
    NotEntitled,
    /// It speaks of a log whose opening is not known.
    #[error("its log is not known")]
    UnknownLog,
    /// It concerns a device whose certificate is not known.
    #[error("the device that it concerns is not known")]
    UnknownDevice,
    /// Its issuer has issued too many.
    #[error("its issuer has issued more statements than allowed")]
    TooMany,
}

/// A receipt's place: a later receipt of the same place replaces an earlier one.
type Slot = (Issuer, StoreId, LogId, ReceiptKind, u16);

/// Statements of which an issuer has few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Few {
    Forms,
    Unread,
}

impl Few {
    const fn of(body: &Body) -> Option<Self> {
        match body {
            Body::Form => Some(Self::Forms),
            Body::Unread => Some(Self::Unread),
            _ => None,
        }
    }

    const fn most(self) -> usize {
        match self {
            Self::Forms => FORMS_PER_ISSUER_MAX,
            Self::Unread => UNREAD_PER_ISSUER_MAX,
        }
    }
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// It is new. If it replaces another, which; if its issuer had given its number to another
    /// statement before, which.
    New {
        /// What it says.
        body: Body,
        /// The receipt it replaces.
        replaced: Option<StatementId>,
        /// A different statement of the same issuer and number.
        twin: Option<StatementId>,
    },
    /// It was here before.
    Known,
    /// A later receipt has replaced it already.
    Outdated,
}

/// The accepted statements of one programme, indexed by what others ask of them. Accepted is not
/// yet counted: whether a statement is in force is asked of [`Lane::is_in_force`], so that all
/// members hold the same statements, in whatever order a revocation reaches them.
#[derive(Debug, Clone)]
pub struct Lane {
    programme: ProgrammeId,
    pub(super) root: DeviceKey,
    statements: BTreeMap<StatementId, Statement>,
    /// Each with the statements that hold it.
    certificates: BTreeMap<CertId, (Certificate, BTreeSet<StatementId>)>,
    pub(super) openings: BTreeMap<LogId, Opening>,
    receipts: BTreeMap<Slot, (StatementId, Receipt)>,
    /// Of each issuer of receipts: the number of its newest, and the store that speaks there.
    stores: BTreeMap<Issuer, (u64, StatementId, StoreId)>,
    pub(super) grants: BTreeMap<(EpochId, CertId, StatementId), (Issuer, Grant)>,
    pub(super) published: BTreeMap<(AreaTag, EpochId, StatementId), (Issuer, PublishedKey)>,
    pub(super) rungs: BTreeMap<StatementId, (Issuer, Rung)>,
    pub(super) revocations: Revocations,
    pub(super) verdicts: BTreeMap<LogId, Vec<Verdict>>,
    pub(super) erasures: BTreeMap<StatementId, (Issuer, Erasure)>,
    /// Log -> the erasures that name something in it. Envelopes are looked up in those, so that an
    /// order that names thousands of seqs takes no more memory than its statement.
    pub(super) erased: BTreeMap<LogId, BTreeSet<StatementId>>,
    pub(super) times: BTreeMap<Issuer, (StatementId, Stamp)>,
    numbers: BTreeMap<(Issuer, u64), StatementId>,
    counts: BTreeMap<Issuer, usize>,
    /// Of them, those of which an issuer has few: forms, and kinds that this version does not read.
    few: BTreeMap<(Issuer, Few), BTreeSet<(u64, StatementId)>>,
    forked: BTreeMap<LogId, u64>,
}

impl Lane {
    /// An empty lane of the programme with this root key.
    #[must_use]
    pub fn new(root: DeviceKey) -> Self {
        Self {
            programme: programme_id(&root),
            root,
            statements: BTreeMap::new(),
            certificates: BTreeMap::new(),
            openings: BTreeMap::new(),
            receipts: BTreeMap::new(),
            stores: BTreeMap::new(),
            grants: BTreeMap::new(),
            published: BTreeMap::new(),
            rungs: BTreeMap::new(),
            revocations: Revocations::default(),
            verdicts: BTreeMap::new(),
            erasures: BTreeMap::new(),
            erased: BTreeMap::new(),
            times: BTreeMap::new(),
            numbers: BTreeMap::new(),
            counts: BTreeMap::new(),
            few: BTreeMap::new(),
            forked: BTreeMap::new(),
        }
    }

    /// The programme.
    #[must_use]
    pub const fn programme(&self) -> ProgrammeId {
        self.programme
    }

    /// Every accepted statement.
    pub fn statements(&self) -> impl Iterator<Item = (&StatementId, &Statement)> {
        self.statements.iter()
    }

    /// One statement.
    #[must_use]
    pub fn statement(&self, id: &StatementId) -> Option<&Statement> {
        self.statements.get(id)
    }

    /// One certificate.
    #[must_use]
    pub fn certificate(&self, id: &CertId) -> Option<&Certificate> {
        self.certificates.get(id).map(|(certificate, _)| certificate)
    }

    /// A certificate, with the statements that hold it.
    pub(super) fn holders(&self, id: &CertId) -> Option<(&Certificate, &BTreeSet<StatementId>)> {
        self.certificates.get(id).map(|(certificate, holders)| (certificate, holders))
    }

    /// Every statement that publishes a form, in force or not.
    pub fn forms(&self) -> impl Iterator<Item = &Statement> {
        let forms = self.few.iter().filter(|((_, kind), _)| *kind == Few::Forms);
        forms.flat_map(|(_, forms)| forms).filter_map(|(_, id)| self.statements.get(id))
    }

    /// Every certificate.
    pub fn certificates(&self) -> impl Iterator<Item = (&CertId, &Certificate)> {
        self.certificates.iter().map(|(id, (certificate, _))| (id, certificate))
    }

    /// The opening of a log.
    #[must_use]
    pub fn opening(&self, log: &LogId) -> Option<&Opening> {
        self.openings.get(log)
    }

    /// Whether a log's author is proven to have signed two histories.
    #[must_use]
    pub fn is_forked(&self, log: &LogId) -> bool {
        self.forked.contains_key(log)
    }

    /// How many logs are proven forked.
    #[must_use]
    pub fn forks(&self) -> usize {
        self.forked.len()
    }

    /// The lowest seq at which a log's author is proven to have signed two histories.
    #[must_use]
    pub fn forked_at(&self, log: &LogId) -> Option<u64> {
        self.forked.get(log).copied()
    }

    /// Whether an envelope of a log is neither given nor taken any more. Beyond a proven fork none is;
    /// below it is what both histories share. If an authority named the end of the true one, only
    /// that is exchanged, from its end backwards.
    #[must_use]
    pub fn is_frozen(&self, log: &LogId, seq: u64) -> bool {
        let fork = self.forked_at(log);
        fork.is_some_and(|fork| seq >= fork || self.cut_off(log).is_some())
    }

    /// Whether a log is proven forked where this proof says it is, or further in front.
    #[must_use]
    pub fn is_proven(&self, proof: &ForkProof) -> bool {
        let at = proof.one.0.seq.min(proof.other.0.seq);
        self.forked_at(&proof.log()).is_some_and(|fork| fork <= at)
    }

    /// Every opening.
    pub fn openings(&self) -> impl Iterator<Item = (&LogId, &Opening)> {
        self.openings.iter()
    }

    /// The receipts in force, each with its issuer and the statement that holds it.
    pub fn receipts(&self) -> impl Iterator<Item = (Issuer, &StatementId, &Receipt)> {
        self.receipts.iter().map(|((issuer, ..), (id, receipt))| (*issuer, id, receipt))
    }

    /// The receipt in force of one place.
    #[must_use]
    pub fn receipt(
        &self,
        issuer: Issuer,
        store: StoreId,
        log: LogId,
        kind: ReceiptKind,
        reason: u16,
    ) -> Option<&Receipt> {
        self.receipts.get(&(issuer, store, log, kind, reason)).map(|(_, receipt)| receipt)
    }

    /// Whether a receipt comes from the store that its issuer vouches with today. What it signed
    /// with an earlier store says nothing of this one.
    pub(super) fn is_current(&self, issuer: Issuer, receipt: &Receipt) -> bool {
        self.stores.get(&issuer).is_some_and(|(_, _, store)| *store == receipt.store)
    }

    /// The number and previous hash of an issuer's next statement.
    #[must_use]
    pub fn next_number(&self, issuer: Issuer) -> (u64, Hash) {
        let last = self.numbers.range((issuer, 0)..=(issuer, u64::MAX)).next_back();
        match last.and_then(|((_, number), id)| Some((number, self.statements.get(id)?))) {
            // Whoever has a copy of the key can have used the last number there is.
            Some((number, statement)) => (number.saturating_add(1), statement.hash()),
            None => (0, Hash([0; 32])),
        }
    }

    /// The statements that hold a certificate's chain, the programme's first.
    #[must_use]
    pub fn chain(&self, certificate: CertId) -> Vec<&Statement> {
        self.links(certificate).into_iter().map(|(_, statement)| statement).collect()
    }

    /// The same, each with the certificate that it holds.
    #[must_use]
    pub fn links(&self, certificate: CertId) -> Vec<(CertId, &Statement)> {
        let mut chain = Vec::new();
        let mut issuer = Issuer::Certified(certificate);
        while let Issuer::Certified(id) = issuer
            && let Some((certificate, holders)) = self.certificates.get(&id)
            && chain.len() < CHAIN_MAX
        {
            let counts = |holder: &&StatementId| self.counts(certificate.issuer, holder);
            let holder = holders.iter().find(counts).or_else(|| holders.first());
            let statement = holder.and_then(|holder| self.statements.get(holder));
            chain.extend(statement.map(|statement| (id, statement)));
            issuer = certificate.issuer;
        }
        chain.reverse();
        chain
    }

    /// Orders statements so that each comes after those it depends on.
    pub fn sort_for_sending(&self, ids: &mut [StatementId]) {
        ids.sort_by_key(|id| {
            let statement = self.statements.get(id);
            let kind = statement.map_or(u8::MAX, Statement::kind);
            let rank = match kind {
                kind::CERTIFICATE => 0,
                kind::REVOCATION => 1,
                kind::OPENING => 2,
                kind::ADMISSION | kind::ERASURE => 3,
                _ => 4,
            };
            let depth = statement.map_or(0, |statement| self.depth(statement.issuer()));
            (rank, depth, *id)
        });
    }

    /// How far an issuer is from the programme's key: certificates between them.
    pub(super) fn depth(&self, issuer: Issuer) -> usize {
        let (mut depth, mut next) = (0, issuer);
        while let Issuer::Certified(id) = next
            && let Some(certificate) = self.certificate(&id)
            && depth < CHAIN_MAX
        {
            depth += 1;
            next = certificate.issuer;
        }
        depth
    }

    /// A view of this lane and of statements that are being checked together.
    #[must_use]
    pub const fn candidates(&self) -> Candidates<'_> {
        Candidates { lane: self, certificates: BTreeMap::new(), openings: BTreeMap::new() }
    }

    /// The key of an issuer.
    #[must_use]
    pub fn key_of(&self, issuer: Issuer) -> Option<DeviceKey> {
        match issuer {
            Issuer::Programme => Some(self.root),
            Issuer::Certified(id) => self.certificate(&id).map(|certificate| certificate.device),
        }
    }

    /// Accepts a statement whose signatures hold.
    ///
    /// # Errors
    /// If a rule forbids it; the lane is then unchanged.
    pub fn admit(&mut self, statement: Statement) -> Result<Admitted, LaneError> {
        let id = statement.id();
        if self.statements.contains_key(&id) {
            return Ok(Admitted::Known);
        }
        let issuer = statement.issuer();
        self.key_of(issuer).ok_or(LaneError::UnknownIssuer)?;
        let body = Body::read(statement.kind(), statement.body())?;
        self.check(&statement, &body)?;
        let mut replaced = None;
        if let Body::Receipt(receipt) = &body {
            let slot = slot(issuer, receipt);
            if let Some((old, _)) = self.receipts.get(&slot) {
                // Of two with one number the greater id counts, so that all replicas agree.
                let rank = self.statements.get(old).map(|old_one| (old_one.number(), *old));
                if rank > Some((statement.number(), id)) {
                    return Ok(Admitted::Outdated);
                }
                replaced = Some(*old);
            }
        }
        if let Body::ProgrammeTime(said) = &body
            && let Some((old, time)) = self.times.get(&issuer)
        {
            if (*time, *old) > (said.time, id) {
                return Ok(Admitted::Outdated);
            }
            replaced = Some(*old);
        }
        let count = |counts: &BTreeMap<Issuer, usize>| counts.get(&issuer).copied().unwrap_or(0);
        if replaced.is_none() && count(&self.counts) >= self.most_of(issuer) {
            return Err(LaneError::TooMany);
        }
        if let Some(kind) = Few::of(&body) {
            // The lowest numbers stay, whatever came first: else members who were given different
            // ones would differ for ever.
            let few = self.few.entry((issuer, kind)).or_default();
            few.insert((statement.number(), id));
            if few.len() > kind.most() {
                let last = few.pop_last().map(|(_, last)| last);
                if last == Some(id) {
                    return Err(LaneError::TooMany);
                }
                replaced = last;
            }
        }
        if let Some(old) = replaced {
            self.forget(&old);
        }
        let twin = self.numbers.insert((issuer, statement.number()), id);
        *self.counts.entry(issuer).or_default() += 1;
        self.index(id, &statement, &body);
        self.statements.insert(id, statement);
        Ok(Admitted::New { body, replaced, twin })
    }

    /// Most statements in force of an issuer.
    fn most_of(&self, issuer: Issuer) -> usize {
        let role = match issuer {
            Issuer::Programme => None,
            Issuer::Certified(id) => self.certificate(&id).map(|known| known.role),
        };
        match role {
            Some(Role::Worker | Role::Relay) => STATEMENTS_PER_WORKER_MAX,
            Some(Role::Authority | Role::Hub | Role::Gateway) | None => STATEMENTS_PER_ISSUER_MAX,
        }
    }

    fn forget(&mut self, id: &StatementId) {
        if let Some(statement) = self.statements.remove(id) {
            let number = (statement.issuer(), statement.number());
            if self.numbers.get(&number) == Some(id) {
                self.numbers.remove(&number);
            }
            if let Some(count) = self.counts.get_mut(&statement.issuer()) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn index(&mut self, id: StatementId, statement: &Statement, body: &Body) {
        let issuer = statement.issuer();
        match body {
            Body::Certificate(cose) => {
                if let Ok((certificate, _)) = Certificate::read(cose, |issuer| self.key_of(issuer))
                {
                    let known = self.certificates.entry(Certificate::id(cose));
                    known.or_insert_with(|| (certificate, BTreeSet::new())).1.insert(id);
                    // Said once more, it may be among what stays in force.
                    self.revocations.changed();
                }
            }
            Body::Opening(opening) => {
                self.openings.insert(statement.log(), opening.clone());
            }
            Body::Grant(grant) => {
                self.grants.insert((grant.epoch, grant.to, id), (issuer, grant.clone()));
            }
            Body::Receipt(receipt) => {
                self.receipts.insert(slot(issuer, receipt), (id, receipt.clone()));
                let said = (statement.number(), id, receipt.store);
                let newest = self.stores.entry(issuer).or_insert(said);
                *newest = (*newest).max(said);
            }
            Body::PublishedKey(key) => {
                self.published.insert((key.area, key.epoch, id), (issuer, *key));
            }
            Body::Rung(rung) => {
                self.rungs.insert(id, (issuer, rung.clone()));
            }
            Body::Revocation(revocation) => {
                self.revocations.add(id, issuer, revocation.clone());
            }
            Body::Admission(admission) => {
                let number = statement.number();
                let verdict = Verdict { issuer, number, statement: id, admission: *admission };
                self.verdicts.entry(admission.log).or_default().push(verdict);
            }
            Body::Erasure(erasure) => {
                for (log, _) in &erasure.gone {
                    self.erased.entry(*log).or_default().insert(id);
                }
                self.erasures.insert(id, (issuer, (**erasure).clone()));
            }
            Body::ProgrammeTime(said) => {
                self.times.insert(issuer, (id, said.time));
            }
            Body::ForkProof(proof) => {
                let at = self.forked.entry(proof.log()).or_insert(u64::MAX);
                *at = proof.one.0.seq.min(proof.other.0.seq).min(*at);
            }
            Body::Form | Body::Unread => {}
        }
    }
}

const fn slot(issuer: Issuer, receipt: &Receipt) -> Slot {
    (issuer, receipt.store, receipt.log, receipt.kind, receipt.reason)
}

/// The id of the programme with this root key.
#[must_use]
pub fn programme_id(root: &DeviceKey) -> ProgrammeId {
    ProgrammeId(crate::id::truncated(crate::id::hash_parts("huza 2026 programme", &[&root.0])))
}

/// A lane together with unverified statements that arrived in one batch, so that a statement may
/// lean on one that came just before it. Ids are hashes, so what is found here is what will be
/// in the lane, if it is admitted at all.
#[derive(Debug)]
pub struct Candidates<'a> {
    lane: &'a Lane,
    certificates: BTreeMap<CertId, Certificate>,
    openings: BTreeMap<LogId, Opening>,
}

impl Candidates<'_> {
    /// The signatures that must hold before `statement` may be admitted.
    ///
    /// # Errors
    /// If its issuer is not known or its body is malformed.
    pub fn add(&mut self, statement: &Statement) -> Result<Vec<Signed>, LaneError> {
        let key = self.key_of(statement.issuer()).ok_or(LaneError::UnknownIssuer)?;
        let mut signed = vec![statement.signed(key)];
        match Body::read(statement.kind(), statement.body())? {
            Body::Certificate(cose) => {
                let (certificate, also) = Certificate::read(&cose, |issuer| self.key_of(issuer))?;
                signed.push(also);
                self.certificates.insert(Certificate::id(&cose), certificate);
            }
            Body::Opening(opening) => {
                self.openings.insert(statement.log(), opening);
            }
            Body::Grant(_)
            | Body::Receipt(_)
            | Body::PublishedKey(_)
            | Body::ForkProof(_)
            | Body::Revocation(_)
            | Body::Admission(_)
            | Body::Erasure(_)
            | Body::Rung(_)
            | Body::ProgrammeTime(_)
            | Body::Form
            | Body::Unread => {}
        }
        Ok(signed)
    }

    /// A certificate, verified or not.
    #[must_use]
    pub fn certificate(&self, id: &CertId) -> Option<&Certificate> {
        self.lane.certificate(id).or_else(|| self.certificates.get(id))
    }

    /// The author of a log.
    #[must_use]
    pub fn author(&self, log: &LogId) -> Option<DeviceKey> {
        let opening = self.lane.opening(log).or_else(|| self.openings.get(log));
        opening.map(|opening| opening.device)
    }

    fn key_of(&self, issuer: Issuer) -> Option<DeviceKey> {
        match issuer {
            Issuer::Programme => Some(self.lane.root),
            Issuer::Certified(id) => self.certificate(&id).map(|certificate| certificate.device),
        }
    }
}
