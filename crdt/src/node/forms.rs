//! The forms that were published: which are filled and read in which area, and records with visits
//! whose form came later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Node;
use super::api::{CommandId, PublishedForm, Reply};
use super::gateway::{NOW, name_key};
use super::state::SummaryRow;
use super::write::stored_changes;
use crate::audit::Action;
use crate::codec;
use crate::control::{Lane, Scope, form_body, form_text, kind};
use crate::id::{AreaTag, CatchmentTag, RecordId, StatementId};
use crate::record::{Form, Forms, view_of};
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::trust::{AreaScope, Role};

/// Records that are listed anew in one write. // as many as are filed in one
const LISTED_AT_ONCE: usize = 128;

/// What was published and counts, as forms.
#[derive(Default)]
pub(super) struct Published {
    /// Every statement that was looked at; none: this version cannot read it.
    read: BTreeMap<StatementId, Option<Arc<Form>>>,
    /// Those that count, with the health centre for which each was published, or for all.
    counted: BTreeSet<(Option<CatchmentTag>, StatementId)>,
    /// For health centres that published none of their own.
    common: Forms,
    /// For the others. The programme's forms come behind the centre's, so that of one version they
    /// are filled.
    of: BTreeMap<CatchmentTag, Forms>,
    /// How often they have changed.
    pub(super) changes: u64,
}

impl Published {
    /// The forms of a health centre.
    pub(super) fn at(&self, catchment: CatchmentTag) -> &Forms {
        self.of.get(&catchment).unwrap_or(&self.common)
    }

    /// Follows the lane. Whether anything changed.
    fn follow(&mut self, lane: &Lane) -> bool {
        let statements = lane.forms().filter(|statement| lane.is_in_force(statement));
        let counted = statements.map(|statement| {
            let id = statement.id();
            let read = || Form::read(&form_text(statement)?).ok().map(Arc::new);
            self.read.entry(id).or_insert_with(read);
            match statement.scope() {
                Scope::Programme => (None, id),
                Scope::Catchment(tag) => (Some(tag), id),
            }
        });
        let counted: BTreeSet<_> = counted.collect();
        if counted == self.counted {
            return false;
        }
        let of = |wanted: Option<CatchmentTag>| {
            let mine = counted.iter().filter(move |(tag, _)| *tag == wanted);
            mine.filter_map(|(_, id)| self.read.get(id)?.clone()).collect::<Vec<_>>()
        };
        let centres: BTreeSet<CatchmentTag> = counted.iter().filter_map(|(tag, _)| *tag).collect();
        self.common = Forms::built_in().with(of(None));
        let centre = |tag: CatchmentTag| Forms::built_in().with(of(Some(tag))).with(of(None));
        self.of = centres.into_iter().map(|tag| (tag, centre(tag))).collect();
        self.counted = counted;
        self.changes += 1;
        true
    }
}

impl Node {
    /// The forms that are filled and read in an area.
    pub(super) fn forms(&self, area: AreaTag) -> Forms {
        self.carrier.published.at(area.catchment()).clone()
    }

    /// The forms by which a record that is listed is read.
    pub(super) fn forms_of(&self, record: RecordId) -> Forms {
        let area = self.reader.as_ref().and_then(|reader| reader.listing.area(&record));
        area.map_or_else(Forms::built_in, |area| self.forms(area))
    }

    /// Every form that was published.
    pub(super) fn published_forms(&mut self, id: CommandId) {
        let all = self.carrier.lane.iter().flat_map(|lane| {
            lane.forms().map(|statement| (statement, lane.is_in_force(statement)))
        });
        let forms = all.filter_map(|(statement, counts)| {
            let centre = match statement.scope() {
                Scope::Programme => None,
                Scope::Catchment(tag) => Some(self.scope_name(&AreaScope::Catchment(tag))),
            };
            Some(PublishedForm { text: form_text(statement)?, centre, counts })
        });
        let forms = forms.collect();
        self.reply(id, Reply::Forms { forms });
    }

