//! Who may say what: the rules by which a statement is accepted, kind by kind.
//!
//! They look at certificates only, never at revocations, so that a statement is accepted or not
//! whatever came first. Whether it counts is another question: see `standing`.

use super::body::{Body, Erasure, Opening, Receipt, ReceiptKind, Revocation};
use super::lane::{Lane, LaneError};
use super::statement::{Scope, Statement};
use crate::id::{AreaTag, CertId};
use crate::limits::CHAIN_MAX;
use crate::time::Stamp;
use crate::trust::{AreaScope, Certificate, CertificateError, Issuer, Role};

/// Seconds by which one authority alone may carry programme time forward (design section 5).
const TIME_STEP_SECONDS: i64 = 30 * 86_400;

impl Lane {
    /// Whether a statement's issuer may say it.
    pub(super) fn check(&self, statement: &Statement, body: &Body) -> Result<(), LaneError> {
        let issuer = statement.issuer();
        let scope = statement.scope();
        let within = |area: AreaTag| {
            scope == Scope::Catchment(area.catchment())
                && self.governs(issuer, &AreaScope::Area(area))
        };
        let entitled = match body {
            Body::Certificate(cose) => return self.check_certificate(issuer, cose),
            Body::Opening(opening) => self.may_open(issuer, scope, opening),
            Body::Grant(grant) => {
                self.certificate(&grant.to).ok_or(LaneError::UnknownDevice)?;
                self.governs(issuer, &grant.opens)
            }
            Body::PublishedKey(key) => within(key.area),
            Body::Receipt(receipt) => self.may_vouch(issuer, scope, receipt)?,
            Body::ForkProof(proof) => {
                let opening = self.opening(&proof.log()).ok_or(LaneError::UnknownLog)?;
                proof.holds(opening.device)
            }
            Body::Revocation(revocation) => self.may_revoke(issuer, scope, revocation)?,
            Body::Admission(admission) => {
                within(self.opening(&admission.log).ok_or(LaneError::UnknownLog)?.area)
            }
            Body::Erasure(erasure) => within(erasure.area) && self.may_erase(issuer, erasure)?,
            Body::Rung(rung) => self.governs(issuer, &rung.opens),
            Body::ProgrammeTime(_) => scope == Scope::Programme && self.is_authority(issuer),
            Body::Form => self.governs(
                issuer,
                &match scope {
                    Scope::Programme => AreaScope::Programme,
                    Scope::Catchment(tag) => AreaScope::Catchment(tag),
                },
            ),
            Body::Unread => true,
        };
        if entitled { Ok(()) } else { Err(LaneError::NotEntitled) }
    }

