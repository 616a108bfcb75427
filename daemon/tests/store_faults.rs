//! The disk fails: power cuts at every write and sync, full disks, failed syncs. What was
//! acknowledged is there afterwards, and nothing is there in part; on a plain and on an encrypted
//! file alike.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use huza_crdt::store::{Batch, MemoryStore, Range, StoreKind, Table};
use huza_daemon::store::{
    Encrypted, FileKey, Store, StoreError,
    faulty::{Disk, Faults, Survival},
};
use zeroize::Zeroizing;

mod store_support;
use store_support::{Dice, equal, random_batch};

const KIND: StoreKind = StoreKind::Carrier;

/// What a store is on.
#[derive(Debug, Clone, Copy)]
enum Medium {
    Plain,
    Encrypted,
}

impl Medium {
    const ALL: [Self; 2] = [Self::Plain, Self::Encrypted];

    fn create(self, disk: &Disk) -> Result<Store, StoreError> {
        match self {
            Self::Plain => Store::create_on(KIND, disk.clone()),
            Self::Encrypted => Store::create_on(KIND, encrypted(disk)),
        }
    }

    fn open(self, disk: &Disk) -> Result<Store, StoreError> {
        match self {
            Self::Plain => Store::open_on(KIND, disk.clone()),
            Self::Encrypted => Store::open_on(KIND, encrypted(disk)),
        }
    }
}

fn encrypted(disk: &Disk) -> Encrypted<Disk> {
    let key = core::array::from_fn(|i| i.to_le_bytes()[0].wrapping_mul(37));
    Encrypted::new(disk.clone(), &FileKey::from_bytes(&Zeroizing::new(key)))
}

/// A run of batches that touches pages of every size, as image and model before it begins.
fn story(on: Medium, seed: u64) -> (Vec<u8>, MemoryStore, Vec<Batch>) {
    let mut dice = Dice(seed);
    let disk = Disk::default();
    let store = on.create(&disk).unwrap();
    let mut model = MemoryStore::default();
    for _ in 0..3 {
        let batch = random_batch(&mut dice, KIND);
        store.apply(&batch).unwrap();
        model.apply(&batch);
    }
    store.close();
    let mut batches: Vec<Batch> = (0..8).map(|_| random_batch(&mut dice, KIND)).collect();
    batches.retain(|batch| !batch.is_empty());
    (disk.image(), model, batches)
}

/// Runs the story on `disk` until the end or the first error. Gives the model after the last
/// acknowledged batch and the model with the one in flight, if there is one.
fn run(
    on: Medium,
    disk: &Disk,
    before: &MemoryStore,
    batches: &[Batch],
) -> (MemoryStore, Option<MemoryStore>) {
    let mut model = before.clone();
    let Ok(store) = on.open(disk) else { return (model, None) };
    for batch in batches {
        let mut next = model.clone();
        next.apply(batch);
        if store.apply(batch).is_err() {
            assert!(store.is_poisoned());
            assert!(matches!(store.apply(batch), Err(StoreError::Poisoned)));
            let loaded = store.load(&Range::all(Table::Ingest));
            assert!(matches!(loaded, Err(StoreError::Poisoned)));
            return (model, Some(next));
        }
        model = next;
    }
    (model, None)
}

/// Opens `disk` and says whether it holds `acknowledged` or `in_flight`, whole.
fn holds_one_of(
    on: Medium,
    disk: &Disk,
    acknowledged: &MemoryStore,
    in_flight: Option<&MemoryStore>,
) -> bool {
    let store = on.open(disk).unwrap();
    equal(&store, acknowledged) || in_flight.is_some_and(|model| equal(&store, model))
}

#[test]
fn power_cut_at_every_write_and_sync_keeps_what_was_acknowledged() {
    let (mut cuts, mut kept_in_flight) = (0, 0);
    for (on, seed) in [(Medium::Plain, 0), (Medium::Encrypted, 1)] {
        let (image, before, batches) = story(on, seed);
        let whole = Disk::holding(image.clone(), Faults::default());
        let (last, _) = run(on, &whole, &before, &batches);
        assert!(whole.operations() > 40 && whole.syncs() >= batches.len() as u64);
        assert!(equal(&on.open(&whole).unwrap(), &last));
        for cut_at in 1..=whole.operations() {
            let faults = Faults { cut_at: Some(cut_at), ..Faults::default() };
            let disk = Disk::holding(image.clone(), faults);
            let (acknowledged, in_flight) = run(on, &disk, &before, &batches);
            for (survival, sector_bytes) in
                Survival::ALL.into_iter().flat_map(|survival| [(survival, 512), (survival, 4_096)])
            {
                let left = disk.after_cut(survival, sector_bytes, seed ^ cut_at << 8);
                let store = on.open(&left).unwrap();
                let old = equal(&store, &acknowledged);
                let new = in_flight.as_ref().is_some_and(|model| equal(&store, model));
                assert!(old || new, "{on:?} {seed}, cut at {cut_at}, {survival:?} {sector_bytes}");
                cuts += 1;
                kept_in_flight += u32::from(new && !old);
            }
        }
    }
    println!("{cuts} cuts, {kept_in_flight} kept the batch in flight");
    assert!(cuts > 500 && kept_in_flight > 0);
}

