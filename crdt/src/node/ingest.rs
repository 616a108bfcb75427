//! The carrier's writes, one after the other; above all, what peers sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Node;
use super::api::{Event, PipeId, Reply, Taken};
use super::carry::fits;
use super::check::{Checked, Heard, decides};
use super::judge::grounds;
use super::state::{IngestRow, Source, Task, key, log_key};
use crate::codec;
use crate::control::{Admitted, Body, Lane, LaneError, Scope, Statement, kind};
use crate::crypto::Signature;
use crate::envelope::{Content, Header, Stored, Urgency, Wire};
use crate::holdings::{Fit, Held, Span};
use crate::id::{CertId, Hash, LogId, StatementId};
use crate::limits::{BUNDLE_REASONS_MAX, BYTES_PER_AUTHOR_MAX, HELD_SPANS_MAX};
use crate::session::Fault;
use crate::session::frame::Frame;
use crate::store::{Batch, StoreKind, Table};
use crate::trust::Role;

/// Batches that one commit takes. // guess: what a few fast peers have under way
const ACCEPTED_AT_ONCE: usize = 32;

/// What is still to be done with a batch once it is durable.
struct Accepted {
    from: Source,
    bytes: usize,
    taken: Taken,
    /// Envelopes that count as received: not those of these logs, of which something is not taken.
    counted: u64,
    refusal: Refusal,
    forks: Vec<(u64, (Header, Signature))>,
    suspects: Vec<Checked>,
}

/// What became of an envelope.
enum Placed {
    /// It is in its place now, or was before, or is not to be kept.
    Done,
    /// Something is in its place already.
    Held(Box<Checked>),
    /// Its author's share is full, or its log has as many spans as are held of one.
    TooMuch,
    /// It is only carried, and there is no room for it.
    NoRoom,
    /// It was only carried, and let go.
    LetGo,
    /// It would be one more span than are held of a log, unless one next to it comes in.
    Apart(Box<Checked>),
    /// It contradicts the envelope held at this seq.
    Contradicts(u64, Box<(Header, Signature)>),
}

/// Of a batch, what is not taken.
struct Refusal {
    /// The logs of which something is not.
    logs: BTreeSet<LogId>,
    /// Whether there was no room to carry some of it.
    full: bool,
    /// Whether it may be wanted at another time.
    lacks: bool,
}

/// What a write will have changed in memory once it is durable.
#[derive(Default)]
pub(super) struct Change {
    pub(super) batch: Batch,
    pub(super) logs: BTreeMap<LogId, Held>,
    pub(super) added: Vec<StatementId>,
    pub(super) removed: Vec<StatementId>,
    pub(super) envelopes: Vec<(LogId, u64)>,
    pub(super) next_ingest: u64,
    /// Whether reading keys may have come.
    pub(super) granted: bool,
    /// Whether forms have come.
    pub(super) published: bool,
    /// Whether devices or keys have come to be known, or were shut out.
    pub(super) trusts: bool,
    /// Certificates that were revoked, and whether anything was that decides on quarantine.
    pub(super) revoked: Vec<CertId>,
    pub(super) judged: bool,
    /// Bytes of envelopes of certificates' logs that are held more, or less; and of those that are
    /// only carried.
    pub(super) bytes: BTreeMap<CertId, i64>,
    pub(super) borrowed: i64,
    /// Whether a receipt has come, or an opening.
    pub(super) vouched: bool,
    pub(super) opened: bool,
    /// Erasures that are new, or of which something has come.
    pub(super) erasures: BTreeSet<StatementId>,
}

