//! What no first sync can avoid, done in this process in its own best form: every envelope's
//! signature checked, in batches and on two cores, while the same rows become durable in redb; for a
//! reader, every payload opened besides. Statements' signatures are left out, so it is too low
//! rather than too high.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use huza_crdt::codec;
use huza_crdt::control::{Opening, Statement, kind};
use huza_crdt::crypto::{Purpose, Signed, SigningKey, verify_all};
use huza_crdt::envelope::{Content, Header, Payload, Stored};
use huza_crdt::id::{AreaTag, LogId};
use huza_crdt::store::{Batch, Op, Range, Row, StoreKind, Table};
use huza_crdt::trust::Keyring;
use huza_daemon::store::{Store, StoreError};

use super::odd;
use crate::error::{Failure, Kind};

/// Threads that check and open.
const CORES: usize = 2;

/// Signatures in a batch: the best of them counts.
const SIGNATURES: [usize; 4] = [64, 256, 1_024, 4_096];

/// Rows in a commit: the best of them counts.
const ROWS: [usize; 4] = [256, 2_048, 16_384, usize::MAX];

/// Times that the whole is done: the best of them counts.
const ROUNDS: usize = 3;

/// The floors, and what they were measured on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Floor {
    /// Until everything is durable.
    pub(super) carrier: Duration,
    /// Until everything is opened, too.
    pub(super) reader: Duration,
    /// Of the first, checking alone.
    pub(super) verify: Duration,
    /// Of the first, writing alone.
    pub(super) write: Duration,
    /// How many.
    pub(super) envelopes: usize,
    /// How many.
    pub(super) statements: usize,
}

/// One envelope, taken apart.
struct Sample {
    signed: Signed,
    header: Header,
    sealed: Vec<u8>,
    area: AreaTag,
}

/// Measures on what `home` holds, with new files in `folder`.
pub(super) fn measure(home: &Path, folder: &Path, keys: &Keyring) -> Result<Floor, Failure> {
    let store = Store::open(StoreKind::Carrier, &home.join("carrier.redb")).map_err(failed)?;
    let rows = rows(&store, Table::Envelopes).map_err(failed)?;
    let statements = self::rows(&store, Table::Statements).map_err(failed)?;
    store.close();
    let samples = take_apart(&rows, &statements).ok_or_else(|| odd("an envelope is damaged"))?;
    let (envelopes, told) = (rows.len(), statements.len());
    let put = |table, rows: Vec<Row>| {
        rows.into_iter().map(move |(key, value)| Op::Put { table, key, value })
    };
    let ops: Vec<_> =
        put(Table::Envelopes, rows).chain(put(Table::Statements, statements)).collect();
    let best = |times: Vec<(Duration, usize)>| times.into_iter().min().unwrap_or_default();
    let (verify, signatures) = best(SIGNATURES.map(|n| (check(&samples, n, None), n)).to_vec());
    let mut commits = Vec::new();
    for n in ROWS {
        let batches = in_batches(&ops, n);
        commits.push((write(folder, &batches)?, n));
    }
    let (written, rows) = best(commits);
    let batches = in_batches(&ops, rows);
    let together = |keys: Option<&Keyring>| {
        let mut all = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let written = std::thread::scope(|scope| {
                scope.spawn(|| check(&samples, signatures, keys));
                write(folder, &batches)
            });
            written?;
            all.push(begun.elapsed());
        }
        all.into_iter().min().ok_or_else(|| odd("nothing was measured"))
    };
    let in_turn = verify + written;
    let carrier = together(None)?.min(in_turn);
    let opened = SIGNATURES.map(|n| check(&samples, n, Some(keys)));
    let in_turn = opened.into_iter().min().unwrap_or_default() + written;
    let reader = together(Some(keys))?.min(in_turn);
    Ok(Floor { carrier, reader, verify, write: written, envelopes, statements: told })
}

