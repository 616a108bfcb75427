//! Laws for the end of a run, when the faults are over and everybody has met: all members hold
//! the same, nothing promised is lost, readers show what the envelopes say, and the facility has
//! exactly that.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::codec;
use huza_crdt::control::{Erasure, kind};
use huza_crdt::envelope::{ForkProof, Urgency};
use huza_crdt::id::{CatchmentTag, DeviceKey, LogId, Origin, RecordId};
use huza_crdt::node::{RecordStatus, Status};
use huza_crdt::record::{Forms, project, view_of};
use huza_crdt::store::Table;
use huza_crdt::trust::directory_area;

use crate::audit::{Model, Place, Told, place_of};
use crate::disk::Durable;
use crate::facility::Facility;
use crate::host::{HostId, Nature};
use crate::ledger::{Entry, Ledger};
use crate::programme::Auditor;
use crate::token::{Token, Tokens};
use crate::violation::{Broken, Law};

/// Resources by key, as a facility keeps them.
pub(crate) type Resources = BTreeMap<String, String>;

/// A disk, its owner's name, and the catchments of which the owner keeps everything.
pub(crate) type Kept<'a> = (&'a str, &'a Durable, BTreeSet<CatchmentTag>);

/// Whether all of these disks hold the same statements, and of the envelopes those that their owners
/// keep.
pub(crate) fn same_holdings<'a>(disks: &[Kept<'a>]) -> Result<(), Broken> {
    let forked: BTreeSet<LogId> =
        disks.iter().flat_map(|(_, durable, _)| forked_logs(durable)).collect();
    let openings: BTreeMap<LogId, CatchmentTag> = disks
        .iter()
        .flat_map(|(_, durable, _)| durable.carrier.openings())
        .map(|(log, opening)| (log, opening.area.catchment()))
        .collect();
    for table in [Table::Envelopes, Table::Statements] {
        let whole = |key: &&[u8]| place_of(key).is_none_or(|(log, _)| !forked.contains(&log));
        let keys = |durable: &'a Durable| -> BTreeSet<&'a [u8]> {
            durable.rows(table).map(|(key, _)| key).filter(whole).collect()
        };
        let all: Vec<BTreeSet<&[u8]>> = disks.iter().map(|(_, durable, _)| keys(durable)).collect();
        let union: BTreeSet<&[u8]> = all.iter().flatten().copied().collect();
        for ((name, _, home), keys) in disks.iter().zip(&all) {
            let kept = |key: &&[u8]| {
                let catchment = place_of(key).and_then(|(log, _)| openings.get(&log));
                table == Table::Statements || catchment.is_none_or(|tag| home.contains(tag))
            };
            let mut wanted = union.iter().copied().filter(kept);
            if let Some(missing) = wanted.find(|key| !keys.contains(*key)) {
                let missing = huza_crdt::id::hex(missing);
                let evidence = format!(
                    "{name} holds {} of {} {table:?}; not {missing}",
                    keys.len(),
                    union.len()
                );
                return Err(Broken::new(Law::Converges, evidence));
            }
        }
    }
    Ok(())
}

/// Whether a device carries no more for others than it is set to, apart from its own envelopes, urgent
/// ones, and those that re-issue what an order erases.
pub(crate) fn within_quota(
    (name, durable, home): &Kept<'_>,
    own: Option<DeviceKey>,
    bytes_max: u64,
) -> Result<(), Broken> {
    let carrier = &durable.carrier;
    let reissues: BTreeSet<Place> = carrier
        .statements()
        .filter(|one| one.kind() == kind::ERASURE)
        .filter_map(|one| codec::decode::<Erasure>(one.body()).ok()?.reissue)
        .map(|place| (place.log, place.seq))
        .collect();
    let borrowed = carrier.envelopes().filter(|(place, _)| {
        let opening = carrier.opening(place.0).filter(|_| !reissues.contains(place));
        opening.is_some_and(|one| !home.contains(&one.area.catchment()) && Some(one.device) != own)
    });
    let wires = borrowed.map(|(_, one)| &one.stored.wire);
    let routine = wires.filter(|wire| wire.urgency == Urgency::Routine);
    let bytes: u64 = routine.map(|wire| wire.bytes() as u64).sum();
    if bytes <= bytes_max {
        return Ok(());
    }
    let evidence = format!("{name} carries {bytes} bytes for others, of {bytes_max}");
    Err(Broken::new(Law::WithinQuota, evidence))
}

