//! The stores on real files: same answers as the model, one process at a time, and clear refusals.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use huza_crdt::{
    limits::LOAD_BYTES_MAX,
    store::{Batch, MemoryStore, Range, StoreKind, Table},
};
use huza_daemon::store::{Store, StoreError, faulty};

mod store_support;
use store_support::{Dice, random_batch, random_range};

#[test]
fn a_store_answers_as_the_model_does() {
    for kind in [StoreKind::Carrier, StoreKind::Reader] {
        for seed in 0..6 {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("store.redb");
            let mut store = Store::create(kind, &path).unwrap();
            let mut model = MemoryStore::default();
            let mut dice = Dice(seed);
            for round in 0..60 {
                let batch = random_batch(&mut dice, kind);
                store.apply(&batch).unwrap();
                model.apply(&batch);
                for _ in 0..4 {
                    let range = random_range(&mut dice, kind);
                    assert_eq!(store.load(&range).unwrap(), model.load(&range), "seed {seed}");
                }
                if round % 20 == 19 {
                    store.close();
                    store = Store::open(kind, &path).unwrap();
                }
            }
        }
    }
}

#[test]
fn loads_keep_their_limits_on_bytes_and_rows() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(StoreKind::Carrier, &directory.path().join("c")).unwrap();
    let mut model = MemoryStore::default();
    let mut batch = Batch::default();
    for (key, bytes) in
        [LOAD_BYTES_MAX * 2, LOAD_BYTES_MAX / 2, LOAD_BYTES_MAX / 2, 5, 0].into_iter().enumerate()
    {
        batch.put(Table::Envelopes, [u8::try_from(key).unwrap()], vec![7; bytes]);
    }
    store.apply(&batch).unwrap();
    model.apply(&batch);
    let mut range = Range::all(Table::Envelopes);
    let mut counts = Vec::new();
    loop {
        let rows = store.load(&range).unwrap();
        assert_eq!(rows, model.load(&range));
        let Some((last, _)) = rows.last() else { break };
        counts.push(rows.len());
        range = range.behind(last);
    }
    assert_eq!(counts, [1, 2, 2], "until they reach the limit");
    assert_eq!(store.load(&Range { rows_max: 0, ..range }).unwrap(), []);
}

#[test]
fn a_batch_for_the_other_half_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(StoreKind::Carrier, &directory.path().join("c")).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Ingest, [1], [1]);
    batch.put(Table::Cards, [1], [1]);
    assert!(matches!(store.apply(&batch), Err(StoreError::Table("cards"))));
    assert!(matches!(store.load(&Range::all(Table::Cards)), Err(StoreError::Table("cards"))));
    assert_eq!(store.load(&Range::all(Table::Ingest)).unwrap(), []);
}

#[test]
fn creating_twice_and_opening_nothing_or_something_else_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("carrier");
    assert!(matches!(Store::open(StoreKind::Carrier, &path), Err(StoreError::Missing)));
    // What a cut during an earlier creation may have left.
    std::fs::write(directory.path().join("carrier.new"), b"half").unwrap();
    Store::create(StoreKind::Carrier, &path).unwrap().close();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::create(StoreKind::Carrier, &path), Err(StoreError::Exists)));
    assert!(matches!(Store::open(StoreKind::Reader, &path), Err(StoreError::Format)));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing left behind");
    for (name, content) in [("empty", &b""[..]), ("text", &b"not a store at all"[..])] {
        let other = directory.path().join(name);
        std::fs::write(&other, content).unwrap();
        let opened = Store::open(StoreKind::Carrier, &other);
        assert!(matches!(opened, Err(StoreError::Format)), "{name}: {opened:?}");
        assert_eq!(std::fs::read(&other).unwrap(), content, "{name} is left as it is");
    }
    // A refused open still closes the file properly, so compare what it holds, not its bytes.
    assert!(!before.is_empty());
    Store::open(StoreKind::Carrier, &path).unwrap();
}

#[test]
fn a_second_opener_is_refused_on_a_disk_in_memory_and_in_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let store = Store::create(StoreKind::Carrier, &path).unwrap();
    assert!(matches!(Store::open(StoreKind::Carrier, &path), Err(StoreError::InUse)));
    store.close();
    Store::open(StoreKind::Carrier, &path).unwrap();

    let disk = faulty::Disk::default();
    let store = Store::create_on(StoreKind::Carrier, disk.clone()).unwrap();
    let second = Store::open_on(StoreKind::Carrier, disk.clone());
    assert!(matches!(second, Err(StoreError::InUse)), "{second:?}");
    store.close();
    Store::open_on(StoreKind::Carrier, disk).unwrap();
}

const HELPER: &str = "HUZA_TEST_STORE_HELD_BY_A_CHILD";

/// Not a test by itself: the other process of the next test.
#[test]
fn helper_that_holds_a_store() {
    let Some(path) = env::var_os(HELPER) else { return };
    let store = Store::open(StoreKind::Carrier, Path::new(&path)).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Ingest, [1], [1]);
    store.apply(&batch).unwrap();
    println!("\nheld");
    std::io::stdout().flush().unwrap();
    // Until it is killed.
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_store_held_by_another_process_is_refused_until_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    Store::create(StoreKind::Carrier, &path).unwrap().close();
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "helper_that_holds_a_store", "--nocapture"])
        .env(HELPER, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "held"));
    assert!(matches!(Store::open(StoreKind::Carrier, &path), Err(StoreError::InUse)));
    child.kill().unwrap();
    child.wait().unwrap();
    let store = Store::open(StoreKind::Carrier, &path).unwrap();
    assert_eq!(store.load(&Range::all(Table::Ingest)).unwrap(), [(vec![1], vec![1])]);
}

/// Goal: whatever a failing medium made of a file, opening it ends in a store or in words.
/// Method: parts of a real file are overwritten, or its end is cut off, one way at a time.
#[test]
fn a_damaged_file_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c");
    let store = Store::create(StoreKind::Carrier, &path).unwrap();
    let mut dice = Dice(1);
    for _ in 0..40 {
        store.apply(&random_batch(&mut dice, StoreKind::Carrier)).unwrap();
    }
    store.close();
    let sound = std::fs::read(&path).unwrap();
    let mut refused = 0;
    let mut open = |what: &str, damaged: Vec<u8>| {
        std::fs::write(&path, damaged).unwrap();
        match std::panic::catch_unwind(|| Store::open(StoreKind::Carrier, &path)) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                assert!(
                    matches!(
                        error,
                        StoreError::Damaged(_) | StoreError::Format | StoreError::Storage(_)
                    ),
                    "{what}: {error}"
                );
                refused += 1;
            }
            Err(_) => panic!("{what}: a panic"),
        }
    };
    const PART: usize = 512;
    for (at, filling) in (0..sound.len()).step_by(sound.len() / 96).zip([0, 0xff, 0x5a].repeat(40))
    {
        // The beginning of a page, where redb says what it is.
        let at = at - at % 4_096;
        let mut damaged = sound.clone();
        damaged[at..sound.len().min(at + PART)].fill(filling);
        open(&format!("{filling:#x} at {at}"), damaged);
    }
    for at in (0..320).step_by(5) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xff;
        open(&format!("byte {at} of the header"), damaged);
    }
    for length in (0..sound.len()).step_by(sound.len() / 16) {
        open(&format!("cut at {length}"), sound[..length].to_vec());
    }
    assert!(refused > 20, "{refused}");
    std::fs::write(&path, &sound).unwrap();
    Store::open(StoreKind::Carrier, &path).unwrap();
}
