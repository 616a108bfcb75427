//! Failures as a user meets them: what failed, what to do, and the exit code.
//!
//! Everything below this crate has its own error types; here they become one, and
//! [`crate::output::Output::failure`] renders it once.

use std::path::Path;

use huza_crdt::node::CommandError;
use serde::Serialize;

/// What sort of failure it is, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bug, or something nobody foresaw.
    Unexpected,
    /// The command line does not make sense.
    Usage,
    /// What was given cannot be used. Nothing was changed.
    Input,
    /// There is no usable home, or there is one already.
    Home,
    /// Another process has it.
    Busy,
    /// The disk, the network or the operating system said no.
    Storage,
    /// It was begun and did not come to its end; what is done is kept.
    Incomplete,
}

/// Kind, exit code, and what the help text says of it.
pub(crate) const EXIT_CODES: [(Kind, u8, &str); 7] = [
    (Kind::Unexpected, 1, "something unforeseen"),
    (Kind::Usage, 2, "the command line does not make sense"),
    (Kind::Input, 3, "what was given cannot be used; nothing was changed"),
    (Kind::Home, 4, "there is no usable home, or there is one already"),
    (Kind::Busy, 5, "another process is using it"),
    (Kind::Storage, 6, "the disk, the network or the system said no"),
    (Kind::Incomplete, 7, "it did not come to its end; what is done is kept"),
];

impl Kind {
    /// The process' exit code.
    pub(crate) fn exit_code(self) -> u8 {
        EXIT_CODES.iter().find(|(kind, _, _)| *kind == self).map_or(1, |(_, code, _)| *code)
    }
}

/// What failed and what to do.
#[derive(Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub(crate) struct Failure {
    /// For the exit code.
    #[serde(skip)]
    pub(crate) kind: Kind,
    /// Stable, for machines.
    pub(crate) code: String,
    /// What failed, without a full stop.
    pub(crate) message: String,
    /// What to do, without a full stop; may be empty.
    pub(crate) hint: String,
}

// Message and hint may quote what the user typed; they are for that user's screen.
huza_crdt::debug_shows!(struct Failure { kind, code });

impl Failure {
    /// A failure without advice.
    pub(crate) fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), hint: String::new() }
    }

    /// The same, with what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// A file could not be read or written.
    pub(crate) fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => "Check the path",
            std::io::ErrorKind::PermissionDenied => "Check who may use it",
            std::io::ErrorKind::StorageFull => "Make room on the disk and try again",
            std::io::ErrorKind::AlreadyExists => "Name a file that does not exist yet",
            _ => "Check the path and the disk",
        };
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::AlreadyExists => Kind::Input,
            _ => Kind::Storage,
        };
        Self::new(kind, "file", format!("Cannot {doing} {}: {error}", path.display())).hint(hint)
    }

    /// An answer that does not fit the question.
    pub(crate) fn answer(asked: &str) -> Self {
        Self::new(Kind::Unexpected, "answer", format!("The device gave an odd answer to {asked}"))
            .hint("Use one version of huza for the daemon and the command")
    }
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let kind = match error.code.as_str() {
            "store_failed" | "vault_io" | "entropy" | "memory" => Kind::Storage,
            "exists" | "no_identity" | "no_vault" | "vault_damaged" | "vault_version" => Kind::Home,
            "crashed" => Kind::Unexpected,
            _ => Kind::Input,
        };
        let CommandError { code, mut message, mut hint } = error;
        if hint.is_empty()
            && let Some((what, advice)) = message.rsplit_once("; ")
        {
            (message, hint) = (what.to_owned(), advice.to_owned());
        }
        Self { kind, code, message, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_exit_code() {
        let codes: std::collections::BTreeSet<u8> =
            EXIT_CODES.iter().map(|(kind, _, _)| kind.exit_code()).collect();
        assert_eq!(codes.len(), EXIT_CODES.len());
        assert!(!codes.contains(&0));
    }
}
