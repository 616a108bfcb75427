//! Law: a member that knows of a revocation, and was granted a key that the revoked device was
//! not, writes nothing new under a key that the revoked device was granted.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{Grant, PublishedKey, Statement, kind};
use huza_crdt::id::{AreaTag, CertId, EpochId};

use super::shut_out::Known;
use crate::violation::{Broken, Law};

/// Time from the choice of a key until the sealed payload is given to the disk. // guess: the
/// slowest disk, several times over
const SEALING_MS_MAX: u64 = 60_000;

/// Whether the holder of the certificate `mine` may seal for `area` under `epoch`.
pub(crate) fn of_today(
    (area, epoch): (AreaTag, EpochId),
    mine: CertId,
    known: &Known,
    now: u64,
) -> Result<(), Broken> {
    let before = |(since, _): &&(u64, Statement)| since.saturating_add(SEALING_MS_MAX) < now;
    let statements: Vec<&Statement> =
        known.learned.iter().filter(before).map(|(_, one)| one).collect();
    let mut holders: BTreeMap<EpochId, BTreeSet<CertId>> = BTreeMap::new();
    let mut keys: BTreeMap<EpochId, PublishedKey> = BTreeMap::new();
    let mut revoked = BTreeSet::new();
    for statement in &statements {
        match statement.kind() {
            kind::GRANT => {
                let Ok(grant) = codec::decode::<Grant>(statement.body()) else { continue };
                holders.entry(grant.epoch).or_default().insert(grant.to);
            }
            kind::PUBLISHED_KEY => {
                let Ok(key) = codec::decode::<PublishedKey>(statement.body()) else { continue };
                if key.area == area {
                    keys.insert(key.epoch, key);
                }
            }
            _ => revoked.extend(super::shut_out::revoked_by(statement)),
        }
    }
    let held_by = |key: &PublishedKey| -> BTreeSet<CertId> {
        let epochs = [key.epoch, key.catchment_epoch];
        epochs.iter().flat_map(|epoch| holders.get(epoch)).flatten().copied().collect()
    };
    let dirty = |key: &PublishedKey| held_by(key).iter().any(|one| revoked.contains(one));
    let Some(used) = keys.get(&epoch).filter(|key| dirty(key)) else { return Ok(()) };
    match keys.values().find(|key| !dirty(key) && held_by(key).contains(&mine)) {
        None => Ok(()),
        Some(better) => {
            let evidence = format!(
                "sealed under a key of rotation {} of generation {}, which a revoked device \
                 holds; rotation {} of generation {} was granted since",
                used.rotation, used.generation, better.rotation, better.generation
            );
            Err(Broken::new(Law::CleanKeys, evidence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shut_out::tests::{revocation, said};
    use super::*;
    use huza_crdt::crypto::SealingKey;
    use huza_crdt::trust::AreaScope;

    const AREA: AreaTag = AreaTag([4; 16]);
    const MINE: CertId = CertId([1; 16]);
    const STOLEN: CertId = CertId([2; 16]);

    fn key(epoch: u8, number: u64) -> Statement {
        let public = SealingKey::from_seed([epoch; 32]).public();
        let (epoch, catchment_epoch) = (EpochId([epoch; 16]), EpochId([99; 16]));
        let rotation = u32::from(epoch.0[0]);
        let body =
            PublishedKey { area: AREA, epoch, catchment_epoch, generation: 0, rotation, public };
        said(number, kind::PUBLISHED_KEY, codec::encode(&body))
    }

    fn grant(to: CertId, epoch: u8, number: u64) -> Statement {
        let opens = AreaScope::Area(AREA);
        let body = Grant { to, opens, epoch: EpochId([epoch; 16]), sealed: vec![1] };
        said(number, kind::GRANT, codec::encode(&body))
    }

    #[test]
    fn a_member_that_goes_on_with_a_key_that_a_thief_holds_is_found() {
        let mut known = Known::default();
        for one in [key(10, 1), grant(MINE, 10, 2), grant(STOLEN, 10, 3), revocation(STOLEN)] {
            known.learn(one, 0);
        }
        let seal = |known: &Known, epoch: u8, now| {
            of_today((AREA, EpochId([epoch; 16])), MINE, known, now)
        };
        assert!(seal(&known, 10, 900_000).is_ok(), "it has no other");
        for one in [key(11, 4), grant(CertId([3; 16]), 11, 5)] {
            known.learn(one, 0);
        }
        assert!(seal(&known, 10, 900_000).is_ok(), "it was not given the other");
        known.learn(grant(MINE, 11, 6), 1_000);
        assert!(seal(&known, 10, 30_000).is_ok(), "it was sealing already");
        assert_eq!(seal(&known, 10, 900_000).unwrap_err().law, Law::CleanKeys);
        assert!(seal(&known, 11, 900_000).is_ok());
    }
}
