//! What a first sync would take if it did only what no first sync can leave out, with the processes
//! and the transport that a daemon has: the lower bound of `huza bench first-sync`, besides its floor.
//!
//! ```text
//! cargo run --release -p huza-daemon --example bare_pipeline HOME [tcp|quic|plain] [ROUNDS]
//! ```
//!
//! HOME is that of a device that holds something and does not run: `huza bench first-sync --out DIR`
//! leaves some. A second process reads its statements and envelopes from redb and writes them, as they
//! are stored, to a pipe: the daemon's own (`huza_daemon::net`: libp2p over TCP, or over QUIC), or a
//! plain TCP stream. This process takes them off it, restores each header, checks all signatures of
//! envelopes on two threads, many at once, and writes the same rows durably, many at once. There are no
//! sessions, frames, windows, acknowledgements, nor accounts of what is held.
//!
//! It prints milliseconds from the open pipe until the last commit, the best of several sizes first.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, not a product")]
#![expect(clippy::indexing_slicing, reason = "a measurement, not a product")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, mpsc},
    time::Instant,
};

use huza_crdt::{
    codec,
    control::{Opening, Statement, kind},
    crypto::verify_all,
    envelope::Stored,
    id::{DeviceKey, LogId},
    store::{Batch, Range, Row, StoreKind, Table},
};
use huza_daemon::{
    net::{Net, NetConfig, NetEvent},
    store::Store,
};

/// Bytes after which the sender writes what it has read.
const FRAME_BYTES: usize = 65_536;

/// Signatures that are checked together, and rows of one commit, at least: each pair is measured.
const SIZES: [(usize, usize); 4] = [(256, 512), (512, 1_024), (512, 2_048), (1_024, 4_096)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let word = |place: usize, other: &str| arguments.get(place).cloned().unwrap_or(other.into());
    if word(0, "") == "send" {
        return send(Path::new(&arguments[1]), &arguments[2]);
    }
    let home = PathBuf::from(word(0, "."));
    let rounds = word(2, "5").parse().unwrap();
    let mut lines = Vec::new();
    for (signatures, rows) in SIZES {
        let mut times: Vec<f64> =
            (0..rounds).map(|_| round(&home, &word(1, "tcp"), signatures, rows)).collect();
        times.sort_by(f64::total_cmp);
        lines.push((times[rounds / 2], times[0], times[rounds - 1], signatures, rows));
    }
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (median, least, most, signatures, rows) in lines {
        println!("{median:.1} ms ({least:.1}, {most:.1}), {signatures} signatures, {rows} rows");
    }
}

