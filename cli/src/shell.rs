//! The one place that knows how `huza_daemon` is opened and asked, and what its errors mean.

use core::fmt::Display;
use std::path::Path;

use huza_crdt::id::RecordId;
use huza_crdt::node::{Command, Reply, Resource, Status};
use huza_crdt::trust::approval::JoinRequest;
use huza_daemon::http::AppError;
use huza_daemon::vault::{Unlock, VaultCommand, VaultError, VaultReply, VaultStatus};
use huza_daemon::{
    Client, ClientError, ConfigError, Home, HomeError, InitOptions, PipeError, RunError,
};

use crate::args::RecordRef;
use crate::error::{Failure, Kind};
use crate::secrets::Secrets;

/// Ids that are shown at most of those that begin as a user said.
const CANDIDATES_MAX: usize = 5;

/// A device to ask, whether or not its daemon runs. Without one, the home is in use until this is
/// closed.
#[derive(Debug)]
pub(crate) struct Device {
    client: Client,
    /// Whether a running daemon was unlocked for this command, and is to be locked again.
    relocks: bool,
}

impl Device {
    /// Makes a device.
    pub(crate) fn create(home: &Path, options: &InitOptions) -> Result<JoinRequest, Failure> {
        Ok(Home::init(home, options)?)
    }

    /// Opens the one at `home`.
    pub(crate) async fn open(home: &Path) -> Result<Self, Failure> {
        Ok(Self { client: Client::open(home).await?, relocks: false })
    }

    /// Whether a daemon runs on it.
    pub(crate) const fn is_daemon(&self) -> bool {
        self.client.is_daemon()
    }

    /// Sees to it that the reader is open, by the worker who is there. A device without one stays
    /// as it is.
    pub(crate) async fn unlock(&mut self, secrets: &Secrets) -> Result<(), Failure> {
        let Some((status, open)) = self.vault_status().await? else { return Ok(()) };
        let wanted = secrets.worker(&status);
        if open.is_some() && (wanted.is_none() || wanted == open) {
            return Ok(());
        }
        self.unlock_by(secrets.unlock(&status)?).await
    }

    /// Opens the reader for this command.
    pub(crate) async fn unlock_by(&mut self, by: Unlock) -> Result<(), Failure> {
        self.vault(VaultCommand::Unlock(by)).await?;
        self.relocks = self.client.is_daemon();
        Ok(())
    }

    /// It stays open when this command has ended.
    pub(crate) const fn stay_open(&mut self) {
        self.relocks = false;
    }

    /// What was unlocked for this command is locked, and the home is free again.
    pub(crate) async fn close(mut self) -> Result<(), Failure> {
        if self.relocks {
            self.vault(VaultCommand::Lock).await?;
        }
        self.client.close().await;
        Ok(())
    }

    /// Has the vault do one thing. A refusal is a failure.
    pub(crate) async fn vault(&mut self, command: VaultCommand) -> Result<VaultReply, Failure> {
        match self.client.vault(command).await? {
            VaultReply::Error(error) => Err(error.into()),
            reply => Ok(reply),
        }
    }

    /// How the vault stands and who has the reader open; nothing if there is no reader.
    pub(crate) async fn vault_status(
        &mut self,
    ) -> Result<Option<(VaultStatus, Option<String>)>, Failure> {
        match self.client.vault(VaultCommand::Status).await? {
            VaultReply::Vault { status, open } => Ok(Some((status, open))),
            VaultReply::Error(error) if error.code == "no_reader" => Ok(None),
            VaultReply::Error(error) => Err(error.into()),
            _ => Err(Failure::answer("the vault's status")),
        }
    }

    /// Asks it one thing. A refusal is a failure.
    pub(crate) async fn call(&mut self, command: Command) -> Result<Reply, Failure> {
        match self.client.call(command).await? {
            Reply::Error(error) => Err(error.into()),
            reply => Ok(reply),
        }
    }

    /// The record that a user means.
    pub(crate) async fn record(&mut self, wanted: &RecordRef) -> Result<RecordId, Failure> {
        let RecordRef(digits) = wanted;
        let Some(ids) = RecordId::beginning(digits) else {
            return Err(Failure::new(Kind::Usage, "no_id", "That is no record's id"));
        };
        if ids.start() == ids.end() {
            return Ok(*ids.start());
        }
        let find = Command::Find { query: digits.clone(), limit: CANDIDATES_MAX + 1 };
        let Reply::Found { records } = self.call(find).await? else {
            return Err(Failure::answer("find"));
        };
        let found = records.into_iter().map(|one| one.record).filter(|id| ids.contains(id));
        one_of("record", digits, found.collect(), "`huza person find` lists them")
    }

    /// How it stands.
    pub(crate) async fn status(&mut self, records: bool) -> Result<Status, Failure> {
        match self.call(Command::Status { records }).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(Failure::answer("status")),
        }
    }

    /// Everything it can read, page by page.
    pub(crate) async fn export(
        &mut self,
        mut take: impl FnMut(&[Resource]) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut after = None;
        let mut count = 0;
        loop {
            let reply = self.call(Command::Export { after }).await?;
            let Reply::Exported { resources, next } = reply else {
                return Err(Failure::answer("export"));
            };
            take(&resources)?;
            count += resources.len();
            match next {
                Some(next) => after = Some(next),
                None => return Ok(count),
            }
        }
    }
}