impl Node {
    /// Starts the carrier's next write, if it is idle.
    pub(super) fn run_carrier(&mut self) {
        while !self.carrier.busy {
            if let Some(task) = self.carrier.tasks.pop_front() {
                self.carrier.busy = true;
                self.run_task(task);
            } else if self.must_number() {
                self.carrier.tasks.push_back(Task::Number);
            } else if self.plan_erase_more() {
                continue;
            } else if self.carrier.receipts_at.is_some_and(|at| at <= self.now.millis) {
                self.carrier.receipts_at = None;
                self.carrier.tasks.push_back(Task::Receipts { of: None });
            } else if self.carrier.erasures_at.is_some_and(|at| at <= self.now.millis) {
                self.carrier.erasures_at = None;
                self.carrier.tasks.push_back(Task::Ripen);
            } else if self.carrier.release_at.is_some_and(|at| at <= self.now.millis) {
                self.carrier.release_at = None;
                self.carrier.tasks.push_back(Task::Release);
            } else {
                break;
            }
        }
    }

    fn run_task(&mut self, task: Task) {
        match task {
            Task::Ingest { parcel } => self.ingest(parcel),
            Task::Accept { heard } => self.accept(vec![heard]),
            Task::Bundle { id, scope } => self.plan_bundle(id, &scope),
            Task::Admit { statements, of } => self.admit_all(statements, of),
            Task::Open { area } => self.open_log(area),
            Task::Outbox { area, row } => self.put_outbox(area, *row),
            Task::Number => self.number(),
            Task::Receipts { of } => self.sign_receipts(of),
            Task::ProveFork { proof } => {
                let mut change = self.change();
                // Several that contradict one envelope may have come at once.
                let lane = self.carrier.lane.as_ref();
                let area = lane.filter(|lane| !lane.is_proven(&proof));
                let area = area.and_then(|lane| Some(lane.opening(&proof.log())?.area));
                if let Some(area) = area {
                    let scope = Scope::Catchment(area.catchment());
                    self.issue(&mut change, scope, kind::FORK_PROOF, codec::encode(&*proof));
                }
                self.commit(change, |_| {});
            }
            Task::Remember => {
                let change = self.change();
                self.commit(change, |_| {});
            }
            Task::KeepFork { log, seq, kept } => {
                let mut change = self.change();
                self.keep_beside(&mut change, (log, seq), &kept);
                self.commit(change, |_| {});
            }
            Task::Roll => self.roll(),
            Task::Recover => self.recover(),
            Task::Order { id, order } => self.order(id, *order),
            Task::CatchUp => self.catch_up(),
            Task::Take { id, statements } => self.take(id, statements),
            Task::Ripen => self.ripen(),
            Task::Stub { erasures } => self.stub(&erasures),
            Task::Reclaim { log } => self.reclaim(log),
            Task::Release => self.release(),
            Task::Reopen => self.reopen(),
            Task::EraseMore { record, places } => self.erase_more(record, places),
        }
    }

    /// A write of the carrier, empty so far.
    pub(super) fn change(&self) -> Change {
        Change { next_ingest: self.carrier.next_ingest, ..Change::default() }
    }

