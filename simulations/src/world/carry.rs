//! Carrying out what nodes want: the shell of each host.

use huza_crdt::codec;
use huza_crdt::node::{Event, Input, Outgoing, Output, Reply, Token};
use huza_crdt::store::{Batch, Op, StoreKind, Table};

use super::{Happening, World};
use crate::audit::{OutboxRow, place_of, sealed_tokens};
use crate::check::durable::removed;
use crate::check::shut_out::statements;
use crate::check::{Speaker, keys, locked, released};
use crate::facility::Facility;
use crate::host::{HostId, Reader};
use crate::options::{Options, Planted};
use crate::violation::{Broken, Law, Violation};

/// Longest time of a facility's answer.
const DELIVER_MS_MAX: u64 = 2_000;

impl World {
    pub(super) fn carry_out(&mut self, id: HostId, output: Output) -> Result<(), Violation> {
        let Some(host) = self.hosts.get(&id) else { return Ok(()) };
        self.trace.output(self.now, host.name(), &output);
        let printed = self.laws.printed(&output);
        printed.map_err(|broken| self.violated(Some(id), &broken))?;
        let run = host.run;
        match output {
            Output::Load { token, range } => {
                self.check_lock(id, range.table.store(), "read")?;
                let delay = self.draws.disk.delay(self.options.load_ms_max);
                self.plan(self.now + delay, Happening::Read(id, run, token, range));
            }
            Output::Persist { token, store, batch } => self.persist(id, token, store, batch)?,
            Output::Work { token, job } => {
                let delay = self.draws.disk.delay(self.options.work_ms_max);
                let done = Input::Done { token, product: job.run() };
                self.plan(self.now + delay, Happening::Hand(id, run, done));
            }
            Output::Deliver { token, resources, .. } => self.deliver(id, token, &resources),
            Output::CloseReader => {
                self.check_sealed(id)?;
                if let Some(host) = self.hosts.get_mut(&id) {
                    host.reader = Reader::Locked;
                }
            }
            // Deleted rows are gone from these disks at once.
            Output::Scrub { token, .. } => {
                let delay = self.draws.disk.delay(self.options.persist_ms_max);
                self.plan(self.now + delay, Happening::Hand(id, run, Input::Scrubbed { token }));
            }
            Output::Send { pipe, mut bytes } => {
                self.leak(id, &mut bytes);
                self.check_said(id, pipe, &bytes)?;
                self.send(id, pipe, &bytes);
            }
            Output::Close { pipe } => {
                self.laws.closed(id, pipe, self.now);
                self.close(id, pipe);
            }
            Output::Reply { id: command, reply } => self.reply(id, command, *reply)?,
            Output::Publish { bytes } => self.publish(id, &bytes)?,
            Output::NewsValid { .. } | Output::Links { .. } => {}
            Output::Event(event) => self.event(id, &event)?,
        }
        Ok(())
    }

