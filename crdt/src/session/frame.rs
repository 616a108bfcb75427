//! The frames of a session. On the pipe each is preceded by its length (4 bytes, little endian).

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::difference::{ShortId, Symbol};
use crate::codec::{self, DecodeError};
use crate::crypto::{Purpose, Signature, Signed, SigningKey, SymmetricKey};
use crate::envelope::{Content, Wire};
use crate::holdings::Span;
use crate::id::{CertId, DeviceKey, Hash, LogId, StatementId};
use crate::limits::{
    BATCH_ENVELOPES_MAX, BATCH_STATEMENTS_MAX, CHAIN_MAX, FRAME_BYTES_MAX, GROUNDS_MAX,
    PAYLOAD_BYTES_MAX, RANGES_MAX, SUMMARY_ENTRIES_PER_FRAME, SYMBOLS_MAX,
};

/// The version of this protocol.
pub const VERSION: u8 = 1;

/// Bytes of the length in front of a frame.
pub const LENGTH_BYTES: usize = 4;

/// Opaque bytes with their length in front.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes(#[serde(with = "codec::bytes")] pub Vec<u8>);

crate::debug_shows!(struct Bytes { 0: Vec::len });

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame {
    /// First of all: [`Hello`], sealed under the member key.
    Hello(Bytes),
    /// "I do not know your certificate."
    WantChain {
        /// The certificates of the sender's own chain, which need not be told.
        known: Vec<CertId>,
    },
    /// The answer: the sender's chain of certificate statements, the programme's first, without
    /// those that the receiver knows, sealed under the member key.
    Chain(Bytes),
    /// What the sender holds now, where both asked for the other's chain: instead of what its hello
    /// said of it.
    Now {
        /// See [`Hello::digest`].
        digest: [u8; 16],
        /// See [`Hello::count`].
        count: u64,
    },
    /// Part of what the sender holds.
    Summary {
        /// Statements.
        statements: Vec<StatementId>,
        /// Logs.
        logs: Vec<(LogId, Vec<Span>)>,
        /// Whether this is the last part.
        last: bool,
    },
    /// Coded symbols of what the sender holds, those that follow on the ones it sent before. See
    /// [`super::difference`].
    Symbols(Vec<Symbol>),
    /// "They do not suffice: send the others, up to this number in all."
    WantSymbols {
        /// How many symbols in all.
        to: u32,
    },
    /// Part of what the sender found to differ, or of the answer to it.
    Differ {
        /// Logs, with what the sender holds of them.
        logs: Vec<ToldLog>,
        /// What the receiver holds and the sender does not, or not so.
        wanted: Vec<ShortId>,
        /// Whether this is the last part.
        last: bool,
    },
    /// How much the sender will send in all, counted from the beginning of the session.
    Totals {
        /// Statements.
        statements: u64,
        /// Envelopes.
        envelopes: u64,
    },
    /// Part of it.
    Batch {
        /// From 0, one more each time.
        number: u32,
        /// Statements, each after those it depends on.
        statements: Vec<Bytes>,
        /// Envelopes.
        runs: Vec<Run>,
    },
    /// "Batch `number` is durable here."
    Ack {
        /// Which.
        number: u32,
    },
    /// "I have nothing more to send."
    End {
        /// Digest of what the sender holds now and both keep: see
        /// [`crate::holdings::Digests::of`].
        digest: [u8; 16],
        /// The same of all that it holds, as in its next hello if nothing changes.
        all: [u8; 16],
    },
    /// "You are shut out": the statements that say so, each with the chain of its issuer in front,
    /// sealed under the member key. The sender closes behind it.
    Revoked(Bytes),
    /// "We hold other things, and both hold just what we held at the end of our last contact: there
    /// is nothing to say."
    Same,
    /// "Of these logs I did not take all that is in batch `number`: I do not know them, or have no
    /// room for more of them. Send no more of them in this session." Said before the batch is
    /// acknowledged, which says nothing of them.
    Refused {
        /// Which.
        number: u32,
        /// Whether it was for lack of room for what is only carried: then nothing more of that
        /// either, but what is urgent.
        full: bool,
        /// The logs.
        logs: BTreeSet<LogId>,
    },
}

