//! What a run will take, before it begins.

use super::plan::{Drawn, Plan as _};
use super::strategy::Strategy;

/// Days of a week that are looked at: a workday and a day off stand for the others.
const WORKDAY: u64 = 1;
const DAY_OFF: u64 = 6;

/// Nanoseconds that a contact and a record take. // measured: see docs/simulator.md
const CONTACT_NS: u64 = 400_000;
const RECORD_NS: u64 = 1_000;

/// Bytes of a record, of a node, of a node for each record in its reach. // as CONTACT_NS
const RECORD_BYTES: u64 = 64;
const NODE_BYTES: u64 = 100_000;

/// Nanoseconds that the arrival of a record at a real node takes, with what leads to it, and bytes of a
/// stored envelope beside its own. // measured (simulations/tests/fidelity.rs, the larger one, not
/// optimised): 43 s for 182,000
const ARRIVAL_NS: u64 = 240_000;
const ROW_BYTES: u64 = 1_000;

/// What a run will take. Of a machine like that of docs/benchmarks.md; a rough guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Contacts in all.
    pub contacts: u64,
    /// Records in all.
    pub records: u64,
    /// Seconds of one core.
    pub seconds: u64,
    /// Bytes of memory.
    pub bytes: u64,
}

impl Estimate {
    /// Of a run of that plan.
    #[must_use]
    pub fn of(drawn: &Drawn, strategy: Strategy) -> Self {
        let scenario = drawn.movement().scenario();
        let days = scenario.days;
        let workdays =
            days / 7 * scenario.people.workdays + (days % 7).min(scenario.people.workdays);
        let (work, off) = (drawn.day(WORKDAY), drawn.day(DAY_OFF));
        let in_all =
            |work: usize, off: usize| work as u64 * workdays + off as u64 * (days - workdays);
        let contacts = in_all(work.contacts.len(), off.contacts.len());
        let records = in_all(work.records.len(), off.records.len());
        let nodes = (drawn.place().phones.len() + drawn.place().hubs) as u64;
        let weight = if strategy == Strategy::OwnPhone { 20 } else { 1 };
        let nanos = (contacts * CONTACT_NS + records * RECORD_NS) / weight;
        Self {
            contacts,
            records,
            seconds: nanos.div_ceil(1_000_000_000),
            bytes: records * RECORD_BYTES + nodes * NODE_BYTES / weight,
        }
    }

    /// Of a run of that plan with real nodes.
    #[must_use]
    pub fn of_nodes(drawn: &Drawn) -> Self {
        let all = Self::of(drawn, Strategy::Huza);
        let place = drawn.place();
        // The phones of a health centre, its hub, and the gateway.
        let reach = (place.phones.len() / place.hubs.max(1) + 2) as u64;
        let records = drawn.day(WORKDAY).records;
        let bytes: u64 = records.iter().map(|record| record.bytes).sum();
        let mean = bytes.checked_div(records.len() as u64).unwrap_or_default();
        let arrivals = all.records * reach;
        let seconds = (arrivals * ARRIVAL_NS).div_ceil(1_000_000_000);
        Self { seconds, bytes: arrivals * (mean + ROW_BYTES), ..all }
    }
}
