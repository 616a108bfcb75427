//! Enrolment: a device asks to join, whoever has the authority approves it, the device opens the
//! answer. Plain values; paper keys ([`super::paper`]) and authority devices (`node::order`) approve
//! by the same rules.

use serde::{Deserialize, Serialize};

use super::certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
use super::keyring::{AreaKey, CatchmentSecret, GrantContent, epoch_of, sealing_of};
use crate::codec::{self, DecodeError};
use crate::control::{Grant, Lane, PublishedKey, Statement, kind, programme_id};
use crate::crypto::{
    Entropy, Purpose, SealingKey, SealingPublic, Signature, Signed, SigningKey, SymmetricKey,
    Unopened,
};
use crate::id::{AreaTag, CertId, DeviceKey, EpochId, hash_parts, truncated};
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
    /// The device was shut out before.
    #[error("this device was shut out, with certificate {0}")]
    ShutOut(CertId),
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
    /// An authority, a hub and a gateway have the whole catchment.
    #[error("this role has the whole catchment, not single villages")]
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
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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

crate::debug_shows!(struct JoinRequest { device, sealing, relay, made });

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
    /// The workers for whom the device was approved.
    pub workers: Vec<String>,
    /// Addresses of hubs to dial.
    pub hubs: Vec<String>,
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

/// What a person decides when approving a device.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether the device may come back, though it was shut out: its holder is known.
    pub again: bool,
}

crate::debug_shows!(struct Approval { role, any_date, again });

impl Approval {
    /// An approval for a role in some villages, and nothing more.
    #[must_use]
    pub fn of(role: Role, villages: &[String]) -> Self {
        let (workers, hubs) = (Vec::new(), Vec::new());
        Self { role, villages: villages.to_vec(), workers, hubs, any_date: false, again: false }
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
        let before =
            self.lane.iter().flat_map(|lane| lane.certificates().map(move |one| (lane, one)));
        let mut before = before.filter(|(_, (_, known))| known.device == request.device);
        let shut_out = before.find(|(lane, (id, _))| lane.was_revoked(id));
        if let Some((_, (id, _))) = shut_out.filter(|_| !approval.again) {
            return Err(IssueError::ShutOut(*id));
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
        let whole = matches!(role, Role::Authority | Role::Hub | Role::Gateway);
        if !villages.is_empty() && whole {
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
