//! What goes wrong, and when: all of it drawn before the run begins.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::Input;
use huza_crdt::store::StoreKind;

use super::trust::Decision;
use super::{Happening, World};
use crate::audit::sealed_tokens;
use crate::disk::Durable;
use crate::draw::Draw;
use crate::forger::Breed;
use crate::host::{Host, HostId, Reader, Snapshot};
use crate::options::Planted;
use crate::token::Token;
use crate::violation::Violation;
use huza_crdt::trust::Role;

/// Longest time a device is off after a crash.
const OFF_MS_MAX: u64 = 30_000;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Power goes; the device starts again later.
    Crash(HostId),
    /// A write fails; the node stops and the device restarts.
    StoreFails(HostId, StoreKind),
    /// The disk is full: every write fails, however often the device restarts.
    DiskFull(HostId),
    /// There is space again.
    DiskSpace(HostId),
    /// The wall clock is set to something else.
    ClockJumps(HostId, i64),
    /// A copy of both stores is made.
    Backup(HostId),
    /// That copy takes the place of the stores.
    Restore(HostId, Restored),
    /// An authority decides something.
    Decide(Decision),
    /// A worker locks the reader, or unlocks it.
    Lock(HostId),
    Unlock(HostId),
    /// The device is gone for good.
    Destroy(HostId),
}

/// Which stores are replaced by their copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    Both,
    /// Both, with the token by which the copy would notice.
    Twin,
    Carrier,
    Reader,
}

impl World {
    /// Plans all faults, meetings and deeds of the chaos, which begins now.
    pub(crate) fn plan_chaos(&mut self) {
        let options = self.options.clone();
        let members: Vec<HostId> = self.ids(crate::host::Host::is_member);
        let everybody: Vec<HostId> = self.ids(|_| true);
        let writers: Vec<HostId> =
            self.ids(|host| host.is_member() && crate::workload::Users::write_on(&host.nature));
        // What an authority's clock says is written into certificates.
        let clocks = self.ids(|host| host.nature.role != Role::Authority);
        let phones: Vec<HostId> = self.ids(|host| host.is_member() && host.nature.is_phone());
        for _ in 0..options.writes * options.catchments {
            self.plan_for(&writers, Happening::User);
        }
        for _ in 0..options.meetings * members.len() as u64 / 2 {
            self.plan_meeting(&everybody);
        }
        for _ in 0..options.crashes {
            self.plan_for(&members, |host| Happening::Fault(Fault::Crash(host)));
        }
        for _ in 0..options.store_failures {
            let stores = [StoreKind::Carrier, StoreKind::Reader];
            let store = self.draws.faults.pick_or(&stores, StoreKind::Carrier);
            self.plan_for(&members, |host| Happening::Fault(Fault::StoreFails(host, store)));
        }
        self.plan_full_disks(&members);
        for _ in 0..options.clock_jumps {
            let days = self.draws.faults.pick_or(&[-20_000, -400, -1, 1, 30, 4_000], 1);
            self.plan_for(&clocks, |host| Happening::Fault(Fault::ClockJumps(host, days * 86_400)));
        }
        for _ in 0..options.restores {
            let kinds = [Restored::Both, Restored::Carrier, Restored::Reader];
            let restored = self.draws.faults.pick_or(&kinds, Restored::Both);
            let copied = options.planted == Some(Planted::CopiedLife);
            let (among, restored) =
                if copied { (&writers, Restored::Both) } else { (&members, restored) };
            let Some(host) = self.draws.faults.pick(among).copied() else { continue };
            let saved = self.draws.faults.below(options.chaos_ms);
            let back = self.draws.faults.between(saved, options.chaos_ms);
            self.plan(self.now + saved, Happening::Fault(Fault::Backup(host)));
            self.plan(self.now + back, Happening::Fault(Fault::Restore(host, restored)));
        }
        for _ in 0..options.destroyed {
            self.plan_for(&phones, |host| Happening::Fault(Fault::Destroy(host)));
        }
        self.plan_trust(&members, &phones);
        for _ in 0..options.forgers {
            self.plan_for(&members, |host| Happening::Forge(host, Breed::Stranger));
        }
        for (breed, count) in [(Breed::Liar, options.liars), (Breed::Version, options.versions)] {
            for _ in 0..count {
                let at = self.now + self.draws.liars.below(options.chaos_ms);
                let Some(host) = self.draws.liars.pick(&members).copied() else { continue };
                self.plan(at, Happening::Forge(host, breed));
            }
        }
        for _ in 0..options.bundles {
            let pair = (self.draws.faults.pick(&members), self.draws.faults.pick(&members));
            let (Some(from), Some(to)) = (pair.0.copied(), pair.1.copied()) else { continue };
            let at = self.draws.faults.below(options.chaos_ms);
            self.plan(self.now + at, Happening::Ferry(from, to));
        }
    }

