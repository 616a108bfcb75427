//! Start-up: reading both stores, noticing a copy, and first joining.

use core::cell::OnceCell;
use std::collections::BTreeSet;

use super::Node;
use super::api::{Command, CommandError, CommandId, Event, Input, ReaderState, Reply};
use super::carry::Ages;
use super::state::{Identity, OutboxRow, OwnLog, OwnRow, Task, key, read_log_key};
use crate::codec;
use crate::control::{Admitted, Lane, Statement, kind};
use crate::crypto::{SealingKey, SymmetricKey};
use crate::holdings::Held;
use crate::id::{AreaTag, DeviceKey, EpochId, Incarnation, LogId, RecordId, StatementId, StoreId};
use crate::store::{Batch, Range, Row, StoreKind, Table};
use crate::trust::approval::{JoinRequest, Welcome};
use crate::trust::{Keyring, Role, recovery};

/// The tables read at start, carrier first.
const CARRIER_TABLES: [Table; 6] = [
    Table::CarrierMeta,
    Table::Statements,
    Table::Frontiers,
    Table::Outbox,
    Table::Taken,
    Table::Met,
];
const READER_TABLES: [Table; 8] = [
    Table::ReaderMeta,
    Table::Summaries,
    Table::Pending,
    Table::Waiting,
    Table::Deliver,
    Table::Answered,
    Table::Awaited,
    Table::Shown,
];

impl Node {
    /// Reads the carrier's store, then the reader's if that is open.
    pub(super) fn boot(&mut self, reader: ReaderState) {
        let ranges = CARRIER_TABLES.iter().map(|table| Range::all(*table)).collect();
        self.gather(ranges, |node, tables| {
            for (table, rows) in CARRIER_TABLES.iter().zip(tables) {
                for row in rows {
                    node.boot_row(*table, row);
                }
            }
            node.boot_lane();
            node.boot_check();
            match reader {
                ReaderState::Open { worker } => node.open_reader(worker),
                ReaderState::Absent | ReaderState::Locked => node.booted(),
            }
        });
    }

    /// The reader's tables, read at start or when it is unlocked.
    pub(super) fn read_reader(&mut self, then: impl FnOnce(&mut Self) + Send + 'static) {
        let ranges = READER_TABLES.iter().map(|table| Range::all(*table)).collect();
        self.gather(ranges, move |node, tables| {
            for (table, rows) in READER_TABLES.iter().zip(tables) {
                for row in rows {
                    node.boot_row(*table, row);
                }
            }
            then(node);
        });
    }

