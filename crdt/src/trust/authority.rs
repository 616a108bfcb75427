//! What authority devices do: found a programme, certify a health centre, approve devices.
//!
//! These are plain values without I/O. A person's authority device keeps them; the hub does not.

use serde::{Deserialize, Serialize};

use super::certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
use super::keyring::{AreaKey, AreaName, CatchmentSecret, GrantContent, epoch_of, sealing_of};
use crate::codec::{self, DecodeError};
use crate::control::{Grant, PublishedKey, Scope, Statement, kind, programme_id};
use crate::crypto::{
    Entropy, Purpose, SealingKey, SealingPublic, Signature, Signed, SigningKey, SymmetricKey,
    Unopened,
};
use crate::id::{CertId, DeviceKey, Hash, ProgrammeId, StatementId};
use crate::limits::{CERT_AREAS_MAX, STATEMENT_BYTES_MAX};
use crate::time::Stamp;

/// Seconds that a device's certificate is good for. // guess: two years, about a phone's life
pub const CERTIFICATE_SECONDS: i64 = 2 * 365 * 86_400;

/// Why a device was not approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is not signed by the key it names.
    #[error("the request is not signed by the device it names")]
    BadRequest,
    /// This centre has no such village.
    #[error("village {0} is not in this catchment")]
    UnknownVillage(String),
    /// A worker's device needs at least one village.
    #[error("a worker's device needs at least one village")]
    NoVillage,
    /// More villages than fit one certificate or grant.
    #[error("more villages than one certificate or grant can name")]
    TooManyVillages,
    /// A key in the request is unusable.
    #[error("the request holds an unusable key")]
    UnusableKey,
    /// The certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A device's wish to join: its public keys, signed by itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The device's signing key.
    pub device: DeviceKey,
    /// The key to which its grants will be sealed.
    pub sealing: SealingPublic,
    /// What people call the device; not a person's name.
    pub label: String,
    signature: Signature,
}

crate::debug_shows!(struct JoinRequest { device, sealing });

impl JoinRequest {
    /// Asks to join.
    #[must_use]
    pub fn new(key: &SigningKey, sealing: SealingPublic, label: &str) -> Self {
        let signature = key.sign(Purpose::JoinRequest, &signable(&sealing, label));
        Self { device: key.public(), sealing, label: label.to_owned(), signature }
    }

    /// Whether the named device made this request.
    #[must_use]
    pub fn verify(&self) -> bool {
        let bytes = signable(&self.sealing, &self.label);
        let signature = self.signature;
        Signed { key: self.device, purpose: Purpose::JoinRequest, bytes, signature }.verify()
    }
}

fn signable(sealing: &SealingPublic, label: &str) -> Vec<u8> {
    codec::encode(&(sealing, label))
}

/// What a member learns on joining, sealed to its device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The programme's key, the root of every chain.
    pub root: DeviceKey,
    /// The key that every member holds.
    pub member: SymmetricKey,
    /// The programme's name, for people.
    pub programme: String,
    /// The device's own certificate.
    pub certificate: CertId,
}

crate::debug_shows!(struct Membership { root, certificate });

/// The answer to a [`JoinRequest`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Statements the device needs first: its chain, its areas' keys, its grants.
    pub statements: Vec<Statement>,
    /// [`Membership`], sealed to the device.
    #[serde(with = "codec::bytes")]
    sealed: Vec<u8>,
}

crate::debug_shows!(
    struct Welcome {
        statements: Vec::len,
    }
);

const WELCOME: &[u8] = b"huza welcome 1";

/// Why a welcome is of no use to this device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WelcomeError {
    /// It answers another device's request, or was altered.
    #[error("this answer is for another device, or was altered")]
    NotForMe(#[from] Unopened),
    /// Its content is malformed.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Welcome {
    /// Opens the membership with the device's sealing key.
    ///
    /// # Errors
    /// If it is for another device or was altered.
    pub fn open(&self, key: &SealingKey) -> Result<Membership, WelcomeError> {
        Ok(codec::decode(&key.open(WELCOME, &self.sealed)?)?)
    }
}

/// One issuer's running count of statements, each chained to the one before.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Chain {
    issuer: Issuer,
    number: u64,
    previous: Hash,
}

