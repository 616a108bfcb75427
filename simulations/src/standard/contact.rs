//! What one contact costs two devices that hold the standard workload.

use core::cmp::Reverse;
use std::collections::BTreeSet;

use huza_crdt::node::{Input, Now, PipeId};
use huza_crdt::session::frame::{Frame, LENGTH_BYTES, take_frame};
use huza_crdt::trust::Role;

use super::{Phones, Workload};
use crate::draw::Draw;
use crate::field::Device;

/// Most times that bytes pass the link in one contact. // guess: far above what is measured
const TRIPS_MAX: u32 = 100_000;

/// What of a workload only the first of the two devices holds.
#[derive(Debug, Clone, Copy)]
pub struct News {
    /// How many changes; visits, as far as there are so many.
    pub changes: u64,
    /// Whether they are the last of all logs; else of as few logs as possible.
    pub scattered: bool,
}

impl News {
    /// The indices of these changes.
    fn indices(self, workload: Workload) -> BTreeSet<u64> {
        let mut visits: Vec<u64> = (workload.records..workload.changes).collect();
        if self.scattered {
            visits.reverse();
        } else {
            visits.sort_by_key(|index| (workload.place(*index).0, Reverse(*index)));
        }
        let new = usize::try_from(self.changes).unwrap_or(usize::MAX);
        visits.into_iter().take(new).collect()
    }
}

/// What a contact cost. Both directions begin with that of the device that dialled, which holds the
/// news.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of frames.
    pub bytes: [u64; 2],
    /// Of these, of batches: what was exchanged, with its frame.
    pub batch_bytes: [u64; 2],
    /// Times that bytes passed the link, one way or both at once: a round trip is two of them.
    pub trips: u32,
    /// The same, before the first batch left.
    pub trips_before: Option<u32>,
    /// Statements and envelopes in batches: each is signed.
    pub signatures: usize,
}

impl Cost {
    /// Bytes that one side said at once.
    fn count(&mut self, way: usize, mut said: Vec<u8>) {
        let all = said.len() as u64;
        let mut batches = 0;
        while let Ok(Some(bytes)) = take_frame(&mut said) {
            if let Ok(Frame::Batch { statements, runs, .. }) = Frame::from_bytes(&bytes) {
                let envelopes: usize = runs.iter().map(|run| run.envelopes.len()).sum();
                self.signatures += statements.len() + envelopes;
                batches += (LENGTH_BYTES + bytes.len()) as u64;
                self.trips_before.get_or_insert(self.trips);
            }
        }
        for (sum, more) in [(&mut self.bytes, all), (&mut self.batch_bytes, batches)] {
            if let Some(sum) = sum.get_mut(way) {
                *sum += more;
            }
        }
    }
}

/// Two carriers that hold the workload without the news, and have never met: neither knows the
/// other's certificate.
#[derive(Debug)]
pub struct Pair {
    first: Device,
    second: Device,
    /// Holds the news.
    courier: Device,
    meetings: Meetings,
}

impl Pair {
    /// Has the phones write the workload, and gives it to the two. `told` hears after each village
    /// how many of how many have written. `alone`: see [`Phones::new`].
    #[must_use]
    pub fn new(
        workload: Workload,
        alone: bool,
        news: News,
        mut told: impl FnMut(u64, u64),
    ) -> Option<Self> {
        let new = news.indices(workload);
        let mut phones = Phones::new(workload, alone)?;
        let mut relay = || phones.outside(Role::Relay);
        // Each of the two hears everything from another one, who does not know of its peer.
        let (mut source, mut other_source, mut courier) = (relay()?, relay()?, relay()?);
        let mut meetings =
            Meetings { draw: Draw::new(workload.seed, "meetings"), now: phones.now(), pipes: 0 };
        meetings.meet(&mut source, &mut courier);
        for village in 0..workload.villages() {
            let here = phones.begin(village)?;
            phones.visits(|index| !new.contains(&index))?;
            for phone in 0..here {
                meetings.meet(phones.phone(phone)?, &mut source);
            }
            phones.visits(|index| new.contains(&index))?;
            for phone in 0..here {
                meetings.meet(phones.phone(phone)?, &mut courier);
            }
            told(village + 1, workload.villages());
        }
        meetings.meet(&mut other_source, &mut source);
        let mut relay = || phones.outside(Role::Relay);
        let (mut first, mut second) = (relay()?, relay()?);
        meetings.meet(&mut first, &mut source);
        meetings.meet(&mut second, &mut other_source);
        Some(Self { first, second, courier, meetings })
    }

