//! Storage as values. The core never touches a file: it says what to write and what to read, the
//! shell does it and reports back.
//!
//! There are two stores, one per half of the node, each a set of ordered tables from bytes to
//! bytes. A [`Batch`] concerns one store and is applied whole or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{LOAD_BYTES_MAX, LOAD_ROWS_MAX};

/// Which of the two files a table is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StoreKind {
    /// Sealed envelopes and the control lane. Opens unattended.
    Carrier,
    /// Keys, opened records, the index.
    Reader,
}

macro_rules! tables {
    ($($(#[$meta:meta])* $table:ident = $name:literal in $store:ident;)*) => {
        /// One ordered space of keys and values. Keys and values are described in
        /// `docs/wire.md`, section "Stores".
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Table { $($(#[$meta])* $table,)* }

        impl Table {
            /// Every table, in a fixed order.
            pub const ALL: &[Self] = &[$(Self::$table),*];

            /// Its name in the file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$table => $name,)* }
            }

            /// The store it belongs to.
            #[must_use]
            pub const fn store(self) -> StoreKind {
                match self { $(Self::$table => StoreKind::$store,)* }
            }
        }
    };
}

tables! {
    /// Single values: identity, store id, counters.
    CarrierMeta = "meta" in Carrier;
    /// Statement id -> statement.
    Statements = "statements" in Carrier;
    /// Log id, seq (big endian) -> stored envelope.
    Envelopes = "envelopes" in Carrier;
    /// Ingest number (big endian) -> log id, seq.
    Ingest = "ingest" in Carrier;
    /// Log id -> ranges held.
    Frontiers = "frontiers" in Carrier;
    /// Log id, index (big endian) -> sealed payload that has no seq yet.
    Outbox = "outbox" in Carrier;
    /// Log id, device key -> ranges that the device acknowledged as durable.
    Taken = "taken" in Carrier;
    /// Device -> how the last contact with it ended.
    Met = "met" in Carrier;
    /// Log id, seq, header hash -> envelope of another branch of a forked log.
    Forked = "forked" in Carrier;
    /// Single values: cursor, own logs and their change counters.
    ReaderMeta = "meta" in Reader;
    /// Record id, log id, change counter -> filed change.
    Changes = "changes" in Reader;
    /// Record id -> summary for lists and search.
    Summaries = "summaries" in Reader;
    /// Record id, visit id -> card of an urgent visit.
    Cards = "cards" in Reader;
    /// Log id, change counter -> change that is durable here and not yet handed to the carrier.
    Pending = "pending" in Reader;
    /// What it waits for, ingest number -> why.
    Waiting = "waiting" in Reader;
    /// Ingest number -> envelope whose records the facility has still to be given.
    Deliver = "deliver" in Reader;
    /// Record id -> what the facility was last given of it.
    Delivered = "delivered" in Reader;
    /// Record id, hash of a resource's key -> resource that the facility refused.
    Failed = "failed" in Reader;
    /// Hash of a name by which references mean a resource, record id -> its place at a server.
    Named = "named" in Reader;
    /// Hash of such a name, record id -> nothing: a resource of the record waits for what it means.
    Awaited = "awaited" in Reader;
    /// Log id -> ranges of envelopes that the facility accepted, or refused.
    Answered = "answered" in Reader;
    /// Log id -> ranges of envelopes with messages that a worker of this device was shown.
    Shown = "shown" in Reader;
    /// Number (big endian) -> entry of the audit trail.
    Audit = "audit" in Reader;
    /// Number (big endian) -> record id: what changed, in the order in which it did here.
    Feed = "feed" in Reader;
}

/// One write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Sets `key` to `value`.
    Put {
        /// Where.
        table: Table,
        /// Key.
        key: Vec<u8>,
        /// Value.
        value: Vec<u8>,
    },
    /// Removes `key`, if it is there.
    Delete {
        /// Where.
        table: Table,
        /// Key.
        key: Vec<u8>,
    },
}

crate::debug_shows!(enum Op { Put { table, key: Vec::len, value: Vec::len }, Delete { table, key: Vec::len } });

impl Op {
    /// The table it writes to.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Put { table, .. } | Self::Delete { table, .. } => *table,
        }
    }
}

/// Writes to one store that become durable together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch(pub Vec<Op>);

impl Batch {
    /// Adds a put.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.0.push(Op::Put { table, key: key.into(), value: value.into() });
    }

    /// Adds a delete.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.0.push(Op::Delete { table, key: key.into() });
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Keys from `from` (inclusive) to `to` (exclusive; `None`: to the end of the table), ascending, until
/// there are `rows_max` of them or they reach [`LOAD_BYTES_MAX`] bytes. Then there may be more, behind
/// the last: see [`Range::rest`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Where.
    pub table: Table,
    /// First key.
    pub from: Vec<u8>,
    /// Key behind the last.
    pub to: Option<Vec<u8>>,
    /// Most rows wanted.
    pub rows_max: usize,
}

