//! Commands that write: a person, a visit, an import. Each is durable before it is answered.

mod amend;

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{AreaRef, Command, CommandId, Duplicate, Reply};
use super::state::{
    ChangeRow, PendingRow, Reader, SummaryRow, change_key, log_key, read_change_key,
};
use crate::codec;
use crate::id::{AreaTag, LogId, Origin, RecordId, VisitId};
use crate::limits::{ENVELOPE_BYTES_TARGET, PENDING_MS_MAX};
use crate::record::{
    Checked, Document, Edit, FormName, Forms, Import, ImportRun, Place, batches, card, check,
    is_partial_date, read_bundle, without_answered,
};
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::time::{Millis, Stamp};
use crate::trust::directory_area;

/// The form of a message to everybody in an area.
const NOTICE: &str = "message";

/// What a command will write.
pub(super) struct Plan {
    id: CommandId,
    worker: String,
    drafts: Vec<Draft>,
    import: Option<Imported>,
}

impl Plan {
    fn adds_person(&self) -> bool {
        let one = self.drafts.first().filter(|draft| draft.record.is_none());
        one.is_some_and(|draft| matches!(draft.content, Content::Edits(_)))
    }
}

/// What an import read.
struct Imported {
    /// Keys of its distinct resources.
    keys: Vec<String>,
    /// What was left out, and why.
    problems: Vec<String>,
    kept_apart: usize,
}

/// What it will write in one record.
pub(super) struct Draft {
    area: AreaTag,
    /// None: a record that begins now.
    record: Option<RecordId>,
    content: Content,
}

/// Where it is written: the log of an area, the counter of its next change, and the area's forms.
struct Open {
    log: LogId,
    counter: u64,
    forms: Forms,
}

enum Content {
    Edits(Vec<Edit>),
    Visit { form: FormName, checked: Checked, occurred: Stamp, name: Option<String> },
}

/// A change that was made.
struct Made {
    area: AreaTag,
    record: RecordId,
    origin: Origin,
    raw: Vec<u8>,
    card: Vec<u8>,
    /// Whether it is a message.
    alone: bool,
}

/// All that a plan made.
#[derive(Default)]
struct Outcome {
    made: Vec<Made>,
    summaries: Vec<SummaryRow>,
    visit: Option<VisitId>,
    record: Option<RecordId>,
    unchanged: usize,
}

impl Node {
    /// Starts the reader's next work, if it is idle. Whether there may be more to start.
    pub(super) fn run_reader(&mut self) -> bool {
        let Some(reader) = &mut self.reader else { return false };
        if reader.busy {
            return false;
        }
        if !reader.forgetting.is_empty() {
            self.forget();
            return true;
        }
        if reader.look_outside {
            self.forget_outside();
            return true;
        }
        if !reader.forgotten.is_subset(&reader.gone) {
            self.take_back();
            return true;
        }
        if self.carrier.lane.is_none() {
            self.finish_lock();
            return false;
        }
        let locking = !reader.locking.is_empty();
        if reader.planned.is_some() {
            self.execute_planned()
        } else if let Some((id, command)) = reader.commands.pop_front() {
            reader.busy = true;
            self.start(id, command);
            true
        } else if let Some(next) = self.must_seal() {
            self.seal(next)
        } else if self.must_file() && (!locking || !self.all_sealed()) {
            // What an earlier incarnation wrote is sealed only when everything is filed.
            let yields = self.filing_yields_until().is_some();
            if !yields {
                self.file();
            }
            !yields
        } else if self.must_relist() && !locking {
            self.relist();
            true
        } else if self.must_settle_review() {
            self.settle_review();
            true
        } else if self.must_deliver() && !locking {
            self.deliver_next();
            true
        } else {
            self.answer_seals();
            self.finish_lock();
            false
        }
    }

    /// The reader has finished what it was doing.
    pub(super) fn reader_idle(&mut self) {
        if let Some(reader) = &mut self.reader {
            reader.busy = false;
        }
    }

