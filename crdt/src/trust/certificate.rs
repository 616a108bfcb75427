//! Certificates: COSE_Sign1 (RFC 9052) with EdDSA over CWT claims (RFC 8392).
//!
//! | claim | label | value |
//! |---|---|---|
//! | `iss` | 1 | text: programme id in hexadecimal |
//! | `exp` | 4 | integer: seconds since 1970; after it no new grants, nothing else |
//! | `iat` | 6 | integer |
//! | `cti` | 7 | bytes 16: id of the request that this answers |
//! | `cnf` | 8 | map { 1: COSE_Key { 1: 1 (OKP), -1: 6 (Ed25519), -2: bytes 32 } } |
//! | role | -70001 | integer, see [`Role`] |
//! | areas | -70002 | array of byte strings of 0, 8 or 16 bytes, see [`AreaScope`] |
//! | sealing | -70003 | bytes 32: X25519 public key to which grants are sealed |
//!
//! The protected header holds `alg` = EdDSA and `kid` = certificate id of the issuer, or the
//! programme id when the programme's own key signed.

use coset::{
    CborSerializable as _, CoseSign1, CoseSign1Builder, HeaderBuilder, cbor::value::Value, iana,
};
use serde::{Deserialize, Serialize};

use crate::crypto::{Purpose, SealingPublic, Signature, Signed, SigningKey};
use crate::id::{AreaTag, CatchmentTag, CertId, DeviceKey, ProgrammeId, hash_parts, truncated};
use crate::limits::{CERT_AREAS_MAX, STATEMENT_BYTES_MAX};
use crate::time::Stamp;

const CLAIM_ISS: i64 = 1;
const CLAIM_EXP: i64 = 4;
const CLAIM_IAT: i64 = 6;
const CLAIM_CTI: i64 = 7;
const CLAIM_CNF: i64 = 8;
const CLAIM_ROLE: i64 = -70_001;
const CLAIM_AREAS: i64 = -70_002;
const CLAIM_SEALING: i64 = -70_003;

/// What a device is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Issues certificates and grants within its areas; a person's device.
    Authority,
    /// A health worker's phone.
    Worker,
    /// An always-on node at a health centre; signs `Stored`.
    Hub,
    /// A reader that feeds a facility; signs `Accepted` and `Refused`.
    Gateway,
    /// Carries what it cannot read.
    Relay,
}

impl Role {
    /// Every role, in the order of its number on the wire (1 to 5).
    pub const ALL: [Self; 5] =
        [Self::Authority, Self::Worker, Self::Hub, Self::Gateway, Self::Relay];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Worker => "worker",
            Self::Hub => "hub",
            Self::Gateway => "gateway",
            Self::Relay => "relay",
        }
    }

    const fn number(self) -> i64 {
        match self {
            Self::Authority => 1,
            Self::Worker => 2,
            Self::Hub => 3,
            Self::Gateway => 4,
            Self::Relay => 5,
        }
    }
}

impl core::str::FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

/// A part of the programme's territory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AreaScope {
    /// All of it (0 bytes in a certificate).
    Programme,
    /// One catchment (8 bytes).
    Catchment(CatchmentTag),
    /// One village (16 bytes).
    Area(AreaTag),
}

impl AreaScope {
    /// Whether everything in `other` is also in this.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Programme, _) => true,
            (Self::Catchment(mine), Self::Catchment(theirs)) => mine == theirs,
            (Self::Catchment(mine), Self::Area(theirs)) => *mine == theirs.catchment(),
            (Self::Area(mine), Self::Area(theirs)) => mine == theirs,
            (Self::Catchment(_) | Self::Area(_), _) => false,
        }
    }

    fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Programme => Vec::new(),
            Self::Catchment(tag) => tag.0.to_vec(),
            Self::Area(tag) => tag.0.to_vec(),
        }
    }

    fn from_slice(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            0 => Some(Self::Programme),
            CatchmentTag::LEN => CatchmentTag::from_slice(bytes).map(Self::Catchment),
            AreaTag::LEN => AreaTag::from_slice(bytes).map(Self::Area),
            _ => None,
        }
    }
}

/// Who signed a statement or a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Issuer {
    /// The programme's own key.
    Programme,
    /// The holder of this certificate.
    Certified(CertId),
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not a COSE_Sign1 with the claims we write, in the way we write them.
    #[error("not a certificate of this format")]
    Malformed,
    /// For another programme.
    #[error("issued for another programme")]
    ForeignProgramme,
    /// The issuer's certificate is not known.
    #[error("its issuer is not known")]
    UnknownIssuer,
    /// The issuer may not issue certificates at all.
    #[error("its issuer is not an authority")]
    NotAnAuthority,
    /// The issuer's areas do not contain the certificate's.
    #[error("its areas are outside its issuer's")]
    OutsideIssuer,
}

