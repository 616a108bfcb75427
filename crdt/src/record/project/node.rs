//! FHIR as JSON text: members in the order given, and nothing that is empty, which FHIR forbids.

use std::collections::BTreeSet;

use super::Projected;
use crate::record::fhir::json::{put_array, put_object, quote};
use crate::time::Stamp;

/// Seconds of the years 1 to 9999, which FHIR R4 can write.
const INSTANTS: core::ops::Range<i64> = -62_135_596_800..253_402_300_800;

/// A resource of this type and id.
pub(super) fn resource(
    kind: &'static str,
    id: &str,
    members: impl IntoIterator<Item = (&'static str, Option<Node>)>,
) -> Projected {
    let head = [("resourceType", Some(Node::text(kind))), ("id", Some(Node::text(id)))];
    let mut text = String::new();
    Node::object(head.into_iter().chain(members)).render(&mut text);
    Projected { key: format!("{kind}/{id}"), text, sources: BTreeSet::new() }
}

/// A CodeableConcept of these codings, and what they say together.
pub(super) fn concept(codings: impl IntoIterator<Item = Node>, text: Option<&str>) -> Node {
    Node::object([("coding", Node::list(codings)), ("text", text.map(Node::text))])
}

/// A Coding.
pub(super) fn coding(system: &str, code: &str, display: Option<&str>) -> Node {
    Node::object([
        ("system", Some(Node::text(system))),
        ("code", Some(Node::text(code))),
        ("display", display.map(Node::text)),
    ])
}

/// A CodeableConcept of one code of `terminology.hl7.org`.
pub(super) fn hl7(system: &str, code: &str) -> Node {
    concept([coding(&format!("http://terminology.hl7.org/CodeSystem/{system}"), code, None)], None)
}

/// A Reference to a resource.
pub(super) fn reference(to: &str) -> Node {
    Node::object([("reference", Some(Node::text(to)))])
}

/// A Reference to somebody of whom only the name is known.
pub(super) fn display(name: &str) -> Node {
    Node::object([("display", Some(Node::text(name)))])
}

/// JSON to be written, members in the order given.
#[derive(Clone)]
pub(super) enum Node {
    Raw(String),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(&'static str, Self)>),
}

crate::debug_shows!(
    enum Node {
        Raw,
        Text,
        Array,
        Object,
    }
);

impl Node {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// When something happened; `None` beyond what FHIR can write.
    pub(super) fn instant(at: Stamp) -> Option<Self> {
        INSTANTS.contains(&at.0).then(|| Self::Text(at.to_string()))
    }

    /// Leaves out what is empty.
    pub(super) fn object(members: impl IntoIterator<Item = (&'static str, Option<Self>)>) -> Self {
        let members = members.into_iter().filter_map(|(name, node)| Some((name, node?)));
        Self::Object(members.filter(|(_, node)| !node.is_empty()).collect())
    }

    /// An array of what is not empty; `None` if nothing is left.
    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Option<Self> {
        let items: Vec<Self> = items.into_iter().filter(|item| !item.is_empty()).collect();
        (!items.is_empty()).then_some(Self::Array(items))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Object(members) => members.is_empty(),
            Self::Array(items) => items.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Raw(_) => false,
        }
    }

    fn render(&self, out: &mut String) {
        match self {
            Self::Raw(text) => out.push_str(text),
            Self::Text(text) => quote(out, text),
            Self::Array(items) => put_array(out, items, |out, item| item.render(out)),
            Self::Object(members) => {
                let members = members.iter().map(|(name, node)| (*name, node));
                put_object(out, members, |out, node| node.render(out));
            }
        }
    }
}