    /// When pending changes are sealed at the latest.
    pub(super) fn pending_deadline(&self) -> Option<Millis> {
        let idle = |reader: &&super::state::Reader| !reader.busy && !self.carrier.busy;
        let reader = self.reader.as_ref().filter(idle)?;
        if self.all_sealed() {
            return None;
        }
        Some(reader.pending_since?.plus(PENDING_MS_MAX))
    }

    fn start(&mut self, id: CommandId, command: Command) {
        let worker = self.reader.as_ref().map_or_else(String::new, |one| one.worker.clone());
        match command {
            Command::AddPerson { fields, .. } | Command::SetPerson { fields, .. }
                if invalid_person(&fields).is_some() =>
            {
                let message = invalid_person(&fields).unwrap_or_default();
                self.decline(id, "invalid_person", &message, "correct it and try again");
            }
            Command::AddPerson { area, fields } => {
                if let Some(area) = self.resolve(id, &area) {
                    let drafts = vec![Draft { area, record: None, content: of_person(fields) }];
                    self.execute(Plan { id, worker, drafts, import: None });
                }
            }
            Command::SetPerson { record, fields } => {
                if let Some((area, _)) = self.known(id, record) {
                    let record = Some(record);
                    let drafts = vec![Draft { area, record, content: of_person(fields) }];
                    self.execute(Plan { id, worker, drafts, import: None });
                }
            }
            Command::AddNotice { area, occurred, answers } => {
                let area = self.resolve(id, &area);
                let form = area.map(|area| self.forms(area));
                if let Some((area, forms)) = area.zip(form)
                    && let Some(content) =
                        self.plan_form(id, &forms, (NOTICE, None), occurred, &answers)
                {
                    let drafts = vec![Draft { area, record: None, content }];
                    self.execute(Plan { id, worker, drafts, import: None });
                }
            }
            Command::Link { one, other, said, reason } => {
                match self.plan_link((one, other), said, reason.as_deref()) {
                    Ok(drafts) => self.execute(Plan { id, worker, drafts, import: None }),
                    Err(error) => self.decline(id, &error.code, &error.message, &error.hint),
                }
            }
            Command::AddVisit { record, form, occurred, answers } => {
                if let Some(draft) = self.plan_visit(id, record, &form, occurred, &answers) {
                    self.execute(Plan { id, worker, drafts: vec![draft], import: None });
                }
            }
            Command::VoidVisit { record, visit, reason } => {
                self.plan_void(id, record, visit, reason);
            }
            Command::PutResource { record, text } => self.plan_resource(id, record, text),
            Command::Import { area, text, source } => {
                if let Some(area) = self.resolve(id, &area) {
                    self.work(
                        "read bundle",
                        move || read_bundle(&text, source.as_deref()).map_err(|e| e.to_string()),
                        move |node, read| node.plan_import(id, area, worker, read),
                    );
                }
            }
            Command::Seal => {
                let written = self.carrier.written();
                self.carrier.number_all = true;
                if let Some(reader) = &mut self.reader {
                    reader.seal_all.push((id, written));
                }
                self.reader_idle();
            }
            Command::GatewayRetry { keys } => self.retry_failed(id, keys),
            Command::Seen { places } => self.was_shown(id, places),
            _ => self.reader_idle(),
        }
    }

    /// Answers a command that cannot be done, and goes on.
    fn decline(&mut self, id: CommandId, code: &str, message: &str, hint: &str) {
        self.refuse(id, code, message, hint);
        self.reader_idle();
    }

    /// What is planned cannot be written: this device may not open a log.
    pub(super) fn decline_planned(&mut self) {
        if let Some(plan) = self.reader.as_mut().and_then(|reader| reader.planned.take()) {
            let message = "this device's certificate does not let it write";
            self.refuse(plan.id, "not_entitled", message, "ask the authority for a worker's role");
        }
    }

