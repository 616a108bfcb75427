//! What the holder of an authority device decides: each order is noted in the audit trail, then
//! signed and made durable in one step, then told.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{CommandId, Order, Reply};
use super::ingest::Change;
use super::state::{Task, log_key};
use crate::audit::Action;
use crate::codec;
use crate::control::{
    Admission, CutOff, ProgrammeTime, Reason, Revocation, Scope, Statement, kind,
};
use crate::crypto::{Entropy, Signed};
use crate::envelope::Stored;
use crate::holdings::Span;
use crate::id::{AreaTag, CertId, Hash, LogId, StatementId};
use crate::store::{Range, Table};
use crate::trust::approval::{Approval, Approver, JoinRequest, grant_to};
use crate::trust::recovery::{self, RecoveryRequest};
use crate::trust::{AreaKey, AreaScope, CatchmentSecret, GrantContent, Issuer, Role};

/// Cut-offs, or statements that stay in force, that one revocation names.
const CUT_OFFS_MAX: usize = 96;
const TRUSTED_MAX: usize = 384;

impl Node {
    pub(super) fn order(&mut self, id: CommandId, order: Order) {
        if self.role() != Some(Role::Authority) {
            let hint = "give the order on an authority device of the health centre";
            return self.decline_order(id, "not_entitled", "this is no authority device", hint);
        }
        if self.is_shut_out() {
            let hint = "use another authority device, or the paper key";
            return self.decline_order(id, "revoked", "this authority device was revoked", hint);
        }
        if self.reader.as_ref().is_none_or(|reader| reader.opening) {
            let hint = "unlock it with `huza unlock`";
            return self.decline_order(id, "locked", "this device is locked", hint);
        }
        match order {
            Order::Approve { request, approval } => self.approve(id, &request, &approval),
            Order::Revoke { certificate, reason, trust, rotate } => {
                self.revoke(id, certificate, reason, trust, rotate);
            }
            Order::Rotate { village } => self.rotate(id, village.as_deref()),
            Order::Judge { log, from, to, admit } => self.judge(id, log, (from, to), admit),
            Order::Erase { record } => self.begin_erase(id, record),
            Order::Grant { certificate, villages } => self.grant(id, certificate, &villages),
            Order::Recover { request } => self.help_recover(id, &request),
            Order::Publish { text } => self.publish(id, &text),
            Order::Time => {
                let body = codec::encode(&ProgrammeTime { time: self.now.stamp });
                let mut change = self.change();
                self.issue(&mut change, Scope::Programme, kind::PROGRAMME_TIME, body);
                let done = vec![format!("programme time: {}", self.now.stamp)];
                self.finish_order(id, change, done);
            }
        }
    }

    pub(super) fn decline_order(&mut self, id: CommandId, code: &str, message: &str, hint: &str) {
        self.decline_order_of(Some(id), code, message, hint);
    }

    pub(super) fn decline_order_of(
        &mut self,
        id: Option<CommandId>,
        code: &str,
        message: &str,
        hint: &str,
    ) {
        self.carrier.busy = false;
        if let Some(id) = id {
            self.refuse(id, code, message, hint);
        }
    }

    pub(super) fn finish_order(&mut self, id: CommandId, change: Change, done: Vec<String>) {
        let statements = change.added.len();
        self.commit(change, move |node| {
            node.reply(id, Reply::Issued { statements, done });
        });
    }

    /// The catchment secret that this device hands on.
    pub(super) fn own_secret(&self) -> Option<CatchmentSecret> {
        let (lane, reader) = (self.carrier.lane.as_ref()?, self.reader.as_ref()?);
        let mine = self.carrier.certificate()?;
        let mut secrets = reader.keyring.secrets(lane).into_iter().rev();
        secrets.find(|one| mine.covers(&AreaScope::Catchment(one.catchment))).cloned()
    }

    fn no_secret(&mut self, id: CommandId) {
        let hint = "let it meet another authority device of the health centre first";
        self.decline_order(id, "no_secret", "this device holds no key of its catchment", hint);
    }

