//! The laws. Each is a function from what is seen to nothing or [`Broken`], in a file of its own
//! with tests that break it; [`Laws`] remembers what they need to see.

pub(crate) mod alike;
pub(crate) mod contact;
pub(crate) mod durable;
pub(crate) mod end;
pub(crate) mod erased;
pub(crate) mod frames;
pub(crate) mod keys;
pub(crate) mod locked;
pub(crate) mod quarantine;
pub(crate) mod receipt;
pub(crate) mod released;
pub(crate) mod secrecy;
pub(crate) mod shut_out;
pub(crate) mod stranger;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};

use huza_crdt::control::{Statement, kind};
use huza_crdt::id::{CertId, Hash, LogId, RecordId, StatementId};
use huza_crdt::node::{Event, PipeId, SessionStatus};
use huza_crdt::session::Fault;
use huza_crdt::session::frame::Frame;
use huza_crdt::store::Batch;
use huza_crdt::trust::Role;

use self::contact::Talk;
use self::frames::Heard;
use self::shut_out::Known;
use crate::audit::Place;
use crate::disk::Durable;
use crate::facility::Facility;
use crate::host::{HostId, Nature};
use crate::ledger::Ledger;
use crate::programme::Auditor;
use crate::token::{Token, Tokens};
use crate::violation::{Broken, Law};

/// What the laws have seen.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    pub(crate) tokens: Tokens,
    /// The conversations of each host, its side of each pipe.
    talks: BTreeMap<(HostId, PipeId), Talk>,
    /// Receipts that left their issuers.
    receipts: BTreeSet<StatementId>,
    /// What each host knows of revocations and keys.
    known: BTreeMap<HostId, Known>,
    /// Certificates that any device's statement revokes.
    pub(crate) revoked: BTreeSet<CertId>,
    /// Whether a copy that takes itself for the original may fork its logs.
    pub(crate) forks_expected: bool,
    /// The header of each envelope that became durable anywhere.
    headers: BTreeMap<Place, Hash>,
    /// When each envelope became durable at each host, for the first time.
    came: BTreeMap<(HostId, Place), u64>,
    /// The envelopes that some hub has held.
    pub(crate) at_hubs: BTreeSet<Place>,
    /// How often each thing was seen, for the report.
    pub(crate) seen: BTreeMap<&'static str, u64>,
    /// How often each law had something to look at.
    pub(crate) checked: BTreeMap<Law, u64>,
}

/// A speaker, as the laws see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speaker<'a> {
    pub(crate) host: HostId,
    pub(crate) certificate: Option<CertId>,
    pub(crate) durable: &'a Durable,
    pub(crate) facility: Option<&'a Facility>,
    pub(crate) auditor: &'a Auditor,
    pub(crate) ledger: &'a Ledger,
    /// Records that somebody ordered to be erased.
    pub(crate) erasing: &'a BTreeSet<RecordId>,
}

impl Laws {
    /// Counts something for the report.
    pub(crate) fn count(&mut self, what: &'static str, how_many: u64) {
        *self.seen.entry(what).or_default() += how_many;
    }

    /// Notes that a law had something to look at.
    pub(crate) fn weigh(&mut self, law: Law, how_often: u64) {
        *self.checked.entry(law).or_default() += how_often;
    }

    /// A host opened its end of a pipe.
    pub(crate) fn opened(&mut self, host: HostId, pipe: PipeId, talk: Talk) {
        self.talks.insert((host, pipe), talk);
        self.count("contacts", 1);
    }

    /// Whether both holds: the host saw this contact complete, or it ended.
    pub(crate) fn talk(&self, host: HostId, pipe: PipeId) -> Option<&Talk> {
        self.talks.get(&(host, pipe))
    }

    /// Bytes came to a host.
    pub(crate) fn heard(&mut self, host: HostId, pipe: PipeId, bytes: &[u8], now: u64) {
        let Some(talk) = self.talks.get_mut(&(host, pipe)) else { return };
        talk.heard_at = now;
        for frame in talk.heard.push(bytes) {
            talk.hear(frame);
        }
    }

