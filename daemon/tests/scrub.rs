//! After a scrub nothing of deleted rows is left in a store's file, whatever it was cut by.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use huza_crdt::store::{Batch, MemoryStore, Range, StoreKind, Table};
use huza_daemon::store::{
    Encrypted, FileKey, Store,
    faulty::{Disk, Faults, Survival},
    scrub,
};
use redb::StorageBackend as _;
use zeroize::Zeroizing;

mod store_support;
use store_support::{Dice, equal, random_batch};

const KIND: StoreKind = StoreKind::Reader;
const CANARY: &[u8] = b"the canary that sang in a deleted row";

fn key() -> FileKey {
    FileKey::from_bytes(&Zeroizing::new(core::array::from_fn(|i| i.to_le_bytes()[0])))
}

/// Fills a store with rows, some of them canaries, and deletes the canaries again.
fn fill(store: &Store, seed: u64) -> MemoryStore {
    let mut dice = Dice(seed);
    let mut model = MemoryStore::default();
    let mut apply = |batch: &Batch| {
        store.apply(batch).unwrap();
        model.apply(batch);
    };
    for round in 0..6_u8 {
        let mut canaries = Batch::default();
        for row in 0..40_u8 {
            canaries.put(
                Table::Changes,
                [200, round, row],
                CANARY.repeat(1 + usize::from(row) * 4),
            );
        }
        apply(&canaries);
        apply(&random_batch(&mut dice, KIND));
    }
    for round in 0..6_u8 {
        let mut gone = Batch::default();
        (0..40_u8).for_each(|row| gone.delete(Table::Changes, [200, round, row]));
        apply(&gone);
    }
    model
}

/// The file's content as a program with the key sees it.
fn plain(image: Vec<u8>, key: Option<&FileKey>) -> Vec<u8> {
    let Some(key) = key else { return image };
    let mut out = vec![0; image.len()];
    Encrypted::new(Disk::holding(image, Faults::default()), key).read(0, &mut out).unwrap();
    out
}

fn has_canary(bytes: &[u8]) -> bool {
    bytes.windows(16).any(|window| CANARY.starts_with(window))
}

#[cfg(unix)]
fn inode(path: &Path) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
}

#[cfg(unix)]
#[test]
fn a_scrub_leaves_every_live_row_and_nothing_else_in_the_same_file() {
    let key = key();
    for key in [None, Some(&key)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reader.redb");
        let mut store = Store::create_with(KIND, &path, key).unwrap();
        let model = fill(&store, 3);
        let (before, place) = (plain(fs::read(&path).unwrap(), key), inode(&path));
        assert!(has_canary(&before), "free pages keep what was deleted");
        store.scrub().unwrap();
        assert!(equal(&store, &model));
        assert!(!has_canary(&plain(fs::read(&path).unwrap(), key)));
        assert_eq!(inode(&path), place, "the life token depends on it");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        // It goes on as a store.
        let mut more = Batch::default();
        more.put(Table::Summaries, [201, 1], [1]);
        store.apply(&more).unwrap();
        store.close();
        let store = Store::open_with(KIND, &path, key).unwrap();
        assert_eq!(store.load(&Range::prefix(Table::Summaries, [201])).unwrap().len(), 1);
    }
}

#[test]
fn a_scrub_cut_in_the_middle_is_finished_when_the_store_is_opened() {
    let key = key();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("reader.redb");
    let store = Store::create_with(KIND, &path, Some(&key)).unwrap();
    let model = fill(&store, 5);
    store.close();
    let old = fs::read(&path).unwrap();
    let next = dir.path().join("fresh");
    let store = Store::open_with(KIND, &path, Some(&key)).unwrap();
    let fresh = Store::create_with(KIND, &next, Some(&key)).unwrap();
    store.copy_rows(&fresh).unwrap();
    fresh.close();
    store.close();
    let new = fs::read(&next).unwrap();
    for overwritten in [0, 1, 4_096, new.len() / 2, new.len()] {
        let mut torn = old.clone();
        torn[..overwritten].copy_from_slice(&new[..overwritten]);
        fs::write(&path, &torn).unwrap();
        fs::copy(&next, dir.path().join("reader.redb.next")).unwrap();
        let store = Store::open_with(KIND, &path, Some(&key)).unwrap();
        assert!(equal(&store, &model), "cut after {overwritten} bytes");
        store.close();
        assert!(!has_canary(&plain(fs::read(&path).unwrap(), Some(&key))));
        assert!(!dir.path().join("reader.redb.next").exists());
    }
    // A copy that was not complete never got its name: the store is as it was.
    fs::write(&path, &old).unwrap();
    fs::write(dir.path().join("reader.redb.next.new"), b"half").unwrap();
    let mut store = Store::open_with(KIND, &path, Some(&key)).unwrap();
    assert!(equal(&store, &model));
    store.scrub().unwrap();
    assert!(equal(&store, &model));
}

#[test]
fn a_power_cut_at_every_write_of_a_scrub_is_mended_by_doing_it_again() {
    let key = key();
    for key in [None, Some(&key)] {
        let create = |disk: &Disk| match key {
            None => Store::create_on(KIND, disk.clone()),
            Some(key) => Store::create_on(KIND, Encrypted::new(disk.clone(), key)),
        };
        let open = |disk: &Disk| match key {
            None => Store::open_on(KIND, disk.clone()),
            Some(key) => Store::open_on(KIND, Encrypted::new(disk.clone(), key)),
        };
        let (disk, next) = (Disk::default(), Disk::default());
        let (store, fresh) = (create(&disk).unwrap(), create(&next).unwrap());
        let model = fill(&store, 7);
        store.copy_rows(&fresh).unwrap();
        store.close();
        fresh.close();
        let (old, new) = (disk.image(), next.image());
        assert!(old.len() > new.len(), "there is a tail to be cut off");
        let whole = Disk::holding(old.clone(), Faults::default());
        scrub::overwrite(&next, &whole).unwrap();
        for cut in 1..=whole.operations() {
            for survival in Survival::ALL {
                let faults = Faults { cut_at: Some(cut), ..Faults::default() };
                let disk = Disk::holding(old.clone(), faults);
                assert!(scrub::overwrite(&next, &disk).is_err());
                let left = disk.after_cut(survival, 512, cut);
                scrub::overwrite(&next, &left).unwrap();
                assert_eq!(left.image(), new);
                assert!(!has_canary(&plain(left.image(), key)), "cut at {cut}, {survival:?}");
                assert!(equal(&open(&left).unwrap(), &model));
            }
        }
    }
}
