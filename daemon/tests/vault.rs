//! Who may open the reader's file: secrets, counted attempts, several workers, recovery.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use std::{cell::Cell, fs, path::PathBuf, time::Duration};

use huza_crdt::{
    crypto::{SealingKey, SigningKey},
    id::CertId,
    store::{Batch, Range, StoreKind, Table},
    time::Stamp,
    trust::recovery,
};
use huza_daemon::{
    store::{Store, StoreError},
    vault::{
        FileKeystore, Keystore as _, KeystoreError, Method, NewSecret, Secret, Unlock, Unlocked,
        Vault, VaultError, WORKERS_MAX,
    },
};

struct Desk {
    dir: tempfile::TempDir,
    keystore: FileKeystore,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keystore = FileKeystore::stand_in(&dir.path().join("factor"));
        Self { dir, keystore }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    fn create(&self, secret: &NewSecret) -> (Vault, Unlocked) {
        Vault::create(&self.path(), "Aline", secret, &self.keystore).unwrap()
    }

    fn open(&self) -> Vault {
        Vault::open(&self.path()).unwrap()
    }

    /// An attempt that waits for nothing, as if the device had been restarted.
    fn unlock(&self, unlock: &Unlock) -> Result<Unlocked, VaultError> {
        self.open().unlock(unlock, &self.keystore, |_| {})
    }
}

fn passphrase(text: &str) -> NewSecret {
    NewSecret::Passphrase(Secret::new(text.to_owned()))
}

fn pin(text: &str) -> NewSecret {
    NewSecret::Pin(Secret::new(text.to_owned()))
}

fn of(worker: &str, secret: &str) -> Unlock {
    Unlock { worker: Some(worker.to_owned()), ..Unlock::with(secret) }
}

fn same(one: &Unlocked, two: &Unlocked) -> bool {
    one.key().expose() == two.key().expose()
}

