//! Two hubs of one health centre: one that holds the workload, and one that holds nothing yet.
//!
//! The phones are nodes in this process, on stores in memory; each gives what it wrote to the first
//! hub in a session of its own. That hub is a home like any other.

use std::path::{Path, PathBuf};

use huza_crdt::node::{Command, Input, Output, PipeId, Reply};
use huza_crdt::trust::{Keyring, Role};
use huza_daemon::{Client, Home, InitOptions};
use huza_simulations::standard::{Phones, Workload};

use super::odd;
use crate::commands::demo::programme::Member;
use crate::error::Failure;
use crate::output::Output as Printer;

/// What is measured with.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Holds the workload.
    pub(super) full: Member,
    /// Holds nothing.
    pub(super) empty: Member,
    /// Opens every envelope.
    pub(super) keys: Keyring,
}

/// Makes both, in `folder`.
pub(super) async fn prepare(
    output: Printer,
    folder: &Path,
    workload: Workload,
    alone: bool,
) -> Result<Prepared, Failure> {
    let mut phones = Phones::new(workload, alone).ok_or_else(|| odd("no health centre"))?;
    let keys = phones.keys().ok_or_else(|| odd("no keys"))?;
    let full = hub(folder, &mut phones, "full").await?;
    let empty = hub(folder, &mut phones, "empty").await?;
    fill(output, &full, &mut phones, workload).await?;
    Ok(Prepared { full, empty, keys })
}

/// Has the phones write the workload and give it to a hub.
pub(super) async fn fill(
    output: Printer,
    hub: &Member,
    phones: &mut Phones,
    workload: Workload,
) -> Result<(), Failure> {
    let mut client = Client::open(&hub.home).await?;
    let villages = workload.villages();
    for village in 0..villages {
        output.note(&format!("village {} of {villages} writes", village + 1));
        let count = phones.write(village).ok_or_else(|| odd("a phone did not write"))?;
        for phone in 0..count {
            meet(&mut client, phones, phone, village * workload.logs + phone as u64).await?;
        }
    }
    client.close().await;
    Ok(())
}

/// A hub, approved.
pub(super) async fn hub(
    folder: &Path,
    phones: &mut Phones,
    name: &'static str,
) -> Result<Member, Failure> {
    let home: PathBuf = folder.join(name);
    let request = Home::init(&home, &InitOptions::unprotected(name, true))?;
    let device = request.device.to_string();
    let welcome = phones.approve_hub(&request).ok_or_else(|| odd("a hub was not approved"))?;
    let mut client = Client::open(&home).await?;
    let joined = client.call(Command::Join { welcome }).await?;
    client.close().await;
    if !matches!(joined, Reply::Joined { .. }) {
        return Err(odd("a hub could not join"));
    }
    Ok(Member {
        name,
        title: name,
        role: Role::Hub,
        villages: &[],
        home,
        worker: "worker",
        passphrase: None,
        device,
        facility: None,
    })
}

/// A phone meets the hub.
async fn meet(
    hub: &mut Client,
    phones: &mut Phones,
    phone: usize,
    number: u64,
) -> Result<(), Failure> {
    let pipe = PipeId(number);
    let mut binding = [0; 32];
    getrandom::fill(&mut binding).map_err(|_error| odd("no entropy"))?;
    let mut said = phones.dial(phone, binding);
    let opened = Input::PipeOpened { pipe, dialer: false, binding };
    let mut outputs = hub.carry(opened).await?;
    while !said.is_empty() || !outputs.is_empty() {
        for output in core::mem::take(&mut outputs) {
            match output {
                Output::Send { bytes, .. } => said.extend(phones.hear(phone, bytes)),
                _ => return Err(odd("the hub turned a phone away")),
            }
        }
        for bytes in core::mem::take(&mut said) {
            outputs.extend(hub.carry(Input::Received { pipe, bytes }).await?);
        }
    }
    hub.carry(Input::PipeClosed { pipe }).await?;
    Ok(())
}