    /// The first of them gets the news.
    pub fn news(&mut self) {
        self.meetings.meet(&mut self.courier, &mut self.first);
    }

    /// They meet, and exchange all that they have to say.
    pub fn contact(&mut self) -> Cost {
        self.meetings.meet(&mut self.first, &mut self.second)
    }
}

/// Meetings, one after the other.
#[derive(Debug)]
struct Meetings {
    draw: Draw,
    now: Now,
    pipes: u64,
}

impl Meetings {
    /// The first dials the other.
    fn meet(&mut self, one: &mut Device, other: &mut Device) -> Cost {
        self.pipes += 1;
        let (pipe, binding, now) = (PipeId(self.pipes), self.draw.bytes(), self.now);
        one.handle(now, Input::PipeOpened { pipe, dialer: true, binding });
        other.handle(now, Input::PipeOpened { pipe, dialer: false, binding });
        let mut cost = Cost::default();
        while cost.trips < TRIPS_MAX {
            let said = [&mut *one, &mut *other].map(|device| device.take_sent(pipe).concat());
            if said.iter().all(Vec::is_empty) {
                break;
            }
            for (way, said) in said.iter().enumerate() {
                cost.count(way, said.clone());
            }
            cost.trips += 1;
            let [from_one, from_other] = said;
            for (to, bytes) in [(&mut *other, from_one), (&mut *one, from_other)] {
                if !bytes.is_empty() {
                    to.handle(now, Input::Received { pipe, bytes });
                }
            }
        }
        one.handle(now, Input::PipeClosed { pipe });
        other.handle(now, Input::PipeClosed { pipe });
        cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Workload = Workload { seed: 5, records: 130, changes: 520, logs: 13 };

    /// The first meeting, with the news, and again.
    fn contacts(changes: u64, scattered: bool) -> [Cost; 3] {
        let mut pair = Pair::new(SMALL, false, News { changes, scattered }, |_, _| ()).unwrap();
        let acquainted = pair.contact();
        pair.news();
        [acquainted, pair.contact(), pair.contact()]
    }

    #[test]
    fn news_go_once_and_then_there_is_nothing_to_say() {
        for scattered in [false, true] {
            let [_, news, nothing] = contacts(20, scattered);
            assert!(news.batch_bytes[0] > 20 * 60 && news.batch_bytes[1] == 0, "{news:?}");
            assert!(news.trips_before <= Some(if scattered { 6 } else { 4 }), "{news:?}");
            assert_eq!((nothing.batch_bytes, nothing.trips), ([0, 0], 1), "{nothing:?}");
            assert!(nothing.bytes.iter().all(|bytes| *bytes <= 200), "{nothing:?}");
        }
    }

    /// Certificates are all that two who hold the same tell each other.
    #[test]
    fn strangers_become_acquainted_within_two_round_trips() {
        let [acquainted, nothing, _] = contacts(0, false);
        assert_eq!(nothing.trips, 1, "{nothing:?}");
        assert!(acquainted.trips <= 4, "{acquainted:?}");
        for (stranger, friend) in acquainted.bytes.iter().zip(nothing.bytes) {
            assert!(*stranger > friend && *stranger <= friend + 800, "{acquainted:?}");
        }
    }
}
