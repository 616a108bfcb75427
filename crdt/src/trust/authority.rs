//! What authorities do: found a programme, certify districts and health centres, approve devices.
//!
//! ```text
//! Programme  (its key: on paper)
//!   +-- District  (its key: on paper)                optional
//!         +-- Centre  (its key: on paper; it makes the catchment's first secret)
//!               +-- authority devices: nodes of role `authority`, two at least
//!                     +-- workers' phones, hubs, gateways, relays
//! ```
//!
//! Programme, district and centre are plain values without I/O, for people to lock away. Day by day
//! an authority device does the work, by the same rules: see `node::order`.

use serde::{Deserialize, Serialize};

use super::certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
use super::keyring::{AreaKey, CatchmentSecret, GrantContent, epoch_of, sealing_of};
use crate::codec::{self, DecodeError};
use crate::control::{
    Grant, Lane, PublishedKey, Reason, Revocation, Scope, Statement, kind, programme_id,
};
use crate::crypto::{
    Entropy, Purpose, SealingKey, SealingPublic, Signature, Signed, SigningKey, SymmetricKey,
    Unopened,
};
use crate::id::{AreaTag, CertId, DeviceKey, EpochId, Hash, ProgrammeId, hash_parts, truncated};
use crate::limits::{CERT_AREAS_MAX, STATEMENT_BYTES_MAX};
use crate::time::Stamp;

/// Seconds that a device's certificate is good for. // guess: two years, about a phone's life
pub const CERTIFICATE_SECONDS: i64 = 2 * 365 * 86_400;

/// Seconds that a request may be old, by the authority's clock, or ahead of it. // guess: made in
/// the morning and answered in the afternoon, or across a night
pub const REQUEST_SECONDS_MAX: i64 = 2 * 86_400;

/// Why a device was not approved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is not signed by the key it names.
    #[error("the request is not signed by the device it names")]
    BadRequest,
    /// The request was made long ago, or one of the two clocks is wrong.
    #[error("the request is stale: it is dated {made}, and here it is {now}")]
    Stale {
        /// When it was made, by the device's clock.
        made: Stamp,
        /// What it is compared with.
        now: Stamp,
    },
    /// The request was answered already.
    #[error("the request was answered before, with certificate {0}")]
    Replayed(CertId),
    /// The device has no reader.
    #[error("the device only carries and can be nothing but a relay")]
    OnlyCarries,
    /// This centre has no such village.
    #[error("village {0} is not in this catchment")]
    UnknownVillage(String),
    /// This district has no such health centre.
    #[error("catchment {0} is not in this district")]
    UnknownCatchment(String),
    /// A worker's device needs at least one village.
    #[error("a worker's device needs at least one village")]
    NoVillage,
    /// An authority has the whole catchment.
    #[error("an authority has the whole catchment, not single villages")]
    WholeCatchment,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The device's signing key.
    pub device: DeviceKey,
    /// The key to which its grants will be sealed.
    pub sealing: SealingPublic,
    /// What people call the device; not a person's name.
    pub label: String,
    /// Whether the device only carries.
    pub relay: bool,
    /// When it was made, by the device's clock.
    pub made: Stamp,
    /// Tells requests of one second apart.
    nonce: [u8; 8],
    signature: Signature,
}

impl JoinRequest {
    /// Asks to join.
    #[must_use]
    pub fn new(
        key: &SigningKey,
        sealing: SealingPublic,
        (label, relay): (&str, bool),
        made: Stamp,
        nonce: [u8; 8],
    ) -> Self {
        let device = key.public();
        let unsigned = codec::encode(&(&sealing, label, relay, made, nonce));
        let signature = key.sign(Purpose::JoinRequest, &unsigned);
        Self { device, sealing, label: label.to_owned(), relay, made, nonce, signature }
    }

    /// Whether the named device made this request.
    #[must_use]
    pub fn verify(&self) -> bool {
        let unsigned = (&self.sealing, &self.label, self.relay, self.made, self.nonce);
        let (bytes, signature) = (codec::encode(&unsigned), self.signature);
        Signed { key: self.device, purpose: Purpose::JoinRequest, bytes, signature }.verify()
    }

    /// Its id, by which its certificate names it.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        let unsigned = (&self.device, &self.sealing, &self.label, self.relay, self.made);
        let bytes = codec::encode(&(unsigned, self.nonce));
        truncated(hash_parts("huza 2026 join request", &[&bytes]))
    }
}

