//! `huza doctor`: what the node finds, and what only the shell can see: disk, files, stores,
//! secrets, addresses, clock.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use huza_crdt::node::{Command, Finding, Level, Reply, Status};
use huza_crdt::store::StoreKind;
use huza_daemon::time;
use huza_daemon::vault::{Method, Unlocked, Vault, VaultStatus};
use huza_daemon::{Home, HomeError};
use serde_json::json;

use crate::commands::Context;
use crate::commands::status::{FULL, FULL_ADVICE, is_full};
use crate::error::{Failure, Kind};
use crate::output::{self, bytes};
use crate::shell::Device;

/// Below this, nothing may be promised any more. // guess: a day of imports, and redb's growth
const DISK_BYTES_BAD: u64 = 64 * 1_000 * 1_000;

/// Below this, somebody should make room. // guess
const DISK_BYTES_DOUBTFUL: u64 = 512 * 1_000 * 1_000;

/// How long a hub may take to answer. // guess: a hotspot's second try
const DIAL_WAIT: Duration = Duration::from_millis(1_500);

/// Addresses that are tried at most; the first are the hubs'.
const DIALLED_MAX: usize = 8;

const DAMAGED: &str = "copy the home away before anything else, then put that file back from a \
                       backup; what was exchanged comes again from others";

/// No clock that is right says an earlier time: huza is younger. 2026-01-01.
const CLOCK_MIN: i64 = 1_767_225_600;

/// Looks at everything, and fails if something is bad.
pub(crate) async fn run(context: &Context) -> Result<(), Failure> {
    let home = Home::open(&context.home()?)?;
    let mut found = vec![of_folder(home.path()), of_disk(home.path()), of_clock()];
    let mut device = None;
    let checked = stores(context, &home).await;
    let damaged = |one: &Finding| one.code == "store" && one.level == Level::Bad;
    let usable = checked.as_ref().is_ok_and(|found| !found.iter().any(damaged));
    match checked {
        Ok(checked) => found.extend(checked),
        Err(failure) => found.push(finding("stores", Level::Bad, &failure.message, &failure.hint)),
    }
    // A node on a damaged store would say less, and could do harm.
    if usable {
        match Device::open(home.path()).await {
            Ok(opened) => device = Some(opened),
            Err(Failure { message, hint, .. }) => {
                found.push(finding("device", Level::Bad, &message, &hint));
            }
        }
    }
    if let Some(mut device) = device {
        found.extend(of_device(context, &home, &mut device).await?);
        device.close().await?;
    }
    found.extend(of_network(&home).await);
    tell(context, &found)
}

fn finding(code: &str, level: Level, message: &str, advice: &str) -> Finding {
    let [code, message, advice] = [code, message, advice].map(str::to_owned);
    Finding { code, level, message, advice }
}

fn tell(context: &Context, found: &[Finding]) -> Result<(), Failure> {
    let line = |one: &Finding| {
        let mark = match one.level {
            Level::Good => "good    ",
            Level::Doubtful => "doubtful",
            Level::Bad => "BAD     ",
        };
        let advice = match one.advice.as_str() {
            "" => String::new(),
            advice => format!("\n          -> {advice}"),
        };
        format!("{mark}  {}{advice}", one.message)
    };
    let worst = found.iter().map(|one| one.level).max().unwrap_or(Level::Good);
    let count = |level| found.iter().filter(|one| one.level == level).count();
    let (bad, doubtful) = (count(Level::Bad), count(Level::Doubtful));
    let lines: Vec<String> = found.iter().map(line).collect();
    let text = format!("{}\n\n{bad} bad, {doubtful} doubtful.", lines.join("\n"));
    context.output.answer(&json!({ "worst": worst, "findings": found }), &text)?;
    if worst < Level::Bad {
        return Ok(());
    }
    let what = if bad == 1 { "1 thing is bad".to_owned() } else { format!("{bad} things are bad") };
    Err(Failure::new(Kind::Incomplete, "unwell", format!("{what} on this device"))
        .hint("Do what stands behind each"))
}

#[cfg(unix)]
fn of_folder(home: &Path) -> Finding {
    use std::os::unix::fs::PermissionsExt as _;
    let open =
        |path: &Path| path.metadata().is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let files = std::fs::read_dir(home).into_iter().flatten().filter_map(Result::ok);
    // The stores are as redb makes them; the folder keeps others out.
    let secret = ["vault", "keystore.stand-in"];
    let exposed = files.filter(|file| secret.iter().any(|name| file.file_name() == *name));
    if open(home) || exposed.into_iter().any(|file| open(&file.path())) {
        let message = format!("others on this machine can look into {}", home.display());
        return finding(
            "permissions",
            Level::Bad,
            &message,
            &format!("run: chmod -R go= {}", home.display()),
        );
    }
    finding("permissions", Level::Good, "the home is its owner's alone", "")
}

