//! Records: what one person (or household, notice, directory entry) is, how it is changed, merged,
//! shown, checked, imported and projected.
//!
//! Enter at [`Document`]: one record is one Automerge document with four root maps ([`Root`]),
//! made by one constant genesis change ([`genesis`]). Below the maps there is no nested object:
//! keys are flat strings and values are strings, so that no replica can hide another's content by
//! creating "the same" object twice.
//!
//! ```text
//! person     name/given, name/family, sex, birth-date, village, identifier/<system>|<value>, ...
//! visits     <visit uuid>/{form, version, occurred, worker, answer/<field>, void}
//! resources  <Type>/<uuid>   one FHIR R4 resource as JSON text
//! links      <record uuid>   kind of link, behind `: ` the reason if one was given
//! ```
//!
//! Invariants, for every change of a document but genesis:
//! - its actor is derived from its [`Origin`], its seq is 1, its message names the worker;
//! - it only puts strings under keys of the four maps (no deletion, no nested object);
//! - what it replaces is exactly what its dependencies show under that key;
//! - its first operation number follows the largest one among its dependencies, so that nobody can
//!   win a conflict, or exhaust the numbers, by counting high.
//!
//! A change that breaks one of them is set aside with the reason, and the rest go on.
//!
//! What this module does not do: store, sign, seal, decide who may write, or ask the time.
//!
//! [`Origin`]: crate::id::Origin

mod added;
mod card;
mod chunk;
mod document;
mod edit;
mod fhir;
mod form;
mod forms;
mod genesis;
mod link;
mod message;
mod number;
mod ops;
mod packed;
mod project;
mod reminder;
mod same;
mod screen;
mod short;
mod sound;
mod summary;
mod validate;
mod view;

pub use added::view_of;
pub use card::{Card, card};
pub use chunk::ChunkError;
pub(crate) use chunk::{Reader, put_uleb};
pub use document::{Document, SetAside, WriteError};
pub use edit::{Edit, EditError, Root, batches};
pub use fhir::{
    Import, ImportError, ImportProblem, ImportRun, Incoming, JsonError, Place, ProblemReason,
    SUGGESTED_SAME_PERSON, disambiguate, edits_by_record, read_bundle, separate_record,
};
pub use form::{
    Advice, Choice, Code, Comparison, Condition, DangerRule, End, Field, FieldType, FollowUp, Form,
    FormError, FormName, Label, Language, Range,
};
pub use forms::{Forms, form, form_text};
pub use genesis::{genesis, genesis_hash};
pub(crate) use link::without_answered;
pub use link::{Link, Said, Standing};
pub use message::{Message, has_message, messages};
pub(crate) use number::is_partial_date;
pub use packed::{PackError, pack, unpack};
pub use project::{Projected, linked, patient_key, project, project_among, server};
pub use reminder::{Due, Reminder, reminders};
pub use same::{Likeness, OFFERED, PEOPLE, Reason, Traits, alike};
pub use screen::SetAsideReason;
pub(crate) use short::Before;
pub use summary::{Demographics, Summary, is_unread};
pub(crate) use summary::{Query, Texts};
pub use validate::{Checked, Danger, FieldError, FieldProblem, FieldWarning, check};
pub use view::{RecordView, Shown, Value, VisitView};

use crate::limits::{
    CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGE_OPS_MAX, KEY_BYTES_MAX, WORKER_BYTES_MAX,
};