    fn approve(&mut self, id: CommandId, request: &JoinRequest, approval: &Approval) {
        let Some(secret) = self.own_secret() else { return self.no_secret(id) };
        let known = self.carrier.lane.as_ref().zip(self.carrier.membership.as_ref());
        let (Some((lane, membership)), Some(identity), Some((issuer, own))) =
            (known, &self.carrier.identity, self.carrier.issuer())
        else {
            return self.no_secret(id);
        };
        let key = identity.key();
        let approver = Approver {
            key: &key,
            issuer,
            root: membership.root,
            member: &membership.member,
            programme: &membership.programme,
            secret: &secret,
            lane: Some(lane),
        };
        let reader = self.reader.as_ref();
        let key_of = |area| {
            let known = reader.and_then(|reader| reader.keyring.writing_key(lane, area));
            known.unwrap_or_else(|| secret.key(area, 0))
        };
        let now = self.now.stamp;
        let mut entropy = Entropy::new(self.entropy.draw());
        let approved = approver.approve(request, approval, key_of, now, &mut entropy);
        let approved = match approved {
            Ok(approved) => approved,
            Err(error) => {
                let hint = match error {
                    crate::trust::approval::IssueError::WholeCatchment => "leave `--village` out",
                    crate::trust::approval::IssueError::Stale { .. } => {
                        "make a new request, or see that both clocks are right"
                    }
                    crate::trust::approval::IssueError::UnknownVillage(_) => {
                        "name a village of this health centre"
                    }
                    crate::trust::approval::IssueError::NoVillage => "name its village",
                    crate::trust::approval::IssueError::ShutOut(_) => {
                        "if its holder stands before you, say that it may come back: `--again`"
                    }
                    _ => "ask the device for a new request, made by `huza request`",
                };
                return self.decline_order(id, "not_approved", &error.to_string(), hint);
            }
        };
        let mut statements: Vec<Statement> = lane.chain(own).into_iter().cloned().collect();
        statements.extend(self.published_in(secret.catchment));
        let certificate = approved.certificate;
        let subject = format!("{certificate} as {}", approval.role.name());
        let scope = Scope::Catchment(secret.catchment);
        self.audit_alone(Action::Approved, subject, move |node| {
            let mut change = node.change();
            for (kind, body) in &approved.bodies {
                statements.extend(node.issue(&mut change, scope, *kind, body.clone()));
            }
            let welcome = approved.welcome(statements);
            node.commit(change, move |node| {
                node.reply(id, Reply::Approved { certificate, welcome });
            });
        });
    }

    /// The statements that publish the keys of a catchment's areas.
    fn published_in(&self, catchment: crate::id::CatchmentTag) -> Vec<Statement> {
        let lane = self.carrier.lane.iter().flat_map(|lane| lane.statements());
        lane.map(|(_, statement)| statement)
            .filter(|one| one.kind() == kind::PUBLISHED_KEY)
            .filter(|one| one.scope() == Scope::Catchment(catchment))
            .filter(|one| self.carrier.lane.as_ref().is_some_and(|lane| lane.is_in_force(one)))
            .cloned()
            .collect()
    }

    fn revoke(
        &mut self,
        id: CommandId,
        certificate: CertId,
        reason: Reason,
        trust: bool,
        rotate: bool,
    ) {
        let Some(lane) = &self.carrier.lane else { return self.no_secret(id) };
        if lane.certificate(&certificate).is_none() {
            let hint = "`huza devices` lists those known here";
            return self.decline_order(id, "unknown_device", "no such certificate is known", hint);
        }
        if self.carrier.issuer().is_some_and(|(_, own)| own == certificate) {
            let hint = "give the order on another authority device, or with the paper key";
            return self.decline_order(id, "own_device", "that is this device itself", hint);
        }
        // A device may have several certificates: it is the device that is shut out.
        let device = lane.certificate(&certificate).map(|known| known.device);
        let all = lane.certificates().filter(|(id, known)| {
            Some(known.device) == device && (lane.is_good(id) || **id == certificate)
        });
        let all: Vec<CertId> = all.map(|(id, _)| *id).collect();
        let shut_out =
            lane.revoked(&certificate).filter(|_| !all.iter().any(|id| lane.is_good(id)));
        if let Some(revoked) = shut_out.filter(|_| trust) {
            let message = format!("that device is shut out already: {:?}", revoked.reason);
            let hint = "nothing was changed; with `--trust-nothing` what it wrote before counts no \
                        more either";
            return self.decline_order(id, "already_revoked", &message.to_lowercase(), hint);
        }
        let pieces = all.iter().flat_map(|one| self.revocations(*one, reason, trust)).collect();
        let apart = if trust { self.apart(&all) } else { Vec::new() };
        self.issue_revocations(id, all, pieces, apart, rotate);
    }

