//! A pipe between two ends: ordered bytes with latency and rate, delivered in drawn chunks, that
//! may be cut or fall silent at any byte. A dirty pipe also loses, corrupts, repeats and reorders
//! chunks: that is what lies beneath an authenticated channel, and what a hostile peer can do anyway.

use std::collections::VecDeque;

use crate::draw::Draw;
use crate::host::HostId;

/// Who is at an end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A host, in one of its runs.
    Host(HostId, u32),
    /// A forged peer.
    Forger(u32),
}

/// An end of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Opened it.
    Dialer,
    /// Was dialed.
    Listener,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Dialer, Self::Listener];

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Listener,
            Self::Listener => Self::Dialer,
        }
    }
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parcel {
    /// Bytes.
    Bytes(Vec<u8>),
    /// The other end is closed.
    End,
}

/// What arrives at one end.
#[derive(Debug, Default)]
struct Lane {
    parcels: VecDeque<Parcel>,
    /// When the last of them arrives.
    clear_at: u64,
    /// The first bytes that were put in, for forged peers that repeat what they heard.
    spoken: Vec<u8>,
}

/// One end as its owner knows it.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) who: Who,
    pub(crate) open: bool,
    lane: Lane,
}

impl End {
    fn new(who: Who) -> Self {
        Self { who, open: true, lane: Lane::default() }
    }
}

/// What a pipe is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    pub(crate) latency_ms: u64,
    pub(crate) bytes_per_ms: u64,
    /// Bytes, over both directions, after which it is cut.
    pub(crate) cut_after: Option<u64>,
    /// Bytes after which it carries nothing more, and tells nobody.
    pub(crate) stall_after: Option<u64>,
    pub(crate) dirt: Dirt,
}

/// Chunks in 1000 to which something happens on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dirt {
    pub(crate) lost: u64,
    pub(crate) corrupted: u64,
    pub(crate) repeated: u64,
    /// Swapped with the one before.
    pub(crate) swapped: u64,
}

impl Dirt {
    /// Whether anything may happen to a chunk.
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// A pipe.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) binding: [u8; 32],
    pub(crate) quality: Quality,
    dialer: End,
    listener: End,
    carried: u64,
}

/// What came of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Give this to the end.
    Parcel(Parcel),
    /// Give this to the end, then the pipe is cut.
    LastBytes(Vec<u8>),
    /// Nothing comes of it.
    Nothing,
}

/// Bytes of each direction that are remembered. // guess: a whole small session
const SPOKEN_BYTES_MAX: usize = 65_536;

impl Pipe {
    pub(crate) fn new((dialer, listener): (Who, Who), binding: [u8; 32], quality: Quality) -> Self {
        let (dialer, listener) = (End::new(dialer), End::new(listener));
        Self { binding, quality, dialer, listener, carried: 0 }
    }

    pub(crate) const fn end(&self, side: Side) -> &End {
        match side {
            Side::Dialer => &self.dialer,
            Side::Listener => &self.listener,
        }
    }

