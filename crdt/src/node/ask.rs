//! Commands that read.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Node;
use super::api::{
    Command, CommandId, DueVisit, KnownDevice, ReaderState, ReceiptStatus, RecordStatus, Reply,
    Resource, ResourceScope, SessionStatus, Status,
};
use super::state::{ChangeRow, log_key};
use super::write::stored_changes;
use crate::audit::Action;
use crate::codec;
use crate::control::{Receipt, ReceiptKind, ReceiptRange, Statement};
use crate::crypto::Signed;
use crate::envelope::Stored;
use crate::holdings::Held;
use crate::id::{CertId, DeviceKey, Hash, LogId, Origin, RecordId, StatementId};
use crate::record::{
    Card, Document, Query, RecordView, SetAside, linked, patient_key, project_among,
};
use crate::store::{Range, Row, Table};
use crate::trust::{AreaScope, Issuer};

/// Records that one [`Command::Export`] answers. // guess: a few MB at most
const EXPORTED_AT_ONCE: usize = 64;

/// What `person show` prints.
#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    view: RecordView,
    /// Cards of urgent visits, which may be here before their visit.
    cards: Vec<CardView>,
    /// Changes that could not be applied, with the reason.
    set_aside: Vec<String>,
    /// Changes that wait for others they lean on.
    waiting: usize,
}

#[derive(Serialize)]
struct CardView {
    visit: String,
    form: String,
    name: String,
    occurred: String,
    dangers: Vec<String>,
}

impl Node {
    pub(super) fn ask(&mut self, id: CommandId, command: Command) {
        // First it is written down that somebody asked.
        match command {
            Command::Find { query, limit } => {
                let subject = format!("at most {limit}");
                self.audit_alone(Action::Searched, subject, move |node| {
                    node.find(id, &query, limit);
                });
            }
            Command::Inbox => self.inbox(id),
            Command::Reminders => {
                let subject = "who is due for a visit".to_owned();
                self.audit_alone(Action::Searched, subject, move |node| node.remind(id));
            }
            Command::Duplicates { record, limit } => {
                let subject = record.map_or_else(
                    || "who may be registered twice".to_owned(),
                    |record| format!("who may be {record}"),
                );
                self.audit_alone(Action::Searched, subject, move |node| {
                    node.duplicates(id, record, limit);
                });
            }
            Command::Show { record } => {
                self.audit_alone(Action::Read, record.to_string(), move |node| {
                    node.show(id, record);
                });
            }
            Command::Export { after: None } => {
                let subject = "everything readable here".to_owned();
                self.audit_alone(Action::Exported, subject, move |node| node.export(id, None));
            }
            Command::Export { after } => self.export(id, after),
            Command::Resources { of } => {
                let subject = match &of {
                    ResourceScope::Record(record) => record.to_string(),
                    ResourceScope::Place(place) => place.clone(),
                };
                self.audit_alone(Action::Read, subject, move |node| node.resources(id, of));
            }
            Command::Changes { after, limit } => self.changes(id, after, limit),
            _ => {}
        }
    }

    fn find(&mut self, id: CommandId, query: &str, limit: usize) {
        let Some(reader) = &self.reader else { return };
        let named = RecordId::beginning(query);
        let is_named = |record: &RecordId| named.as_ref().is_some_and(|ids| ids.contains(record));
        let from = named.as_ref().map(|ids| *ids.start());
        let by_id = from.into_iter().flat_map(|first| reader.visible_from(first));
        let by_id = by_id.take_while(is_named);
        let query = Query::new(query);
        let by_text = reader.listing.search(&query).filter(|record| !is_named(record));
        let records = by_id
            .chain(by_text)
            .filter_map(|record| reader.visible(record))
            .take(limit)
            .map(|row| reader.describe(row))
            .collect();
        self.reply(id, Reply::Found { records });
    }