    /// What revokes one certificate.
    fn revocations(&self, certificate: CertId, reason: Reason, trust: bool) -> Vec<Revocation> {
        let (logs, statements) = self.trusted(certificate, reason, trust);
        let mut pieces: Vec<Revocation> = Vec::new();
        let mut logs = logs.chunks(CUT_OFFS_MAX);
        let mut named = statements.chunks(TRUSTED_MAX);
        loop {
            let (some, more) = (logs.next(), named.next());
            if some.is_none() && more.is_none() && !pieces.is_empty() {
                break;
            }
            // Together they must fit one statement, so each piece names one kind of thing.
            let (some, more) = (some.unwrap_or_default(), more.unwrap_or_default());
            let piece = |logs: &[CutOff], statements: &[StatementId]| Revocation {
                certificate,
                reason,
                logs: logs.to_vec(),
                statements: statements.to_vec(),
            };
            pieces.push(piece(some, &[]));
            if !more.is_empty() {
                pieces.push(piece(&[], more));
            }
        }
        pieces
    }

    fn issue_revocations(
        &mut self,
        id: CommandId,
        all: Vec<CertId>,
        pieces: Vec<Revocation>,
        apart: Vec<(Scope, Admission)>,
        rotate: bool,
    ) {
        let subject: Vec<String> = all.iter().map(ToString::to_string).collect();
        self.audit_alone(Action::Revoked, subject.join(", "), move |node| {
            let mut change = node.change();
            for piece in &pieces {
                let body = codec::encode(piece);
                node.issue(&mut change, Scope::Programme, kind::REVOCATION, body);
            }
            if change.added.is_empty() {
                let hint = "ask an authority above: a district, or the programme";
                let message = "this device has no authority over that certificate";
                return node.decline_order(id, "not_entitled", message, hint);
            }
            for (scope, admission) in apart {
                node.issue(&mut change, scope, kind::ADMISSION, codec::encode(&admission));
            }
            let mut done: Vec<String> = all.iter().map(|one| format!("revoked: {one}")).collect();
            let logs = pieces.iter().flat_map(|one| &one.logs);
            let held = logs.filter_map(|cut| node.carrier.holdings.logs.get(&cut.log));
            let trusted: u64 = held.map(|held| held.spans.count()).sum();
            done.push(format!(
                "of what it wrote, {trusted} envelopes are held here and count; what others hold \
                 beyond is held back until you admit it (`huza authority quarantine`)"
            ));
            if rotate {
                done.extend(node.rotate_held(&mut change, &all));
            }
            node.finish_order(id, change, done);
        });
    }

    /// What this device holds of a certificate's logs and statements, as what is still trusted. If
    /// nothing is, there remains what this device's own certificate rests on. Of a device in wrong
    /// hands, orders to erase that still wait are never among it: that is what they wait for; nor are
    /// forms, which tell workers what to do: published again, they are what they were.
    fn trusted(
        &self,
        certificate: CertId,
        reason: Reason,
        all: bool,
    ) -> (Vec<CutOff>, Vec<StatementId>) {
        let Some(lane) = &self.carrier.lane else { return Default::default() };
        let own = self.carrier.issuer().map(|(_, own)| lane.chain(own)).unwrap_or_default();
        let own: BTreeSet<StatementId> = own.into_iter().map(Statement::id).collect();
        let logs = lane.openings().filter(|(_, one)| one.certificate == certificate);
        let logs = logs.filter_map(|(log, _)| {
            let last = *self.carrier.holdings.logs.get(log)?.spans.as_slice().last()?;
            Some(CutOff { log: *log, to: last.to, end: last.end })
        });
        let issuer = Issuer::Certified(certificate);
        let signed = lane.statements().filter(|(_, one)| one.issuer() == issuer);
        let kept = signed.filter(|(id, one)| {
            let lasting = !matches!(one.kind(), kind::RECEIPT | kind::OPENING | kind::FORK_PROOF);
            let waits = one.kind() == kind::ERASURE && !self.carrier.ripe.contains(*id);
            let misused = matches!(reason, Reason::Stolen | Reason::Misused);
            let doubtful = waits || one.kind() == kind::FORM;
            lasting && all && !(doubtful && misused) || own.contains(id)
        });
        (logs.filter(|_| all).collect(), kept.map(|(id, _)| *id).collect())
    }