    pub(crate) const fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialer => &mut self.dialer,
            Side::Listener => &mut self.listener,
        }
    }

    /// The side at which this host is, if it is at one.
    pub(crate) fn side_of(&self, host: HostId) -> Option<Side> {
        let at = |side: &Side| matches!(self.end(*side).who, Who::Host(id, _) if id == host);
        Side::BOTH.into_iter().find(at)
    }

    /// Whether an end is open.
    pub(crate) const fn is_open(&self) -> bool {
        self.dialer.open || self.listener.open
    }

    /// Whether one end is a forged peer.
    pub(crate) const fn has_forger(&self) -> bool {
        matches!(self.dialer.who, Who::Forger(_)) || matches!(self.listener.who, Who::Forger(_))
    }

    /// Puts bytes in at `from`. The results are the times at which parcels arrive at the other
    /// end, one for each; [`Pipe::arrive`] is to be called at each.
    pub(crate) fn send(&mut self, from: Side, bytes: &[u8], now: u64, draw: &mut Draw) -> Vec<u64> {
        let quality = self.quality;
        let lane = &mut self.end_mut(from.other()).lane;
        let room = SPOKEN_BYTES_MAX.saturating_sub(lane.spoken.len());
        lane.spoken.extend(bytes.iter().take(room));
        let mut times = Vec::new();
        for chunk in chunks(bytes, draw) {
            let carry = chunk.len() as u64 / quality.bytes_per_ms.max(1);
            lane.clear_at = lane.clear_at.max(now + quality.latency_ms) + carry;
            times.push(lane.clear_at);
            lane.put(chunk.to_vec(), quality.dirt, draw, &mut times);
        }
        times
    }

    /// Tells the other end that `from` is closed, behind all that was sent. The result is when
    /// that arrives.
    pub(crate) fn send_end(&mut self, from: Side, now: u64, delay: u64) -> u64 {
        let latency = self.quality.latency_ms;
        let lane = &mut self.end_mut(from.other()).lane;
        lane.clear_at = lane.clear_at.max(now + latency + delay);
        lane.parcels.push_back(Parcel::End);
        lane.clear_at
    }

    /// Takes what arrives next at `side`.
    pub(crate) fn arrive(&mut self, side: Side) -> Arrival {
        let Some(parcel) = self.end_mut(side).lane.parcels.pop_front() else {
            return Arrival::Nothing;
        };
        let mut bytes = match parcel {
            Parcel::End => return Arrival::Parcel(Parcel::End),
            Parcel::Bytes(bytes) => bytes,
        };
        if self.quality.stall_after.is_some_and(|limit| self.carried >= limit) {
            return Arrival::Nothing;
        }
        let left = |limit: Option<u64>| {
            limit.map_or(usize::MAX, |limit| {
                usize::try_from(limit.saturating_sub(self.carried)).unwrap_or(usize::MAX)
            })
        };
        let (until_cut, until_stall) =
            (left(self.quality.cut_after), left(self.quality.stall_after));
        let cut = bytes.len() >= until_cut;
        bytes.truncate(until_cut.min(until_stall));
        self.carried += bytes.len() as u64;
        if cut { Arrival::LastBytes(bytes) } else { Arrival::Parcel(Parcel::Bytes(bytes)) }
    }

    /// Drops all that is on its way.
    pub(crate) fn clear(&mut self) {
        self.dialer.lane.parcels.clear();
        self.listener.lane.parcels.clear();
    }

    /// What was said to `side`, as far as it is remembered.
    pub(crate) fn spoken_to(&self, side: Side) -> &[u8] {
        &self.end(side).lane.spoken
    }
}

impl Lane {
    fn put(&mut self, mut chunk: Vec<u8>, dirt: Dirt, draw: &mut Draw, times: &mut Vec<u64>) {
        // Only where something can be lost: a draw more would change what others meet.
        if dirt.lost > 0 && draw.chance(dirt.lost) {
            chunk.clear();
        }
        if draw.chance(dirt.corrupted) {
            let at = usize::try_from(draw.below(chunk.len() as u64)).unwrap_or_default();
            if let Some(byte) = chunk.get_mut(at) {
                *byte ^= 1 << draw.below(8);
            }
        }
        if draw.chance(dirt.repeated) {
            self.parcels.push_back(Parcel::Bytes(chunk.clone()));
            times.push(self.clear_at);
        }
        let swap = draw.chance(dirt.swapped);
        match self.parcels.pop_back() {
            Some(Parcel::Bytes(before)) if swap => {
                self.parcels.extend([Parcel::Bytes(chunk), Parcel::Bytes(before)]);
            }
            before => self.parcels.extend(before.into_iter().chain([Parcel::Bytes(chunk)])),
        }
    }
}