    fn check_certificate(&self, issuer: Issuer, cose: &[u8]) -> Result<(), LaneError> {
        let (certificate, _) = Certificate::read(cose, |issuer| self.key_of(issuer))?;
        if certificate.programme != self.programme() {
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

    fn may_open(&self, issuer: Issuer, scope: Scope, opening: &Opening) -> bool {
        issuer == Issuer::Certified(opening.certificate)
            && scope == Scope::Catchment(opening.area.catchment())
            && self.certificate(&opening.certificate).is_some_and(|certificate| {
                certificate.device == opening.device && certificate.role != Role::Relay
            })
    }

    fn may_vouch(
        &self,
        issuer: Issuer,
        scope: Scope,
        receipt: &Receipt,
    ) -> Result<bool, LaneError> {
        let opening = self.opening(&receipt.log).ok_or(LaneError::UnknownLog)?;
        let known = match issuer {
            Issuer::Programme => None,
            Issuer::Certified(id) => self.certificate(&id),
        };
        let entitled = match receipt.kind {
            ReceiptKind::Stored | ReceiptKind::Shown => known.is_some(),
            ReceiptKind::Accepted | ReceiptKind::Refused => known
                .is_some_and(|known| known.role == Role::Gateway && serves(known, opening.area)),
        };
        Ok(scope == Scope::Catchment(opening.area.catchment()) && entitled)
    }

    /// An authority revokes what is within its areas and no nearer to the programme's key than
    /// itself.
    fn may_revoke(
        &self,
        issuer: Issuer,
        scope: Scope,
        revocation: &Revocation,
    ) -> Result<bool, LaneError> {
        let id = revocation.certificate;
        let target = self.certificate(&id).ok_or(LaneError::UnknownDevice)?;
        Ok(scope == Scope::Programme
            && self.is_authority(issuer)
            && self.rank(issuer) <= self.rank(Issuer::Certified(id))
            && target.areas.iter().all(|area| self.governs(issuer, area)))
    }

    /// An erasure names logs of its area only, and re-issues in a log of its own device.
    fn may_erase(&self, issuer: Issuer, erasure: &Erasure) -> Result<bool, LaneError> {
        for (log, _) in &erasure.gone {
            if self.opening(log).ok_or(LaneError::UnknownLog)?.area != erasure.area {
                return Ok(false);
            }
        }
        let Some(reissue) = &erasure.reissue else { return Ok(true) };
        let opening = self.opening(&reissue.log).ok_or(LaneError::UnknownLog)?;
        Ok(opening.area == erasure.area && self.key_of(issuer) == Some(opening.device))
    }

    /// The standing of an issuer towards others: the programme's key has 0, who is certified by it
    /// 1, and so on; but the authority devices of one centre are of one rank, whichever of them
    /// approved which. Their centre's paper key is above them.
    pub(super) fn rank(&self, issuer: Issuer) -> usize {
        let mut chain = Vec::new();
        let mut next = issuer;
        while let Issuer::Certified(id) = next
            && let Some(certificate) = self.certificate(&id)
            && chain.len() < CHAIN_MAX
        {
            chain.push(certificate);
            next = certificate.issuer;
        }
        chain.reverse();
        let peer = |three: &[&Certificate]| match three {
            [paper, one, other] => {
                let authority = other.role == Role::Authority;
                authority && paper.areas == one.areas && one.areas == other.areas
            }
            _ => false,
        };
        chain.len() - chain.windows(3).filter(|three| peer(three)).count()
    }

    /// Whether a certificate is of a key on paper: an authority's that does not stand below one of
    /// the same areas.
    #[must_use]
    pub fn is_paper(&self, certificate: &CertId) -> bool {
        let Some(known) = self.certificate(certificate) else { return false };
        let above = match known.issuer {
            Issuer::Programme => None,
            Issuer::Certified(id) => self.certificate(&id),
        };
        known.role == Role::Authority && above.is_none_or(|above| above.areas != known.areas)
    }

    fn is_authority(&self, issuer: Issuer) -> bool {
        match issuer {
            Issuer::Programme => true,
            Issuer::Certified(id) => {
                self.certificate(&id).is_some_and(|known| known.role == Role::Authority)
            }
        }
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

    /// Whether a receipt's word counts for its log: it is of a trusted hub or gateway whose areas
    /// contain the log's, for the store that it vouches with today. Others may sign `Stored` as
    /// second witnesses.
    #[must_use]
    pub fn is_weighty(&self, issuer: CertId, receipt: &Receipt) -> bool {
        let known = self.certificate(&issuer).zip(self.opening(&receipt.log));
        known.is_some_and(|(known, opening)| {
            matches!(known.role, Role::Hub | Role::Gateway) && serves(known, opening.area)
        }) && self.is_good(&issuer)
            && self.is_current(Issuer::Certified(issuer), receipt)
    }

    /// Programme time: the greatest time that an authority has signed, in a statement of its own
    /// or as the date of a certificate. A step of more than 30 days counts only if
    /// the programme's key or two issuers say so.
    #[must_use]
    pub fn programme_time(&self) -> Option<Stamp> {
        let dated = self
            .certificates()
            .filter(|(id, _)| self.is_good(id))
            .map(|(_, certificate)| (certificate.issued, certificate.issuer));
        let said = self.times.iter().filter(|(issuer, (id, _))| self.counts(**issuer, id));
        let mut signed: Vec<(Stamp, Issuer)> =
            dated.chain(said.map(|(issuer, (_, time))| (*time, *issuer))).collect();
        signed.sort_unstable();
        let mut now = signed.first()?.0;
        for (index, (time, issuer)) in signed.iter().enumerate() {
            let later = signed.get(index..).unwrap_or_default();
            let seconded = later.iter().any(|(_, by)| by != issuer);
            let small = time.0.saturating_sub(now.0) <= TIME_STEP_SECONDS;
            if small || *issuer == Issuer::Programme || seconded {
                now = *time;
            }
        }
        Some(now)
    }
}

/// Whether a certificate's areas contain `area`; the directory is everybody's.
fn serves(certificate: &Certificate, area: AreaTag) -> bool {
    area == crate::trust::directory_area() || certificate.covers(&AreaScope::Area(area))
}
