//! What our protocol says beside records, in bytes: one table, each figure with its source.
//!
//! Counted are frames of the session. What the transport adds (handshakes, headers), some 1.5 kB for
//! a contact over TCP and 10 kB over QUIC (docs/links.md), is not in it.

#![expect(clippy::indexing_slicing, reason = "the places of the table are known")]

/// What each side says, batches apart, when so many logs and statements differ: to find out, for
/// totals and acknowledgements. The first of each pair is the dialer.
// crdt/tests/cost.rs, as printed in docs/benchmarks.md (Contacts): 0 and 1 of 130 logs, and 58, 580
// of 5,800 and 5,800 of 58,000; 2 and 13 of 130 in the table of real phones above it.
const BESIDE: [(u64, [u64; 2]); 7] = [
    (0, [148, 148]),
    (1, [227, 645]),
    (2, [254, 664]),
    (13, [558, 2_030]),
    (58, [1_780, 7_510]),
    (580, [15_900, 36_000]),
    (5_800, [157_000, 308_000]),
];

/// Bytes of a receipt in a batch. // a receipt of one range (docs/wire.md, receipt and statement):
/// store 16, log 32, kind and reason 2, range and end hash 36, issuer 16, number and hash of the one
/// before 34, signature 64, lengths
pub(super) const RECEIPT: u64 = 204;

/// Bytes of the statements with which a device was enrolled, told when the first device of its health
/// centre is met: certificate, grant, and its share of the published keys. // measured
/// (simulations/tests/fidelity.rs): 392, 273 and 54
pub(super) const ENROLMENT: u64 = 719;

/// Bytes of the opening of a log in a batch, told with the first of its records. // docs/wire.md:
/// device key 32, certificate 16, area 16, incarnation 16, and of the statement as above
pub(super) const OPENING: u64 = 198;

/// Microseconds that a phone takes to check one signature. // guess: ten times what a core of the
/// machine of docs/benchmarks.md takes in batches, 13 microseconds
pub(super) const VERIFY_US: u64 = 130;

/// What each side says, batches apart, if so much differs. Between two rows of the table on the
/// line through them, beyond the last in proportion to it.
pub(super) fn beside(differing: u64) -> [u64; 2] {
    let behind = BESIDE.iter().position(|(count, _)| *count >= differing);
    let Some(behind) = behind else {
        let (count, bytes) = BESIDE[BESIDE.len() - 1];
        return bytes.map(|bytes| bytes * differing / count);
    };
    let (to, most) = BESIDE[behind];
    let (from, least) = BESIDE[behind.saturating_sub(1)];
    let on_line = |least: u64, most: u64| {
        least + ((most - least) * (differing - from)).checked_div(to - from).unwrap_or_default()
    };
    [on_line(least[0], most[0]), on_line(least[1], most[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_rows_of_the_table_costs_are_on_a_line() {
        for (count, bytes) in BESIDE {
            assert_eq!(beside(count), bytes);
        }
        assert_eq!(beside(319), [8_840, 21_755]);
        assert_eq!(beside(11_600), [314_000, 616_000]);
    }
}
