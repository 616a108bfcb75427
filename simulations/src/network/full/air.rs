//! What is said between nodes on its way: a device takes part in one transfer at a time, and those
//! who want to talk to it, or to whom it wants to talk, take turns.

use std::collections::{BTreeMap, VecDeque};

use huza_crdt::node::PipeId;

/// Bytes that are on the air at once between two, at most. // guess: small beside what a second
/// carries
const PACKET_BYTES: usize = 4_096;

/// One direction of a pipe, by the place of the end that speaks.
pub(super) type Way = (PipeId, usize);

/// Everything that is under way. Times are in microseconds.
#[derive(Debug, Default)]
pub(super) struct Air {
    /// Ends of the open pipes, and bytes a second; none: all in no time, and no device is kept.
    lines: BTreeMap<PipeId, ([usize; 2], Option<u64>)>,
    /// What was said and is not on the air yet.
    waiting: BTreeMap<Way, VecDeque<Vec<u8>>>,
    /// Node -> of its ways those whose turn will come, in their order.
    turns: BTreeMap<usize, BTreeMap<u64, Way>>,
    /// Node -> the transfer in which it takes part.
    busy: BTreeMap<usize, Way>,
    /// On the air: when it has arrived, and a number that keeps its order.
    flying: BTreeMap<(u64, u64), (Way, Vec<u8>)>,
    number: u64,
}

impl Air {
    /// A pipe is open.
    pub(super) fn open(&mut self, pipe: PipeId, ends: [usize; 2], bytes_per_s: Option<u64>) {
        self.lines.insert(pipe, (ends, bytes_per_s));
    }

    /// When the next thing arrives.
    pub(super) fn next(&self) -> Option<u64> {
        self.flying.first_key_value().map(|((at, _), _)| *at)
    }

    /// Somebody says something.
    pub(super) fn say(&mut self, now: u64, way: Way, bytes: Vec<u8>) {
        let Some((ends, bytes_per_s)) = self.lines.get(&way.0).copied() else { return };
        if bytes_per_s.is_none() {
            return self.fly(now, way, bytes);
        }
        let on_air = self.busy.get(&ends[0]) == Some(&way);
        let waiting = self.waiting.entry(way).or_default();
        waiting.push_back(bytes);
        if waiting.len() == 1 && !on_air {
            self.queue(ends, way);
            self.go_on(now, ends);
        }
    }

    /// What arrives next.
    pub(super) fn take(&mut self) -> Option<(Way, Vec<u8>)> {
        let ((now, _), (way, bytes)) = self.flying.pop_first()?;
        if let Some((ends, Some(_))) = self.lines.get(&way.0).copied() {
            if self.waiting.contains_key(&way) {
                self.queue(ends, way);
            }
            self.free(now, ends);
        }
        Some((way, bytes))
    }

    /// A pipe is closed. The result is whether something had not arrived: it is lost.
    pub(super) fn close(&mut self, now: u64, pipe: PipeId) -> bool {
        let Some((ends, _)) = self.lines.remove(&pipe) else { return false };
        let before = self.waiting.len() + self.flying.len();
        self.waiting.retain(|(of, _), _| *of != pipe);
        self.flying.retain(|_, ((of, _), _)| *of != pipe);
        for node in ends {
            self.turns.entry(node).or_default().retain(|_, (of, _)| *of != pipe);
        }
        if self.busy.get(&ends[0]).is_some_and(|(of, _)| *of == pipe) {
            self.free(now, ends);
        }
        before > self.waiting.len() + self.flying.len()
    }

    fn queue(&mut self, ends: [usize; 2], way: Way) {
        self.number += 1;
        for node in ends {
            self.turns.entry(node).or_default().insert(self.number, way);
        }
    }

    /// Both may take part in another transfer.
    fn free(&mut self, now: u64, ends: [usize; 2]) {
        ends.iter().for_each(|node| _ = self.busy.remove(node));
        self.go_on(now, ends);
    }

