//! Hints by gossip: that a log has grown. They carry nothing: growth itself comes in sessions. A
//! hint runs ahead of it, and makes a device that stays without it look for another peer.
//!
//! A hint is passed on only if a member sealed it, it names a log whose opening is known, and it is
//! news: of each log at most one is passed on in [`NEWS_PAUSE_MS`], and of all of them
//! [`NEWS_AT_ONCE_MAX`]. Whoever seals hints at will can so waste little, and can at worst keep
//! other hints of the same logs from being passed on, for [`NEWS_KEPT_MS`] each time.

use std::collections::BTreeMap;

use super::Node;
use super::api::{Output, Token};
use crate::codec;
use crate::id::LogId;
use crate::limits::{NEWS_AT_ONCE_MAX, NEWS_KEPT_MS, NEWS_PAUSE_MS, NEWS_WAIT_MS};
use crate::time::Millis;

/// Context under which a hint is sealed with the member key.
const NEWS: &[u8] = b"huza news 1";

/// The last hint about one log that was passed on.
#[derive(Debug, Clone, Copy)]
struct Rumour {
    /// How far the log has grown, as was said.
    seq: u64,
    at: Millis,
}

/// The hints of the last [`NEWS_KEPT_MS`].
#[derive(Debug, Default)]
pub(super) struct Rumours(BTreeMap<LogId, Rumour>);

impl Rumours {
    /// Notes a hint. Whether it is to be passed on.
    fn note(&mut self, log: LogId, seq: u64, now: Millis) -> bool {
        self.0.retain(|_, rumour| rumour.at.plus(NEWS_KEPT_MS) > now);
        let recent = |rumour: &&Rumour| rumour.at.plus(NEWS_PAUSE_MS) > now;
        let known = self.0.get(&log);
        if known.is_some_and(|rumour| seq <= rumour.seq || recent(&rumour))
            || self.0.values().filter(recent).count() >= NEWS_AT_ONCE_MAX
        {
            return false;
        }
        self.0.insert(log, Rumour { seq, at: now });
        true
    }
}

impl Node {
    /// A hint came.
    pub(super) fn news(&mut self, token: Token, bytes: &[u8]) {
        let hint = self.read_news(bytes);
        let valid = hint.is_some_and(|(log, seq)| self.rumours.note(log, seq, self.now.millis));
        self.fx.outputs.push_back(Output::NewsValid { token, valid });
    }

    /// Log and seq of a hint that a member sealed about a log that is known.
    fn read_news(&self, bytes: &[u8]) -> Option<(LogId, u64)> {
        let member = &self.carrier.membership.as_ref()?.member;
        let plain = member.open(NEWS, bytes).ok()?;
        let (log, seq) = codec::decode::<(LogId, u64)>(&plain).ok()?;
        self.carrier.lane.as_ref()?.opening(&log).map(|_| (log, seq))
    }

    /// Spreads the hint that a log of this device has grown to `seq`.
    pub(super) fn tell_news(&mut self, log: LogId, seq: u64) {
        let entropy = self.entropy.draw();
        let Some(membership) = &self.carrier.membership else { return };
        let bytes = membership.member.seal(NEWS, &codec::encode(&(log, seq)), entropy);
        self.fx.outputs.push_back(Output::Publish { bytes });
    }

    /// When each growth that was heard of and has not come should have come.
    fn overdue(&self) -> impl Iterator<Item = Millis> {
        let logs = &self.carrier.holdings.logs;
        let held = |log| logs.get(log).and_then(|held| held.spans.last());
        let now = self.now.millis;
        let kept = self.rumours.0.iter().filter(move |(_, one)| one.at.plus(NEWS_KEPT_MS) > now);
        let missing = kept.filter(move |(log, one)| held(log) < Some(one.seq));
        missing.map(|(_, rumour)| rumour.at.plus(NEWS_WAIT_MS))
    }

    /// Whether something that was heard of stays out.
    pub(super) fn is_missing_news(&self) -> bool {
        self.overdue().any(|due| due <= self.now.millis)
    }

    /// When something that was heard of will be overdue.
    pub(super) fn news_deadline(&self) -> Option<Millis> {
        self.overdue().filter(|due| *due > self.now.millis).min()
    }
}