/// Cuts bytes into a few chunks at drawn places; sometimes the first bytes come one by one.
fn chunks<'a>(bytes: &'a [u8], draw: &mut Draw) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut chunks = Vec::new();
    let pieces = match draw.below(8) {
        0 => 6,
        1 | 2 => draw.between(1, 3),
        _ => 0,
    };
    for _ in 0..pieces {
        let longest = if pieces == 6 { 2 } else { rest.len() as u64 };
        let at = usize::try_from(draw.between(1, longest.max(1))).unwrap_or(1);
        let Some((chunk, behind)) = rest.split_at_checked(at) else { break };
        chunks.push(chunk);
        rest = behind;
    }
    if !rest.is_empty() {
        chunks.push(rest);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Quality = Quality {
        latency_ms: 5,
        bytes_per_ms: 10,
        cut_after: None,
        stall_after: None,
        dirt: Dirt { lost: 0, corrupted: 0, repeated: 0, swapped: 0 },
    };

    fn pipe(quality: Quality) -> Pipe {
        Pipe::new((Who::Forger(1), Who::Forger(2)), [0; 32], quality)
    }

    /// Sends ten times, and returns what arrives, and whether the pipe was cut.
    fn through(quality: Quality, seed: u64) -> (Vec<u8>, Vec<u8>, bool) {
        let (mut pipe, mut draw) = (pipe(quality), Draw::new(seed, "link"));
        let (mut sent, mut came, mut cut) = (Vec::new(), Vec::new(), false);
        let mut last = 0;
        for now in 0..10 {
            let bytes = draw.blob(40);
            sent.extend(&bytes);
            let times = pipe.send(Side::Dialer, &bytes, now, &mut draw);
            for at in times {
                assert!(at >= last && at >= now + quality.latency_ms);
                last = at;
                match pipe.arrive(Side::Listener) {
                    Arrival::Parcel(Parcel::Bytes(bytes)) => came.extend(bytes),
                    Arrival::LastBytes(bytes) => {
                        came.extend(bytes);
                        cut = true;
                    }
                    other => assert_eq!(other, Arrival::Nothing),
                }
            }
            if cut {
                break;
            }
        }
        (sent, came, cut)
    }

    #[test]
    fn a_clean_pipe_carries_all_in_order() {
        for seed in 0..50 {
            let (sent, came, cut) = through(CLEAN, seed);
            assert_eq!(sent, came);
            assert!(!cut);
        }
    }

    #[test]
    fn a_pipe_is_cut_after_exactly_the_drawn_byte() {
        for limit in 1..200 {
            let quality = Quality { cut_after: Some(limit), ..CLEAN };
            let (sent, came, cut) = through(quality, limit);
            assert!(cut);
            assert_eq!(came.len() as u64, limit);
            assert!(sent.starts_with(&came));
        }
    }

    #[test]
    fn a_stalled_pipe_is_silent_and_open() {
        let quality = Quality { stall_after: Some(77), ..CLEAN };
        let (sent, came, cut) = through(quality, 3);
        assert!(!cut);
        assert_eq!(came.len(), 77);
        assert!(sent.starts_with(&came));
    }

    #[test]
    fn a_dirty_pipe_changes_something() {
        let dirts: [fn(&mut Dirt) -> &mut u64; 4] = [
            |dirt| &mut dirt.lost,
            |dirt| &mut dirt.corrupted,
            |dirt| &mut dirt.repeated,
            |dirt| &mut dirt.swapped,
        ];
        for of in dirts {
            let mut dirt = Dirt::default();
            *of(&mut dirt) = 300;
            let dirty = (0..20).filter(|seed| {
                let (sent, came, _) = through(Quality { dirt, ..CLEAN }, *seed);
                sent != came
            });
            assert!(dirty.count() > 10, "{dirt:?}");
        }
    }

    #[test]
    fn the_end_comes_behind_all_bytes() {
        let (mut pipe, mut draw) = (pipe(CLEAN), Draw::new(1, "end"));
        let times = pipe.send(Side::Listener, b"hello", 0, &mut draw);
        let at = pipe.send_end(Side::Listener, 0, 0);
        assert!(times.iter().all(|time| *time <= at));
        for _ in &times {
            assert!(matches!(pipe.arrive(Side::Dialer), Arrival::Parcel(Parcel::Bytes(_))));
        }
        assert_eq!(pipe.arrive(Side::Dialer), Arrival::Parcel(Parcel::End));
    }
}
