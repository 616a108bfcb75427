//! What encryption below redb costs: the same work on a plain and on an encrypted store, in turns,
//! in one run.
//!
//! ```text
//! cargo run --release -p huza-daemon --example encrypted_store [DIRECTORY]
//! ```
//!
//! The work is that of the storage reference's W1: 6,250 rows of 1,017 bytes, in transactions of
//! 64 kB and of 1 MB, then all of them read in ranges, from a store that was just opened. Each
//! line gives the median over the rounds and the median of the rounds' ratios: the two halves of a
//! round run next to each other, so that what else the machine does falls on both. The limit is on
//! all of it together; reading alone comes from the page cache here, where a plain store copies
//! memory and nothing else, which no disk of a phone does.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a product")]
#![expect(clippy::indexing_slicing, reason = "a measurement, not a product")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use huza_crdt::store::{Batch, Range, StoreKind, Table};
use huza_daemon::store::{FileKey, Store};
use zeroize::Zeroizing;

const ROWS: u64 = 6_250;
const ROW_BYTES: usize = 1_017;
const ROUNDS: usize = 15;

/// The most that encryption may cost, over the whole work.
const RATIO_MAX: f64 = 1.2;

/// One run of everything: milliseconds for 64 kB writes, 1 MB writes, reading.
fn round(dir: &Path, key: Option<&FileKey>, rows: &[Vec<u8>]) -> [Duration; 3] {
    let mut times = [Duration::ZERO; 3];
    for (place, transaction_bytes) in [65_536, 1_048_576].into_iter().enumerate() {
        let path = dir.join("store.redb");
        let store = Store::create_with(StoreKind::Carrier, &path, key).unwrap();
        let begun = Instant::now();
        for (index, rows) in rows.chunks(transaction_bytes / ROW_BYTES).enumerate() {
            let mut batch = Batch::default();
            for (within, row) in rows.iter().enumerate() {
                let number = index as u64 * ROWS + within as u64;
                batch.put(
                    Table::Envelopes,
                    [[7; 32].as_slice(), &number.to_be_bytes()].concat(),
                    row.as_slice(),
                );
            }
            store.apply(&batch).unwrap();
        }
        times[place] = begun.elapsed();
        store.close();
        if place == 1 {
            let store = Store::open_with(StoreKind::Carrier, &path, key).unwrap();
            let begun = Instant::now();
            assert_eq!(read(&store), ROWS);
            times[2] = begun.elapsed();
        }
        std::fs::remove_file(&path).unwrap();
    }
    times
}

fn read(store: &Store) -> u64 {
    let mut range = Range::all(Table::Envelopes);
    let mut count = 0;
    loop {
        let rows = store.load(&range).unwrap();
        let Some((last, _)) = rows.last() else { return count };
        count += rows.len() as u64;
        range = range.behind(last);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let root = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(root).unwrap();
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    let rows: Vec<Vec<u8>> = (0..ROWS).map(|_| (0..ROW_BYTES).map(|_| byte()).collect()).collect();
    let key = FileKey::from_bytes(&Zeroizing::new(core::array::from_fn(|_| byte())));
    let _warm = round(dir.path(), None, &rows);
    let mut all: Vec<[[Duration; 3]; 2]> = Vec::new();
    for number in 0..ROUNDS {
        // Which comes first changes, so that neither profits from the other's warm caches.
        let (first, second) = if number % 2 == 0 { (None, Some(&key)) } else { (Some(&key), None) };
        let (one, two) = (round(dir.path(), first, &rows), round(dir.path(), second, &rows));
        all.push(if number % 2 == 0 { [one, two] } else { [two, one] });
    }
    report(&all);
}

fn report(all: &[[[Duration; 3]; 2]]) {
    let seconds = |times: &[Duration; 3], place: Option<usize>| match place {
        Some(place) => times[place].as_secs_f64(),
        None => times.iter().map(Duration::as_secs_f64).sum(),
    };
    let line = |name: &str, place: Option<usize>| {
        let of = |which: usize| {
            median(all.iter().map(|round| seconds(&round[which], place) * 1e3).collect())
        };
        let ratios = all.iter().map(|[plain, ours]| seconds(ours, place) / seconds(plain, place));
        let ratio = median(ratios.collect());
        println!("{name:38} {:11.1} {:14.1} {ratio:7.3}", of(0), of(1));
        ratio
    };
    println!("{ROWS} rows of {ROW_BYTES} bytes, {ROUNDS} rounds   plain ms   encrypted ms   ratio");
    line("64 kB transactions", Some(0));
    line("1 MB transactions", Some(1));
    line("range read, from the page cache", Some(2));
    let ratio = line("all of it", None);
    let verdict = if ratio <= RATIO_MAX { "within" } else { "beyond" };
    println!("{verdict} the limit of {RATIO_MAX}");
}
