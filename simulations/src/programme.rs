//! The programme under test and another one: who founds, certifies and approves; and an auditor,
//! an approved gateway that exists on paper only, whose keys let the laws look into envelopes.

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::control::{Grant, Lane, Statement, kind};
use huza_crdt::crypto::{Entropy, SealingKey, SigningKey, SymmetricKey};
use huza_crdt::id::{AreaTag, CatchmentTag, CertId, DeviceKey, EpochId, StatementId};
use huza_crdt::time::Stamp;
use huza_crdt::trust::approval::{Approval, JoinRequest, Welcome, open_grant};
use huza_crdt::trust::paper::{Centre, Programme};
use huza_crdt::trust::{CatchmentSecret, Certificate, GrantContent, Keyring, Role, directory_area};

use crate::audit::OpenedOnce;
use crate::draw::Draw;
use crate::host::{BEGIN, Belonging, Nature};
use crate::options::Options;
use crate::violation::{Broken, Law};

/// When everything is certified: as the world begins.
const CERTIFIED: Stamp = Stamp(BEGIN);

/// The number of a village, unique in the world; 0 is the directory.
pub(crate) const fn village_number(catchment: u64, village: u64) -> u64 {
    catchment * 10 + village + 1
}

/// The health centre of a village, by its number.
pub(crate) const fn catchment_of(number: u64) -> u64 {
    number.saturating_sub(1) / 10
}

/// The code of a village.
pub(crate) fn village_code(number: u64) -> String {
    format!("{number:02}")
}

/// The code of a health centre.
pub(crate) fn catchment_code(catchment: u64) -> String {
    format!("HC{catchment}")
}

/// What the laws may know and no device does.
#[derive(Debug, Clone)]
pub(crate) struct Auditor {
    /// What opens everything of the programme, one for each catchment.
    keyrings: BTreeMap<CertId, Keyring>,
    /// Certificates, grants, keys and rungs, whoever holds them.
    lane: Lane,
    /// Those that cannot be taken in before others.
    early: BTreeMap<StatementId, Statement>,
    sealing: SealingKey,
    /// What makes its certificates known, for each catchment.
    pub(crate) welcomes: BTreeMap<u64, Vec<Statement>>,
    /// The key that every member holds, for forged peers that stole it.
    pub(crate) member: SymmetricKey,
    secrets: BTreeMap<u64, CatchmentSecret>,
    /// What it has read.
    pub(crate) opened: OpenedOnce,
}

impl Auditor {
    /// The key of `area` in `epoch`.
    pub(crate) fn key(&self, area: AreaTag, epoch: EpochId) -> Option<SymmetricKey> {
        self.keyrings.values().find_map(|keyring| keyring.key(area, epoch))
    }

    /// Takes in a statement that became durable somewhere, if keys may follow from it.
    pub(crate) fn hear(&mut self, statement: &Statement) {
        let of_keys = [kind::CERTIFICATE, kind::GRANT, kind::PUBLISHED_KEY, kind::RUNG];
        let known = self.lane.statement(&statement.id()).is_some();
        if known || !of_keys.contains(&statement.kind()) {
            return;
        }
        self.early.insert(statement.id(), statement.clone());
        let (mut more, mut opens) = (true, false);
        while more {
            let (lane, keyrings) = (&mut self.lane, &self.keyrings);
            let before = self.early.len();
            self.early.retain(|_, statement| {
                let early = lane.admit(statement.clone()).is_err();
                opens |= !early && may_open(statement, keyrings);
                early
            });
            more = self.early.len() < before;
        }
        if !opens {
            return;
        }
        for (certificate, keyring) in &mut self.keyrings {
            *keyring = Keyring::open(&self.member, &self.lane, *certificate, &self.sealing);
        }
    }

    /// The villages of a catchment, by their codes.
    pub(crate) fn villages(&self, catchment: u64) -> BTreeSet<String> {
        let secret = self.secrets.get(&catchment);
        secret.into_iter().flat_map(|secret| secret.villages.iter().cloned()).collect()
    }