#[test]
fn a_second_cut_while_recovering_loses_nothing_either() {
    for on in Medium::ALL {
        let (image, before, batches) = story(on, 7);
        let whole = Disk::holding(image.clone(), Faults::default());
        run(on, &whole, &before, &batches);
        let faults = Faults { cut_at: Some(whole.operations() * 2 / 3), ..Faults::default() };
        let disk = Disk::holding(image, faults);
        let (acknowledged, in_flight) = run(on, &disk, &before, &batches);
        for seed in 0..40 {
            let left = disk.after_cut(Survival::Subset, 512, seed);
            left.set_faults(Faults { cut_at: Some(1 + seed % 8), ..Faults::default() });
            // It may get through, if recovery needs fewer operations than that.
            drop(on.open(&left));
            let left = left.after_cut(Survival::Subset, 512, seed ^ 99);
            assert!(holds_one_of(on, &left, &acknowledged, in_flight.as_ref()), "seed {seed}");
        }
    }
}

#[test]
fn a_failed_sync_acknowledges_nothing_and_poisons() {
    for on in Medium::ALL {
        let (image, before, batches) = story(on, 3);
        let whole = Disk::holding(image.clone(), Faults::default());
        run(on, &whole, &before, &batches);
        for sync_fails_at in 1..=whole.syncs() {
            let faults = Faults { sync_fails_at: Some(sync_fails_at), ..Faults::default() };
            let disk = Disk::holding(image.clone(), faults);
            let (acknowledged, in_flight) = run(on, &disk, &before, &batches);
            for survival in Survival::ALL {
                let left = disk.after_cut(survival, 512, sync_fails_at);
                let kept = holds_one_of(on, &left, &acknowledged, in_flight.as_ref());
                assert!(kept, "sync {sync_fails_at}, {survival:?}");
            }
        }
    }
}

#[test]
fn a_full_disk_is_named_as_such_and_leaves_the_old_content() {
    for on in Medium::ALL {
        let (image, before, batches) = story(on, 5);
        let room = image.len() as u64;
        let mut grow = Batch::default();
        for key in 0..16_u8 {
            grow.put(Table::Envelopes, [key], vec![key; 300_000]);
        }
        for faults in [
            Faults { capacity_bytes: Some(room), ..Faults::default() },
            Faults { written_bytes_max: Some(200_000), ..Faults::default() },
        ] {
            let disk = Disk::holding(image.clone(), faults);
            let store = on.open(&disk).unwrap();
            let error = store.apply(&grow).unwrap_err();
            assert!(matches!(error, StoreError::Full(_)), "{error:?}");
            assert!(error.to_string().contains("free some space"));
            assert!(matches!(store.apply(&grow), Err(StoreError::Poisoned)));
            store.close();
            // Space was freed and the node started again.
            disk.set_faults(Faults::default());
            let store = on.open(&disk).unwrap();
            assert!(equal(&store, &before));
            let mut model = before.clone();
            for batch in batches.iter().chain([&grow]) {
                store.apply(batch).unwrap();
                model.apply(batch);
            }
            assert!(equal(&store, &model));
        }
    }
}

#[test]
fn the_disk_itself_forgets_what_was_not_synced() {
    use redb::StorageBackend as _;
    let disk = Disk::new(Faults { cut_at: Some(4), ..Faults::default() });
    disk.write(0, &[1; 1_024]).unwrap();
    disk.sync_data().unwrap();
    disk.write(512, &[2; 1_024]).unwrap();
    disk.write(0, &[3; 512]).unwrap_err();
    disk.sync_data().unwrap_err();
    let image = |survival, seed| disk.after_cut(survival, 512, seed).image();
    assert_eq!(image(Survival::Nothing, 0), vec![1; 1_024]);
    let all = [vec![3; 512], vec![2; 1_024]].concat();
    assert_eq!(image(Survival::Everything, 0), all);
    let subsets: std::collections::BTreeSet<_> =
        (0..200).map(|seed| image(Survival::Subset, seed)).collect();
    assert_eq!(subsets.len(), 8, "three sectors, each alone");
    assert!((0..9).all(|seed| image(Survival::AllButOne, seed) != all));
    assert_eq!(image(Survival::Subset, 5), image(Survival::Subset, 5));
}