#[cfg(not(unix))]
fn of_folder(_home: &Path) -> Finding {
    finding("permissions", Level::Doubtful, "who may look into the home is not known here", "")
}

#[cfg(unix)]
fn of_disk(home: &Path) -> Finding {
    match rustix::fs::statvfs(home) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let message = format!("the disk has {} left", bytes(free));
            let level = match free {
                free if free < DISK_BYTES_BAD => Level::Bad,
                free if free < DISK_BYTES_DOUBTFUL => Level::Doubtful,
                _ => Level::Good,
            };
            let advice = if level == Level::Good { "" } else { "make room on the disk" };
            finding("disk", level, &message, advice)
        }
        Err(error) => {
            let message = format!("how much room the disk has is not known: {error}");
            finding("disk", Level::Doubtful, &message, "look at it yourself")
        }
    }
}

#[cfg(not(unix))]
fn of_disk(_home: &Path) -> Finding {
    finding("disk", Level::Doubtful, "how much room the disk has is not known here", "")
}

fn of_clock() -> Finding {
    let now = time::now();
    if now.0 < CLOCK_MIN {
        let message = format!("its clock says {now}, which cannot be");
        let advice = "set the clock; meanwhile ask for approval with `--any-date`";
        return finding("date", Level::Bad, &message, advice);
    }
    finding("date", Level::Good, &format!("its clock says {now}"), "")
}

/// Opens both stores and reads them whole, while no daemon has them.
async fn stores(context: &Context, home: &Home) -> Result<Vec<Finding>, Failure> {
    let unlocked = unlocked(context, home).await?;
    let locked = home.has_reader() && unlocked.is_none();
    let looked = home.clone();
    let checked = tokio::task::spawn_blocking(move || looked.check_stores(unlocked.as_ref())).await;
    // Some damage makes the database itself panic.
    let Ok(checked) = checked else {
        let what = if locked { "the carrier's store" } else { "one of the stores" };
        let message = format!("{what} is damaged, so that it cannot even be opened");
        return Ok(vec![finding("store", Level::Bad, &message, DAMAGED)]);
    };
    let checked = match checked {
        Ok(checked) => checked,
        Err(HomeError::InUse { .. }) => {
            let message = "the stores are in use by a running daemon, and were not read";
            let advice = "stop it and run this again to have them read whole";
            return Ok(vec![finding("stores", Level::Good, message, advice)]);
        }
        Err(error) => return Err(error.into()),
    };
    let mut found: Vec<Finding> = checked
        .into_iter()
        .map(|(store, whole)| {
            let name = match store {
                StoreKind::Carrier => "the carrier's store",
                StoreKind::Reader => "the reader's store",
            };
            match whole {
                Ok(true) => finding("store", Level::Good, &format!("{name} is whole"), ""),
                Ok(false) => {
                    let message = format!("{name} was not closed well, and was mended");
                    finding("store", Level::Doubtful, &message, "look at it again after next use")
                }
                Err(error) => {
                    let message = format!("{name}: {}", huza_daemon::error_chain(&error));
                    finding(
                        "store",
                        Level::Bad,
                        &message,
                        "copy the home away before anything else",
                    )
                }
            }
        })
        .collect();
    if locked {
        let message = "the reader's store is locked, and was not read";
        let advice = "say --passphrase-file FILE, or run it on a terminal";
        found.push(finding("store", Level::Good, message, advice));
    }
    Ok(found)
}

/// The reader's key, if it needs no secret or somebody gives one.
async fn unlocked(context: &Context, home: &Home) -> Result<Option<Unlocked>, Failure> {
    if !home.has_reader() {
        return Ok(None);
    }
    if let Some(open) = home.unlock_open()? {
        return Ok(Some(open));
    }
    if !context.secrets.has_file() {
        return Ok(None);
    }
    let Ok(lock) = home.lock() else { return Ok(None) };
    let home = home.clone();
    let mut vault = Vault::open(&home.vault_path())?;
    let by = context.secrets.unlock(&vault.status(home.keystore().as_ref()))?;
    let unlocked = tokio::task::spawn_blocking(move || {
        vault.unlock(&by, home.keystore().as_ref(), std::thread::sleep)
    });
    let unlocked = unlocked.await.map_err(|_panic| Failure::answer("the vault"))?;
    drop(lock);
    Ok(Some(unlocked?))
}

async fn of_device(
    context: &Context,
    home: &Home,
    device: &mut Device,
) -> Result<Vec<Finding>, Failure> {
    let mut found = Vec::new();
    if let Some((status, open)) = device.vault_status().await? {
        found.extend(of_vault(home, &status));
        // With the secret at hand, the reader's own findings are there too.
        if open.is_none() && context.secrets.has_file() {
            device.unlock(&context.secrets).await?;
        }
    }
    let Reply::Checked { findings } = device.call(Command::Check).await? else {
        return Err(Failure::answer("check"));
    };
    found.extend(findings);
    found.push(of_quota(&device.status(false).await?));
    Ok(found)
}

