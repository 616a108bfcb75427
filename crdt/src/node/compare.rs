//! Finding out what the two sides of a contact hold that the other does not.
//!
//! Who holds much less tells all of it. Else the side that was dialled sends coded symbols of its
//! holdings, and the dialer finds the difference in them. Either way one side then names what
//! differs, by short ids, and the other answers with what it holds of those logs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Node;
use super::api::PipeId;
use crate::codec;
use crate::holdings::{Claims, Span, Spans};
use crate::id::{Hash, LogId, StatementId, hash_parts, truncated};
use crate::limits::{
    RANGES_MAX, SUMMARY_ENTRIES_PER_FRAME, SUMMARY_SPANS_MAX, SUMMARY_STATEMENTS_MAX, SYMBOLS_MAX,
};
use crate::session::difference::{ShortId, Symbol, decode, encode};
use crate::session::frame::{Channel, Frame, ShortSpan, ToldLog};
use crate::session::{Comparing, Fault, Known};

/// Entries that are told whole rather than compared: symbols and their answer would cost as much.
// guess
const TOLD_WHOLE: u64 = 16;

/// Whoever holds this many times less than the other tells all of it. // guess: the symbols would
/// tell the difference, which is then most of what the other holds, in more bytes than this
const TOLD_TIMES: u64 = 8;

/// Coded symbols that are sent unasked. // enough for a dozen differences; 384 bytes
const SYMBOLS_FIRST: usize = 32;

/// Up to this many symbols each further answer has four times as many, then twice: round trips
/// while they are few, bytes when they are many.
const SYMBOLS_QUADRUPLED: usize = 2_048;

/// An entry of what is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Statement(StatementId),
    Log(LogId),
}

/// Short ids under the key of one session.
struct Shortener([u8; 32]);

impl Shortener {
    fn of(channel: &Channel) -> Self {
        Self(hash_parts("huza 2026 short ids", &[&channel.binding]))
    }

    fn shorten(&self, kind: u8, bytes: &[u8]) -> ShortId {
        ShortId(truncated(hash_parts("huza 2026 short id", &[&self.0, &[kind], bytes])))
    }

    fn statement(&self, id: &StatementId) -> ShortId {
        self.shorten(0, &id.0)
    }

    /// A log as it is held.
    fn held(&self, log: &LogId, spans: &Spans) -> ShortId {
        self.shorten(1, &codec::encode(&(log, spans)))
    }

    fn log(&self, log: &LogId) -> ShortId {
        self.shorten(2, &log.0)
    }

    fn end(&self, hash: &Hash) -> ShortId {
        self.shorten(3, &hash.0)
    }

    /// Every entry of what is held.
    fn entries(&self, claims: &Claims) -> BTreeMap<ShortId, Entry> {
        let statements =
            claims.statements.iter().map(|id| (self.statement(id), Entry::Statement(*id)));
        let logs = claims.logs.iter().map(|(log, spans)| (self.held(log, spans), Entry::Log(*log)));
        statements.chain(logs).collect()
    }

    fn told(&self, log: &LogId, spans: &Spans) -> ToldLog {
        let short =
            |span: &Span| ShortSpan { from: span.from, to: span.to, end: self.end(&span.end) };
        ToldLog { log: self.log(log), spans: spans.newest().iter().map(short).collect() }
    }

    /// What a peer told of a log of which we hold `mine`. Where it is not ours, the hash at an end
    /// is not known, only that it is another one.
    fn learn(&self, told: &[ShortSpan], mine: &Spans) -> Option<Spans> {
        let span = |told: &ShortSpan| {
            let same = mine.as_slice().iter().find(|span| span.to == told.to);
            let same = same.filter(|span| self.end(&span.end) == told.end);
            Span { from: told.from, to: told.to, end: same.map_or(Hash([0; 32]), |span| span.end) }
        };
        Spans::from_received(told.iter().map(span).collect())
    }
}

/// How many entries something that is held has.
pub(super) fn count(claims: &Claims) -> u64 {
    (claims.statements.len() + claims.logs.len()) as u64
}