/// What is held of a log, in few bytes: ids and hashes shortened under the session's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldLog {
    /// The log.
    pub log: ShortId,
    /// The newest of its spans, as in a summary.
    pub spans: Vec<ShortSpan>,
}

/// See [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShortSpan {
    /// First seq.
    pub from: u64,
    /// Last seq, inclusive.
    pub to: u64,
    /// Hash of the header of `to`.
    pub end: ShortId,
}

/// Consecutive envelopes of one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The log.
    pub log: LogId,
    /// Seq of the first.
    pub first: u64,
    /// Hash of the header before the first; those of the others follow.
    pub previous: Hash,
    /// The envelopes.
    pub envelopes: Vec<Wire>,
}

impl Frame {
    /// The frame with its length in front.
    #[must_use]
    pub fn to_pipe(&self) -> Vec<u8> {
        let body = codec::encode(self);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        [length.to_le_bytes().as_slice(), &body].concat()
    }

    /// Reads a frame, without its length.
    ///
    /// # Errors
    /// If the bytes are not exactly one frame, or exceed a limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(DecodeError::Limit("frame bytes"));
        }
        let frame: Self = codec::decode(bytes)?;
        let limit = match &frame {
            Self::Summary { statements, logs, .. } => {
                let entries = statements.len() + logs.len() > SUMMARY_ENTRIES_PER_FRAME;
                (entries || logs.iter().any(|(_, spans)| spans.len() > RANGES_MAX))
                    .then_some("summary entries")
            }
            Self::Refused { logs, .. } => {
                (logs.is_empty() || logs.len() > BATCH_ENVELOPES_MAX).then_some("logs refused")
            }
            Self::WantChain { known } => (known.len() > CHAIN_MAX).then_some("chain"),
            Self::Symbols(symbols) => (symbols.len() > SYMBOLS_MAX).then_some("symbols"),
            Self::Differ { logs, wanted, .. } => {
                let spans: usize = logs.iter().map(|log| 1 + log.spans.len()).sum();
                let long = logs.iter().any(|log| log.spans.len() > RANGES_MAX);
                (spans + wanted.len() > SUMMARY_ENTRIES_PER_FRAME || long)
                    .then_some("entries of a difference")
            }
            Self::Batch { statements, runs, .. } => {
                let envelopes: usize = runs.iter().map(|run| run.envelopes.len()).sum();
                let empty = runs.iter().any(|run| run.envelopes.is_empty());
                let unfit = |wire: &Wire| match &wire.content {
                    Content::Sealed(payload) => payload.len() > PAYLOAD_BYTES_MAX,
                    Content::Erased { bytes, .. } => *bytes as usize > PAYLOAD_BYTES_MAX,
                };
                if runs.iter().flat_map(|run| &run.envelopes).any(unfit) {
                    return Err(DecodeError::Limit("payload bytes"));
                }
                (statements.len() > BATCH_STATEMENTS_MAX
                    || envelopes > BATCH_ENVELOPES_MAX
                    || empty)
                    .then_some("batch entries")
            }
            Self::Hello(_)
            | Self::Chain(_)
            | Self::Now { .. }
            | Self::WantSymbols { .. }
            | Self::Totals { .. }
            | Self::Ack { .. }
            | Self::End { .. }
            | Self::Revoked(_)
            | Self::Same => None,
        };
        limit.map_or(Ok(frame), |what| Err(DecodeError::Limit(what)))
    }

    /// Its name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::WantChain { .. } => "want-chain",
            Self::Chain(_) => "chain",
            Self::Now { .. } => "now",
            Self::Summary { .. } => "summary",
            Self::Symbols(_) => "symbols",
            Self::WantSymbols { .. } => "want-symbols",
            Self::Differ { .. } => "differ",
            Self::Totals { .. } => "totals",
            Self::Batch { .. } => "batch",
            Self::Ack { .. } => "ack",
            Self::End { .. } => "end",
            Self::Revoked(_) => "revoked",
            Self::Same => "same",
            Self::Refused { .. } => "refused",
        }
    }
}

