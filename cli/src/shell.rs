//! The one place that knows how `huza_daemon` is opened and asked, and what its errors mean.

use std::path::Path;

use huza_crdt::node::{Command, Reply, Resource, Status};
use huza_crdt::trust::authority::JoinRequest;
use huza_daemon::{Client, ClientError, Home, HomeError, InitOptions, RunError};

use crate::error::{Failure, Kind};

/// A device to ask, whether or not its daemon runs. Without one, the home is in use until this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Device(Client);

impl Device {
    /// Makes a device.
    pub(crate) fn create(home: &Path, label: &str, reader: bool) -> Result<JoinRequest, Failure> {
        Ok(Home::init(home, &InitOptions { label: label.to_owned(), reader })?)
    }

    /// Opens the one at `home`.
    pub(crate) async fn open(home: &Path) -> Result<Self, Failure> {
        Ok(Self(Client::open(home).await?))
    }

    /// Asks it one thing. A refusal is a failure.
    pub(crate) async fn call(&mut self, command: Command) -> Result<Reply, Failure> {
        match self.0.call(command).await? {
            Reply::Error(error) => Err(error.into()),
            reply => Ok(reply),
        }
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
            HomeError::Missing(_) => (Kind::Home, "home_missing"),
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
            RunError::Net(_) => (Kind::Input, "network"),
            RunError::Api(_) => (Kind::Storage, "local_socket"),
            RunError::Store { .. } => (Kind::Storage, "store"),
            RunError::Threads(_) => (Kind::Storage, "threads"),
            _ => (Kind::Unexpected, "daemon"),
        };
        failure(kind, code, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_behind_the_semicolon() {
        let failure = Failure::from(HomeError::Missing("/x".into()));
        assert_eq!(failure.message, "no huza home at /x");
        assert_eq!(failure.hint, "run `huza init --home /x`");
        assert_eq!(failure.kind, Kind::Home);
    }
}
