//! What a running `huza run --json` says, one object per line, as far as the story needs it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One line.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Happening(Value);

/// What a contact took, as the process that reports it sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::commands) struct Stats {
    /// Bytes of its frames.
    pub(in crate::commands) bytes_sent: u64,
    /// Bytes of the other's frames.
    pub(in crate::commands) bytes_received: u64,
    /// Envelopes it gave.
    pub(in crate::commands) envelopes_sent: u64,
    /// Envelopes it took.
    pub(in crate::commands) envelopes_received: u64,
    /// Statements it gave.
    pub(in crate::commands) statements_sent: u64,
    /// Statements it took.
    pub(in crate::commands) statements_received: u64,
    /// Times it sent and then waited.
    pub(in crate::commands) round_trips: u32,
    /// From the opening of the pipe until both held the same.
    pub(in crate::commands) millis: u64,
}

impl Happening {
    /// Reads a line; `None` for anything but an event.
    pub(in crate::commands) fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.get("event")?.as_str()?;
        Some(Self(value))
    }

    fn is(&self, name: &str) -> bool {
        self.text("event") == Some(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn device(&self) -> Option<&str> {
        self.0.get("peer")?.get("device")?.as_str()
    }

    /// Where it listens, if it says so.
    pub(in crate::commands) fn listening(&self) -> Option<&str> {
        if self.is("listening") { self.text("address") } else { None }
    }

    /// Whether a pipe to somebody was opened.
    pub(in crate::commands) fn is_connection(&self) -> bool {
        self.is("pipe_opened")
    }

    /// Whether its own certificate was revoked.
    pub(in crate::commands) fn is_own_revocation(&self) -> bool {
        self.is("revoked") && self.0.get("own").and_then(Value::as_bool) == Some(true)
    }

    /// Whether both it and `device` hold the same.
    pub(in crate::commands) fn is_complete_with(&self, device: &str) -> bool {
        self.is("contact_complete") && self.device() == Some(device)
    }

    /// What the session with `device` took so far, and on which pipe.
    pub(in crate::commands) fn stats_with(&self, device: &str) -> Option<(u64, Stats)> {
        let of_contact = self.is("contact_complete") || self.is("contact_ended");
        if !of_contact || self.device() != Some(device) {
            return None;
        }
        let pipe = self.0.get("pipe")?.as_u64()?;
        Some((pipe, serde_json::from_value(self.0.get("stats")?.clone()).ok()?))
    }
}

impl Stats {
    /// What two sessions took together.
    pub(in crate::commands) const fn plus(self, other: Self) -> Self {
        Self {
            bytes_sent: self.bytes_sent + other.bytes_sent,
            bytes_received: self.bytes_received + other.bytes_received,
            envelopes_sent: self.envelopes_sent + other.envelopes_sent,
            envelopes_received: self.envelopes_received + other.envelopes_received,
            statements_sent: self.statements_sent + other.statements_sent,
            statements_received: self.statements_received + other.statements_received,
            round_trips: self.round_trips + other.round_trips,
            millis: self.millis + other.millis,
        }
    }
}

/// What the contact with `device` took: the last word of every session, added up. A session that
/// was cut and taken up again on another pipe is the same contact.
pub(in crate::commands) fn contact_with(device: &str, events: &[Happening]) -> Stats {
    let last: BTreeMap<u64, Stats> =
        events.iter().filter_map(|event| event.stats_with(device)).collect();
    last.into_values().fold(Stats::default(), Stats::plus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_noise_is_not() {
        let line = r#"{"event":"contact_complete","pipe":3,"peer":{"device":"ab"},"stats":{"bytes_sent":1,
            "bytes_received":2,"envelopes_sent":3,"envelopes_received":4,"statements_sent":5,
            "statements_received":6,"round_trips":7,"millis":8}}"#;
        let happening = Happening::read(line).unwrap();
        assert!(happening.is_complete_with("ab") && !happening.is_complete_with("cd"));
        assert_eq!(happening.stats_with("ab").unwrap().1.envelopes_received, 4);
        assert_eq!(happening.stats_with("cd"), None);
        let again = Happening::read(&line.replace("\"pipe\":3", "\"pipe\":4")).unwrap();
        let events = [happening.clone(), happening, again];
        assert_eq!(contact_with("ab", &events).bytes_sent, 2, "one of each pipe");
        let own = Happening::read(r#"{"event":"revoked","own":true}"#).unwrap();
        let other = Happening::read(r#"{"event":"revoked","own":false}"#).unwrap();
        assert!(own.is_own_revocation() && !other.is_own_revocation());
        assert!(Happening::read("listening on 1.2.3.4").is_none());
        assert!(Happening::read("[1]").is_none());
    }
}