    /// Takes one stored row into memory. A row that cannot be read is left where it is: a later
    /// version may know it.
    fn boot_row(&mut self, table: Table, (row_key, value): Row) -> Option<()> {
        let carrier = &mut self.carrier;
        match table {
            Table::CarrierMeta => self.boot_carrier_meta(&row_key, &value)?,
            Table::Statements => self.boot_statements.push(Statement::from_bytes(&value).ok()?),
            Table::Frontiers => {
                let held: Held = codec::decode(&value).ok().filter(Held::is_sound)?;
                carrier.holdings.logs.insert(LogId::from_slice(&row_key)?, held);
            }
            Table::Outbox => {
                let (log, index) = read_log_key(&row_key)?;
                let row: OutboxRow = codec::decode(&value).ok()?;
                self.boot_outbox.push((log, index, row));
            }
            Table::Taken => {
                let (log, device) = row_key.split_at_checked(LogId::LEN)?;
                let place = (LogId::from_slice(log)?, DeviceKey::from_slice(device)?);
                carrier.taken.insert(place, codec::decode(&value).ok()?);
            }
            Table::Met => {
                let device = DeviceKey::from_slice(&row_key)?;
                carrier.met.insert(device, codec::decode(&value).ok()?);
            }
            Table::ReaderMeta => self.boot_reader_meta(&row_key, &value)?,
            Table::Summaries
            | Table::Pending
            | Table::Waiting
            | Table::Deliver
            | Table::Answered
            | Table::Awaited
            | Table::Shown => {
                let reader = self.reader.as_mut()?;
                match table {
                    Table::Summaries => {
                        let record = RecordId::from_slice(&row_key)?;
                        reader.listing.insert_stored(record, value);
                    }
                    Table::Pending => {
                        reader.pending.insert(read_log_key(&row_key)?, codec::decode(&value).ok()?);
                        reader.pending_since = Some(self.now.millis);
                    }
                    Table::Waiting => {
                        let (epoch, number) = row_key.split_at_checked(EpochId::LEN)?;
                        let number = u64::from_be_bytes(number.try_into().ok()?);
                        reader.waiting.insert(number, EpochId::from_slice(epoch)?);
                    }
                    Table::Deliver => {
                        reader.due.insert(u64::from_be_bytes(row_key.try_into().ok()?));
                    }
                    Table::Awaited => {
                        let (name, record) = row_key.split_at_checked(16)?;
                        let record = RecordId::from_slice(record)?;
                        reader.awaited.entry(name.try_into().ok()?).or_default().insert(record);
                    }
                    Table::Shown => {
                        let log = LogId::from_slice(&row_key)?;
                        reader.shown.insert(log, codec::decode(&value).ok()?);
                    }
                    _ => {
                        let log = LogId::from_slice(&row_key)?;
                        reader.answered.insert(log, codec::decode(&value).ok()?);
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn boot_carrier_meta(&mut self, row_key: &[u8], value: &[u8]) -> Option<()> {
        if let Some(area) = row_key.strip_prefix(key::OWN) {
            let row: OwnRow = codec::decode(value).ok()?;
            let own = OwnLog { row, outbox: std::collections::BTreeMap::new() };
            self.carrier.own.insert(AreaTag::from_slice(area)?, own);
            return Some(());
        }
        if let Some(erasure) = row_key.strip_prefix(key::HEARD) {
            let erasure = StatementId::from_slice(erasure)?;
            self.carrier.heard.insert(erasure, codec::decode(value).ok()?);
            return Some(());
        }
        match row_key {
            key::COUNTED => self.boot_counted(value)?,
            key::AGES => {
                let (marks, done) = codec::decode(value).ok()?;
                self.carrier.ages = Ages { marks, done };
            }
            key::IDENTITY => self.carrier.identity = Some(codec::decode(value).ok()?),
            key::MEMBERSHIP => self.carrier.membership = Some(codec::decode(value).ok()?),
            key::NEXT_INGEST => self.carrier.next_ingest = codec::decode(value).ok()?,
            key::SEALING => self.carrier_sealing = Some(codec::decode(value).ok()?),
            key::BOOT => self.boots.0 = codec::decode(value).ok()?,
            key::RECOVER => self.must_recover = true,
            key::ROLL => self.must_roll = true,
            key::AUDIT => self.carrier.audited = codec::decode(value).ok()?,
            _ => {}
        }
        Some(())
    }

    fn boot_reader_meta(&mut self, row_key: &[u8], value: &[u8]) -> Option<()> {
        let reader = self.reader.as_mut()?;
        if let Some(record) = row_key.strip_prefix(key::GONE) {
            reader.forgotten.insert(RecordId::from_slice(record)?);
            return Some(());
        }
        match row_key {
            key::AUDIT => reader.audit = codec::decode(value).ok()?,
            key::REVIEWED => reader.reviewed = codec::decode(value).ok()?,
            key::SEALING => reader.sealing = Some(codec::decode(value).ok()?),
            key::FED => reader.fed = codec::decode(value).ok()?,
            key::DELIVERED => reader.delivered = codec::decode(value).ok()?,
            key::CURSOR => reader.cursor = codec::decode(value).ok()?,
            key::BOOT => self.boots.1 = codec::decode(value).ok()?,
            _ => {}
        }
        Some(())
    }

    /// Admits the stored statements, whose signatures were checked before they were stored, each
    /// after those it depends on.
    fn boot_lane(&mut self) {
        let Some(membership) = &self.carrier.membership else { return };
        let mut lane = Lane::new(membership.root);
        let mut left = core::mem::take(&mut self.boot_statements);
        left.sort_by_key(|statement| match statement.kind() {
            kind::CERTIFICATE => 0,
            kind::OPENING => 1,
            _ => 2,
        });
        loop {
            let before = left.len();
            left.retain(|statement| lane.admit(statement.clone()).is_err());
            if left.len() == before || left.is_empty() {
                break;
            }
        }
        self.carrier.holdings.statements = lane.statements().map(|(id, _)| *id).collect();
        self.carrier.lane = Some(lane);
        self.follow_forms();
        for (log, index, row) in core::mem::take(&mut self.boot_outbox) {
            if let Some(own) = self.carrier.own.values_mut().find(|own| own.row.log == log) {
                own.outbox.insert(index, row);
            }
        }
        self.boot_home();
    }

    /// Notices a copied or restored carrier.
    fn boot_check(&mut self) {
        let copied = self.carrier.identity.as_ref().is_some_and(|known| known.life != self.life);
        let forked =
            |lane: &Lane| self.carrier.own.values().any(|own| lane.is_forked(&own.row.log));
        let forked = self.carrier.lane.as_ref().is_some_and(forked);
        if self.carrier.membership.is_some() && (copied || forked) {
            self.must_roll = true;
        }
        if copied {
            // What a backup heard long ago, this device hears now.
            self.carrier.heard.clear();
        }
        self.follow_erasures(&BTreeSet::new());
        // A run may be too short for the next look.
        self.carrier.erasures_at = self.carrier.erasures_at.map(|_| self.now.millis);
    }

    pub(super) fn booted(&mut self) {
        self.ready = true;
        if self.must_roll && !self.has_reader {
            self.begin_anew();
        }
        self.event(Event::Ready);
        if self.carrier.membership.is_none() {
            self.event(Event::NotJoined);
        }
        self.touch_receipts();
        self.mark();
        for (now, input) in core::mem::take(&mut self.backlog) {
            self.now = now;
            self.dispatch(input);
        }
    }

    /// Plans a new incarnation. With a reader it begins when that is open; until then nothing is
    /// numbered.
    pub(super) fn begin_anew(&mut self) {
        self.must_roll = true;
        let open = self.reader.as_ref().is_some_and(|reader| !reader.opening);
        let planned = self.carrier.tasks.iter().any(|task| matches!(task, Task::Roll));
        if (open || !self.has_reader) && !planned {
            self.carrier.tasks.push_front(Task::Roll);
        }
    }

    /// Opens every grant to this device that the lane holds.
    pub(super) fn open_grants(&mut self) {
        let (Some(lane), Some(membership)) = (&self.carrier.lane, &self.carrier.membership) else {
            return;
        };
        let Some(reader) = &mut self.reader else { return };
        let Some(sealing) = &reader.sealing else { return };
        reader.keyring = Keyring::open(&membership.member, lane, membership.certificate, sealing);
        reader.keyrings += 1;
        reader.unsealable.clear();
    }

    pub(super) fn init(&mut self, id: CommandId, label: &str) {
        if self.carrier.identity.is_some() {
            let hint = "use this home as it is, or choose another directory for a new device";
            return self.refuse(id, "exists", "this home has its keys already", hint);
        }
        let identity = Identity {
            seed: SymmetricKey::from_bytes(self.entropy.draw()),
            label: label.to_owned(),
            store: StoreId(self.entropy.draw()),
            incarnation: Incarnation(self.entropy.draw()),
            life: self.life,
            key: OnceCell::new(),
        };
        if self.has_reader && self.reader.is_none() {
            return self.refuse_locked(id);
        }
        let sealing = SealingKey::from_seed(self.entropy.draw());
        let mut carrier = Batch::default();
        carrier.put(Table::CarrierMeta, key::IDENTITY, codec::encode(&identity));
        let finish = move |node: &mut Self| {
            node.persist(StoreKind::Carrier, carrier, move |node| {
                node.carrier.identity = Some(identity);
                node.request(id);
            });
        };
        let mut secret = Batch::default();
        if let Some(reader) = &mut self.reader {
            secret.put(Table::ReaderMeta, key::SEALING, codec::encode(&sealing));
            reader.sealing = Some(sealing);
            self.persist(StoreKind::Reader, secret, finish);
        } else {
            secret.put(Table::CarrierMeta, key::SEALING, codec::encode(&sealing));
            self.carrier_sealing = Some(sealing);
            self.persist(StoreKind::Carrier, secret, finish);
        }
    }

    /// The key to which this device's grants are sealed.
    fn sealing(&self) -> Option<&SealingKey> {
        self.reader
            .as_ref()
            .and_then(|reader| reader.sealing.as_ref())
            .or(self.carrier_sealing.as_ref())
    }

    pub(super) fn request(&mut self, id: CommandId) {
        if self.has_reader && self.reader.is_none() {
            return self.refuse_locked(id);
        }
        let (Some(identity), Some(sealing)) = (self.carrier.identity.clone(), self.sealing())
        else {
            let hint = "make them with `huza init`";
            return self.refuse(id, "no_identity", "this home has no keys", hint);
        };
        let what = (identity.label.as_str(), !self.has_reader);
        let (key, public) = (identity.key(), sealing.public());
        let nonce = self.entropy.draw();
        let request = JoinRequest::new(&key, public, what, self.now.stamp, nonce);
        self.reply(id, Reply::Request { request });
    }

    pub(super) fn join(&mut self, id: CommandId, welcome: Welcome) {
        let hint = "ask the authority for an answer to this device's own request";
        if self.has_reader && self.reader.is_none() {
            return self.refuse_locked(id);
        }
        let Some(sealing) = self.sealing() else {
            return self.refuse(
                id,
                "no_identity",
                "this home has no keys",
                "make them with `huza init`",
            );
        };
        let membership = match welcome.open(sealing) {
            Ok(membership) => membership,
            Err(error) => return self.refuse(id, "bad_welcome", &error.to_string(), hint),
        };
        if self.carrier.membership.as_ref().is_some_and(|known| known.root != membership.root) {
            let message = "this device belongs to another programme already";
            return self.refuse(
                id,
                "other_programme",
                message,
                "use a new home for this programme",
            );
        }
        let mut lane = self.carrier.lane.clone().unwrap_or_else(|| Lane::new(membership.root));
        for statement in &welcome.statements {
            let signed = lane.candidates().add(statement);
            let valid = signed.is_ok_and(|all| all.iter().all(crate::crypto::Signed::verify));
            if !valid || lane.admit(statement.clone()).is_err() {
                return self.refuse(
                    id,
                    "bad_welcome",
                    "a statement in the answer is not valid",
                    hint,
                );
            }
        }
        let certificate = lane.certificate(&membership.certificate);
        let device = self.carrier.identity.as_ref().map(|identity| identity.key().public());
        let Some(certificate) = certificate.filter(|found| Some(found.device) == device) else {
            return self.refuse(id, "bad_welcome", "the answer certifies another device", hint);
        };
        let role = certificate.role;
        // Logs are opened under a certificate: with another one, others begin.
        let known = self.carrier.membership.as_ref().map(|known| known.certificate);
        let renewed = known.is_some_and(|known| known != membership.certificate);
        let mut batch = Batch::default();
        batch.put(Table::CarrierMeta, key::MEMBERSHIP, codec::encode(&membership));
        for statement in &welcome.statements {
            batch.put(Table::Statements, statement.id().0, statement.to_bytes());
        }
        self.persist(StoreKind::Carrier, batch, move |node| {
            // What a contact brought while this was written stays.
            let lane = node.carrier.lane.get_or_insert_with(|| Lane::new(membership.root));
            for statement in welcome.statements {
                let id = statement.id();
                if let Ok(Admitted::New { replaced, .. }) = lane.admit(statement) {
                    let statements = &mut node.carrier.holdings.statements;
                    statements.insert(id);
                    replaced.iter().for_each(|old| _ = statements.remove(old));
                }
            }
            let programme = membership.programme.clone();
            let (workers, hubs) = (membership.workers.clone(), membership.hubs.clone());
            node.carrier.membership = Some(membership);
            node.carrier.digests = None;
            node.carrier.claims = None;
            node.settle_home();
            node.follow_forms();
            // Open sessions were proven by another certificate, and their peers do not know this one.
            for pipe in node.sessions.keys().copied().collect::<Vec<_>>() {
                node.part(pipe);
            }
            if renewed {
                node.begin_anew();
            }
            node.open_grants();
            node.refile_waiting();
            let areas = node.area_names();
            node.reply(id, Reply::Joined { programme, role, areas, workers, hubs });
        });
    }

    fn area_names(&self) -> Vec<String> {
        let areas = self.reader.iter().flat_map(|reader| reader.keyring.areas());
        areas.map(|(_, name)| name.to_string()).collect()
    }

    /// What this device is for.
    pub(super) fn role(&self) -> Option<Role> {
        self.carrier.certificate().map(|certificate| certificate.role)
    }

    /// Says that a command could not be done.
    pub(super) fn refuse(&mut self, id: CommandId, code: &str, message: &str, hint: &str) {
        let error = CommandError {
            code: code.to_owned(),
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        self.reply(id, Reply::Error(error));
    }

    pub(super) fn refuse_locked(&mut self, id: CommandId) {
        let hint = "unlock it with `huza unlock`";
        self.refuse(id, "locked", "this device is locked", hint);
    }

    /// Runs a command: those that write run one after the other.
    pub(super) fn command(&mut self, id: CommandId, command: Command) {
        self.open_commands.insert(id);
        if let Some(why) = self.stopped.clone() {
            let hint = "mend what the message names and restart huza on this home";
            return self.refuse(id, "store_failed", &why, hint);
        }
        let opening = self.reader.as_ref().is_some_and(|reader| reader.opening);
        match command {
            // What it reads is known in a moment.
            Command::Status { .. } if opening && self.ready => {
                self.put_off(id, command);
            }
            Command::Status { records } => self.status(id, records),
            Command::Peers => self.peers(id),
            Command::Check => {
                let findings = self.findings();
                self.reply(id, Reply::Checked { findings });
            }
            Command::Devices => self.devices(id),
            Command::Forms => self.published_forms(id),
            Command::SignRecovery { reply_to, slots } => {
                let Some(key) = self.carrier.identity.as_ref().map(Identity::key) else {
                    let hint = "make them with `huza init`";
                    return self.refuse(id, "no_identity", "this home has no keys", hint);
                };
                let request = recovery::request(&key, reply_to, slots, self.now.stamp);
                self.reply(id, Reply::RecoverySigned { request });
            }
            Command::Take { statements } => {
                self.carrier.tasks.push_back(Task::Take { id, statements });
            }
            Command::BundleBegin { scope } => self.begin_bundle(id, scope),
            Command::BundlePage { bundle } => self.next_page(id, bundle),
            Command::PageTake { page } => self.take_page(id, &page),
            command => match &self.reader {
                Some(reader) if reader.opening => self.put_off(id, command),
                _ => self.command_of_reader(id, command),
            },
        }
    }

    /// Runs a command when the reader has been read.
    fn put_off(&mut self, id: CommandId, command: Command) {
        let input = Input::Command { id, command: Box::new(command) };
        self.backlog.push((self.now, input));
    }

    /// Runs a command for which the reader must be open, where there is one.
    fn command_of_reader(&mut self, id: CommandId, command: Command) {
        match command {
            Command::Init { label } => return self.init(id, &label),
            Command::Request => return self.request(id),
            Command::Join { welcome } => return self.join(id, welcome),
            Command::Lock => return self.lock(id),
            _ => {}
        }
        let shut_out = self.is_shut_out();
        let Some(reader) = &mut self.reader else {
            if self.has_reader {
                return self.refuse_locked(id);
            }
            let hint = "ask a device that reads this area";
            return self.refuse(id, "no_reader", "this device only carries", hint);
        };
        if !reader.locking.is_empty() {
            return self.refuse_locked(id);
        }
        match command {
            Command::Find { .. }
            | Command::Inbox
            | Command::Reminders
            | Command::Duplicates { .. }
            | Command::Show { .. }
            | Command::Resources { .. }
            | Command::Changes { .. }
            | Command::Export { .. } => {
                self.ask(id, command);
            }
            Command::Audit { after } => self.show_audit(id, after),
            Command::Gateway => self.gateway_status(id),
            _ if self.carrier.membership.is_none() => {
                let hint = "send its request to the authority and `huza join` the answer";
                self.refuse(id, "not_joined", "this device has not joined a programme", hint);
            }
            Command::Order(order) => {
                self.carrier.tasks.push_back(Task::Order { id, order });
            }
            _ if shut_out => {
                let hint = "what is written here is kept; bring the device to the health centre";
                self.refuse(id, "revoked", "this device's certificate was revoked", hint);
            }
            command => reader.commands.push_back((id, command)),
        }
    }
}
