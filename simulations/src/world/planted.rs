//! The bugs that show that the laws find them. Each is beneath a node or around it, in its disk, its
//! shell, its link or its facility: the nodes are as they always are.

use huza_crdt::codec;
use huza_crdt::control::{PublishedKey, kind};
use huza_crdt::node::{Command, PipeId, Reply, Status};
use huza_crdt::store::{Batch, Op, Row, StoreKind, Table};

use super::World;
use crate::audit::{OutboxRow, Place, envelope_key, place_of};
use crate::host::HostId;
use crate::options::Planted;
use crate::token::Token;
use crate::violation::Violation;
use huza_crdt::id::RecordId;
use std::collections::BTreeMap;

impl World {
    /// Whether a bug is planted.
    pub(crate) fn has(&self, bug: Planted) -> bool {
        self.options.planted == Some(bug)
    }

    /// What becomes of a batch on its way to a disk.
    pub(super) fn spoil_batch(&mut self, id: HostId, store: StoreKind, batch: &mut Batch) {
        let Some(host) = self.hosts.get(&id).filter(|host| host.is_member()) else { return };
        let of = |op: &Op, tables: &[Table]| tables.contains(&op.table());
        match self.options.planted {
            Some(Planted::ReaderForgets) => {
                batch.0.retain(|op| !of(op, &[Table::Changes, Table::Pending]));
            }
            Some(Planted::KeepsErased) => batch.0.retain(|op| {
                let gone = matches!(op, Op::Delete { .. });
                !gone || !of(op, &[Table::Changes, Table::Summaries, Table::Cards])
            }),
            Some(Planted::RemovesEnvelope) if store == StoreKind::Carrier => {
                let carrier = &host.disk.durable.carrier;
                let is_home = |(log, _): &Place| {
                    let opening = carrier.opening(*log);
                    opening
                        .is_some_and(|one| self.programmes.auditor.is_home(&host.nature, one.area))
                };
                if let Some(place) = carrier.places().map(|one| one.0).find(is_home) {
                    batch.delete(Table::Envelopes, envelope_key(place));
                }
            }
            Some(Planted::StaleKeys) => {
                for op in &mut batch.0 {
                    if let Op::Put { table: Table::Outbox, key, value } = op {
                        self.under_the_first_key(id, key, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// The key of a sealed payload becomes the first that its village ever had.
    fn under_the_first_key(&self, id: HostId, key: &[u8], value: &mut Vec<u8>) {
        let host = self.hosts.get(&id);
        let log = place_of(key).map(|(log, _)| log);
        let Some((host, log)) = host.zip(log) else { return };
        let carrier = &host.disk.durable.carrier;
        let Some(opening) = carrier.opening(log) else { return };
        let keys = carrier
            .statements()
            .filter(|one| one.kind() == kind::PUBLISHED_KEY)
            .filter_map(|one| codec::decode::<PublishedKey>(one.body()).ok());
        let first = keys
            .filter(|one| one.area == opening.area)
            .min_by_key(|one| (one.generation, one.rotation));
        let Ok((log, counter, mut waiting)) = codec::decode::<OutboxRow>(value) else { return };
        if let Some(first) = first {
            waiting.epoch = first.epoch;
            *value = codec::encode(&(log, counter, waiting));
        }
    }

    /// What a disk gives back.
    pub(super) fn read(&self, id: HostId, range: &huza_crdt::store::Range) -> Vec<Row> {
        let Some(host) = self.hosts.get(&id) else { return Vec::new() };
        let single = range.table == Table::Changes && range.rows_max == 1;
        if self.has(Planted::LosesReads) && single {
            return Vec::new();
        }
        host.disk.durable.load(range)
    }

    /// What becomes of an answer on its way to a user.
    pub(super) fn spoil_reply(&self, reply: &mut Reply) {
        match (self.options.planted, reply) {
            (Some(Planted::ShowsLess), Reply::Exported { resources, .. }) => {
                resources.pop();
            }
            (Some(Planted::TellsMore), Reply::Peers { sessions }) => {
                sessions.iter_mut().for_each(|one| one.receiving.1 += 1);
            }
            (Some(Planted::ForgetsQuarantine), Reply::Status(status)) => status.quarantined.clear(),
            _ => {}
        }
    }

    /// The same, of what a copy is asked.
    pub(super) fn spoil_status(&self, status: &mut Status) {
        if self.has(Planted::TellsStored) {
            status.records.iter_mut().for_each(|one| one.stored = true);
        }
    }

    /// Something in clear goes along with what a node sends.
    pub(super) fn leak(&self, id: HostId, bytes: &mut Vec<u8>) {
        let mut written = self.ledger.entries.iter().filter(|(_, one)| one.acked.contains(&id));
        if let Some((token, _)) = written.next().filter(|_| self.has(Planted::Leaks)) {
            bytes.extend_from_slice(token.as_str().as_bytes());
        }
    }

    /// A shell goes on with a peer that its node has turned away.
    pub(super) fn serve_the_revoked(&mut self, id: HostId, pipe: PipeId) -> Result<(), Violation> {
        if !self.has(Planted::ServesRevoked) {
            return Ok(());
        }
        let talk = self.laws.talk(id, pipe).filter(|talk| talk.hello_heard);
        let peer = talk.and_then(|talk| talk.peer);
        let known = self.laws.known(id).zip(peer);
        if known.is_some_and(|(known, peer)| known.revoked.contains(&peer)) {
            self.serve_whoever_asks(id, pipe)?;
        }
        Ok(())
    }

    /// Remembers what a user imports, with something else in its place.
    pub(super) fn remember_import(
        &mut self,
        id: HostId,
        command: &Command,
        records: &BTreeMap<Token, RecordId>,
    ) {
        let Command::Import { area, text, source } = command else { return };
        if self.has(Planted::Overwrites) {
            let text = records.keys().fold(text.clone(), |text, token| {
                text.replace(token.as_str(), "something else that nobody wrote")
            });
            let (area, source) = (area.clone(), source.clone());
            self.overwrites.push((id, Command::Import { area, text, source }));
        }
    }

    /// Once all is at rest: imports again what was remembered. The result is whether it did.
    pub(crate) fn overwrite(&mut self) -> Result<bool, Violation> {
        let all = core::mem::take(&mut self.overwrites);
        let good = self.good();
        let mut any = false;
        for (id, command) in all.into_iter().filter(|(id, _)| good.contains(id)) {
            self.ask(id, command)?;
            any = true;
        }
        Ok(any)
    }

    /// Disks lose a row when nobody looks: of a statement at one member, of a change at one reader.
    pub(crate) fn rot(&mut self) {
        let (table, among) = match self.options.planted {
            Some(Planted::StatementRots) => (Table::Statements, self.good()),
            Some(Planted::ChangeRots) => (Table::Changes, self.readers()),
            _ => return,
        };
        let mut hosts = among.into_iter().rev();
        let found = hosts.find_map(|id| {
            let row = self.hosts.get(&id)?.disk.durable.rows(table).next()?;
            Some((id, row.0))
        });
        let Some((id, key)) = found else { return };
        let mut batch = Batch::default();
        batch.delete(table, key);
        if let Some(host) = self.hosts.get_mut(&id) {
            host.disk.durable.apply(table.store(), &batch);
        }
    }

    /// A panic, as of a node.
    pub(super) fn panic_if_planted(&self) {
        assert!(!self.has(Planted::Panics) || self.events < 500, "planted");
    }
}