    /// What is held of the logs of certificates in front of a gap. It leads to no cut-off, so it
    /// is admitted for itself.
    fn apart(&self, certificates: &[CertId]) -> Vec<(Scope, Admission)> {
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        let logs = lane.openings().filter(|(_, one)| certificates.contains(&one.certificate));
        let spans = logs.flat_map(|(log, opening)| {
            let held = self.carrier.holdings.logs.get(log).map(|held| held.spans.as_slice());
            let earlier = held.and_then(<[Span]>::split_last).map_or(&[][..], |(_, all)| all);
            let scope = Scope::Catchment(opening.area.catchment());
            earlier.iter().map(move |Span { from, to, end }| {
                let (from, to, end) = (*from, *to, *end);
                (scope, Admission { log: *log, from, to, end, admit: true })
            })
        });
        spans.collect()
    }

    fn judge(&mut self, id: CommandId, log: LogId, (from, to): (u64, Option<u64>), admit: bool) {
        let last = self.carrier.holdings.logs.get(&log).and_then(|held| held.spans.last());
        let area = self.carrier.lane.as_ref().and_then(|lane| lane.opening(&log));
        let area = area.map(|opening| opening.area);
        let (Some(last), Some(area)) = (last, area) else {
            let hint = "`huza quarantine` lists what is held back here";
            return self.decline_order(id, "unknown_log", "nothing of this log is here", hint);
        };
        let to = to.unwrap_or(last).min(last);
        let exact = Range { rows_max: 1, ..Range::prefix(Table::Envelopes, log_key(log, to)) };
        self.pages(vec![exact], move |node, rows| {
            let row = rows.into_iter().flatten().next();
            let stored = row.and_then(|(_, value)| codec::decode::<Stored>(&value).ok());
            let Some(stored) = stored.filter(|_| from <= to) else {
                let hint = "`huza quarantine` lists what is held back here";
                return node.decline_order(id, "unknown_log", "no such envelopes are here", hint);
            };
            let end: Hash = stored.wire.header(log, to, stored.previous).hash();
            let what = if admit { "admitted" } else { "rejected" };
            let subject = format!("{what} {log} {from} to {to}");
            node.audit_alone(Action::Judged, subject, move |node| {
                let body = codec::encode(&Admission { log, from, to, end, admit });
                let scope = Scope::Catchment(area.catchment());
                let mut change = node.change();
                if node.issue(&mut change, scope, kind::ADMISSION, body).is_none() {
                    let hint = "ask an authority of that health centre";
                    let message = "this device has no authority over that log";
                    return node.decline_order(id, "not_entitled", message, hint);
                }
                let done = vec![format!("{what}: {} envelopes", to - from + 1)];
                node.finish_order(id, change, done);
            });
        });
    }