fn rows(store: &Store, table: Table) -> Result<Vec<Row>, StoreError> {
    let mut range = Range::all(table);
    let mut all = Vec::new();
    loop {
        let page = store.load(&range)?;
        let Some((last, _)) = page.last() else { return Ok(all) };
        range = range.behind(last);
        all.extend(page);
    }
}

fn take_apart(envelopes: &[Row], statements: &[Row]) -> Option<Vec<Sample>> {
    let statements = statements.iter().filter_map(|(_, value)| Statement::from_bytes(value).ok());
    let openings: std::collections::BTreeMap<LogId, Opening> = statements
        .filter(|statement| statement.kind() == kind::OPENING)
        .filter_map(|one| Some((one.log(), codec::decode(one.body()).ok()?)))
        .collect();
    let samples = envelopes.iter().map(|(key, value)| {
        let (log, seq) = key.split_at_checked(LogId::LEN)?;
        let (log, seq) = (LogId::from_slice(log)?, u64::from_be_bytes(seq.try_into().ok()?));
        let stored: Stored = codec::decode(value).ok()?;
        let header = stored.wire.header(log, seq, stored.previous);
        let Opening { device, area, .. } = openings.get(&log)?;
        let signed = header.signed(*device, stored.wire.signature);
        let Content::Sealed(sealed) = stored.wire.content else { return None };
        Some(Sample { signed, header, sealed, area: *area })
    });
    samples.collect()
}

/// Checks all signatures, so many at once; with keys, opens all payloads too.
fn check(samples: &[Sample], at_once: usize, keys: Option<&Keyring>) -> Duration {
    let begun = Instant::now();
    let next = AtomicUsize::new(0);
    let chunks: Vec<&[Sample]> = samples.chunks(at_once).collect();
    let work = || {
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let signed: Vec<Signed> = chunk.iter().map(|one| one.signed.clone()).collect();
            let valid = verify_all(&signed, [7; 32]);
            debug_assert!(valid.iter().all(|valid| *valid), "what was held is valid");
            for one in keys.iter().flat_map(|keys| chunk.iter().map(move |one| (keys, one))) {
                let (keys, Sample { header, sealed, area, .. }) = one;
                let key = keys.key(*area, header.epoch);
                let opened = key.map(|key| Payload::open(header, sealed, &key));
                debug_assert!(matches!(opened, Some(Ok(_))), "what was held opens");
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..CORES {
            scope.spawn(work);
        }
        work();
    });
    begun.elapsed()
}

/// How long it takes to check so many signatures, in one batch, on one core: the best of three rounds.
pub(super) fn signatures(count: usize) -> Duration {
    let key = SigningKey::from_seed([1; 32]);
    let signed = |number: usize| {
        // As long as an envelope's header.
        let bytes = [number.to_le_bytes().as_slice(), &[0; 160]].concat();
        let signature = key.sign(Purpose::Envelope, &bytes);
        Signed { key: key.public(), purpose: Purpose::Envelope, bytes, signature }
    };
    let all: Vec<Signed> = (0..count).map(signed).collect();
    let round = |_| {
        let begun = Instant::now();
        let valid = verify_all(&all, [7; 32]);
        debug_assert!(valid.iter().all(|valid| *valid), "what was signed is valid");
        begun.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap_or_default()
}

fn in_batches(ops: &[Op], at_once: usize) -> Vec<Batch> {
    ops.chunks(at_once.min(ops.len().max(1))).map(|ops| Batch(ops.to_vec())).collect()
}

/// Makes them durable in a new store.
fn write(folder: &Path, batches: &[Batch]) -> Result<Duration, Failure> {
    let path = folder.join("floor.redb");
    let store = Store::create(StoreKind::Carrier, &path).map_err(failed)?;
    let begun = Instant::now();
    batches.iter().try_for_each(|batch| store.apply(batch)).map_err(failed)?;
    let took = begun.elapsed();
    store.close();
    std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
    Ok(took)
}

fn failed(error: StoreError) -> Failure {
    Failure::new(Kind::Storage, "store", huza_daemon::error_chain(&error))
}