    fn remind(&mut self, id: CommandId) {
        let Some(reader) = &self.reader else { return };
        let now = self.now.stamp;
        let rows = reader.visible_from(RecordId([0; 16]));
        let due = rows.filter_map(|record| reader.visible(record)).flat_map(|row| {
            let (record, name) = (row.summary.record, row.summary.name());
            let area = reader.keyring.name(row.area).map(ToString::to_string).unwrap_or_default();
            let forms = self.forms(row.area);
            row.summary.reminders.into_iter().filter_map(move |reminder| {
                // None if the form counts no more: who published it is shut out.
                let rule = reminder.follow_up(&forms)?.clone();
                let (name, area) = (name.clone(), area.clone());
                Some(DueVisit { state: reminder.at(now), rule, reminder, record, name, area })
            })
        });
        let mut due: Vec<DueVisit> = due.collect();
        due.sort_by(|a, b| (a.state, &a.reminder).cmp(&(b.state, &b.reminder)));
        self.reply(id, Reply::Reminders { due });
    }

    fn show(&mut self, id: CommandId, record: RecordId) {
        let ranges =
            vec![Range::prefix(Table::Changes, record.0), Range::prefix(Table::Cards, record.0)];
        self.gather(ranges, move |node, rows| {
            let (changes, cards) = rows.split_at(1);
            let stored = stored_changes(changes);
            let hidden = node.reader.as_ref().is_none_or(|reader| reader.gone.contains(&record));
            let Some(changes) = stored.get(&record).filter(|_| !hidden) else {
                let message = format!("no record {record} on this device");
                return node.refuse(
                    id,
                    "unknown_record",
                    &message,
                    "`huza person find` finds its id",
                );
            };
            let document = document(record, changes);
            let whole = Whole {
                view: document.view(),
                cards: cards.iter().flatten().filter_map(card_view).collect(),
                set_aside: document.set_aside().iter().map(describe).collect(),
                waiting: document.waiting(),
            };
            let record = serde_json::to_string(&whole).unwrap_or_default();
            node.reply(id, Reply::Shown { record });
        });
    }

    fn export(&mut self, id: CommandId, after: Option<RecordId>) {
        let Some(reader) = &self.reader else { return };
        let behind = after.map_or(RecordId([0; 16]), |after| after);
        let rest = reader.visible_from(behind).filter(|record| Some(*record) != after);
        let records: Vec<RecordId> = rest.take(EXPORTED_AT_ONCE).collect();
        let next = records.last().copied().filter(|_| records.len() == EXPORTED_AT_ONCE);
        let prefix = |record: &RecordId| Range::prefix(Table::Changes, record.0);
        self.gather(records.iter().map(prefix).collect(), move |node, rows| {
            let views = views(&rows);
            let linked: BTreeSet<RecordId> = views.iter().flat_map(linked).collect();
            node.gather(linked.iter().map(prefix).collect(), move |node, rows| {
                let patient = |view: &RecordView| Some((view.record, patient_key(view)?));
                let patients = self::views(&rows).iter().filter_map(patient).collect();
                let all = views
                    .iter()
                    .flat_map(|view| project_among(view, &node.forms_of(view.record), &patients));
                let resources = all.map(|one| Resource { key: one.key, text: one.text }).collect();
                node.reply(id, Reply::Exported { resources, next });
            });
        });
    }

    /// Every certificate known here.
    pub(super) fn devices(&mut self, id: CommandId) {
        let known = self.carrier.lane.iter().flat_map(|lane| lane.certificates());
        let devices = known.filter_map(|(id, _)| self.known_device(*id)).collect();
        self.reply(id, Reply::Devices { devices });
    }

    fn known_device(&self, certificate: CertId) -> Option<KnownDevice> {
        let lane = self.carrier.lane.as_ref()?;
        let known = lane.certificate(&certificate)?;
        let opened = lane.openings().filter(|(_, one)| one.certificate == certificate);
        let held = opened.filter_map(|(log, _)| self.carrier.holdings.logs.get(log));
        Some(KnownDevice {
            certificate,
            device: known.device,
            sealing: known.sealing,
            role: known.role,
            paper: lane.is_paper(&certificate),
            areas: known.areas.iter().map(|area| self.scope_name(area)).collect(),
            issued: known.issued,
            expires: known.expires,
            good: lane.is_good(&certificate),
            revoked: lane.revoked(&certificate).map(|revoked| revoked.reason),
            envelopes: held.map(Held::kept).sum(),
        })
    }

