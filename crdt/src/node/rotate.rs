//! Making keys anew: a village's, or a whole catchment's. All who remain get the new one in the
//! same step, and only they; a rung opens the history to whoever holds it.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandId, Reply};
use super::ingest::Change;
use super::state::Task;
use crate::audit::Action;
use crate::codec;
use crate::control::{Lane, Scope, kind};
use crate::crypto::{Entropy, SymmetricKey};
use crate::id::{AreaTag, CertId, EpochId};
use crate::trust::approval::{grant_to, publish};
use crate::trust::{
    AreaKey, AreaScope, CatchmentSecret, GrantContent, Keyring, Predecessor, Role, epoch_of,
    seal_rung,
};

/// Predecessors that one rung seals at most, so that it fits a statement; the newest, since each
/// of them has a rung of its own. // guess
const PREDECESSORS_MAX: usize = 64;

impl Node {
    /// [`super::Order::Rotate`].
    pub(super) fn rotate(&mut self, id: CommandId, village: Option<&str>) {
        let Some(secret) = self.own_secret() else {
            let hint = "let it meet another authority device of the health centre first";
            let message = "this device holds no key of its catchment";
            return self.decline_order(id, "no_secret", message, hint);
        };
        if let Some(unknown) = village.filter(|name| !secret.villages.iter().any(|v| v == name)) {
            let message = format!("village {unknown} is not in this catchment");
            let hint = "name a village of this health centre";
            return self.decline_order(id, "unknown_village", &message, hint);
        }
        let areas = village.map(|village| BTreeSet::from([secret.area(village)]));
        let subject = village.unwrap_or("the catchment").to_owned();
        self.audit_alone(Action::Rotated, subject, move |node| {
            let mut change = node.change();
            let done = node.make_anew(&mut change, &secret, areas);
            let statements = change.added.len();
            node.commit(change, move |node| {
                node.reply(id, Reply::Issued { statements, done });
            });
        });
    }

    /// Makes anew every key that these certificates were granted and that this device may make.
    pub(super) fn rotate_held(&mut self, change: &mut Change, held_by: &[CertId]) -> Vec<String> {
        let Some(secret) = self.own_secret() else {
            return vec!["no key was made anew: this device holds none of its catchment".into()];
        };
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        let mut areas = BTreeSet::new();
        let mut all = false;
        for (_, grant) in held_by.iter().flat_map(|one| lane.grants_to(*one)) {
            match grant.opens {
                AreaScope::Area(area) if area.catchment() == secret.catchment => {
                    areas.insert(area);
                }
                AreaScope::Catchment(catchment) => all |= catchment == secret.catchment,
                AreaScope::Area(_) | AreaScope::Programme => {}
            }
        }
        if !all && areas.is_empty() {
            return vec!["it was granted no key of this catchment".into()];
        }
        self.make_anew(change, &secret, (!all).then_some(areas))
    }

    /// Makes some villages' keys anew, or the catchment's secret and with it all.
    fn make_anew(
        &mut self,
        change: &mut Change,
        secret: &CatchmentSecret,
        areas: Option<BTreeSet<AreaTag>>,
    ) -> Vec<String> {
        let mut entropy = Entropy::new(self.entropy.draw());
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &self.reader) else {
            return Vec::new();
        };
        let villages = secret.villages.len();
        let (bodies, what) = match areas {
            Some(areas) => {
                let count = areas.len();
                let bodies = anew_villages(lane, &reader.keyring, secret, &areas, &mut entropy);
                (bodies, format!("keys of {count} villages made anew"))
            }
            None => {
                let bodies = anew_catchment(lane, &reader.keyring, secret, &mut entropy);
                (bodies, format!("the catchment's secret and {villages} village keys made anew"))
            }
        };
        let grants = bodies.iter().filter(|(kind, _)| *kind == kind::GRANT).count();
        for (kind, body) in bodies {
            self.issue(change, Scope::Catchment(secret.catchment), kind, body);
        }
        vec![what, format!("{grants} grants for the devices that remain")]
    }
}

impl Node {
    /// On an authority device whose reader is open: plans to look whether some device lacks a key
    /// that it should have. It may have been approved by an authority that knew an older key only,
    /// or have been unknown to the one that made the key anew.
    pub(super) fn must_catch_up(&mut self) {
        let open = self.reader.as_ref().is_some_and(|reader| !reader.opening);
        let planned = self.carrier.tasks.iter().any(|task| matches!(task, Task::CatchUp));
        if open && !planned && self.role() == Some(Role::Authority) && !self.is_shut_out() {
            self.carrier.tasks.push_back(Task::CatchUp);
        }
    }