fn of_quota(status: &Status) -> Finding {
    let (carried, most) = (bytes(status.borrowed_bytes), bytes(status.carry_bytes));
    let message = format!("it carries {carried} of {most} for other health centres");
    if !is_full(status) {
        return finding("quota", Level::Good, &message, "");
    }
    // Who carries nothing and has no room was told to by its settings.
    let level = if status.borrowed_bytes > 0 { Level::Doubtful } else { Level::Good };
    finding("quota", level, &format!("{message}; {FULL}"), FULL_ADVICE)
}

fn of_vault(home: &Home, status: &VaultStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    if status.protected {
        found.push(finding("vault", Level::Good, &status.description, ""));
    } else {
        let advice = "give it a secret: `huza secret change`";
        found.push(finding("vault", Level::Doubtful, &status.description, advice));
    }
    for one in status.workers.iter().filter(|one| one.failures > 0) {
        let attempts = output::count(one.failures as usize, "attempt");
        let message =
            format!("{attempts} to open it as {} failed since the last that succeeded", one.worker);
        let advice = "ask who tried; the next attempt waits the longer the more there were";
        found.push(finding("attempts", Level::Doubtful, &message, advice));
    }
    let keystore = home.keystore();
    let pins = status.workers.iter().any(|one| one.method == Method::Pin);
    if pins && !keystore.is_hardware() {
        let message = format!("PINs count with {}", keystore.describe());
        let advice = "take a passphrase, or keep that file where copies of the home do not reach";
        found.push(finding("keystore", Level::Doubtful, &message, advice));
    }
    if status.protected && status.recovery.is_empty() {
        let message = "no recovery was left: a forgotten secret is lost with everything";
        let advice = "run `huza recovery leave` when it has joined";
        found.push(finding("recovery", Level::Doubtful, message, advice));
    } else if status.protected {
        let message = "a forgotten secret can be recovered through the health centre";
        found.push(finding("recovery", Level::Good, message, ""));
    }
    found
}

async fn of_network(home: &Home) -> Vec<Finding> {
    let config = home.config();
    let listens = format!("it listens on {} while it runs", config.listen.join(", "));
    let mut found = vec![finding("listen", Level::Good, &listens, "")];
    let mut addresses: Vec<String> = config.dial.clone();
    addresses.extend(home.remembered().into_iter().filter(|one| !config.dial.contains(one)));
    let places: Vec<(String, SocketAddr)> = addresses
        .iter()
        .filter_map(|address| Some((address.clone(), place(address)?)))
        .take(DIALLED_MAX)
        .collect();
    if places.is_empty() {
        let message = "it knows no address to call";
        let advice = if config.mdns {
            "devices on one network find each other; where that fails, say `huza run --dial`"
        } else {
            "say `huza run --dial ADDR`, or set mdns in huza.toml"
        };
        found.push(finding("dial", Level::Doubtful, message, advice));
        return found;
    }
    let tried = places.into_iter().map(|(address, place)| {
        let reached = move || TcpStream::connect_timeout(&place, DIAL_WAIT).is_ok();
        (address, tokio::task::spawn_blocking(reached))
    });
    let mut answers = 0_usize;
    let mut silent = Vec::new();
    for (address, reached) in tried.collect::<Vec<_>>() {
        if reached.await.unwrap_or(false) { answers += 1 } else { silent.push(address) }
    }
    if answers > 0 {
        let message = format!("{} that it knows", output::count(answers, "address"));
        let verb = if answers == 1 { "answers" } else { "answer" };
        found.push(finding("dial", Level::Good, &format!("{message} {verb}"), ""));
    }
    if !silent.is_empty() {
        let message = format!("nobody answers at {}", silent.join(", "));
        let advice = "fine while the hub is far; else see that it runs, on this network";
        let level = if answers > 0 { Level::Good } else { Level::Doubtful };
        found.push(finding("silent", level, &message, advice));
    }
    found
}

/// Where an address is reached by TCP: both transports have one port.
pub(super) fn place(address: &str) -> Option<SocketAddr> {
    if let Ok(socket) = address.parse() {
        return Some(socket);
    }
    let mut parts = address.split('/').skip(1);
    let (_family, host, _transport, port) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(SocketAddr::new(host.parse().ok()?, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_a_place() {
        let want = Some("192.168.1.5:4001".parse().unwrap());
        for address in [
            "192.168.1.5:4001",
            "/ip4/192.168.1.5/tcp/4001",
            "/ip4/192.168.1.5/udp/4001/quic-v1",
            "/ip4/192.168.1.5/tcp/4001/p2p/12D3Koo",
        ] {
            assert_eq!(place(address), want, "{address}");
        }
        assert_eq!(place("/dns/hub/tcp/1"), None);
        assert_eq!(place(""), None);
    }
}
