//! Law: at the end all good nodes agree on what is quarantined, and it is what revocations and
//! admissions say. Nobody in these worlds revokes an authority, so every word counts.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{Admission, Revocation, kind};
use huza_crdt::id::{CertId, Hash, LogId, StatementId};
use huza_crdt::node::QuarantinedLog;
use huza_crdt::trust::Issuer;

use crate::audit::Place;
use crate::disk::Durable;
use crate::violation::{Broken, Law};

/// Log -> where one issuer cuts it off: seqs, with the hashes of the headers there.
type CutOffs = BTreeMap<LogId, BTreeSet<(u64, Hash)>>;

/// What is quarantined on a disk: place -> whether it was rejected.
pub(crate) type Quarantined = BTreeMap<Place, bool>;

/// What revocations and admissions on a disk say of the envelopes on it.
pub(crate) fn on_disk(durable: &Durable) -> Quarantined {
    let mut revocations: BTreeMap<CertId, BTreeMap<Issuer, CutOffs>> = BTreeMap::new();
    let mut admissions: Vec<(Issuer, u64, StatementId, Admission)> = Vec::new();
    for statement in durable.carrier.statements() {
        let issuer = statement.issuer();
        if statement.kind() == kind::ADMISSION
            && let Ok(admission) = codec::decode(statement.body())
        {
            admissions.push((issuer, statement.number(), statement.id(), admission));
        }
        if statement.kind() == kind::REVOCATION
            && let Ok(revocation) = codec::decode::<Revocation>(statement.body())
        {
            let of = revocations.entry(revocation.certificate).or_default();
            let mine = of.entry(issuer).or_default();
            for cut in revocation.logs {
                mine.entry(cut.log).or_default().insert((cut.to, cut.end));
            }
        }
    }
    admissions.sort_by_key(|(_, number, id, _)| (*number, *id));
    let mut found = Quarantined::new();
    if revocations.is_empty() && admissions.is_empty() {
        return found;
    }
    let envelopes = durable.carrier.envelopes();
    let headers: BTreeMap<Place, Hash> = envelopes.map(|(place, one)| (place, one.hash)).collect();
    // Whether all headers from there to the one with this hash are on the disk.
    let leads = |log: LogId, seq: u64, (to, end): (u64, Hash)| {
        seq <= to
            && headers.get(&(log, to)) == Some(&end)
            && (seq..to).all(|between| headers.contains_key(&(log, between)))
    };
    for (log, seq) in headers.keys().copied() {
        let opening = durable.carrier.opening(log);
        let said = opening.and_then(|one| revocations.get(&one.certificate));
        // Everybody who revoked it has to trust it: up to the first cut-off, if they agree on it.
        let beyond = said.is_some_and(|said| {
            let cuts: BTreeSet<(u64, Hash)> =
                said.values().filter_map(|cuts| cuts.get(&log)).flatten().copied().collect();
            let mut cuts = cuts.into_iter();
            let first = cuts.next().filter(|_| said.values().all(|cuts| cuts.contains_key(&log)));
            let agreed = first.filter(|first| cuts.next().is_none_or(|next| next.0 > first.0));
            agreed.is_none_or(|first| !leads(log, seq, first))
        });
        // Of each issuer the last word.
        let mut words: BTreeMap<Issuer, bool> = BTreeMap::new();
        for (issuer, _, _, one) in &admissions {
            // Of a device that is shut out, a thief may have written what is rejected.
            let meant = if one.admit || said.is_some() {
                leads(log, seq, (one.to, one.end))
            } else {
                headers.get(&(log, one.to)).is_none_or(|hash| *hash == one.end)
            };
            if one.log == log && (one.from..=one.to).contains(&seq) && meant {
                words.insert(*issuer, one.admit);
            }
        }
        if words.values().any(|admit| !admit) {
            found.insert((log, seq), true);
        } else if beyond && words.is_empty() {
            found.insert((log, seq), false);
        }
    }
    found
}

/// Whether a node says the same.
pub(crate) fn agreed(expected: &Quarantined, told: &[QuarantinedLog]) -> Result<(), Broken> {
    let mut says = Quarantined::new();
    for one in told {
        for (from, to, rejected) in &one.runs {
            says.extend((*from..=*to).map(|seq| ((one.log, seq), *rejected)));
        }
    }
    if says == *expected {
        return Ok(());
    }
    let all: BTreeSet<&Place> = says.keys().chain(expected.keys()).collect();
    let differs = all.into_iter().find(|place| says.get(place) != expected.get(place));
    let evidence = differs.map(|place| {
        let (is, should) = (says.get(place), expected.get(place));
        format!("{} of log {}: it says {is:?}, expected {should:?}", place.1, place.0.short())
    });
    Err(Broken::new(Law::QuarantineAgreed, evidence.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_forgets_a_quarantine_or_invents_one_is_found() {
        let log = LogId([1; 32]);
        let expected = Quarantined::from([((log, 3), false), ((log, 4), false), ((log, 5), true)]);
        let told = |runs: &[(u64, u64, bool)]| {
            let certificate = CertId([2; 16]);
            agreed(&expected, &[QuarantinedLog { log, certificate, runs: runs.to_vec() }])
        };
        assert!(told(&[(3, 4, false), (5, 5, true)]).is_ok());
        for wrong in [&[(3, 4, false)][..], &[(3, 5, false)], &[(2, 4, false), (5, 5, true)], &[]] {
            assert_eq!(told(wrong).unwrap_err().law, Law::QuarantineAgreed);
        }
    }
}
