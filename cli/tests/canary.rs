//! Canaries in real processes: names, numbers, answers, villages and keys, and three daemons that
//! log everything they can, libraries too. Nothing of it may be in a log, in an event, or in what a
//! panic prints. What a failing command says to the user who typed it is not a log; keys are not
//! even there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

#[path = "../../crdt/tests/needles/mod.rs"]
mod needles;
mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use huza_crdt::codec;
use huza_crdt::control::{Grant, Statement, kind};
use huza_crdt::crypto::{SealingKey, SigningKey};
use huza_crdt::store::{Range, Row, StoreKind, Table};
use huza_crdt::trust::approval::{Membership, open_grant};
use huza_crdt::trust::{CatchmentSecret, GrantContent};
use huza_daemon::Home;
use huza_daemon::store::{FileKey, Store};
use huza_daemon::vault::{Unlock, Vault};
use needles::Needles;
use serde_json::Value;
use support::http::App;
use support::{Lab, PAPER, PASSPHRASE, command};

const GIVEN: &str = "Kanariyaimwe";
const FAMILY: &str = "Kanariyakabiri";
const NATIONAL: &str = "1198870246813579";
const PHONE: &str = "0788424242";
const BORN: &str = "1988-07-13";
const NOTE: &str = "yavuze ibanga rikomeye";
const WORKER: &str = "Umujyanama Kanariya";
const NEXT_WORKER: &str = "Uwasimbuye Kanariya";
const NEXT_SECRET: &str = "ibanga rya kabiri";
const VILLAGE: &str = "57010499";
const OTHER_VILLAGE: &str = "57010500";
const CATCHMENT: &str = "FOSA-0917";
const CONDITION: &str = "indwara-itavugwa";
const SOURCE: &str = "ivuriro-rihishe.example";

fn texts() -> Needles {
    let mut needles = of_records();
    for (what, text) in [("worker", WORKER), ("next worker", NEXT_WORKER)] {
        needles.text(what, text);
    }
    needles
}

/// What not even the files of a protected device tell. The names of its workers they do: they
/// stand in the vault, so that it can ask each for the secret.
fn of_records() -> Needles {
    let mut needles = Needles::default();
    for (what, text) in [
        ("given name", GIVEN),
        ("family name", FAMILY),
        ("national id", NATIONAL),
        ("phone", PHONE),
        ("birth date", BORN),
        ("note", NOTE),
        ("passphrase", PASSPHRASE),
        ("next passphrase", NEXT_SECRET),
        ("passphrase of the paper", PAPER),
        ("village", VILLAGE),
        ("other village", OTHER_VILLAGE),
        ("catchment", CATCHMENT),
        ("diagnosis", CONDITION),
        ("source", SOURCE),
    ] {
        needles.text(what, text);
    }
    needles
}

/// A daemon whose output and log go to files.
struct Watched {
    child: Child,
    out: PathBuf,
    log: PathBuf,
}

impl Watched {
    /// With everything in the log that anybody can want there.
    fn start(lab: &Lab, name: &str, args: &[&str]) -> Self {
        let (out, log) = (lab.path(&format!("{name}.out")), lab.path(&format!("{name}.log")));
        let mut run = command();
        run.args(["run", "--no-mdns", "--no-remember", "--listen", "127.0.0.1:0", "--home"]);
        run.arg(lab.path(name)).args(args);
        run.env("HUZA_LOG", "trace").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        run.stdout(File::create(&out).unwrap()).stderr(File::create(&log).unwrap());
        Self { child: run.spawn().unwrap(), out, log }
    }

    /// Waits until what it prints tells so.
    fn wait<T>(&self, what: &str, told: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let out = fs::read_to_string(&self.out).unwrap();
            if let Some(told) = told(&out) {
                return told;
            }
            assert!(Instant::now() < until, "no {what} in {out}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn address(&self, transport: &str) -> String {
        self.wait("address", |out| {
            let listening = out.lines().filter(|line| line.contains("listening"));
            let events = listening.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut addresses =
                events.filter_map(|event| Some(event["address"].as_str()?.to_owned()));
            addresses.find(|address| address.contains(transport))
        })
    }

    /// Ends it; gives what it told and what it logged.
    fn stop(mut self) -> (String, String) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        (read(&self.out), read(&self.log))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Nothing to do if it has ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bundle() -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[
        {{"resource":{{"resourceType":"Patient","id":"p1","birthDate":"{BORN}",
          "identifier":[{{"system":"NID","value":"{NATIONAL}"}}],
          "name":[{{"family":"{FAMILY}","given":["{GIVEN}"]}}]}}}},
        {{"resource":{{"resourceType":"Condition","id":"c1",
          "subject":{{"reference":"Patient/p1"}},"code":{{"text":"{CONDITION}"}}}}}}]}}"#
    )
}