    /// The name of a part of the programme, if this reader may know it; else its tag.
    pub(super) fn scope_name(&self, scope: &AreaScope) -> String {
        let keyring = self.reader.as_ref().map(|reader| &reader.keyring);
        match scope {
            AreaScope::Programme => "the programme".to_owned(),
            AreaScope::Catchment(tag) => {
                let mut areas = keyring.into_iter().flat_map(|keyring| keyring.areas());
                let known = areas.find(|(area, _)| area.catchment() == *tag);
                known.map_or_else(|| tag.to_string(), |(_, name)| name.catchment.clone())
            }
            AreaScope::Area(tag) => {
                let known = keyring.and_then(|keyring| keyring.name(*tag));
                known.map_or_else(|| tag.to_string(), ToString::to_string)
            }
        }
    }

    pub(super) fn peers(&mut self, id: CommandId) {
        let sessions = self
            .sessions
            .iter()
            .map(|(pipe, session)| SessionStatus {
                pipe: *pipe,
                peer: session.peer,
                complete: session.complete,
                stats: session.stats,
                // Should what the peer announced have been lost on the way, what came was to come.
                receiving: (session.expected.1.max(session.received.1), session.received.1),
                sending: (session.promised.1, session.stats.envelopes_sent),
            })
            .collect();
        self.reply(id, Reply::Peers { sessions });
    }

    pub(super) fn status(&mut self, id: CommandId, records: bool) {
        if !records || self.reader.as_ref().is_none_or(|reader| reader.opening) {
            let status = self.brief(Vec::new());
            return self.reply(id, Reply::Status(Box::new(status)));
        }
        self.audit_alone(Action::Searched, "status of every record".to_owned(), move |node| {
            node.full_status(id);
        });
    }

    fn full_status(&mut self, id: CommandId) {
        let ends = self.receipt_ends().into_iter().collect();
        self.hashes(ends, move |node, hashes| {
            node.gather(vec![Range::all(Table::Changes)], move |node, changes| {
                let records = node.record_statuses(&changes, &hashes);
                let status = node.brief(records);
                node.reply(id, Reply::Status(Box::new(status)));
            });
        });
    }

    /// The hashes of the headers of envelopes that are held.
    pub(super) fn hashes(
        &mut self,
        places: Vec<(LogId, u64)>,
        then: impl FnOnce(&mut Self, BTreeMap<(LogId, u64), Hash>) + Send + 'static,
    ) {
        let exact = |(log, seq): &(LogId, u64)| Range {
            rows_max: 1,
            ..Range::prefix(Table::Envelopes, log_key(*log, *seq))
        };
        self.gather(places.iter().map(exact).collect(), move |node, rows| {
            let hashes = places.iter().zip(rows).filter_map(|(place, rows)| {
                let (_, value) = rows.first()?;
                let stored: Stored = codec::decode(value).ok()?;
                Some((*place, stored.wire.header(place.0, place.1, stored.previous).hash()))
            });
            let hashes = hashes.collect();
            then(node, hashes);
        });
    }

    /// The envelopes at which receipts end.
    fn receipt_ends(&self) -> BTreeSet<(LogId, u64)> {
        let receipts = self.carrier.lane.iter().flat_map(|lane| lane.receipts());
        receipts
            .flat_map(|(_, _, receipt)| receipt.ranges.iter().map(|range| (receipt.log, range.to)))
            .collect()
    }