impl Chain {
    const fn new(issuer: Issuer) -> Self {
        Self { issuer, number: 0, previous: Hash([0; 32]) }
    }

    fn sign(&mut self, key: &SigningKey, scope: Scope, kind: u8, body: Vec<u8>) -> Statement {
        let place = (self.number, self.previous);
        let statement = Statement::sign(key, self.issuer, place, scope, (kind, body));
        self.number += 1;
        self.previous = statement.hash();
        statement
    }
}

/// The root of a programme. Its key belongs on paper in a safe, not on a device in use.
#[derive(Clone, Serialize, Deserialize)]
pub struct Programme {
    /// What people call it.
    pub name: String,
    seed: SymmetricKey,
    member: SymmetricKey,
    chain: Chain,
}

crate::debug_shows!(
    struct Programme {}
);

impl Programme {
    /// Founds a programme.
    #[must_use]
    pub fn found(name: &str, entropy: &mut Entropy) -> Self {
        Self {
            name: name.to_owned(),
            seed: SymmetricKey::from_bytes(entropy.draw()),
            member: SymmetricKey::from_bytes(entropy.draw()),
            chain: Chain::new(Issuer::Programme),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ProgrammeId {
        programme_id(&self.key().public())
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_seed(*self.seed.expose())
    }

    /// Certifies a health centre and hands it what it needs to approve devices by itself.
    ///
    /// # Errors
    /// If the certificate cannot be encoded.
    pub fn certify_centre(
        &mut self,
        catchment: &str,
        villages: &[String],
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Centre, CertificateError> {
        let seed = SymmetricKey::from_bytes(entropy.draw());
        let sealing = SealingKey::from_seed(entropy.draw());
        let secret = CatchmentSecret {
            catchment: CatchmentSecret::tag_of(self.id(), catchment),
            code: catchment.to_owned(),
            epoch: SymmetricKey::from_bytes(entropy.draw()),
            tags: SymmetricKey::from_bytes(entropy.draw()),
            villages: villages.to_vec(),
        };
        let certificate = Certificate {
            programme: self.id(),
            issuer: Issuer::Programme,
            device: SigningKey::from_seed(*seed.expose()).public(),
            sealing: sealing.public(),
            role: Role::Authority,
            areas: vec![AreaScope::Catchment(secret.catchment)],
            issued: now,
            expires: Stamp(now.0.saturating_add(CERTIFICATE_SECONDS)),
        };
        let key = self.key();
        let cose = certificate.sign(&key)?;
        let id = Certificate::id(&cose);
        let statement = self.chain.sign(&key, Scope::Programme, kind::CERTIFICATE, cose);
        let mut centre = Centre {
            programme: self.name.clone(),
            root: key.public(),
            member: self.member.clone(),
            seed,
            sealing,
            secret,
            chain: Chain::new(Issuer::Certified(id)),
            statements: vec![statement],
        };
        centre.publish_keys();
        Ok(centre)
    }
}

/// A health centre's authority, as one person's device keeps it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Centre {
    /// The programme's name.
    pub programme: String,
    root: DeviceKey,
    member: SymmetricKey,
    seed: SymmetricKey,
    sealing: SealingKey,
    secret: CatchmentSecret,
    chain: Chain,
    /// Its own certificate and the public keys of its areas.
    statements: Vec<Statement>,
}

crate::debug_shows!(struct Centre { root });

impl Centre {
    /// The facility id.
    #[must_use]
    pub fn catchment(&self) -> &str {
        &self.secret.code
    }

    /// The villages it may approve devices for.
    #[must_use]
    pub fn villages(&self) -> &[String] {
        &self.secret.villages
    }

    fn key(&self) -> SigningKey {
        SigningKey::from_seed(*self.seed.expose())
    }

    const fn scope(&self) -> Scope {
        Scope::Catchment(self.secret.catchment)
    }

    fn publish_keys(&mut self) {
        for village in self.secret.villages.clone() {
            let area = self.secret.area(&village);
            let key = self.secret.key(area);
            let published =
                PublishedKey { area, epoch: epoch_of(&key), public: sealing_of(&key).public() };
            let statement = self.chain.sign(
                &self.key(),
                self.scope(),
                kind::PUBLISHED_KEY,
                codec::encode(&published),
            );
            self.statements.push(statement);
        }
    }

    /// Approves a device: certificate, grants for what its role reads, membership.
    /// `villages` empty means the whole catchment, which only hubs, gateways, relays and
    /// authorities may have.
    ///
    /// # Errors
    /// If the request is not the device's own, or asks for a village this centre does not have.
    pub fn approve(
        &mut self,
        request: &JoinRequest,
        role: Role,
        villages: &[String],
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Welcome, IssueError> {
        if !request.verify() {
            return Err(IssueError::BadRequest);
        }
        if let Some(unknown) = villages.iter().find(|v| !self.secret.villages.contains(v)) {
            return Err(IssueError::UnknownVillage(unknown.clone()));
        }
        if villages.is_empty() && role == Role::Worker {
            return Err(IssueError::NoVillage);
        }
        if villages.len() > CERT_AREAS_MAX {
            return Err(IssueError::TooManyVillages);
        }
        let areas = if villages.is_empty() {
            vec![AreaScope::Catchment(self.secret.catchment)]
        } else {
            villages.iter().map(|village| AreaScope::Area(self.secret.area(village))).collect()
        };
        let certificate = Certificate {
            programme: programme_id(&self.root),
            issuer: self.chain.issuer,
            device: request.device,
            sealing: request.sealing,
            role,
            areas,
            issued: now,
            expires: Stamp(now.0.saturating_add(CERTIFICATE_SECONDS)),
        };
        let cose = certificate.sign(&self.key())?;
        let id = Certificate::id(&cose);
        let mut statements = self.statements.clone();
        statements.push(self.chain.sign(&self.key(), self.scope(), kind::CERTIFICATE, cose));
        for content in self.contents(role, villages) {
            statements.push(self.grant(&certificate, id, &content, entropy)?);
        }
        let membership = Membership {
            root: self.root,
            member: self.member.clone(),
            programme: self.programme.clone(),
            certificate: id,
        };
        let sealed = request
            .sealing
            .seal(WELCOME, &codec::encode(&membership), entropy.draw())
            .map_err(|_unusable| IssueError::UnusableKey)?;
        Ok(Welcome { statements, sealed })
    }

    /// What a role reads: a relay nothing, a whole-catchment role the catchment, others their
    /// villages.
    fn contents(&self, role: Role, villages: &[String]) -> Vec<GrantContent> {
        if role == Role::Relay {
            return Vec::new();
        }
        if villages.is_empty() {
            return vec![GrantContent::Catchment(self.secret.clone())];
        }
        let area = |village: &String| {
            let area = self.secret.area(village);
            let name = AreaName { catchment: self.secret.code.clone(), village: village.clone() };
            GrantContent::Area(AreaKey { area, name, key: self.secret.key(area) })
        };
        villages.iter().map(area).collect()
    }

    fn grant(
        &mut self,
        to: &Certificate,
        id: CertId,
        content: &GrantContent,
        entropy: &mut Entropy,
    ) -> Result<Statement, IssueError> {
        let epoch = content.epoch();
        let sealed = to
            .sealing
            .seal(&grant_context(id, epoch), &codec::encode(content), entropy.draw())
            .map_err(|_unusable| IssueError::UnusableKey)?;
        let body = codec::encode(&Grant { to: id, epoch, sealed });
        let statement = self.chain.sign(&self.key(), self.scope(), kind::GRANT, body);
        if statement.to_bytes().len() > STATEMENT_BYTES_MAX {
            return Err(IssueError::TooManyVillages);
        }
        Ok(statement)
    }
}

/// What a grant is sealed under.
#[must_use]
fn grant_context(to: CertId, epoch: crate::id::EpochId) -> Vec<u8> {
    [b"huza grant 1\0".as_slice(), &to.0, &epoch.0].concat()
}

/// Opens a grant with the device's sealing key.
///
/// # Errors
/// If it is for another device, was altered, or is malformed.
pub fn open_grant(grant: &Grant, key: &SealingKey) -> Result<GrantContent, WelcomeError> {
    let plain = key.open(&grant_context(grant.to, grant.epoch), &grant.sealed)?;
    Ok(codec::decode(&plain)?)
}

/// The ids of the statements in a welcome, for display.
#[must_use]
pub fn statement_ids(welcome: &Welcome) -> Vec<StatementId> {
    welcome.statements.iter().map(Statement::id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Admitted, Lane, LaneError};
    use crate::trust::Keyring;

    fn villages() -> Vec<String> {
        vec!["01".to_owned(), "02".to_owned()]
    }

    fn device(n: u8) -> (SigningKey, SealingKey, JoinRequest) {
        let (key, sealing) = (SigningKey::from_seed([n; 32]), SealingKey::from_seed([n; 32]));
        let request = JoinRequest::new(&key, sealing.public(), "phone");
        (key, sealing, request)
    }

    fn centre(entropy: &mut Entropy) -> Centre {
        let mut programme = Programme::found("test", entropy);
        programme.certify_centre("HC1", &villages(), Stamp(1), entropy).unwrap()
    }

    fn verify_and_admit(lane: &mut Lane, statement: &Statement) -> Result<Admitted, LaneError> {
        let signed = lane.candidates().add(statement)?;
        assert!(signed.iter().all(Signed::verify));
        lane.admit(statement.clone())
    }

    #[test]
    fn a_worker_gets_its_village_and_no_other() {
        let mut entropy = Entropy::new([1; 32]);
        let mut centre = centre(&mut entropy);
        let (_, sealing, request) = device(2);
        let welcome = centre
            .approve(&request, Role::Worker, &villages()[..1], Stamp(2), &mut entropy)
            .unwrap();
        let membership = welcome.open(&sealing).unwrap();
        let mut lane = Lane::new(membership.root);
        for statement in &welcome.statements {
            assert!(matches!(verify_and_admit(&mut lane, statement), Ok(Admitted::New { .. })));
        }
        let mut keyring = Keyring::new(&membership.member);
        for statement in lane.grants_to(membership.certificate) {
            let grant: Grant = codec::decode(statement.body()).unwrap();
            keyring.add(open_grant(&grant, &sealing).unwrap());
        }
        let names: Vec<_> = keyring.areas().map(|(_, name)| name.to_string()).collect();
        assert_eq!(names, ["HC1/01"]);
        let other = centre.secret.area("02");
        assert_eq!(keyring.key(other, epoch_of(&centre.secret.key(other))), None);
        assert!(lane.published_key(other).is_some(), "outsiders may still write to it");
    }

    #[test]
    fn another_device_cannot_open_a_welcome() {
        let mut entropy = Entropy::new([1; 32]);
        let mut centre = centre(&mut entropy);
        let (_, _, request) = device(2);
        let welcome = centre.approve(&request, Role::Hub, &[], Stamp(2), &mut entropy).unwrap();
        let (_, thief, _) = device(3);
        assert!(welcome.open(&thief).is_err());
    }

    #[test]
    fn wrong_requests_are_refused_with_the_reason() {
        let mut entropy = Entropy::new([1; 32]);
        let mut centre = centre(&mut entropy);
        let (_, _, request) = device(2);
        let forged = JoinRequest { label: "other".to_owned(), ..request.clone() };
        let now = Stamp(2);
        let answer = centre.approve(&forged, Role::Hub, &[], now, &mut entropy);
        assert_eq!(answer, Err(IssueError::BadRequest));
        let answer = centre.approve(&request, Role::Worker, &[], now, &mut entropy);
        assert_eq!(answer, Err(IssueError::NoVillage));
        let nowhere = ["99".to_owned()];
        let answer = centre.approve(&request, Role::Worker, &nowhere, now, &mut entropy);
        assert_eq!(answer, Err(IssueError::UnknownVillage("99".to_owned())));
    }

    #[test]
    fn a_foreign_programmes_statements_are_not_admitted() {
        let mut entropy = Entropy::new([1; 32]);
        let (_, _, request) = device(2);
        let mut foreign = centre(&mut entropy);
        let welcome = foreign.approve(&request, Role::Hub, &[], Stamp(2), &mut entropy).unwrap();
        let mut lane = Lane::new(SigningKey::from_seed([7; 32]).public());
        let signed = lane.candidates().add(&welcome.statements[0]).unwrap();
        assert!(!signed.iter().all(Signed::verify), "not signed by our root");
        assert!(lane.admit(welcome.statements[1].clone()).is_err());
    }
}