    /// Plans disks that are full for a while.
    fn plan_full_disks(&mut self, members: &[HostId]) {
        let mut draw = Draw::new(self.options.seed, "full disks of hosts");
        for _ in 0..self.options.full_disks {
            let Some(host) = draw.pick(members).copied() else { continue };
            let full = draw.below(self.options.chaos_ms);
            let space = draw.between(full, self.options.chaos_ms);
            self.plan(self.now + full, Happening::Fault(Fault::DiskFull(host)));
            self.plan(self.now + space, Happening::Fault(Fault::DiskSpace(host)));
        }
    }

    /// Plans what authorities decide, locks, and copies that do not notice.
    fn plan_trust(&mut self, members: &[HostId], phones: &[HostId]) {
        let options = self.options.clone();
        let authority = options.authorities > 0;
        let mut decisions = Vec::new();
        for _ in 0..options.revocations {
            let (trust, rotate) = (!self.draws.faults.chance(250), !self.draws.faults.chance(200));
            decisions.push(Decision::Revoke { trust, rotate });
        }
        for (count, decision) in [
            (options.reenrolments, Decision::Reenrol),
            (options.erasures, Decision::Erase),
            (options.newcomers, Decision::Enrol),
        ] {
            decisions.extend((0..count).map(|_| decision));
        }
        for _ in 0..options.rotations {
            decisions.push(Decision::Rotate { whole: self.draws.faults.chance(400) });
        }
        for _ in 0..options.judgements {
            decisions.push(Decision::Judge { admit: self.draws.faults.chance(600) });
        }
        for decision in decisions.into_iter().filter(|_| authority) {
            let at = self.now + self.draws.faults.below(options.chaos_ms);
            self.plan(at, Happening::Fault(Fault::Decide(decision)));
        }
        let readers: Vec<HostId> = members
            .iter()
            .copied()
            .filter(|id| self.hosts.get(id).is_some_and(|host| host.nature.reads()))
            .collect();
        for _ in 0..options.locks {
            let Some(host) = self.draws.faults.pick(&readers).copied() else { continue };
            let at = self.draws.faults.below(options.chaos_ms);
            let until = self.draws.faults.between(at, options.chaos_ms);
            self.plan(self.now + at, Happening::Fault(Fault::Lock(host)));
            self.plan(self.now + until, Happening::Fault(Fault::Unlock(host)));
        }
        for _ in 0..options.twins {
            let Some(host) = self.draws.faults.pick(phones).copied() else { continue };
            let saved = self.draws.faults.below(options.chaos_ms);
            let back = self.draws.faults.between(saved, options.chaos_ms);
            self.plan(self.now + saved, Happening::Fault(Fault::Backup(host)));
            let restore = Fault::Restore(host, Restored::Twin);
            self.plan(self.now + back, Happening::Fault(restore));
        }
    }

    /// The hosts that are so.
    pub(crate) fn ids(&self, so: impl Fn(&crate::host::Host) -> bool) -> Vec<HostId> {
        self.hosts.values().filter(|host| so(host)).map(|host| host.id).collect()
    }

    fn plan_for(&mut self, among: &[HostId], happening: impl FnOnce(HostId) -> Happening) {
        let at = self.now + self.draws.faults.below(self.options.chaos_ms);
        let Some(host) = self.draws.faults.pick(among).copied() else { return };
        self.plan(at, happening(host));
    }