/// What a worker does while the daemon runs. Gives the record.
fn work(lab: &Lab) -> String {
    let name = format!("{GIVEN} {FAMILY}");
    let fields = [format!("identifier/NID|{NATIONAL}="), format!("phone={PHONE}")];
    let mut add = vec!["person", "add", "--name", &name, "--sex", "female", "--birth-date", BORN];
    add.extend(fields.iter().flat_map(|field| ["--field", field.as_str()]));
    let record = lab.ask("phone", &add)["record"].as_str().unwrap().to_owned();
    lab.visit("phone", &record, NOTE);
    let path = lab.path("bundle.json");
    fs::write(&path, bundle()).unwrap();
    let import = ["import", path.to_str().unwrap(), "--source", SOURCE];
    lab.ask("phone", &import);
    let found = lab.ask("phone", &["person", "find", FAMILY]);
    assert_eq!(found["records"].as_array().unwrap().len(), 2, "{found}");
    lab.on("phone", &["person", "show", &record]).done();
    lab.ask("phone", &["status"]);
    lab.on("phone", &["export"]).done();
    lab.on("phone", &["audit"]).done();
    record
}

/// Workers come and go while the daemon runs, and mistake themselves.
fn take_turns(lab: &Lab) {
    let (secret, next) = (lab.path("phone.secret"), lab.secret("next", NEXT_SECRET));
    let (secret, next) = (secret.to_str().unwrap(), next.to_str().unwrap());
    let by = ["--worker", WORKER, "--passphrase-file", secret];
    let add = ["worker", "add", NEXT_WORKER, "--new-passphrase-file", next];
    lab.on("phone", &[&add[..], &by].concat()).done();
    lab.on("phone", &["lock"]).done();
    let as_next = ["--worker", NEXT_WORKER, "--passphrase-file"];
    let wrong = lab.on("phone", &[&["unlock"], &as_next[..], &[secret]].concat());
    assert_eq!(wrong.code, 3, "{wrong:?}");
    lab.on("phone", &[&["unlock"], &as_next[..], &[next]].concat()).done();
    lab.on("phone", &[&["unlock"], &by[..]].concat()).done();
}

/// What an app asks and mistakes while the daemon runs. Gives its token.
fn asks(lab: &Lab, daemon: &Watched, record: &str) -> String {
    let port = daemon.wait("http", |out| {
        let line = out.lines().find(|line| line.contains("http_listening"))?;
        let event: Value = serde_json::from_str(line).unwrap();
        event["address"].as_str().unwrap().rsplit(':').next().unwrap().parse().ok()
    });
    let token = lab.ask("phone", &["app", "add", "clinic"])["token"].as_str().unwrap().to_owned();
    let app = App::new(port, &token);
    let found = app.get(&format!("/v1/persons?query={FAMILY}")).is(200);
    assert_eq!(found["records"].as_array().unwrap().len(), 2, "{found}");
    app.get(&format!("/v1/persons/{record}")).is(200);
    app.get(&format!("/fhir/Patient?identifier=NID%7C{NATIONAL}&name={GIVEN}")).is(200);
    app.get(&format!("/v1/forms/{FAMILY}")).is(404);
    app.get(&format!("/fhir/{FAMILY}/{NATIONAL}")).is(404);
    app.get(&format!("/v1/{NATIONAL}?{FAMILY}={PHONE}")).is(404);
    let fields = serde_json::json!({ "name/given": GIVEN, "birth-date": NOTE });
    app.send("POST", "/v1/persons", &serde_json::json!({ "fields": fields })).is(422);
    app.send("POST", "/v1/persons", &serde_json::json!({ NOTE: fields })).is(400);
    let host = format!("{FAMILY}.example");
    App { host, ..app.clone() }.get("/v1/persons").is(421);
    App { token: NATIONAL.to_owned(), ..app }.get("/v1/persons").is(401);
    token
}

