//! The set of accepted statements, and the rules by which one is accepted.
//!
//! Acceptance takes two steps, so that signatures can be checked in bulk and elsewhere:
//! [`Lane::candidates`] says which signatures must hold, [`Lane::admit`] applies the rules that
//! need no cryptography. `admit` must only be given statements whose signatures hold.

use std::collections::{BTreeMap, BTreeSet};

use super::body::{Body, Opening, Receipt, ReceiptKind, kind};
use super::statement::{Scope, Statement};
use crate::codec::DecodeError;
use crate::crypto::Signed;
use crate::id::{
    AreaTag, CertId, DeviceKey, EpochId, Hash, LogId, ProgrammeId, StatementId, StoreId,
};
use crate::limits::{CHAIN_MAX, STATEMENTS_PER_ISSUER_MAX, UNREAD_PER_ISSUER_MAX};
use crate::trust::{AreaScope, Certificate, CertificateError, Issuer, Role};

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
    /// It grants to a device whose certificate is not known.
    #[error("its recipient is not known")]
    UnknownRecipient,
    /// Its issuer has issued too many.
    #[error("its issuer has issued more statements than allowed")]
    TooMany,
}

/// A receipt's place: a later receipt of the same place replaces an earlier one.
type Slot = (Issuer, StoreId, LogId, ReceiptKind, u16);

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

/// The accepted statements of one programme, indexed by what others ask of them.
#[derive(Debug, Clone)]
pub struct Lane {
    programme: ProgrammeId,
    root: DeviceKey,
    statements: BTreeMap<StatementId, Statement>,
    certificates: BTreeMap<CertId, (Certificate, StatementId)>,
    openings: BTreeMap<LogId, Opening>,
    receipts: BTreeMap<Slot, (StatementId, Receipt)>,
    grants: BTreeMap<(CertId, EpochId), StatementId>,
    published: BTreeMap<(AreaTag, EpochId), crate::crypto::SealingPublic>,
    numbers: BTreeMap<(Issuer, u64), StatementId>,
    counts: BTreeMap<Issuer, usize>,
    /// Of them, of kinds that this version does not read.
    unread: BTreeMap<Issuer, BTreeSet<(u64, StatementId)>>,
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
            grants: BTreeMap::new(),
            published: BTreeMap::new(),
            numbers: BTreeMap::new(),
            counts: BTreeMap::new(),
            unread: BTreeMap::new(),
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

    /// Whether a receipt comes from a device whose word counts for its log: of a hub or gateway
    /// whose areas contain the log's. Others may sign `Stored` as second witnesses.
    #[must_use]
    pub fn is_weighty(&self, issuer: CertId, receipt: &Receipt) -> bool {
        self.certificate(&issuer).zip(self.opening(&receipt.log)).is_some_and(|(known, opening)| {
            matches!(known.role, Role::Hub | Role::Gateway) && vouches_for(known, opening.area)
        })
    }

    /// The grants to one certificate.
    pub fn grants_to(&self, to: CertId) -> impl Iterator<Item = &Statement> {
        let all = (to, EpochId([0; 16]))..=(to, EpochId([u8::MAX; 16]));
        self.grants.range(all).filter_map(|(_, id)| self.statements.get(id))
    }

    /// The public key of an area, with the key epoch it belongs to; the greatest epoch id if
    /// there are several.
    #[must_use]
    pub fn published_key(&self, area: AreaTag) -> Option<(EpochId, crate::crypto::SealingPublic)> {
        let all = (area, EpochId([0; 16]))..=(area, EpochId([u8::MAX; 16]));
        self.published.range(all).next_back().map(|((_, epoch), key)| (*epoch, *key))
    }

    /// The number and previous hash of an issuer's next statement.
    #[must_use]
    pub fn next_number(&self, issuer: Issuer) -> (u64, Hash) {
        let last = self.numbers.range((issuer, 0)..=(issuer, u64::MAX)).next_back();
        match last.and_then(|((_, number), id)| Some((number, self.statements.get(id)?))) {
            Some((number, statement)) => (number + 1, statement.hash()),
            None => (0, Hash([0; 32])),
        }
    }