    /// Makes a change durable, then true, then told to open sessions.
    pub(super) fn commit(
        &mut self,
        mut change: Change,
        then: impl FnOnce(&mut Self) + Send + 'static,
    ) {
        for place in core::mem::take(&mut self.carrier.taken_changed) {
            if let Some(spans) = self.carrier.taken.get(&place) {
                let row_key = [place.0.0.as_slice(), &place.1.0].concat();
                change.batch.put(Table::Taken, row_key, codec::encode(spans));
            }
        }
        for device in core::mem::take(&mut self.carrier.met_changed) {
            match self.carrier.met.get(&device) {
                Some(met) => change.batch.put(Table::Met, device.0, codec::encode(met)),
                None => change.batch.delete(Table::Met, device.0),
            }
        }
        if change.batch.is_empty() && change.logs.is_empty() {
            self.carrier.busy = false;
            then(self);
            return;
        }
        for (log, held) in &change.logs {
            change.batch.put(Table::Frontiers, log.0, codec::encode(held));
        }
        if change.next_ingest != self.carrier.next_ingest {
            let next = codec::encode(&change.next_ingest);
            change.batch.put(Table::CarrierMeta, key::NEXT_INGEST, next);
        }
        let batch = core::mem::take(&mut change.batch);
        let lane = self.carrier.lane.as_ref();
        let grown = lane.is_some_and(|lane| change.logs.keys().any(|log| lane.is_judged(log)));
        let urgent = |(log, seq): &(LogId, u64)| {
            change.logs.get(log).is_some_and(|held| held.urgent.contains(seq))
        };
        let alarmed = change.envelopes.iter().any(urgent);
        self.persist(StoreKind::Carrier, batch, move |node| {
            let carrier = &mut node.carrier;
            carrier.busy = false;
            carrier.digests = None;
            carrier.claims = None;
            if change.next_ingest != carrier.next_ingest {
                carrier.ingested_at = node.now.millis;
                if let Some(reader) = &mut node.reader {
                    reader.alarmed |= alarmed;
                    if reader.cursor >= carrier.next_ingest {
                        carrier.unfiled_since = node.now.millis;
                    }
                }
            }
            carrier.next_ingest = change.next_ingest;
            carrier.holdings.logs.append(&mut change.logs);
            for id in &change.removed {
                carrier.holdings.statements.remove(id);
            }
            carrier.holdings.statements.extend(&change.added);
            node.weighed(&change);
            if change.trusts {
                node.settle_home();
            }
            if change.opened {
                node.refile_unopened();
            }
            if change.judged {
                node.judged(&change.revoked);
            }
            if change.judged || grown {
                node.mark();
            }
            if change.published || change.judged {
                node.follow_forms();
            }
            if change.granted {
                node.open_grants();
                node.refile_waiting();
            }
            if change.trusts {
                node.must_catch_up();
            }
            // The name of who is erased may have waited for a key.
            if change.judged || change.granted || !change.erasures.is_empty() {
                node.follow_erasures(&change.erasures);
            }
            if !change.envelopes.is_empty() {
                node.touch_receipts();
            }
            node.spread(&change.added, &change.envelopes);
            then(node);
        });
    }

    /// Takes nothing of a batch, which is its sender's fault.
    fn refuse_batch(&mut self, heard: Heard, fault: Fault) {
        let Heard { from, mut taken, statements, envelopes, .. } = heard;
        match from {
            Source::Session(pipe, _) => self.fault(pipe, fault),
            Source::Bundle(id) => {
                taken.statements.refuse(statements.len());
                taken.envelopes.refuse(envelopes.len());
                taken.why.insert(fault.to_string());
                self.reply(id, Reply::PageTaken(Box::new(taken)));
            }
        }
    }

    /// Something of a batch is not taken, and the rest is.
    pub(super) fn refuse_part(&mut self, from: Source, taken: &mut Taken, why: String) {
        match from {
            Source::Session(pipe, _) => self.event(Event::Refused { pipe, why }),
            Source::Bundle(_) if taken.why.len() < BUNDLE_REASONS_MAX => {
                taken.why.insert(why);
            }
            Source::Bundle(_) => {}
        }
    }

    /// Applies the rules to batches and to those that are checked and wait right behind them, writes
    /// all with one commit, and acknowledges each.
    pub(super) fn accept(&mut self, mut all: Vec<Heard>) {
        let alone = all.iter().flat_map(|heard| &heard.statements).any(decides);
        let checked = |task: &mut Task| !alone && matches!(task, Task::Accept { .. });
        while all.len() < ACCEPTED_AT_ONCE
            && let Some(Task::Accept { heard }) = self.carrier.tasks.pop_front_if(checked)
        {
            all.push(heard);
        }
        let mut good = Vec::with_capacity(all.len());
        for one in all {
            if !one.valid {
                self.refuse_batch(one, Fault::BadSignature);
            } else if let Source::Session(pipe, peer) = one.from
                && let Some(grounds) = self.carrier.lane.as_ref().and_then(|l| grounds(l, peer))
            {
                // Shut out since it sent this.
                self.turn_away(pipe, &grounds);
            } else {
                good.push(one);
            }
        }
        self.write_all(good);
    }

