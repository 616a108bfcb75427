//! The control lane: the small set of signed statements that every member can read.
//!
//! A [`Statement`] is what travels and is kept; a [`Body`] is what it says; the [`Lane`] is the
//! set of those accepted so far, with the rules by which one is accepted.

mod body;
mod lane;
mod statement;

pub use body::{Body, Grant, Opening, PublishedKey, Receipt, ReceiptKind, ReceiptRange, kind};
pub use lane::{Admitted, Candidates, Lane, LaneError, programme_id};
pub use statement::{Scope, Statement, StatementError};
