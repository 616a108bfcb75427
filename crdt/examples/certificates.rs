//! Certificates of a small programme for `tests/certificates.py`, which checks them with other
//! libraries: one JSON object on each line, with the chain from the programme's key downward and
//! what the last certificate must say.

#![expect(clippy::print_stdout, reason = "its purpose")]

use std::error::Error;

use huza_crdt::control::kind;
use huza_crdt::crypto::{Entropy, SealingKey, SigningKey};
use huza_crdt::id::{DeviceKey, hex};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest};
use huza_crdt::trust::paper::{Centre, Programme};
use huza_crdt::trust::{CatchmentSecret, Role};
use serde_json::json;

const CATCHMENT: &str = "0512";
const VILLAGES: [&str; 2] = ["01", "02"];
const ISSUED: Stamp = Stamp(1_795_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", lines()?);
    Ok(())
}

/// All of it.
pub(crate) fn lines() -> Result<String, Box<dyn Error>> {
    let mut entropy = Entropy::new([42; 32]);
    let mut programme = Programme::found("Bugesera", &mut entropy);
    let villages = VILLAGES.map(str::to_owned);
    let mut centre = programme.certify_centre(CATCHMENT, &villages, ISSUED, &mut entropy)?;
    let roles = [
        (Role::Worker, &villages[..1]),
        (Role::Worker, &villages[..]),
        (Role::Hub, &[]),
        (Role::Gateway, &[]),
        (Role::Relay, &[]),
    ];
    let mut lines = Vec::new();
    for (n, role) in (1..).zip(roles) {
        lines.push(certified(&programme, &mut centre, n, role, &mut entropy)?.to_string());
    }
    Ok(lines.join("\n"))
}

/// A device certified in a role, as one object.
fn certified(
    programme: &Programme,
    centre: &mut Centre,
    seed: u8,
    (role, villages): (Role, &[String]),
    entropy: &mut Entropy,
) -> Result<serde_json::Value, Box<dyn Error>> {
    let (key, sealing) = (SigningKey::from_seed([seed; 32]), SealingKey::from_seed([seed; 32]));
    let request = JoinRequest::new(&key, sealing.public(), ("a device", false), ISSUED, [7; 8]);
    let welcome = centre.approve(&request, &Approval::of(role, villages), ISSUED, entropy)?;
    let root: DeviceKey = welcome.open(&sealing)?.root;
    let certificates = welcome.statements.iter().filter(|one| one.kind() == kind::CERTIFICATE);
    let chain: Vec<String> = certificates.map(|one| hex(one.body())).collect();
    let number = Role::ALL.iter().position(|known| *known == role).map(|index| index + 1);
    Ok(json!({
        "root": root.to_string(),
        "chain": chain,
        "claims": {
            "programme": programme.id().to_string(),
            "device": key.public().to_string(),
            "sealing": hex(&sealing.public().0),
            "role": number,
            "issued": ISSUED.0,
            "catchment": CatchmentSecret::tag_of(programme.id(), CATCHMENT).to_string(),
            "villages": villages.len(),
        },
    }))
}