fn wrong(result: Result<Unlocked, VaultError>) -> (u32, u64) {
    match result {
        Err(VaultError::WrongSecret { failures, wait }) => (failures, wait.as_secs()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_passphrase_opens_what_it_closed_and_another_does_not() {
    let desk = Desk::new();
    let (_, made) = desk.create(&passphrase("ibirayi bine"));
    let unlocked = desk.unlock(&Unlock::with("ibirayi bine")).unwrap();
    assert!(same(&made, &unlocked));
    assert_eq!(unlocked.worker(), "Aline");
    assert_eq!(wrong(desk.unlock(&Unlock::with("ibirayi bitatu"))), (1, 0));
    let error = desk.unlock(&Unlock::with("")).unwrap_err().to_string();
    assert!(error.contains("wrong secret; 2 failed attempts"), "{error}");
}

#[test]
fn attempts_are_counted_before_they_are_made_and_wait_from_the_third_failure_on() {
    let desk = Desk::new();
    desk.create(&passphrase("ibirayi bine"));
    let waited = Cell::new(Duration::ZERO);
    let attempt = |secret: &str| {
        let mut vault = desk.open();
        vault.unlock(&Unlock::with(secret), &desk.keystore, |wait| waited.set(wait))
    };
    let mut waits = Vec::new();
    for _ in 0..5 {
        let (_, next) = wrong(attempt("not this one"));
        waits.push((waited.get().as_secs(), next));
    }
    assert_eq!(waits, [(0, 0), (0, 0), (0, 1), (1, 2), (2, 4)]);
    // Who switches the device off while an attempt waits has spent it.
    drop(desk.open().begin(None).unwrap());
    let status = desk.open().status(&desk.keystore);
    assert_eq!((status.workers[0].failures, status.workers[0].wait_ms), (6, 8_000));
    attempt("ibirayi bine").unwrap();
    assert_eq!(waited.get(), Duration::from_secs(8), "the right one waits too");
    assert_eq!(desk.open().status(&desk.keystore).workers[0].failures, 0);
    // Success alone resets: a count that could not be written stops the attempt.
    assert_eq!(wrong(attempt("not this one")).0, 1);
}

#[cfg(unix)]
#[test]
fn an_attempt_that_cannot_be_counted_is_not_made() {
    let desk = Desk::new();
    desk.create(&passphrase("ibirayi bine"));
    let mut vault = desk.open();
    // Where the new vault would be written there is a directory.
    fs::create_dir(desk.dir.path().join("vault.new")).unwrap();
    assert!(matches!(vault.begin(None), Err(VaultError::Io(_))));
}

#[test]
fn a_pin_counts_only_with_the_factor_of_its_device() {
    let desk = Desk::new();
    let (_, made) = desk.create(&pin("0471"));
    assert!(same(&made, &desk.unlock(&Unlock::with("0471")).unwrap()));
    assert_eq!(wrong(desk.unlock(&Unlock::with("0472"))), (1, 0));
    // The vault alone, on another device.
    let thief = Desk::new();
    fs::copy(desk.path(), thief.path()).unwrap();
    let missing = thief.unlock(&Unlock::with("0471"));
    assert!(matches!(missing, Err(VaultError::Keystore(KeystoreError::Missing))), "{missing:?}");
    // With a factor of that device's own.
    thief.keystore.enrol().unwrap();
    assert_eq!(wrong(thief.unlock(&Unlock::with("0471"))).0, 3);
}

#[test]
fn the_stand_in_for_a_keystore_says_that_it_is_one() {
    let desk = Desk::new();
    let (vault, _) = desk.create(&pin("0471"));
    assert!(!desk.keystore.is_hardware());
    for shown in [
        format!("{:?}", desk.keystore),
        desk.keystore.describe(),
        vault.status(&desk.keystore).description,
    ] {
        assert!(shown.contains("stand-in") && shown.contains("not hardware"), "{shown}");
    }
}

#[test]
fn an_open_slot_needs_no_secret_and_says_that_the_device_is_unprotected() {
    let desk = Desk::new();
    let (vault, made) = desk.create(&NewSecret::Open);
    assert!(same(&made, &vault.unlock_open().unwrap()));
    let status = vault.status(&desk.keystore);
    assert!(!status.protected && status.description.contains("unprotected"), "{status:?}");
    assert!(same(&made, &desk.unlock(&Unlock::with("")).unwrap()));
    // Closing it takes no new file, and then nobody comes in without a secret.
    let mut vault = desk.open();
    vault.change_secret(&made, &passphrase("ibirayi bine"), &desk.keystore).unwrap();
    assert!(desk.open().unlock_open().is_none());
    assert!(desk.open().status(&desk.keystore).protected);
    assert!(same(&made, &desk.unlock(&Unlock::with("ibirayi bine")).unwrap()));
}

#[test]
fn changing_a_secret_keeps_the_key_and_the_readers_file() {
    let desk = Desk::new();
    let (mut vault, made) = desk.create(&passphrase("ibirayi bine"));
    let file = desk.dir.path().join("reader.redb");
    let store = Store::create_with(StoreKind::Reader, &file, Some(made.key())).unwrap();
    let mut batch = Batch::default();
    batch.put(Table::Summaries, [1], *b"Uwase");
    store.apply(&batch).unwrap();
    store.close();
    let before = fs::read(&file).unwrap();
    vault.change_secret(&made, &pin("1234"), &desk.keystore).unwrap();
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(wrong(desk.unlock(&Unlock::with("ibirayi bine"))).0, 1);
    let unlocked = desk.unlock(&Unlock::with("1234")).unwrap();
    let store = Store::open_with(StoreKind::Reader, &file, Some(unlocked.key())).unwrap();
    let rows = store.load(&Range::all(Table::Summaries)).unwrap();
    assert_eq!(rows, [(vec![1], b"Uwase".to_vec())]);
    let weak = vault.change_secret(&made, &passphrase("short"), &desk.keystore);
    assert!(matches!(weak, Err(VaultError::Secret(_))));
}

#[test]
fn several_workers_open_one_device_each_with_a_secret_and_a_count_of_their_own() {
    let desk = Desk::new();
    let (mut vault, made) = desk.create(&passphrase("ibirayi bine"));
    vault.add_worker(&made, "Bosco", &pin("0471"), &desk.keystore).unwrap();
    assert!(matches!(desk.unlock(&Unlock::with("0471")), Err(VaultError::WhichWorker)));
    let bosco = desk.unlock(&of("Bosco", "0471")).unwrap();
    assert!(same(&made, &bosco));
    assert_eq!(bosco.worker(), "Bosco");
    assert_eq!(wrong(desk.unlock(&of("Bosco", "ibirayi bine"))).0, 1);
    let workers = desk.open().status(&desk.keystore).workers;
    let shown: Vec<_> =
        workers.iter().map(|one| (one.worker.as_str(), one.method, one.failures)).collect();
    assert_eq!(shown, [("Aline", Method::Passphrase, 0), ("Bosco", Method::Pin, 1)]);
    let again = vault.add_worker(&made, "Bosco", &pin("0471"), &desk.keystore);
    assert!(matches!(again, Err(VaultError::KnownWorker(_))));
    let mut vault = desk.open();
    vault.remove_worker(&bosco, "Aline").unwrap();
    assert!(matches!(desk.unlock(&of("Aline", "ibirayi bine")), Err(VaultError::UnknownWorker(_))));
    assert!(matches!(vault.remove_worker(&bosco, "Bosco"), Err(VaultError::LastWorker)));
    for bad in ["", " Keza", "a\nb", &"x".repeat(65)] {
        let refused = vault.add_worker(&bosco, bad, &NewSecret::Open, &desk.keystore);
        assert!(matches!(refused, Err(VaultError::BadWorker)), "{bad:?}");
    }
}

#[test]
fn workers_max() {
    let desk = Desk::new();
    let (mut vault, made) = desk.create(&NewSecret::Open);
    for number in 1..WORKERS_MAX {
        let name = format!("nurse {number}");
        vault.add_worker(&made, &name, &NewSecret::Open, &desk.keystore).unwrap();
    }
    let more = vault.add_worker(&made, "one more", &NewSecret::Open, &desk.keystore);
    assert!(matches!(more, Err(VaultError::TooManyWorkers)));
}

#[test]
fn a_changed_vault_is_damaged_or_does_not_open_and_never_opens_wrongly() {
    let desk = Desk::new();
    desk.create(&passphrase("ibirayi bine"));
    let good = fs::read(desk.path()).unwrap();
    // By accident: the checksum tells.
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(desk.path(), &bad).unwrap();
        let read = Vault::open(&desk.path());
        let known = matches!(read, Err(VaultError::Damaged | VaultError::Version));
        assert!(known, "byte {place}: {read:?}");
    }
    for end in 0..good.len() {
        fs::write(desk.path(), &good[..end]).unwrap();
        let read = Vault::open(&desk.path());
        let known = matches!(read, Err(VaultError::Damaged | VaultError::Version));
        assert!(known, "cut at {end}: {read:?}");
    }
    fs::remove_file(desk.path()).unwrap();
    assert!(matches!(Vault::open(&desk.path()), Err(VaultError::Missing)));
}

#[test]
fn somebody_elses_slot_under_ones_own_name_does_not_open() {
    use sha2::Digest as _;
    let desk = Desk::new();
    let (mut vault, made) = desk.create(&passphrase("ibirayi bine"));
    vault.add_worker(&made, "Bosco", &passphrase("imineke itanu"), &desk.keystore).unwrap();
    let mut bytes = fs::read(desk.path()).unwrap();
    // On purpose: the two names are exchanged, the checksum is made again.
    let place = |name: &[u8], bytes: &[u8]| bytes.windows(5).position(|w| w == name).unwrap();
    let (one, two) = (place(b"Aline", &bytes), place(b"Bosco", &bytes));
    bytes[one..one + 5].copy_from_slice(b"Bosco");
    bytes[two..two + 5].copy_from_slice(b"Aline");
    let end = bytes.len() - 32;
    let sum = sha2::Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum);
    fs::write(desk.path(), &bytes).unwrap();
    assert_eq!(wrong(desk.unlock(&of("Bosco", "ibirayi bine"))).0, 1);
    assert_eq!(wrong(desk.unlock(&of("Aline", "imineke itanu"))).0, 1);
}

#[test]
fn the_wrong_key_is_told_from_a_torn_file_and_leaves_it_as_it_is() {
    let (one, two) = (Desk::new(), Desk::new());
    let (_, right) = one.create(&NewSecret::Open);
    let (_, other) = two.create(&NewSecret::Open);
    let file = one.dir.path().join("reader.redb");
    Store::create_with(StoreKind::Reader, &file, Some(right.key())).unwrap().close();
    let before = fs::read(&file).unwrap();
    let opened = Store::open_with(StoreKind::Reader, &file, Some(other.key()));
    assert!(matches!(opened, Err(StoreError::Key)), "{opened:?}");
    let opened = Store::open(StoreKind::Reader, &file);
    assert!(matches!(opened, Err(StoreError::Format)), "without a key: {opened:?}");
    assert_eq!(fs::read(&file).unwrap(), before);
    Store::open_with(StoreKind::Reader, &file, Some(right.key())).unwrap();
}

#[cfg(unix)]
#[test]
fn the_vault_and_the_stand_ins_file_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.create(&pin("0471"));
    for name in ["vault", "factor"] {
        let mode = fs::metadata(desk.dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn nothing_of_a_vault_prints_a_secret() {
    let desk = Desk::new();
    let (vault, unlocked) = desk.create(&NewSecret::Open);
    let key = unlocked.key().expose();
    let shown = format!("{vault:?} {unlocked:?}");
    let numbers = key[..8].iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    assert!(!shown.contains(&numbers), "{shown}");
}

/// A health centre with which a device leaves its recovery.
fn centre() -> (CertId, SealingKey) {
    (CertId([7; 16]), SealingKey::from_seed([8; 32]))
}

#[test]
fn a_health_centre_opens_a_device_whose_secret_is_lost_once() {
    let desk = Desk::new();
    let device = SigningKey::from_seed([1; 32]);
    let (authority, sealing) = centre();
    let (mut vault, made) = desk.create(&passphrase("ibirayi bine"));
    assert!(matches!(vault.recovery_request(), Err(VaultError::NoRecovery)));
    vault.set_recovery(&made, device.public(), &[(authority, sealing.public())]).unwrap();
    assert_eq!(desk.open().recovery_left(), [authority]);

    let ask = || {
        let (reply_to, slots) = desk.open().recovery_request().unwrap();
        recovery::request(&device, reply_to, slots, Stamp(1))
    };
    let answer_to = |request| recovery::answer(&request, authority, &sealing, [2; 32]).unwrap();
    let stale = answer_to(ask());
    let fresh = answer_to(ask());
    assert!(desk.open().status(&desk.keystore).recovery_asked);
    let recover =
        |answer, digits| desk.open().recover(answer, "Aline", &pin(digits), &desk.keystore);
    let late = recover(&stale, "9999");
    assert!(matches!(late, Err(VaultError::Recovery(_))), "a later request replaced it: {late:?}");
    let weak = recover(&fresh, "9");
    assert!(matches!(weak, Err(VaultError::Secret(_))), "and nothing is spent: {weak:?}");
    let recovered = recover(&fresh, "0471").unwrap();
    assert!(same(&made, &recovered));
    assert!(same(&made, &desk.unlock(&Unlock::with("0471")).unwrap()));
    assert_eq!(wrong(desk.unlock(&Unlock::with("ibirayi bine"))).0, 1);
    // The answer is spent, and the next recovery is left with the same authority.
    assert!(matches!(recover(&fresh, "1111"), Err(VaultError::NotAsked)));
    assert!(recover(&answer_to(ask()), "2222").is_ok());
}

#[test]
fn a_recovery_that_was_taken_back_opens_nothing() {
    let desk = Desk::new();
    let device = SigningKey::from_seed([1; 32]);
    let (authority, sealing) = centre();
    let (mut vault, made) = desk.create(&passphrase("ibirayi bine"));
    let to = [(authority, sealing.public())];
    vault.set_recovery(&made, device.public(), &to).unwrap();
    let (_, old) = vault.recovery_request().unwrap();
    vault.set_recovery(&made, device.public(), &to).unwrap();
    // A thief sends what was left before; the device's key signs anything he wants.
    let (reply_to, _) = vault.recovery_request().unwrap();
    let request = recovery::request(&device, reply_to, old, Stamp(1));
    let answer = recovery::answer(&request, authority, &sealing, [2; 32]).unwrap();
    let refused = vault.recover(&answer, "Aline", &pin("0471"), &desk.keystore);
    assert!(matches!(refused, Err(VaultError::OldRecovery)), "{refused:?}");
    vault.set_recovery(&made, device.public(), &[]).unwrap();
    assert!(matches!(vault.recovery_request(), Err(VaultError::NoRecovery)));
}