/// Whoever reads: calls `take` with bytes in order until it says that it has all.
fn receive(how: &str, address: &str, mut take: impl FnMut(&[u8]) -> bool) {
    if how == "plain" {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut buffer = vec![0; 16_384];
        take(&[]);
        while !take(match stream.read(&mut buffer).unwrap() {
            0 => return,
            count => &buffer[..count],
        }) {}
        return;
    }
    runtime().block_on(async {
        let dial = vec![address.to_owned()];
        let (_net, mut events) = Net::start(NetConfig { dial, ..NetConfig::default() }).unwrap();
        loop {
            let done = match events.recv().await.unwrap() {
                NetEvent::PipeOpened { .. } => take(&[]),
                NetEvent::Received { bytes, credit: _credit, .. } => take(&bytes),
                _ => false,
            };
            if done {
                return;
            }
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Milliseconds of one round.
fn round(home: &Path, how: &str, signatures: usize, rows: usize) -> f64 {
    let mut sender = Command::new(std::env::current_exe().unwrap())
        .args(["send", home.to_str().unwrap(), how])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(sender.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    let path = home.join("bare.redb");
    let store = Store::create(StoreKind::Carrier, &path).unwrap();
    let (frames, to_check) = mpsc::sync_channel::<Vec<Row>>(64);
    let (checked, to_write) = mpsc::sync_channel::<Vec<Row>>(64);
    let to_check = Mutex::new(to_check);
    let authors = Mutex::new(BTreeMap::new());
    let mut begun = None;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let checked = checked.clone();
            let (to_check, authors) = (&to_check, &authors);
            scope.spawn(move || {
                loop {
                    let all = gather(&to_check.lock().unwrap(), signatures);
                    if all.is_empty() {
                        return;
                    }
                    check(&all, authors);
                    checked.send(all).unwrap();
                }
            });
        }
        drop(checked);
        let store = &store;
        let writer = scope.spawn(move || {
            loop {
                let all = gather(&to_write, rows);
                if all.is_empty() {
                    return;
                }
                let mut batch = Batch::default();
                all.into_iter().for_each(|(key, value)| batch.put(table(&key), key, value));
                store.apply(&batch).unwrap();
            }
        });
        let mut buffer = Vec::new();
        receive(how, &address, |bytes| {
            begun.get_or_insert_with(Instant::now);
            buffer.extend_from_slice(bytes);
            let mut at = 0;
            while let Some(length) = number(&buffer[at..]).filter(|n| buffer.len() >= at + 4 + n) {
                if length == 0 {
                    return true;
                }
                let frame = take_rows(&buffer[at + 4..at + 4 + length]);
                if table(&frame[0].0) == Table::Statements {
                    learn(&frame, &authors);
                }
                frames.send(frame).unwrap();
                at += 4 + length;
            }
            buffer.drain(..at);
            false
        });
        drop(frames);
        writer.join().unwrap();
    });
    let took = begun.unwrap().elapsed().as_secs_f64() * 1_000.0;
    store.close();
    std::fs::remove_file(&path).unwrap();
    drop(sender.stdin.take());
    sender.wait().unwrap();
    took
}

/// What waits, until it is so many rows or nothing more comes.
fn gather(from: &mpsc::Receiver<Vec<Row>>, most: usize) -> Vec<Row> {
    let mut all = Vec::new();
    while all.len() < most
        && let Ok(more) = from.recv()
    {
        all.extend(more);
    }
    all
}

/// The authors of logs, as their openings say. Statements come first.
fn learn(statements: &[Row], authors: &Mutex<BTreeMap<LogId, DeviceKey>>) {
    for (_, value) in statements {
        let statement = Statement::from_bytes(value).unwrap();
        if statement.kind() == kind::OPENING {
            let opening: Opening = codec::decode(statement.body()).unwrap();
            authors.lock().unwrap().insert(statement.log(), opening.device);
        }
    }
}

/// Checks the signatures of envelopes; those of statements are left out, as in the floor.
fn check(rows: &[Row], authors: &Mutex<BTreeMap<LogId, DeviceKey>>) {
    let mut signed = Vec::with_capacity(rows.len());
    for (key, value) in rows.iter().filter(|(key, _)| table(key) == Table::Envelopes) {
        let stored: Stored = codec::decode(value).unwrap();
        let (log, seq) = key.split_at(LogId::LEN);
        let log = LogId::from_slice(log).unwrap();
        let seq = u64::from_be_bytes(seq.try_into().unwrap());
        let header = stored.wire.header(log, seq, stored.previous);
        let author = authors.lock().unwrap()[&log];
        signed.push(header.signed(author, stored.wire.signature));
    }
    assert!(verify_all(&signed, [7; 32]).into_iter().all(|valid| valid));
}

/// Ids are keys of statements; those of envelopes have a seq behind.
fn table(key: &[u8]) -> Table {
    if key.len() > LogId::LEN { Table::Envelopes } else { Table::Statements }
}

fn send(home: &Path, how: &str) {
    // Until whoever receives is done, or is no more.
    std::thread::spawn(|| {
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        std::process::exit(0);
    });
    let store = Store::open(StoreKind::Carrier, &home.join("carrier.redb")).unwrap();
    let say = |address: &str| {
        println!("{address}");
        std::io::stdout().flush().unwrap();
    };
    if how == "plain" {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        say(&listener.local_addr().unwrap().to_string());
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        frames(&store, |bytes| stream.write_all(&bytes).unwrap());
        std::thread::park();
    } else {
        let listen = if how == "quic" { "udp/0/quic-v1" } else { "tcp/0" };
        let listen = vec![format!("/ip4/127.0.0.1/{listen}")];
        let runtime = runtime();
        let started = async { Net::start(NetConfig { listen, ..NetConfig::default() }).unwrap() };
        let (net, mut events) = runtime.block_on(started);
        let pipe = runtime.block_on(async {
            loop {
                match events.recv().await.unwrap() {
                    NetEvent::Listening { address } => say(&address),
                    NetEvent::PipeOpened { pipe, .. } => return pipe,
                    _ => {}
                }
            }
        });
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        frames(&store, |bytes| runtime.block_on(net.send(pipe, bytes)).unwrap());
        std::thread::park();
    }
}

/// Reads all rows and gives them away in frames, each with its length in front; the last is empty.
fn frames(store: &Store, mut give: impl FnMut(Vec<u8>)) {
    for table in [Table::Statements, Table::Envelopes] {
        let mut next = Some(Range { rows_max: 256, ..Range::all(table) });
        while let Some(range) = next {
            let rows = store.load(&range).unwrap();
            next = range.rest(&rows);
            let mut rows = rows.into_iter().peekable();
            while rows.peek().is_some() {
                let mut frame = vec![0; 4];
                while frame.len() < FRAME_BYTES
                    && let Some((key, value)) = rows.next()
                {
                    for part in [key, value] {
                        frame.extend(u32::try_from(part.len()).unwrap().to_le_bytes());
                        frame.extend(part);
                    }
                }
                let length = u32::try_from(frame.len() - 4).unwrap();
                frame[..4].copy_from_slice(&length.to_le_bytes());
                give(frame);
            }
        }
    }
    give(vec![0; 4]);
}

fn number(bytes: &[u8]) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize)
}

fn take_rows(mut frame: &[u8]) -> Vec<Row> {
    let mut part = || {
        let length = number(frame)?;
        let (part, rest) = frame[4..].split_at(length);
        frame = rest;
        Some(part.to_vec())
    };
    let mut rows = Vec::new();
    while let Some(key) = part() {
        rows.push((key, part().unwrap()));
    }
    rows
}
