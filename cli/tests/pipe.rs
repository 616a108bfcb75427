//! `huza pipe`: real processes, joined by two pipes through a line that is slow, cut, or held by a
//! stranger.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

mod support;
use support::{Lab, command};

/// Bytes a second of a Bluetooth link such as phones make.
const SLOW: u64 = 20_000;

/// Bytes that pass a line at once.
const CHUNK_BYTES: usize = 512;

/// What is sent twice after a cut at most: one batch, and besides it both handshakes, what is said
/// to find the difference, and what goes around a batch.
const AGAIN_BYTES_MAX: u64 = 65_536 + 12_000;

fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    }
}

/// A bundle of one patient with notes that do not compress.
fn bundle(path: &Path, seed: u64) {
    let mut next = numbers(seed);
    let id = |n: u64| format!("00000000-0000-4000-8000-{n:012x}");
    let patient = id(seed * 1_000);
    let mut text = String::from(r#"{"resourceType":"Bundle","type":"collection","entry":["#);
    write!(text, r#"{{"resource":{{"resourceType":"Patient","id":"{patient}"}}}}"#).unwrap();
    for n in 1..=50 {
        let mut note = String::new();
        while note.len() < 2_000 {
            write!(note, "{:07x}", next() & 0xfff_ffff).unwrap();
        }
        let observation = id(seed * 1_000 + n);
        write!(
            text,
            r#",{{"resource":{{"resourceType":"Observation","id":"{observation}","status":"final","code":{{"text":"{note}"}},"subject":{{"reference":"Patient/{patient}"}}}}}}"#
        )
        .unwrap();
    }
    text.push_str("]}");
    std::fs::write(path, text).unwrap();
}

/// A device with `bundles` of them.
fn writer(lab: &Lab, name: &str, villages: &[&str], bundles: std::ops::Range<u64>) {
    lab.member(name, "worker", villages);
    for seed in bundles {
        let path = lab.path(&format!("{name}-{seed}.json"));
        self::bundle(&path, seed);
        lab.on(name, &["import", path.to_str().unwrap()]).done();
    }
}

fn pipe(lab: &Lab, name: &str) -> Child {
    let mut command = command();
    command.args(["pipe", "--json", "--home"]).arg(lab.path(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// How one end came out: its exit code and the lines it told.
struct End {
    code: Option<i32>,
    told: Vec<Value>,
}

impl End {
    fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let told = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self { code: output.status.code(), told }
    }

    fn outcome(&self) -> &str {
        self.told.first().and_then(|told| told["outcome"].as_str()).unwrap_or("killed")
    }

    fn number(&self, side: &str, what: &str) -> u64 {
        self.told.first().and_then(|told| told[side][what].as_u64()).unwrap_or_default()
    }

    /// Fails the test unless exit code and report agree. Who is killed may have got no further than
    /// the report.
    fn checked(self, killed: bool) -> Self {
        if killed && self.code.is_none() {
            return self;
        }
        let code = match self.outcome() {
            "complete" => Some(0),
            "cut" => Some(7),
            "refused" => Some(3),
            _ => None,
        };
        assert_eq!(self.code, code, "{:?}", self.told);
        let failed = self.told.get(1).map(|told| told["error"]["code"].as_str().unwrap());
        let expected = match code {
            Some(7) => Some("pipe_cut"),
            Some(3) => Some("pipe_refused"),
            _ => None,
        };
        assert_eq!(failed, expected);
        self
    }
}

/// A line in one direction.
#[derive(Clone, Default)]
struct Line {
    /// Bytes a second; 0: no limit.
    rate: u64,
    passed: Arc<AtomicU64>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Line {
    /// Carries until `left`, which both directions share, is used up. Then it drops both its ends.
    fn run(
        &self,
        mut from: impl Read + Send + 'static,
        mut to: impl Write + Send + 'static,
        left: Arc<AtomicU64>,
    ) -> std::thread::JoinHandle<()> {
        let line = self.clone();
        std::thread::spawn(move || {
            let (began, mut carried) = (Instant::now(), 0);
            let mut buffer = [0; CHUNK_BYTES];
            while let Ok(count) = from.read(&mut buffer)
                && count > 0
            {
                let size = count as u64;
                let may = |left: u64| left.checked_sub(size);
                if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, may).is_err() {
                    break;
                }
                carried += size;
                if let Some(due) = (carried * 1_000_000).checked_div(line.rate) {
                    std::thread::sleep(Duration::from_micros(due).saturating_sub(began.elapsed()));
                }
                if to.write_all(&buffer[..count]).and_then(|()| to.flush()).is_err() {
                    break;
                }
                line.passed.fetch_add(size, Ordering::SeqCst);
                line.heard.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        })
    }
}

/// Joins two devices by a line at this rate until they end, or `bytes` have passed: then the line
/// goes, and with `kill` the second process at the same time. Gives both ends, and what has passed
/// from the first to the second and back.
fn join(lab: &Lab, [a, b]: [&str; 2], rate: u64, bytes: u64, kill: bool) -> ([End; 2], [Line; 2]) {
    let lines = [(); 2].map(|()| Line { rate, ..Line::default() });
    let left = Arc::new(AtomicU64::new(bytes));
    let (mut one, mut other) = (pipe(lab, a), pipe(lab, b));
    let (one_in, one_out) = (one.stdin.take().unwrap(), one.stdout.take().unwrap());
    let (other_in, other_out) = (other.stdin.take().unwrap(), other.stdout.take().unwrap());
    let there = lines[0].run(one_out, other_in, Arc::clone(&left));
    let back = lines[1].run(other_out, one_in, left);
    if kill {
        // Whichever direction is cut first ends the other when its process is gone.
        while !there.is_finished() && !back.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // It may have ended already.
        drop(other.kill());
    }
    let ends = [End::of(one), End::of(other)];
    there.join().unwrap();
    back.join().unwrap();
    let [one, other] = ends;
    ([one.checked(false), other.checked(kill)], lines)
}

fn passed(lines: &[Line; 2]) -> [u64; 2] {
    [0, 1].map(|way: usize| lines[way].passed.load(Ordering::SeqCst))
}

/// What is held, to compare.
fn held(lab: &Lab, name: &str) -> [u64; 2] {
    let status = lab.ask(name, &["status"]);
    ["envelopes", "statements"].map(|key| status[key].as_u64().unwrap())
}

#[test]
fn a_slow_line_that_is_cut_again_and_again_goes_on_where_it_was() {
    let lab = Lab::new();
    writer(&lab, "one", &["01"], 1..5);
    writer(&lab, "other", &["01"], 11..12);
    // What it costs once, without a cut, to a device that has what the other one has.
    lab.member("uncut", "worker", &["01"]);
    let (ends, _) = join(&lab, ["other", "uncut"], 0, u64::MAX, false);
    assert_eq!(ends.map(|end| end.code), [Some(0); 2]);
    let (ends, lines) = join(&lab, ["one", "uncut"], 0, u64::MAX, false);
    assert_eq!(ends.map(|end| end.code), [Some(0); 2]);
    let once = passed(&lines);
    println!("without a cut: {} bytes there, {} back", once[0], once[1]);
    assert!(once[0] > 3 * 65_536, "several batches");

    let mut next = numbers(2_026);
    let (mut all, mut cuts, mut killed, mut came) = ([0; 2], 0, 0, 0);
    loop {
        // The first cuts are early: in the handshake, and in front of the first batch.
        let bytes = if cuts < 2 { 40 + next() % 2_000 } else { 20_000 + next() % 70_000 };
        let kill = cuts % 3 == 2;
        let (ends, lines) = join(&lab, ["one", "other"], SLOW, bytes, kill);
        let way = passed(&lines);
        println!("cut {cuts} at {bytes}, killed {kill}: {way:?}, {}", ends[1].outcome());
        all = [0, 1].map(|side: usize| all[side] + way[side]);
        came += ends[1].number("took", "envelopes");
        if ends.iter().all(|end| end.outcome() == "complete") {
            break;
        }
        cuts += 1;
        killed += u64::from(kill);
        assert!(cuts < 40, "each run brings something new across");
    }
    assert!(cuts >= 4, "{cuts} cuts");
    assert_eq!(held(&lab, "one"), held(&lab, "other"));
    // Who is killed may have had the batch before in hand, too, and not yet on disk.
    let most = once[0] + (cuts + killed) * AGAIN_BYTES_MAX;
    println!("{} cuts: {} bytes there, at most {most}; {came} envelopes told", cuts, all[0]);
    assert!(all[0] <= most, "{} of {most}", all[0]);

    // Once more: there is nothing to say.
    let (ends, lines) = join(&lab, ["one", "other"], SLOW, u64::MAX, false);
    assert_eq!(ends.each_ref().map(End::outcome), ["complete"; 2]);
    let nothing = passed(&lines);
    println!("nothing new: {nothing:?} bytes");
    assert!(nothing.iter().all(|bytes| *bytes < 1_000), "{nothing:?}");
    for end in &ends {
        assert_eq!(end.number("gave", "envelopes") + end.number("took", "envelopes"), 0);
    }
}

#[test]
fn what_was_written_since_two_held_the_same_goes_across_at_once() {
    let lab = Lab::new();
    for name in ["one", "other"] {
        lab.member(name, "worker", &["01"]);
    }
    let meet = |lab: &Lab| {
        let (ends, _) = join(lab, ["one", "other"], 0, u64::MAX, false);
        assert_eq!(ends.each_ref().map(End::outcome), ["complete"; 2]);
    };
    meet(&lab);
    meet(&lab);
    for (writer, reader) in [("one", "other"), ("other", "one"), ("one", "other")] {
        let id = lab.person(writer, "Late");
        meet(&lab);
        lab.ask(reader, &["person", "show", &id]);
    }
}

#[test]
fn a_daemon_serves_a_contact_and_a_pipe_at_the_same_time() {
    let lab = Lab::new();
    lab.member("hub", "hub", &[]);
    writer(&lab, "near", &["01"], 1..3);
    writer(&lab, "far", &["01"], 3..4);
    let mut hub = lab.run("hub", None);
    let address = hub.wait("listening")["address"].as_str().unwrap().to_owned();
    let mut near = lab.run("near", Some(&address));
    near.wait("contact_complete");
    let (mut one, mut other) = (pipe(&lab, "near"), pipe(&lab, "far"));
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let lines = [(); 2].map(|()| Line { rate: SLOW, ..Line::default() });
    let there =
        lines[0].run(one.stdout.take().unwrap(), other.stdin.take().unwrap(), Arc::clone(&left));
    let back = lines[1].run(other.stdout.take().unwrap(), one.stdin.take().unwrap(), left);
    // While the pipe carries, the device is written on and asked, and its contact goes on.
    let record = lab.person("near", "Immaculee Uwase");
    lab.visit("near", &record, "while the pipe runs");
    near.wait("contact_complete");
    let ends = [End::of(one).checked(false), End::of(other).checked(false)];
    there.join().unwrap();
    back.join().unwrap();
    assert_eq!(ends.each_ref().map(End::outcome), ["complete"; 2]);
    assert!(ends[1].number("took", "envelopes") > 0 && ends[0].number("took", "envelopes") > 0);
    // What came through the pipe goes on to the hub in the contact that is open.
    let all = held(&lab, "far")[0];
    for _ in 0..600 {
        if held(&lab, "hub")[0] == all {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(held(&lab, "hub")[0], held(&lab, "near")[0]);
    near.stop();
    hub.stop();
    assert!(lab.on("far", &["person", "find", "Immaculee"]).done().stdout.contains("Uwase"));
}

#[test]
fn strangers_garbage_and_echoes_are_refused_and_leave_nothing() {
    let lab = Lab::new();
    lab.member("one", "worker", &["01"]);
    let before = held(&lab, "one");
    let preamble = [b"huza pipe 1\n".as_slice(), &[0; 16]].concat();
    let cases: [(&[u8], &str); 5] = [
        (b"Debian GNU/Linux 13 ttyS0\n\nlogin: ", "refused"),
        (&[preamble.as_slice(), &[255; 200]].concat(), "refused"),
        (&[preamble.as_slice(), &[0, 96], &[7; 96]].concat(), "refused"),
        (&preamble, "cut"),
        (b"", "cut"),
    ];
    for (bytes, outcome) in cases {
        let mut one = pipe(&lab, "one");
        let mut stdin = one.stdin.take().unwrap();
        // It may not even listen to all of it.
        drop(stdin.write_all(bytes));
        drop(stdin);
        let end = End::of(one).checked(false);
        assert_eq!(end.outcome(), outcome, "{bytes:?}: {:?}", end.told);
        assert_eq!(end.number("gave", "bytes"), 0, "nothing but a handshake");
    }
    let mut one = pipe(&lab, "one");
    let (stdin, stdout) = (one.stdin.take().unwrap(), one.stdout.take().unwrap());
    let echo = Line::default().run(stdout, stdin, Arc::new(AtomicU64::new(u64::MAX)));
    let end = End::of(one).checked(false);
    echo.join().unwrap();
    assert_eq!(end.outcome(), "refused");

    let elsewhere = Lab::new();
    elsewhere.member("stranger", "worker", &["01"]);
    std::fs::rename(elsewhere.path("stranger"), lab.path("stranger")).unwrap();
    let (ends, _) = join(&lab, ["one", "stranger"], 0, u64::MAX, false);
    assert!(ends.iter().all(|end| end.outcome() != "complete"));
    assert!(ends.iter().any(|end| end.outcome() == "refused"));
    assert_eq!(held(&lab, "one"), before);
}

#[test]
fn who_listens_on_the_line_finds_no_name_and_no_key_that_lasts() {
    let lab = Lab::new();
    lab.member("one", "worker", &["01"]);
    lab.member("other", "worker", &["02"]);
    lab.person("one", "Immaculee Uwase");
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (ends, lines) = join(&lab, ["one", "other"], 0, u64::MAX, false);
        assert_eq!(ends.each_ref().map(End::outcome), ["complete"; 2]);
        runs.push(lines.map(|line| line.heard.lock().unwrap().clone()));
    }
    let bytes_of = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let status = lab.ask("one", &["status"]);
    let mut needles =
        vec![b"one".repeat(2), b"Immaculee".to_vec(), b"0512".to_vec(), b"Tests".to_vec()];
    for key in ["device", "certificate", "programme"] {
        needles.push(bytes_of(status[key].as_str().unwrap()));
    }
    for heard in runs.iter().flatten() {
        for needle in &needles {
            assert!(!heard.windows(needle.len()).any(|bytes| bytes == needle.as_slice()));
        }
    }
    // Of two runs nothing is the same but the first twelve bytes, which all devices say.
    for (first, second) in runs[0].iter().zip(&runs[1]) {
        assert_eq!(first[..12], second[..12]);
        let seen: std::collections::BTreeSet<&[u8]> = first[12..].windows(12).collect();
        assert!(!second[12..].windows(12).any(|bytes| seen.contains(bytes)));
    }
}