    fn plan_meeting(&mut self, among: &[HostId]) {
        let draw = &mut self.draws.net;
        let at = self.now + draw.below(self.options.chaos_ms);
        let stay = draw.between(50, self.options.meeting_ms_max);
        let (Some(a), Some(b)) = (draw.pick(among).copied(), draw.pick(among).copied()) else {
            return;
        };
        if a != b {
            self.plan(at, Happening::Meet(a, b, stay));
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.trace.note(self.now, "world", &format!("{fault:?}"));
        match fault {
            Fault::Crash(host) => {
                self.crash(host)?;
                self.plan_start(host);
            }
            Fault::StoreFails(id, store) => {
                let reads = self.hosts.get(&id).is_some_and(|host| host.nature.reads());
                let locked = |host: &Host| host.reader == Reader::Locked;
                let locked = self.hosts.get(&id).is_some_and(locked);
                if store == StoreKind::Reader && (!reads || locked) {
                    return Ok(());
                }
                self.store_fails(id, store, "the medium is gone")?;
            }
            Fault::DiskFull(id) => {
                let host = self.hosts.get_mut(&id).filter(|host| host.exists);
                host.into_iter().for_each(|host| host.full = true);
            }
            Fault::DiskSpace(id) => {
                self.hosts.get_mut(&id).into_iter().for_each(|host| host.full = false);
            }
            Fault::ClockJumps(id, seconds) => {
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.skew_seconds = seconds;
                }
            }
            Fault::Backup(id) => {
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.snapshot = Some(Snapshot { durable: host.disk.durable.clone() });
                }
            }
            Fault::Restore(id, restored) => self.restore(id, restored)?,
            Fault::Destroy(id) => self.destroy(id)?,
            Fault::Decide(decision) => self.decide(decision)?,
            Fault::Lock(id) => self.lock(id)?,
            Fault::Unlock(id) => self.unlock(id)?,
        }
        Ok(())
    }

    /// A store reports an error: the node stops, the device restarts later.
    pub(super) fn store_fails(
        &mut self,
        id: HostId,
        store: StoreKind,
        why: &str,
    ) -> Result<(), Violation> {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.disk.fail(store);
            host.stopped = true;
        }
        self.feed(id, Input::StoreFailed { store, why: why.to_owned() })?;
        self.plan_restart(id);
        Ok(())
    }

    /// Power goes.
    pub(crate) fn crash(&mut self, id: HostId) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        if !host.is_running() {
            return Ok(());
        }
        host.stop();
        if host.full {
            host.disk.fail(StoreKind::Carrier);
            host.disk.fail(StoreKind::Reader);
        }
        let kept = host.disk.crash(&mut self.draws.disk);
        self.laws.count("crashes", 1);
        self.laws.forget(id);
        self.hang_up(id);
        self.ledger.under_way.retain(|_, intent| intent.host != id);
        self.trust.under_way.retain(|_, (host, _)| *host != id);
        // A worker who finds the device off does not find it unlocked.
        if self.options.locks > 0 && self.draws.faults.chance(300) {
            let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
            host.reader = Reader::Locked;
            let at = self.now + self.draws.faults.below(OFF_MS_MAX * 4);
            self.plan(at, Happening::Fault(Fault::Unlock(id)));
        }
        kept.iter().try_for_each(|batch| self.check_written(id, batch))
    }

    /// A device that stopped by itself is switched off and on.
    pub(super) fn plan_restart(&mut self, id: HostId) {
        let after = self.draws.faults.delay(OFF_MS_MAX);
        self.plan(self.now + after, Happening::Fault(Fault::Crash(id)));
    }

    pub(super) fn plan_start(&mut self, id: HostId) {
        let off = self.draws.faults.delay(OFF_MS_MAX);
        self.plan(self.now + off, Happening::Start(id));
    }

    /// An earlier copy takes the place of the stores, and of both lives.
    fn restore(&mut self, id: HostId, restored: Restored) -> Result<(), Violation> {
        let copied = |world: &Self| world.hosts.get(&id)?.snapshot.clone();
        let Some(snapshot) = copied(self) else { return Ok(()) };
        self.crash(id)?;
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.exists) else {
            return Ok(());
        };
        if self.options.planted == Some(Planted::CopiedLife) {
            // It takes itself for the original.
        } else if restored == Restored::Twin {
            self.trust.twins.insert(id);
            self.laws.forks_expected = true;
        } else {
            host.life = self.draws.faults.bytes();
        }
        let Durable { carrier, reader } = snapshot.durable;
        match restored {
            Restored::Both | Restored::Twin => host.disk.durable = Durable { carrier, reader },
            Restored::Carrier => {
                host.disk.durable.carrier = carrier;
                host.reader_is_ahead = true;
            }
            Restored::Reader => host.disk.durable.reader = reader,
        }
        self.laws.count("restored copies", 1);
        self.excuse();
        self.plan_start(id);
        Ok(())
    }

    fn destroy(&mut self, id: HostId) -> Result<(), Violation> {
        self.crash(id)?;
        if let Some(host) = self.hosts.get_mut(&id) {
            host.exists = false;
            host.disk = crate::disk::Disk::default();
        }
        self.laws.count("devices destroyed", 1);
        self.excuse();
        Ok(())
    }

    /// Something was lost with a device, or let go since: promises that nothing keeps any more are excused. What is
    /// sealed on any disk, or known to the reader that promised it, has to stay.
    pub(super) fn excuse(&mut self) {
        let (auditor, tokens) = (&self.programmes.auditor, &self.laws.tokens);
        let mut sealed = BTreeSet::new();
        for host in self.hosts.values().filter(|host| host.is_member()) {
            sealed.extend(sealed_tokens(auditor, tokens, &host.disk.durable));
        }
        let mut readers: BTreeMap<HostId, BTreeSet<Token>> = BTreeMap::new();
        for id in self.ledger.unsealed(&sealed) {
            let Some(mut shadow) = self.shadow(id) else { continue };
            let resources = shadow.export();
            let found = resources.iter().flat_map(|r| self.laws.tokens.find(r.text.as_bytes()));
            readers.insert(id, found.collect());
        }
        for (host, token) in self.ledger.excuse(&sealed, &readers) {
            let note = format!("{host:?} is excused from {}", token.as_str());
            self.trace.note(self.now, "world", &note);
        }
    }
}