/// The logs that are proven to be forked.
fn forked_logs(durable: &Durable) -> Vec<LogId> {
    let proofs = durable.carrier.statements().filter(|one| one.kind() == kind::FORK_PROOF);
    proofs.filter_map(|one| codec::decode::<ForkProof>(one.body()).ok()).map(|p| p.log()).collect()
}

/// Whether a device has nothing left to do, and all its receipts came home. A facility does not
/// answer for what waits for something quarantined, nor anybody for a branch of a forked log, nor
/// for envelopes that were lost with devices while some reader still shows what was in them.
pub(crate) fn at_rest(
    status: &Status,
    (judged, forked): (bool, bool),
    lost: &BTreeSet<RecordId>,
) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken::new(Law::Converges, what));
    // Envelopes of others' villages wait for a key for ever; whether one waits that should not is
    // seen in what the reader shows.
    if status.pending > 0 {
        return broken(format!("{} changes pending", status.pending));
    }
    let home = |record: &&RecordStatus| {
        let answered = record.accepted || record.refused || judged;
        record.pending == 0 && (forked || record.stored && answered)
    };
    let mut whole = status.records.iter().filter(|one| !lost.contains(&one.record));
    match whole.find(|record| !home(record)) {
        None => Ok(()),
        Some(RecordStatus {
            record, changes, pending, taken, stored, accepted, refused, ..
        }) => broken(format!(
            "record {record}: {changes} changes, {pending} pending, taken by {taken}, stored \
                 {stored}, accepted {accepted}, refused {refused}"
        )),
    }
}

/// What befell hosts and records by decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fates<'a> {
    /// The hosts that are trusted.
    pub(crate) good: &'a [HostId],
    /// Those whose stores were replaced by a copy that did not know it was one.
    pub(crate) twins: &'a BTreeSet<HostId>,
    /// Canaries of erased records.
    pub(crate) erased: &'a BTreeSet<Token>,
}

impl Fates<'_> {
    /// Whether a promise has to be kept: a good device gave it, and no order ended it.
    pub(crate) fn owes(&self, token: &Token, entry: &Entry) -> bool {
        let owing = |host: &&HostId| {
            self.good.contains(host) && !self.twins.contains(host) && !entry.excused.contains(host)
        };
        !self.erased.contains(token) && entry.acked.iter().any(|host| owing(&host))
    }
}

/// Whether every promise is kept by the envelopes that all hold together: each acknowledged write
/// of a good device is shown, or quarantined, or erased.
pub(crate) fn nothing_lost(
    ledger: &Ledger,
    model: &Model,
    tokens: &Tokens,
    fates: &Fates<'_>,
) -> Result<(), Broken> {
    let broken = |token: &Token, what: &str| {
        let who: Vec<u32> =
            ledger.entries.get(token).iter().flat_map(|e| &e.acked).map(|host| host.0).collect();
        let evidence = format!("{} acknowledged by hosts {who:?} {what}", token.as_str());
        Err(Broken::new(Law::WrittenIsVisible, evidence))
    };
    if let Some((place, why)) = model.unread.first_key_value() {
        let evidence = format!("envelope {} of log {}: {why}", place.1, place.0.short());
        return Err(Broken::new(Law::WrittenIsVisible, evidence));
    }
    let mut visible = BTreeSet::new();
    // What was lost may be what others wait for.
    let lost = ledger.lost_in();
    for Told { document, view, .. } in model.records() {
        let held_back = lost.contains(&document.record());
        let held_back =
            held_back || model.held_back.contains(&document.record()) || !fates.twins.is_empty();
        if !held_back && (document.waiting() > 0 || !document.set_aside().is_empty()) {
            let (record, aside) = (document.record(), document.set_aside());
            let waiting = document.waiting();
            let evidence = format!("record {record}: {waiting} changes wait, set aside: {aside:?}");
            return Err(Broken::new(Law::NothingSetAside, evidence));
        }
        visible.extend(tokens.find(view));
    }
    let latest = latest_versions(ledger, model);
    for (token, entry) in ledger.entries.iter().filter(|(token, entry)| fates.owes(token, entry)) {
        let Some(record) = model.tokens.get(token) else {
            return broken(token, "is in no envelope");
        };
        let overtaken = entry
            .version
            .as_ref()
            .is_some_and(|(key, version)| latest.get(key).is_some_and(|latest| latest > version));
        let held_back = model.held_back.contains(record);
        if !overtaken && !held_back && !visible.contains(token) {
            return broken(token, "is in an envelope and no value shows it");
        }
    }
    Ok(())
}

