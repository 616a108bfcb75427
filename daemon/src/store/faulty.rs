//! A disk in memory that fails on command, for tests only.
//!
//! It keeps what is durable apart from what was only written, counts every operation, and can cut
//! the power at any of them. [`Disk::after_cut`] then gives a disk as it might look when power
//! returns: everything durable and some part of the rest. Also a disk that fills up and a sync that
//! fails. The rules are those of a page cache over sectors: a later write may survive without an
//! earlier one, a write may be torn at a sector, and a failed sync loses what it should have kept.

use std::{
    io,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{BackendError, StorageBackend};

/// Which faults a disk has in store. The default has none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Power goes at this write, set_len or sync, counted from 1; nothing works from then on.
    pub cut_at: Option<u64>,
    /// This sync, counted from 1 among syncs, fails and loses what was pending.
    pub sync_fails_at: Option<u64>,
    /// Bytes that the disk holds at most.
    pub capacity_bytes: Option<u64>,
    /// Bytes that may be written altogether before the disk is full: a file with holes fills up
    /// when it is written, not when it grows.
    pub written_bytes_max: Option<u64>,
}

/// Which of the pending writes survive a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// None of them.
    Nothing,
    /// All of them.
    Everything,
    /// The first so many; how many is drawn.
    Prefix,
    /// Each with probability one half.
    Subset,
    /// All but one drawn one.
    AllButOne,
}

impl Survival {
    /// Every way, for loops in tests.
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::Everything, Self::Prefix, Self::Subset, Self::AllButOne];
}

/// The disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    current: Vec<u8>,
    operations: u64,
    syncs: u64,
    written_bytes: u64,
    cut: bool,
    locked: bool,
}

#[derive(Debug, Clone)]
enum Pending {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Disk {
    /// An empty disk with `faults`.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self::holding(Vec::new(), faults)
    }

    /// A disk that durably holds `image`.
    #[must_use]
    pub fn holding(image: Vec<u8>, faults: Faults) -> Self {
        let state = State { faults, current: image.clone(), durable: image, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Changes the faults from here on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Writes, set_lens and syncs so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.state().written_bytes
    }

    /// Syncs so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// What is on the disk as running programs see it.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// A faultless disk as it might be after the cut: the durable content and those of the
    /// pending writes, cut into sectors of `sector_bytes`, that `survival` lets live. Same seed,
    /// same disk.
    #[must_use]
    pub fn after_cut(&self, survival: Survival, sector_bytes: usize, seed: u64) -> Self {
        let state = self.state();
        let units: Vec<Pending> =
            state.pending.iter().flat_map(|pending| pending.torn(sector_bytes.max(1))).collect();
        let count = units.len() as u64;
        let mut random = Random(seed);
        let drawn = random.below(count.saturating_add(u64::from(survival == Survival::Prefix)));
        let mut image = state.durable.clone();
        for (index, unit) in (0_u64..).zip(&units) {
            let lives = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Prefix => index < drawn,
                Survival::Subset => random.below(2) == 0,
                Survival::AllButOne => index != drawn,
            };
            if lives {
                unit.apply(&mut image);
            }
        }
        Self::holding(image, Faults::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn alive(&self) -> io::Result<()> {
        if self.cut { Err(io::Error::other("the power is cut")) } else { Ok(()) }
    }

    /// Counts one operation; true if the power goes during it.
    fn count(&mut self) -> io::Result<bool> {
        self.alive()?;
        self.operations += 1;
        self.cut = self.faults.cut_at == Some(self.operations);
        Ok(self.cut)
    }

    fn enqueue(&mut self, pending: Pending) -> io::Result<()> {
        let cut = self.count()?;
        if !cut {
            pending.apply(&mut self.current);
        }
        // What was under way when the power went may have reached the disk, in part.
        self.pending.push(pending);
        self.alive()
    }

    fn sync(&mut self) -> io::Result<()> {
        let cut = self.count()?;
        self.syncs += 1;
        if cut {
            return self.alive();
        }
        let pending = std::mem::take(&mut self.pending);
        if self.faults.sync_fails_at == Some(self.syncs) {
            return Err(io::Error::other("the sync failed"));
        }
        for one in &pending {
            one.apply(&mut self.durable);
        }
        Ok(())
    }

    fn check_room(&self, end: u64, written: u64) -> io::Result<()> {
        let over = |limit: Option<u64>, bytes: u64| limit.is_some_and(|limit| bytes > limit);
        let full = over(self.faults.capacity_bytes, end)
            || over(self.faults.written_bytes_max, self.written_bytes.saturating_add(written));
        if full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Pending {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => image.resize(*len, 0),
            Self::Write { offset, bytes } => {
                let end = offset.saturating_add(bytes.len());
                // The growth that made room for this write may not have survived.
                if image.len() < end {
                    image.resize(end, 0);
                }
                if let Some(place) = image.get_mut(*offset..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }

    /// The parts of it that survive or perish by themselves.
    fn torn(&self, sector_bytes: usize) -> Vec<Self> {
        let Self::Write { offset, bytes } = self else { return vec![self.clone()] };
        let mut parts = Vec::new();
        let (mut at, mut rest) = (*offset, bytes.as_slice());
        while !rest.is_empty() {
            let here = (sector_bytes - at % sector_bytes).min(rest.len());
            let (part, behind) = rest.split_at(here);
            parts.push(Self::Write { offset: at, bytes: part.to_vec() });
            (at, rest) = (at.saturating_add(here), behind);
        }
        parts
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        let state = self.state();
        state.alive()?;
        Ok(state.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        state.alive()?;
        let from = position(offset)?;
        let bytes = state.current.get(from..from.saturating_add(out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.check_room(len, 0)?;
        state.enqueue(Pending::SetLen(position(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let bytes = data.len() as u64;
        state.check_room(offset.saturating_add(bytes), bytes)?;
        state.written_bytes = state.written_bytes.saturating_add(bytes);
        state.enqueue(Pending::Write { offset: position(offset)?, bytes: data.to_vec() })
    }

    fn close(&self) -> io::Result<()> {
        self.state().locked = false;
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        whole(start, end)?;
        let mut state = self.state();
        Ok(!std::mem::replace(&mut state.locked, true))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        whole(start, end)?;
        self.state().locked = false;
        Ok(())
    }
}

/// Only the whole disk can be locked; redb then asks for that.
fn whole(start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
    let whole = matches!(start, Bound::Unbounded | Bound::Included(0)) && end == Bound::Unbounded;
    if whole { Ok(()) } else { Err(BackendError::Unsupported) }
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_beyond| io::ErrorKind::FileTooLarge.into())
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough to draw faults with.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, 0 if that is 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or_default()
    }
}
