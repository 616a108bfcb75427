//! One module per command. Each asks, and answers through [`crate::output`].

mod authority;
mod completions;
mod demo;
mod device;
mod export;
mod forms;
mod import;
mod person;
mod run;
mod status;
mod visit;

use std::path::PathBuf;

use crate::args::{Command, WorkerArgs};
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::shell::Device;

/// What every command is told.
#[derive(Debug)]
pub(crate) struct Context {
    /// The home that was named on the command line.
    pub(crate) home: Option<PathBuf>,
    /// How to print.
    pub(crate) output: Output,
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

    async fn device(&self) -> Result<Device, Failure> {
        Device::open(&self.home()?).await
    }
}

/// Does what was asked.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => device::init(context, &args),
        Command::Request(args) => device::request(context, &args).await,
        Command::Authority(command) => authority::run(context, &command),
        Command::Join(args) => device::join(context, &args).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Person(command) => person::run(context, command).await,
        Command::Visit(command) => visit::run(context, command).await,
        Command::Forms(args) => forms::run(context, &args),
        Command::Status(args) => status::status(context, &args).await,
        Command::Peers => status::peers(context).await,
        Command::Export(args) => export::run(context, &args).await,
        Command::Demo(args) => demo::run(context, &args).await,
        Command::Completions(args) => completions::run(context, &args),
    }
}

/// The worker's name: as given, else from the environment.
fn worker(args: &WorkerArgs) -> String {
    let from = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    args.worker
        .clone()
        .or_else(|| from("HUZA_WORKER"))
        .or_else(|| from("USER"))
        .unwrap_or_else(|| "unnamed".to_owned())
}