/// The latest version of each resource that any envelope holds.
fn latest_versions<'a>(ledger: &'a Ledger, model: &Model) -> BTreeMap<&'a String, u64> {
    let mut latest = BTreeMap::new();
    for (token, entry) in &ledger.entries {
        if let Some((key, version)) = &entry.version
            && model.tokens.contains_key(token)
        {
            let known: &mut u64 = latest.entry(key).or_default();
            *known = (*known).max(*version);
        }
    }
    latest
}

/// A change as a reader has filed it, as far as this simulation must know: where it is, where else,
/// and its bytes.
type ChangeRow = (Option<Place>, BTreeSet<Place>, Vec<u8>);

/// What a reader has filed of some records.
pub(crate) fn filed(durable: &Durable, records: &BTreeSet<RecordId>) -> Resources {
    let mut changes: BTreeMap<RecordId, Vec<(Origin, Vec<u8>)>> = BTreeMap::new();
    for (key, value) in durable.rows(Table::Changes) {
        let Some((record, place)) = key.split_at_checked(RecordId::LEN) else { continue };
        let of = RecordId::from_slice(record).filter(|record| records.contains(record));
        let row = codec::decode::<ChangeRow>(value).ok();
        if let (Some(record), Some((log, counter)), Some((.., raw))) = (of, place_of(place), row) {
            changes.entry(record).or_default().push((Origin { log, counter }, raw));
        }
    }
    let views = changes.iter().map(|(record, changes)| {
        let raw = changes.iter().map(|(origin, raw)| (*origin, raw.as_slice()));
        view_of(*record, raw)
    });
    let resources = views.flat_map(|view| project(&view, &Forms::built_in()));
    resources.map(|resource| (resource.key, resource.text)).collect()
}

/// What a device of this nature should show, were the model all that there is.
pub(crate) fn expected(model: &Model, nature: &Nature, auditor: &Auditor) -> Resources {
    let mut areas: BTreeSet<_> =
        nature.covers.iter().filter_map(|village| auditor.area(*village)).collect();
    areas.insert(directory_area());
    let records = model.records().iter().filter(|one| areas.contains(&one.area));
    let resources = records.flat_map(|one| &one.resources);
    resources.map(|resource| (resource.key.clone(), resource.text.clone())).collect()
}

/// What a facility was surely given: what it had of records of which something is quarantined is
/// not taken back.
pub(crate) fn without(expected: &Resources, model: &Model) -> Resources {
    let is_held_back = |one: &&Told| model.held_back.contains(&one.document.record());
    let held_back = model.records().iter().filter(is_held_back);
    let keys: BTreeSet<&str> =
        held_back.flat_map(|one| &one.resources).map(|one| one.key.as_str()).collect();
    let kept = expected.iter().filter(|(key, _)| !keys.contains(key.as_str()));
    kept.map(|(key, text)| (key.clone(), text.clone())).collect()
}

/// Whether a reader shows exactly what is expected; of its own writes into others' villages it
/// may show its own text besides, and of records of which something was lost what it had `filed`
/// before that.
pub(crate) fn shown_is_true(
    expected: &Resources,
    shown: &Resources,
    (outside, filed): (&BTreeSet<&Token>, &Resources),
    tokens: &Tokens,
) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken::new(Law::ShownIsTrue, what));
    let is_filed = |key: &str, text: &String| filed.get(key) == Some(text);
    for (key, text) in expected {
        match shown.get(key) {
            None => return broken(format!("{key} is not shown")),
            Some(other) if other != text && !is_filed(key, other) => {
                return broken(format!("{key} is shown as {other}, expected {text}"));
            }
            Some(_) => {}
        }
    }
    for (key, text) in shown.iter().filter(|(key, _)| !expected.contains_key(*key)) {
        let found = tokens.find(text.as_bytes());
        if !found.iter().any(|token| outside.contains(token)) && !is_filed(key, text) {
            return broken(format!("{key} is shown and in no envelope: {text}"));
        }
    }
    Ok(())
}

