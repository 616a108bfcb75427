//! What a run is like. Everything is drawn from the seed, so that runs differ in kind and not
//! only in detail: some have no crash and many cuts, some the reverse.

use core::fmt;

use huza_crdt::node::Carry;

use crate::draw::Draw;

/// A bug planted beneath a node or around it, to show that a law would find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Planted {
    /// The carrier's store answers that a batch is durable when it has only heard of it.
    AckBeforePersist,
    /// The reader's store keeps no change, and says nothing.
    ReaderForgets,
    /// The store deletes nothing that was filed.
    KeepsErased,
    /// The carrier's store removes an envelope that is kept for ever.
    RemovesEnvelope,
    /// The store puts batches for one file into the other.
    OtherStore,
    /// The store takes as long as it happens to take, whatever the seed says.
    Undetermined,
    /// The store does not find a change that it is asked for alone.
    LosesReads,
    /// A statement is gone from a disk some time after it was written.
    StatementRots,
    /// A filed change is gone from a disk some time after it was written.
    ChangeRots,
    /// Payloads are sealed under the first key that a village ever had.
    StaleKeys,
    /// A restored copy takes itself for the original.
    CopiedLife,
    /// A link corrupts bytes that were authenticated.
    SilentDirt,
    /// The shell serves whoever connects, without waiting for a certificate.
    ServeStrangers,
    /// The shell serves whom the node has turned away.
    ServesRevoked,
    /// The shell sends what a user wrote along with what the node sends.
    Leaks,
    /// The shell closes the reader's store before the node says so.
    LockAtOnce,
    /// The shell does not tell that a contact ended.
    SwallowEnds,
    /// The shell answers no command.
    SwallowReplies,
    /// The shell imports again what a user imported, with something else in its place.
    Overwrites,
    /// The shell shows a record less than the node told.
    ShowsLess,
    /// The shell shows more progress of a contact than the node told.
    TellsMore,
    /// The shell shows that every record is at the health centre.
    TellsStored,
    /// The shell shows nothing of what is quarantined.
    ForgetsQuarantine,
    /// The node is set to carry for a shorter time than the device's settings say.
    CarriesBriefly,
    /// The node is set to carry more than the device's settings say.
    CarriesMore,
    /// The gateway's shell says that the facility took what it was never given.
    FacilityForgets,
    /// The facility loses what it took.
    FacilityLoses,
    /// The node panics.
    Panics,
}