    /// Grants what is missing.
    pub(super) fn catch_up(&mut self) {
        let Some(secret) = self.own_secret().filter(|_| !self.is_shut_out()) else {
            self.carrier.busy = false;
            return;
        };
        let mut entropy = Entropy::new(self.entropy.draw());
        let (Some(lane), Some(reader)) = (&self.carrier.lane, &self.reader) else {
            self.carrier.busy = false;
            return;
        };
        let keys = secret.villages.iter().filter_map(|village| {
            let area = secret.area(village);
            Some((area, reader.keyring.writing_key(lane, area)?))
        });
        let keys: BTreeMap<AreaTag, SymmetricKey> = keys.collect();
        let mut bodies = grants(lane, &secret, &keys, Some(&secret), &mut entropy);
        bodies.extend(missing_rungs(lane, &reader.keyring, &secret, &keys, &mut entropy));
        let mut change = self.change();
        for (kind, body) in bodies {
            self.issue(&mut change, Scope::Catchment(secret.catchment), kind, body);
        }
        if change.added.is_empty() {
            return self.commit(change, |_| {});
        }
        let subject = format!("{} keys to devices that lacked them", change.added.len());
        self.audit_alone(Action::Granted, subject, move |node| node.commit(change, |_| {}));
    }
}

type Bodies = Vec<(u8, Vec<u8>)>;

/// Keys of single villages, from the secret of today.
fn anew_villages(
    lane: &Lane,
    keyring: &Keyring,
    secret: &CatchmentSecret,
    areas: &BTreeSet<AreaTag>,
    entropy: &mut Entropy,
) -> Bodies {
    let catchment_epoch = epoch_of(&secret.epoch);
    let mut bodies = Bodies::new();
    let mut keys = BTreeMap::new();
    for area in areas {
        let published = lane.published().filter(|key| key.area == *area);
        let of_today = published.filter(|key| key.catchment_epoch == catchment_epoch);
        let rotation = unused(&of_today.map(|key| key.rotation).collect());
        keys.insert(*area, secret.key(*area, rotation));
        bodies.push((kind::PUBLISHED_KEY, codec::encode(&publish(secret, *area, rotation))));
        bodies.push(village_rung(lane, keyring, *area, &secret.key(*area, rotation), entropy));
    }
    bodies.extend(grants(lane, secret, &keys, None, entropy));
    bodies
}

/// A rotation whose key was never in use: the next one, or, if somebody has published the last
/// number there is, the greatest that is free.
fn unused(used: &BTreeSet<u32>) -> u32 {
    let next = used.last().map_or(Some(1), |last| last.checked_add(1));
    let free = || (1..=u32::MAX).rev().find(|number| !used.contains(number));
    next.or_else(free).unwrap_or(u32::MAX)
}

/// A new secret, and every village's key from it.
fn anew_catchment(
    lane: &Lane,
    keyring: &Keyring,
    secret: &CatchmentSecret,
    entropy: &mut Entropy,
) -> Bodies {
    let known = keyring.secrets(lane);
    let of_here = known.iter().filter(|one| one.catchment == secret.catchment);
    let last = of_here.clone().map(|one| one.generation).max().unwrap_or_default();
    let generation = last.saturating_add(1);
    let epoch = SymmetricKey::from_bytes(entropy.draw());
    let new = CatchmentSecret { epoch, generation, ..secret.clone() };
    let mut earlier: Vec<Predecessor> = of_here
        .map(|one| Predecessor { key: one.epoch.clone(), generation: one.generation })
        .collect();
    earlier.sort_by_key(|one| core::cmp::Reverse(one.generation));
    earlier.truncate(PREDECESSORS_MAX);
    let opens = AreaScope::Catchment(secret.catchment);
    let rung = seal_rung(opens, &new.epoch, &earlier, entropy.draw());
    let mut bodies = vec![(kind::RUNG, codec::encode(&rung))];
    let mut keys = BTreeMap::new();
    for village in &secret.villages {
        let area = new.area(village);
        keys.insert(area, new.key(area, 0));
        bodies.push((kind::PUBLISHED_KEY, codec::encode(&publish(&new, area, 0))));
        bodies.push(village_rung(lane, keyring, area, &new.key(area, 0), entropy));
    }
    bodies.extend(grants(lane, secret, &keys, Some(&new), entropy));
    bodies
}

