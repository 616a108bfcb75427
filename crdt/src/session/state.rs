//! One side of a contact.

use core::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::difference::{ShortId, Symbol};
use super::frame::{Channel, Hello, ToldLog};
use super::{Departure, Known, Pace};
use crate::codec::DecodeError;
use crate::control::{Home, Lane};
use crate::crypto::Signature;
use crate::holdings::{Claims, Digests, Held, Holdings, Span, Spans};
use crate::id::{CertId, DeviceKey, LogId, StatementId};
use crate::limits::{
    HELLO_MS_MAX, RANGES_MAX, SILENCE_MS_MAX, SUMMARY_LOGS_MAX, SUMMARY_SPANS_MAX,
    SUMMARY_STATEMENTS_MAX,
};
use crate::time::Millis;
use crate::trust::{AreaScope, Role};

/// Why a pipe was closed by us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that are not a frame, or exceed a limit.
    #[error("it sent something malformed: {0}")]
    Malformed(String),
    /// Its hello does not open under our programme's member key.
    #[error("it is not a member of our programme")]
    NotAMember,
    /// Its certificate chain is missing, foreign or broken.
    #[error("its certificate is not valid here: {0}")]
    BadCertificate(String),
    /// It does not hold the key of the certificate it shows.
    #[error("it does not hold the key of its certificate")]
    BadProof,
    /// Its certificate, or one above it, was revoked.
    #[error("its certificate was revoked")]
    Revoked,
    /// It speaks another version.
    #[error("it speaks protocol version {0}, we speak 1")]
    Version(u8),
    /// It said something out of turn.
    #[error("it sent {0} out of turn")]
    OutOfTurn(String),
    /// A signature in a batch does not hold.
    #[error("it sent a signature that does not hold")]
    BadSignature,
    /// It said nothing for too long.
    #[error("it was silent for too long")]
    Silent,
    /// Another session with the same device is kept instead.
    #[error("another session with the same device is kept")]
    Duplicate,
    /// We hold as many sessions as we can.
    #[error("too many sessions")]
    TooMany,
    /// We are not enrolled, or shutting down.
    #[error("we cannot serve now")]
    Unavailable,
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Our hello is sent; the peer's is not here or not proven yet.
    Hello,
    /// The peer is a proven member; what it holds is not known yet.
    Compare,
    /// Both know what the other lacks.
    Transfer,
}

/// The proven peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its certificate.
    pub certificate: CertId,
    /// Its device key.
    pub device: DeviceKey,
    /// What it is for.
    pub role: Role,
}

/// How far two sides are that hold different things. See [`crate::node`]'s `compare`.
#[derive(Debug, Default)]
pub(crate) enum Comparing {
    /// It is not known yet that they do.
    #[default]
    Not,
    /// Both asked for the other's chain: what both hold is compared as it is with these in it.
    Acquainting {
        /// Whether we said what we hold now.
        said: bool,
        /// What the peer said of it: digest and count.
        heard: Option<([u8; 16], u64)>,
    },
    /// We know how we parted, and said so; if the peer knows it too, there is nothing to compare.
    Same {
        /// Digest of what the peer holds.
        digest: [u8; 16],
        /// How many entries that has.
        count: u64,
    },
    /// We told all that we hold; the peer will name what differs.
    Told,
    /// The peer tells all that it holds.
    Hearing,
    /// We sent so many symbols; the peer will name what differs, ask for more, or tell all.
    Encoding {
        /// How many.
        symbols: usize,
    },
    /// The peer sends symbols.
    Decoding {
        /// Those that came.
        symbols: Vec<Symbol>,
    },
    /// We named what differs; the peer will answer what it holds of these logs.
    Awaiting {
        /// The logs, by the ids that it will use.
        logs: BTreeMap<ShortId, LogId>,
    },
    /// The peer names what differs.
    Differing {
        /// Whether it expects to be answered.
        answers: bool,
        /// What it named so far.
        logs: Vec<ToldLog>,
        /// The same.
        wanted: Vec<ShortId>,
    },
    /// We calculate; it is not the peer's turn.
    Busy,
}

