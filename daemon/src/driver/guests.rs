//! Pipes that came through the local door, and what is to be reported of each.

use std::collections::BTreeMap;

use huza_crdt::node::{Event, PipeId};
use huza_crdt::session::{Peer, Stats};
use tokio::sync::oneshot;

use crate::pipe::{PipeOutcome, PipeReport};

/// Why there was no session.
const UNABLE: &str = "this device has not joined a programme, or has too many contacts already";

#[derive(Debug)]
struct Guest {
    report: oneshot::Sender<PipeReport>,
    complete: bool,
    /// Who, what it took, and what it did wrong, once the session has ended.
    ended: Option<(Option<Peer>, Stats, Option<String>)>,
}

/// Why every session ends at once.
const SHUT_OUT: &str = "this device is shut out; `huza status` says why, and what to do";

/// The open ones.
#[derive(Debug, Default)]
pub(super) struct Guests {
    open: BTreeMap<PipeId, Guest>,
    /// Whether a peer has shown that this device's certificate is revoked.
    shut_out: bool,
}

impl Guests {
    pub(super) fn attached(&mut self, pipe: PipeId, report: oneshot::Sender<PipeReport>) {
        self.open.insert(pipe, Guest { report, complete: false, ended: None });
    }

    pub(super) fn contains(&self, pipe: PipeId) -> bool {
        self.open.contains_key(&pipe)
    }

    /// Keeps what an event says of one of them. `true`: it has done all that it is for.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::ContactComplete { pipe, .. } => self.open.get_mut(pipe).is_some_and(|guest| {
                guest.complete = true;
                true
            }),
            Event::ContactEnded { pipe, peer, stats, fault, .. } => {
                if let Some(guest) = self.open.get_mut(pipe) {
                    let fault = fault.as_ref().map(ToString::to_string);
                    guest.ended = Some((*peer, *stats, fault));
                }
                false
            }
            Event::Revoked { own: true, .. } => {
                self.shut_out = true;
                false
            }
            _ => false,
        }
    }

    /// Reports of one that is closed.
    pub(super) fn closed(&mut self, pipe: PipeId, why: &str) {
        let Some(guest) = self.open.remove(&pipe) else { return };
        let begun = guest.ended.is_some();
        let (peer, stats, fault) = guest.ended.unwrap_or_default();
        let (outcome, why) = match fault {
            _ if guest.complete => (PipeOutcome::Complete, String::new()),
            None if self.shut_out => (PipeOutcome::Refused, SHUT_OUT.to_owned()),
            Some(fault) => (PipeOutcome::Refused, fault),
            None if !begun => (PipeOutcome::Cut, UNABLE.to_owned()),
            None => (PipeOutcome::Cut, why.to_owned()),
        };
        // Whoever asked may be gone.
        let _gone = guest.report.send(PipeReport { outcome, peer, stats, why });
    }
}