/// What a member learns on joining, sealed to its device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The programme's key, the root of every chain.
    pub root: DeviceKey,
    /// The key that every member holds.
    pub member: SymmetricKey,
    /// The programme's name, for people.
    pub programme: String,
    /// The device's own certificate.
    pub certificate: CertId,
    /// The workers for whom the device was approved.
    pub workers: Vec<String>,
    /// Addresses of hubs to dial.
    pub hubs: Vec<String>,
}

/// The answer to a [`JoinRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Statements the device needs first: its chain, its areas' keys, its grants.
    pub statements: Vec<Statement>,
    /// [`Membership`], sealed to the device.
    #[serde(with = "codec::bytes")]
    sealed: Vec<u8>,
}

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

/// What a person decides when approving a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// What the device is for.
    pub role: Role,
    /// Where; none means the whole catchment, which a worker's device may not have.
    pub villages: Vec<String>,
    /// For whom.
    pub workers: Vec<String>,
    /// Where it finds hubs.
    pub hubs: Vec<String>,
    /// Whether the date of the request does not matter: its device has no clock.
    pub any_date: bool,
}

impl Approval {
    /// An approval for a role in some villages, and nothing more.
    #[must_use]
    pub fn of(role: Role, villages: &[String]) -> Self {
        let (workers, hubs) = (Vec::new(), Vec::new());
        Self { role, villages: villages.to_vec(), workers, hubs, any_date: false }
    }
}

/// Who approves: a centre's paper key or an authority device.
#[derive(Debug)]
pub(crate) struct Approver<'a> {
    pub(crate) key: &'a SigningKey,
    pub(crate) issuer: Issuer,
    pub(crate) root: DeviceKey,
    pub(crate) member: &'a SymmetricKey,
    pub(crate) programme: &'a str,
    pub(crate) secret: &'a CatchmentSecret,
    /// What was issued before, as far as it is known.
    pub(crate) lane: Option<&'a Lane>,
}

/// What an approval comes to, before it is numbered and signed.
#[derive(Debug)]
pub(crate) struct Approved {
    pub(crate) certificate: CertId,
    /// Statements to sign, in this order: kind and body.
    pub(crate) bodies: Vec<(u8, Vec<u8>)>,
    sealed: Vec<u8>,
}

impl Approved {
    /// The answer, of which `statements` are all that the device needs.
    pub(crate) fn welcome(self, statements: Vec<Statement>) -> Welcome {
        Welcome { statements, sealed: self.sealed }
    }
}

impl Approver<'_> {
    /// Certificate, grants for what the role reads, membership. `key_of` gives the key of a
    /// village.
    pub(crate) fn approve(
        &self,
        request: &JoinRequest,
        approval: &Approval,
        key_of: impl Fn(AreaTag) -> SymmetricKey,
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Approved, IssueError> {
        self.check(request, approval, now)?;
        let villages = &approval.villages;
        let areas = if villages.is_empty() {
            vec![AreaScope::Catchment(self.secret.catchment)]
        } else {
            villages.iter().map(|village| AreaScope::Area(self.secret.area(village))).collect()
        };
        let certificate = Certificate {
            programme: programme_id(&self.root),
            issuer: self.issuer,
            device: request.device,
            sealing: request.sealing,
            role: approval.role,
            areas,
            request: request.id(),
            issued: now,
            expires: Stamp(now.0.saturating_add(CERTIFICATE_SECONDS)),
        };
        let cose = certificate.sign(self.key)?;
        let id = Certificate::id(&cose);
        let mut bodies = vec![(kind::CERTIFICATE, cose)];
        for content in contents(self.secret, approval, key_of) {
            let grant = grant_to(id, &request.sealing, &content, entropy)?;
            bodies.push((kind::GRANT, grant));
        }
        let membership = Membership {
            root: self.root,
            member: self.member.clone(),
            programme: self.programme.to_owned(),
            certificate: id,
            workers: approval.workers.clone(),
            hubs: approval.hubs.clone(),
        };
        let sealed = request
            .sealing
            .seal(WELCOME, &codec::encode(&membership), entropy.draw())
            .map_err(|_unusable| IssueError::UnusableKey)?;
        Ok(Approved { certificate: id, bodies, sealed })
    }

    fn check(
        &self,
        request: &JoinRequest,
        approval: &Approval,
        now: Stamp,
    ) -> Result<(), IssueError> {
        let Approval { role, villages, any_date, .. } = approval;
        if !request.verify() {
            return Err(IssueError::BadRequest);
        }
        let made = request.made;
        if !any_date && made.0.abs_diff(now.0) > REQUEST_SECONDS_MAX.unsigned_abs() {
            return Err(IssueError::Stale { made, now });
        }
        let mut issued = self.lane.iter().flat_map(|lane| lane.certificates());
        if let Some((id, _)) = issued.find(|(_, known)| known.request == request.id()) {
            return Err(IssueError::Replayed(*id));
        }
        if request.relay && *role != Role::Relay {
            return Err(IssueError::OnlyCarries);
        }
        if let Some(unknown) = villages.iter().find(|v| !self.secret.villages.contains(v)) {
            return Err(IssueError::UnknownVillage(unknown.clone()));
        }
        if villages.is_empty() && *role == Role::Worker {
            return Err(IssueError::NoVillage);
        }
        if !villages.is_empty() && *role == Role::Authority {
            return Err(IssueError::WholeCatchment);
        }
        if villages.len() > CERT_AREAS_MAX {
            return Err(IssueError::TooManyVillages);
        }
        Ok(())
    }
}