/// What a contact cost and carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Bytes of our frames.
    pub bytes_sent: u64,
    /// Bytes of its frames.
    pub bytes_received: u64,
    /// Envelopes it acknowledged.
    pub envelopes_sent: u64,
    /// Envelopes of it that are durable here and were new.
    pub envelopes_received: u64,
    /// Statements it acknowledged.
    pub statements_sent: u64,
    /// Statements of it that are durable here and were new.
    pub statements_received: u64,
    /// Envelopes that the peer lacks and was not given, because it has no room to carry them.
    pub envelopes_withheld: u64,
    /// Times we sent and then waited for an answer.
    pub round_trips: u32,
    /// Milliseconds from the opening of the pipe until both sides held the same.
    pub millis: u64,
}

/// What one batch carried, remembered until it is acknowledged.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight {
    pub(crate) statements: u64,
    pub(crate) runs: Vec<(LogId, Span)>,
    pub(crate) departure: Departure,
}

/// One side of a contact. See [`crate::node`] for what drives it.
#[derive(Debug)]
pub struct Session {
    pub(crate) channel: Channel,
    pub(crate) opened: Millis,
    pub(crate) heard: Millis,
    pub(crate) buffer: VecDeque<u8>,
    pub(crate) phase: Phase,
    pub(crate) peer: Option<Peer>,
    /// A hello whose certificate we do not know yet.
    pub(crate) unproven: Option<(Hello, Signature)>,
    /// Frames that came before the chain that proves their sender.
    pub(crate) early: Vec<super::frame::Frame>,
    pub(crate) early_bytes: usize,
    /// The digest in our hello, and those of which it is made.
    pub(crate) digest: [u8; 16],
    pub(crate) digests: Arc<Digests>,
    /// What the peer holds, as far as it said or we sent it.
    pub(crate) theirs: Known,
    pub(crate) comparing: Comparing,
    /// What we held when we said hello: the comparison is of that.
    pub(crate) at_hello: Arc<Claims>,
    pub(crate) spans_heard: usize,
    /// The peer claims to hold envelopes of this device that we do not hold. Until then we give
    /// no seq, so that it can show them; a mere claim stops us no longer.
    pub(crate) doubt_until: Option<Millis>,
    pub(crate) todo: Todo,
    pub(crate) pace: Pace,
    pub(crate) loading: bool,
    /// Its place in the line, while it waits for its turn.
    pub(crate) ticket: Option<u64>,
    pub(crate) next_batch: u32,
    pub(crate) in_flight: BTreeMap<u32, InFlight>,
    /// Batches of the peer that we have not acknowledged, and the bytes of what is in them.
    pub(crate) owed_acks: usize,
    pub(crate) owed_bytes: usize,
    pub(crate) expected_batch: u32,
    /// What the peer will send in all, and what of it has come.
    pub(crate) expected: (u64, u64),
    pub(crate) received: (u64, u64),
    pub(crate) promised: (u64, u64),
    /// What was promised when the totals were last told.
    pub(crate) told: (u64, u64),
    /// Urgent envelopes planned of each author.
    pub(crate) turns: BTreeMap<DeviceKey, usize>,
    /// Logs of which the peer takes no more in this session.
    pub(crate) refused: BTreeSet<LogId>,
    /// Whether we asked for the peer's chain.
    pub(crate) wanted_chain: bool,
    /// What of our chain was asked for and told.
    pub(crate) told_chain: Option<Vec<StatementId>>,
    /// What of its chain it told us.
    pub(crate) heard_chain: Vec<StatementId>,
    /// Whether the peer has shown why we are shut out: it closes behind it.
    pub(crate) heard_grounds: bool,
    /// What the peer keeps, as its certificate says when it is proven; all else it only carries,
    /// while it has room for so many bytes.
    pub(crate) home: Home,
    pub(crate) room: u64,
    /// Whether this side, and the peer, said in the hello that there is more than its digest says.
    pub(crate) more: (bool, bool),
    /// Whether something of the peer was not kept here.
    pub(crate) left_out: bool,
    /// Digests of what both keep and hold, as both said last.
    pub(crate) end_sent: Option<[u8; 16]>,
    pub(crate) end_received: Option<[u8; 16]>,
    /// Digest of all that the peer holds, as it said last.
    pub(crate) all_received: [u8; 16],
    pub(crate) complete: bool,
    /// The digest at which it was last reported as complete: once for each is enough.
    pub(crate) reported: Option<[u8; 16]>,
    pub(crate) stats: Stats,
    /// Whether we spoke last, to count round trips.
    spoke_last: bool,
}