    /// Begins the next transfers of these two: of all that could begin, what has waited longest.
    fn go_on(&mut self, now: u64, nodes: [usize; 2]) {
        let idle = |(_, way): &(&u64, &Way)| {
            let line = self.lines.get(&way.0);
            line.is_some_and(|(ends, _)| !ends.iter().any(|node| self.busy.contains_key(node)))
        };
        let turns = nodes.iter().filter_map(|node| self.turns.get(node)?.iter().find(idle));
        let next = turns.min().map(|(number, way)| (*number, *way));
        if let Some(turn) = next
            && self.transfer(now, turn).is_some()
        {
            self.go_on(now, nodes);
        }
    }

    /// Puts a packet on the air.
    fn transfer(&mut self, now: u64, (number, way): (u64, Way)) -> Option<()> {
        let (ends, bytes_per_s) = self.lines.get(&way.0).copied()?;
        for node in ends {
            self.turns.entry(node).or_default().remove(&number);
            self.busy.insert(node, way);
        }
        let waiting = self.waiting.get_mut(&way)?;
        let mut bytes = waiting.pop_front()?;
        if bytes.len() > PACKET_BYTES {
            waiting.push_front(bytes.split_off(PACKET_BYTES));
        }
        if waiting.is_empty() {
            self.waiting.remove(&way);
        }
        let lasts = (bytes.len() as u64 * 1_000_000).div_ceil(bytes_per_s?.max(1));
        self.fly(now + lasts, way, bytes);
        Some(())
    }

    fn fly(&mut self, until: u64, way: Way, bytes: Vec<u8>) {
        self.number += 1;
        self.flying.insert((until, self.number), (way, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Option<u64> = Some(4_096_000);

    fn air(lines: &[(u64, [usize; 2], Option<u64>)]) -> Air {
        let mut air = Air::default();
        for (pipe, ends, rate) in lines {
            air.open(PipeId(*pipe), *ends, *rate);
        }
        air
    }

    fn drain(air: &mut Air) -> Vec<(u64, u64, usize)> {
        let mut all = Vec::new();
        while let Some(at) = air.next() {
            let ((pipe, _), bytes) = air.take().unwrap();
            all.push((at, pipe.0, bytes.len()));
        }
        all
    }

    #[test]
    fn who_talks_to_one_device_takes_turns() {
        let mut air = air(&[(1, [0, 9], RATE), (2, [1, 9], RATE)]);
        air.say(0, (PipeId(1), 0), vec![0; 10_000]);
        air.say(0, (PipeId(2), 1), vec![0; 4_096]);
        let expected = [(1_000, 1, 4_096), (2_000, 2, 4_096), (3_000, 1, 4_096), (3_442, 1, 1_808)];
        assert_eq!(drain(&mut air), expected);
    }

    #[test]
    fn others_talk_at_the_same_time() {
        let mut air = air(&[(1, [0, 1], RATE), (2, [2, 3], RATE), (3, [1, 4], None)]);
        air.say(0, (PipeId(1), 0), vec![0; 4_096]);
        air.say(0, (PipeId(2), 0), vec![0; 4_096]);
        air.say(500, (PipeId(3), 1), vec![0; 4_096]);
        assert_eq!(drain(&mut air), [(500, 3, 4_096), (1_000, 1, 4_096), (1_000, 2, 4_096)]);
    }

    #[test]
    fn what_has_not_arrived_when_a_pipe_closes_is_lost_and_the_others_go_on() {
        let mut air = air(&[(1, [0, 9], RATE), (2, [1, 9], RATE)]);
        air.say(0, (PipeId(1), 0), vec![0; 10_000]);
        air.say(0, (PipeId(2), 0), vec![0; 4_096]);
        assert!(air.close(500, PipeId(1)));
        assert_eq!(drain(&mut air), [(1_500, 2, 4_096)]);
        assert!(!air.close(2_000, PipeId(2)));
    }
}