/// What a role reads: a relay nothing, a whole-catchment role the catchment, others their
/// villages.
fn contents(
    secret: &CatchmentSecret,
    approval: &Approval,
    key_of: impl Fn(AreaTag) -> SymmetricKey,
) -> Vec<GrantContent> {
    if approval.role == Role::Relay {
        return Vec::new();
    }
    if approval.villages.is_empty() {
        return vec![GrantContent::Catchment(secret.clone())];
    }
    let area = |village: &String| {
        let (area, name) = (secret.area(village), secret.name(village));
        GrantContent::Area(AreaKey { area, name, key: key_of(area) })
    };
    approval.villages.iter().map(area).collect()
}

/// The body of a grant.
pub(crate) fn grant_to(
    to: CertId,
    sealing: &SealingPublic,
    content: &GrantContent,
    entropy: &mut Entropy,
) -> Result<Vec<u8>, IssueError> {
    let (opens, epoch) = (AreaScope::from(content), content.epoch());
    let sealed = sealing
        .seal(&grant_context(to, epoch), &codec::encode(content), entropy.draw())
        .map_err(|_unusable| IssueError::UnusableKey)?;
    let body = codec::encode(&Grant { to, opens, epoch, sealed });
    // Room for the statement around it.
    if body.len() + 256 > STATEMENT_BYTES_MAX {
        return Err(IssueError::TooManyVillages);
    }
    Ok(body)
}

/// The key of an area as it is published.
pub(crate) fn publish(secret: &CatchmentSecret, area: AreaTag, rotation: u32) -> PublishedKey {
    let key = secret.key(area, rotation);
    PublishedKey {
        area,
        epoch: epoch_of(&key),
        catchment_epoch: epoch_of(&secret.epoch),
        generation: secret.generation,
        rotation,
        public: sealing_of(&key).public(),
    }
}

/// What a grant is sealed under.
fn grant_context(to: CertId, epoch: EpochId) -> Vec<u8> {
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

/// A key on paper, with its certificates and its running count of statements.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Office {
    programme: String,
    root: DeviceKey,
    member: SymmetricKey,
    seed: SymmetricKey,
    issuer: Issuer,
    /// Its certificates, the programme's first.
    chain: Vec<Statement>,
    number: u64,
    previous: Hash,
}

impl Office {
    fn key(&self) -> SigningKey {
        SigningKey::from_seed(*self.seed.expose())
    }

    fn id(&self) -> ProgrammeId {
        programme_id(&self.root)
    }

    fn sign(&mut self, scope: Scope, kind: u8, body: Vec<u8>) -> Statement {
        let place = (self.number, self.previous);
        let statement = Statement::sign(&self.key(), self.issuer, place, scope, (kind, body));
        self.number += 1;
        self.previous = statement.hash();
        statement
    }

