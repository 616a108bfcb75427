//! The programme of the demonstration: an authority device, two phones of neighbouring villages, a
//! hub, a gateway; each device a home of its own, approved as a real one is.
//!
//! Phone A is protected by a passphrase, as a real phone is. The others are not, because each
//! attempt at a passphrase costs a guesser, and so the demonstration, a good part of a second.

use std::path::{Path, PathBuf};

use huza_crdt::node::{Command, Order, Reply};
use huza_crdt::trust::Role;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_daemon::InitOptions;
use huza_daemon::time;
use huza_daemon::vault::{NewSecret, Secret};

use super::process::Machine;
use crate::commands::authority::paper;
use crate::error::{Failure, Kind};
use crate::secrets::Secrets;
use crate::shell::Device;

/// What people call the programme.
pub(super) const NAME: &str = "Umurage";

/// Its health centre.
pub(super) const CATCHMENT: &str = "0512";

/// What opens phone A. For a demonstration it may stand in a program.
const PASSPHRASE: &str = "igicumbi cy'umudugudu";

/// One device.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Member {
    /// Its folder.
    pub(in crate::commands) name: &'static str,
    /// What the story calls it.
    pub(in crate::commands) title: &'static str,
    /// What it is for.
    pub(in crate::commands) role: Role,
    /// The villages it works in; none is the whole catchment.
    pub(in crate::commands) villages: &'static [&'static str],
    /// Its home.
    pub(in crate::commands) home: PathBuf,
    /// Who works with it.
    pub(in crate::commands) worker: &'static str,
    /// The file with its passphrase, if it has one.
    pub(in crate::commands) passphrase: Option<PathBuf>,
    /// Its key, in hexadecimal.
    pub(in crate::commands) device: String,
    /// The folder of its facility, for a gateway.
    pub(in crate::commands) facility: Option<PathBuf>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Members {
    /// The device of the health centre's nurse, who approves the others.
    pub(super) authority: Member,
    /// The phone on which the story begins.
    pub(super) phone_a: Member,
    /// The phone of the next village.
    pub(super) phone_b: Member,
    /// The box at the health centre.
    pub(super) hub: Member,
    /// The server that feeds the facility.
    pub(super) gateway: Member,
    /// What the processes of all have in common.
    pub(super) machine: Machine,
    /// What the facility received.
    pub(super) delivered: PathBuf,
}

impl Members {
    /// In the order in which records travel.
    pub(super) const fn all(&self) -> [&Member; 5] {
        [&self.phone_a, &self.phone_b, &self.hub, &self.gateway, &self.authority]
    }
}

impl Member {
    /// A way to ask it things, with its reader open.
    pub(in crate::commands) async fn open(&self) -> Result<Device, Failure> {
        let mut device = Device::open(&self.home).await?;
        let worker = self.passphrase.as_ref().map(|_| self.worker.to_owned());
        device.unlock(&Secrets::of(worker, self.passphrase.clone())).await?;
        Ok(device)
    }
}

/// Founds the programme in `folder` and makes every device a member.
pub(super) async fn found(folder: &Path) -> Result<Members, Failure> {
    let mut device = Enrolling { folder, authority: None };
    let authority = device.enrol(("authority", "the authority"), Role::Authority, &[], "Odette");
    let authority = authority.await?;
    device.authority = Some(authority.clone());
    let phone_a = device.enrol(("phone-a", "phone A"), Role::Worker, &["01"], "Claudine").await?;
    let phone_b = device.enrol(("phone-b", "phone B"), Role::Worker, &["02"], "Jean Bosco").await?;
    let hub = device.enrol(("hub", "the hub"), Role::Hub, &[], "Odette").await?;
    let gateway = device.enrol(("gateway", "the gateway"), Role::Gateway, &[], "Odette").await?;
    let facility = folder.join("facility");
    let delivered = facility.join("resources.ndjson");
    let machine = Machine::new(folder.join("logs"))?;
    let gateway = Member { facility: Some(facility), ..gateway };
    Ok(Members { authority, phone_a, phone_b, hub, gateway, machine, delivered })
}

/// Makes devices in a folder and has them approved: the first by the health centre's key, the
/// others by the authority device that it is.
#[derive(Debug)]
pub(super) struct Enrolling<'a> {
    pub(super) folder: &'a Path,
    pub(super) authority: Option<Member>,
}

impl Enrolling<'_> {
    pub(super) async fn enrol(
        &self,
        (name, title): (&'static str, &'static str),
        role: Role,
        villages: &'static [&'static str],
        worker: &'static str,
    ) -> Result<Member, Failure> {
        let home = self.folder.join(name);
        let mut passphrase = None;
        let mut secret = NewSecret::Open;
        if name == "phone-a" {
            let file = self.folder.join("phone-a.passphrase");
            let text = format!("{PASSPHRASE}\n");
            std::fs::write(&file, text).map_err(|error| Failure::file("write", &file, &error))?;
            passphrase = Some(file);
            secret = NewSecret::Passphrase(Secret::new(PASSPHRASE.to_owned()));
        }
        let (label, worker_name) = (title.to_owned(), worker.to_owned());
        let options = InitOptions { label, reader: true, worker: worker_name, secret };
        let request = Device::create(&home, &options)?;
        let key = request.device.to_string();
        let facility = None;
        let member =
            Member { name, title, role, villages, home, worker, passphrase, device: key, facility };
        let command = self.approve(request, &member).await?;
        let mut device = member.open().await?;
        let reply = device.call(command).await?;
        device.close().await?;
        match reply {
            Reply::Joined { .. } => Ok(member),
            _ => Err(Failure::answer("join")),
        }
    }

    /// The command that makes it a member.
    async fn approve(&self, request: JoinRequest, member: &Member) -> Result<Command, Failure> {
        let villages: Vec<String> = member.villages.iter().map(|one| (*one).to_owned()).collect();
        let mut approval = Approval::of(member.role, &villages);
        approval.workers.push(member.worker.to_owned());
        let Some(authority) = &self.authority else {
            let villages = ["01".to_owned(), "02".to_owned()];
            let mut entropy = paper::entropy()?;
            let founded = paper::found(NAME, (CATCHMENT, &villages), &[], &mut entropy)?;
            let mut centre = founded.centre;
            let welcome = centre.approve(&request, &approval, time::now(), &mut entropy);
            let welcome = welcome.map_err(|error| {
                Failure::new(Kind::Unexpected, "not_approved", error.to_string())
            })?;
            return Ok(Command::Join { welcome });
        };
        let mut device = authority.open().await?;
        let order = Box::new(Order::Approve { request, approval });
        let reply = device.call(Command::Order(order)).await?;
        device.close().await?;
        match reply {
            Reply::Approved { welcome, .. } => Ok(Command::Join { welcome }),
            _ => Err(Failure::answer("issue")),
        }
    }
}