    fn grant(&mut self, id: CommandId, certificate: CertId, villages: &[String]) {
        let Some(secret) = self.own_secret() else { return self.no_secret(id) };
        let Some(lane) = &self.carrier.lane else { return self.no_secret(id) };
        let Some(to) = lane.certificate(&certificate).filter(|_| lane.is_good(&certificate)) else {
            let hint = "`huza devices` lists those known here";
            let message = "no such certificate is known, or it was revoked";
            return self.decline_order(id, "unknown_device", message, hint);
        };
        let now = lane.programme_time().unwrap_or_default();
        if to.expires < now {
            let hint = "approve the device anew";
            return self.decline_order(id, "expired", "its certificate has ended", hint);
        }
        if let Some(unknown) = villages.iter().find(|v| !secret.villages.contains(v)) {
            let message = format!("village {unknown} is not in this catchment");
            let hint = "name a village of this health centre";
            return self.decline_order(id, "unknown_village", &message, hint);
        }
        let sealing = to.sealing;
        let contents = if villages.is_empty() {
            vec![GrantContent::Catchment(secret.clone())]
        } else {
            let areas = villages.iter().map(|village| (secret.area(village), secret.name(village)));
            let keys = areas.filter_map(|(area, name)| {
                let key = self.reader.as_ref()?.keyring.writing_key(lane, area)?;
                Some(GrantContent::Area(AreaKey { area, name, key }))
            });
            keys.collect()
        };
        let mut bodies = Vec::new();
        for content in &contents {
            if let Ok(body) = grant_to(certificate, &sealing, content, &mut self.entropy) {
                bodies.push(body);
            }
        }
        let what = if villages.is_empty() { "the catchment".into() } else { villages.join(", ") };
        let subject = format!("{certificate}: {what}");
        self.audit_alone(Action::Granted, subject, move |node| {
            let mut change = node.change();
            for body in bodies {
                let scope = Scope::Catchment(secret.catchment);
                node.issue(&mut change, scope, kind::GRANT, body);
            }
            let done = vec![format!("granted to {certificate}: {what}")];
            node.finish_order(id, change, done);
        });
    }

    fn begin_erase(&mut self, id: CommandId, record: crate::id::RecordId) {
        let row = self.reader.as_ref().and_then(|reader| reader.visible(record));
        let area: Option<AreaTag> = row.map(|row| row.area);
        if self.must_roll || self.in_doubt() {
            let message = "this device is about to begin a new incarnation";
            return self.decline_order(id, "not_ready", message, "try again in a minute");
        }
        if let Some(area) = area.filter(|area| !self.carrier.own.contains_key(area)) {
            self.open_logs(&BTreeSet::from([area]));
            let order = Box::new(Order::Erase { record });
            self.carrier.tasks.push_back(Task::Order { id, order });
            self.carrier.busy = false;
            return;
        }
        self.erase(id, record);
    }

    fn help_recover(&mut self, id: CommandId, request: &RecoveryRequest) {
        let own = self.carrier.membership.as_ref().map(|known| known.certificate);
        let sealing = self.reader.as_ref().and_then(|reader| reader.sealing.clone());
        let (Some(lane), Some(own), Some(sealing)) = (&self.carrier.lane, own, sealing) else {
            return self.no_secret(id);
        };
        let trusted =
            lane.certificates().any(|(id, one)| one.device == request.device && lane.is_good(id));
        if !trusted {
            let hint = "enrol the person's device anew";
            let message = "the device is not known here, or it was revoked";
            return self.decline_order(id, "revoked", message, hint);
        }
        let answer = match recovery::answer(request, own, &sealing, self.entropy.draw()) {
            Ok(answer) => answer,
            Err(error) => {
                let hint = "make a new request on the device";
                return self.decline_order(id, "not_recovered", &error.to_string(), hint);
            }
        };
        let subject = request.device.to_string();
        self.audit_alone(Action::Recovered, subject, move |node| {
            node.carrier.busy = false;
            node.reply(id, Reply::Recovered { answer });
        });
    }

    /// Takes in statements that a user brought.
    pub(super) fn take(&mut self, id: CommandId, statements: Vec<Statement>) {
        let Some(lane) = &self.carrier.lane else {
            let hint = "join a programme first";
            return self.decline_order(id, "not_joined", "this device has not joined", hint);
        };
        let mut candidates = lane.candidates();
        let mut refused: BTreeMap<StatementId, String> = BTreeMap::new();
        for statement in &statements {
            let why = match candidates.add(statement) {
                Ok(signed) if signed.iter().all(Signed::verify) => continue,
                Ok(_) => "its signature does not hold".to_owned(),
                Err(error) => error.to_string(),
            };
            refused.insert(statement.id(), why);
        }
        if let Some((_, why)) = refused.first_key_value() {
            let message = format!("a statement cannot be taken: {why}");
            let hint = "nothing was taken; bring the file of this programme's authority";
            return self.decline_order(id, "bad_statement", &message, hint);
        }
        let mut change = self.change();
        for statement in statements {
            let _refused = self.admit(&mut change, statement);
        }
        let done = vec!["taken in, and on its way to all who are met".to_owned()];
        self.finish_order(id, change, done);
    }
}
