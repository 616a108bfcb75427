//! The keeper of the vault: carries out what users want of it, one after the other, without
//! holding up the driver. An attempt that waits ends with the daemon; it stays counted.

use std::collections::VecDeque;

use tokio::{
    sync::oneshot,
    task::{JoinError, JoinSet},
};

use crate::{
    home::{Home, HomeError},
    store::Store,
    vault::{
        Unlocked, VaultCommand, VaultError, VaultReply,
        service::{self, Outcome, Place},
    },
};

/// Where an answer is awaited.
pub(super) type Caller = oneshot::Sender<VaultReply>;

/// What the keeper has done.
#[derive(Debug)]
pub(super) enum Kept {
    /// A wish, as far as the vault goes.
    Vault(Caller, Result<Outcome, VaultError>),
    /// The reader's store was opened, or not, for somebody.
    Opened(Caller, Unlocked, Result<Store, HomeError>),
    /// Somebody was told how the vault stands.
    Told,
}

/// The keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    home: Home,
    tasks: JoinSet<Kept>,
    waiting: VecDeque<(VaultCommand, Caller)>,
    /// Whether a wish is being carried out, from the attempt to the open store.
    busy: bool,
}

impl Keeper {
    pub(super) fn new(home: Home) -> Self {
        Self { home, tasks: JoinSet::new(), waiting: VecDeque::new(), busy: false }
    }

    /// Takes a wish. There are no more of them than connections at the local door.
    pub(super) fn take(&mut self, command: VaultCommand, caller: Caller) {
        self.waiting.push_back((command, caller));
        self.go_on();
    }

    /// Tells how the vault stands, without waiting for others; `open` says who has the reader.
    pub(super) fn tell(&mut self, open: Option<String>, caller: Caller) {
        let place = place(&self.home);
        self.tasks.spawn(async move {
            let reply = match service::perform(place, VaultCommand::Status).await {
                Ok(Outcome::Status(status)) => VaultReply::Vault { status, open },
                Ok(_) => return Kept::Told,
                Err(error) => VaultReply::failed(&error),
            };
            let _gone = caller.send(reply);
            Kept::Told
        });
    }

    fn go_on(&mut self) {
        if self.busy {
            return;
        }
        let Some((command, caller)) = self.waiting.pop_front() else { return };
        self.busy = true;
        let place = place(&self.home);
        self.tasks.spawn(async move {
            let outcome = service::perform(place, command).await;
            Kept::Vault(caller, outcome)
        });
    }

    /// Opens the reader's store, once `closing` is closed.
    pub(super) fn open(
        &mut self,
        caller: Caller,
        unlocked: Unlocked,
        closing: Option<std::thread::JoinHandle<()>>,
    ) {
        let home = self.home.clone();
        self.tasks.spawn_blocking(move || {
            if closing.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the thread of the reader's store panicked");
            }
            let opened = home.open_reader(&unlocked);
            Kept::Opened(caller, unlocked, opened)
        });
    }

    /// The next thing done; never returns while nothing is under way.
    pub(super) async fn next(&mut self) -> Result<Kept, JoinError> {
        match self.tasks.join_next().await {
            Some(done) => done,
            None => core::future::pending().await,
        }
    }

    /// To be called once a wish is carried out.
    pub(super) fn dealt_with(&mut self) {
        self.busy = false;
        self.go_on();
    }
}

/// Where the vault of a home is.
pub(crate) fn place(home: &Home) -> Place {
    Place { path: home.vault_path(), keystore: home.keystore() }
}
