//! What follows when a certificate is revoked, or quarantined envelopes are admitted or rejected:
//! sessions end, the device learns its own lot, and the reader looks at the envelopes again.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::api::{Event, PipeId, QuarantinedLog};
use super::state::{IngestRow, Reviewing, Task, key, log_key};
use crate::codec;
use crate::control::{Lane, Quarantine, Reason, Standing, Statement, kind};
use crate::crypto::Signed;
use crate::envelope::Stored;
use crate::holdings::{Held, Span};
use crate::id::{CertId, LogId, hash_parts, truncated};
use crate::session::Fault;
use crate::session::frame::{Bytes, Frame};
use crate::store::{Batch, Range, StoreKind, Table};
use crate::trust::Issuer;

impl Node {
    /// Whether this device's own certificate is trusted no more.
    pub(super) fn is_shut_out(&self) -> bool {
        let known = self.carrier.lane.as_ref().zip(self.carrier.membership.as_ref());
        known.is_some_and(|(lane, membership)| {
            matches!(lane.standing(&membership.certificate), Standing::Revoked | Standing::Void)
        })
    }

    /// Why this device's own certificate was revoked, if it was; it may also be void because an
    /// authority above it was shut out.
    pub(super) fn own_revocation(&self) -> Option<Reason> {
        let (lane, membership) = (self.carrier.lane.as_ref()?, self.carrier.membership.as_ref()?);
        lane.revoked(&membership.certificate).map(|revoked| revoked.reason)
    }

    /// Revocations or admissions have become durable.
    pub(super) fn judged(&mut self, revoked: &[CertId]) {
        let Some(lane) = &self.carrier.lane else { return };
        let own = self.carrier.membership.as_ref().map(|known| known.certificate);
        let events: Vec<Event> = revoked
            .iter()
            .filter_map(|id| {
                let reason = lane.revoked(id)?.reason;
                Some(Event::Revoked { certificate: *id, reason, own: Some(*id) == own })
            })
            .collect();
        let sessions = self.sessions.iter();
        let shut_out: Vec<(PipeId, Vec<Vec<u8>>)> = sessions
            .filter_map(|(pipe, one)| Some((*pipe, grounds(lane, one.peer?.certificate)?)))
            .collect();
        for event in events {
            self.event(event);
        }
        for (pipe, grounds) in shut_out {
            self.turn_away(pipe, &grounds);
        }
        self.open_grants();
    }

    /// Tells a peer on what grounds it is shut out; then closes.
    pub(super) fn turn_away(&mut self, pipe: PipeId, grounds: &[Vec<u8>]) {
        let channel = self.sessions.get(&pipe).map(|session| session.channel);
        if let (Some(channel), Some(membership)) = (channel, &self.carrier.membership) {
            let entropy = self.entropy.draw();
            let sealed = channel.seal_grounds(grounds, &membership.member, entropy);
            self.say(pipe, &Frame::Revoked(sealed));
        }
        self.fault(pipe, Fault::Revoked);
    }

