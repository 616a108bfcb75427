//! The durable stores of a host, and what is on its way into them.
//!
//! Batches become durable in order, each whole; a crash keeps a drawn number of those under way
//! and loses the rest. Reads see what is durable.

mod carrier;

use std::collections::VecDeque;

use huza_crdt::node::Token;
use huza_crdt::store::{Batch, MemoryStore, Range, Row, StoreKind, Table};

use crate::draw::Draw;
use crate::violation::{Broken, Law};

pub(crate) use carrier::{CarrierStore, Envelope};

/// What a disk holds for good.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durable {
    pub(crate) carrier: CarrierStore,
    pub(crate) reader: MemoryStore,
}

impl Durable {
    const fn rows_of(&self, table: Table) -> &MemoryStore {
        match table.store() {
            StoreKind::Carrier => &self.carrier.rows,
            StoreKind::Reader => &self.reader,
        }
    }

    /// Applies all of a batch to one of the stores.
    pub(crate) fn apply(&mut self, store: StoreKind, batch: &Batch) {
        match store {
            StoreKind::Carrier => self.carrier.apply(batch),
            StoreKind::Reader => self.reader.apply(batch),
        }
    }

    /// Reads a range, as the store does.
    pub(crate) fn load(&self, range: &Range) -> Vec<Row> {
        self.rows_of(range.table).load(range)
    }

    /// The value under a key.
    pub(crate) fn value(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.rows_of(table).value(table, key)
    }

    /// Every row of a table.
    pub(crate) fn rows(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows_of(table).rows(table)
    }
}

/// A disk, as the node's shell drives it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) durable: Durable,
    carrier: VecDeque<(Token, Batch)>,
    reader: VecDeque<(Token, Batch)>,
}

impl Disk {
    const fn queue(&mut self, store: StoreKind) -> &mut VecDeque<(Token, Batch)> {
        match store {
            StoreKind::Carrier => &mut self.carrier,
            StoreKind::Reader => &mut self.reader,
        }
    }

    /// Accepts a batch. The result is whether the store was idle, so that a flush must be planned.
    pub(crate) fn accept(
        &mut self,
        token: Token,
        store: StoreKind,
        batch: Batch,
    ) -> Result<bool, Broken> {
        if let Some(op) = batch.0.iter().find(|op| op.table().store() != store) {
            let evidence = format!("a batch for {store:?} writes to {:?}", op.table());
            return Err(Broken::new(Law::BatchesKeepToTheirStore, evidence));
        }
        let queue = self.queue(store);
        queue.push_back((token, batch));
        Ok(queue.len() == 1)
    }

    /// Makes up to `most` batches durable. The results are what was written, and whether more
    /// wait.
    pub(crate) fn flush(&mut self, store: StoreKind, most: u64) -> (Vec<(Token, Batch)>, bool) {
        let mut written = Vec::new();
        while (written.len() as u64) < most
            && let Some((token, batch)) = self.queue(store).pop_front()
        {
            self.durable.apply(store, &batch);
            written.push((token, batch));
        }
        (written, !self.queue(store).is_empty())
    }

    /// Power goes: of each store a drawn number of the batches under way is kept. The result is
    /// what was kept.
    pub(crate) fn crash(&mut self, draw: &mut Draw) -> Vec<Batch> {
        let mut kept = Vec::new();
        for store in [StoreKind::Carrier, StoreKind::Reader] {
            let waiting = self.queue(store).len() as u64;
            let most = draw.between(0, waiting);
            let (written, _) = self.flush(store, most);
            kept.extend(written.into_iter().map(|(_, batch)| batch));
            self.queue(store).clear();
        }
        kept
    }

    /// A write of this store fails: nothing of what is under way there is kept.
    pub(crate) fn fail(&mut self, store: StoreKind) {
        self.queue(store).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(key: u8) -> Batch {
        let mut batch = Batch::default();
        batch.put(Table::Envelopes, [key], [key]);
        batch.put(Table::Ingest, [key], [key]);
        batch
    }

    fn disk(batches: u8) -> Disk {
        let mut disk = Disk::default();
        for key in 0..batches {
            let idle = disk.accept(Token(key.into()), StoreKind::Carrier, batch(key)).unwrap();
            assert_eq!(idle, key == 0);
        }
        disk
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_whole_batches() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut disk = disk(5);
            disk.crash(&mut Draw::new(seed, "crash"));
            let rows = disk.durable.rows(Table::Envelopes);
            let keys: Vec<u8> = rows.map(|(key, _)| key[0]).collect();
            assert!((0..5).collect::<Vec<u8>>().starts_with(&keys));
            assert_eq!(disk.durable.rows(Table::Ingest).count(), keys.len());
            assert!(disk.flush(StoreKind::Carrier, 9).0.is_empty());
            lengths.insert(keys.len());
        }
        assert_eq!(lengths.len(), 6);
    }

    #[test]
    fn nothing_is_durable_before_the_flush() {
        let mut disk = disk(3);
        assert_eq!(disk.durable.rows(Table::Envelopes).count(), 0);
        let (written, more) = disk.flush(StoreKind::Carrier, 2);
        assert_eq!((written.len(), more), (2, true));
        assert_eq!(disk.durable.value(Table::Envelopes, &[1]), Some([1].as_slice()));
        assert_eq!(disk.durable.value(Table::Envelopes, &[2]), None);
    }

    #[test]
    fn a_batch_for_the_other_store_is_found() {
        let broken = Disk::default().accept(Token(1), StoreKind::Reader, batch(1)).unwrap_err();
        assert_eq!(broken.law, Law::BatchesKeepToTheirStore);
    }
}