    /// The area a user means.
    fn resolve(&mut self, id: CommandId, wanted: &AreaRef) -> Option<AreaTag> {
        let reader = self.reader.as_ref()?;
        let mut areas = reader.keyring.areas();
        let (found, message, hint) = match wanted {
            AreaRef::Own => {
                let only = areas.next().filter(|_| areas.next().is_none());
                let message = "this device writes in several villages, or in none";
                (only.map(|(area, _)| area), message.to_owned(), "name one with --area")
            }
            AreaRef::Name(name) => {
                let message = format!("this device is not a member of area {name}");
                (reader.keyring.find(name), message, "`huza status` lists its areas")
            }
            AreaRef::Tag(area) => {
                let lane = self.carrier.lane.as_ref()?;
                let known = reader.keyring.writing_key(lane, *area).is_some()
                    || !lane.writing_keys(*area).is_empty();
                let message = format!("no key of area {area} is known here");
                (known.then_some(*area), message, "meet a device of that catchment first")
            }
        };
        drop(areas);
        if found.is_none() {
            self.decline(id, "unknown_area", &message, hint);
        }
        found
    }

    /// Area and name of a record that is here.
    fn known(&mut self, id: CommandId, record: RecordId) -> Option<(AreaTag, Option<String>)> {
        let Some(row) = self.reader.as_ref().and_then(|reader| reader.visible(record)) else {
            let message = format!("no record {record} on this device");
            self.decline(id, "unknown_record", &message, "`huza person find` finds its id");
            return None;
        };
        Some((row.area, row.summary.names.first().cloned()))
    }

    fn plan_visit(
        &mut self,
        id: CommandId,
        record: RecordId,
        form: &str,
        occurred: Stamp,
        answers: &BTreeMap<String, String>,
    ) -> Option<Draft> {
        let (area, name) = self.known(id, record)?;
        let forms = self.forms(area);
        let content = self.plan_form(id, &forms, (form, name), occurred, answers)?;
        Some(Draft { area, record: Some(record), content })
    }

    /// A filled form about the person of this name, if it holds.
    fn plan_form(
        &mut self,
        id: CommandId,
        forms: &Forms,
        (form, name): (&str, Option<String>),
        occurred: Stamp,
        answers: &BTreeMap<String, String>,
    ) -> Option<Content> {
        let Some(form) = forms.latest(form) else {
            let message = format!("there is no form {form:?}");
            let known: Vec<&str> = forms.filled().map(|known| known.id.as_str()).collect();
            let hint = format!("the forms are {}", known.join(", "));
            self.decline(id, "unknown_form", &message, &hint);
            return None;
        };
        match check(form, answers) {
            Ok(checked) => Some(Content::Visit { form: form.name(), checked, occurred, name }),
            Err(errors) => {
                let all: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let hint = format!("`huza forms show {}` explains its fields", form.id);
                self.decline(id, "invalid_answers", &all.join("; "), &hint);
                None
            }
        }
    }

    fn plan_import(
        &mut self,
        id: CommandId,
        area: AreaTag,
        worker: String,
        read: Result<Import, String>,
    ) {
        let import = match read {
            Ok(import) => import,
            Err(why) => {
                let hint = "check that the file is a FHIR R4 bundle; nothing of it was imported";
                return self.decline(id, "bad_bundle", &why, hint);
            }
        };
        let Some(reader) = &self.reader else { return };
        let known = |record| reader.visible(record).map(|row| row.summary);
        let import = ImportRun::new().settle(import, known);
        let problems = import.problems.iter().map(ToString::to_string).collect();
        // A link goes each way.
        let kept_apart = import.links.len() / 2;
        let keys: BTreeSet<String> = import.incoming.iter().map(|one| one.key.clone()).collect();
        let by_record = crate::record::edits_by_record(import);
        let drafts = by_record
            .into_iter()
            .map(|((place, record), edits)| {
                let known = reader.listing.area(&record);
                let area = match place {
                    Place::Directory => directory_area(),
                    Place::Person | Place::Unowned => known.unwrap_or(area),
                };
                Draft { area, record: Some(record), content: Content::Edits(edits) }
            })
            .collect();
        let keys = keys.into_iter().collect();
        let import = Some(Imported { keys, problems, kept_apart });
        self.execute(Plan { id, worker, drafts, import });
    }