    /// A peer says that we are shut out, and shows the statements that say so.
    pub(super) fn hear_revoked(&mut self, pipe: PipeId, sealed: &Bytes) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        if core::mem::replace(&mut session.heard_grounds, true) {
            return Err(Fault::OutOfTurn("revoked".to_owned()));
        }
        let membership = self.carrier.membership.as_ref().ok_or(Fault::Unavailable)?;
        let from = session.channel.reversed();
        let shown = from.open_grounds(sealed, &membership.member).ok_or(Fault::NotAMember)?;
        let lane = self.carrier.lane.as_ref().ok_or(Fault::Unavailable)?;
        let mut candidates = lane.candidates();
        let mut statements = Vec::new();
        for bytes in shown {
            let malformed = |why: &dyn core::fmt::Display| Fault::Malformed(why.to_string());
            let statement = Statement::from_bytes(&bytes.0).map_err(|error| malformed(&error))?;
            let signed = candidates.add(&statement).map_err(|error| malformed(&error))?;
            let fitting = matches!(statement.kind(), kind::CERTIFICATE | kind::REVOCATION);
            if !fitting || !signed.iter().all(Signed::verify) {
                return Err(Fault::BadSignature);
            }
            statements.push(statement);
        }
        self.carrier.tasks.push_back(Task::Admit { statements, of: None });
        // Who knew it already is told again at every contact, and so is its user.
        let own = self.carrier.membership.as_ref().map(|known| known.certificate);
        if let (Some(certificate), Some(reason)) = (own, self.own_revocation()) {
            self.event(Event::Revoked { certificate, reason, own: true });
        }
        Ok(())
    }

    /// Looks up the headers that judgements name and whose hashes are not in memory; then has the
    /// reader follow.
    pub(super) fn mark(&mut self) {
        let Some(lane) = &self.carrier.lane else { return };
        let ends = |log: LogId| lane.ends(&log).into_iter().map(move |(seq, _)| (log, seq));
        let named = lane.judged_logs().into_iter().flat_map(ends);
        let is_unknown = |(log, seq): &(LogId, u64)| {
            let held = self.carrier.holdings.logs.get(log);
            held.is_some_and(|held| held.spans.contains(*seq) && held.hash_at(*seq).is_none())
        };
        let unknown: BTreeSet<(LogId, u64)> = named.filter(is_unknown).collect();
        self.carrier.marking = !unknown.is_empty();
        let exact = |(log, seq): &(LogId, u64)| Range {
            rows_max: 1,
            ..Range::prefix(Table::Envelopes, log_key(*log, *seq))
        };
        self.pages(unknown.iter().map(exact).collect(), move |node, rows| {
            for ((log, seq), row) in unknown.into_iter().zip(rows) {
                let stored = row.first().and_then(|(_, value)| codec::decode::<Stored>(value).ok());
                let held = node.carrier.holdings.logs.get_mut(&log);
                if let (Some(stored), Some(held)) = (stored, held) {
                    let hash = stored.wire.header(log, seq, stored.previous).hash();
                    held.marks.insert(seq, hash);
                    (node.carrier.digests, node.carrier.claims) = (None, None);
                }
            }
            node.carrier.marking = false;
            node.seek_branches();
            node.review();
        });
    }

    /// A digest of every judgement that counts and of what is held of the histories that they
    /// name: while it is the same, so is what is quarantined. Zeros if there is none.
    fn judgements(&self, lane: &Lane) -> [u8; 16] {
        let said = lane.judgements();
        let branches = lane.judged_logs().into_iter().filter_map(|log| {
            let held = self.carrier.holdings.logs.get(&log)?;
            let ends = lane.ends(&log).into_iter();
            Some((log, ends.filter_map(|end| held.branch(end)).collect::<Vec<_>>()))
        });
        let branches: Vec<(LogId, Vec<Span>)> =
            branches.filter(|(_, all)| !all.is_empty()).collect();
        if branches.is_empty() {
            return said;
        }
        truncated(hash_parts("huza 2026 judgements here", &[&said, &codec::encode(&branches)]))
    }

    /// Whether an envelope that is held is carried and not read.
    pub(super) fn is_quarantined(&self, (log, seq): (LogId, u64)) -> bool {
        let nothing = Held::default();
        let held = self.carrier.holdings.logs.get(&log).unwrap_or(&nothing);
        let lane = self.carrier.lane.as_ref();
        lane.is_some_and(|lane| lane.quarantine(&log, seq, held).is_some())
    }

    /// Has the reader look again at every envelope of which revocations or admissions say
    /// something, if they are not those that it has followed.
    pub(super) fn review(&mut self) {
        let Some(lane) = &self.carrier.lane else { return };
        if self.carrier.marking {
            return;
        }
        let wanted = self.judgements(lane);
        let Some(reader) = &mut self.reader else { return };
        // A history that comes in pieces is followed when the review under way has ended.
        if reader.opening || reader.reviewing.is_some() || reader.reviewed == wanted {
            return;
        }
        reader.reviewing = Some(Reviewing { judgements: wanted, listed: false });
        let mut logs = lane.judged_logs();
        logs.extend(lane.reissues().map(|place| place.log));
        self.gather(vec![Range::all(Table::Ingest)], move |node, rows| {
            let Some(reader) = &mut node.reader else { return };
            // Also those behind the cursor: a filing under way may have judged them before.
            for (row_key, value) in rows.into_iter().flatten() {
                let number = row_key.try_into().ok().map(u64::from_be_bytes);
                let row = codec::decode::<IngestRow>(&value).ok();
                let judged = row.is_some_and(|row| logs.contains(&row.log));
                reader.refile.extend(number.filter(|_| judged));
            }
            if let Some(reviewing) = &mut reader.reviewing {
                reviewing.listed |= reviewing.judgements == wanted;
            }
        });
    }

    /// Whether the reader has looked at everything again and may say so.
    pub(super) fn must_settle_review(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| {
            reader.reviewing.is_some_and(|one| one.listed) && reader.refile.is_empty()
        })
    }

    pub(super) fn settle_review(&mut self) {
        let Some(reader) = &mut self.reader else { return };
        let Some(Reviewing { judgements: reviewed, .. }) = reader.reviewing.take() else { return };
        reader.busy = true;
        let mut batch = Batch::default();
        batch.put(Table::ReaderMeta, key::REVIEWED, codec::encode(&reviewed));
        self.persist(StoreKind::Reader, batch, move |node| {
            if let Some(reader) = &mut node.reader {
                reader.reviewed = reviewed;
            }
            node.reader_idle();
            node.review();
        });
    }

    /// What is quarantined here, by log, in runs.
    pub(super) fn quarantined(&self) -> Vec<QuarantinedLog> {
        let Some(lane) = &self.carrier.lane else { return Vec::new() };
        let mut found: BTreeMap<LogId, QuarantinedLog> = BTreeMap::new();
        for log in lane.judged_logs() {
            let held = self.carrier.holdings.logs.get(&log);
            let seqs = held.into_iter().flat_map(|held| held.spans.as_slice());
            for seq in seqs.flat_map(|span| span.from..=span.to) {
                let kept = held.filter(|held| held.keeps(seq));
                let Some(why) = kept.and_then(|held| lane.quarantine(&log, seq, held)) else {
                    continue;
                };
                let Some(opening) = lane.opening(&log) else { continue };
                let rejected = why == Quarantine::Rejected;
                let certificate = opening.certificate;
                let of_log = found.entry(log).or_insert_with(|| QuarantinedLog {
                    log,
                    certificate,
                    runs: Vec::new(),
                });
                match of_log.runs.last_mut() {
                    Some((_, to, same)) if *to + 1 == seq && *same == rejected => *to = seq,
                    _ => of_log.runs.push((seq, seq, rejected)),
                }
            }
        }
        found.into_values().collect()
    }
}

/// Why a certificate is not trusted: the statements by which it, or one above it, was revoked, each
/// with the chain of its issuer in front. None if it is trusted.
pub(super) fn grounds(lane: &Lane, certificate: CertId) -> Option<Vec<Vec<u8>>> {
    if lane.is_good(&certificate) || lane.certificate(&certificate).is_none() {
        return None;
    }
    let mut statements: Vec<&Statement> = Vec::new();
    let mut next = Issuer::Certified(certificate);
    while let Issuer::Certified(id) = next {
        for by in lane.revoked(&id).into_iter().flat_map(|revoked| &revoked.by) {
            let Some(statement) = lane.statement(by) else { continue };
            if let Issuer::Certified(issuer) = statement.issuer() {
                statements.extend(lane.chain(issuer));
            }
            statements.push(statement);
        }
        next = lane.certificate(&id).map_or(Issuer::Programme, |known| known.issuer);
    }
    let mut told = BTreeSet::new();
    statements.retain(|statement| told.insert(statement.id()));
    Some(statements.into_iter().map(Statement::to_bytes).collect())
}
