//! How many peers a device seeks out among those that happen to be near.
//!
//! Of a hundred phones at a meeting each could talk to each, which would be five thousand sessions
//! with the same content on one radio. What a device meets is so told on to all its peers that few
//! links are enough: a graph in which each picks two others at random is connected almost surely
//! (Fenner, Frieze, "On the connectivity of random m-orientable graphs", 1982). While a hub of its
//! own health centre is there, it needs none besides.
//!
//! Addresses that somebody configured, and peers that come to us, are no concern of this.

use super::Node;
use super::api::{Output, PipeId};
use crate::limits::{LINKS_BESIDE_HUB_MAX, LINKS_WANTED, SESSIONS_MAX};
use crate::session::{Phase, Session};
use crate::trust::Role;

impl Node {
    /// Says how many of those that are found near are to be sought out, if that has changed, and
    /// parts from those that are too many.
    pub(super) fn tend_links(&mut self) {
        let wanted = self.links_wanted();
        if self.links_told.replace(wanted) != Some(wanted) {
            self.fx.outputs.push_back(Output::Links { wanted });
        }
        for pipe in self.surplus() {
            self.part(pipe);
        }
    }

    fn links_wanted(&self) -> usize {
        if self.serves_many() {
            return SESSIONS_MAX;
        }
        let few = if self.has_hub() { 0 } else { LINKS_WANTED };
        few + usize::from(self.is_missing_news())
    }

    /// Whether it is there for everybody who comes.
    fn serves_many(&self) -> bool {
        matches!(self.role(), Some(Role::Hub | Role::Gateway))
    }

    /// Whether a hub that stands for all that this device is concerned with is at the other end of a
    /// session.
    fn has_hub(&self) -> bool {
        self.sessions.values().any(|session| self.is_hub(session))
    }

    fn is_hub(&self, session: &Session) -> bool {
        let peer = session.peer.filter(|peer| peer.role == Role::Hub);
        let Some(peer) = peer.filter(|_| session.phase > Phase::Hello) else { return false };
        let hub = self.carrier.lane.as_ref().and_then(|lane| lane.certificate(&peer.certificate));
        hub.zip(self.carrier.certificate()).is_some_and(|(hub, own)| {
            own.areas.iter().all(|area| hub.areas.iter().any(|scope| scope.contains(area)))
        })
    }

    /// Beside a hub: sessions with others that hold the same as we do, except for a few, the oldest.
    fn surplus(&self) -> Vec<PipeId> {
        if self.serves_many() || !self.has_hub() {
            return Vec::new();
        }
        let others = self.sessions.iter().filter(|(_, one)| !self.is_hub(one));
        let complete = others.filter(|(_, session)| session.complete).map(|(pipe, _)| *pipe);
        complete.skip(LINKS_BESIDE_HUB_MAX).collect()
    }
}
