//! What the lane says of erasures.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::body::{EnvelopePlace, Erasure};
use super::lane::Lane;
use crate::id::{LogId, StatementId};

impl Lane {
    /// Every erasure that counts.
    #[must_use]
    pub fn erasure_ids(&self) -> Vec<StatementId> {
        let all = self.erasures.iter();
        all.filter(|(id, _)| self.erasure(id).is_some()).map(|(id, _)| *id).collect()
    }

    /// One erasure, if it counts: its issuer is trusted, and that of the one that it extends too.
    #[must_use]
    pub fn erasure(&self, id: &StatementId) -> Option<&Erasure> {
        let (issuer, erasure) = self.erasures.get(id)?;
        let first = |id: &StatementId| {
            let first = self.erasures.get(id).filter(|(_, one)| one.extends.is_none());
            first.is_some_and(|(issuer, _)| self.counts(*issuer, id))
        };
        let counts = self.counts(*issuer, id) && erasure.extends.as_ref().is_none_or(first);
        counts.then_some(erasure)
    }

    /// Every erasure that does not count.
    pub fn void_erasures(&self) -> impl Iterator<Item = (&StatementId, &Erasure)> {
        let void = self.erasures.iter().filter(|(id, _)| self.erasure(id).is_none());
        void.map(|(id, (_, erasure))| (id, erasure))
    }

    /// Whether an erasure that counts names this envelope: a stub stands for it then.
    #[must_use]
    pub fn is_erased(&self, log: &LogId, seq: u64) -> bool {
        self.erasures_of(log, seq).next().is_some()
    }

    /// The erasures that count and name this envelope.
    pub fn erasures_of(&self, log: &LogId, seq: u64) -> impl Iterator<Item = &Erasure> {
        self.naming(log, seq).filter_map(|id| self.erasure(&id))
    }

    /// Whether an erasure names this envelope that does not count, and none that does: some hold a
    /// stub of it, which stands for nothing.
    #[must_use]
    pub fn was_erased(&self, log: &LogId, seq: u64) -> bool {
        self.naming(log, seq).next().is_some() && !self.is_erased(log, seq)
    }

    /// The erasures that name this envelope, whether they count or not.
    fn naming(&self, log: &LogId, seq: u64) -> impl Iterator<Item = StatementId> {
        let names = move |id: &StatementId| {
            let gone = self.erasures.get(id).map(|(_, erasure)| &erasure.gone);
            let of_log = gone.and_then(|gone| {
                let at = gone.binary_search_by_key(log, |(log, _)| *log).ok()?;
                gone.get(at)
            });
            of_log.is_some_and(|(_, seqs)| seqs.binary_search(&seq).is_ok())
        };
        self.erased.get(log).into_iter().flatten().copied().filter(names)
    }

    /// The erasures that count and name this envelope, or re-issue others in it.
    #[must_use]
    pub fn erasures_about(&self, log: &LogId, seq: u64) -> Vec<StatementId> {
        if self.erasures.is_empty() {
            return Vec::new();
        }
        let place = |at: &EnvelopePlace| at.log == *log && at.seq == seq;
        let naming = self.naming(log, seq);
        let reissuing = self.erasures.iter();
        let reissuing = reissuing.filter(|(_, (_, one))| one.reissue.as_ref().is_some_and(place));
        let all: BTreeSet<StatementId> = naming.chain(reissuing.map(|(id, _)| *id)).collect();
        all.into_iter().filter(|id| self.erasure(id).is_some()).collect()
    }

    /// The envelopes in which erasures re-issue what stays.
    pub fn reissues(&self) -> impl Iterator<Item = &EnvelopePlace> {
        self.erasures.values().filter_map(|(_, erasure)| erasure.reissue.as_ref())
    }

    /// Of a log, the envelopes that are carried whatever room there is: those that are `urgent`, and
    /// those that re-issue what an order erases, since before they are here it is not carried out.
    pub fn pressing<'a>(&self, log: &LogId, urgent: &'a BTreeSet<u64>) -> Cow<'a, BTreeSet<u64>> {
        let reissues = self.reissues().filter(|place| place.log == *log).map(|place| place.seq);
        let mut pressing = Cow::Borrowed(urgent);
        for seq in reissues.filter(|seq| !urgent.contains(seq)) {
            pressing.to_mut().insert(seq);
        }
        pressing
    }
}