    pub(super) fn check_said(
        &mut self,
        id: HostId,
        pipe: huza_crdt::node::PipeId,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_member()) else {
            return Ok(());
        };
        let speaker = Speaker {
            host: id,
            certificate: host.certificate,
            durable: &host.disk.durable,
            facility: self.facilities.get(&id),
            auditor: &self.programmes.auditor,
            ledger: &self.ledger,
            erasing: &self.trust.erasing,
        };
        let said = self.laws.said(speaker, pipe, bytes);
        said.map_err(|broken| self.violated(Some(id), &broken))
    }

    pub(super) fn check_lock(
        &mut self,
        id: HostId,
        store: StoreKind,
        how: &str,
    ) -> Result<(), Violation> {
        let locked = self.hosts.get(&id).is_some_and(|host| host.reader == Reader::Locked);
        self.laws.weigh(Law::LockedIsShut, locked.into());
        locked::may_be_used(store, locked, how).map_err(|broken| self.violated(Some(id), &broken))
    }

    /// A reader closes: what its worker wrote has to be sealed.
    fn check_sealed(&mut self, id: HostId) -> Result<(), Violation> {
        self.laws.weigh(Law::LockedIsShut, 1);
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_member()) else {
            return Ok(());
        };
        let revoked = host.certificate.is_some_and(|one| self.laws.revoked.contains(&one));
        if revoked {
            return Ok(());
        }
        let (auditor, tokens) = (&self.programmes.auditor, &self.laws.tokens);
        let mut sealed = sealed_tokens(auditor, tokens, &host.disk.durable);
        if self.options.restores + self.options.twins > 0 {
            // It may know from others' envelopes what an earlier life of it promised.
            for host in self.hosts.values().filter(|host| host.is_member()) {
                sealed.extend(sealed_tokens(auditor, tokens, &host.disk.durable));
            }
        }
        let mine = self.ledger.entries.iter().filter(|(_, entry)| {
            let outside = entry.authors.get(&id).is_some_and(|outsider| *outsider);
            let erasing = entry.record.is_some_and(|one| self.trust.erasing.contains(&one));
            entry.acked.contains(&id) && !entry.excused.contains(&id) && !outside && !erasing
        });
        locked::all_sealed(mine.map(|(token, _)| token), &sealed)
            .map_err(|broken| self.violated(Some(id), &broken))
    }

    /// What is sealed for the outbox has to be under a key of today.
    fn check_keys(&mut self, id: HostId, batch: &Batch) -> Result<(), Violation> {
        let mut looked_at = 0;
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_member()) else {
            return Ok(());
        };
        let (Some(known), Some(mine)) = (self.laws.known(id), host.certificate) else {
            return Ok(());
        };
        if known.revoked.is_empty() || known.revoked.contains(&mine) {
            return Ok(());
        }
        for op in &batch.0 {
            let Op::Put { table: Table::Outbox, key, value } = op else { continue };
            let Some((log, _)) = place_of(key) else { continue };
            let Ok((_, _, waiting)) = codec::decode::<OutboxRow>(value) else { continue };
            let Some(opening) = host.disk.durable.carrier.opening(log) else { continue };
            keys::of_today((opening.area, waiting.epoch), mine, known, self.now)
                .map_err(|broken| self.violated(Some(id), &broken))?;
            looked_at += 1;
        }
        self.laws.weigh(Law::CleanKeys, looked_at);
        Ok(())
    }

    fn persist(
        &mut self,
        id: HostId,
        token: Token,
        store: StoreKind,
        mut batch: Batch,
    ) -> Result<(), Violation> {
        self.check_lock(id, store, "written")?;
        self.spoil_batch(id, store, &mut batch);
        self.check_keys(id, &batch)?;
        self.laws.wanted(&batch);
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        let run = host.run;
        self.laws.weigh(Law::BatchesKeepToTheirStore, 1);
        let planted = self.options.planted.filter(|_| host.is_member());
        let into = match (planted, store) {
            (Some(Planted::OtherStore), StoreKind::Carrier) => StoreKind::Reader,
            (Some(Planted::OtherStore), StoreKind::Reader) => StoreKind::Carrier,
            _ => store,
        };
        let idle = match host.disk.accept(token, into, batch) {
            Ok(idle) => idle,
            Err(broken) => return Err(self.violated(Some(id), &broken)),
        };
        let delay = self.draws.disk.delay(self.options.persist_ms_max);
        let early = planted == Some(Planted::AckBeforePersist) && store == StoreKind::Carrier;
        if early {
            self.plan(self.now, Happening::Hand(id, run, Input::Persisted { token }));
        }
        if idle {
            self.plan(self.now + delay, Happening::Flush(id, run, store));
        }
        Ok(())
    }

    /// Some of the batches under way become durable, and the node is told.
    pub(super) fn flush(
        &mut self,
        id: HostId,
        run: u32,
        store: StoreKind,
    ) -> Result<(), Violation> {
        let most = self.draws.disk.between(1, self.options.group_commit_max);
        let Some(host) = self.hosts.get_mut(&id).filter(|host| host.run == run) else {
            return Ok(());
        };
        if !host.is_running() {
            return Ok(());
        }
        if host.full {
            if host.stopped {
                return Ok(());
            }
            self.laws.count("writes refused by a full disk", 1);
            return self.store_fails(id, store, "the disk is full");
        }
        let (written, more) = host.disk.flush(store, most);
        if more {
            let delay = self.draws.disk.delay(self.options.persist_ms_max);
            self.plan(self.now + delay, Happening::Flush(id, run, store));
        }
        let told_early = self.has(Planted::AckBeforePersist) && store == StoreKind::Carrier;
        for (token, batch) in written {
            self.check_written(id, &batch)?;
            self.laws.durable(id, token, &batch);
            let delay = self.draws.disk.delay(self.options.told_ms_max);
            let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
            let [carrier, reader] = &mut host.told;
            let told = if store == StoreKind::Carrier { carrier } else { reader };
            *told = (*told).max(self.now + delay);
            let (at, tell) = (*told, !told_early || !host.is_member());
            if tell {
                self.plan(at, Happening::Hand(id, run, Input::Persisted { token }));
            }
        }
        Ok(())
    }

    /// The laws look at what became durable.
    pub(super) fn check_written(&mut self, id: HostId, batch: &Batch) -> Result<(), Violation> {
        for statement in statements(batch) {
            self.programmes.auditor.hear(&statement);
        }
        let joins = |op: &Op| matches!(op, Op::Put { key, .. } if key == b"membership");
        if let Some(host) = self.hosts.get_mut(&id).filter(|_| batch.0.iter().any(joins)) {
            host.read_certificate();
        }
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_member()) else {
            return Ok(());
        };
        let outside = self.ledger.written_outside_by(id);
        let borrowed = |log| {
            let opening = host.disk.durable.carrier.opening(log);
            opening.is_some_and(|one| !self.programmes.auditor.is_home(&host.nature, one.area))
        };
        let outside = |token: &crate::token::Token| outside.contains(token);
        let at = (id, &host.nature, self.now);
        let checked = self.laws.written(at, batch, &borrowed, &outside);
        checked.map_err(|broken| self.violated(Some(id), &broken))?;
        self.check_released(id, batch)
    }

    /// What was carried for others and is let go needs witnesses, or its time.
    fn check_released(&mut self, id: HostId, batch: &Batch) -> Result<(), Violation> {
        let auditor = &self.programmes.auditor;
        let known = |one| auditor.certificate(one).map(|known| (known.device, known.role));
        let mut looked_at = 0;
        for place in removed(batch) {
            let Some(host) = self.hosts.get(&id) else { return Ok(()) };
            let own = host.certificate.and_then(|one| auditor.device(one));
            // A device counts by clocks in whole seconds, always upwards, perhaps every second; and one
            // that jumps ahead counts for a third of the delay of erasures.
            let Options { clock_jumps, erasure_delay_ms, carry_ms, .. } = self.options;
            let counted = self.laws.held_for(id, place, self.now).saturating_mul(2);
            let times = (counted + clock_jumps * (erasure_delay_ms / 3), carry_ms);
            released::may_go(place, (own, &host.disk.durable), &known, times)
                .map_err(|broken| self.violated(Some(id), &broken))?;
            looked_at += 1;
        }
        self.laws.weigh(Law::ReleasedIsVouched, looked_at);
        Ok(())
    }

    /// The facility takes resources; the answer may be lost in a crash, the effect is not.
    fn deliver(&mut self, id: HostId, token: Token, resources: &[Outgoing]) {
        let refused_per_mille = self.options.refused_per_mille;
        let facility =
            self.facilities.entry(id).or_insert_with(|| Facility::new(refused_per_mille));
        let mut answers = std::collections::BTreeMap::new();
        if self.options.planted != Some(Planted::FacilityForgets) {
            answers = facility.take(resources, &self.laws.tokens);
        }
        if self.options.planted == Some(Planted::FacilityLoses) {
            facility.resources.retain(|key, _| resources.iter().all(|one| one.key != *key));
        }
        let delay = self.draws.disk.delay(DELIVER_MS_MAX);
        let Some(host) = self.hosts.get(&id) else { return };
        let run = host.run;
        let answer = Input::Delivered { token, answers };
        self.plan(self.now + delay, Happening::Hand(id, run, answer));
    }

    fn reply(
        &mut self,
        id: HostId,
        command: huza_crdt::node::CommandId,
        mut reply: Reply,
    ) -> Result<(), Violation> {
        if self.has(Planted::SwallowReplies) {
            return Ok(());
        }
        self.spoil_reply(&mut reply);
        if self.asked_progress.remove(&command) {
            // Whoever is only starting says so instead.
            let Reply::Peers { sessions } = reply else { return Ok(()) };
            let told = self.laws.told(id, &sessions);
            return told.map_err(|broken| self.violated(Some(id), &broken));
        }
        if self.ledger.under_way.contains_key(&command) {
            return self.promised(id, command, &reply);
        }
        if self.is_ferried(command) {
            return self.ferried(id, command, reply);
        }
        if let Some((_, step)) = self.trust.under_way.remove(&command) {
            return self.stepped(step, reply);
        }
        self.replies.insert(command, reply);
        Ok(())
    }

    /// A hint goes to all who have a pipe with this host.
    fn publish(&mut self, id: HostId, bytes: &[u8]) -> Result<(), Violation> {
        if self.laws.tokens.any(bytes) {
            let broken = Broken::new(Law::Secrecy, "a canary is in a published hint");
            return Err(self.violated(Some(id), &broken));
        }
        for (peer, latency) in self.neighbours(id) {
            if self.chaos && self.draws.net.chance(200) {
                continue;
            }
            let Some(run) = self.hosts.get(&peer).map(|host| host.run) else { continue };
            self.sequence += 1;
            let token = Token(self.sequence);
            let news = Input::News { token, bytes: bytes.to_vec() };
            self.plan(self.now + latency, Happening::Hand(peer, run, news));
        }
        Ok(())
    }

    fn event(&mut self, id: HostId, event: &Event) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        host.ready |= *event == Event::Ready;
        let member = host.is_member();
        if *event == Event::Ready {
            self.laws.booted(id, &host.disk.durable, self.now);
        }
        if matches!(event, Event::Stopped { .. }) && !core::mem::replace(&mut host.stopped, true) {
            self.plan_restart(id);
        }
        if !member || self.has(Planted::SwallowEnds) && matches!(event, Event::ContactEnded { .. })
        {
            return Ok(());
        }
        if matches!(event, Event::Released { .. }) {
            // What it carried for too long may have been the last copy of a lost device's.
            self.excuse();
        }
        let seen = self.laws.event(id, event, self.now);
        seen.map_err(|broken| self.violated(Some(id), &broken))
    }
}