    /// Publishes a form for every health centre of this authority device.
    pub(super) fn publish(&mut self, id: CommandId, text: &str) {
        let mine = self.carrier.certificate().map(|known| known.areas.clone()).unwrap_or_default();
        let scopes: Vec<Scope> = mine
            .iter()
            .filter_map(|area| match area {
                AreaScope::Programme => Some(Scope::Programme),
                AreaScope::Catchment(tag) => Some(Scope::Catchment(*tag)),
                AreaScope::Area(_) => None,
            })
            .collect();
        let hint = "nothing was published; correct the file and publish it again";
        let form = match Form::read(text) {
            Ok(form) => form,
            Err(error) => return self.decline_order(id, "bad_form", &error.to_string(), hint),
        };
        let Some(body) = form_body(text) else {
            let message = "this form is too long to travel, even when it is packed";
            return self.decline_order(id, "form_too_long", message, hint);
        };
        for scope in &scopes {
            if let Err((code, message)) = self.may_publish(*scope, &form) {
                return self.decline_order(id, code, &message, hint);
            }
        }
        let name = form.name();
        self.audit_alone(Action::Published, name.to_string(), move |node| {
            let mut change = node.change();
            for scope in scopes {
                node.issue(&mut change, scope, kind::FORM, body.clone());
            }
            if change.added.is_empty() {
                let message = "this device has published as many forms as one may";
                let hint = "use another authority device of the health centre";
                return node.decline_order(id, "too_many_forms", message, hint);
            }
            let done = format!("published: form {} version {}", name.id, name.version);
            node.finish_order(id, change, vec![done]);
        });
    }

    /// Whether a form goes with those that are known: a version is never given twice.
    fn may_publish(&self, scope: Scope, form: &Form) -> Result<(), (&'static str, String)> {
        let known = match scope {
            Scope::Programme => &self.carrier.published.common,
            Scope::Catchment(tag) => self.carrier.published.at(tag),
        };
        let (id, version) = (&form.id, form.version);
        if let Some(latest) = known.latest(id).filter(|latest| version <= latest.version) {
            let message = format!(
                "form {id} is at version {} already; give the changed one version {}",
                latest.version,
                latest.version + 1
            );
            return Err(("version_taken", message));
        }
        match form.strangers(known).as_slice() {
            [] => Ok(()),
            wrong => Err(("bad_form", wrong.join("; "))),
        }
    }

    /// Statements have come, or others count: so do other forms, perhaps.
    pub(super) fn follow_forms(&mut self) {
        let Some(lane) = &self.carrier.lane else { return };
        if self.carrier.published.follow(lane) {
            self.list_unread();
        }
    }

    /// Records with visits that could not be read are listed anew, for their forms may have come.
    pub(super) fn list_unread(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.relist = reader.listing.unread().collect();
    }

    /// Whether there are such records.
    pub(super) fn must_relist(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.relist.is_empty())
    }

    /// Lists the next of them.
    pub(super) fn relist(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        reader.busy = true;
        let records: BTreeSet<RecordId> =
            reader.relist.iter().copied().take(LISTED_AT_ONCE).collect();
        reader.relist.retain(|record| !records.contains(record));
        let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
        self.gather(records.iter().map(prefix).collect(), Self::relist_stored);
    }

    fn relist_stored(&mut self, rows: Vec<Vec<Row>>) {
        let areas = self.reader.as_ref().map(|reader| &reader.listing);
        let stored = stored_changes(&rows).into_iter();
        let listed = stored.filter_map(|(record, changes)| {
            let area = areas?.area(&record)?;
            let raw = changes.iter().map(|(origin, row)| (*origin, row.raw.as_slice()));
            let row = SummaryRow::of(area, &view_of(record, raw), &self.forms(area));
            // Nothing is told anew of those that cannot be read now either.
            (!row.unread).then_some(row)
        });
        let listed: Vec<SummaryRow> = listed.collect();
        let mut batch = Batch::default();
        let gateway = self.role() == Some(Role::Gateway);
        for row in &listed {
            let record = row.summary.record;
            batch.put(Table::Summaries, record.0, codec::encode(row));
            if gateway {
                batch.put(Table::Awaited, name_key(NOW, record), []);
            }
        }
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                for row in &listed {
                    reader.listing.insert(row);
                }
                if gateway {
                    let read = listed.iter().map(|row| row.summary.record);
                    reader.awaited.entry(NOW).or_default().extend(read);
                }
                reader.filings += 1;
            }
            node.reader_idle();
        });
    }
}