    fn write_all(&mut self, all: Vec<Heard>) {
        let displaced = self.displaced_by(all.iter().flat_map(|heard| &heard.envelopes));
        if !displaced.is_empty() {
            return self.displace(displaced, move |node| {
                node.carrier.busy = true;
                node.write_all(all);
            });
        }
        let mut change = self.change();
        let all: Vec<Accepted> =
            all.into_iter().map(|heard| self.accept_one(&mut change, heard)).collect();
        self.commit(change, move |node| {
            for one in all {
                node.accepted(one);
            }
        });
    }

    /// Puts what a batch brought into a change.
    fn accept_one(&mut self, change: &mut Change, heard: Heard) -> Accepted {
        let Heard { from, bytes, mut taken, mut refused, statements, envelopes, valid: _ } = heard;
        let (added, placed) = (change.added.len(), change.envelopes.len());
        taken.statements.known = statements.len() as u64;
        for statement in statements {
            if let Err(error) = self.admit(change, statement) {
                taken.statements.known -= 1;
                taken.statements.refuse(1);
                self.refuse_part(from, &mut taken, error.to_string());
            }
        }
        let heard_envelopes = envelopes.len();
        let logs: Vec<LogId> = envelopes.iter().map(|one| one.header.log).collect();
        taken.statements.new = change.added.len().saturating_sub(added) as u64;
        taken.statements.known = taken.statements.known.saturating_sub(taken.statements.new);
        let lane = self.carrier.lane.as_ref();
        let known = |one: &Checked| lane.is_some_and(|l| l.opening(&one.header.log).is_some());
        // An opening may be signed and still be one that nobody may make.
        let (mut envelopes, baseless): (Vec<_>, Vec<_>) = envelopes.into_iter().partition(known);
        // A stub stands for what it hides only where an order in force says so. Who sends another
        // may not have heard yet that the order lost force.
        envelopes.retain(|one| {
            let stub = matches!(one.wire.content, Content::Erased { .. });
            !stub || self.carrier.is_erased(&one.header.log, one.header.seq)
        });
        if let Source::Session(pipe, _) = from
            && let Some(session) = self.sessions.get_mut(&pipe)
        {
            session.theirs.add_statements(change.added.get(added..).unwrap_or_default());
            let places = envelopes.iter().map(|one| (one.header.log, one.header.seq, one.hash));
            for (log, span) in in_spans(places) {
                session.theirs.add_span(log, span);
            }
        }
        let (mut forks, mut suspects) = (Vec::new(), Vec::new());
        let (mut too_much, mut known, mut full) = (0, 0, false);
        if !baseless.is_empty() {
            self.refuse_part(from, &mut taken, LaneError::UnknownLog.to_string());
        }
        refused.extend(baseless.into_iter().map(|one| one.header.log));
        let lacks = !refused.is_empty();
        let mut apart = Vec::new();
        let mut coming = VecDeque::from(envelopes);
        // What was apart may touch what came after it, so it is looked at once more from behind.
        while let Some(one) = coming.pop_front().or_else(|| apart.pop()) {
            let Header { log, seq, .. } = one.header;
            let held = self.carrier.holdings.logs.get(&log);
            let last_look = coming.is_empty();
            known += u64::from(held.is_some_and(|held| held.spans.contains(seq)));
            match self.place(change, one) {
                Placed::Done => {}
                Placed::LetGo => _ = refused.insert(log),
                Placed::NoRoom => {
                    full = true;
                    refused.insert(log);
                }
                Placed::Apart(one) if !last_look => apart.push(*one),
                Placed::TooMuch | Placed::Apart(_) => {
                    too_much += 1;
                    refused.insert(log);
                }
                Placed::Held(one) => suspects.push(*one),
                Placed::Contradicts(seq, theirs) => forks.push((seq, *theirs)),
            }
        }
        let new = change.envelopes.len() - placed;
        if too_much > 0 {
            let why = format!("{too_much} envelopes beyond what is kept of an author or a log");
            self.refuse_part(from, &mut taken, why);
        }
        if full && matches!(from, Source::Bundle(_)) {
            // A peer is told by the answer to its batch.
            let why = "no room for more of other health centres (`carry_mb`)".to_owned();
            self.refuse_part(from, &mut taken, why);
        }
        // Payloads that take the place of stubs are new, although their places were held.
        taken.envelopes.new = new as u64;
        taken.envelopes.known = known.min((heard_envelopes - new) as u64);
        taken.envelopes.refuse(heard_envelopes - new);
        taken.envelopes.refused -= taken.envelopes.known;
        let counted = logs.iter().filter(|log| !refused.contains(log)).count() as u64;
        let refusal = Refusal { logs: refused, full, lacks: lacks || full || too_much > 0 };
        Accepted { from, bytes, taken, counted, refusal, forks, suspects }
    }

