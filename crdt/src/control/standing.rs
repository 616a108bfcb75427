//! Who is still trusted, and with what: revocations merged, whatever order they came in.
//!
//! A revocation counts if its issuer may speak: if no certificate of the issuer's chain is revoked
//! by somebody *nearer to the programme's key* than the issuer, unless the statement is among those
//! that stay in force. So of two authorities of one rank that revoke each other both are out, and a
//! stolen authority device that revokes everybody is undone from above, with a revocation that
//! names what of it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::body::{Admission, Opening, Reason, Revocation};
use super::lane::Lane;
use super::statement::Statement;
use crate::codec;
use crate::holdings::Held;
use crate::id::{CertId, Hash, LogId, StatementId, hash_parts, truncated};
use crate::trust::Issuer;

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Trusted.
    Good,
    /// Revoked itself.
    Revoked,
    /// Its authority is revoked, and this certificate is not among what stays in force.
    Void,
}

/// Why an envelope is carried and not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    /// It lies beyond what a revocation trusts; an authority may still admit it.
    Beyond,
    /// An authority has rejected it.
    Rejected,
}

/// What all revocations of one certificate say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The statements that say so.
    pub by: BTreeSet<StatementId>,
    /// The first reason given, in the order of statement ids.
    pub reason: Reason,
    /// Log -> where it is cut off: the seq and hash of a header. See [`Lane::cut_off`].
    pub logs: BTreeMap<LogId, BTreeSet<(u64, Hash)>>,
    /// Of an authority: its statements that stay in force.
    pub statements: BTreeSet<StatementId>,
}

/// Every revocation received, and what they come to.
#[derive(Debug, Clone, Default)]
pub(super) struct Revocations {
    all: BTreeMap<StatementId, (Issuer, Revocation)>,
    /// Made when it is asked for, so that many revocations cost one merge and not one each.
    merged: OnceLock<Merged>,
}

/// What is said of each certificate.
type Merged = BTreeMap<CertId, Revoked>;

/// An authority's word on a range of envelopes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verdict {
    pub(super) issuer: Issuer,
    pub(super) number: u64,
    pub(super) statement: StatementId,
    pub(super) admission: Admission,
}

impl Revocations {
    pub(super) fn add(&mut self, id: StatementId, issuer: Issuer, revocation: Revocation) {
        self.all.insert(id, (issuer, revocation));
        self.changed();
    }

    /// What they come to has to be found anew.
    pub(super) fn changed(&mut self) {
        self.merged = OnceLock::new();
    }

