//! The programme of the demonstration: an authority, two phones of neighbouring villages, a hub,
//! a gateway; each device a home of its own, approved as a real one is.

use std::path::{Path, PathBuf};

use huza_crdt::node::{Command, Reply};
use huza_crdt::trust::Role;

use crate::commands::authority::Authority;
use crate::error::{Failure, Kind};
use crate::shell::Device;

/// What people call the programme.
pub(super) const NAME: &str = "Umurage";

/// Its health centre.
pub(super) const CATCHMENT: &str = "0512";

/// One device.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its folder.
    pub(super) name: &'static str,
    /// What the story calls it.
    pub(super) title: &'static str,
    /// What it is for.
    pub(super) role: Role,
    /// The villages it works in; none is the whole catchment.
    pub(super) villages: &'static [&'static str],
    /// Its home.
    pub(super) home: PathBuf,
    /// Its key, in hexadecimal.
    pub(super) device: String,
    /// The folder of its facility, for a gateway.
    pub(super) facility: Option<PathBuf>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Members {
    /// The phone on which the story begins.
    pub(super) phone_a: Member,
    /// The phone of the next village.
    pub(super) phone_b: Member,
    /// The box at the health centre.
    pub(super) hub: Member,
    /// The server that feeds the facility.
    pub(super) gateway: Member,
    /// This very program, where it was when the story began: it may be replaced meanwhile.
    pub(super) program: PathBuf,
    /// What the facility received.
    pub(super) delivered: PathBuf,
    /// Where each process writes its log.
    pub(super) logs: PathBuf,
}

impl Members {
    /// In the order in which records travel.
    pub(super) const fn all(&self) -> [&Member; 4] {
        [&self.phone_a, &self.phone_b, &self.hub, &self.gateway]
    }
}

/// Founds the programme in `folder` and makes every device a member.
pub(super) async fn found(folder: &Path) -> Result<Members, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Kind::Storage, "program", format!("Cannot find this program: {error}"))
    })?;
    let authority = Authority::at(folder.join("authority"));
    authority.found(NAME, CATCHMENT, &["01".to_owned(), "02".to_owned()])?;
    let member = async |name, title, role, villages| {
        let home = folder.join(name);
        let device = enrol(&authority, &home, title, role, villages).await?;
        Ok::<_, Failure>(Member { name, title, role, villages, home, device, facility: None })
    };
    let phone_a = member("phone-a", "phone A", Role::Worker, &["01"]).await?;
    let phone_b = member("phone-b", "phone B", Role::Worker, &["02"]).await?;
    let hub = member("hub", "the hub", Role::Hub, &[]).await?;
    let gateway = member("gateway", "the gateway", Role::Gateway, &[]).await?;
    let facility = folder.join("facility");
    let delivered = facility.join("resources.ndjson");
    let logs = folder.join("logs");
    crate::files::private_folder(&logs)?;
    let gateway = Member { facility: Some(facility), ..gateway };
    Ok(Members { phone_a, phone_b, hub, gateway, program, delivered, logs })
}

async fn enrol(
    authority: &Authority,
    home: &Path,
    label: &str,
    role: Role,
    villages: &[&str],
) -> Result<String, Failure> {
    let request = Device::create(home, label, true)?;
    let villages: Vec<String> = villages.iter().map(|village| (*village).to_owned()).collect();
    let welcome = authority.approve(&request, role, &villages)?;
    match Device::open(home).await?.call(Command::Join { welcome }).await? {
        Reply::Joined { .. } => Ok(request.device.to_string()),
        _ => Err(Failure::answer("join")),
    }
}
