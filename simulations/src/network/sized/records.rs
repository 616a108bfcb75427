//! What was written: all that the run knows of single records.

use crate::network::plan::RecordId;

/// Not yet.
const NEVER: u32 = u32::MAX;

/// A record that travels in its log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routine {
    /// Its number among all records of its author.
    number: u32,
    /// The statement of its hub that lets others let go of it.
    pub(super) witnessed: u32,
    /// Whether a hub has given it on.
    pub(super) delivered: bool,
}

/// A record that overtakes its log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Urgent {
    /// When it was written.
    pub(super) at_ms: u64,
    pub(super) phone: u32,
    number: u32,
    pub(super) bytes: u64,
    /// The statement of its hub that lets others let go of it.
    pub(super) witnessed: u32,
    /// Whether a hub has given it on.
    pub(super) delivered: bool,
}

impl Urgent {
    pub(super) const fn id(&self) -> RecordId {
        RecordId { phone: self.phone as usize, number: self.number as usize }
    }
}

/// The log of a phone.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    /// Of all records of the phone, also those that overtake it.
    written: u32,
    pub(super) records: Vec<Routine>,
    /// Bytes of all records before each place, and of all.
    through: Vec<u64>,
    /// The same sum of their prints.
    prints: Vec<u64>,
    /// Places before which something urgent was written.
    gaps: Vec<u32>,
}

impl Log {
    /// How many records there are in it.
    pub(super) fn len(&self) -> u32 {
        small(self.records.len())
    }

    pub(super) fn append(&mut self, phone: u32, bytes: u64) {
        let record = self.len();
        if self.through.is_empty() {
            self.through.push(0);
            self.prints.push(0);
        }
        let last = self.through(record) + bytes;
        self.through.push(last);
        let print = mix(u64::from(phone) << 32 | u64::from(record));
        let last = self.print(record).wrapping_add(print);
        self.prints.push(last);
        let number = self.number();
        self.records.push(Routine { number, witnessed: NEVER, delivered: false });
    }

    /// The same for one that overtakes it.
    pub(super) fn urgent(&mut self, phone: u32, at_ms: u64, bytes: u64) -> Urgent {
        let (number, place) = (self.number(), self.len());
        if self.gaps.last() != Some(&place) {
            self.gaps.push(place);
        }
        Urgent { at_ms, phone, number, bytes, witnessed: NEVER, delivered: false }
    }

    const fn number(&mut self) -> u32 {
        self.written += 1;
        self.written - 1
    }

    fn through(&self, record: u32) -> u64 {
        self.through.get(record as usize).copied().unwrap_or_default()
    }

    fn print(&self, record: u32) -> u64 {
        self.prints.get(record as usize).copied().unwrap_or_default()
    }

    /// The first of the records before a place with nothing urgent between them.
    pub(super) fn begins(&self, before: u32) -> u32 {
        let behind = self.gaps.partition_point(|place| *place < before);
        behind.checked_sub(1).and_then(|last| self.gaps.get(last)).copied().unwrap_or_default()
    }

    /// Bytes of the records from one to before another.
    pub(super) fn bytes(&self, from: u32, to: u32) -> u64 {
        self.through(to) - self.through(from)
    }

    /// The sum of their prints.
    pub(super) fn prints(&self, from: u32, to: u32) -> u64 {
        self.print(to).wrapping_sub(self.print(from))
    }

    /// Behind the last record, from one on, that is over within so many bytes.
    pub(super) fn end_within(&self, from: u32, bytes: u64) -> u32 {
        let most = self.through(from) + bytes;
        small(self.through.partition_point(|through| *through <= most).saturating_sub(1)).max(from)
    }

    pub(super) fn id(&self, phone: u32, record: u32) -> RecordId {
        let number = self.records.get(record as usize).map_or(NEVER, |one| one.number);
        RecordId { phone: phone as usize, number: number as usize }
    }
}

/// A number in memory as a small one, which it always is.
pub(super) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Spreads a number over all bits (splitmix64, Steele, Lea and Flood, 2014).
pub(super) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