    /// A host sends bytes.
    pub(crate) fn said(
        &mut self,
        speaker: Speaker<'_>,
        pipe: PipeId,
        bytes: &[u8],
    ) -> Result<(), Broken> {
        self.weigh(Law::Secrecy, 1);
        secrecy::on_link(&self.tokens, bytes)?;
        let Some(talk) = self.talks.get_mut(&(speaker.host, pipe)) else { return Ok(()) };
        talk.spoke = true;
        let frames = talk.said.push(bytes);
        let known = self.known.get(&speaker.host).zip(talk.peer);
        let revoked = known.is_some_and(|(known, peer)| known.revoked.contains(&peer));
        for frame in &frames {
            let Some(talk) = self.talks.get_mut(&(speaker.host, pipe)) else { return Ok(()) };
            let unproven = talk.stranger || !talk.hello_heard;
            stranger::may_be_said(frame, talk.stranger, talk.hello_heard)?;
            shut_out::may_be_said(frame, revoked)?;
            match frame {
                Frame::Ack { number } => {
                    let (batch, dirty) = (talk.batches.remove(number), talk.dirty);
                    let lenient = (dirty, self.forks_expected);
                    durable::acknowledged(*number, batch.as_ref(), speaker.durable, lenient)?;
                    self.count("acks", 1);
                    self.weigh(Law::AckedIsDurable, 1);
                }
                // It says itself that it did not take these.
                Frame::Refused { number, logs, .. } => {
                    if let Some(batch) = talk.batches.get_mut(number) {
                        batch.envelopes.retain(|one| !logs.contains(&one.place.0));
                    }
                    self.count("batches refused in part", 1);
                }
                Frame::Batch { number, statements, runs } => {
                    let sent = runs.iter().map(|run| (run.log, run.envelopes.len() as u64));
                    talk.sent.insert(*number, sent.collect());
                    self.weigh(Law::AckedIsDurable, 1);
                    let batch = Heard::read(statements, runs);
                    secrecy::in_envelopes(&self.tokens, batch.wires())?;
                    durable::offered(&batch, speaker.durable)?;
                    for statement in batch.statements.iter() {
                        self.receipt(speaker, statement)?;
                    }
                }
                Frame::Hello(_)
                | Frame::WantChain { .. }
                | Frame::Now { .. }
                | Frame::Chain(_)
                | Frame::Summary { .. }
                | Frame::Symbols(_)
                | Frame::WantSymbols { .. }
                | Frame::Differ { .. }
                | Frame::Totals { .. }
                | Frame::End { .. }
                | Frame::Revoked(_) => {}
                Frame::Same => self.count("contacts as they parted", 1),
            }
            self.weigh(Law::StrangersLearnNothing, unproven.into());
            self.weigh(Law::RevokedGetNothing, revoked.into());
        }
        Ok(())
    }

    fn receipt(&mut self, speaker: Speaker<'_>, statement: &Statement) -> Result<(), Broken> {
        let issuer =
            huza_crdt::trust::Issuer::Certified(speaker.certificate.unwrap_or(CertId([0; 16])));
        if statement.kind() != kind::RECEIPT || statement.issuer() != issuer {
            return Ok(());
        }
        // A receipt is true when signed. What an earlier life of this store signed comes back to
        // it from others, and is void.
        if !self.receipts.insert(statement.id()) {
            return Ok(());
        }
        self.count("receipts checked", 1);
        self.weigh(Law::ReceiptIsTrue, 1);
        receipt::is_true(statement, speaker, &self.tokens)
    }

    /// Batches became durable at a host.
    pub(crate) fn written(
        &mut self,
        (host, nature, now): (HostId, &Nature, u64),
        batch: &Batch,
        borrowed: &dyn Fn(LogId) -> bool,
        outside: &dyn Fn(&Token) -> bool,
    ) -> Result<(), Broken> {
        self.weigh(Law::Secrecy, 1);
        self.weigh(Law::HeldForEver, durable::removed(batch).count() as u64);
        durable::keeps(batch, borrowed)?;
        secrecy::on_disk(&self.tokens, nature, batch, outside)?;
        for (place, hash) in durable::headers(batch) {
            self.weigh(Law::NoForks, 1);
            let known = *self.headers.entry(place).or_insert(hash);
            if known != hash && !self.forks_expected {
                let (log, seq) = place;
                let evidence = format!("log {} has two envelopes {seq}", log.short());
                return Err(Broken::new(Law::NoForks, evidence));
            }
            self.came.entry((host, place)).or_insert(now);
            if nature.role == Role::Hub {
                self.at_hubs.insert(place);
            }
        }
        Ok(())
    }

    /// For how long a host has held an envelope.
    pub(crate) fn held_for(&self, host: HostId, place: Place, now: u64) -> u64 {
        self.came.get(&(host, place)).map_or(0, |came| now.saturating_sub(*came))
    }

    /// What a node says of its open contacts.
    pub(crate) fn told(&mut self, host: HostId, told: &[SessionStatus]) -> Result<(), Broken> {
        for one in told {
            let Some(talk) = self.talks.get(&(host, one.pipe)) else { continue };
            told::of_contact(one, talk)?;
            self.weigh(Law::ToldIsTrue, 1);
        }
        Ok(())
    }

    /// What a log at its finest would show of an input or output.
    pub(crate) fn printed(&mut self, it: &impl core::fmt::Debug) -> Result<(), Broken> {
        self.weigh(Law::Secrecy, 1);
        secrecy::in_print(&self.tokens, it)
    }

