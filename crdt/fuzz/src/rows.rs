//! What a damaged or edited disk can hold: a node that starts over any row either works or says
//! why it does not. It never panics, and never talks without end.

use huza_crdt::node::{Command, Input, PipeId};
use huza_crdt::store::{Batch, MemoryStore, Range, Table};
use huza_crdt::trust::Role;

use super::common::{Host, World};

/// A device with something in every table, and its store.
pub struct Shelf {
    host: Host,
    store: MemoryStore,
    rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self::new()
    }
}

impl Shelf {
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::new();
        let mut host = world.device(1, Role::Gateway, &[]);
        let mut phone = world.device(2, Role::Worker, &["01"]);
        let person = phone.person("zza");
        phone.visit(person, &[("age-months", "14"), ("convulsions", "yes")]);
        world.meet(&mut phone, &mut host);
        world.meet(&mut phone, &mut host);
        host.show(person);
        let store = host.backup();
        let rows = Table::ALL
            .iter()
            .flat_map(|table| store.load(&Range::all(*table)).into_iter().map(|row| (*table, row)))
            .map(|(table, (key, value))| (table, key, value))
            .collect();
        Self { host, store, rows }
    }

    /// How many rows there are to damage.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The value of a row.
    #[must_use]
    pub fn value(&self, row: usize) -> &[u8] {
        &self.rows[row % self.rows.len()].2
    }

    /// One row (2 bytes), how it is damaged (1), and with what. Then the device starts, is asked
    /// and met.
    pub fn run(&self, bytes: &[u8]) {
        let Some(([row, again, how], with)) = bytes.split_first_chunk::<3>() else { return };
        let row = usize::from(u16::from_le_bytes([*row, *again])) % self.rows.len();
        let (table, key, value) = &self.rows[row];
        let mut batch = Batch::default();
        match how % 4 {
            0 => batch.put(*table, key.clone(), with.to_vec()),
            1 => {
                let mut value = value.clone();
                for (at, byte) in value.iter_mut().zip(with) {
                    *at ^= byte;
                }
                batch.put(*table, key.clone(), value);
            }
            2 => batch.delete(*table, key.clone()),
            _ => {
                let mut key = key.clone();
                let at = usize::from(with.first().copied().unwrap_or_default());
                key.truncate(at.min(key.len()));
                key.extend(with.iter().skip(1).take(64));
                batch.put(*table, key, value.clone());
            }
        }
        let mut store = self.store.clone();
        store.apply(&batch);
        let mut host = self.host.over(store);
        for command in [
            Command::Status { records: true },
            Command::Find { query: "zz".to_owned(), limit: 10 },
            Command::Seal,
        ] {
            let id = huza_crdt::node::CommandId(1 << 40);
            host.handle(Input::Command { id, command: Box::new(command) });
            host.replies.clear();
        }
        let pipe = PipeId(9_999);
        host.handle(Input::PipeOpened { pipe, dialer: true, binding: [9; 32] });
        host.handle(Input::Received { pipe, bytes: with.to_vec() });
        host.handle(Input::PipeClosed { pipe });
        assert!(host.sent.iter().map(|(_, said)| said.len()).sum::<usize>() < 400_000);
    }
}