/// What is still to be sent, in the order of its sending.
#[derive(Debug, Default)]
pub(crate) struct Todo {
    /// Who is shut out, what is admitted or erased, with what is needed to check it.
    pub(crate) first: VecDeque<StatementId>,
    /// With them leaves what they need of `needed`.
    pub(crate) urgent: VecDeque<(LogId, u64, u64)>,
    /// What all envelopes need: certificates and openings.
    pub(crate) needed: VecDeque<StatementId>,
    /// What has come since the session began and is of an area that the peer reads. Behind `needed`:
    /// what was published again can only be read by who knows the log that it was in before.
    pub(crate) fresh: VecDeque<(LogId, u64, u64)>,
    pub(crate) statements: VecDeque<StatementId>,
    pub(crate) routine: VecDeque<(LogId, u64, u64)>,
    /// What the peer does not keep: while it has room to carry it.
    pub(crate) borrowed: VecDeque<(LogId, u64, u64)>,
}

/// Which envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Urgent,
    Fresh,
    Routine,
    Borrowed,
}

impl Todo {
    /// Those of a class.
    pub(crate) const fn runs(&mut self, class: Class) -> &mut VecDeque<(LogId, u64, u64)> {
        match class {
            Class::Urgent => &mut self.urgent,
            Class::Fresh => &mut self.fresh,
            Class::Routine => &mut self.routine,
            Class::Borrowed => &mut self.borrowed,
        }
    }

    /// The class of the envelopes that come next.
    pub(crate) fn next_class(&self) -> Option<Class> {
        let queues = [
            (&self.urgent, Class::Urgent),
            (&self.fresh, Class::Fresh),
            (&self.routine, Class::Routine),
            (&self.borrowed, Class::Borrowed),
        ];
        queues.into_iter().find(|(queue, _)| !queue.is_empty()).map(|(_, class)| class)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty()
            && self.urgent.is_empty()
            && self.needed.is_empty()
            && self.fresh.is_empty()
            && self.statements.is_empty()
            && self.routine.is_empty()
            && self.borrowed.is_empty()
    }
}

fn reads(peer: Option<Peer>, lane: &Lane, log: &LogId) -> bool {
    let peer = peer.and_then(|peer| lane.certificate(&peer.certificate));
    let area = lane.opening(log).map(|opening| AreaScope::Area(opening.area));
    area.zip(peer).is_some_and(|(area, peer)| peer.areas.iter().any(|scope| scope.contains(&area)))
}
/// Urgent envelopes of one author that overtake others in a session. // guess: an outbreak in a
/// village, of which the newest alerts tell most
const URGENT_PER_AUTHOR: usize = 32;

/// Spans of a log beyond which nothing overtakes what closes its gaps: far below what is held, and
/// what a summary names.
const SCATTERED_MAX: usize = RANGES_MAX / 2;

/// A piece of a log that is sent before older ones. // guess: several of them fill a batch, so that
/// one cut costs no log much
const PIECE: u64 = 32;

impl Todo {
    /// Whether something is in it that waits for no turn.
    pub(crate) fn is_pressing(&self) -> bool {
        !self.first.is_empty() || !self.urgent.is_empty() || !self.fresh.is_empty()
    }

    /// The statements that come next, unless envelopes do.
    pub(crate) fn next_statements(&mut self) -> Option<&mut VecDeque<StatementId>> {
        if !self.first.is_empty() {
            return Some(&mut self.first);
        }
        if !self.urgent.is_empty() {
            return None;
        }
        if !self.needed.is_empty() {
            return Some(&mut self.needed);
        }
        Some(&mut self.statements).filter(|queue| !queue.is_empty() && self.fresh.is_empty())
    }

