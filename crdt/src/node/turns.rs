//! Whose turn it is to be sent something, when many are met at once.
//!
//! A turn is one batch, and a batch is smaller where acknowledgements are slower ([`crate::session`]'s
//! `pace`), so that a phone that is far away does not fill the radio. Who may be sent something takes a ticket, and the
//! lowest ticket is served first; nobody is served twice before everybody who waits was served
//! once. Two bounds decide when the next one is served: batches under way to others, in bytes,
//! which keeps the queues of the radio short, and batches being looked up in the store.
//!
//! What does not wait for a turn: who is shut out, what is urgent, and what has come since the session
//! began and is of an area that the peer reads. Hence it leaves at once, and finds little in front of
//! it; and few peers read the same area.
//!
//! What peers send is taken in turns too: a second batch of one behind the first ones of the others,
//! and what is urgent before what is not.
//!
//! A batch that is not acknowledged within [`TURN_MS`] counts no longer: a peer that walked away
//! holds up nobody. Its own next batch still waits for its acknowledgement. So the line moves on by
//! [`TURN_BYTES_MAX`] a second at least, and the last of [`crate::limits::SESSIONS_MAX`] is served after
//! 10 seconds, or 20 where all that is wanted are photos: before it takes us for silent.

use std::collections::BTreeSet;

use super::Node;
use super::api::PipeId;
use super::state::{Source, Task};
use crate::limits::{TURN_BYTES_MAX, TURN_LOADS_MAX, TURN_MS};
use crate::session::Session;
use crate::time::Millis;

impl Node {
    /// Serves those who wait, while not too much is under way.
    pub(super) fn serve(&mut self) {
        self.draw_tickets();
        while let Some(pipe) = self.next_turn() {
            if let Some(session) = self.sessions.get_mut(&pipe) {
                session.ticket = None;
            }
            self.send_next(pipe);
            self.draw_tickets();
        }
    }

    /// Gives a ticket to everybody who may be sent something and has none.
    fn draw_tickets(&mut self) {
        for session in self.sessions.values_mut() {
            if !session.may_send() {
                session.ticket = None;
            } else if session.ticket.is_none() {
                session.ticket = Some(self.next_ticket);
                self.next_ticket += 1;
            }
        }
    }

    /// Who is served now, if anybody.
    fn next_turn(&self) -> Option<PipeId> {
        let now = self.now.millis;
        let waiting = self.sessions.iter().filter(|(_, session)| session.waits());
        let (pipe, next) = waiting.min_by_key(|(_, session)| session.ticket)?;
        let loading = self.sessions.values().filter(|session| session.loading).count();
        let all: usize = self.sessions.values().map(|session| session.under_way(now)).sum();
        let others = all - next.under_way(now);
        (loading < TURN_LOADS_MAX && others < TURN_BYTES_MAX).then_some(*pipe)
    }

    /// Puts a batch that came in its place among those that wait to be taken in. Each peer's stay in
    /// their order.
    pub(super) fn queue_batch(&mut self, batch: Task) {
        let tasks = &mut self.carrier.tasks;
        let Some(pipe) = batch.batch_of() else { return tasks.push_back(batch) };
        let own = tasks.iter().rposition(|task| task.is_of(pipe)).map_or(0, |last| last + 1);
        let mut seen = BTreeSet::new();
        let first = !tasks.iter().any(|task| task.batch_of() == Some(pipe));
        let mut later = |task: &Task| {
            let Some(other) = task.batch_of().filter(|other| *other != pipe) else { return false };
            let second = !seen.insert(other);
            !task.is_pressing() && (batch.is_pressing() || first && second)
        };
        let place = tasks.iter().position(&mut later).unwrap_or(tasks.len());
        tasks.insert(place.max(own), batch);
    }

    /// When somebody who waits may have to be served.
    pub(super) fn turns_deadline(&self) -> Option<Millis> {
        let now = self.now.millis;
        let waits = self.sessions.values().any(Session::waits);
        let frees = self.sessions.values().filter_map(|session| session.frees_at(now));
        frees.filter(|_| waits).min()
    }
}

impl Task {
    /// The session whose batch it is, if it is one.
    const fn batch_of(&self) -> Option<PipeId> {
        let from = match self {
            Self::Ingest { parcel } => parcel.from,
            Self::Accept { heard } => heard.from(),
            _ => return None,
        };
        match from {
            Source::Session(pipe, _) => Some(pipe),
            Source::Bundle(_) => None,
        }
    }

    /// Whether it comes from this session, whose later ones may need it.
    fn is_of(&self, pipe: PipeId) -> bool {
        self.batch_of() == Some(pipe)
            || matches!(self, Self::Admit { of: Some(of), .. } if *of == pipe)
    }

    /// Whether others wait for it.
    fn is_pressing(&self) -> bool {
        match self {
            Self::Ingest { parcel } => parcel.is_pressing(),
            Self::Accept { heard } => heard.is_pressing(),
            _ => false,
        }
    }
}

impl Session {
    /// Whether it waits for its turn.
    fn waits(&self) -> bool {
        self.ticket.is_some() && self.may_send()
    }

    /// Bytes of batches that may fill the link to it.
    fn under_way(&self, now: Millis) -> usize {
        let recent = self.in_flight.values().filter(|one| one.departure.at.plus(TURN_MS) > now);
        let sent: u64 = recent.map(|one| one.departure.bytes).sum();
        let loading = if self.loading { self.pace.batch_bytes() } else { 0 };
        usize::try_from(sent).unwrap_or(usize::MAX).saturating_add(loading)
    }

    /// When the first of them counts no longer.
    fn frees_at(&self, now: Millis) -> Option<Millis> {
        let ends = self.in_flight.values().map(|one| one.departure.at.plus(TURN_MS));
        ends.filter(|end| *end > now).min()
    }
}