/// A device's certificate. Verified only together with its issuer's, by the control lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Programme it belongs to.
    pub programme: ProgrammeId,
    /// Who signed it.
    pub issuer: Issuer,
    /// The device's signing key.
    pub device: DeviceKey,
    /// The key to which grants for this device are sealed.
    pub sealing: SealingPublic,
    /// What the device is for.
    pub role: Role,
    /// Where.
    pub areas: Vec<AreaScope>,
    /// The request that it answers: see [`super::approval::JoinRequest::id`].
    pub request: [u8; 16],
    /// When it was issued, by the issuer's clock.
    pub issued: Stamp,
    /// When new grants to it stop.
    pub expires: Stamp,
}

impl Certificate {
    /// Signs this certificate. The result is its COSE_Sign1 bytes, deterministic.
    ///
    /// # Errors
    /// If CBOR encoding fails, which it does not for these values.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, CertificateError> {
        self.cose(|bytes| key.sign(Purpose::Cose, bytes))
    }

    /// Its COSE_Sign1 bytes with the signature that `sign` gives.
    fn cose(&self, sign: impl FnOnce(&[u8]) -> Signature) -> Result<Vec<u8>, CertificateError> {
        let protected = HeaderBuilder::new()
            .algorithm(iana::Algorithm::EdDSA)
            .key_id(self.key_id().to_vec())
            .build();
        let mut claims = Vec::new();
        coset::cbor::into_writer(&self.claims(), &mut claims)
            .map_err(|_failed| CertificateError::Malformed)?;
        CoseSign1Builder::new()
            .protected(protected)
            .payload(claims)
            .create_signature(b"", |bytes| sign(bytes).to_bytes().to_vec())
            .build()
            .to_vec()
            .map_err(|_failed| CertificateError::Malformed)
    }

    /// Reads a certificate from its COSE_Sign1 bytes, without any trust in it, and says which
    /// signature must hold; `key_of` gives the key of an issuer.
    ///
    /// # Errors
    /// If the bytes are not exactly what [`Certificate::sign`] would write.
    pub fn read(
        cose: &[u8],
        key_of: impl Fn(Issuer) -> Option<DeviceKey>,
    ) -> Result<(Self, Signed), CertificateError> {
        let malformed = CertificateError::Malformed;
        if cose.len() > STATEMENT_BYTES_MAX {
            return Err(malformed);
        }
        let sign1 = CoseSign1::from_slice(cose).map_err(|_malformed| malformed.clone())?;
        let payload = sign1.payload.as_deref().ok_or_else(|| malformed.clone())?;
        let claims: Value =
            coset::cbor::from_reader(payload).map_err(|_malformed| malformed.clone())?;
        let certificate = Self::from_claims(&claims, &sign1.protected.header.key_id)
            .ok_or_else(|| malformed.clone())?;
        let signature = Signature::from_slice(&sign1.signature).ok_or_else(|| malformed.clone())?;
        if certificate.cose(|_| signature)? != cose {
            return Err(malformed);
        }
        let key = key_of(certificate.issuer).ok_or(CertificateError::UnknownIssuer)?;
        let bytes = sign1.tbs_data(b"");
        Ok((certificate, Signed { key, purpose: Purpose::Cose, bytes, signature }))
    }

    /// The id of a certificate with these COSE bytes.
    #[must_use]
    pub fn id(cose: &[u8]) -> CertId {
        CertId(truncated(hash_parts("huza 2026 certificate id", &[cose])))
    }

    /// Whether all of `scope` is within this certificate's areas.
    #[must_use]
    pub fn covers(&self, scope: &AreaScope) -> bool {
        self.areas.iter().any(|area| area.contains(scope))
    }

    /// The rules between a certificate and its issuer's.
    ///
    /// # Errors
    /// If the issuer is not an authority for all of this certificate's areas.
    pub fn check_issuer(&self, issuer: &Self) -> Result<(), CertificateError> {
        if issuer.role != Role::Authority {
            return Err(CertificateError::NotAnAuthority);
        }
        if !self.areas.iter().all(|area| issuer.covers(area)) {
            return Err(CertificateError::OutsideIssuer);
        }
        Ok(())
    }

    fn key_id(&self) -> [u8; 16] {
        match self.issuer {
            Issuer::Programme => self.programme.0,
            Issuer::Certified(id) => id.0,
        }
    }

    fn claims(&self) -> Value {
        let int = |n: i64| Value::Integer(n.into());
        let key = Value::Map(vec![
            (int(1), int(1)),
            (int(-1), int(6)),
            (int(-2), Value::Bytes(self.device.0.to_vec())),
        ]);
        let areas = self.areas.iter().map(|area| Value::Bytes(area.to_bytes())).collect();
        Value::Map(vec![
            (int(CLAIM_ISS), Value::Text(self.programme.to_string())),
            (int(CLAIM_EXP), int(self.expires.0)),
            (int(CLAIM_IAT), int(self.issued.0)),
            (int(CLAIM_CTI), Value::Bytes(self.request.to_vec())),
            (int(CLAIM_CNF), Value::Map(vec![(int(1), key)])),
            (int(CLAIM_ROLE), int(self.role.number())),
            (int(CLAIM_AREAS), Value::Array(areas)),
            (int(CLAIM_SEALING), Value::Bytes(self.sealing.0.to_vec())),
        ])
    }

    fn from_claims(claims: &Value, key_id: &[u8]) -> Option<Self> {
        let programme = ProgrammeId::from_hex(claim(claims, CLAIM_ISS)?.as_text()?)?;
        let key_id = CertId::from_slice(key_id)?;
        let issuer =
            if key_id.0 == programme.0 { Issuer::Programme } else { Issuer::Certified(key_id) };
        let key = claim(claim(claims, CLAIM_CNF)?, 1)?;
        let role = integer(claim(claims, CLAIM_ROLE)?)?;
        let areas = claim(claims, CLAIM_AREAS)?.as_array()?;
        if areas.len() > CERT_AREAS_MAX {
            return None;
        }
        Some(Self {
            programme,
            issuer,
            device: DeviceKey::from_slice(claim(key, -2)?.as_bytes()?)?,
            sealing: SealingPublic(
                claim(claims, CLAIM_SEALING)?.as_bytes()?.as_slice().try_into().ok()?,
            ),
            role: Role::ALL.into_iter().find(|known| known.number() == role)?,
            areas: areas
                .iter()
                .map(|area| AreaScope::from_slice(area.as_bytes()?))
                .collect::<Option<_>>()?,
            request: claim(claims, CLAIM_CTI)?.as_bytes()?.as_slice().try_into().ok()?,
            issued: Stamp(integer(claim(claims, CLAIM_IAT)?)?),
            expires: Stamp(integer(claim(claims, CLAIM_EXP)?)?),
        })
    }
}

