//! The life of hosts and their users: starting, joining, writing, and the promises that follow.

use huza_crdt::node::{Command, CommandId, Config, ReaderState, Reply};

use super::{Happening, World};
use crate::host::{Belonging, Host, HostId, Nature};
use crate::shadow::Shadow;
use crate::token::Token;
use crate::violation::{Broken, Law, Violation};
use crate::workload::Deed;

/// Longest time until a node serves. // guess: the slowest disk and many pages
const BOOT_MS_MAX: u64 = 120_000;

/// Time for devices to notice that the faults are over. // guess: above the slowest disk
const SETTLE_MS: u64 = 15_000;

impl World {
    /// Adds a host, starts it and lets it join.
    pub(crate) fn add_host(&mut self, id: HostId, nature: Nature) -> Result<(), Violation> {
        let settings = self.options.settings();
        let host = Host::new(id, nature.clone(), settings, &mut self.draws.keys);
        self.trace.note(self.now, host.name(), &format!("covers {:?}", nature.covers));
        self.hosts.insert(id, host);
        self.start(id)?;
        self.wait_ready(id)?;
        let label = nature.label.clone();
        let reply = self.ask(id, Command::Init { label })?;
        let Reply::Request { request } = reply else {
            return Err(self.unexpected(id, "init", &reply));
        };
        if nature.belonging == Belonging::Nobody {
            return Ok(());
        }
        let approved = self.programmes.approve(&nature, &request);
        let (welcome, certificate) = approved.map_err(|broken| self.violated(Some(id), &broken))?;
        let reply = self.ask(id, Command::Join { welcome })?;
        let Reply::Joined { .. } = reply else {
            return Err(self.unexpected(id, "join", &reply));
        };
        if let Some(host) = self.hosts.get_mut(&id) {
            host.certificate = Some(certificate);
        }
        Ok(())
    }

    pub(crate) fn unexpected(&self, id: HostId, asked: &str, reply: &Reply) -> Violation {
        let evidence = format!("{asked} is answered with {reply:?}");
        self.violated(Some(id), &Broken::new(Law::Progress, evidence))
    }

    /// Lets things happen until a host serves.
    pub(crate) fn wait_ready(&mut self, id: HostId) -> Result<(), Violation> {
        let until = self.now + BOOT_MS_MAX;
        let ready =
            self.run_while(until, |world| world.hosts.get(&id).is_some_and(|host| host.ready))?;
        if ready {
            return Ok(());
        }
        Err(self.violated(Some(id), &Broken::new(Law::Progress, "the node is never ready")))
    }

    /// A host begins a run.
    pub(crate) fn start(&mut self, id: HostId) -> Result<(), Violation> {
        let Some(host) = self.hosts.get_mut(&id) else { return Ok(()) };
        if !host.exists || host.is_running() {
            return Ok(());
        }
        host.start(self.now, &mut self.draws.keys);
        self.trace.note(self.now, host.name(), "starts");
        let outputs = host.drain();
        for output in outputs {
            self.carry_out(id, output)?;
        }
        self.plan_wake(id);
        Ok(())
    }

    /// A user does something, if the device is on.
    pub(crate) fn user(&mut self, id: HostId) -> Result<(), Violation> {
        let villages = self
            .hosts
            .values()
            .filter(|host| host.is_member())
            .flat_map(|host| host.nature.covers.iter().copied())
            .collect();
        let Some(host) = self.hosts.get(&id).filter(|host| host.ready) else { return Ok(()) };
        let now = host.now(self.now).stamp;
        let nature = host.nature.clone();
        let knowledge = (&self.ledger, &self.programmes.auditor);
        let Some(deed) = self.users.next(id, &nature, &villages, knowledge, now) else {
            return Ok(());
        };
        let Deed { command, intent, outsider, versions, records } = deed;
        let number = self.command_id();
        self.laws.count("writes tried", intent.writes.len() as u64);
        self.ledger.want(number, intent, outsider, |token| {
            (versions.get(token).cloned(), records.get(token).copied())
        });
        self.remember_import(id, &command, &records);
        let command = Box::new(command);
        self.feed(id, huza_crdt::node::Input::Command { id: number, command })
    }

    /// A node answered a write. What it promises must be on its disk now.
    pub(super) fn promised(
        &mut self,
        id: HostId,
        command: CommandId,
        reply: &Reply,
    ) -> Result<(), Violation> {
        let Some(intent) = self.ledger.under_way.remove(&command) else { return Ok(()) };
        let (promised, record): (Vec<Token>, _) = match reply {
            Reply::Written { record, .. } => {
                (intent.writes.iter().map(|(_, token)| *token).collect(), Some(*record))
            }
            Reply::Imported { keys, .. } => {
                let taken = |key: &Option<String>| key.as_ref().is_some_and(|k| keys.contains(k));
                let taken = intent.writes.iter().filter(|(key, _)| taken(key));
                (taken.map(|(_, token)| *token).collect(), None)
            }
            Reply::Error(error) => {
                *self.ledger.errors.entry(error.code.clone()).or_default() += 1;
                return Ok(());
            }
            _ => return Err(self.unexpected(id, "a write", reply)),
        };
        for record in intent.people.iter().copied().chain(record) {
            if !self.ledger.records.contains(&(intent.village, record)) {
                self.ledger.records.push((intent.village, record));
            }
        }
        for token in &promised {
            self.trace.note(self.now, "world", &format!("{id:?} promises {}", token.as_str()));
        }
        self.ledger.ack(id, &promised);
        for token in &promised {
            if let (Some(entry), Some(_)) = (self.ledger.entries.get_mut(token), record) {
                entry.record = record;
            }
        }
        self.survives(id, record, &promised)
    }

