//! What the lane says of reading keys: who was granted which, and which one to write with.

use core::cmp::Reverse;

use super::body::{Grant, PublishedKey, Rung};
use super::lane::Lane;
use super::statement::Statement;
use crate::id::{AreaTag, CertId, EpochId, StatementId};
use crate::trust::{AreaScope, Role};

impl Lane {
    /// The grants that count, of one certificate.
    pub fn grants_to(&self, to: CertId) -> impl Iterator<Item = (&Statement, &Grant)> {
        let mine = self.grants.iter().filter(move |((_, holder, _), _)| *holder == to);
        mine.filter(|((_, _, id), (issuer, _))| self.counts(*issuer, id))
            .filter_map(|((_, _, id), (_, grant))| Some((self.statement(id)?, grant)))
    }

    /// The certificates that were granted a key of this area or catchment, whether the grant
    /// counts or not: who holds it holds it. Ids of keys are no secret, so what an authority of
    /// another area says of them is left out.
    pub fn holders_of(
        &self,
        epoch: EpochId,
        opens: AreaScope,
    ) -> impl Iterator<Item = CertId> + use<'_> {
        let all = (epoch, CertId([0; 16]), StatementId([0; 16]))
            ..=(epoch, CertId([u8::MAX; 16]), StatementId([u8::MAX; 16]));
        let of_it = self.grants.range(all).filter(move |(_, (_, grant))| grant.opens == opens);
        of_it.map(|((_, holder, _), _)| *holder)
    }

    /// The certificates that were granted a published key, or the secret from which it derives.
    fn holders_of_key(&self, key: &PublishedKey) -> impl Iterator<Item = CertId> + use<'_> {
        let catchment = AreaScope::Catchment(key.area.catchment());
        let derive = self.holders_of(key.catchment_epoch, catchment);
        self.holders_of(key.epoch, AreaScope::Area(key.area)).chain(derive)
    }

    /// The rungs that count.
    pub fn rungs(&self) -> impl Iterator<Item = &Rung> {
        let counting = self.rungs.iter().filter(|(id, (issuer, _))| self.counts(*issuer, id));
        counting.map(|(_, (_, rung))| rung)
    }

    /// The published keys that count.
    pub fn published(&self) -> impl Iterator<Item = &PublishedKey> {
        let all = self.published.iter();
        all.filter(|((_, _, id), (issuer, _))| self.counts(*issuer, id)).map(|(_, (_, key))| key)
    }

    /// The published keys of an area that count, the one to write with first: no shut-out device
    /// was granted it; every hub and gateway of the catchment was; it is the newest.
    #[must_use]
    pub fn writing_keys(&self, area: AreaTag) -> Vec<PublishedKey> {
        let all = (area, EpochId([0; 16]), StatementId([0; 16]))
            ..=(area, EpochId([u8::MAX; 16]), StatementId([u8::MAX; 16]));
        let mut keys: Vec<PublishedKey> = self
            .published
            .range(all)
            .filter(|((_, _, id), (issuer, _))| self.counts(*issuer, id))
            .map(|(_, (_, key))| *key)
            .collect();
        keys.sort_by_cached_key(|key| {
            let order = (key.generation, key.rotation, key.epoch);
            Reverse((self.is_clean(key), self.is_shared(key), order))
        });
        keys.dedup_by_key(|key| key.epoch);
        keys
    }

    /// Whether no device that is shut out was granted this key.
    #[must_use]
    pub fn is_clean(&self, key: &PublishedKey) -> bool {
        self.holders_of_key(key).all(|holder| self.is_good(&holder))
    }

    /// Whether every hub and gateway of the area's catchment was granted this key.
    fn is_shared(&self, key: &PublishedKey) -> bool {
        let scope = AreaScope::Area(key.area);
        self.certificates()
            .filter(|(_, one)| matches!(one.role, Role::Hub | Role::Gateway) && one.covers(&scope))
            .filter(|(id, _)| self.is_good(id))
            .all(|(id, _)| self.holders_of_key(key).any(|holder| holder == *id))
    }
}