    fn brief(&self, records: Vec<RecordStatus>) -> Status {
        let carrier = &self.carrier;
        let membership = carrier.membership.as_ref();
        let reader = self.reader.as_ref();
        let areas = reader.into_iter().flat_map(|reader| reader.keyring.areas());
        Status {
            device: carrier.identity.as_ref().map(|identity| identity.key().public()),
            label: carrier.identity.as_ref().map_or_else(String::new, |one| one.label.clone()),
            programme: carrier.lane.as_ref().map(crate::control::Lane::programme),
            programme_name: membership.map_or_else(String::new, |known| known.programme.clone()),
            certificate: membership.map(|known| known.certificate),
            role: self.role(),
            revoked: self.own_revocation(),
            void: self.is_shut_out() && self.own_revocation().is_none(),
            expires: carrier.certificate().map(|certificate| certificate.expires),
            programme_time: carrier.lane.as_ref().and_then(crate::control::Lane::programme_time),
            reader: match reader {
                Some(reader) => ReaderState::Open { worker: reader.worker.clone() },
                None if self.has_reader => ReaderState::Locked,
                None => ReaderState::Absent,
            },
            quarantined: self.quarantined(),
            store: carrier.identity.as_ref().map(|identity| identity.store),
            areas: areas.map(|(area, name)| (name.to_string(), area)).collect(),
            envelopes: carrier.holdings.logs.values().map(Held::kept).sum(),
            logs: carrier.holdings.logs.len(),
            statements: carrier.holdings.statements.len(),
            records_count: reader.map_or(0, super::state::Reader::visible_count),
            pending: reader.map_or(0, |reader| reader.pending.len()),
            unfiled: reader.map_or(0, |reader| {
                let behind = carrier.next_ingest.saturating_sub(reader.cursor);
                usize::try_from(behind).unwrap_or(usize::MAX).saturating_add(reader.refile.len())
            }),
            waiting: reader.map_or(0, |reader| reader.waiting.len()),
            borrowed_bytes: carrier.borrowed,
            carry_bytes: self.carry.bytes,
            released: carrier.holdings.logs.values().map(Held::released).sum(),
            records,
        }
    }

    fn record_statuses(
        &self,
        changes: &[Vec<Row>],
        hashes: &BTreeMap<(LogId, u64), Hash>,
    ) -> Vec<RecordStatus> {
        let receipts = self.verified_receipts(hashes);
        let mut stored = stored_changes(changes);
        let gone = self.reader.as_ref().map(|reader| &reader.gone);
        stored.retain(|record, _| gone.is_some_and(|gone| !gone.contains(record)));
        let all =
            stored.iter().map(|(record, changes)| self.record_status(*record, changes, &receipts));
        all.collect()
    }

    /// Every receipt in force, its signature, chain and end hashes checked again.
    pub(super) fn verified_receipts(
        &self,
        hashes: &BTreeMap<(LogId, u64), Hash>,
    ) -> Vec<(Receipt, ReceiptStatus)> {
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        // An issuer signs many receipts under one chain.
        let mut proven: BTreeMap<CertId, Option<DeviceKey>> = BTreeMap::new();
        let mut verified = |statement: &Statement, issuer: CertId| {
            let key = *proven.entry(issuer).or_insert_with(|| self.proven_key(issuer));
            key.is_some_and(|key| statement.signed(key).verify())
        };
        let status = |(issuer, id, receipt): (Issuer, &StatementId, &Receipt)| {
            let Issuer::Certified(certificate) = issuer else { return None };
            let statement = lane.statement(id)?;
            // Of its ranges, those whose end we hold ourselves, with the hash it names.
            let mut receipt = receipt.clone();
            receipt.ranges.retain(|range| {
                hashes.get(&(receipt.log, range.to)).is_some_and(|hash| *hash == range.end)
            });
            let status = ReceiptStatus {
                kind: receipt.kind,
                reason: receipt.reason,
                issuer: certificate,
                role: lane.certificate(&certificate)?.role,
                statement: *id,
                verified: !receipt.ranges.is_empty() && verified(statement, certificate),
            };
            Some((receipt, status))
        };
        lane.receipts().filter_map(status).collect()
    }

    /// The key of a certificate, once the signatures of its chain are checked again, from the root
    /// down.
    fn proven_key(&self, certificate: CertId) -> Option<DeviceKey> {
        let (known, membership) =
            self.carrier.lane.as_ref().zip(self.carrier.membership.as_ref())?;
        let mut lane = crate::control::Lane::new(membership.root);
        for link in known.chain(certificate) {
            let signed = lane.candidates().add(link).ok()?;
            if !signed.iter().all(Signed::verify) {
                return None;
            }
            lane.admit(link.clone()).ok()?;
        }
        lane.key_of(Issuer::Certified(certificate))
    }