/// The value of an integer key in a CBOR map.
fn claim(map: &Value, label: i64) -> Option<&Value> {
    let label = Value::Integer(label.into());
    map.as_map()?.iter().find(|(key, _)| *key == label).map(|(_, value)| value)
}

fn integer(value: &Value) -> Option<i64> {
    i64::try_from(i128::from(value.as_integer()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Certificate {
        Certificate {
            programme: ProgrammeId([1; 16]),
            issuer: Issuer::Certified(CertId([2; 16])),
            device: SigningKey::from_seed([3; 32]).public(),
            sealing: SealingPublic([4; 32]),
            role: Role::Worker,
            areas: vec![AreaScope::Area(AreaTag([5; 16]))],
            request: [6; 16],
            issued: Stamp(1_790_000_000),
            expires: Stamp(1_820_000_000),
        }
    }

    #[test]
    fn a_certificate_reads_back_and_verifies_with_its_issuers_key() {
        let issuer = SigningKey::from_seed([9; 32]);
        let cose = certificate().sign(&issuer).unwrap();
        let (read, signed) = Certificate::read(&cose, |_| Some(issuer.public())).unwrap();
        assert_eq!(read, certificate());
        assert!(signed.verify());
        let other = SigningKey::from_seed([8; 32]).public();
        let (_, signed) = Certificate::read(&cose, |_| Some(other)).unwrap();
        assert!(!signed.verify());
    }

    #[test]
    fn no_changed_byte_passes_unnoticed() {
        let issuer = SigningKey::from_seed([9; 32]);
        let cose = certificate().sign(&issuer).unwrap();
        for at in 0..cose.len() {
            let mut changed = cose.clone();
            changed[at] ^= 1;
            let accepted = Certificate::read(&changed, |_| Some(issuer.public()))
                .is_ok_and(|(_, signed)| signed.verify());
            assert!(!accepted, "byte {at}");
        }
        let mut longer = cose;
        longer.push(0);
        assert!(Certificate::read(&longer, |_| Some(issuer.public())).is_err());
    }

    #[test]
    fn an_authority_issues_only_within_its_areas() {
        let inside = certificate();
        let authority = |areas| Certificate { role: Role::Authority, areas, ..certificate() };
        let catchment = AreaTag([5; 16]).catchment();
        assert_eq!(inside.check_issuer(&authority(vec![AreaScope::Catchment(catchment)])), Ok(()));
        let elsewhere = authority(vec![AreaScope::Catchment(CatchmentTag([6; 8]))]);
        assert_eq!(inside.check_issuer(&elsewhere), Err(CertificateError::OutsideIssuer));
        assert_eq!(inside.check_issuer(&inside), Err(CertificateError::NotAnAuthority));
    }
}
