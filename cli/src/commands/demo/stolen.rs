//! The last act: phone B is stolen. It is shut out and learns it, the village's key is made anew,
//! and a successor has the history.

use huza_crdt::node::{Command, Order, Reply};
use huza_crdt::trust::Role;
use serde::Serialize;

use super::journey;
use super::programme::{Enrolling, Member, Members};
use super::report;
use crate::commands::devices;
use crate::error::{Failure, Kind};
use crate::output::Output;
use crate::shell::Device;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stolen {
    /// What phone B says of itself afterwards.
    pub(super) phone_b: String,
    /// What the authority's order did.
    pub(super) done: Vec<String>,
    /// Records of the village that the successor reads.
    pub(super) successor_reads: usize,
}

/// Plays it.
pub(super) async fn tell(
    output: Output,
    all: &Members,
    folder: &std::path::Path,
) -> Result<Stolen, Failure> {
    output.tell(report::STOLEN)?;
    // What the authority device holds when it decides is what stays trusted.
    journey::meet_quietly(all, &all.authority, &all.hub).await?;
    let done = shut_out(&all.authority, &all.phone_b).await?;
    journey::meet_quietly(all, &all.authority, &all.hub).await?;
    output.tell(&report::shut_out(&done))?;
    journey::turned_away(all, &all.phone_b, &all.hub).await?;
    let mut device = Device::open(&all.phone_b.home).await?;
    let revoked = device.status(false).await?.revoked;
    device.close().await?;
    let Some(reason) = revoked else {
        let message = "Phone B does not know that it is shut out";
        return Err(Failure::new(Kind::Incomplete, "demo_stolen", message)
            .hint("Run it again with --out DIR, and read what is in DIR/logs"));
    };
    output.tell(report::LEARNS)?;
    let enrolling = Enrolling { folder, authority: Some(all.authority.clone()) };
    let name = ("phone-c", "phone C");
    let phone_c = enrolling.enrol(name, Role::Worker, &["02"], "Jean Bosco").await?;
    journey::meet_quietly(all, &all.authority, &all.hub).await?;
    journey::meet_quietly(all, &phone_c, &all.hub).await?;
    let successor_reads = read(&phone_c).await?;
    output.tell(&report::successor(successor_reads))?;
    if successor_reads == 0 {
        let message = "The successor reads nothing of its village";
        return Err(Failure::new(Kind::Incomplete, "demo_successor", message)
            .hint("Run it again with --out DIR, and read what is in DIR/logs"));
    }
    let phone_b = format!("{reason:?}").to_lowercase();
    Ok(Stolen { phone_b, done, successor_reads })
}

async fn shut_out(authority: &Member, lost: &Member) -> Result<Vec<String>, Failure> {
    let mut device = authority.open().await?;
    let certificate = devices::find(&mut device, &lost.device).await?.certificate;
    let reason = huza_crdt::control::Reason::Stolen;
    let order = Order::Revoke { certificate, reason, trust: true, rotate: true };
    let reply = device.call(Command::Order(Box::new(order))).await?;
    device.close().await?;
    match reply {
        Reply::Issued { done, .. } => Ok(done),
        _ => Err(Failure::answer("revoke")),
    }
}

/// How many records a device can read.
async fn read(member: &Member) -> Result<usize, Failure> {
    let mut device = member.open().await?;
    let reply = device.call(Command::Find { query: String::new(), limit: usize::MAX }).await?;
    device.close().await?;
    match reply {
        Reply::Found { records } => Ok(records.len()),
        _ => Err(Failure::answer("person find")),
    }
}