    /// A certificate of the programme.
    pub(crate) fn certificate(&self, id: CertId) -> Option<&Certificate> {
        self.lane.certificate(&id)
    }

    /// The device of a certificate.
    pub(crate) fn device(&self, certificate: CertId) -> Option<DeviceKey> {
        self.lane.certificate(&certificate).map(|known| known.device)
    }

    /// Whether a device keeps all that is written in an area.
    pub(crate) fn is_home(&self, nature: &Nature, area: AreaTag) -> bool {
        self.home(nature).contains(&area.catchment())
    }

    /// The catchments of which a device keeps everything.
    pub(crate) fn home(&self, nature: &Nature) -> BTreeSet<CatchmentTag> {
        let own = self.area(village_number(nature.catchment, 0));
        own.into_iter().chain([directory_area()]).map(|area| area.catchment()).collect()
    }

    /// The tag of a village.
    pub(crate) fn area(&self, number: u64) -> Option<AreaTag> {
        let secret = self.secrets.get(&catchment_of(number))?;
        Some(secret.area(&village_code(number)))
    }
}

/// An approved device of which forged peers have the key: of the other programme, or of this one.
#[derive(Debug, Clone)]
pub(crate) struct Approved {
    pub(crate) key: SigningKey,
    pub(crate) certificate: CertId,
    /// Its chain of certificate statements.
    pub(crate) chain: Vec<Vec<u8>>,
}

/// Both programmes.
#[derive(Debug)]
pub(crate) struct Programmes {
    centres: BTreeMap<u64, Centre>,
    foreign: Centre,
    pub(crate) auditor: Auditor,
    pub(crate) outcast: Approved,
    entropy: Entropy,
}

impl Programmes {
    /// Founds them.
    pub(crate) fn found(options: &Options, draw: &mut Draw) -> Result<Self, Broken> {
        let mut entropy = Entropy::new(draw.bytes());
        let mut ours = Programme::found("simulated", &mut entropy);
        let mut theirs = Programme::found("another", &mut entropy);
        let villages = |catchment: u64| -> Vec<String> {
            let numbers = (0..options.villages).map(|v| village_number(catchment, v));
            numbers.map(village_code).collect()
        };
        let mut certify = |programme: &mut Programme, catchment: u64| {
            let (code, villages) = (catchment_code(catchment), villages(catchment));
            programme
                .certify_centre(&code, &villages, CERTIFIED, &mut entropy)
                .map_err(|error| setup(&error))
        };
        let mut centres = BTreeMap::new();
        for catchment in 0..options.catchments {
            centres.insert(catchment, certify(&mut ours, catchment)?);
        }
        let mut foreign = certify(&mut theirs, 0)?;
        let auditor = audit(&mut centres, &mut entropy)?;
        let outcast = approved(&mut foreign, Role::Gateway, &mut entropy)?;
        Ok(Self { centres, foreign, auditor, outcast, entropy })
    }

    /// Approves a device. The results are the answer and the device's certificate.
    pub(crate) fn approve(
        &mut self,
        nature: &Nature,
        request: &JoinRequest,
    ) -> Result<(Welcome, CertId), Broken> {
        let centre = match nature.belonging {
            Belonging::Member => self.centres.get_mut(&nature.catchment),
            Belonging::Foreign => Some(&mut self.foreign),
            Belonging::Nobody => None,
        };
        let centre = centre.ok_or_else(|| setup(&"no such centre"))?;
        let villages: Vec<String> = match nature.role {
            Role::Worker => nature.covers.iter().copied().map(village_code).collect(),
            Role::Hub | Role::Gateway | Role::Relay | Role::Authority => Vec::new(),
        };
        let welcome = centre
            .approve(request, &Approval::of(nature.role, &villages), CERTIFIED, &mut self.entropy)
            .map_err(|error| setup(&error))?;
        let certificate =
            last_certificate(&welcome.statements).ok_or_else(|| setup(&"no certificate"))?;
        Ok((welcome, certificate))
    }