fn village_rung(
    lane: &Lane,
    keyring: &Keyring,
    area: AreaTag,
    new: &SymmetricKey,
    entropy: &mut Entropy,
) -> (u8, Vec<u8>) {
    let age = |key: &SymmetricKey| {
        let epoch = epoch_of(key);
        let published = lane.published().find(|one| one.area == area && one.epoch == epoch);
        published.map(|one| (one.generation, one.rotation))
    };
    let mut earlier: Vec<&SymmetricKey> = keyring.keys_of(area).filter(|key| *key != new).collect();
    earlier.sort_by_cached_key(|key| core::cmp::Reverse(age(key)));
    let newest = earlier.into_iter().take(PREDECESSORS_MAX);
    let earlier: Vec<Predecessor> =
        newest.map(|key| Predecessor { key: key.clone(), generation: 0 }).collect();
    let rung = seal_rung(AreaScope::Area(area), new, &earlier, entropy.draw());
    (kind::RUNG, codec::encode(&rung))
}

/// Rungs from today's keys to those that none opens: they were made apart.
fn missing_rungs(
    lane: &Lane,
    keyring: &Keyring,
    secret: &CatchmentSecret,
    keys: &BTreeMap<AreaTag, SymmetricKey>,
    entropy: &mut Entropy,
) -> Bodies {
    let mut bodies = Bodies::new();
    let mut add = |opens, later: &SymmetricKey, known: Vec<Predecessor>| {
        let reached = keyring.below(lane, opens, epoch_of(later));
        let unknown = known.into_iter().filter(|one| !reached.contains(&epoch_of(&one.key)));
        let earlier: Vec<Predecessor> = unknown.take(PREDECESSORS_MAX).collect();
        if !earlier.is_empty() {
            let rung = seal_rung(opens, later, &earlier, entropy.draw());
            bodies.push((kind::RUNG, codec::encode(&rung)));
        }
    };
    let secrets = keyring.secrets(lane).into_iter();
    let secrets = secrets.filter(|one| one.catchment == secret.catchment);
    let secrets = secrets
        .map(|one| Predecessor { key: one.epoch.clone(), generation: one.generation })
        .collect();
    add(AreaScope::Catchment(secret.catchment), &secret.epoch, secrets);
    for (area, later) in keys {
        let known = keyring.keys_of(*area);
        let known = known.map(|key| Predecessor { key: key.clone(), generation: 0 }).collect();
        add(AreaScope::Area(*area), later, known);
    }
    bodies
}

/// Grants of these keys to every device that remains, was granted what they replace, and lacks
/// them.
fn grants(
    lane: &Lane,
    secret: &CatchmentSecret,
    keys: &BTreeMap<AreaTag, SymmetricKey>,
    new: Option<&CatchmentSecret>,
    entropy: &mut Entropy,
) -> Bodies {
    let now = lane.programme_time().unwrap_or_default();
    let mut bodies = Bodies::new();
    for (id, certificate) in lane.certificates() {
        if !lane.is_good(id) || certificate.expires < now || certificate.role == Role::Relay {
            continue;
        }
        let opens: BTreeSet<AreaScope> =
            lane.grants_to(*id).map(|(_, grant)| grant.opens).collect();
        let held: BTreeSet<EpochId> = lane.grants_to(*id).map(|(_, grant)| grant.epoch).collect();
        let mut contents = Vec::new();
        if opens.contains(&AreaScope::Catchment(secret.catchment)) {
            // Whoever holds the secret derives villages' keys; a new secret must be given.
            contents.extend(new.cloned().map(GrantContent::Catchment));
        }
        for (area, key) in keys.iter().filter(|(area, _)| opens.contains(&AreaScope::Area(**area)))
        {
            let village = secret.villages.iter().find(|village| secret.area(village) == *area);
            let Some(name) = village.map(|village| secret.name(village)) else { continue };
            contents.push(GrantContent::Area(AreaKey { area: *area, name, key: key.clone() }));
        }
        for content in contents.into_iter().filter(|one| !held.contains(&one.epoch())) {
            if let Ok(body) = grant_to(*id, &certificate.sealing, &content, entropy) {
                bodies.push((kind::GRANT, body));
            }
        }
    }
    bodies
}
