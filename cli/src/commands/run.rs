//! `huza run`: the daemon in the foreground.

pub(crate) mod telling;

use std::collections::BTreeSet;

use huza_crdt::node::Event;
use huza_daemon::gateway::FacilitySetting;
use huza_daemon::http::HttpSetting;
use huza_daemon::vault::{Unlock, Vault};
use huza_daemon::{Home, RunOptions, ShellEvent};
use tokio::sync::mpsc;
use tracing_subscriber::EnvFilter;

use crate::args::RunArgs;
use crate::commands::Context;
use crate::error::{Failure, Kind};
use crate::output::Output;

/// Events that may wait to be printed.
const EVENTS_QUEUED_MAX: usize = 256;

/// Runs until Ctrl-C, SIGTERM, or nobody reads our output any more.
pub(crate) async fn run(context: &Context, args: RunArgs) -> Result<(), Failure> {
    let home = Home::open(&context.home()?)?;
    log(context.output, &home.config().log)?;
    let options = RunOptions {
        unlock: unlock(context, &home)?,
        listen: args.listen.iter().flat_map(|address| multiaddresses(address)).collect(),
        dial: args.dial,
        mdns: args.no_mdns.then_some(false),
        remember: args.no_remember.then_some(false),
        facility: args.facility.as_deref().map(FacilitySetting::of_argument),
        http: args.http.map(|listen| http(&home, listen)).transpose()?,
        ..RunOptions::default()
    };
    let asked = asked_to_end()?;
    let (events, queue) = mpsc::channel(EVENTS_QUEUED_MAX);
    let mut printing = tokio::spawn(print(context.output, queue));
    let mut unread = None;
    let end = async {
        tokio::select! {
            () = asked => {}
            printed = &mut printing => unread = printed.ok().and_then(Result::err),
        }
    };
    huza_daemon::run(home, options, events, end).await?;
    match unread {
        Some(failure) => Err(failure),
        None if printing.is_finished() => Ok(()),
        None => printing.await.unwrap_or(Ok(())),
    }
}

/// Where apps are served: as the settings say, but there.
fn http(home: &Home, listen: String) -> Result<HttpSetting, Failure> {
    let setting = home.config().http.clone().at(listen);
    setting.problem().map_or(Ok(setting), |expected| {
        let message = "Apps cannot be served as --http and the settings say";
        Err(Failure::new(Kind::Input, "http", message).hint(format!("Write {expected}")))
    })
}

/// Who opens the reader at the start, if anybody does; else what to do is said.
fn unlock(context: &Context, home: &Home) -> Result<Option<Unlock>, Failure> {
    if !home.has_reader() || home.unlock_open()?.is_some() {
        return Ok(None);
    }
    let status = Vault::open(&home.vault_path())?.status(home.keystore().as_ref());
    let by = context.secrets.offer(&status)?;
    if by.is_none() {
        let same = context.same_home();
        context.output.tell(&format!(
            "Locked: it carries for others, and nobody reads what is on it. `huza unlock{same}` \
             opens it, in another terminal."
        ))?;
    }
    Ok(by)
}

/// Both transports for `address:port`; what is a multiaddress already stays.
fn multiaddresses(address: &str) -> Vec<String> {
    match address.parse::<std::net::SocketAddr>() {
        Ok(socket) => {
            let family = if socket.is_ipv4() { "ip4" } else { "ip6" };
            let (ip, port) = (socket.ip(), socket.port());
            vec![format!("/{family}/{ip}/udp/{port}/quic-v1"), format!("/{family}/{ip}/tcp/{port}")]
        }
        Err(_) => vec![address.to_owned()],
    }
}

async fn print(output: Output, mut queue: mpsc::Receiver<ShellEvent>) -> Result<(), Failure> {
    // People are told once of each address at which nobody answers, until somebody is met.
    let mut silent = BTreeSet::new();
    while let Some(event) = queue.recv().await {
        let news = match &event {
            ShellEvent::DialFailed { address, .. } => silent.insert(address.clone()),
            ShellEvent::Node(Event::Met { .. }) => {
                silent.clear();
                true
            }
            _ => true,
        };
        if output.json {
            output.object(&telling::json(&event))?;
        } else if let Some(line) = telling::line(&event).filter(|_| news) {
            output.line(&line)?;
        }
    }
    Ok(())
}

/// The log goes to stderr. What is printed as events is not logged a second time for people.
fn log(output: Output, filter: &str) -> Result<(), Failure> {
    let bad = |error: tracing_subscriber::filter::ParseError| {
        let message = format!("The log setting {filter:?} cannot be used: {error}");
        Failure::new(Kind::Input, "settings", message)
            .hint("Write it as info, or huza_daemon=debug")
    };
    let mut wanted = EnvFilter::try_new(filter).map_err(bad)?;
    if !output.json
        && let Ok(quiet) = "huza_daemon::driver::teller=warn".parse()
    {
        wanted = wanted.add_directive(quiet);
    }
    tracing_subscriber::fmt()
        .with_env_filter(wanted)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init()
        .map_err(|error| Failure::new(Kind::Unexpected, "log", error.to_string()))
}

/// Completes when the user or the system wants it to end.
#[cfg(unix)]
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()>, Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error: std::io::Error| {
        Failure::new(Kind::Storage, "signals", format!("Cannot wait for signals: {error}"))
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn asked_to_end() -> Result<impl Future<Output = ()>, Failure> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_both_transports() {
        let both = ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"];
        assert_eq!(multiaddresses("127.0.0.1:0"), both);
        assert_eq!(multiaddresses("[::1]:4001").first().unwrap(), "/ip6/::1/udp/4001/quic-v1");
        assert_eq!(multiaddresses("/ip4/127.0.0.1/tcp/0"), ["/ip4/127.0.0.1/tcp/0"]);
    }
}
