//! Whose turn it is to be sent something, when many are met at once.
//!
//! A turn is one batch, and a batch takes about half a second of its link ([`crate::session`]'s
//! `pace`): turns are equal in the time of the radio that all share, not in bytes, so that a phone
//! that is far away gets its share and no more. Who may be sent something takes a ticket, and the
//! lowest ticket is served first; nobody is served twice before everybody who waits was served
//! once. Two bounds decide when the next one is served: batches under way to others, in bytes,
//! which keeps the queues of the radio short, and batches being looked up in the store.
//!
//! What does not wait for a turn: who is shut out, and what is urgent. Hence it leaves at once, and
//! finds little in front of it.
//!
//! A batch that is not acknowledged within [`TURN_MS`] counts no longer: a peer that walked away
//! holds up nobody. Its own next batch still waits for its acknowledgement.

use super::Node;
use super::api::PipeId;
use crate::limits::{TURN_BYTES_MAX, TURN_LOADS_MAX, TURN_MS, WAIT_TOLD_MS};
use crate::session::Session;
use crate::time::Millis;

impl Node {
    /// Serves those who wait, while not too much is under way.
    pub(super) fn serve(&mut self) {
        self.draw_tickets();
        while let Some(pipe) = self.next_turn() {
            let now = self.now.millis;
            if let Some(session) = self.sessions.get_mut(&pipe) {
                session.serve(now);
            }
            self.send_next(pipe);
            self.draw_tickets();
        }
        self.console();
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

    /// Lets those who have waited long know that they wait: else they would take us for gone.
    fn console(&mut self) {
        let now = self.now.millis;
        let long = |session: &Session| session.consoled_at().is_some_and(|at| at <= now);
        let waiting = self.sessions.iter().filter(|(_, session)| long(session));
        for pipe in waiting.map(|(pipe, _)| *pipe).collect::<Vec<_>>() {
            self.tell_totals(pipe);
        }
    }

    /// When somebody who waits may have to be served, or told.
    pub(super) fn turns_deadline(&self) -> Option<Millis> {
        let now = self.now.millis;
        let waits = self.sessions.values().any(Session::waits);
        let frees = self.sessions.values().filter_map(|session| session.frees_at(now));
        let told = self.sessions.values().filter_map(Session::consoled_at);
        frees.filter(|_| waits).chain(told).min()
    }
}

impl Session {
    /// Whether it waits for its turn.
    fn waits(&self) -> bool {
        self.ticket.is_some() && self.may_send()
    }

    /// It is its turn.
    fn serve(&mut self, now: Millis) {
        self.ticket = None;
        if self.in_flight.is_empty() {
            // Whoever waited could not be heard.
            self.heard = self.heard.max(now);
        }
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

    /// When it is to be told that it waits.
    fn consoled_at(&self) -> Option<Millis> {
        self.waits().then(|| self.said.plus(WAIT_TOLD_MS))
    }
}
