//! Whose a resource is: references resolved, the patient compartment, and what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use super::identity;
use super::json::Json;
use super::tables::{ABOUT, patient_paths};
use super::{Draft, Owner, owned_uuid};
use crate::id::RecordId;

/// What a reference points at.
enum Target {
    /// Another entry, by index.
    Entry(usize),
    /// A Patient that is not in the bundle.
    Person(Owner),
}

struct Index<'a> {
    drafts: &'a [Draft<'a>],
    by_url: BTreeMap<&'a str, usize>,
    by_uuid: BTreeMap<uuid::Uuid, usize>,
    /// `Type/id` -> entries; several only where several sources meet in one bundle.
    by_local: BTreeMap<(&'a str, &'a str), Vec<usize>>,
}

/// The owner of each draft, in their order.
pub(super) fn owners(drafts: &[Draft<'_>]) -> Vec<Option<Owner>> {
    let index = Index::new(drafts);
    let mut owners: Vec<Option<Owner>> = drafts
        .iter()
        .map(|draft| match draft.kind.as_str() {
            "Patient" => Some(patient(draft)),
            _ => index.compartment(draft),
        })
        .collect();
    // What refers to something owned follows it; at most as often as there are entries.
    for _ in 0..drafts.len() {
        let found: Vec<(usize, Owner)> = drafts
            .iter()
            .enumerate()
            .filter(|(at, draft)| {
                owners.get(*at).is_some_and(Option::is_none) && !ambiguous(draft, &index)
            })
            .filter_map(|(at, draft)| Some((at, index.about(draft, &owners)?)))
            .collect();
        if found.is_empty() {
            break;
        }
        for (at, owner) in found {
            if let Some(slot) = owners.get_mut(at) {
                *slot = Some(owner);
            }
        }
    }
    owners
}

/// The record and key of a Patient in the bundle.
fn patient(draft: &Draft<'_>) -> Owner {
    person(identity::by_identifiers_of(&draft.json), draft.global, &draft.source, &draft.id)
}

fn person(known: Option<RecordId>, global: Option<uuid::Uuid>, source: &str, id: &str) -> Owner {
    let record = known.unwrap_or_else(|| {
        let local = format!("Patient/{id}");
        identity::record(global.unwrap_or_else(|| identity::derive(&["source", source, &local])))
    });
    let uuid = global.unwrap_or_else(|| owned_uuid(source, record, "Patient", id));
    Owner { record, key: format!("Patient/{uuid}") }
}

/// Whether the compartment names several people: then nothing else decides.
fn ambiguous(draft: &Draft<'_>, index: &Index<'_>) -> bool {
    patient_paths(&draft.kind).iter().any(|path| index.people_at(draft, path).len() > 1)
}

impl<'a> Index<'a> {
    fn new(drafts: &'a [Draft<'a>]) -> Self {
        let mut index = Self {
            drafts,
            by_url: BTreeMap::new(),
            by_uuid: BTreeMap::new(),
            by_local: BTreeMap::new(),
        };
        for (at, draft) in drafts.iter().enumerate() {
            if let Some(url) = &draft.full_url {
                index.by_url.entry(url).or_insert(at);
            }
            if let Some(uuid) = draft.global {
                index.by_uuid.entry(uuid).or_insert(at);
            }
            index.by_local.entry((&draft.kind, &draft.id)).or_default().push(at);
        }
        index
    }

    /// The one person in whose compartment the draft is, by the first path that names any.
    fn compartment(&self, draft: &Draft<'_>) -> Option<Owner> {
        patient_paths(&draft.kind)
            .iter()
            .map(|path| self.people_at(draft, path))
            .find(|people| !people.is_empty())
            .filter(|people| people.len() == 1)
            .and_then(|people| people.into_iter().next())
    }

    fn people_at(&self, draft: &Draft<'_>, path: &str) -> BTreeSet<Owner> {
        draft
            .json
            .at(path)
            .into_iter()
            .filter_map(|reference| self.target(draft, reference, path))
            .filter_map(|target| match target {
                Target::Person(owner) => Some(owner),
                Target::Entry(at) => {
                    self.drafts.get(at).filter(|target| target.kind == "Patient").map(patient)
                }
            })
            .collect()
    }

    /// The one owner of all entries that the draft is about, if all of them have it.
    fn about(&self, draft: &Draft<'_>, owners: &[Option<Owner>]) -> Option<Owner> {
        let targets: Vec<Target> = ABOUT
            .iter()
            .chain(patient_paths(&draft.kind))
            .flat_map(|path| draft.json.at(path).into_iter().map(move |at| (at, *path)))
            .filter_map(|(reference, path)| self.target(draft, reference, path))
            .collect();
        let all: Option<BTreeSet<Owner>> = targets
            .into_iter()
            .filter(|target| !self.is_directory(target))
            .map(|target| match target {
                Target::Person(owner) => Some(owner),
                Target::Entry(at) => owners.get(at).cloned().flatten(),
            })
            .collect();
        all.filter(|all| all.len() == 1).and_then(|people| people.into_iter().next())
    }

    fn is_directory(&self, target: &Target) -> bool {
        match target {
            Target::Entry(at) => self
                .drafts
                .get(*at)
                .is_some_and(|draft| super::tables::DIRECTORY.contains(&draft.kind.as_str())),
            Target::Person(_) => false,
        }
    }

    fn target(&self, from: &Draft<'_>, reference: &Json<'_>, path: &str) -> Option<Target> {
        let Some(url) = reference.get("reference").and_then(Json::as_str) else {
            return self.logical(reference);
        };
        // Contained resources are part of the one that contains them.
        if url.starts_with('#') {
            return None;
        }
        if let Some(at) = self.by_url.get(url) {
            return Some(Target::Entry(*at));
        }
        if let Some(query) = url.strip_prefix("Patient?identifier=") {
            let (system, value) = query.split_once('|')?;
            let record = identity::by_identifier(core::iter::once((system, value)))?;
            return Some(self.person_known_by(record));
        }
        if let Some(uuid) = identity::urn_uuid(url) {
            return self.by_uuid.get(&uuid).map(|at| Target::Entry(*at)).or_else(|| {
                let named = reference.get("type").and_then(Json::as_str);
                let likely = matches!(path, "patient" | "subject" | "beneficiary" | "for");
                (named == Some("Patient") || named.is_none() && likely)
                    .then(|| Target::Person(person(None, Some(uuid), "", "")))
            });
        }
        let (base, kind, id) = identity::split_absolute(url)
            .map(|(base, kind, id)| (Some(base), kind, id))
            .or_else(|| identity::split_relative(url).map(|(kind, id)| (None, kind, id)))?;
        self.named(from, base, kind, id)
    }

    /// `Type/id` of some server: `base`, or else that of the resource that refers.
    fn named(&self, from: &Draft<'_>, base: Option<&str>, kind: &str, id: &str) -> Option<Target> {
        let own_base = from.full_url.as_deref().and_then(identity::split_absolute);
        let base = base.or(own_base.map(|(base, _, _)| base));
        let same_base = base.map(|base| format!("{base}/{kind}/{id}"));
        if let Some(at) = same_base.and_then(|url| self.by_url.get(url.as_str())) {
            return Some(Target::Entry(*at));
        }
        let uuid = identity::as_uuid(id);
        let near = self.by_local.get(&(kind, id)).map(Vec::as_slice).unwrap_or_default();
        let near = near.iter().copied().filter(|at| {
            // An id of another server is another resource, unless it is a UUID.
            let other = self.drafts.get(*at).and_then(|draft| draft.full_url.as_deref());
            let other = other.and_then(identity::split_absolute).map(|(base, _, _)| base);
            uuid.is_some() || base.zip(other).is_none_or(|(base, other)| base == other)
        });
        let mut near: Vec<usize> = near.collect();
        if let (Some(at), true) = (near.pop(), near.is_empty()) {
            return Some(Target::Entry(at));
        }
        let source = base.filter(|_| own_base.is_none()).unwrap_or(&from.source);
        (kind == "Patient").then(|| Target::Person(person(None, uuid, source, id)))
    }

    /// A reference by identifier alone, if that names one person in the country.
    fn logical(&self, reference: &Json<'_>) -> Option<Target> {
        let identifier = reference.get("identifier")?;
        let text = |name| identifier.get(name).and_then(Json::as_str);
        let pair = (text("system")?, text("value")?);
        Some(self.person_known_by(identity::by_identifier(core::iter::once(pair))?))
    }

    /// The person of a record: the Patient of the bundle, if it is there.
    fn person_known_by(&self, record: RecordId) -> Target {
        let here = self.drafts.iter().position(|draft| {
            draft.kind == "Patient" && identity::by_identifiers_of(&draft.json) == Some(record)
        });
        here.map_or_else(
            || Target::Person(Owner { record, key: format!("Patient/{record}") }),
            Target::Entry,
        )
    }
}
