//! What one dishonest member can do to others: it is refused and reported, or bounded and
//! survived. Figures are printed with `--nocapture`.

use huza_crdt::limits::{STATEMENTS_PER_ISSUER_MAX, UNREAD_PER_ISSUER_MAX};
use huza_crdt::session::Fault;
use huza_simulations::bounds;

/// Disk use by one member grows with what it writes, and nothing stops it: there is no quota in
/// this version. This test says so, and will fail when there is one.
#[test]
fn a_flooding_member_is_carried_without_limit_and_others_are_served_still() {
    let flood = bounds::flood(1, 400).unwrap();
    eprintln!("{flood:?}");
    assert!(flood.others_served);
    let each = flood.bytes_held / flood.writes;
    assert!((20..600).contains(&each), "{each} bytes for each write");
    assert!(flood.bytes_held_twice > flood.bytes_held * 19 / 10, "no quota yet: {flood:?}");
}

#[test]
fn statements_that_nobody_reads_are_bounded_for_each_issuer() {
    let tries = UNREAD_PER_ISSUER_MAX as u64 + 200;
    let told = bounds::statements(tries, true).unwrap();
    eprintln!("{told:?}");
    assert_eq!(told.taken, UNREAD_PER_ISSUER_MAX as u64);
    assert!(told.bytes < 9_000_000);
}

/// The largest receipts of one issuer: what a node may be made to hold is their number times their
/// size, about a third of a gigabyte.
#[test]
fn receipts_of_one_issuer_are_bounded_by_their_number() {
    let told = bounds::statements(2_000, false).unwrap();
    let most = told.bytes / told.taken * STATEMENTS_PER_ISSUER_MAX as u64;
    eprintln!("{told:?}; at most {most} bytes");
    assert_eq!(told.taken, told.tried, "far below the bound");
    assert!(most < 600_000_000, "{most}");
}

#[test]
fn a_hoarder_gets_what_members_get_and_stops_nobody() {
    let told = bounds::hoarder(1).unwrap();
    eprintln!("{told:?}");
    assert!(!told.complete && told.came_through, "{told:?}");
    assert!(told.bytes_sent < 10_000, "{told:?}");
}

#[test]
fn a_hub_that_lies_is_believed_and_nothing_is_lost_by_it() {
    let (told, believed) = bounds::lying_hub(1).unwrap();
    eprintln!("{told:?}");
    assert!(believed, "its word cannot be told from an honest one's");
    assert!(told.came_through, "nothing is dropped because of a receipt");
}

#[test]
fn a_carrier_that_edits_is_refused_and_named() {
    let told = bounds::editing_carrier(1).unwrap();
    eprintln!("{told:?}");
    assert_eq!(told.fault, Some(Fault::BadSignature));
    assert!(told.came_through);
}

#[test]
fn what_one_carrier_drops_another_brings() {
    let told = bounds::dropping_carrier(1).unwrap();
    eprintln!("{told:?}");
    assert!(!told.complete && told.came_through, "{told:?}");
}
