//! One module per command. Each asks, and answers through [`crate::output`].

mod app;
mod audit;
mod authority;
mod bench;
mod bundle;
mod completions;
mod demo;
mod device;
mod devices;
mod doctor;
mod duplicates;
mod export;
mod forms;
mod gateway;
mod import;
mod lock;
mod message;
mod person;
mod pipe;
mod recovery;
mod reminders;
mod run;
mod simulate;
mod status;
mod visit;

use std::path::PathBuf;

use huza_crdt::node::{Command as Wish, Reply};

use crate::args::Command;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::secrets::Secrets;
use crate::shell::Device;

/// What every command is told.
#[derive(Debug)]
pub(crate) struct Context {
    /// The home that was named on the command line.
    pub(crate) home: Option<PathBuf>,
    /// How to print.
    pub(crate) output: Output,
    /// Who is there, and how to know it.
    pub(crate) secrets: Secrets,
}

impl Context {
    /// The home: as named, else `$HUZA_HOME`, else `~/.huza`.
    fn home(&self) -> Result<PathBuf, Failure> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        from("HUZA_HOME")
            .map(PathBuf::from)
            .or_else(|| from("HOME").map(|home| PathBuf::from(home).join(".huza")))
            .ok_or_else(|| {
                Failure::new(Kind::Home, "no_home", "It is not known where the device's files are")
                    .hint("Say --home DIR, or set HUZA_HOME")
            })
    }

    /// Asks a device things for which its reader may stay locked.
    async fn with_device<T>(
        &self,
        work: impl AsyncFnOnce(&mut Device) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut device = Device::open(&self.home()?).await?;
        let done = work(&mut device).await;
        device.close().await?;
        done
    }

    /// Asks a device things that it answers better while its reader is open: it is unlocked for that
    /// long, if nobody needs to be asked for the secret.
    async fn with_reader_if_offered<T>(
        &self,
        work: impl AsyncFnOnce(&mut Device) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if self.secrets.has_file() {
            self.with_reader(work).await
        } else {
            self.with_device(work).await
        }
    }

    /// Asks a device things for which its reader must be open: it is unlocked for that long.
    async fn with_reader<T>(
        &self,
        work: impl AsyncFnOnce(&mut Device) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.with_device(async |device| {
            device.unlock(&self.secrets).await?;
            work(device).await
        })
        .await
    }

    /// One question for which the reader must be open.
    async fn ask(&self, wish: Wish) -> Result<Reply, Failure> {
        self.with_reader(async |device| device.call(wish).await).await
    }

    /// What stands in a next command, so that it means the same home.
    fn same_home(&self) -> String {
        let home = self.home.as_ref().map(|home| format!(" --home {}", home.display()));
        home.unwrap_or_default()
    }
}

/// Does what was asked.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => device::init(context, &args),
        Command::Request(args) => device::request(context, &args).await,
        Command::Join(args) => device::join(context, &args).await,
        Command::Take(args) => device::take(context, &args).await,
        Command::Unlock => lock::unlock(context).await,
        Command::Lock => lock::lock(context).await,
        Command::Secret(command) => lock::secret(context, command).await,
        Command::Worker(command) => lock::worker(context, command).await,
        Command::Recovery(command) => recovery::run(context, command).await,
        Command::Authority(command) => authority::run(context, command).await,
        Command::Devices => devices::run(context).await,
        Command::Doctor => doctor::run(context).await,
        Command::Audit(args) => audit::run(context, &args).await,
        Command::Bundle(command) => bundle::run(context, command).await,
        Command::App(command) => app::run(context, &command),
        Command::Pipe => pipe::run(context).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Person(command) => person::run(context, command).await,
        Command::Duplicates(args) => duplicates::run(context, &args).await,
        Command::Visit(command) => visit::run(context, command).await,
        Command::Gateway(args) => gateway::run(context, args).await,
        Command::Forms(args) => forms::run(context, &args).await,
        Command::Message(command) => message::run(context, command).await,
        Command::Inbox(args) => message::inbox(context, &args).await,
        Command::Reminders(args) => reminders::run(context, &args).await,
        Command::Status(args) => status::status(context, &args).await,
        Command::Peers => status::peers(context).await,
        Command::Export(args) => export::run(context, &args).await,
        Command::Demo(args) => demo::run(context, &args).await,
        Command::Bench(command) => bench::run(context, command).await,
        Command::Simulate(command) => simulate::run(context, &command),
        Command::Completions(args) => completions::run(context, &args),
    }
}
