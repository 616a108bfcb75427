//! The control lane: the small set of signed statements that every member can read.
//!
//! A [`Statement`] is what travels and is kept; a [`Body`] is what it says; the [`Lane`] is the
//! set of those accepted so far, with the rules by which one is accepted.

mod body;
mod erased;
mod home;
mod keys;
mod lane;
mod needs;
mod rules;
mod standing;
mod statement;

pub use body::{
    Admission, Body, CutOff, EnvelopePlace, Erasure, Grant, Opening, ProgrammeTime, PublishedKey,
    Reason, Receipt, ReceiptKind, ReceiptRange, Revocation, Rung, form_body, form_text, kind,
};
pub use home::Home;
pub use lane::{Admitted, Candidates, Lane, LaneError, programme_id};
pub use standing::{Quarantine, Revoked, Standing};
pub use statement::{Scope, Statement, StatementError};
