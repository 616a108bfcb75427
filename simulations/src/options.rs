//! What a run is like. Everything is drawn from the seed, so that runs differ in kind and not
//! only in detail: some have no crash and many cuts, some the reverse.

use core::fmt;

use huza_crdt::node::Carry;

use crate::draw::Draw;

/// A bug planted beneath a node, to show that it would be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Planted {
    /// The store answers that a batch is durable when it has only heard of it.
    AckBeforePersist,
    /// The store loses one row of a batch and says nothing.
    DropChange,
    /// The shell serves whoever connects, without waiting for a certificate.
    ServeStrangers,
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
    /// Links in 1000 that corrupt, repeat and reorder chunks.
    dirty_per_mille: u64,
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
    /// Jumps of a wall clock.
    clock_jumps: u64,
    /// Devices whose stores, both or one, are replaced by an earlier copy.
    restores: u64,
    /// Phones that are destroyed for good.
    destroyed: u64,
    /// Connections by forged peers.
    forgers: u64,
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
            double_dial_per_mille: d.pick_or(&[0, 150], 0),
            persist_ms_max: d.pick_or(&[1, 30, 800, 5_000], 30),
            told_ms_max: d.pick_or(&[0, 20, 1_000], 0),
            load_ms_max: d.pick_or(&[0, 5, 200], 0),
            work_ms_max: d.pick_or(&[0, 5, 300], 0),
            group_commit_max: d.between(1, 6),
            crashes: d.pick_or(&[0, 0, 2, 6, 12], 0),
            store_failures: d.pick_or(&[0, 0, 1, 3], 0),
            clock_jumps: d.pick_or(&[0, 2, 6], 0),
            restores: d.pick_or(&[0, 0, 1, 2], 0),
            destroyed: d.pick_or(&[0, 0, 0, 1], 0),
            forgers: d.pick_or(&[0, 2, 6], 0),
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
        (self.erasure_delay_ms, Carry { bytes: self.carry_bytes, millis: self.carry_ms })
    }

    /// The same, with a bug in it.
    #[must_use]
    pub const fn plant(self, bug: Planted) -> Self {
        Self { planted: Some(bug), ..self }
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
