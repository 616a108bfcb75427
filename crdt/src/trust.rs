//! Who may do what: certificates, the authority that issues them, the keys that grants carry.
//!
//! - [`Certificate`]: COSE_Sign1 over CWT claims, chained up to the programme's key.
//! - [`approval`]: how a device joins.
//! - [`paper`]: the keys of a programme, a district, a health centre, which people lock away.
//! - [`recovery`]: giving a device back to a worker who has lost the secret.
//! - [`Keyring`]: the reading keys a reader has been granted, and what each opens.

pub mod approval;
mod certificate;
mod keyring;
pub mod paper;
pub mod recovery;

pub use certificate::{AreaScope, Certificate, CertificateError, Issuer, Role};
pub use keyring::{
    AreaKey, AreaName, CatchmentSecret, GrantContent, Keyring, Predecessor, directory_area,
    directory_key, epoch_of, seal_rung, sealing_of,
};
