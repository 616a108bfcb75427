//! Opening and locking the reader while the daemon runs, and what else users want of the vault.

use huza_crdt::node::{Command, CommandError, CommandId, Input, Output, Reply};
use tokio::sync::oneshot;

use super::{
    Driver, RunError, ShellEvent,
    keeper::{Caller, Kept},
};
use crate::{
    store::Store,
    vault::{Unlocked, VaultCommand, VaultReply, service::Outcome},
};

/// Who waits for the node's reply to a command.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A user, for the reply itself.
    Command(oneshot::Sender<Reply>),
    /// A user, for what it says about the vault.
    Vault(Caller),
}

impl Waiting {
    pub(super) fn answer(self, reply: Reply) {
        // A caller that went away wants no answer.
        match self {
            Self::Command(caller) => {
                let _gone = caller.send(reply);
            }
            Self::Vault(caller) => {
                let _gone = caller.send(spelled(reply));
            }
        }
    }
}

/// What the node says, as the vault's answer.
pub(crate) fn spelled(reply: Reply) -> VaultReply {
    match reply {
        Reply::Locked => VaultReply::Locked,
        Reply::RecoverySigned { request } => VaultReply::RecoveryRequest { request },
        Reply::Error(error) => VaultReply::Error(error),
        _ => refusal("unexpected", "the node answered something else", "please report it"),
    }
}

/// That a device has no reader to open or lock.
pub(crate) fn no_reader() -> VaultReply {
    refusal("no_reader", "this device only carries; it has no vault", "")
}

fn refusal(code: &str, message: &str, hint: &str) -> VaultReply {
    let [code, message, hint] = [code, message, hint].map(str::to_owned);
    VaultReply::Error(CommandError { code, message, hint })
}

impl Driver {
    /// Takes a wish for the vault.
    pub(super) fn vault(&mut self, command: VaultCommand, caller: Caller) {
        match command {
            _ if !self.reads => {
                let _gone = caller.send(no_reader());
            }
            // Neither waits behind an attempt that waits.
            VaultCommand::Lock => self.ask_node(Command::Lock, caller),
            VaultCommand::Status => self.keeper.tell(self.worker.clone(), caller),
            command => self.keeper.take(command, caller),
        }
    }

    /// At the end: a reader that was opened with a secret is locked, so that what was recorded
    /// leaves with a locked device.
    pub(super) fn relock(&mut self) {
        if self.relocks && self.stores.is_open() && self.ready {
            let id = CommandId(self.number());
            self.handle(Input::Command { id, command: Box::new(Command::Lock) });
        }
    }

    pub(super) fn kept(&mut self, kept: Kept) {
        match kept {
            Kept::Told => return,
            Kept::Vault(caller, Ok(Outcome::Unlocked(unlocked))) if !self.stores.is_open() => {
                // Others wait until the store is open.
                return self.keeper.open(caller, unlocked, self.closing.take());
            }
            Kept::Vault(caller, Ok(outcome)) => self.vault_outcome(caller, outcome),
            Kept::Vault(caller, Err(error)) => {
                let _gone = caller.send(VaultReply::failed(&error));
            }
            Kept::Opened(caller, unlocked, Ok(store)) => self.opened(caller, &unlocked, store),
            Kept::Opened(caller, _, Err(error)) => {
                let message = crate::error_chain(&error);
                let _gone = caller.send(refusal("store_failed", &message, ""));
            }
        }
        self.keeper.dealt_with();
    }

    fn vault_outcome(&mut self, caller: Caller, outcome: Outcome) {
        match outcome {
            Outcome::Unlocked(unlocked) => self.work_as(caller, &unlocked),
            Outcome::Lock => self.ask_node(Command::Lock, caller),
            Outcome::Status(status) => {
                let open = self.worker.clone();
                let _gone = caller.send(VaultReply::Vault { status, open });
            }
            Outcome::Ask(reply_to, slots) => {
                self.ask_node(Command::SignRecovery { reply_to, slots }, caller);
            }
        }
    }

    fn ask_node(&mut self, command: Command, caller: Caller) {
        let id = CommandId(self.number());
        self.replies.insert(id, Waiting::Vault(caller));
        self.handle(Input::Command { id, command: Box::new(command) });
    }

    fn opened(&mut self, caller: Caller, unlocked: &Unlocked, store: Store) {
        match self.stores.open_reader(store) {
            Ok(()) => self.work_as(caller, unlocked),
            Err(error) => self.fail(RunError::Threads(error)),
        }
    }

    fn work_as(&mut self, caller: Caller, unlocked: &Unlocked) {
        let worker = unlocked.worker().to_owned();
        self.worker = Some(worker.clone());
        self.handle(Input::ReaderOpened { worker: worker.clone() });
        self.teller.tell(ShellEvent::ReaderOpened);
        let _gone = caller.send(VaultReply::Unlocked { worker });
    }

    /// The node asks nothing more of the reader's store: it closes, and its key goes with it.
    pub(super) fn close_reader(&mut self) {
        self.worker = None;
        self.closing = self.stores.close_reader();
        self.teller.tell(ShellEvent::ReaderLocked);
    }

    /// Carries out what concerns the stores as files.
    pub(super) fn about_files(&mut self, output: Output) {
        match output {
            Output::Scrub { token, store } if self.stores.scrub(token, store) => {}
            Output::Scrub { store, .. } => self.fail(RunError::NoStore(store)),
            Output::CloseReader => self.close_reader(),
            _ => {}
        }
    }
}