    /// Whether these writes are still there if power goes now.
    fn survives(
        &mut self,
        id: HostId,
        record: Option<huza_crdt::id::RecordId>,
        promised: &[Token],
    ) -> Result<(), Violation> {
        // What a device writes that is shut out is held back, there too.
        let host = self.hosts.get(&id).and_then(|host| host.certificate);
        if host.is_some_and(|certificate| self.laws.revoked.contains(&certificate)) {
            return Ok(());
        }
        let mut text = String::new();
        if let Some(mut shadow) = self.shadow(id) {
            if let Some(record) = record {
                text = shadow.show(record);
            } else {
                text = shadow.export().into_iter().map(|resource| resource.text).collect();
                // An export gives the values that are shown. What the carrier held and the reader had
                // not filed yet may be shown instead by now: then ours stand beside it.
                let found = self.laws.tokens.find(text.as_bytes());
                if !promised.iter().all(|token| found.contains(token)) {
                    let records = self.ledger.records.iter();
                    text.extend(records.map(|(_, record)| shadow.show(*record)));
                }
            }
        }
        let found = self.laws.tokens.find(text.as_bytes());
        self.laws.count("promises checked by a power cut", 1);
        self.laws.weigh(Law::WrittenIsDurable, promised.len() as u64);
        let owed = |token: &&Token| {
            let record = self.ledger.entries.get(*token).and_then(|entry| entry.record);
            // What is being erased may be gone by now.
            !record.is_some_and(|record| self.trust.erasing.contains(&record))
        };
        let mut owed = promised.iter().filter(owed);
        let Some(lost) = owed.find(|token| !found.contains(token)) else {
            return Ok(());
        };
        let shown: String = text.chars().take(400).collect();
        let evidence = format!("{} is gone after a power cut; it shows: {shown}", lost.as_str());
        Err(self.violated(Some(id), &Broken::new(Law::WrittenIsDurable, evidence)))
    }

    /// A copy of a host's durable stores, started.
    pub(crate) fn shadow(&mut self, id: HostId) -> Option<Shadow> {
        let host = self.hosts.get(&id).filter(|host| host.exists && host.nature.reads())?;
        let (life, entropy) = (host.life, self.draws.shadow.bytes());
        let reader = ReaderState::Open { worker: host.worker() };
        let (erasure_delay_ms, carry) = (host.erasure_delay_ms, host.carry);
        let config = Config { entropy, life, reader, erasure_delay_ms, carry };
        Shadow::start(host.disk.durable.clone(), config, host.now(self.now))
    }

    /// Starts every host that still exists and waits until all serve.
    pub(crate) fn all_up(&mut self) -> Result<(), Violation> {
        for id in self.ids(|host| host.exists) {
            self.plan(self.now, Happening::Start(id));
        }
        for id in self.ids(|host| host.exists) {
            self.wait_ready(id)?;
        }
        Ok(())
    }

    /// Begins to look regularly at what is overdue.
    pub(crate) fn begin_sweeps(&mut self) {
        self.plan(self.now, Happening::Sweep);
    }

    /// The faults are over: what was planned of them is forgotten, links are cut, devices that
    /// are off or gave up are switched on.
    pub(crate) fn heal(&mut self) -> Result<(), Violation> {
        self.look_at_records()?;
        self.compare_readers()?;
        self.chaos = false;
        self.trace.note(self.now, "world", "heals");
        self.forget_plans();
        let ids: Vec<_> = self.pipes.keys().copied().collect();
        for id in ids {
            self.cut(id)?;
        }
        self.hosts.values_mut().for_each(|host| host.full = false);
        for id in self.ids(|host| host.stopped) {
            self.crash(id)?;
        }
        self.all_up()?;
        for id in self.ids(|host| host.exists) {
            self.unlock(id)?;
        }
        self.run_until(self.now + SETTLE_MS)?;
        // Whoever was about to lock does so first.
        let locking = |world: &Self| {
            let mut steps = world.trust.under_way.values();
            steps.any(|(_, step)| matches!(step, super::trust::Step::Lock))
        };
        self.run_while(self.now + BOOT_MS_MAX, |world| !locking(world))?;
        for id in self.ids(|host| host.exists) {
            self.unlock(id)?;
        }
        self.run_until(self.now + SETTLE_MS)
    }
}