    fn merged(&self, lane: &Lane) -> &Merged {
        self.merged.get_or_init(|| self.merge(lane))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that speak of one certificate.
    pub(super) fn of(&self, lane: &Lane, certificate: &CertId) -> Option<&Revoked> {
        self.merged(lane).get(certificate)
    }

    /// Whether a statement of this issuer counts.
    pub(super) fn allow(&self, lane: &Lane, issuer: Issuer, statement: &StatementId) -> bool {
        let (mut issuer, mut statements) = (issuer, BTreeSet::from([*statement]));
        while let Issuer::Certified(id) = issuer {
            if let Some(revoked) = self.merged(lane).get(&id)
                && revoked.statements.is_disjoint(&statements)
            {
                return false;
            }
            // A certificate counts if any statement that holds it does.
            let Some((certificate, holders)) = lane.holders(&id) else { return false };
            (issuer, statements) = (certificate.issuer, holders.clone());
        }
        true
    }

    /// What they come to, rank by rank from the programme's key down.
    fn merge(&self, lane: &Lane) -> Merged {
        let mut ranks: BTreeMap<usize, Vec<(&StatementId, Issuer, &Revocation)>> = BTreeMap::new();
        for (id, (issuer, revocation)) in &self.all {
            ranks.entry(lane.rank(*issuer)).or_default().push((id, *issuer, revocation));
        }
        let mut so_far = Self { merged: OnceLock::from(Merged::new()), ..Self::default() };
        let mut counted: Vec<(&StatementId, Issuer, &Revocation)> = Vec::new();
        for rank in ranks.into_values() {
            // Those of one rank do not silence one another.
            let heard = rank.into_iter().filter(|(id, issuer, _)| so_far.allow(lane, *issuer, id));
            counted.extend(heard);
            so_far.merged = OnceLock::from(together(&counted));
        }
        so_far.merged.into_inner().unwrap_or_default()
    }
}

/// Merges what is said of each certificate: the statements of one issuer add up, those of several
/// issuers leave only what all of them trust.
fn together(counted: &[(&StatementId, Issuer, &Revocation)]) -> Merged {
    let mut by_issuer: BTreeMap<(CertId, Issuer), Revoked> = BTreeMap::new();
    for (id, issuer, said) in counted {
        let of_issuer = by_issuer.entry((said.certificate, *issuer)).or_insert_with(|| Revoked {
            by: BTreeSet::new(),
            reason: said.reason,
            logs: BTreeMap::new(),
            statements: BTreeSet::new(),
        });
        of_issuer.by.insert(**id);
        of_issuer.statements.extend(&said.statements);
        for cut in &said.logs {
            of_issuer.logs.entry(cut.log).or_default().insert((cut.to, cut.end));
        }
    }
    let mut merged = Merged::new();
    for ((certificate, _), said) in by_issuer {
        let Some(all) = merged.get_mut(&certificate) else {
            merged.insert(certificate, said);
            continue;
        };
        all.by.extend(said.by);
        all.statements.retain(|id| said.statements.contains(id));
        all.logs.retain(|log, cuts| said.logs.get(log).map(|more| cuts.extend(more)).is_some());
    }
    merged
}

impl Lane {
    /// How a certificate stands. One that is not known is void.
    #[must_use]
    pub fn standing(&self, certificate: &CertId) -> Standing {
        if self.revocations.of(self, certificate).is_some() {
            return Standing::Revoked;
        }
        let Some((known, holders)) = self.holders(certificate) else { return Standing::Void };
        let counts = |id: &StatementId| self.revocations.allow(self, known.issuer, id);
        if holders.iter().any(counts) { Standing::Good } else { Standing::Void }
    }

    /// Whether a certificate is trusted.
    #[must_use]
    pub fn is_good(&self, certificate: &CertId) -> bool {
        self.standing(certificate) == Standing::Good
    }

    /// What revocations say of a certificate.
    #[must_use]
    pub fn revoked(&self, certificate: &CertId) -> Option<&Revoked> {
        self.revocations.of(self, certificate)
    }

    /// Whether anybody ever said that a certificate is revoked, whether that counts or not.
    #[must_use]
    pub fn was_revoked(&self, certificate: &CertId) -> bool {
        self.revocations.all.values().any(|(_, said)| said.certificate == *certificate)
    }

    /// Whether anybody was ever revoked.
    #[must_use]
    pub fn has_revocations(&self) -> bool {
        !self.revocations.is_empty()
    }

    /// Whether a statement counts: its issuer is trusted, or was when it said this.
    #[must_use]
    pub fn is_in_force(&self, statement: &Statement) -> bool {
        self.counts(statement.issuer(), &statement.id())
    }

    pub(super) fn counts(&self, issuer: Issuer, statement: &StatementId) -> bool {
        self.revocations.is_empty() || self.revocations.allow(self, issuer, statement)
    }

    /// Where the log of a revoked certificate is cut off: the seq and hash of a header. That header
    /// and all that lead to it are trusted. Of several cut-offs the earliest counts; if they name
    /// different headers at one seq, none does, for nothing is trusted by all who said so.
    #[must_use]
    pub fn cut_off(&self, log: &LogId) -> Option<(u64, Hash)> {
        let revoked = self.revocations.of(self, &self.opening(log)?.certificate)?;
        let mut cuts = revoked.logs.get(log)?.iter();
        let first = cuts.next()?;
        cuts.next().is_none_or(|next| next.0 > first.0).then_some(*first)
    }

    /// The headers of a log that judgements name: seq and hash. Which of them are held says of
    /// which history the log is held.
    #[must_use]
    pub fn ends(&self, log: &LogId) -> BTreeSet<(u64, Hash)> {
        let verdicts = self.verdicts.get(log).into_iter().flatten();
        let verdicts = verdicts.map(|one| (one.admission.to, one.admission.end));
        self.cut_off(log).into_iter().chain(verdicts).collect()
    }

