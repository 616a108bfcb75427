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

use super::approval::{
    Approval, Approver, CERTIFICATE_SECONDS, IssueError, JoinRequest, Welcome, publish,
};
use super::certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
use super::keyring::CatchmentSecret;
use crate::codec;
use crate::control::{Reason, Revocation, Scope, Statement, form_body, kind, programme_id};
use crate::crypto::{Entropy, SealingKey, SealingPublic, SigningKey, SymmetricKey};
use crate::id::{CertId, DeviceKey, Hash, ProgrammeId};
use crate::limits::CERT_AREAS_MAX;
use crate::time::Stamp;

/// A key on paper, with its certificates and its running count of statements.
#[derive(Clone, Serialize, Deserialize)]
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

crate::debug_shows!(struct Office { root, issuer });

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

    /// Publishes a form for everybody, or for these health centres.
    fn publish(&mut self, text: &str, scopes: Vec<Scope>) -> Option<Vec<Statement>> {
        let body = form_body(text)?;
        Some(scopes.into_iter().map(|one| self.sign(one, kind::FORM, body.clone())).collect())
    }
}

/// The root of a programme. Its key belongs on paper in a safe, not on a device in use.
#[derive(Clone, Serialize, Deserialize)]
pub struct Programme(Office);

impl core::fmt::Debug for Programme {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Programme").field(&self.0).finish()
    }
}

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
        let mut areas: Vec<AreaScope> = catchments.iter().map(tag).collect();
        if let [only] = areas[..] {
            // Else its centre's paper key and that centre's devices would be of one rank: those are
            // told apart by areas (see `Lane::rank`).
            areas.push(only);
        }
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

    /// Publishes a form ([`crate::record::Form::read`]) for everybody; none if it is too long.
    pub fn publish(&mut self, text: &str) -> Option<Vec<Statement>> {
        self.0.publish(text, vec![Scope::Programme])
    }
}

/// A district's key on paper: it certifies its health centres.
#[derive(Clone, Serialize, Deserialize)]
pub struct District {
    office: Office,
    catchments: Vec<String>,
}

crate::debug_shows!(struct District { office });

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

    /// Publishes a form for each of its health centres; none if it is too long.
    pub fn publish(&mut self, text: &str) -> Option<Vec<Statement>> {
        let id = self.office.id();
        let scope = |code: &String| Scope::Catchment(CatchmentSecret::tag_of(id, code));
        let scopes = self.catchments.iter().map(scope).collect();
        self.office.publish(text, scopes)
    }
}

/// A health centre's key on paper: it approves the first authority devices, and steps in when all
/// of them are lost.
#[derive(Clone, Serialize, Deserialize)]
pub struct Centre {
    office: Office,
    secret: CatchmentSecret,
    /// The public keys of its areas.
    published: Vec<Statement>,
}

crate::debug_shows!(struct Centre { office });

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

    /// Publishes a form for its catchment; none if it is too long.
    pub fn publish(&mut self, text: &str) -> Option<Vec<Statement>> {
        let scopes = vec![self.scope()];
        self.office.publish(text, scopes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Admitted, Lane, LaneError};
    use crate::crypto::Signed;
    use crate::trust::{Keyring, epoch_of};

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
        let mut forged = request.clone();
        forged.label = "other".to_owned();
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

    #[test]
    fn a_district_certifies_its_health_centres_and_no_others() {
        let mut entropy = Entropy::new([1; 32]);
        let mut programme = Programme::found("test", &mut entropy);
        let catchments = ["HC1".to_owned(), "HC2".to_owned()];
        let mut district = programme.certify_district(&catchments, Stamp(1), &mut entropy).unwrap();
        let answer = district.certify_centre("HC3", &villages(), Stamp(2), &mut entropy);
        assert!(matches!(answer, Err(IssueError::UnknownCatchment(_))));
        let mut centre =
            district.certify_centre("HC2", &villages(), Stamp(2), &mut entropy).unwrap();
        let (_, sealing, request) = device(2);
        let approval = Approval::of(Role::Worker, &villages()[..1]);
        let welcome = centre.approve(&request, &approval, Stamp(2), &mut entropy).unwrap();
        let membership = welcome.open(&sealing).unwrap();
        let mut lane = Lane::new(membership.root);
        for statement in &welcome.statements {
            assert!(matches!(verify_and_admit(&mut lane, statement), Ok(Admitted::New { .. })));
        }
        assert_eq!(lane.chain(membership.certificate).len(), 3, "district, centre, device");
        // A revocation of the district's voids what is below.
        let revocation = programme.revoke(
            match lane.certificate(&membership.certificate).unwrap().issuer {
                Issuer::Certified(centre) => centre,
                Issuer::Programme => panic!("the centre issued it"),
            },
            Reason::Misused,
        );
        verify_and_admit(&mut lane, &revocation).unwrap();
        assert!(!lane.is_good(&membership.certificate));
    }
}
