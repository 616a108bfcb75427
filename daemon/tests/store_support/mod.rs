//! Seeded batches and ranges for the store's tests.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use huza_crdt::store::{Batch, MemoryStore, Op, Range, StoreKind, Table};
use huza_daemon::store::Store;

/// SplitMix64.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }

    /// Short and of few different bytes, so that keys meet again; sometimes empty.
    pub fn key(&mut self) -> Vec<u8> {
        let len = self.below(4);
        (0..len).map(|_| [0, 1, 2, 127, 254, 255][self.below(6)]).collect()
    }
}

pub fn tables(kind: StoreKind) -> Vec<Table> {
    Table::ALL.iter().copied().filter(|table| table.store() == kind).collect()
}

pub fn random_batch(dice: &mut Dice, kind: StoreKind) -> Batch {
    let tables = tables(kind);
    let mut batch = Batch::default();
    for _ in 0..dice.below(24) {
        let table = tables[dice.below(tables.len())];
        let key = dice.key();
        if dice.below(3) == 0 {
            batch.0.push(Op::Delete { table, key });
        } else {
            // Over-weight values larger than a page, because those take other paths in redb.
            let len = [0, 1, 40, 900, 5_000, 40_000][dice.below(6)];
            let value = dice.bytes(len);
            batch.0.push(Op::Put { table, key, value });
        }
    }
    batch
}

pub fn random_range(dice: &mut Dice, kind: StoreKind) -> Range {
    let tables = tables(kind);
    let table = tables[dice.below(tables.len())];
    let key = dice.key();
    match dice.below(4) {
        0 => Range::all(table),
        1 => Range::prefix(table, key),
        2 => Range::all(table).behind(&key),
        _ => Range { table, from: key, to: Some(dice.key()), rows_max: dice.below(6) },
    }
}

/// Whether `store` holds exactly what `model` holds.
pub fn equal(store: &Store, model: &MemoryStore) -> bool {
    tables(store.kind()).into_iter().all(|table| {
        let mut range = Range::all(table);
        loop {
            let rows = store.load(&range).unwrap();
            if rows != model.load(&range) {
                return false;
            }
            let Some((last, _)) = rows.last() else { return true };
            range = range.behind(last);
        }
    })
}