    /// Orders what is routine: the logs that the peer `reads` before the others, and in each of
    /// both the newest pieces of all logs, then those before them. What comes behind all that the
    /// peer `holds` of a log in so many spans that it may take no more of them, goes from its
    /// beginning, where it touches the last.
    fn newest_first<'a>(
        &mut self,
        class: Class,
        reads: impl Fn(&LogId) -> bool,
        holds: impl Fn(&LogId) -> Option<&'a Spans>,
    ) {
        let mut runs: Vec<_> = self.runs(class).drain(..).collect();
        runs.sort_unstable_by_key(|(log, from, _)| (*log, Reverse(*from)));
        let mut pieces = Vec::new();
        let mut ages: BTreeMap<LogId, u64> = BTreeMap::new();
        for (log, from, to) in runs {
            let carried = !reads(&log);
            let age = ages.entry(log).or_default();
            let crowded = holds(&log).filter(|spans| spans.as_slice().len() >= RANGES_MAX);
            let forwards = crowded.is_some_and(|spans| spans.last() < Some(from));
            let (mut from, mut to) = (from, to);
            loop {
                let (start, end) = if forwards {
                    (from, from.saturating_add(PIECE - 1).min(to))
                } else {
                    (to.saturating_sub(PIECE - 1).max(from), to)
                };
                pieces.push((carried, *age, log, start, end));
                *age += 1;
                if (start, end) == (from, to) {
                    break;
                }
                (from, to) = if forwards { (end + 1, to) } else { (from, start - 1) };
            }
        }
        pieces.sort_unstable();
        let pieces = pieces.into_iter().map(|(_, _, log, from, to)| (log, from, to));
        self.runs(class).extend(pieces);
    }
}

/// What a peer lacks of a log and is here, and all that is held of the log.
type Missing<'a> = (LogId, Vec<(u64, u64)>, &'a Held);

impl Session {
    pub(crate) fn new(channel: Channel, now: Millis, at_hello: Arc<Claims>) -> Self {
        Self {
            channel,
            opened: now,
            heard: now,
            buffer: VecDeque::new(),
            phase: Phase::Hello,
            peer: None,
            unproven: None,
            early: Vec::new(),
            early_bytes: 0,
            digest: [0; 16],
            digests: Arc::default(),
            theirs: Known::default(),
            comparing: Comparing::Not,
            at_hello,
            spans_heard: 0,
            doubt_until: None,
            todo: Todo::default(),
            pace: Pace::default(),
            loading: false,
            ticket: None,
            next_batch: 0,
            in_flight: BTreeMap::new(),
            owed_acks: 0,
            owed_bytes: 0,
            expected_batch: 0,
            expected: (0, 0),
            received: (0, 0),
            promised: (0, 0),
            told: (0, 0),
            turns: BTreeMap::new(),
            refused: BTreeSet::new(),
            wanted_chain: false,
            told_chain: None,
            heard_chain: Vec::new(),
            heard_grounds: false,
            home: Home::default(),
            room: 0,
            more: (false, false),
            left_out: false,
            end_sent: None,
            end_received: None,
            all_received: [0; 16],
            complete: false,
            reported: None,
            stats: Stats::default(),
            spoke_last: false,
        }
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.stats.bytes_sent += bytes as u64;
        self.spoke_last = true;
    }

    pub(crate) fn hear(&mut self, bytes: usize, now: Millis) {
        self.stats.bytes_received += bytes as u64;
        self.heard = now;
        if self.spoke_last {
            self.stats.round_trips += 1;
            self.spoke_last = false;
        }
    }

