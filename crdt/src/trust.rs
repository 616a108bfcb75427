//! Who may do what: certificates, the authority that issues them, the keys that grants carry.
//!
//! - [`Certificate`]: COSE_Sign1 over CWT claims, chained up to the programme's key.
//! - [`authority`]: what a person with an authority device does: approve a device, grant keys.
//! - [`recovery`]: giving a device back to a worker who has lost the secret.
//! - [`Keyring`]: the reading keys a reader has been granted, and what each opens.

pub mod authority;
mod certificate;
mod keyring;
pub mod recovery;

pub use certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
pub use keyring::{
    AreaKey, AreaName, CatchmentSecret, GrantContent, Keyring, directory_area, directory_key,
    epoch_of, sealing_of,
};
