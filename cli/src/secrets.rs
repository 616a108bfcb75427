//! Passphrases and PINs: out of a file, or asked for on a terminal without echo; never out of an
//! argument, which everybody on the machine can see.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use huza_daemon::vault::{NewSecret, Secret, Unlock, VaultStatus};
use zeroize::Zeroizing;

use crate::args::NewSecretArgs;
use crate::error::{Failure, Kind};

/// Longest secret file, in bytes. // guess: the longest secret and a line end
const FILE_BYTES_MAX: u64 = 4_096;

/// What the command line says about who is there, and how to know it.
pub(crate) struct Secrets {
    /// As named on the command line.
    worker: Option<String>,
    /// As the environment says: the habit of a terminal, not a wish.
    habit: Option<String>,
    file: Option<PathBuf>,
}

huza_crdt::debug_shows!(
    struct Secrets {}
);

impl Secrets {
    /// As given, else from the environment.
    pub(crate) fn of(worker: Option<String>, file: Option<PathBuf>) -> Self {
        let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = file.or_else(|| from("HUZA_PASSPHRASE_FILE").map(PathBuf::from));
        Self { worker, habit: from("HUZA_WORKER"), file }
    }

    /// Whether nobody needs to be asked.
    pub(crate) const fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// The name of a worker who does not exist yet.
    pub(crate) fn new_worker(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|value| !value.is_empty());
        let named = self.worker.clone().or_else(|| self.habit.clone()).or_else(user);
        named.unwrap_or_else(|| "worker".to_owned())
    }

    /// Which of the device's workers is meant, if any is named.
    pub(crate) fn worker(&self, status: &VaultStatus) -> Option<String> {
        let known = |name: &String| status.workers.iter().any(|one| one.worker == *name);
        self.worker.clone().or_else(|| self.habit.clone().filter(known))
    }

    /// Who unlocks, and with what: read or asked for.
    pub(crate) fn unlock(&self, status: &VaultStatus) -> Result<Unlock, Failure> {
        let worker = self.one_worker(status)?;
        let open = status.is_open(&worker);
        let secret = if open { Zeroizing::default() } else { self.secret(&worker)? };
        Ok(Unlock { worker: Some(worker), secret: of(&secret) })
    }

    /// As [`Self::unlock`]; nothing if the person on the terminal gives nothing, or nobody is
    /// there.
    pub(crate) fn offer(&self, status: &VaultStatus) -> Result<Option<Unlock>, Failure> {
        if self.has_file() {
            return self.unlock(status).map(Some);
        }
        let Ok(worker) = self.one_worker(status) else { return Ok(None) };
        if !is_asked() || status.is_open(&worker) {
            return Ok(None);
        }
        let secret = ask(&format!("Secret of {worker} (empty: stay locked): "))?;
        let unlock = Unlock { worker: Some(worker), secret: of(&secret) };
        Ok((!secret.is_empty()).then_some(unlock))
    }

    fn one_worker(&self, status: &VaultStatus) -> Result<String, Failure> {
        match (self.worker(status), status.workers.as_slice()) {
            (Some(worker), _) => Ok(worker),
            (None, [only]) => Ok(only.worker.clone()),
            (None, workers) => {
                let names: Vec<&str> = workers.iter().map(|one| one.worker.as_str()).collect();
                let message = "Several workers use this device";
                Err(Failure::new(Kind::Input, "which_worker", message)
                    .hint(format!("Say --worker with one of: {}", names.join(", "))))
            }
        }
    }

    fn secret(&self, worker: &str) -> Result<Zeroizing<String>, Failure> {
        match &self.file {
            Some(path) => read(path),
            None if is_asked() => ask(&format!("Secret of {worker}: ")),
            None => Err(Failure::new(Kind::Input, "locked", "This device is locked").hint(
                "Run it on a terminal to be asked, say --passphrase-file FILE, or open a running \
                 daemon with `huza unlock`",
            )),
        }
    }

    /// A secret that does not exist yet. `own` says whether it is for the worker who is there:
    /// then --passphrase-file may hold it.
    pub(crate) fn new_secret(&self, args: &NewSecretArgs, own: bool) -> Result<NewSecret, Failure> {
        if args.unprotected {
            return Ok(NewSecret::Open);
        }
        let what = if args.pin { "PIN" } else { "passphrase" };
        let file = args.new_passphrase_file.as_ref().or(self.file.as_ref().filter(|_| own));
        let option = if own { "--passphrase-file" } else { "--new-passphrase-file" };
        let secret = of(&new_text(what, file.map(PathBuf::as_path), option)?);
        let new = if args.pin { NewSecret::Pin(secret) } else { NewSecret::Passphrase(secret) };
        check(&new)?;
        Ok(new)
    }
}