/// Commands that fail, and what they say: to the user, who typed it.
fn mistakes(lab: &Lab, record: &str) -> String {
    let answer = format!("weight={NATIONAL}");
    let field = format!("{FAMILY}=1");
    let path = lab.path("broken.json");
    fs::write(&path, format!(r#"{{"resourceType":["{CONDITION}"]}}"#)).unwrap();
    let elsewhere = format!("{CATCHMENT}/{NATIONAL}");
    let said = [
        vec!["person", "add", "--name", GIVEN, "--birth-date", NOTE],
        vec!["person", "add", "--name", GIVEN, "--area", &elsewhere],
        vec!["person", "add", "--name", GIVEN, "--sex", NOTE],
        vec!["visit", "add", record, "--form", "anc", "--set", &answer, "--set", &field],
        vec!["visit", "add", record, "--form", FAMILY, "--set", &answer],
        vec!["person", "show", "00000000-0000-4000-8000-000000000000"],
        vec!["import", path.to_str().unwrap()],
        vec!["init", "--label", GIVEN],
    ];
    let said = said.map(|args| {
        let answer = lab.on("phone", &args);
        assert_ne!(answer.code, 0, "{args:?} was done");
        answer.stdout + &answer.stderr
    });
    said.concat()
}

/// The key of a device's reader, which its vault gives for the passphrase, or for nothing.
fn reader_key(lab: &Lab, name: &str) -> FileKey {
    let home = Home::open(&lab.path(name)).unwrap();
    let mut vault = Vault::open(&home.vault_path()).unwrap();
    let open = vault.unlock_open();
    let by = Unlock { worker: Some(WORKER.to_owned()), ..Unlock::with(PASSPHRASE) };
    let unlocked = open.unwrap_or_else(|| {
        vault.unlock(&by, home.keystore().as_ref(), std::thread::sleep).unwrap()
    });
    unlocked.key().clone()
}

/// The rows of one table of a device that does not run.
fn rows(lab: &Lab, name: &str, table: Table) -> Vec<Row> {
    let store = match table.store() {
        StoreKind::Carrier => {
            Store::open(StoreKind::Carrier, &lab.path(name).join("carrier.redb")).unwrap()
        }
        StoreKind::Reader => {
            let key = reader_key(lab, name);
            let path = lab.path(name).join("reader.redb");
            Store::open_with(StoreKind::Reader, &path, Some(&key)).unwrap()
        }
    };
    store.load(&Range::all(table)).unwrap()
}

fn row(lab: &Lab, name: &str, table: Table, key: &[u8]) -> Vec<u8> {
    rows(lab, name, table).into_iter().find(|(at, _)| at == key).expect("a row").1
}

/// What the authority device holds for its catchment, out of the grant that was sealed to it.
fn catchment_secret(lab: &Lab) -> CatchmentSecret {
    let sealing = row(lab, "authority", Table::ReaderMeta, b"sealing");
    let sealing: SealingKey = codec::decode(&sealing).unwrap();
    let statements = rows(lab, "authority", Table::Statements);
    let statements = statements.iter().map(|(_, value)| Statement::from_bytes(value).unwrap());
    let grants = statements.filter(|one| one.kind() == kind::GRANT);
    let mut opened = grants.filter_map(|one| {
        let grant: Grant = codec::decode(one.body()).unwrap();
        open_grant(&grant, &sealing).ok()
    });
    match opened.next().expect("a grant to itself") {
        GrantContent::Catchment(secret) => secret,
        other => panic!("{other:?}"),
    }
}

/// The keys that the authority device hands out.
fn secrets_of_authority(lab: &Lab, needles: &mut Needles) {
    let secret = catchment_secret(lab);
    needles.secret("catchment epoch", secret.epoch.expose());
    needles.secret("catchment tags", secret.tags.expose());
    for village in [VILLAGE, OTHER_VILLAGE] {
        needles.secret("village key", secret.key(secret.area(village), 0).expose());
    }
    let membership = row(lab, "authority", Table::CarrierMeta, b"membership");
    let membership: Membership = codec::decode(&membership).unwrap();
    needles.secret("member key", membership.member.expose());
}

/// The keys of a device, out of its stores and its vault.
fn secrets_of_device(lab: &Lab, name: &str, needles: &mut Needles) {
    let device = lab.ask(name, &["status"])["device"].as_str().unwrap().to_owned();
    let identity = row(lab, name, Table::CarrierMeta, b"identity");
    let seed: [u8; 32] = identity[..32].try_into().unwrap();
    assert_eq!(SigningKey::from_seed(seed).public().to_string(), device, "it begins with the seed");
    needles.secret("a device's seed", &seed);
    let sealing = row(lab, name, Table::ReaderMeta, b"sealing");
    needles.secret("a device's sealing key", &sealing[..32]);
    needles.secret("the key of a reader's file", reader_key(lab, name).expose());
}

/// What is on a protected phone that does not run, in every file of it.
fn files_tell_nothing(lab: &Lab, needles: &Needles) {
    for (path, bytes) in support::files(&lab.path("phone")) {
        assert_eq!(needles.found_in_bytes(&bytes), Vec::<String>::new(), "in {}", path.display());
    }
}

#[test]
fn nothing_personal_and_no_key_is_in_logs_events_or_errors() {
    let lab = Lab::of(CATCHMENT, [VILLAGE, OTHER_VILLAGE]);
    let secret = lab.protected_for("phone", WORKER, "worker", &[VILLAGE]);
    lab.member("other", "worker", &[OTHER_VILLAGE]);
    lab.member("hub", "hub", &[]);
    lab.member("gateway", "gateway", &[]);
    let hub = Watched::start(&lab, "hub", &["--json"]);
    let (address, quic) = (hub.address("/tcp/"), hub.address("/quic-v1"));
    let open =
        ["--json", "--dial", &address, "--passphrase-file", &secret, "--http", "127.0.0.1:0"];
    let phone = Watched::start(&lab, "phone", &open);
    phone.wait("contact", |out| out.contains("contact_complete").then_some(()));
    let record = work(&lab);
    take_turns(&lab);
    let token = asks(&lab, &phone, &record);
    let said = mistakes(&lab, &record);
    assert!(said.contains(NATIONAL) && said.contains(FAMILY), "the user is told what was wrong");
    let other = Watched::start(&lab, "other", &["--dial", &address]);
    let gateway = Watched::start(&lab, "gateway", &["--dial", &quic]);
    let delivered = lab.path("gateway/facility/resources.ndjson");
    gateway.wait("delivery", |_| {
        fs::read_to_string(&delivered).ok().filter(|text| text.contains(CONDITION))
    });
    phone.wait("receipts", |_| {
        let status = lab.ask("phone", &["status"]);
        status["records"][0]["accepted"].as_bool().filter(|accepted| *accepted)
    });
    let all = [("phone", phone), ("other", other), ("hub", hub), ("gateway", gateway)];
    let all = all.map(|(name, daemon)| (name, daemon.stop()));
    let mut secrets = Needles::default();
    secrets_of_authority(&lab, &mut secrets);
    let mut needles = texts();
    secrets_of_authority(&lab, &mut needles);
    needles.text("record", &record);
    needles.text("an app's token", &token);
    for (name, _) in &all {
        secrets_of_device(&lab, name, &mut secrets);
        secrets_of_device(&lab, name, &mut needles);
    }
    assert_eq!(secrets.found(&said), Vec::<String>::new(), "in what failing commands say");
    for (name, (told, log)) in &all {
        let transport = if *name == "gateway" { "quinn" } else { "yamux" };
        for part in ["TRACE huza_daemon", "libp2p", "multistream_select", transport] {
            assert!(log.contains(part), "{name} logs nothing of {part}");
        }
        assert_eq!(needles.found(told), Vec::<String>::new(), "in what {name} tells");
        assert_eq!(needles.found(log), Vec::<String>::new(), "in the log of {name}");
        println!("{name}: {} bytes told, {} bytes logged", told.len(), log.len());
    }
    files_tell_nothing(&lab, &of_records());
    // A control: what the facility was given holds what was searched for.
    let found = needles.found(&fs::read_to_string(delivered).unwrap()).join("\n");
    for what in ["given name", "family name", "national id", "note", "diagnosis", "record"] {
        assert!(found.contains(what), "{what} is not found in what was delivered: {found}");
    }
}

/// A panic as it happens to users: the system starts no more threads. As root, limits of processes
/// do not hold, so another user is taken.
#[cfg(target_os = "linux")]
#[test]
fn a_panic_of_the_real_program_tells_its_place_only() {
    let limited = ["prlimit", "--nproc=1"];
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let root = rustix::process::geteuid().is_root();
    let words: Vec<&str> =
        if root { nobody.into_iter().chain(limited).collect() } else { limited.to_vec() };
    let there = Command::new(words[0]).args(&words[1..]).arg("true").output();
    if !there.is_ok_and(|tried| tried.status.success()) {
        println!("SKIPPED: {} does not work here", words[0]);
        return;
    }
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg(env!("CARGO_BIN_EXE_huza"))
        .args(["--worker", WORKER, "person", "add", "--name", GIVEN, "--home", "/nowhere"])
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.code() != Some(101) {
        println!("SKIPPED: threads are not refused here, or the program cannot be reached: {said}");
        return;
    }
    assert!(said.starts_with("A fault of huza itself at "), "{said}");
    assert_eq!(texts().found(&said), Vec::<String>::new(), "{said}");
}