    /// Writes a plan, once every log it needs is open.
    fn execute(&mut self, plan: Plan) {
        if let Some(reader) = &mut self.reader {
            reader.planned = Some(plan);
            reader.busy = false;
        }
    }

    /// Leaves out of the plan what it would write in erased records: one may have been erased since
    /// it was made.
    fn plan_without_erased(&mut self) {
        let Some(Reader { planned, gone, .. }) = &mut self.reader else { return };
        let Some(plan) = planned else { return };
        let erased = |draft: &Draft| draft.record.is_some_and(|record| gone.contains(&record));
        let before = plan.drafts.len();
        plan.drafts.retain(|draft| !erased(draft));
        let erased = before - plan.drafts.len();
        if erased == 0 {
            return;
        }
        if let Some(import) = &mut plan.import {
            let problem = format!("{erased} persons were erased by order and are not taken again");
            import.problems.push(problem);
        } else if let Some(Plan { id, .. }) = planned.take() {
            let message = "this record was erased by order";
            self.refuse(id, "unknown_record", message, "nothing is written about this person");
        }
    }

    /// Goes on with the plan, if its logs are open and something is left of it. Whether there may be
    /// more to start.
    fn execute_planned(&mut self) -> bool {
        self.plan_without_erased();
        let Some(plan) = self.reader.as_ref().and_then(|reader| reader.planned.as_ref()) else {
            return true;
        };
        let areas: BTreeSet<AreaTag> = plan.drafts.iter().map(|draft| draft.area).collect();
        if !self.open_logs(&areas) {
            return false;
        }
        let Some(reader) = &mut self.reader else { return false };
        let Some(plan) = reader.planned.take() else { return false };
        reader.busy = true;
        self.execute_open(plan, &areas);
        true
    }

    fn execute_open(&mut self, plan: Plan, areas: &BTreeSet<AreaTag>) {
        let own: Vec<(AreaTag, LogId)> = areas
            .iter()
            .filter_map(|area| Some((*area, self.carrier.own.get(area)?.row.log)))
            .collect();
        let open = |(area, log)| {
            let (counter, forms) = (self.next_counter(log), self.forms(area));
            (area, Open { log, counter, forms })
        };
        let logs: BTreeMap<AreaTag, Open> = own.into_iter().map(open).collect();
        let prefix = |record: RecordId| Range::prefix(Table::Changes, record.0);
        let ranges = plan.drafts.iter().filter_map(|draft| draft.record).map(prefix).collect();
        let at = self.now.stamp;
        self.gather(ranges, move |node, rows| {
            let id = plan.id;
            let make = move || {
                let outcome = make(&plan, logs, &rows, at);
                (plan, outcome)
            };
            node.work("write", make, move |node, (plan, outcome)| match outcome {
                Ok(outcome) => node.keep(plan, outcome),
                Err(why) => node.decline(id, "invalid", &why, "correct it and try again"),
            });
        });
    }

    /// The counter of the next change of a log. After a start it leaves a random gap: if this
    /// is a copy of the stores and does not know it yet, it still makes no id that the original
    /// makes too.
    fn next_counter(&mut self, log: LogId) -> u64 {
        let own = self.carrier.own.values().find(|own| own.row.log == log);
        let sealed = own.map_or(0, super::state::OwnLog::sealed_to);
        let gap = u64::from(u32::from_le_bytes(self.entropy.draw()));
        let Some(reader) = &mut self.reader else { return sealed };
        let all = (log, 0)..=(log, u64::MAX);
        let pending = reader.pending.range(all).next_back().map(|((_, counter), _)| counter + 1);
        let next = sealed.max(pending.unwrap_or(0));
        let gap = if reader.counted.insert(log) { gap } else { 0 };
        next.saturating_add(gap)
    }

