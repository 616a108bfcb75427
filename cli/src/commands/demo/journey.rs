//! Who meets whom: five contacts of two processes each.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::happening::Stats;
use super::process::Running;
use super::programme::{Member, Members};
use super::report;
use crate::error::{Failure, Kind};
use crate::output::Output;

/// How long one contact may take, everything included. // guess: hundreds of times what it needs
const CONTACT_SECONDS: u64 = 120;

/// How often a device is asked whether all receipts are there.
const POLL_MILLIS: u64 = 50;

/// One contact, as `from`, which dialled, saw it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Contact {
    /// Who dialled.
    pub(super) from: &'static str,
    /// Who was dialled.
    pub(super) to: &'static str,
    /// Envelopes that crossed, both ways.
    pub(super) envelopes: u64,
    /// What it took.
    #[serde(flatten)]
    pub(super) stats: Stats,
}

/// How long a pair stays together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Both hold the same.
    Equal,
    /// Besides, the dialler sees all its records accepted.
    Accepted,
}

/// Lets the records travel and the receipts come home.
pub(super) async fn travel(output: Output, all: &Members) -> Result<Vec<Contact>, Failure> {
    let Members { phone_a, phone_b, hub, gateway, .. } = all;
    let mut contacts = Vec::new();
    let steps = [
        (phone_a, phone_b, Until::Equal, report::A_MEETS_B),
        (phone_b, hub, Until::Equal, report::B_MEETS_HUB),
        (hub, gateway, Until::Accepted, report::HUB_MEETS_GATEWAY),
        (phone_b, hub, Until::Equal, report::B_MEETS_HUB_AGAIN),
        (phone_a, phone_b, Until::Accepted, report::A_MEETS_B_AGAIN),
    ];
    for (from, to, until, heading) in steps {
        output.tell(heading)?;
        let (contact, process) = meet(all, (from, to), until).await?;
        output.tell(&report::contact(&contact, from, process))?;
        contacts.push(contact);
    }
    Ok(contacts)
}

/// Starts both, waits, ends both; gives the dialler's process id too.
async fn meet(
    all: &Members,
    (from, to): (&Member, &Member),
    until: Until,
) -> Result<(Contact, u32), Failure> {
    let deadline = Instant::now() + Duration::from_secs(CONTACT_SECONDS);
    let mut listener = Running::start(&all.machine, to, None)?;
    let address = listener.address(deadline).await?;
    let mut dialler = match until {
        Until::Equal => Running::start(&all.machine, from, Some(&address))?,
        Until::Accepted => Running::start_open(&all.machine, from, &address)?,
    };
    let process = dialler.id();
    dialler.complete_with(to, deadline).await?;
    listener.complete_with(from, deadline).await?;
    if until == Until::Accepted {
        accepted(from, deadline).await?;
    }
    let stats = dialler.stop(to).await?;
    listener.stop(from).await?;
    let envelopes = stats.envelopes_sent + stats.envelopes_received;
    Ok((Contact { from: from.name, to: to.name, envelopes, stats }, process))
}

/// A contact of which nothing is told.
pub(super) async fn meet_quietly(all: &Members, from: &Member, to: &Member) -> Result<(), Failure> {
    meet(all, (from, to), Until::Equal).await.map(drop)
}

/// `from`, which is shut out and does not know it, dials `to`, and learns it.
pub(super) async fn turned_away(all: &Members, from: &Member, to: &Member) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(CONTACT_SECONDS);
    let mut listener = Running::start(&all.machine, to, None)?;
    let address = listener.address(deadline).await?;
    let mut dialler = Running::start(&all.machine, from, Some(&address))?;
    dialler.shut_out(deadline).await?;
    dialler.stop(to).await?;
    listener.stop(from).await?;
    Ok(())
}

/// Waits until `member`, which is running, knows all its records stored and accepted.
async fn accepted(member: &Member, deadline: Instant) -> Result<(), Failure> {
    let mut device = member.open().await?;
    loop {
        let status = device.status(true).await?;
        let missing = status.records.iter().filter(|r| !r.stored || !r.accepted).count();
        if missing == 0 && !status.records.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let message = format!(
                "{}: {missing} of {} records still lack a receipt after {CONTACT_SECONDS} seconds",
                member.title,
                status.records.len(),
            );
            return Err(Failure::new(Kind::Incomplete, "demo_receipts", message)
                .hint("Run it again with --out DIR, and read what is in DIR/logs"));
        }
        sleep(Duration::from_millis(POLL_MILLIS)).await;
    }
}