impl Node {
    /// The peer is proven and holds something else than we do: begins the comparison.
    pub(super) fn compare(&mut self, pipe: PipeId, theirs: u64) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let (ours, dialer) = (count(&session.at_hello), session.channel.dialer);
        let few = |count: u64, other: u64| {
            count <= TOLD_WHOLE || count.saturating_mul(TOLD_TIMES) <= other
        };
        let we_are_fewer = if ours == theirs { dialer } else { ours < theirs };
        session.comparing = match (few(ours.min(theirs), ours.max(theirs)), dialer) {
            (true, _) if we_are_fewer => return self.tell_all(pipe),
            (true, _) => Comparing::Hearing,
            (false, true) => Comparing::Decoding { symbols: Vec::new() },
            (false, false) => return self.tell_symbols(pipe, 0, SYMBOLS_FIRST),
        };
    }

    /// Tells the peer everything held, in frames of bounded size.
    fn tell_all(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.comparing = Comparing::Told;
        let claims = Arc::clone(&session.at_hello);
        let mut statements = claims.statements.iter().copied().peekable();
        let mut logs = claims.logs.iter().peekable();
        loop {
            let some: Vec<_> = statements.by_ref().take(SUMMARY_ENTRIES_PER_FRAME / 2).collect();
            let mut named = Vec::new();
            let mut spans_named = 0;
            while let Some((_, spans)) = logs.peek()
                && named.len() < SUMMARY_ENTRIES_PER_FRAME / 2
                && spans_named + spans.newest().len() <= SUMMARY_ENTRIES_PER_FRAME
                && let Some((log, spans)) = logs.next()
            {
                spans_named += spans.newest().len();
                named.push((*log, spans.newest().to_vec()));
            }
            let last = statements.peek().is_none() && logs.peek().is_none();
            self.say(pipe, &Frame::Summary { statements: some, logs: named, last });
            if last {
                break;
            }
        }
    }

    /// The peer has told all: names what differs, and goes on.
    pub(super) fn answer_all(&mut self, pipe: PipeId) {
        let Some(session) = self.sessions.get(&pipe) else { return };
        let (short, mine) = (Shortener::of(&session.channel), &session.at_hello);
        let (mut logs, mut wanted) = (Vec::new(), Vec::new());
        let statements = session.theirs.named_statements();
        wanted.extend(
            statements.filter(|id| !mine.statements.contains(id)).map(|id| short.statement(id)),
        );
        for (log, spans) in session.theirs.named_logs() {
            match mine.logs.get(log) {
                // What a summary leaves out of a log with many spans counts as not held.
                Some(same) if same == spans && spans.as_slice().len() < RANGES_MAX => {}
                Some(other) => logs.push(short.told(log, other)),
                None => logs.push(short.told(log, &Spans::default())),
            }
        }
        self.tell_difference(pipe, logs, wanted);
        self.begin_transfer(pipe);
    }

    /// Sends the symbols `from..to` of what we hold.
    fn tell_symbols(&mut self, pipe: PipeId, from: usize, to: usize) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.comparing = Comparing::Busy;
        let (short, mine) = (Shortener::of(&session.channel), Arc::clone(&session.at_hello));
        let run = move || {
            let ids: Vec<ShortId> = short.entries(&mine).into_keys().collect();
            encode(&ids, from, to)
        };
        self.work("symbols", run, move |node, symbols: Vec<Symbol>| {
            let Some(session) = node.sessions.get_mut(&pipe) else { return };
            session.comparing = Comparing::Encoding { symbols: to };
            node.say(pipe, &Frame::Symbols(symbols));
            node.hear_buffered(pipe);
        });
    }

    /// The symbols that were sent do not suffice.
    pub(super) fn hear_want(&mut self, pipe: PipeId, to: u32) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let to = usize::try_from(to).unwrap_or(usize::MAX);
        match session.comparing {
            Comparing::Same { count, .. } if to == further(0) => {
                // It does not know how we parted.
                self.compare(pipe, count);
                Ok(())
            }
            Comparing::Encoding { symbols } if to == further(symbols) && to <= SYMBOLS_MAX => {
                self.tell_symbols(pipe, symbols, to);
                Ok(())
            }
            _ => Err(Fault::OutOfTurn("want-symbols".to_owned())),
        }
    }

    /// Asks for the symbols that follow so many.
    pub(super) fn want_symbols(&mut self, pipe: PipeId, after: usize) {
        let to = u32::try_from(further(after)).unwrap_or(u32::MAX);
        self.say(pipe, &Frame::WantSymbols { to });
    }

    /// Looks for the difference in the symbols that have come.
    pub(super) fn hear_symbols(&mut self, pipe: PipeId, more: Vec<Symbol>) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let comparing = core::mem::replace(&mut session.comparing, Comparing::Busy);
        let mut symbols = match comparing {
            Comparing::Decoding { symbols } => symbols,
            // It does not know how we parted.
            Comparing::Same { .. } => Vec::new(),
            _ => return Err(Fault::OutOfTurn("symbols".to_owned())),
        };
        if more.len() != further(symbols.len()) - symbols.len() {
            return Err(Fault::Malformed(
                "another number of symbols than was asked for".to_owned(),
            ));
        }
        symbols.extend(more);
        let (short, mine) = (Shortener::of(&session.channel), Arc::clone(&session.at_hello));
        let run = move || {
            let entries = short.entries(&mine);
            let found = decode(&entries.keys().copied().collect(), &symbols);
            let named = found.map(|found| {
                let ours = found.ours.iter().filter_map(|id| entries.get(id)).copied();
                (ours.collect::<Vec<Entry>>(), found.theirs.into_iter().collect::<Vec<ShortId>>())
            });
            (symbols, named)
        };
        self.work("difference", run, move |node, (symbols, found)| {
            let Some(session) = node.sessions.get_mut(&pipe) else { return };
            let to = further(symbols.len());
            if let Some((ours, wanted)) = found {
                node.name_difference(pipe, &ours, wanted);
            } else if to > SYMBOLS_MAX {
                node.tell_all(pipe);
            } else {
                let after = symbols.len();
                session.comparing = Comparing::Decoding { symbols };
                node.want_symbols(pipe, after);
            }
            node.hear_buffered(pipe);
        });
        Ok(())
    }

    /// Names what only one side has; the peer will answer.
    fn name_difference(&mut self, pipe: PipeId, ours: &[Entry], wanted: Vec<ShortId>) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        let short = Shortener::of(&session.channel);
        let mine = Arc::clone(&session.at_hello);
        session.theirs = Known::same(Arc::clone(&mine));
        let mut told = Vec::new();
        let mut awaited = BTreeMap::new();
        for entry in ours {
            match entry {
                Entry::Statement(id) => session.theirs.lacks(*id),
                Entry::Log(log) => {
                    session.theirs.has_of(*log, Spans::default());
                    if let Some(spans) = mine.logs.get(log) {
                        told.push(short.told(log, spans));
                        awaited.insert(short.log(log), *log);
                    }
                }
            }
        }
        session.comparing = Comparing::Awaiting { logs: awaited };
        self.tell_difference(pipe, told, wanted);
    }

    fn tell_difference(&mut self, pipe: PipeId, logs: Vec<ToldLog>, wanted: Vec<ShortId>) {
        let (mut logs, mut wanted) = (logs.into_iter().peekable(), wanted.into_iter().peekable());
        loop {
            let mut entries = 0;
            let mut named = Vec::new();
            while let Some(log) = logs.peek()
                && entries + 1 + log.spans.len() <= SUMMARY_ENTRIES_PER_FRAME
                && let Some(log) = logs.next()
            {
                entries += 1 + log.spans.len();
                named.push(log);
            }
            let left = SUMMARY_ENTRIES_PER_FRAME - entries;
            let wanted_now = wanted.by_ref().take(left).collect();
            let last = logs.peek().is_none() && wanted.peek().is_none();
            self.say(pipe, &Frame::Differ { logs: named, wanted: wanted_now, last });
            if last {
                break;
            }
        }
    }

    /// What the peer found to differ, or its answer to what we found.
    pub(super) fn hear_difference(
        &mut self,
        pipe: PipeId,
        logs: Vec<ToldLog>,
        wanted: Vec<ShortId>,
        last: bool,
    ) -> Result<(), Fault> {
        let Some(session) = self.sessions.get_mut(&pipe) else { return Ok(()) };
        let malformed = || Fault::Malformed("spans out of order".to_owned());
        session.spans_heard += logs.iter().map(|log| log.spans.len().max(1)).sum::<usize>();
        let nothing = !last && logs.is_empty() && wanted.is_empty();
        if nothing || session.spans_heard > SUMMARY_SPANS_MAX {
            return Err(Fault::Malformed("its difference exceeds the limit".to_owned()));
        }
        match &mut session.comparing {
            Comparing::Awaiting { logs: awaited } => {
                // Its answer: what it holds of the logs that we named.
                if !wanted.is_empty() {
                    return Err(Fault::OutOfTurn("differ".to_owned()));
                }
                let short = Shortener::of(&session.channel);
                for told in logs {
                    let Some(log) = awaited.remove(&told.log) else { continue };
                    let mine = session.at_hello.logs.get(&log).cloned().unwrap_or_default();
                    let spans = short.learn(&told.spans, &mine).ok_or_else(malformed)?;
                    session.theirs.has_of(log, spans);
                }
                if last {
                    self.begin_transfer(pipe);
                }
                Ok(())
            }
            Comparing::Told | Comparing::Encoding { .. } => {
                let answers = matches!(session.comparing, Comparing::Encoding { .. });
                session.comparing =
                    Comparing::Differing { answers, logs: Vec::new(), wanted: Vec::new() };
                self.hear_difference(pipe, logs, wanted, last)
            }
            Comparing::Differing { answers, logs: all, wanted: all_wanted } => {
                all.extend(logs);
                all_wanted.extend(wanted);
                if all.len() + all_wanted.len() > SUMMARY_STATEMENTS_MAX {
                    return Err(Fault::Malformed("its difference exceeds the limit".to_owned()));
                }
                if last {
                    let (answers, all) = (*answers, core::mem::take(all));
                    let wanted = core::mem::take(all_wanted);
                    self.follow_difference(pipe, answers, all, wanted);
                }
                Ok(())
            }
            Comparing::Not
            | Comparing::Same { .. }
            | Comparing::Acquainting { .. }
            | Comparing::Hearing
            | Comparing::Busy
            | Comparing::Decoding { .. } => Err(Fault::OutOfTurn("differ".to_owned())),
        }
    }

    /// The peer has named what it lacks and what it holds instead: answers, if we have not told
    /// what we hold before, and goes on.
    fn follow_difference(
        &mut self,
        pipe: PipeId,
        answers: bool,
        told: Vec<ToldLog>,
        wanted: Vec<ShortId>,
    ) {
        let Some(session) = self.sessions.get_mut(&pipe) else { return };
        session.comparing = Comparing::Busy;
        let (short, mine) = (Shortener::of(&session.channel), Arc::clone(&session.at_hello));
        let run = move || {
            let entries = short.entries(&mine);
            let wanted: BTreeSet<Entry> =
                wanted.iter().filter_map(|id| entries.get(id)).copied().collect();
            let told: BTreeMap<ShortId, Vec<ShortSpan>> =
                told.into_iter().map(|one| (one.log, one.spans)).collect();
            let known = mine.logs.iter().filter_map(|(log, spans)| {
                let theirs = told.get(&short.log(log))?;
                Some((*log, short.learn(theirs, spans), short.told(log, spans)))
            });
            (wanted, known.collect::<Vec<_>>())
        };
        self.work("follow", run, move |node, (wanted, known)| {
            let Some(session) = node.sessions.get_mut(&pipe) else { return };
            session.theirs = Known::same(Arc::clone(&session.at_hello));
            for entry in wanted {
                match entry {
                    Entry::Statement(id) => session.theirs.lacks(id),
                    Entry::Log(log) => session.theirs.has_of(log, Spans::default()),
                }
            }
            let mut answer = Vec::new();
            for (log, spans, told) in known {
                let Some(spans) = spans else {
                    return node.fault(pipe, Fault::Malformed("spans out of order".to_owned()));
                };
                session.theirs.has_of(log, spans);
                answer.push(told);
            }
            if answers {
                node.tell_difference(pipe, answer, Vec::new());
            }
            node.begin_transfer(pipe);
            node.hear_buffered(pipe);
        });
    }
}

/// How many symbols are asked for in all, after so many.
const fn further(symbols: usize) -> usize {
    match symbols {
        0 => SYMBOLS_FIRST,
        few if few < SYMBOLS_QUADRUPLED => few * 4,
        many => many * 2,
    }
}