    /// Makes an outcome durable, then answers.
    fn keep(&mut self, plan: Plan, outcome: Outcome) {
        let mut batch = Batch::default();
        let new = outcome.summaries.first().filter(|_| plan.adds_person());
        let alike = new.map(|row| self.note_alike(row, &mut batch)).unwrap_or_default();
        let mut pending = Vec::new();
        for made in outcome.made {
            let Origin { log, counter } = made.origin;
            let row = PendingRow {
                record: made.record,
                area: made.area,
                bytes: u32::try_from(made.raw.len()).unwrap_or(u32::MAX),
                urgent: !made.card.is_empty(),
                alone: made.alone,
                card: made.card,
            };
            batch.put(Table::Pending, log_key(log, counter), codec::encode(&row));
            let change = ChangeRow::new(None, made.raw);
            let row_key = change_key(made.record, log, counter);
            batch.put(Table::Changes, row_key, codec::encode(&change));
            pending.push(((log, counter), row));
        }
        for row in &outcome.summaries {
            batch.put(Table::Summaries, row.summary.record.0, codec::encode(row));
        }
        for (_, row) in &pending {
            if let Ok(card) = crate::record::Card::decode(&row.card) {
                let row_key = [row.record.0, card.visit.0].concat();
                batch.put(Table::Cards, row_key, row.card.clone());
            }
        }
        let told = (outcome.record, outcome.visit, outcome.unchanged);
        let reply = reply_to(&plan, &outcome.summaries, told, alike);
        let (id, summaries) = (plan.id, outcome.summaries);
        self.persist(StoreKind::Reader, batch, move |node| {
            let now = node.now.millis;
            if let Some(reader) = &mut node.reader {
                if !pending.is_empty() {
                    reader.pending_since.get_or_insert(now);
                }
                reader.pending.extend(pending);
                for row in &summaries {
                    reader.listing.insert(row);
                }
            }
            node.reply(id, reply);
            node.reader_idle();
        });
    }
}

fn of_person(fields: BTreeMap<String, String>) -> Content {
    let edits = fields.into_iter().map(|(field, value)| Edit::Person { field, value });
    Content::Edits(edits.collect())
}

/// What is wrong with a person's fields, if anything.
fn invalid_person(fields: &BTreeMap<String, String>) -> Option<String> {
    const SEXES: [&str; 4] = ["female", "male", "other", "unknown"];
    if fields.is_empty() {
        return Some("a person needs at least one field, such as a name".to_owned());
    }
    if let Some(date) = fields.get("birth-date").filter(|date| !is_partial_date(date)) {
        return Some(format!(
            "birth-date: {date:?} is not a date; YYYY, YYYY-MM or YYYY-MM-DD is needed"
        ));
    }
    let sex = fields.get("sex").filter(|sex| !SEXES.contains(&sex.as_str()))?;
    Some(format!("sex: {sex:?} is not one of {}", SEXES.join(", ")))
}

fn reply_to(
    plan: &Plan,
    summaries: &[SummaryRow],
    (record, visit, unchanged): (Option<RecordId>, Option<VisitId>, usize),
    alike: Vec<Duplicate>,
) -> Reply {
    if let Some(Imported { keys, problems, kept_apart }) = &plan.import {
        return Reply::Imported {
            kept_apart: *kept_apart,
            resources: keys.len(),
            keys: keys.clone(),
            records: summaries.len(),
            unchanged,
            problems: problems.clone(),
        };
    }
    let checked = plan.drafts.iter().find_map(|draft| match &draft.content {
        Content::Visit { checked, .. } => Some(checked),
        Content::Edits(_) => None,
    });
    Reply::Written {
        record: record.unwrap_or(RecordId([0; 16])),
        visit,
        dangers: checked.map_or_else(Vec::new, |checked| checked.dangers.clone()),
        advice: checked.map_or_else(Vec::new, |checked| checked.advice.clone()),
        warnings: checked.map_or_else(Vec::new, |checked| {
            checked.warnings.iter().map(ToString::to_string).collect()
        }),
        alike,
    }
}