/// The only one of what was `found` by the beginning of its id. `hint`: where all are listed.
pub(crate) fn one_of<T: Display>(
    what: &str,
    digits: &str,
    mut found: Vec<T>,
    hint: &str,
) -> Result<T, Failure> {
    if found.len() > 1 {
        let (message, known) = (format!("Several {what}s begin with {digits}"), found.len());
        let shown: Vec<String> =
            found.iter().take(CANDIDATES_MAX).map(ToString::to_string).collect();
        let more = if known > CANDIDATES_MAX { ", ..." } else { "" };
        return Err(Failure::new(Kind::Input, "ambiguous", message)
            .hint(format!("Give more of the id: {}{more}", shown.join(", "))));
    }
    found.pop().ok_or_else(|| {
        let message = format!("No {what} known here begins with {digits}");
        Failure::new(Kind::Input, &format!("unknown_{what}"), message).hint(hint)
    })
}

/// One line for people: what failed with all its causes, and behind the last semicolon of the
/// outermost error what to do.
fn failure(kind: Kind, code: &str, error: &dyn core::error::Error) -> Failure {
    let whole = error.to_string();
    let (message, hint) = whole.rsplit_once("; ").unwrap_or((&whole, ""));
    let causes = error.source().map(huza_daemon::error_chain);
    let message = match causes {
        Some(causes) => format!("{message}: {causes}"),
        None => message.to_owned(),
    };
    Failure::new(kind, code, message).hint(hint)
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let (kind, code) = match &error {
            HomeError::Refused(refused) => return refused.clone().into(),
            HomeError::Vault(error) => return of_vault(error),
            HomeError::Missing(_) => (Kind::Home, "home_missing"),
            HomeError::MissingReader(_) => (Kind::Home, "reader_missing"),
            HomeError::MissingVault(_) => (Kind::Home, "vault_missing"),
            HomeError::Exists(_) => (Kind::Home, "home_exists"),
            HomeError::NotEmpty(_) => (Kind::Home, "home_not_empty"),
            HomeError::Name(_) => (Kind::Home, "home_name"),
            HomeError::InUse { .. } => (Kind::Busy, "home_in_use"),
            HomeError::Config(_) => (Kind::Input, "settings"),
            HomeError::Store { .. } => (Kind::Storage, "store"),
            HomeError::Io { .. } => (Kind::Storage, "home_io"),
            HomeError::Entropy(_) => (Kind::Storage, "entropy"),
            _ => (Kind::Unexpected, "home"),
        };
        failure(kind, code, &error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        failure(Kind::Input, "settings", &error)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let (kind, code) = match &error {
            AppError::Name { .. } => (Kind::Input, "app_name"),
            AppError::Exists { .. } => (Kind::Input, "app_exists"),
            AppError::Unknown { .. } => (Kind::Input, "unknown_app"),
            AppError::TooMany => (Kind::Input, "too_many_apps"),
            _ => (Kind::Storage, "apps"),
        };
        failure(kind, code, &error)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        of_vault(&error)
    }
}

fn of_vault(error: &VaultError) -> Failure {
    let kind = match error {
        VaultError::Io(_) | VaultError::Entropy(_) | VaultError::Memory => Kind::Storage,
        VaultError::Missing | VaultError::Damaged | VaultError::Version => Kind::Home,
        VaultError::Crashed => Kind::Unexpected,
        _ => Kind::Input,
    };
    if error.hint().is_empty() {
        return failure(kind, error.code(), error);
    }
    Failure::new(kind, error.code(), huza_daemon::error_chain(error)).hint(error.hint())
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let (kind, code) = match error {
            ClientError::Home(error) => return error.into(),
            ClientError::Connect { .. } => (Kind::Storage, "daemon_unreachable"),
            ClientError::Gone => (Kind::Storage, "daemon_gone"),
            ClientError::Offline(_) => (Kind::Storage, "store"),
            _ => (Kind::Unexpected, "client"),
        };
        failure(kind, code, &error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let (kind, code) = match error {
            RunError::Home(error) => return error.into(),
            RunError::Vault(error) => return of_vault(&error),
            RunError::Net(_) => (Kind::Input, "network"),
            RunError::Api(_) => (Kind::Storage, "local_socket"),
            RunError::Http { .. } => (Kind::Storage, "http"),
            RunError::Store { .. } => (Kind::Storage, "store"),
            RunError::Threads(_) => (Kind::Storage, "threads"),
            _ => (Kind::Unexpected, "daemon"),
        };
        failure(kind, code, &error)
    }
}

impl From<PipeError> for Failure {
    fn from(error: PipeError) -> Self {
        match error {
            PipeError::Client(error) => error.into(),
            PipeError::Run(error) => error.into(),
            _ => failure(Kind::Unexpected, "pipe", &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_means_one_thing_or_says_which_it_may_mean() {
        let of = |found: &[&'static str]| one_of("log", "ab", found.to_vec(), "see x");
        assert_eq!(of(&["abcd"]).unwrap(), "abcd");
        let several = of(&["abcd", "abef"]).unwrap_err();
        assert_eq!(several.hint, "Give more of the id: abcd, abef");
        let none = of(&[]).unwrap_err();
        assert_eq!((none.code.as_str(), none.hint.as_str()), ("unknown_log", "see x"));
        let many = of(&["1", "2", "3", "4", "5", "6"]).unwrap_err();
        assert!(many.hint.ends_with("5, ..."), "{}", many.hint);
    }

    #[test]
    fn what_to_do_is_behind_the_semicolon() {
        let failure = Failure::from(HomeError::Missing("/x".into()));
        assert_eq!(failure.message, "no huza home at /x");
        assert_eq!(
            failure.hint,
            "check the path, or make a new device there with `huza init --home /x`"
        );
        assert_eq!(failure.kind, Kind::Home);
    }
}