    /// The statements that hold a certificate's chain, the programme's first.
    #[must_use]
    pub fn chain(&self, certificate: CertId) -> Vec<&Statement> {
        let mut chain = Vec::new();
        let mut issuer = Issuer::Certified(certificate);
        while let Issuer::Certified(id) = issuer
            && let Some((certificate, statement)) = self.certificates.get(&id)
            && chain.len() < CHAIN_MAX
        {
            chain.extend(self.statements.get(statement));
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
                _ => 3,
            };
            let depth = statement.map_or(0, |statement| self.depth(statement.issuer()));
            (rank, depth, *id)
        });
    }

    /// Certificates between an issuer and the programme's key.
    fn depth(&self, issuer: Issuer) -> usize {
        match issuer {
            Issuer::Programme => 0,
            Issuer::Certified(id) => self.chain(id).len(),
        }
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
        let count = |counts: &BTreeMap<Issuer, usize>| counts.get(&issuer).copied().unwrap_or(0);
        if replaced.is_none() && count(&self.counts) >= STATEMENTS_PER_ISSUER_MAX {
            return Err(LaneError::TooMany);
        }
        if body == Body::Unread {
            // The lowest numbers stay, whatever came first: else members who were given different
            // ones would differ for ever.
            let unread = self.unread.entry(issuer).or_default();
            unread.insert((statement.number(), id));
            if unread.len() > UNREAD_PER_ISSUER_MAX {
                let last = unread.pop_last().map(|(_, last)| last);
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
        match body {
            Body::Certificate(cose) => {
                if let Ok((certificate, _)) = Certificate::read(cose, |issuer| self.key_of(issuer))
                {
                    self.certificates.insert(Certificate::id(cose), (certificate, id));
                }
            }
            Body::Opening(opening) => {
                self.openings.insert(statement.log(), opening.clone());
            }
            Body::Grant(grant) => {
                self.grants.insert((grant.to, grant.epoch), id);
            }
            Body::Receipt(receipt) => {
                self.receipts.insert(slot(statement.issuer(), receipt), (id, receipt.clone()));
            }
            Body::PublishedKey(key) => {
                self.published.insert((key.area, key.epoch), key.public);
            }
            Body::ForkProof(proof) => {
                let at = self.forked.entry(proof.log()).or_insert(u64::MAX);
                *at = proof.one.0.seq.min(proof.other.0.seq).min(*at);
            }
            Body::Unread => {}
        }
    }

    /// The rules, kind by kind.
    fn check(&self, statement: &Statement, body: &Body) -> Result<(), LaneError> {
        let issuer = statement.issuer();
        let entitled = match body {
            Body::Certificate(cose) => return self.check_certificate(issuer, cose),
            Body::Opening(opening) => {
                issuer == Issuer::Certified(opening.certificate)
                    && statement.scope() == Scope::Catchment(opening.area.catchment())
                    && self.certificate(&opening.certificate).is_some_and(|certificate| {
                        certificate.device == opening.device && certificate.role != Role::Relay
                    })
            }
            Body::Grant(grant) => {
                let to = self.certificate(&grant.to).ok_or(LaneError::UnknownRecipient)?;
                to.areas.iter().all(|area| self.governs(issuer, area))
            }
            Body::PublishedKey(key) => {
                statement.scope() == Scope::Catchment(key.area.catchment())
                    && self.governs(issuer, &AreaScope::Area(key.area))
            }
            Body::Receipt(receipt) => {
                let opening = self.openings.get(&receipt.log).ok_or(LaneError::UnknownLog)?;
                let known = match issuer {
                    Issuer::Programme => None,
                    Issuer::Certified(id) => self.certificate(&id),
                };
                let entitled = match receipt.kind {
                    ReceiptKind::Stored | ReceiptKind::Shown => known.is_some(),
                    ReceiptKind::Accepted | ReceiptKind::Refused => known.is_some_and(|known| {
                        known.role == Role::Gateway && vouches_for(known, opening.area)
                    }),
                };
                statement.scope() == Scope::Catchment(opening.area.catchment()) && entitled
            }
            Body::ForkProof(proof) => {
                let opening = self.openings.get(&proof.log()).ok_or(LaneError::UnknownLog)?;
                proof.holds(opening.device)
            }
            Body::Unread => true,
        };
        if entitled { Ok(()) } else { Err(LaneError::NotEntitled) }
    }

    fn check_certificate(&self, issuer: Issuer, cose: &[u8]) -> Result<(), LaneError> {
        let (certificate, _) = Certificate::read(cose, |issuer| self.key_of(issuer))?;
        if certificate.programme != self.programme {
            return Err(CertificateError::ForeignProgramme.into());
        }
        if certificate.issuer != issuer {
            return Err(LaneError::NotEntitled);
        }
        if let Issuer::Certified(id) = issuer {
            let above = self.certificate(&id).ok_or(LaneError::UnknownIssuer)?;
            certificate.check_issuer(above)?;
            if self.depth(issuer) >= CHAIN_MAX {
                return Err(LaneError::NotEntitled);
            }
        }
        Ok(())
    }

    /// Whether an issuer has authority over all of `scope`.
    #[must_use]
    pub fn governs(&self, issuer: Issuer, scope: &AreaScope) -> bool {
        match issuer {
            Issuer::Programme => true,
            Issuer::Certified(id) => self
                .certificate(&id)
                .is_some_and(|known| known.role == Role::Authority && known.covers(scope)),
        }
    }
}

/// Whether a certificate's areas contain `area`; the directory is everybody's.
fn vouches_for(certificate: &Certificate, area: AreaTag) -> bool {
    area == crate::trust::directory_area() || certificate.covers(&AreaScope::Area(area))
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
