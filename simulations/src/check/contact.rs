//! Laws: every contact completes or is closed within a bound, its end is told once, and no member
//! is accused of what it did not do.

use std::collections::BTreeMap;

use huza_crdt::id::{CertId, LogId};
use huza_crdt::limits::{HELLO_MS_MAX, SILENCE_MS_MAX};
use huza_crdt::node::PipeId;
use huza_crdt::session::Fault;
use huza_crdt::session::frame::Frame;

use super::frames::{FrameReader, Heard};
use crate::violation::{Broken, Law};

/// Milliseconds of grace: delays of the simulated shell.
const GRACE_MS: u64 = 20_000;

/// One host's side of a conversation.
#[derive(Debug)]
pub(crate) struct Talk {
    /// Whether the peer is no member of the programme.
    pub(crate) stranger: bool,
    /// The peer's certificate when it was opened.
    pub(crate) peer: Option<CertId>,
    /// Whether bytes change on the way, so that anybody may be accused.
    pub(crate) dirty: bool,
    pub(crate) opened_at: u64,
    /// When the last bytes came.
    pub(crate) heard_at: u64,
    pub(crate) closed_at: Option<u64>,
    pub(crate) complete: bool,
    pub(crate) ended: bool,
    /// What the host found wrong with its peer.
    pub(crate) fault: Option<Fault>,
    pub(crate) hello_heard: bool,
    /// Whether the host said anything. Who closes at once has no contact to end.
    pub(crate) spoke: bool,
    pub(crate) said: FrameReader,
    pub(crate) heard: FrameReader,
    /// Batches that came and are not acknowledged.
    pub(crate) batches: BTreeMap<u32, Heard>,
    /// Envelopes of each log in the batches that were said and are not acknowledged.
    pub(crate) sent: BTreeMap<u32, Vec<(LogId, u64)>>,
    /// Envelopes that came.
    pub(crate) came: u64,
    /// Envelopes that the peer acknowledged, and did not refuse.
    pub(crate) taken: u64,
}

impl Talk {
    pub(crate) fn new(stranger: bool, dirty: bool, now: u64) -> Self {
        Self {
            stranger,
            peer: None,
            dirty,
            opened_at: now,
            heard_at: now,
            closed_at: None,
            complete: false,
            ended: false,
            fault: None,
            hello_heard: false,
            spoke: false,
            said: FrameReader::default(),
            heard: FrameReader::default(),
            batches: BTreeMap::new(),
            sent: BTreeMap::new(),
            came: 0,
            taken: 0,
        }
    }

    /// The peer said this.
    pub(crate) fn hear(&mut self, frame: Frame) {
        match frame {
            Frame::Hello(_) => self.hello_heard = true,
            Frame::Batch { number, statements, runs } => {
                self.came += runs.iter().map(|run| run.envelopes.len() as u64).sum::<u64>();
                self.batches.insert(number, Heard::read(&statements, &runs));
            }
            Frame::Ack { number } => {
                let sent = self.sent.remove(&number).unwrap_or_default();
                self.taken += sent.iter().map(|(_, envelopes)| envelopes).sum::<u64>();
            }
            Frame::Refused { number, logs, .. } => {
                let sent = self.sent.entry(number).or_default();
                sent.retain(|(log, _)| !logs.contains(log));
            }
            _ => {}
        }
    }

    /// The node says that the contact ended.
    pub(crate) fn end(&mut self, pipe: PipeId, now: u64) -> Result<(), Broken> {
        if self.ended {
            let evidence = format!("the contact on pipe {} ended twice", pipe.0);
            return Err(Broken::new(Law::ContactEnds, evidence));
        }
        self.ended = true;
        self.closed_at.get_or_insert(now);
        Ok(())
    }
}

/// Whether a contact should have ended by now.
pub(crate) fn overdue(talk: &Talk, pipe: PipeId, now: u64) -> Result<(), Broken> {
    let broken = |what: &str| {
        let Talk { opened_at, heard_at, hello_heard, .. } = talk;
        Err(Broken::new(
            Law::ContactEnds,
            format!(
                "pipe {}: {what} (opened at {opened_at}, last bytes at {heard_at}, hello heard: \
                 {hello_heard})",
                pipe.0
            ),
        ))
    };
    match talk.closed_at {
        Some(at) if talk.spoke && !talk.ended && now > at + GRACE_MS => {
            broken("it is closed, and the node does not say that the contact ended")
        }
        Some(_) => Ok(()),
        None if talk.complete => Ok(()),
        None if now > talk.heard_at + HELLO_MS_MAX.max(SILENCE_MS_MAX) + GRACE_MS => {
            broken("nothing came for too long, and it is neither complete nor closed")
        }
        None if talk.stranger && now > talk.opened_at + HELLO_MS_MAX + GRACE_MS => {
            broken("a stranger is kept for too long")
        }
        None => Ok(()),
    }
}

/// Whether a node may accuse its peer of `fault`.
pub(crate) fn accusation(talk: &Talk, pipe: PipeId, fault: Option<&Fault>) -> Result<(), Broken> {
    let Some(fault) = fault else { return Ok(()) };
    let harmless =
        matches!(fault, Fault::Silent | Fault::Duplicate | Fault::TooMany | Fault::Unavailable);
    if talk.stranger || talk.dirty || harmless {
        return Ok(());
    }
    Err(Broken::new(Law::HonestNotAccused, format!("on pipe {}: {fault}", pipe.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: PipeId = PipeId(1);

    #[test]
    fn a_contact_that_hangs_is_found() {
        let mut talk = Talk::new(false, false, 1_000);
        assert!(overdue(&talk, PIPE, 60_000).is_ok());
        assert_eq!(overdue(&talk, PIPE, 200_000).unwrap_err().law, Law::ContactEnds);
        talk.heard_at = 190_000;
        assert!(overdue(&talk, PIPE, 200_000).is_ok());
        talk.stranger = true;
        assert!(overdue(&talk, PIPE, 200_000).is_err());
        talk.complete = true;
        assert!(overdue(&talk, PIPE, 900_000).is_ok());
    }

    #[test]
    fn a_closed_pipe_must_end_its_contact_once() {
        let mut talk = Talk::new(false, false, 1_000);
        talk.closed_at = Some(2_000);
        assert!(overdue(&talk, PIPE, 30_000).is_ok(), "it never began");
        talk.spoke = true;
        assert!(overdue(&talk, PIPE, 3_000).is_ok());
        assert!(overdue(&talk, PIPE, 30_000).is_err());
        assert!(talk.end(PIPE, 30_000).is_ok());
        assert!(overdue(&talk, PIPE, 300_000).is_ok());
        assert!(talk.end(PIPE, 30_001).is_err());
    }

    #[test]
    fn members_are_accused_only_on_dirty_pipes() {
        let accused = |stranger, dirty, fault: &Fault| {
            accusation(&Talk::new(stranger, dirty, 0), PIPE, Some(fault))
        };
        assert!(accused(false, false, &Fault::Silent).is_ok());
        assert!(accused(true, false, &Fault::BadProof).is_ok());
        assert!(accused(false, true, &Fault::BadSignature).is_ok());
        let broken = accused(false, false, &Fault::BadSignature).unwrap_err();
        assert_eq!(broken.law, Law::HonestNotAccused);
    }
}