    /// A host says that something happened.
    pub(crate) fn event(&mut self, host: HostId, event: &Event, now: u64) -> Result<(), Broken> {
        self.weigh(Law::Secrecy, 1);
        secrecy::in_event(&self.tokens, event)?;
        match event {
            Event::Met { pipe, .. } => {
                if self.talks.get(&(host, *pipe)).is_some_and(|talk| talk.stranger) {
                    let evidence = format!("a stranger was taken for a member on pipe {}", pipe.0);
                    return Err(Broken::new(Law::StrangersLearnNothing, evidence));
                }
                self.count("members met", 1);
            }
            Event::ContactComplete { pipe, stats, .. } => {
                if let Some(talk) = self.talks.get_mut(&(host, *pipe)) {
                    talk.complete = true;
                    told::of_completion(stats, talk)?;
                    self.weigh(Law::ToldIsTrue, 1);
                }
                self.count("contacts complete", 1);
            }
            Event::ContactEnded { pipe, peer, fault, .. } => {
                let certificate = peer.map(|peer| peer.certificate);
                return self.ended(host, (*pipe, certificate), fault.as_ref(), now);
            }
            Event::Forked { .. } | Event::SetAside { .. } if self.forks_expected => {
                self.count("forks of copies", 1);
            }
            Event::Revoked { own: true, .. } => self.count("devices that learned their lot", 1),
            Event::Revoked { .. } => self.count("revocations heard", 1),
            Event::Erased { envelopes, records } => {
                self.count("payloads erased", *envelopes as u64);
                self.count("records erased", *records as u64);
            }
            Event::Released { envelopes, .. } => {
                self.count("envelopes let go", *envelopes as u64);
            }
            Event::ReaderClosed => self.count("readers locked", 1),
            Event::Forked { log, seq } => {
                let evidence = format!("log {} forked at {seq}", log.short());
                return Err(Broken::new(Law::NoForks, evidence));
            }
            Event::SetAside { log, seq, why } => {
                let evidence = format!("envelope {seq} of log {}: {why}", log.short());
                return Err(Broken::new(Law::NothingSetAside, evidence));
            }
            Event::Refused { .. } => self.count("statements refused", 1),
            Event::Rolled { .. } => self.count("incarnations rolled", 1),
            Event::Receipts { count } => self.count("receipts signed", *count as u64),
            Event::Delivered { .. } => self.count("deliveries", 1),
            Event::Stopped { .. } => self.count("nodes stopped by their store", 1),
            Event::Ready => self.count("starts", 1),
            _ => {}
        }
        Ok(())
    }

    fn ended(
        &mut self,
        host: HostId,
        (pipe, certificate): (PipeId, Option<CertId>),
        fault: Option<&Fault>,
        now: u64,
    ) -> Result<(), Broken> {
        if fault.is_some() {
            self.count("faults found in peers", 1);
        }
        let Some(talk) = self.talks.get_mut(&(host, pipe)) else { return Ok(()) };
        talk.end(pipe, now)?;
        talk.fault = fault.cloned();
        let honest = !talk.stranger && !talk.dirty;
        self.weigh(Law::ContactEnds, 1);
        self.weigh(Law::HonestNotAccused, honest.into());
        let Some(talk) = self.talks.get(&(host, pipe)) else { return Ok(()) };
        // The one it proved: a device that was enrolled anew may still have used its former one.
        let revoked = certificate.is_some_and(|one| self.revoked.contains(&one));
        if fault == Some(&Fault::Revoked) && revoked {
            self.count("revoked devices turned away", 1);
            return Ok(());
        }
        contact::accusation(talk, pipe, fault)
    }

    /// A host's end of a pipe is closed, by whomever.
    pub(crate) fn closed(&mut self, host: HostId, pipe: PipeId, now: u64) {
        if let Some(talk) = self.talks.get_mut(&(host, pipe)) {
            talk.closed_at.get_or_insert(now);
        }
    }

    /// A host lost its memory: its conversations are over.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.talks.retain(|(of, _), _| *of != host);
        self.known.remove(&host);
    }

    /// A batch is given to a disk.
    pub(crate) fn wanted(&mut self, batch: &Batch) {
        self.revoked.extend(shut_out::statements(batch).filter_map(|s| shut_out::revoked_by(&s)));
    }

    /// A batch is durable, and its node will be told.
    pub(crate) fn durable(&mut self, host: HostId, token: huza_crdt::node::Token, batch: &Batch) {
        self.known.entry(host).or_default().durable(token, batch);
    }

    /// A node is told that a batch is durable.
    pub(crate) fn persisted(&mut self, host: HostId, token: huza_crdt::node::Token, now: u64) {
        if let Some(known) = self.known.get_mut(&host) {
            known.told(token, now);
        }
    }

    /// A node has read its disk.
    pub(crate) fn booted(&mut self, host: HostId, durable: &Durable, now: u64) {
        let known = self.known.entry(host).or_default();
        for statement in durable.carrier.statements() {
            known.learn(statement.clone(), now);
        }
    }

    /// What a host knows.
    pub(crate) fn known(&self, host: HostId) -> Option<&Known> {
        self.known.get(&host)
    }

    /// Whether some contact should have ended by now.
    pub(crate) fn overdue(&self, now: u64) -> Result<(), (HostId, Broken)> {
        for ((host, pipe), talk) in &self.talks {
            contact::overdue(talk, *pipe, now).map_err(|broken| (*host, broken))?;
        }
        Ok(())
    }
}