    /// Approves a relay of the first health centre, for lying peers to be.
    pub(crate) fn insider(&mut self, entropy: [u8; 32]) -> Result<Approved, Broken> {
        let centre = self.centres.get_mut(&0).ok_or_else(|| setup(&"no such centre"))?;
        approved(centre, Role::Relay, &mut Entropy::new(entropy))
    }
}

fn setup(error: &impl ToString) -> Broken {
    Broken::new(Law::Progress, format!("the world cannot be set up: {}", error.to_string()))
}

/// Whether a statement may bring a key to these keyrings: most are for others.
fn may_open(statement: &Statement, keyrings: &BTreeMap<CertId, Keyring>) -> bool {
    match statement.kind() {
        kind::CERTIFICATE => false,
        kind::GRANT => {
            let grant = huza_crdt::codec::decode::<Grant>(statement.body());
            grant.is_ok_and(|grant| keyrings.contains_key(&grant.to))
        }
        _ => true,
    }
}

/// The certificate issued last.
fn last_certificate(statements: &[Statement]) -> Option<CertId> {
    let mut certificates = statements.iter().filter(|s| s.kind() == kind::CERTIFICATE);
    certificates.next_back().map(|statement| Certificate::id(statement.body()))
}

/// Approves a device for a forged peer to be.
fn approved(centre: &mut Centre, role: Role, entropy: &mut Entropy) -> Result<Approved, Broken> {
    let key = SigningKey::from_seed(entropy.draw());
    let sealing = SealingKey::from_seed(entropy.draw());
    let nonce = entropy.draw();
    let request = JoinRequest::new(&key, sealing.public(), ("forged", false), CERTIFIED, nonce);
    let welcome = centre
        .approve(&request, &Approval::of(role, &[]), CERTIFIED, entropy)
        .map_err(|error| setup(&error))?;
    let certificate =
        last_certificate(&welcome.statements).ok_or_else(|| setup(&"no certificate"))?;
    let certificates = welcome.statements.iter().filter(|s| s.kind() == kind::CERTIFICATE);
    Ok(Approved { key, certificate, chain: certificates.map(Statement::to_bytes).collect() })
}

/// Approves a gateway of each centre on paper, and opens its grants.
fn audit(centres: &mut BTreeMap<u64, Centre>, entropy: &mut Entropy) -> Result<Auditor, Broken> {
    let (key, sealing) =
        (SigningKey::from_seed(entropy.draw()), SealingKey::from_seed(entropy.draw()));
    let nonce = entropy.draw();
    let request = JoinRequest::new(&key, sealing.public(), ("auditor", false), CERTIFIED, nonce);
    let mut auditor: Option<Auditor> = None;
    for (catchment, centre) in centres {
        let welcome = centre
            .approve(&request, &Approval::of(Role::Gateway, &[]), CERTIFIED, entropy)
            .map_err(|error| setup(&error))?;
        let membership = welcome.open(&sealing).map_err(|error| setup(&error))?;
        let (member, root) = (membership.member, membership.root);
        let auditor = auditor.get_or_insert_with(|| Auditor {
            keyrings: BTreeMap::new(),
            lane: Lane::new(root),
            early: BTreeMap::new(),
            sealing: sealing.clone(),
            welcomes: BTreeMap::new(),
            member,
            secrets: BTreeMap::new(),
            opened: OpenedOnce::default(),
        });
        for statement in welcome.statements.iter().filter(|s| s.kind() == kind::GRANT) {
            let grant = huza_crdt::codec::decode(statement.body()).map_err(|e| setup(&e))?;
            let content = open_grant(&grant, &sealing).map_err(|error| setup(&error))?;
            if let GrantContent::Catchment(secret) = &content {
                auditor.secrets.insert(*catchment, secret.clone());
            }
        }
        let keyring = Keyring::new(&auditor.member);
        auditor.keyrings.insert(membership.certificate, keyring);
        for statement in &welcome.statements {
            auditor.hear(statement);
        }
        auditor.welcomes.insert(*catchment, welcome.statements);
    }
    auditor.ok_or_else(|| setup(&"no catchment"))
}
