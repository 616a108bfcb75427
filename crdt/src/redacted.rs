//! Keeping what is personal or secret out of what is printed: logs are public.
//!
//! Two tools, both hiding *by default*:
//!
//! - [`Redacted`] wraps one value, such as the answer that an error quotes. It prints as
//!   `[redacted]`; whoever wants the value says [`Redacted::reveal`], and can be found by that
//!   word. The `Display` of an error about what a user typed reveals, because it is for that
//!   user's own screen; its `Debug` does not, because that is what ends up in logs and panics.
//! - [`debug_shows!`](crate::debug_shows) writes the `Debug` of a whole type. It shows the fields
//!   that are named and nothing else, so that a field added later is hidden until somebody decides
//!   that it may be seen.
//!
//! What counts as personal: names, identifiers, dates of birth, answers, texts of resources, who
//! the worker is, and every id derived from them, which is why [`crate::id::RecordId`] hides
//! itself. The name of an area ([`crate::trust::AreaName`]) says where a person lives and hides
//! itself too; its opaque tag may be seen. Ids of devices, logs, certificates and statements may be
//! seen, shortened.
//!
//! What this deliberately does not do: it does not wipe memory (see [`crate::crypto`] for keys),
//! and it does not touch `Serialize`, which stores and sends values as they are.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a hidden value prints as.
const HIDDEN: &str = "[redacted]";

/// A value that does not print. It is stored, sent, compared and ordered as the value itself.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// The value, to be shown to whom it belongs.
    #[must_use]
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Writes the `Debug` of a type so that it shows the fields that are named and no others.
///
/// A field may be followed by a function of a reference to it, whose result is shown instead:
/// `bytes: Vec::len`. Of an enum every variant is named, so that a new one needs a decision; `(x)`
/// shows the content of a tuple variant. A type may have one lifetime.
///
/// ```
/// struct Visit {
///     id: u64,
///     answers: Vec<String>,
///     worker: String,
/// }
/// huza_crdt::debug_shows!(struct Visit { id, answers: Vec::len });
///
/// let visit = Visit { id: 7, answers: vec!["fever".into()], worker: "Keza".into() };
/// assert_eq!(format!("{visit:?}"), "Visit { id: 7, answers: 1, .. }");
/// # let _ = visit.worker;
/// ```
#[macro_export]
macro_rules! debug_shows {
    (struct $name:ident $(<$life:lifetime>)? { $($field:tt $(: $as:expr)?),* $(,)? }) => {
        impl ::core::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), $crate::debug_shows!(@ &self.$field $(, $as)?)))*
                    .finish_non_exhaustive()
            }
        }
    };
    (enum $name:ident $(<$life:lifetime>)? { $(
        $variant:ident
            $(($inner:ident))?
            $({ $($field:ident $(: $as:expr)?),* $(,)? })?
    ),* $(,)? }) => {
        impl ::core::fmt::Debug for $name $(<$life>)? {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    $(Self::$variant { $(0: $inner,)? $($($field,)*)? .. } => $crate::debug_shows!(
                        @variant f, $variant $(($inner))? $({ $($field $(: $as)?),* })?
                    ),)*
                }
            }
        }
    };
    (@variant $f:ident, $variant:ident) => { $f.write_str(stringify!($variant)) };
    (@variant $f:ident, $variant:ident ($inner:ident)) => {
        $f.debug_tuple(stringify!($variant)).field($inner).finish()
    };
    (@variant $f:ident, $variant:ident { $($field:ident $(: $as:expr)?),* }) => {
        $f.debug_struct(stringify!($variant))
            $(.field(stringify!($field), $crate::debug_shows!(@ $field $(, $as)?)))*
            .finish_non_exhaustive()
    };
    (@ $value:expr) => { $value };
    (@ $value:expr, $as:expr) => { &$as($value) };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Person<'a> {
        number: u8,
        name: &'a str,
    }
    debug_shows!(struct Person<'_> { number });

    enum Said<'a> {
        Nothing,
        Word(&'a str),
        Number(u8),
        Both { name: &'a str, bytes: Vec<u8> },
    }
    debug_shows!(
        enum Said<'_> {
            Nothing,
            Word,
            Number(it),
            Both { bytes: Vec::len },
        }
    );

    #[test]
    fn a_redacted_value_does_not_print_and_is_otherwise_itself() {
        let name = Redacted::from("Uwase".to_owned());
        assert_eq!(format!("{name:?} {name} {name:#?} {name:>20}"), [HIDDEN; 4].join(" "));
        assert_eq!(name.reveal(), "Uwase");
        let json = serde_json::to_string(&name).unwrap();
        assert_eq!(json, "\"Uwase\"");
        assert_eq!(serde_json::from_str::<Redacted<String>>(&json).unwrap(), name);
        assert_eq!(crate::codec::encode(&name), crate::codec::encode("Uwase"));
        assert_eq!(name.into_inner(), "Uwase");
    }

    #[test]
    fn only_what_is_named_is_shown() {
        let person = Person { number: 7, name: "Uwase" };
        assert_eq!(format!("{person:?}"), "Person { number: 7, .. }");
        assert_eq!(person.name, "Uwase");
        let said = [
            Said::Nothing,
            Said::Word("Uwase"),
            Said::Number(3),
            Said::Both { name: "Uwase", bytes: vec![0; 4] },
        ];
        let wanted = "[Nothing, Word, Number(3), Both { bytes: 4, .. }]";
        assert_eq!(format!("{said:?}"), wanted);
        for one in &said {
            if let Said::Word(name) | Said::Both { name, .. } = one {
                assert_eq!(*name, "Uwase");
            }
        }
    }
}
