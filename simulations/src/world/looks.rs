//! Looks at what nodes would show, in copies of them, while nobody waits for anything: nothing of it
//! changes what the nodes do.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::node::{Command, Reply};

use super::World;
use crate::audit::{Model, Place, waiting};
use crate::check::{alike, quarantine, told};
use crate::host::{Host, HostId};
use crate::token::Token;
use crate::violation::{Law, Violation};

impl World {
    /// Readers that hold the same have to show the same.
    pub(crate) fn compare_readers(&mut self) -> Result<(), Violation> {
        // Of a fork each holds its own; of what was lost with devices readers may still show what they
        // had filed.
        if self.laws.forks_expected || self.ledger.excuses() > 0 {
            return Ok(());
        }
        let mut alike: BTreeMap<_, Vec<HostId>> = BTreeMap::new();
        for id in self.readers() {
            let Some(host) = self.hosts.get(&id) else { continue };
            // What it wrote into others' villages it shows alone.
            if !self.ledger.written_outside_by(id).is_empty() {
                continue;
            }
            // The reader of one whose carrier is older than it has filed what that does not hold.
            if host.reader_is_ahead || !alike::shows_what_it_holds(&host.disk.durable) {
                continue;
            }
            let grounds = alike::grounds(&host.disk.durable);
            let key = (host.nature.catchment, host.nature.covers.clone(), grounds);
            alike.entry(key).or_default().push(id);
        }
        for group in alike.into_values().filter(|group| group.len() > 1) {
            let mut first = None;
            for id in group {
                let name = self.hosts.get(&id).map(Host::name).unwrap_or_default().to_owned();
                let Some(mut shadow) = self.shadow(id) else { continue };
                // What it had still to file may wait for a key, and what it had to publish again be written.
                if !alike::shows_what_it_holds(shadow.durable()) {
                    continue;
                }
                let shown = shadow.export().into_iter().map(|one| (one.key, one.text)).collect();
                let Some((first_name, first)) = &first else {
                    first = Some((name, shown));
                    continue;
                };
                alike::shows_same((first_name, first), (&name, &shown))
                    .map_err(|broken| self.violated(Some(id), &broken))?;
                self.laws.weigh(Law::SameShowsSame, 1);
            }
        }
        Ok(())
    }

    /// What readers say of their records' way has to be true.
    pub(crate) fn look_at_records(&mut self) -> Result<(), Violation> {
        if self.laws.forks_expected {
            return Ok(());
        }
        let mut models = BTreeMap::new();
        let mut everywhere: BTreeMap<Token, BTreeSet<Place>> = BTreeMap::new();
        for host in self.hosts.values().filter(|host| host.is_member()) {
            // What is quarantined does not count.
            let apart = quarantine::on_disk(&host.disk.durable).into_keys();
            let mut model = Model::without(apart.collect());
            model.add(&self.programmes.auditor, &self.laws.tokens, &host.disk.durable);
            for (token, places) in &model.signed {
                everywhere.entry(*token).or_default().extend(places);
            }
            models.insert(host.id, model);
        }
        for id in self.readers() {
            let Some(mut shadow) = self.shadow(id) else { continue };
            let reply = shadow.ask(Command::Status { records: true });
            let Some(Reply::Status(mut status)) = reply else { continue };
            self.spoil_status(&mut status);
            let Some(mine) = models.get(&id) else { continue };
            // What waits for a key is in no record yet, so nothing is said of it.
            let waits = mine.records_in(&waiting(shadow.durable()));
            status.records.retain(|one| !waits.contains(&one.record));
            told::of_records(&status.records, mine, &everywhere, &self.laws.at_hubs)
                .map_err(|broken| self.violated(Some(id), &broken))?;
            let stored = status.records.iter().filter(|one| one.stored).count();
            self.laws.weigh(Law::ToldIsTrue, stored as u64);
        }
        Ok(())
    }

    /// The readers that are there and trusted.
    pub(crate) fn readers(&self) -> Vec<HostId> {
        let reads: BTreeSet<HostId> = self.ids(|host| host.nature.reads()).into_iter().collect();
        self.good().into_iter().filter(|id| reads.contains(id)).collect()
    }
}