/// Whether a facility has exactly what is expected, but for what it refused. It may also keep
/// what a conflict once was, and, if devices were lost with what they held, what only they knew.
pub(crate) fn facility_exact(
    expected: &Resources,
    facility: &Facility,
    devices_lost: bool,
) -> Result<(), Broken> {
    let broken = |what: String| Err(Broken::new(Law::FacilityExact, what));
    for (key, text) in expected.iter().filter(|(key, _)| !facility.refused.contains(*key)) {
        match facility.resources.get(key) {
            None => return broken(format!("the facility never got {key}")),
            Some(other) if other != text => {
                return broken(format!("the facility has {key} as {other}, expected {text}"));
            }
            Some(_) => {}
        }
    }
    let passing = |key: &String| key.contains("#conflict") || key.starts_with("DetectedIssue/");
    if devices_lost {
        return Ok(());
    }
    let stale = |(key, _): &(&String, &String)| !expected.contains_key(*key) && !passing(key);
    match facility.resources.iter().find(stale) {
        None => Ok(()),
        Some((key, text)) => {
            broken(format!("the facility has {key}, which nobody shows any more: {text}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use huza_crdt::store::Batch;

    fn resources(pairs: &[(&str, &str)]) -> Resources {
        pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_reader_that_lost_a_change_is_found() {
        let expected = resources(&[("Patient/1", "a"), ("Patient/2", "b")]);
        let shown = |pairs: &[(&str, &str)], outside: &BTreeSet<&Token>| {
            let filed = resources(&[("Patient/4", "c")]);
            shown_is_true(&expected, &resources(pairs), (outside, &filed), &Tokens::default())
        };
        let none = BTreeSet::new();
        assert!(shown(&[("Patient/1", "a"), ("Patient/2", "b")], &none).is_ok());
        assert!(shown(&[("Patient/1", "a")], &none).is_err());
        assert!(shown(&[("Patient/1", "a"), ("Patient/2", "c")], &none).is_err());
        let token = Token::mint(2, &mut Draw::new(1, "end"));
        let more = [("Patient/1", "a"), ("Patient/2", "b"), ("Patient/3", token.as_str())];
        assert!(shown(&more, &none).is_err());
        assert!(shown(&more, &BTreeSet::from([&token])).is_ok());
        let with = |text| [("Patient/1", "a"), ("Patient/2", "b"), ("Patient/4", text)];
        assert!(shown(&with("c"), &none).is_ok());
        assert!(shown(&with("d"), &none).is_err());
    }

    #[test]
    fn a_facility_that_lacks_or_invents_something_is_found() {
        let expected = resources(&[("Patient/1", "a")]);
        let mut facility = Facility::new(0);
        assert!(facility_exact(&expected, &facility, false).is_err());
        facility.resources = expected.clone();
        assert!(facility_exact(&expected, &facility, false).is_ok());
        facility.resources.insert("Patient/1#conflict-1".to_owned(), "b".to_owned());
        assert!(facility_exact(&expected, &facility, false).is_ok());
        facility.resources.insert("Patient/9".to_owned(), "b".to_owned());
        assert!(facility_exact(&expected, &facility, false).is_err());
        facility.resources = resources(&[]);
        facility.refused.insert("Patient/1".to_owned());
        assert!(facility_exact(&expected, &facility, false).is_ok());
    }

    #[test]
    fn a_promise_that_no_envelope_keeps_is_found() {
        let token = Token::mint(1, &mut Draw::new(1, "end"));
        let mut ledger = Ledger::default();
        let entry = Entry {
            authors: BTreeMap::from([(HostId(1), false)]),
            acked: BTreeSet::new(),
            excused: BTreeSet::new(),
            version: None,
            record: None,
        };
        ledger.entries.insert(token, entry);
        let mut model = Model::default();
        let check = |ledger: &Ledger, model: &Model| {
            let (good, none) = ([HostId(1)], BTreeSet::new());
            let fates = Fates { good: &good, twins: &none, erased: &BTreeSet::new() };
            nothing_lost(ledger, model, &Tokens::default(), &fates)
        };
        assert!(check(&ledger, &model).is_ok());
        ledger.ack(HostId(1), core::slice::from_ref(&token));
        assert_eq!(check(&ledger, &model).unwrap_err().law, Law::WrittenIsVisible);
        model.tokens.insert(token, RecordId([1; 16]));
        assert!(check(&ledger, &model).is_err());
        ledger.excuse(&BTreeSet::new(), &BTreeMap::new());
        assert!(check(&ledger, &model).is_ok());
    }

    #[test]
    fn disks_that_differ_are_found() {
        let mut one = Durable::default();
        let mut batch = Batch::default();
        batch.put(Table::Statements, [1], [1]);
        one.carrier.apply(&batch);
        let (same, other) = (one.clone(), Durable::default());
        let home = BTreeSet::new;
        let disks = |other| [("one", &one, home()), ("other", other, home())];
        assert!(same_holdings(&disks(&same)).is_ok());
        assert_eq!(same_holdings(&disks(&other)).unwrap_err().law, Law::Converges);
    }
}