crate::debug_shows!(struct Range { table, rows_max });

impl Range {
    /// A whole table.
    #[must_use]
    pub const fn all(table: Table) -> Self {
        Self { table, from: Vec::new(), to: None, rows_max: LOAD_ROWS_MAX }
    }

    /// All keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(table: Table, prefix: impl Into<Vec<u8>>) -> Self {
        let from = prefix.into();
        let to = after_prefix(&from);
        Self { table, from, to, rows_max: LOAD_ROWS_MAX }
    }

    /// Whether a load that has so far given so many rows and bytes stops there.
    #[must_use]
    pub const fn is_full(&self, rows: usize, bytes: usize) -> bool {
        rows >= self.rows_max || bytes >= LOAD_BYTES_MAX
    }

    /// Where to ask again after a load gave `rows`, if there may be more.
    #[must_use]
    pub fn rest(&self, rows: &[Row]) -> Option<Self> {
        let bytes = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        let (last, _) = rows.last().filter(|_| self.is_full(rows.len(), bytes))?;
        Some(self.behind(last))
    }

    /// The rest of this range behind `key`.
    #[must_use]
    pub fn behind(&self, key: &[u8]) -> Self {
        let mut from = key.to_vec();
        from.push(0);
        Self { from, ..self.clone() }
    }
}

/// The smallest key greater than every key that begins with `prefix`.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The rows of a table: key -> value.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// Both stores in memory: what the simulator and the tests use, and the model that real stores
/// are checked against.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MemoryStore {
    /// Shared with copies for as long as neither is written.
    tables: BTreeMap<Table, Arc<Rows>>,
}

crate::debug_shows!(
    struct MemoryStore {}
);

impl MemoryStore {
    /// Applies all of `batch`.
    pub fn apply(&mut self, batch: &Batch) {
        for op in &batch.0 {
            let rows = Arc::make_mut(self.tables.entry(op.table()).or_default());
            match op {
                Op::Put { key, value, .. } => {
                    rows.insert(key.clone(), value.clone());
                }
                Op::Delete { key, .. } => {
                    rows.remove(key);
                }
            }
        }
    }

    /// Reads `range`, in key order, under the limits that [`Range`] states.
    #[must_use]
    pub fn load(&self, range: &Range) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        let Some(table) = self.tables.get(&range.table) else { return rows };
        for (key, value) in table.range(range.from.clone()..) {
            if range.is_full(rows.len(), bytes) || range.to.as_ref().is_some_and(|to| key >= to) {
                break;
            }
            bytes += key.len() + value.len();
            rows.push((key.clone(), value.clone()));
        }
        rows
    }

    /// The value under a key.
    #[must_use]
    pub fn value(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.tables.get(&table)?.get(key).map(Vec::as_slice)
    }

    /// Every row of a table, in key order.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (&[u8], &[u8])> {
        let rows = self.tables.get(&table).into_iter().flat_map(|rows| rows.iter());
        rows.map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_all_ones_has_no_end() {
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255, 255]), None);
    }

    #[test]
    fn loads_stop_at_the_row_limit_and_go_on_behind_it() {
        let mut store = MemoryStore::default();
        let mut batch = Batch::default();
        for key in 0..5_u8 {
            batch.put(Table::Ingest, [key], [key]);
        }
        store.apply(&batch);
        let range = Range { rows_max: 3, ..Range::all(Table::Ingest) };
        let first = store.load(&range);
        assert_eq!(first.len(), 3);
        let rest = range.rest(&first).unwrap();
        let second = store.load(&rest);
        assert_eq!((second.len(), rest.rest(&second)), (2, None));
    }
}