    /// Another office below this one, with authority over `areas`.
    fn certify(
        &mut self,
        areas: Vec<AreaScope>,
        sealing: SealingPublic,
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Self, CertificateError> {
        let seed = SymmetricKey::from_bytes(entropy.draw());
        let certificate = Certificate {
            programme: self.id(),
            issuer: self.issuer,
            device: SigningKey::from_seed(*seed.expose()).public(),
            sealing,
            role: Role::Authority,
            areas,
            request: entropy.draw(),
            issued: now,
            expires: Stamp(now.0.saturating_add(CERTIFICATE_SECONDS)),
        };
        let cose = certificate.sign(&self.key())?;
        let issuer = Issuer::Certified(Certificate::id(&cose));
        let mut chain = self.chain.clone();
        chain.push(self.sign(Scope::Programme, kind::CERTIFICATE, cose));
        Ok(Self { seed, issuer, chain, number: 0, previous: Hash([0; 32]), ..self.clone() })
    }

    /// Shuts a certificate out wholly. An authority device may then admit what it trusts.
    fn revoke(&mut self, certificate: CertId, reason: Reason) -> Statement {
        let (logs, statements) = (Vec::new(), Vec::new());
        let body = codec::encode(&Revocation { certificate, reason, logs, statements });
        self.sign(Scope::Programme, kind::REVOCATION, body)
    }
}

/// The root of a programme. Its key belongs on paper in a safe, not on a device in use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Programme(Office);

impl Programme {
    /// Founds a programme.
    #[must_use]
    pub fn found(name: &str, entropy: &mut Entropy) -> Self {
        let seed = SymmetricKey::from_bytes(entropy.draw());
        Self(Office {
            programme: name.to_owned(),
            root: SigningKey::from_seed(*seed.expose()).public(),
            member: SymmetricKey::from_bytes(entropy.draw()),
            seed,
            issuer: Issuer::Programme,
            chain: Vec::new(),
            number: 0,
            previous: Hash([0; 32]),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> ProgrammeId {
        self.0.id()
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.programme
    }

    /// Certifies a district, which may certify these health centres and no others.
    ///
    /// # Errors
    /// If the certificate cannot be encoded, or there are too many.
    pub fn certify_district(
        &mut self,
        catchments: &[String],
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<District, IssueError> {
        if catchments.len() > CERT_AREAS_MAX {
            return Err(IssueError::TooManyVillages);
        }
        let id = self.id();
        let tag = |code: &String| AreaScope::Catchment(CatchmentSecret::tag_of(id, code));
        let areas = catchments.iter().map(tag).collect();
        let sealing = SealingKey::from_seed(entropy.draw());
        let office = self.0.certify(areas, sealing.public(), now, entropy)?;
        Ok(District { office, catchments: catchments.to_vec() })
    }

    /// Certifies a health centre, without a district between.
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
        Centre::below(&mut self.0, catchment, villages, now, entropy)
    }

    /// Shuts any certificate out.
    pub fn revoke(&mut self, certificate: CertId, reason: Reason) -> Statement {
        self.0.revoke(certificate, reason)
    }
}

/// A district's key on paper: it certifies its health centres.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct District {
    office: Office,
    catchments: Vec<String>,
}

impl District {
    /// Certifies one of its health centres.
    ///
    /// # Errors
    /// If the health centre is not the district's, or its certificate cannot be encoded.
    pub fn certify_centre(
        &mut self,
        catchment: &str,
        villages: &[String],
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Centre, IssueError> {
        if !self.catchments.iter().any(|known| known == catchment) {
            return Err(IssueError::UnknownCatchment(catchment.to_owned()));
        }
        Ok(Centre::below(&mut self.office, catchment, villages, now, entropy)?)
    }

    /// Shuts a certificate of the district out.
    pub fn revoke(&mut self, certificate: CertId, reason: Reason) -> Statement {
        self.office.revoke(certificate, reason)
    }
}

/// A health centre's key on paper: it approves the first authority devices, and steps in when all
/// of them are lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Centre {
    office: Office,
    secret: CatchmentSecret,
    /// The public keys of its areas.
    published: Vec<Statement>,
}

impl Centre {
    fn below(
        above: &mut Office,
        catchment: &str,
        villages: &[String],
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Self, CertificateError> {
        let tag = CatchmentSecret::tag_of(above.id(), catchment);
        let sealing = SealingKey::from_seed(entropy.draw());
        let office =
            above.certify(vec![AreaScope::Catchment(tag)], sealing.public(), now, entropy)?;
        let secret = CatchmentSecret {
            catchment: tag,
            code: catchment.to_owned(),
            generation: 0,
            epoch: SymmetricKey::from_bytes(entropy.draw()),
            tags: SymmetricKey::from_bytes(entropy.draw()),
            villages: villages.to_vec(),
        };
        let mut centre = Self { office, secret, published: Vec::new() };
        for village in villages {
            let published = publish(&centre.secret, centre.secret.area(village), 0);
            let (scope, body) = (centre.scope(), codec::encode(&published));
            let statement = centre.office.sign(scope, kind::PUBLISHED_KEY, body);
            centre.published.push(statement);
        }
        Ok(centre)
    }

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

    /// What people call the programme.
    #[must_use]
    pub fn programme(&self) -> &str {
        &self.office.programme
    }

    const fn scope(&self) -> Scope {
        Scope::Catchment(self.secret.catchment)
    }

    /// Approves a device: certificate, grants for what its role reads, membership.
    ///
    /// # Errors
    /// If the request is not the device's own or stale, or asks for what this centre cannot give.
    pub fn approve(
        &mut self,
        request: &JoinRequest,
        approval: &Approval,
        now: Stamp,
        entropy: &mut Entropy,
    ) -> Result<Welcome, IssueError> {
        let key = self.office.key();
        let approver = Approver {
            key: &key,
            issuer: self.office.issuer,
            root: self.office.root,
            member: &self.office.member,
            programme: &self.office.programme,
            secret: &self.secret,
            lane: None,
        };
        let key_of = |area| self.secret.key(area, 0);
        let approved = approver.approve(request, approval, key_of, now, entropy)?;
        let mut statements = self.office.chain.clone();
        statements.extend(self.published.iter().cloned());
        for (kind, body) in &approved.bodies {
            let scope = self.scope();
            statements.push(self.office.sign(scope, *kind, body.clone()));
        }
        Ok(approved.welcome(statements))
    }

    /// Shuts a certificate of the catchment out.
    pub fn revoke(&mut self, certificate: CertId, reason: Reason) -> Statement {
        self.office.revoke(certificate, reason)
    }
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
        let request = JoinRequest::new(&key, sealing.public(), ("phone", false), Stamp(2), [0; 8]);
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
            .approve(
                &request,
                &Approval::of(Role::Worker, &villages()[..1]),
                Stamp(2),
                &mut entropy,
            )
            .unwrap();
        let membership = welcome.open(&sealing).unwrap();
        let mut lane = Lane::new(membership.root);
        for statement in &welcome.statements {
            assert!(matches!(verify_and_admit(&mut lane, statement), Ok(Admitted::New { .. })));
        }
        let keyring = Keyring::open(&membership.member, &lane, membership.certificate, &sealing);
        let names: Vec<_> = keyring.areas().map(|(_, name)| name.to_string()).collect();
        assert_eq!(names, ["HC1/01"]);
        let other = centre.secret.area("02");
        assert_eq!(keyring.key(other, epoch_of(&centre.secret.key(other, 0))), None);
        assert_eq!(lane.writing_keys(other).len(), 1, "outsiders may still write to it");
    }

    #[test]
    fn another_device_cannot_open_a_welcome() {
        let mut entropy = Entropy::new([1; 32]);
        let mut centre = centre(&mut entropy);
        let (_, _, request) = device(2);
        let welcome = centre
            .approve(&request, &Approval::of(Role::Hub, &[]), Stamp(2), &mut entropy)
            .unwrap();
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
        let answer = centre.approve(&forged, &Approval::of(Role::Hub, &[]), now, &mut entropy);
        assert_eq!(answer, Err(IssueError::BadRequest));
        let answer = centre.approve(&request, &Approval::of(Role::Worker, &[]), now, &mut entropy);
        assert_eq!(answer, Err(IssueError::NoVillage));
        let nowhere = ["99".to_owned()];
        let answer =
            centre.approve(&request, &Approval::of(Role::Worker, &nowhere), now, &mut entropy);
        assert_eq!(answer, Err(IssueError::UnknownVillage("99".to_owned())));
    }

    #[test]
    fn a_foreign_programmes_statements_are_not_admitted() {
        let mut entropy = Entropy::new([1; 32]);
        let (_, _, request) = device(2);
        let mut foreign = centre(&mut entropy);
        let welcome = foreign
            .approve(&request, &Approval::of(Role::Hub, &[]), Stamp(2), &mut entropy)
            .unwrap();
        let mut lane = Lane::new(SigningKey::from_seed([7; 32]).public());
        let signed = lane.candidates().add(&welcome.statements[0]).unwrap();
        assert!(!signed.iter().all(Signed::verify), "not signed by our root");
        assert!(lane.admit(welcome.statements[1].clone()).is_err());
    }
}