    /// What a batch brought is durable.
    fn accepted(&mut self, one: Accepted) {
        let Accepted { from, bytes, taken, counted, refusal, forks, suspects } = one;
        match from {
            Source::Session(pipe, _) => self.acknowledge(pipe, &taken, (bytes, counted), refusal),
            Source::Bundle(id) => self.reply(id, Reply::PageTaken(Box::new(taken))),
        }
        for (seq, theirs) in forks {
            self.prove_fork(seq, theirs);
        }
        self.examine(suspects);
    }

    /// What came in a session is durable, but for what was refused. `counted`: envelopes of logs of
    /// which nothing was.
    fn acknowledge(
        &mut self,
        pipe: PipeId,
        taken: &Taken,
        (bytes, counted): (usize, u64),
        refusal: Refusal,
    ) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.owed_acks = session.owed_acks.saturating_sub(1);
        session.owed_bytes = session.owed_bytes.saturating_sub(bytes);
        session.received.1 += counted;
        session.received.0 += taken.statements.new;
        session.left_out |= refusal.lacks;
        session.stats.envelopes_received += taken.envelopes.new;
        session.stats.statements_received += taken.statements.new;
        if taken.envelopes.new > 0 {
            self.event(Event::Took { pipe, envelopes: taken.envelopes.new });
        }
        let Some(number) = taken.batch else { return };
        let Refusal { logs, full, .. } = refusal;
        if !logs.is_empty() {
            self.say(pipe, &Frame::Refused { number, full, logs });
        }
        self.say(pipe, &Frame::Ack { number });
    }

    /// Puts one envelope in its place.
    fn place(&mut self, change: &mut Change, one: Checked) -> Placed {
        let Checked { header, hash, wire } = one;
        let (log, seq) = (header.log, header.seq);
        let nothing = Held::default();
        let held = self.held_in(change, &log).unwrap_or(&nothing);
        if held.is_stub_of(seq, hash) {
            if matches!(wire.content, Content::Erased { .. }) || self.carrier.is_erased(&log, seq) {
                return Placed::Done;
            }
            // The order that took the payload has lost force: here it is again. It had its share
            // before, and who has filled that since does not keep it away.
            let stored = Stored { previous: header.previous, wire };
            self.add_envelope(change, (&header, hash), &stored, None);
            return Placed::Done;
        }
        if let Some(lane) = self.carrier.lane.as_ref().filter(|lane| lane.is_frozen(&log, seq)) {
            // What its honest author wrote beyond the fork comes again in another log; or
            // an authority has named the true history, and only that comes in.
            if lane.cut_off(&log).is_some_and(|end| held.leads_to(end, seq, hash)) {
                let stored = Stored { previous: header.previous, wire };
                self.add_envelope(change, (&header, hash), &stored, None);
            }
            return Placed::Done;
        }
        // What a thief wrote in other places does not keep out what may lead to a cut-off: for that
        // there is as much again. Two histories below it are proven to be a fork.
        let end = self.carrier.lane.as_ref().and_then(|lane| lane.cut_off(&log));
        let shares = if end.is_some_and(|(to, _)| seq <= to) { 2 } else { 1 };
        let against = match held.fit(seq, header.previous, hash) {
            Fit::New
                if held.spans.as_slice().len() >= shares * HELD_SPANS_MAX
                    && !held.spans.touches(seq) =>
            {
                return Placed::Apart(Box::new(Checked { header, hash, wire }));
            }
            Fit::New if !self.has_room(change, log, &wire, shares as u64) => {
                return Placed::TooMuch;
            }
            Fit::New if !self.carries(change, &header, &wire) => return Placed::NoRoom,
            Fit::New => {
                let stored = Stored { previous: header.previous, wire };
                if self.carrier.own_area(log).is_some() {
                    // We signed this and do not hold it: we are a copy.
                    change.batch.put(Table::CarrierMeta, key::ROLL, []);
                    self.begin_anew();
                }
                self.add_envelope(change, (&header, hash), &stored, None);
                return Placed::Done;
            }
            // It was here, or what it contradicts, and was let go.
            Fit::Held if !held.keeps(seq) => return Placed::LetGo,
            Fit::Unlinked(at) if !held.keeps(at) => return Placed::LetGo,
            Fit::Held => match held.spans.as_slice().iter().find(|span| span.to == seq) {
                Some(span) if span.end == hash => return Placed::Done,
                Some(_) => seq,
                // Inside a span only the store can tell whether it is the same.
                None => return Placed::Held(Box::new(Checked { header, hash, wire })),
            },
            Fit::Unlinked(at) => at,
        };
        let stored = Stored { previous: header.previous, wire };
        self.keep_beside(change, (log, seq), &stored);
        self.event(Event::Forked { log, seq });
        Placed::Contradicts(against, Box::new((header, stored.wire.signature)))
    }

    /// Whether an envelope is within so many shares of its author. Our own always is.
    fn has_room(&self, change: &Change, log: LogId, wire: &Wire, shares: u64) -> bool {
        let opening = self.carrier.lane.as_ref().and_then(|lane| lane.opening(&log));
        let Some(certificate) = opening.map(|opening| opening.certificate) else { return true };
        let held = self.carrier.bytes.get(&certificate).copied().unwrap_or_default();
        let held = held.saturating_add_signed(change.bytes.get(&certificate).copied().unwrap_or(0));
        let own = self.carrier.issuer().is_some_and(|(_, own)| own == certificate);
        let bytes = wire.bytes() as u64;
        own || held + bytes <= shares * BYTES_PER_AUTHOR_MAX
    }

    /// Whether an envelope is kept here for ever, or urgent, or there is room to carry it.
    fn carries(&self, change: &Change, header: &Header, wire: &Wire) -> bool {
        let is_reissue =
            |lane: &Lane| lane.reissues().any(|one| (one.log, one.seq) == (header.log, header.seq));
        header.urgency == Urgency::Urgent
            || self.keeps(&header.log)
            || fits(self.room(), change, wire.bytes() as u64)
            // Before it is here, what it stands for may not go.
            || self.carrier.lane.as_ref().is_some_and(is_reissue)
    }

    /// What will be held of a log once a change is durable.
    pub(super) fn held_in<'a>(&'a self, change: &'a Change, log: &LogId) -> Option<&'a Held> {
        change.logs.get(log).or_else(|| self.carrier.holdings.logs.get(log))
    }

    /// Adds an envelope that fits to the change, or the payload of one of which only
    /// the stub was left.
    pub(super) fn add_envelope(
        &mut self,
        change: &mut Change,
        (header, hash): (&Header, Hash),
        stored: &Stored,
        own: Option<(LogId, u64, u64)>,
    ) {
        let (log, seq) = (header.log, header.seq);
        let held = change.logs.entry(log);
        let held = held
            .or_insert_with(|| self.carrier.holdings.logs.get(&log).cloned().unwrap_or_default());
        held.insert(seq, header.previous, hash, header.urgency == Urgency::Urgent);
        let stripped = if held.is_stub(seq) { stripped_bytes(header, &stored.wire) } else { 0 };
        match stored.wire.content {
            Content::Sealed(_) => held.restore(seq),
            Content::Erased { .. } => held.strip(seq, header.previous, hash),
        }
        let bytes = (stored.wire.bytes() as u64).saturating_sub(stripped);
        held.bytes += bytes;
        self.weigh(change, &log, 0_i64.saturating_add_unsigned(bytes));
        change.batch.put(Table::Envelopes, log_key(log, seq), codec::encode(stored));
        let row = IngestRow { log, seq, hash, own };
        let ingest = change.next_ingest.to_be_bytes();
        change.batch.put(Table::Ingest, ingest, codec::encode(&row));
        change.next_ingest += 1;
        change.envelopes.push((log, seq));
        let lane = self.carrier.lane.iter();
        change.erasures.extend(lane.flat_map(|lane| lane.erasures_about(&log, seq)));
    }

    /// Applies the lane's rules to a statement whose signatures hold.
    pub(super) fn admit(
        &mut self,
        change: &mut Change,
        statement: Statement,
    ) -> Result<(), LaneError> {
        let Some(lane) = &mut self.carrier.lane else { return Ok(()) };
        let (id, bytes) = (statement.id(), statement.to_bytes());
        let forks = lane.forks();
        match lane.admit(statement)? {
            Admitted::New { body, replaced, twin: _ } => {
                change.batch.put(Table::Statements, id.0, bytes);
                change.added.push(id);
                if let Some(old) = replaced {
                    change.batch.delete(Table::Statements, old.0);
                    change.added.retain(|added| *added != old);
                    change.removed.push(old);
                }
                change.trusts |= matches!(
                    body,
                    Body::Certificate(_)
                        | Body::Grant(_)
                        | Body::PublishedKey(_)
                        | Body::Rung(_)
                        | Body::Revocation(_)
                );
                match body {
                    Body::Grant(grant) => {
                        let me = self.carrier.membership.as_ref().map(|known| known.certificate);
                        change.granted |= Some(grant.to) == me;
                    }
                    Body::Rung(_) | Body::PublishedKey(_) => change.granted = true,
                    Body::Revocation(revocation) => {
                        change.judged = true;
                        change.revoked.push(revocation.certificate);
                    }
                    Body::Admission(_) => change.judged = true,
                    Body::Receipt(_) => change.vouched = true,
                    Body::Opening(_) => change.opened = true,
                    Body::Form => change.published = true,
                    Body::Certificate(_) => change.judged |= lane.has_revocations(),
                    Body::Erasure(_) => {
                        change.erasures.insert(id);
                    }
                    Body::ForkProof(proof) if lane.forks() > forks => {
                        self.notice_fork(proof.log());
                    }
                    _ => {}
                }
            }
            Admitted::Known | Admitted::Outdated => {}
        }
        Ok(())
    }

    fn admit_all(&mut self, statements: Vec<Statement>, of: Option<PipeId>) {
        let mut change = self.change();
        for statement in statements {
            let _refused = self.admit(&mut change, statement);
        }
        self.commit(change, move |node| {
            if let Some(pipe) = of {
                node.admitted_chain(pipe);
            }
        });
    }

    /// Envelopes came, or were shown: that is signed, a little later, for all that come together.
    pub(super) fn touch_receipts(&mut self) {
        let signs = matches!(self.role(), Some(Role::Hub | Role::Gateway));
        let signs = signs || self.reader.as_ref().is_some_and(|reader| !reader.shown.is_empty());
        if signs && self.carrier.receipts_at.is_none() {
            let at = self.now.millis.plus(crate::limits::RECEIPT_DELAY_MS);
            self.carrier.receipts_at = Some(at);
        }
    }
}

/// Bytes of an envelope without its payload.
fn stripped_bytes(header: &Header, wire: &Wire) -> u64 {
    let content = Content::Erased { bytes: header.payload_bytes, hash: header.payload_hash };
    Wire { content, ..wire.clone() }.bytes() as u64
}

/// Envelopes in the order in which they came, neighbours of one log together.
fn in_spans(places: impl Iterator<Item = (LogId, u64, Hash)>) -> Vec<(LogId, Span)> {
    let mut spans: Vec<(LogId, Span)> = Vec::new();
    for (log, seq, end) in places {
        match spans.last_mut() {
            Some((same, span)) if *same == log && span.to.checked_add(1) == Some(seq) => {
                (span.to, span.end) = (seq, end);
            }
            _ => spans.push((log, Span { from: seq, to: seq, end })),
        }
    }
    spans
}