/// Takes the first whole frame off `buffer`, if one is there; the result is its bytes.
///
/// # Errors
/// If its announced length exceeds the limit.
pub fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut queue = VecDeque::from(core::mem::take(buffer));
    let taken = take_frame_within(&mut queue, FRAME_BYTES_MAX);
    *buffer = queue.into();
    taken
}

/// The same, for a frame of at most `bytes_max` bytes. What is behind it is not moved: many small
/// frames may wait.
///
/// # Errors
/// If its announced length exceeds that.
pub fn take_frame_within(
    buffer: &mut VecDeque<u8>,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut length = [0; LENGTH_BYTES];
    if buffer.len() < LENGTH_BYTES {
        return Ok(None);
    }
    length.iter_mut().zip(&*buffer).for_each(|(to, from)| *to = *from);
    let length = u32::from_le_bytes(length) as usize;
    if length > bytes_max {
        return Err(DecodeError::Limit("frame bytes"));
    }
    if buffer.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    buffer.drain(..LENGTH_BYTES);
    let (front, back) = buffer.as_slices();
    // As a whole: taken out byte by byte it costs as much as it does to decode it.
    let frame = match front.get(..length) {
        Some(frame) => frame.to_vec(),
        None => [front, back.get(..length - front.len()).unwrap_or_default()].concat(),
    };
    buffer.drain(..length);
    Ok(Some(frame))
}

/// What both sides say first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Highest version the sender speaks.
    pub version: u8,
    /// The sender's certificate.
    pub certificate: CertId,
    /// Digest of all it holds.
    pub digest: [u8; 16],
    /// How many statements and logs that is.
    pub count: u64,
    /// How much the sender still takes of what it does not keep, urgent envelopes apart: whole
    /// units of [`crate::limits::ROOM_UNIT_BYTES`].
    pub room: u32,
    /// Whether the sender has something to say that is not in the digest yet, such as what it has
    /// written and not numbered: equal digests do not end the contact then.
    pub more: bool,
}

/// Which channel a hello is for, and from which end: nobody can replay it elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Hash over both authenticated ends of the pipe.
    pub binding: [u8; 32],
    /// Whether the sender opened it.
    pub dialer: bool,
}

impl Channel {
    fn context(&self) -> Vec<u8> {
        [b"huza hello 1\0".as_slice(), &self.binding, &[u8::from(self.dialer)]].concat()
    }

