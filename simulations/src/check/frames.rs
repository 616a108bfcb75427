//! Reading along: the frames of a pipe, as the laws see them.

use huza_crdt::control::Statement;
use huza_crdt::envelope::{Header, Wire};
use huza_crdt::id::Hash;
use huza_crdt::session::frame::{Bytes, Frame, Run, take_frame};

use crate::audit::Place;

/// Puts bytes together to frames. After bytes that are none it reads no further.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: Vec<u8>,
    broken: bool,
}

impl FrameReader {
    /// Adds bytes; the results are the frames that are whole now.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.broken {
            return frames;
        }
        self.buffer.extend_from_slice(bytes);
        loop {
            match take_frame(&mut self.buffer).map(|taken| taken.map(|f| Frame::from_bytes(&f))) {
                Ok(None) => return frames,
                Ok(Some(Ok(frame))) => frames.push(frame),
                Ok(Some(Err(_))) | Err(_) => {
                    self.broken = true;
                    return frames;
                }
            }
        }
    }
}

/// An envelope in a batch.
#[derive(Debug, Clone)]
pub(crate) struct HeardEnvelope {
    pub(crate) place: Place,
    pub(crate) hash: Hash,
    pub(crate) wire: Wire,
}

/// A batch, its places restored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) statements: Vec<Statement>,
    pub(crate) envelopes: Vec<HeardEnvelope>,
}

impl Heard {
    /// Reads a batch. What is no statement is left out.
    pub(crate) fn read(statements: &[Bytes], runs: &[Run]) -> Self {
        let statements =
            statements.iter().filter_map(|bytes| Statement::from_bytes(&bytes.0).ok()).collect();
        let mut envelopes = Vec::new();
        for run in runs {
            let mut previous = run.previous;
            for (wire, seq) in run.envelopes.iter().zip(run.first..) {
                let header: Header = wire.header(run.log, seq, previous);
                previous = header.hash();
                let place = (run.log, seq);
                let wire = wire.clone();
                envelopes.push(HeardEnvelope { place, hash: previous, wire });
            }
        }
        Self { statements, envelopes }
    }

    /// Its envelopes as they travel.
    pub(crate) fn wires(&self) -> impl Iterator<Item = &Wire> {
        self.envelopes.iter().map(|envelope| &envelope.wire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_whatever_the_chunks_until_one_is_broken() {
        let mut bytes = Frame::WantChain { known: Vec::new() }.to_pipe();
        bytes.extend(Frame::Ack { number: 3 }.to_pipe());
        let mut reader = FrameReader::default();
        let frames: Vec<Frame> = bytes.iter().flat_map(|byte| reader.push(&[*byte])).collect();
        assert_eq!(frames, [Frame::WantChain { known: Vec::new() }, Frame::Ack { number: 3 }]);
        assert!(reader.push(&[1, 0, 0, 0, 255]).is_empty());
        assert!(reader.push(&Frame::WantChain { known: Vec::new() }.to_pipe()).is_empty());
    }
}