/// The passphrase of keys on paper.
pub(crate) fn of_paper(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    match file {
        Some(path) => read(path),
        None if is_asked() => ask("Passphrase of the paper: "),
        None => Err(nobody("passphrase of the paper", "--paper-passphrase-file")),
    }
}

/// A passphrase for keys on paper that are being made.
pub(crate) fn new_of_paper(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    let text = new_text("passphrase of the paper", file, "--paper-passphrase-file")?;
    check(&NewSecret::Passphrase(of(&text)))?;
    Ok(text)
}

/// Asks to confirm; without a terminal the answer is no.
pub(crate) fn confirm(question: &str) -> bool {
    if !is_asked() {
        return false;
    }
    crate::output::complain(&format!("{question} Type yes: "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim() == "yes"
}

/// Whether a person is there to be asked.
pub(crate) fn is_asked() -> bool {
    std::io::stdin().is_terminal()
}

fn new_text(what: &str, file: Option<&Path>, option: &str) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        return read(path);
    }
    if !is_asked() {
        return Err(nobody(what, option));
    }
    let first = ask(&format!("New {what}: "))?;
    if *first != *ask("The same again: ")? {
        return Err(Failure::new(Kind::Input, "secrets_differ", "The two are not the same")
            .hint("Try again; nothing was changed"));
    }
    Ok(first)
}

fn nobody(what: &str, option: &str) -> Failure {
    let message = format!("There is no terminal on which to ask for the {what}");
    Failure::new(Kind::Input, "no_secret", message).hint(format!("Say {option} FILE"))
}

fn check(new: &NewSecret) -> Result<(), Failure> {
    new.check().map_err(|error| {
        let whole = error.to_string();
        let (message, hint) = whole.split_once("; ").unwrap_or((&whole, "choose another one"));
        Failure::new(Kind::Input, "weak_secret", message).hint(hint)
    })
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        Failure::new(Kind::Storage, "terminal", format!("Cannot ask on this terminal: {error}"))
            .hint("Give the secret in a file")
    })
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| Failure::file("read", path, &error))?;
    // The line's end is not part of it; spaces are.
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}

fn of(text: &Zeroizing<String>) -> Secret {
    Secret::new(text.to_string())
}

/// What a vault says of a worker.
trait Known {
    /// Whether this worker's slot needs no secret.
    fn is_open(&self, worker: &str) -> bool;
}

impl Known for VaultStatus {
    fn is_open(&self, worker: &str) -> bool {
        let open = huza_daemon::vault::Method::Open;
        self.workers.iter().any(|one| one.worker == worker && one.method == open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_is_one_line_with_its_spaces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (content, want) in [(" two words \n", " two words "), ("x\r\n", "x"), ("y", "y")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&path).unwrap().as_str(), want);
        }
    }

    #[test]
    fn weak_secrets_are_two_sentences() {
        let failure = check(&NewSecret::Passphrase(Secret::new("short".to_owned()))).unwrap_err();
        assert!(failure.message.contains("at least 8"), "{}", failure.message);
        assert!(failure.hint.contains("random words"), "{}", failure.hint);
    }
}