    /// The same channel from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { dialer: !self.dialer, ..self }
    }

    /// Seals a hello: member key over (hello, signature); the signature covers context and hello.
    #[must_use]
    pub fn seal_hello(
        &self,
        hello: &Hello,
        key: &SigningKey,
        member: &SymmetricKey,
        entropy: [u8; 32],
    ) -> Bytes {
        let signature = key.sign(Purpose::Hello, &self.signable(hello));
        Bytes(member.seal(&self.context(), &codec::encode(&(hello, signature)), entropy))
    }

    /// Opens a received hello. The signature is still to be checked, with [`Channel::proof`].
    #[must_use]
    pub fn open_hello(&self, sealed: &Bytes, member: &SymmetricKey) -> Option<(Hello, Signature)> {
        codec::decode(&member.open(&self.context(), &sealed.0).ok()?).ok()
    }

    /// The signature by which the sender proves that it holds its certificate's key.
    #[must_use]
    pub fn proof(&self, hello: &Hello, key: DeviceKey, signature: Signature) -> Signed {
        Signed { key, purpose: Purpose::Hello, bytes: self.signable(hello), signature }
    }

    fn signable(&self, hello: &Hello) -> Vec<u8> {
        [self.context(), codec::encode(hello)].concat()
    }

    /// Seals the sender's chain.
    #[must_use]
    pub fn seal_chain(&self, chain: &[Vec<u8>], member: &SymmetricKey, entropy: [u8; 32]) -> Bytes {
        let chain: Vec<Bytes> = chain.iter().cloned().map(Bytes).collect();
        Bytes(member.seal(&self.context(), &codec::encode(&chain), entropy))
    }

    /// Opens a received chain.
    #[must_use]
    pub fn open_chain(&self, sealed: &Bytes, member: &SymmetricKey) -> Option<Vec<Bytes>> {
        let chain: Vec<Bytes> =
            codec::decode(&member.open(&self.context(), &sealed.0).ok()?).ok()?;
        (chain.len() <= CHAIN_MAX).then_some(chain)
    }

    /// Seals the grounds on which the peer is shut out.
    #[must_use]
    pub fn seal_grounds(
        &self,
        grounds: &[Vec<u8>],
        member: &SymmetricKey,
        entropy: [u8; 32],
    ) -> Bytes {
        let grounds: Vec<Bytes> = grounds.iter().take(GROUNDS_MAX).cloned().map(Bytes).collect();
        Bytes(member.seal(&self.grounds_context(), &codec::encode(&grounds), entropy))
    }

    /// Opens received grounds.
    #[must_use]
    pub fn open_grounds(&self, sealed: &Bytes, member: &SymmetricKey) -> Option<Vec<Bytes>> {
        let plain = member.open(&self.grounds_context(), &sealed.0).ok()?;
        let grounds: Vec<Bytes> = codec::decode(&plain).ok()?;
        (grounds.len() <= GROUNDS_MAX).then_some(grounds)
    }

    fn grounds_context(&self) -> Vec<u8> {
        [b"huza grounds 1\0".as_slice(), &self.context()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_off_a_pipe_whole_whatever_the_chunks() {
        let frames = [
            Frame::WantChain { known: vec![] },
            Frame::Ack { number: 7 },
            Frame::End { digest: [1; 16], all: [2; 16] },
        ];
        let pipe: Vec<u8> = frames.iter().flat_map(Frame::to_pipe).collect();
        for chunk in 1..pipe.len() {
            let mut buffer = Vec::new();
            let mut read = Vec::new();
            for bytes in pipe.chunks(chunk) {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = take_frame(&mut buffer).unwrap() {
                    read.push(Frame::from_bytes(&frame).unwrap());
                }
            }
            assert_eq!(read, frames);
        }
    }

    #[test]
    fn an_oversize_frame_is_refused_before_it_is_read() {
        let mut buffer = u32::MAX.to_le_bytes().to_vec();
        assert_eq!(take_frame(&mut buffer), Err(DecodeError::Limit("frame bytes")));
    }

    #[test]
    fn a_hello_is_good_for_one_channel_and_one_end() {
        let (key, member) = (SigningKey::from_seed([1; 32]), SymmetricKey::from_bytes([2; 32]));
        let channel = Channel { binding: [3; 32], dialer: true };
        let hello = Hello {
            version: 1,
            certificate: CertId([4; 16]),
            digest: [5; 16],
            count: 6,
            room: 7,
            more: true,
        };
        let sealed = channel.seal_hello(&hello, &key, &member, [6; 32]);
        let (read, signature) = channel.open_hello(&sealed, &member).unwrap();
        assert_eq!(read, hello);
        assert!(channel.proof(&hello, key.public(), signature).verify());
        assert!(channel.reversed().open_hello(&sealed, &member).is_none());
        let elsewhere = Channel { binding: [9; 32], ..channel };
        assert!(elsewhere.open_hello(&sealed, &member).is_none());
        assert!(!elsewhere.proof(&hello, key.public(), signature).verify());
        assert!(channel.open_hello(&sealed, &SymmetricKey::from_bytes([7; 32])).is_none());
    }
}