macro_rules! options {
    ($($(#[$meta:meta])* $name:ident: $type:ty,)*) => {
        /// What a run is like.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Options { $($(#[$meta])* pub $name: $type,)* }

        impl fmt::Display for Options {
            /// One line per option.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:<24}{:?}", stringify!($name), self.$name)?;)*
                Ok(())
            }
        }
    };
}

options! {
    /// From which all else is drawn.
    seed: u64,
    /// Health centres, each with a hub, workers and a gateway of its own.
    catchments: u64,
    /// Villages of each catchment.
    villages: u64,
    /// Workers' phones of each catchment.
    workers: u64,
    /// Phones that carry and read nothing, in the first catchment.
    relays: u64,
    /// Whether a real node of another programme is about, and one that never joined.
    outsiders: bool,
    /// Writes that users try in each catchment.
    writes: u64,
    /// How long the faults last.
    chaos_ms: u64,
    /// Meetings while they last.
    meetings: u64,
    /// Longest time two devices stay near each other.
    meeting_ms_max: u64,
    /// Longest one-way latency of a link.
    latency_ms_max: u64,
    /// Slowest link, in bytes per millisecond.
    rate_min: u64,
    /// Links in 1000 that are cut at a drawn byte.
    cut_per_mille: u64,
    /// Links in 1000 that stop carrying at a drawn byte and tell nobody.
    stall_per_mille: u64,
    /// Links in 1000 that corrupt, repeat and reorder chunks, all three alike.
    dirty_per_mille: u64,
    /// Links in 1000 that lose chunks.
    lossy_per_mille: u64,
    /// Links in 1000 that corrupt chunks.
    corrupting_per_mille: u64,
    /// Links in 1000 that repeat chunks.
    repeating_per_mille: u64,
    /// Links in 1000 that reorder chunks.
    reordering_per_mille: u64,
    /// Meetings in 1000 where both dial.
    double_dial_per_mille: u64,
    /// Longest time until a batch is durable.
    persist_ms_max: u64,
    /// Longest time from durable to told.
    told_ms_max: u64,
    /// Longest time of a load.
    load_ms_max: u64,
    /// Longest time of a job.
    work_ms_max: u64,
    /// Most batches that become durable at once.
    group_commit_max: u64,
    /// Crashes, each followed by a restart.
    crashes: u64,
    /// Failing writes: the store reports an error, the node stops, the device restarts.
    store_failures: u64,
    /// Disks that are full for a while: every write fails until there is space again.
    full_disks: u64,
    /// Jumps of a wall clock.
    clock_jumps: u64,
    /// Devices whose stores, both or one, are replaced by an earlier copy.
    restores: u64,
    /// Phones that are destroyed for good.
    destroyed: u64,
    /// Connections by forged peers.
    forgers: u64,
    /// Connections by members that lie: they acknowledge and keep nothing, claim what they lack, say
    /// again what is old, alter what they bring.
    liars: u64,
    /// Connections by devices of another version of the protocol, older or newer.
    versions: u64,
    /// Resources in 1000 that the facility refuses.
    refused_per_mille: u64,
    /// Authority devices of each catchment; without them nothing below happens but locks.
    authorities: u64,
    /// Phones that are reported lost or stolen.
    revocations: u64,
    /// Revoked phones that are enrolled again.
    reenrolments: u64,
    /// Villages or catchments whose keys are made anew.
    rotations: u64,
    /// Looks at what is quarantined, to admit or reject some of it.
    judgements: u64,
    /// Records that are erased.
    erasures: u64,
    /// Phones that join while the faults last.
    newcomers: u64,
    /// Readers that are locked, and unlocked later.
    locks: u64,
    /// Phones whose stores are replaced by an earlier copy that takes itself for the original.
    twins: u64,
    /// For how long an order to erase is held before it is carried out.
    erasure_delay_ms: u64,
    /// Bundles that are filled, carried about, damaged, and read once or twice.
    bundles: u64,
    /// Bytes that a device carries for health centres to which it does not belong.
    carry_bytes: u64,
    /// For how long, at most.
    carry_ms: u64,
    /// Whether the shell tells the node of the end of a pipe that the node itself closed.
    echo_close: bool,
    /// A bug to be found.
    planted: Option<Planted>,
    /// Whether the log's text is kept.
    keep_log: bool,
}

impl Options {
    /// Draws them.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed, "options");
        let d = &mut draw;
        // What came later is drawn from streams of its own, so that seeds known from before draw all
        // else as they did.
        let own = |name: &str, from: &[u64]| Draw::new(seed, name).pick_or(from, 0);
        let catchments = if d.chance(200) { 2 } else { 1 };
        let chaos_ms = d.pick_or(&[20_000, 90_000, 300_000, 1_500_000], 60_000);
        Self {
            seed,
            catchments,
            villages: d.between(1, 3),
            workers: if catchments == 2 { d.between(1, 2) } else { d.between(1, 4) },
            relays: d.below(2),
            outsiders: d.chance(250),
            writes: d.between(3, 14),
            chaos_ms,
            meetings: d.between(3, 20),
            meeting_ms_max: d.pick_or(&[2_000, 20_000, 200_000], 20_000),
            latency_ms_max: d.pick_or(&[1, 20, 150, 900], 20),
            rate_min: d.pick_or(&[4, 40, 4_000], 40),
            cut_per_mille: d.pick_or(&[0, 100, 400], 0),
            stall_per_mille: d.pick_or(&[0, 50, 200], 0),
            dirty_per_mille: d.pick_or(&[0, 0, 150], 0),
            lossy_per_mille: own("lossy links", &[0, 0, 0, 60, 250]),
            corrupting_per_mille: own("corrupting links", &[0, 0, 0, 60, 250]),
            repeating_per_mille: own("repeating links", &[0, 0, 0, 60, 250]),
            reordering_per_mille: own("reordering links", &[0, 0, 0, 60, 250]),
            double_dial_per_mille: d.pick_or(&[0, 150], 0),
            persist_ms_max: d.pick_or(&[1, 30, 800, 5_000], 30),
            told_ms_max: d.pick_or(&[0, 20, 1_000], 0),
            load_ms_max: d.pick_or(&[0, 5, 200], 0),
            work_ms_max: d.pick_or(&[0, 5, 300], 0),
            group_commit_max: d.between(1, 6),
            crashes: d.pick_or(&[0, 0, 2, 6, 12], 0),
            store_failures: d.pick_or(&[0, 0, 1, 3], 0),
            full_disks: own("full disks", &[0, 0, 0, 1, 3]),
            clock_jumps: d.pick_or(&[0, 2, 6], 0),
            restores: d.pick_or(&[0, 0, 1, 2], 0),
            destroyed: d.pick_or(&[0, 0, 0, 1], 0),
            forgers: d.pick_or(&[0, 2, 6], 0),
            liars: own("liars", &[0, 0, 0, 3, 8]),
            versions: own("versions", &[0, 0, 0, 2, 6]),
            refused_per_mille: d.pick_or(&[0, 0, 60], 0),
            echo_close: d.chance(500),
            // Drawn last, so that the draws above are those of seeds known from before.
            authorities: d.pick_or(&[0, 2, 2], 0),
            revocations: d.pick_or(&[0, 1, 2], 0),
            reenrolments: d.pick_or(&[0, 1, 2], 0),
            rotations: d.pick_or(&[0, 1, 3], 0),
            judgements: d.pick_or(&[0, 2, 4], 0),
            erasures: d.pick_or(&[0, 1, 3], 0),
            newcomers: d.pick_or(&[0, 0, 1], 0),
            locks: d.pick_or(&[0, 4, 12], 0),
            twins: d.pick_or(&[0, 0, 0, 1], 0),
            erasure_delay_ms: d.pick_or(&[0, 10_000, 120_000], 30_000),
            carry_bytes: d.pick_or(&[0, 3_000_000, 1 << 30], 0),
            carry_ms: d.pick_or(&[20_000, 200_000, 1 << 40], 0),
            bundles: d.pick_or(&[0, 0, 3, 8], 0),
            planted: None,
            keep_log: false,
        }
    }

    /// What each device is set to: for how long an order to erase is held, and what it carries.
    pub(crate) const fn settings(&self) -> (u64, Carry) {
        let carry = match self.planted {
            Some(Planted::CarriesBriefly) => Carry { bytes: self.carry_bytes, millis: 1_000 },
            Some(Planted::CarriesMore) => Carry { bytes: u64::MAX, millis: self.carry_ms },
            _ => Carry { bytes: self.carry_bytes, millis: self.carry_ms },
        };
        (self.erasure_delay_ms, carry)
    }

    /// The same, with a bug in it, and with enough of what it takes to strike.
    #[must_use]
    pub const fn plant(self, bug: Planted) -> Self {
        let mut world = Self { planted: Some(bug), ..self };
        match bug {
            Planted::CarriesMore | Planted::CarriesBriefly => {
                (world.catchments, world.workers) = (2, 2);
                (world.carry_bytes, world.carry_ms) = match bug {
                    Planted::CarriesMore => (0, 1 << 40),
                    _ => (1 << 30, 1 << 40),
                };
            }
            Planted::StaleKeys | Planted::ServesRevoked | Planted::ForgetsQuarantine => {
                (world.authorities, world.revocations, world.rotations) = (2, 3, 3);
            }
            Planted::ChangeRots => {
                // So that some hold the same, and nothing was lost.
                (world.catchments, world.authorities) = (1, 2);
                (world.restores, world.destroyed, world.twins) = (0, 0, 0);
            }
            Planted::KeepsErased => (world.authorities, world.erasures) = (2, 3),
            Planted::LockAtOnce => world.locks = 12,
            Planted::CopiedLife => {
                // They seldom meet who would tell them.
                (world.restores, world.writes, world.meetings) = (24, 60, 3);
            }
            Planted::ServeStrangers => world.forgers = 6,
            _ => {}
        }
        world
    }

    /// The same, with its log kept.
    #[must_use]
    pub const fn keep_log(self) -> Self {
        Self { keep_log: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_kind() {
        let drawn: Vec<Options> = (0..200).map(Options::draw).collect();
        assert_eq!(drawn[7], Options::draw(7));
        for (what, has) in [
            ("crashes", (|o: &Options| o.crashes > 0) as fn(&Options) -> bool),
            ("restores", |o| o.restores > 0),
            ("forgers", |o| o.forgers > 0),
            ("cuts", |o| o.cut_per_mille > 0),
            ("two catchments", |o| o.catchments == 2),
            ("relays", |o| o.relays > 0),
            ("authorities", |o| o.authorities > 0),
            ("erasures", |o| o.erasures > 0),
            ("twins", |o| o.twins > 0),
            ("bundles", |o| o.bundles > 0),
            ("quotas", |o| o.carry_bytes < 1 << 30),
            ("loss", |o| o.lossy_per_mille > 0),
            ("corruption", |o| o.corrupting_per_mille > 0),
            ("duplicates", |o| o.repeating_per_mille > 0),
            ("reordering", |o| o.reordering_per_mille > 0),
            ("full disks", |o| o.full_disks > 0),
            ("clock jumps", |o| o.clock_jumps > 0),
            ("liars", |o| o.liars > 0),
            ("versions", |o| o.versions > 0),
            ("revocations", |o| o.revocations > 0 && o.authorities > 0),
            ("rotations", |o| o.rotations > 0 && o.authorities > 0),
        ] {
            let with = drawn.iter().filter(|options| has(options)).count();
            assert!((20..180).contains(&with), "{with} of 200 seeds have {what}");
        }
    }

    #[test]
    fn every_option_is_printed() {
        let text = Options::draw(1).to_string();
        assert!(text.contains("persist_ms_max") && text.contains("keep_log"));
        assert!(text.is_ascii());
    }
}
