//! FHIR resources of one record, as a server would get them: by its id, or by the place of one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandId, PlacedResource, Reply, ResourceScope};
use super::gateway::table;
use super::state::ChangeRow;
use super::write::stored_changes;
use crate::id::{Head, Origin, RecordId};
use crate::record::{Document, Forms, project, server};
use crate::store::{Range, Table};

/// Records that are looked through in one step for a place. // guess: tens of milliseconds on a phone
const SEARCHED_AT_ONCE: usize = 64;

impl Node {
    pub(super) fn resources(&mut self, id: CommandId, of: ResourceScope) {
        match of {
            ResourceScope::Record(record) => self.resources_of(id, record),
            ResourceScope::Place(place) => {
                // Of a Patient made here it is the record's own id.
                let own = place.split_once('/').and_then(|(_, id)| id.parse::<RecordId>().ok());
                let own = own.filter(|own| self.reads(*own));
                self.find_place(id, place, own.into_iter().collect(), None);
            }
        }
    }

    fn reads(&self, record: RecordId) -> bool {
        self.reader.as_ref().is_some_and(|reader| reader.visible(record).is_some())
    }

    fn resources_of(&mut self, id: CommandId, record: RecordId) {
        let forms = self.forms_of(record);
        self.gather(vec![Range::prefix(Table::Changes, record.0)], move |node, rows| {
            let work = move || {
                let mut stored = stored_changes(&rows);
                placed(record, &stored.remove(&record).unwrap_or_default(), &forms)
            };
            node.work("project", work, move |node, resources| {
                node.give_resources(id, record, resources);
            });
        });
    }

    /// Gives them, if the record may still be shown: meanwhile the reader may have been locked.
    fn give_resources(&mut self, id: CommandId, record: RecordId, resources: Vec<PlacedResource>) {
        if self.reader.is_none() {
            return self.refuse_locked(id);
        }
        if !self.reads(record) {
            let message = format!("no record {record} on this device");
            return self.refuse(id, "unknown_record", &message, "`huza person find` finds its id");
        }
        self.reply(id, Reply::Resources { record, resources });
    }

    /// Looks for a place in `records`, then in those behind `after`; none: in all.
    fn find_place(
        &mut self,
        id: CommandId,
        place: String,
        records: Vec<RecordId>,
        after: Option<RecordId>,
    ) {
        let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
        let with_forms = |record: &RecordId| (*record, self.forms_of(*record));
        let forms: BTreeMap<RecordId, Forms> = records.iter().map(with_forms).collect();
        self.gather(records.iter().map(prefix).collect(), move |node, rows| {
            let work = move || {
                let all = stored_changes(&rows).into_iter();
                let mut all = all.filter_map(|(record, changes)| {
                    Some((record, placed(record, &changes, forms.get(&record)?)))
                });
                let found = all.find(|(_, one)| one.iter().any(|one| one.place == place));
                (found, place)
            };
            node.work("find resource", work, move |node, (found, place)| match found {
                Some((record, resources)) if node.reads(record) => {
                    node.reply(id, Reply::Resources { record, resources });
                }
                _ => node.find_place_behind(id, place, after),
            });
        });
    }

    fn find_place_behind(&mut self, id: CommandId, place: String, after: Option<RecordId>) {
        if self.reader.is_none() {
            return self.refuse_locked(id);
        }
        let from = after.unwrap_or(RecordId([0; 16]));
        let all = self.reader.iter().flat_map(|reader| reader.visible_from(from));
        let rest = all.filter(|record| Some(*record) != after);
        let records: Vec<RecordId> = rest.take(SEARCHED_AT_ONCE).collect();
        let Some(last) = records.last().copied() else {
            let message = format!("no resource {place} on this device");
            return self.refuse(id, "unknown_resource", &message, "a search lists what is here");
        };
        self.find_place(id, place, records, Some(last));
    }
}

/// Everything that a record shows.
fn placed(record: RecordId, changes: &[(Origin, ChangeRow)], forms: &Forms) -> Vec<PlacedResource> {
    let raw = changes.iter().map(|(origin, row)| (*origin, &row.raw));
    let document = Document::from_changes(record, raw);
    let view = document.view();
    let shown = project(&view, forms);
    let (table, _) = table(record, &view, &shown);
    let known = table.into_iter().filter_map(|(name, place)| Some((name, place?)));
    let known: BTreeMap<String, String> = known.collect();
    let mut all: Vec<PlacedResource> = shown
        .iter()
        .filter_map(|one| {
            let place = server::place(record, &one.key);
            let heads: BTreeSet<Head> =
                one.sources.iter().filter_map(|origin| document.head(*origin)).collect();
            let mut references = known.clone();
            // What says by itself where it is.
            let plain = server::references(&one.text).into_iter();
            let plain = plain.filter(|name| server::place(record, name) == *name);
            for name in plain {
                references.entry(name.clone()).or_insert(name);
            }
            let text = server::addressed(&one.text, &place, &heads, &references, |_| true).ok()?;
            Some(PlacedResource { place, text, imported: view.resources.contains_key(&one.key) })
        })
        .collect();
    all.sort_by(|a, b| a.place.cmp(&b.place));
    all
}