    /// Whether revocations or admissions say something of a log.
    #[must_use]
    pub fn is_judged(&self, log: &LogId) -> bool {
        let shut_out = |opening: &Opening| !self.is_good(&opening.certificate);
        self.verdicts.contains_key(log)
            || (self.has_revocations() && self.opening(log).is_some_and(shut_out))
    }

    /// Whether an envelope that is held is to be carried and not read. `held`: what is held of its
    /// log. An envelope is trusted if the headers from there to the cut-off are held, for the hash
    /// of that one says which history it is: who has the signing key can write another.
    #[must_use]
    pub fn quarantine(&self, log: &LogId, seq: u64, held: &Held) -> Option<Quarantine> {
        if self.revocations.is_empty() && self.verdicts.is_empty() {
            return None;
        }
        let opening = self.opening(log)?;
        let leads = |end| held.branch(end).is_some_and(|span| span.contains(seq));
        let standing = self.standing(&opening.certificate);
        let trusted = match standing {
            Standing::Good => true,
            Standing::Void => false,
            Standing::Revoked => self.cut_off(log).is_some_and(leads),
        };
        let mut newest: BTreeMap<Issuer, (u64, StatementId, bool)> = BTreeMap::new();
        for verdict in self.verdicts.get(log).into_iter().flatten() {
            let Admission { from, to, end, admit, .. } = verdict.admission;
            // What is admitted must be that history, and so must what is rejected of a device that
            // is shut out, since a thief can write another. Else it must not be another one.
            let meant = if admit || standing != Standing::Good {
                leads((to, end))
            } else {
                held.hash_at(to).is_none_or(|hash| hash == end)
            };
            let named = (from..=to).contains(&seq) && meant;
            if !named || !self.counts(verdict.issuer, &verdict.statement) {
                continue;
            }
            let said = (verdict.number, verdict.statement, admit);
            let known = newest.entry(verdict.issuer).or_insert(said);
            *known = (*known).max(said);
        }
        if newest.values().any(|(_, _, admit)| !admit) {
            return Some(Quarantine::Rejected);
        }
        let admitted = !newest.is_empty();
        (!trusted && !admitted).then_some(Quarantine::Beyond)
    }

    /// A digest of every revocation and admission that counts, and of who is shut out: while it is
    /// the same, so is what is quarantined. Zeros if there is none.
    #[must_use]
    pub fn judgements(&self) -> [u8; 16] {
        let verdicts = self.verdicts.values().flatten();
        let verdicts = verdicts.filter(|one| self.counts(one.issuer, &one.statement));
        let revoked = self.revocations.merged(self).values();
        let revoked = revoked.flat_map(|revoked| &revoked.by).copied();
        let all: BTreeSet<StatementId> = revoked.chain(verdicts.map(|one| one.statement)).collect();
        if all.is_empty() {
            return [0; 16];
        }
        // A certificate that is said once more may stand again without any new revocation.
        let out = self.certificates().map(|(id, _)| *id).filter(|id| !self.is_good(id));
        let out: BTreeSet<CertId> = out.collect();
        truncated(hash_parts("huza 2026 judgements", &[&codec::encode(&(all, out))]))
    }

    /// Logs of which revocations or admissions say something.
    #[must_use]
    pub fn judged_logs(&self) -> BTreeSet<LogId> {
        let revoked = self.revocations.merged(self).keys();
        let mut logs: BTreeSet<LogId> = revoked.flat_map(|id| self.logs_under(*id)).collect();
        logs.extend(self.verdicts.keys());
        logs
    }

    /// Logs that were opened under a certificate, or under one that it issued.
    pub fn logs_under(&self, certificate: CertId) -> impl Iterator<Item = LogId> {
        let under = move |mut id: CertId| loop {
            if id == certificate {
                return true;
            }
            match self.certificate(&id).map(|known| known.issuer) {
                Some(Issuer::Certified(above)) => id = above,
                Some(Issuer::Programme) | None => return false,
            }
        };
        self.openings().filter(move |(_, one)| under(one.certificate)).map(|(log, _)| *log)
    }
}