    /// Whether a receipt speaks of an envelope.
    pub(super) fn covers(&self, receipt: &Receipt, (log, seq): (LogId, u64)) -> bool {
        // The end hash speaks for our envelope only if we hold all between the two.
        let held = self.carrier.holdings.logs.get(&log).map(|held| held.spans.as_slice());
        let linked = |to: u64| {
            let mut spans = held.unwrap_or_default().iter();
            spans.any(|span| span.from <= seq && to <= span.to)
        };
        let within =
            |range: &ReceiptRange| (range.from..=range.to).contains(&seq) && linked(range.to);
        receipt.log == log && receipt.ranges.iter().any(within)
    }

    fn record_status(
        &self,
        record: RecordId,
        changes: &[(Origin, ChangeRow)],
        receipts: &[(Receipt, ReceiptStatus)],
    ) -> RecordStatus {
        // Of each change the envelopes that carry it: one that arrived is enough.
        let placed = changes.iter().filter(|(_, change)| change.place.is_some());
        let carriers: BTreeSet<Vec<(LogId, u64)>> =
            placed.map(|(_, change)| change.places().collect()).collect();
        let pending = changes.iter().filter(|(_, change)| change.place.is_none()).count();
        let covers = |receipt: &Receipt, place: &(LogId, u64)| self.covers(receipt, *place);
        let about: Vec<&(Receipt, ReceiptStatus)> = receipts
            .iter()
            .filter(|(receipt, _)| carriers.iter().flatten().any(|place| covers(receipt, place)))
            .collect();
        let lane = self.carrier.lane.as_ref();
        let covered = |kind: ReceiptKind, places: &[(LogId, u64)]| {
            let by = |place: &(LogId, u64)| {
                about.iter().any(|(receipt, status)| {
                    let weighty = lane.is_some_and(|lane| lane.is_weighty(status.issuer, receipt));
                    let counts = status.verified && weighty;
                    counts && receipt.kind == kind && covers(receipt, place)
                })
            };
            places.iter().any(by)
        };
        let all = |kind: ReceiptKind| {
            let one_is = |places: &Vec<(LogId, u64)>| covered(kind, places);
            pending == 0 && !carriers.is_empty() && carriers.iter().all(one_is)
        };
        // What was refused first and accepted since is accepted.
        let refused = carriers.iter().any(|places| {
            let said = |place| {
                let no = |(receipt, _): &&(Receipt, _)| receipt.kind == ReceiptKind::Refused;
                about.iter().copied().filter(no).any(|(receipt, _)| covers(receipt, place))
            };
            places.iter().any(said) && !covered(ReceiptKind::Accepted, places)
        });
        let devices: BTreeSet<_> = self.carrier.taken.keys().map(|(_, device)| *device).collect();
        let took_all = |device: &&crate::id::DeviceKey| {
            let took = |(log, seq): &(LogId, u64)| {
                let spans = self.carrier.taken.get(&(*log, **device));
                spans.is_some_and(|spans| spans.contains(*seq))
            };
            !carriers.is_empty() && carriers.iter().all(|places| places.iter().any(took))
        };
        let row = self.reader.as_ref().and_then(|reader| reader.listing.get(&record));
        RecordStatus {
            record,
            name: row.map_or_else(String::new, |row| row.summary.name()),
            changes: changes.len(),
            pending,
            taken: devices.iter().filter(took_all).count(),
            stored: all(ReceiptKind::Stored),
            accepted: all(ReceiptKind::Accepted),
            refused,
            receipts: about.into_iter().map(|(_, status)| status.clone()).collect(),
        }
    }
}

/// What records show.
fn views(rows: &[Vec<Row>]) -> Vec<RecordView> {
    let stored = stored_changes(rows);
    stored.iter().map(|(record, changes)| document(*record, changes).view()).collect()
}

fn document(record: RecordId, changes: &[(Origin, ChangeRow)]) -> Document {
    Document::from_changes(record, changes.iter().map(|(origin, row)| (*origin, &row.raw)))
}

fn describe(aside: &SetAside) -> String {
    format!("{aside:?}")
}

fn card_view((_, value): &Row) -> Option<CardView> {
    let card = Card::decode(value).ok()?;
    Some(CardView {
        visit: card.visit.to_string(),
        form: card.form,
        name: card.name,
        occurred: card.occurred.to_string(),
        dangers: card.dangers,
    })
}