    /// When this session must have gone on, or be closed.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        match self.phase {
            Phase::Hello => Some(self.opened.plus(HELLO_MS_MAX)),
            Phase::Compare | Phase::Transfer if !self.complete => {
                Some(self.heard.plus(SILENCE_MS_MAX))
            }
            Phase::Compare | Phase::Transfer => None,
        }
    }

    /// Adds a part of the peer's summary.
    pub(crate) fn hear_summary(
        &mut self,
        statements: Vec<StatementId>,
        logs: Vec<(LogId, Vec<Span>)>,
    ) -> Result<(), Fault> {
        self.theirs.add_statements(&statements);
        for (log, spans) in logs {
            self.spans_heard += spans.len();
            let spans = Spans::from_received(spans)
                .ok_or_else(|| Fault::Malformed("spans out of order".to_owned()))?;
            self.theirs.has_of(log, spans);
        }
        if self.theirs.named_statements().len() > SUMMARY_STATEMENTS_MAX
            || self.theirs.named_logs().len() > SUMMARY_LOGS_MAX
            || self.spans_heard > SUMMARY_SPANS_MAX
        {
            return Err(Fault::Malformed("its summary exceeds the limit".to_owned()));
        }
        Ok(())
    }

    /// Plans anew: what the peer keeps is something else than was known.
    pub(crate) fn replan(&mut self, mine: &Arc<Claims>, holdings: &Holdings, lane: &Lane) {
        for class in [Class::Urgent, Class::Routine, Class::Borrowed] {
            let planned = self.todo.runs(class).drain(..).map(|(_, from, to)| to - from + 1);
            self.promised.1 -= planned.sum::<u64>();
        }
        self.complete = false;
        self.stats.envelopes_withheld = 0;
        self.plan(mine, holdings, lane);
    }

    /// Plans what the peer lacks of `mine`, once its summary is complete: of the areas that it
    /// reads first, and of each log the newest first.
    pub(crate) fn plan(&mut self, mine: &Arc<Claims>, holdings: &Holdings, lane: &Lane) {
        let differing = self.theirs.differing_logs(mine).map(|(log, spans)| {
            let theirs = self.theirs.spans(log);
            (*log, theirs.map_or_else(|| spans.whole(), |theirs| spans.without(theirs)))
        });
        let one_true = |log: &LogId| lane.is_forked(log) && lane.cut_off(log).is_some();
        let (branches, missing): (Vec<_>, Vec<_>) =
            differing.collect::<Vec<_>>().into_iter().partition(|(log, _)| one_true(log));
        for (log, missing) in branches {
            let Some(held) = holdings.logs.get(&log) else { continue };
            let here = missing.into_iter().flat_map(|run| held.kept_within(run)).rev();
            let seqs = here.flat_map(|(from, to)| (from..=to).rev());
            self.plan_branch(log, seqs.collect::<Vec<_>>().into_iter());
        }
        let here = |(log, missing): (LogId, Vec<(u64, u64)>)| {
            let held = holdings.logs.get(&log)?;
            Some((log, missing.into_iter().flat_map(|run| held.kept_within(run)).collect(), held))
        };
        let missing: Vec<Missing<'_>> = missing.into_iter().filter_map(here).collect();
        let turns = self.take_turns(&missing, lane);
        let mut overtaking: BTreeMap<LogId, BTreeSet<u64>> = BTreeMap::new();
        for (_, log, seq) in &turns {
            overtaking.entry(*log).or_default().insert(*seq);
        }
        for (log, missing, held) in missing {
            let class = self.class(lane, &log);
            let overtaking = overtaking.entry(log).or_default();
            let urgent = lane.pressing(&log, &held.urgent);
            for run in missing {
                self.plan_run(log, run, class, (overtaking, &urgent));
            }
        }
        self.todo.urgent = turns.into_iter().map(|(_, log, seq)| (log, seq, seq)).collect();
        let (peer, theirs) = (self.peer, &self.theirs);
        let holds = |log: &LogId| theirs.spans(log);
        self.todo.newest_first(Class::Routine, |log| reads(peer, lane, log), holds);
        self.todo.newest_first(Class::Borrowed, |_| false, holds);
    }

    /// What of `missing` overtakes the rest, since it is urgent: the newest of every author, then the
    /// second of each, and so on, so that nobody's alerts wait behind many of another's. Those beyond
    /// an author's share go with what is routine, and so do those that would leave the peer with many
    /// holes in a log.
    fn take_turns(&mut self, missing: &[Missing<'_>], lane: &Lane) -> Vec<(usize, LogId, u64)> {
        let mut alerts = Vec::new();
        for (log, missing, held) in missing {
            let urgent = missing.iter().flat_map(|(from, to)| held.urgent.range(from..=to));
            alerts.extend(urgent.map(|seq| (Reverse(*seq), *log)));
        }
        alerts.sort_unstable();
        let mut turns = Vec::new();
        let mut spans: BTreeMap<LogId, usize> = BTreeMap::new();
        for (Reverse(seq), log) in alerts {
            let theirs = || self.theirs.spans(&log).map_or(0, |spans| spans.as_slice().len());
            let spans = spans.entry(log).or_insert_with(theirs);
            if *spans < SCATTERED_MAX
                && let Some(turn) = self.urgent_turn(lane, &log)
            {
                *spans += 1;
                turns.push((turn, log, seq));
            }
        }
        turns.sort_unstable();
        turns
    }

    /// The turn of one more urgent envelope among its author's in this session, if it has one.
    pub(crate) fn urgent_turn(&mut self, lane: &Lane, log: &LogId) -> Option<usize> {
        let turns = self.turns.entry(lane.opening(log)?.device).or_default();
        *turns += 1;
        (*turns <= URGENT_PER_AUTHOR).then_some(*turns)
    }

    /// Whether the peer reads this log, or at least its area.
    pub(crate) fn reads(&self, lane: &Lane, log: &LogId) -> bool {
        reads(self.peer, lane, log)
    }

    /// What the routine envelopes of a log are to the peer.
    pub(crate) fn class(&self, lane: &Lane, log: &LogId) -> Class {
        match lane.opening(log) {
            Some(opening) if !self.home.keeps(opening) => Class::Borrowed,
            Some(_) | None => Class::Routine,
        }
    }

    /// Plans the true history of a log whose author signed two, from its end backwards, so that
    /// each header is known by the one after it.
    fn plan_branch(&mut self, log: LogId, seqs: impl Iterator<Item = u64>) {
        let before = self.todo.routine.len();
        self.todo.routine.extend(seqs.map(|seq| (log, seq, seq)));
        self.promised.1 += (self.todo.routine.len() - before) as u64;
    }

    /// Plans one run of a `class`; in it, apart, the envelopes that overtake others. What the peer only
    /// carries must find room there, but for what is urgent.
    pub(crate) fn plan_run(
        &mut self,
        log: LogId,
        (from, to): (u64, u64),
        class: Class,
        (overtaking, urgent): (&BTreeSet<u64>, &BTreeSet<u64>),
    ) {
        let mut next = from;
        for seq in urgent.range(from..=to).copied() {
            let apart = match class {
                _ if overtaking.contains(&seq) => Class::Urgent,
                Class::Borrowed => Class::Routine,
                Class::Urgent | Class::Fresh | Class::Routine => continue,
            };
            if next < seq {
                self.plan_piece((log, next, seq - 1), class);
            }
            self.plan_piece((log, seq, seq), apart);
            next = seq.saturating_add(1);
        }
        if next <= to {
            self.plan_piece((log, next, to), class);
        }
    }

    fn plan_piece(&mut self, (log, from, to): (LogId, u64, u64), class: Class) {
        if class == Class::Borrowed && self.room == 0 {
            self.stats.envelopes_withheld += to - from + 1;
            return;
        }
        self.todo.runs(class).push_back((log, from, to));
        self.promised.1 += to - from + 1;
    }

    /// Envelopes leave that the peer only carries; if there is no room for them, neither they nor
    /// any others do.
    pub(crate) fn lend(&mut self, envelopes: u64, bytes: u64) -> bool {
        if let Some(room) = self.room.checked_sub(bytes) {
            self.room = room;
            return true;
        }
        self.promised.1 -= envelopes;
        self.lend_no_more(envelopes);
        false
    }

    /// The peer has no more room for what it only carries, nor for these envelopes.
    pub(crate) fn lend_no_more(&mut self, envelopes: u64) {
        let others = self.todo.borrowed.drain(..).map(|(_, from, to)| to - from + 1);
        let others = others.sum::<u64>();
        self.promised.1 -= others;
        self.room = 0;
        self.stats.envelopes_withheld += envelopes + others;
    }

    /// Whether another batch may leave now.
    pub(crate) fn may_send(&self) -> bool {
        self.phase == Phase::Transfer
            && !self.loading
            && self.pace.has_room(self.in_flight.len())
            && !self.todo.is_empty()
    }

    /// Whether all we have to say has been said and acknowledged, and all we heard is durable.
    pub(crate) fn is_quiet(&self) -> bool {
        self.phase == Phase::Transfer
            && !self.loading
            && self.todo.is_empty()
            && self.in_flight.is_empty()
            && self.owed_acks == 0
    }

    /// Whether the peer is sending what it announced.
    pub(crate) const fn is_receiving(&self) -> bool {
        self.received.1 < self.expected.1
    }

    /// The proven peer.
    #[must_use]
    pub const fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// What it cost and carried so far.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How far it has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }
}