/// The stored changes of records, grouped.
pub(super) fn stored_changes(rows: &[Vec<Row>]) -> BTreeMap<RecordId, Vec<(Origin, ChangeRow)>> {
    let mut all: BTreeMap<RecordId, Vec<(Origin, ChangeRow)>> = BTreeMap::new();
    for (row_key, value) in rows.iter().flatten() {
        let Some((record, log, counter)) = read_change_key(row_key) else { continue };
        let Ok(row) = codec::decode::<ChangeRow>(value) else { continue };
        all.entry(record).or_default().push((Origin { log, counter }, row));
    }
    all
}

/// Makes all changes of a plan.
fn make(
    plan: &Plan,
    mut logs: BTreeMap<AreaTag, Open>,
    rows: &[Vec<Row>],
    at: Stamp,
) -> Result<Outcome, String> {
    let stored = stored_changes(rows);
    let mut outcome = Outcome::default();
    for draft in &plan.drafts {
        let Open { log, counter, forms } =
            logs.get_mut(&draft.area).ok_or("the area has no log")?;
        let begin = Origin { log: *log, counter: *counter };
        let record = draft.record.unwrap_or_else(|| begin.record());
        let changes = stored.get(&record).into_iter().flatten();
        let mut document =
            Document::from_changes(record, changes.map(|(origin, row)| (*origin, &row.raw)));
        let (mut all, visit_card) = draft.edits(record, begin, &plan.worker);
        without_answered(&document, &mut all);
        outcome.unchanged +=
            all.iter().flatten().filter(|edit| document.shows(edit).unwrap_or(false)).count();
        for edits in &all {
            let origin = Origin { log: *log, counter: *counter };
            let written = document.write(origin, at, &plan.worker, edits);
            let Some(raw) = written.map_err(|error| error.to_string())? else { continue };
            *counter += 1;
            let card = visit_card.clone().unwrap_or_default();
            let alone = draft.is_message();
            outcome.made.push(Made { area: draft.area, record, origin, raw, card, alone });
        }
        outcome.record = Some(record);
        if matches!(draft.content, Content::Visit { .. }) {
            outcome.visit = Some(begin.visit());
        }
        outcome.summaries.push(SummaryRow::of(draft.area, &document.view(), forms));
    }
    Ok(outcome)
}

/// A record, of its stored changes.
fn document(record: RecordId, rows: &[Vec<Row>]) -> Document {
    let stored = stored_changes(rows);
    let changes = stored.get(&record).into_iter().flatten();
    Document::from_changes(record, changes.map(|(origin, row)| (*origin, &row.raw)))
}

impl Draft {
    fn is_message(&self) -> bool {
        matches!(&self.content, Content::Visit { checked, .. } if checked.message)
    }

    /// Of a record that is here.
    pub(super) const fn of(area: AreaTag, record: RecordId, edits: Vec<Edit>) -> Self {
        Self { area, record: Some(record), content: Content::Edits(edits) }
    }

    /// Its edits, in pieces that each fit an envelope, and the card if it is an urgent visit.
    fn edits(
        &self,
        record: RecordId,
        begin: Origin,
        worker: &str,
    ) -> (Vec<Vec<Edit>>, Option<Vec<u8>>) {
        match &self.content {
            Content::Edits(edits) => (batches(edits.clone(), ENVELOPE_BYTES_TARGET), None),
            Content::Visit { form, checked, occurred, name } => {
                let visit = begin.visit();
                let edit = Edit::Visit {
                    visit,
                    form: form.clone(),
                    occurred: *occurred,
                    worker: worker.to_owned(),
                    answers: checked.answers.clone(),
                };
                let card = card(form, name.as_deref(), checked, (record, visit), *occurred);
                (vec![vec![edit]], Some(card))
            }
        }
    }
}
