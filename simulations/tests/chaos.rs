//! The chaos core at work: many seeds keep every law, and a seed repeats itself. That each law finds
//! its bug is in `planted.rs`.

use huza_simulations::{Law, Options, Report, Violation, chaos};

/// Seeds of the test command.
const SEEDS: u64 = 200;

fn replay(violation: &Violation) -> String {
    format!("{violation}\nreplay: {}", violation.replay())
}

#[expect(clippy::panic, reason = "a test helper")]
fn keeps_every_law(seed: u64) {
    if let Err(violation) = chaos::run(seed) {
        panic!("{}", replay(&violation));
    }
}

// Seeds that found a bug once, named after the harm. What a seed draws changes with the options;
// the harm itself is then drawn by others.

#[test]
fn a_peer_known_on_one_side_only_is_heard_out() {
    keeps_every_law(3);
}

#[test]
fn a_busy_node_does_not_ask_to_be_woken_at_once() {
    keeps_every_law(4);
}

#[test]
fn a_node_whose_store_failed_ends_its_contacts() {
    keeps_every_law(110);
}

#[test]
fn nothing_is_accepted_while_a_change_waits_for_another() {
    keeps_every_law(262);
}

#[test]
fn what_is_sealed_and_has_no_seq_survives_a_restored_reader() {
    keeps_every_law(143);
    keeps_every_law(580);
}

#[test]
fn an_urgent_visit_before_its_patient_leaves_no_empty_patient_at_the_facility() {
    keeps_every_law(99);
    keeps_every_law(119);
}

#[test]
fn what_comes_in_while_a_reader_is_being_locked_is_filed_when_it_opens() {
    keeps_every_law(19);
}

#[test]
fn an_erased_name_is_forgotten_when_the_key_that_opens_it_comes() {
    keeps_every_law(54);
    keeps_every_law(109);
}

#[test]
fn what_was_published_again_is_erased_in_both_envelopes() {
    keeps_every_law(675);
    keeps_every_law(929);
}

#[test]
fn what_is_re_issued_is_taken_out_when_its_author_is_shut_out() {
    keeps_every_law(1076);
}

#[test]
fn an_own_envelope_that_an_erasure_emptied_leaves_nothing_pending() {
    keeps_every_law(262);
}

#[test]
fn what_only_a_reader_still_knows_is_published_again_by_its_author() {
    keeps_every_law(270);
}

#[test]
fn what_was_planned_for_a_record_before_it_was_erased_is_not_written() {
    keeps_every_law(673);
}

#[test]
fn what_came_of_an_erased_record_goes_too_whoever_remains_to_order_it() {
    keeps_every_law(478);
    keeps_every_law(913);
}

#[test]
fn an_outsider_forgets_what_it_wrote_of_an_erased_record() {
    keeps_every_law(691);
    keeps_every_law(775);
    keeps_every_law(827);
}

#[test]
fn an_order_goes_before_the_envelopes_that_it_emptied() {
    keeps_every_law(623);
}

#[test]
fn a_reader_is_locked_while_a_new_incarnation_begins() {
    keeps_every_law(495);
    keeps_every_law(950);
}

#[test]
fn what_was_being_filed_while_its_author_was_shut_out_is_taken_out_again() {
    keeps_every_law(252);
}

#[test]
fn an_envelope_that_speaks_of_a_log_waits_for_its_opening() {
    keeps_every_law(1057);
}

#[test]
fn an_erasure_is_carried_out_by_who_has_no_room_for_the_re_issue() {
    keeps_every_law(2014);
}

#[test]
fn a_change_that_was_published_again_has_arrived_in_either_envelope() {
    keeps_every_law(1219);
}

#[test]
fn who_is_enrolled_again_in_mid_contact_begins_it_anew() {
    keeps_every_law(3605);
}

#[test]
fn what_a_peer_keeps_is_known_before_its_certificate_is_durable() {
    keeps_every_law(9);
}

#[test]
fn an_erasure_whose_re_issue_was_lost_with_its_authority_is_ordered_again() {
    keeps_every_law(2704);
}

#[test]
fn what_a_reader_filed_before_its_carrier_was_put_back_stays_shown() {
    keeps_every_law(10365);
    keeps_every_law(20007);
}

#[test]
fn what_is_numbered_in_a_log_that_is_shut_out_is_not_shown() {
    keeps_every_law(10392);
}

#[test]
fn what_a_facility_answers_to_a_reader_that_was_locked_is_asked_again() {
    keeps_every_law(10977);
}

#[test]
fn what_is_in_front_of_a_fork_comes_back_to_a_restored_carrier() {
    keeps_every_law(1907);
}

/// Mended in the law, which compared readers that did not show what their carriers hold: one had filed
/// what the older copy of its carrier lacks, one was still to find that it has no key, one wrote again
/// what its new log has to hold.
#[test]
fn only_readers_that_show_what_they_hold_are_compared() {
    keeps_every_law(1757);
    keeps_every_law(2196);
    keeps_every_law(2897);
}

/// Mended in the law: of envelopes that wait for a key a reader says nothing.
#[test]
fn what_is_told_of_a_record_is_told_of_what_was_opened() {
    keeps_every_law(762);
}

#[test]
fn what_is_filed_while_a_judgement_is_looked_up_is_not_taken_for_quarantined() {
    keeps_every_law(2875);
}

#[test]
fn a_node_that_stopped_before_it_was_ready_begins_no_contact() {
    keeps_every_law(245);
}

#[test]
fn what_came_without_being_announced_is_counted_as_announced() {
    keeps_every_law(839);
}

#[test]
fn in_front_of_a_fork_two_histories_do_not_keep_a_contact_from_ending() {
    keeps_every_law(702);
}

#[test]
fn two_hundred_seeds_keep_every_law() {
    let summary = chaos::chaos(0..SEEDS, |_, _| {});
    let failed: Vec<String> = summary.violations.iter().map(replay).collect();
    assert!(failed.is_empty(), "{}\n{summary}", failed.join("\n"));
    // A simulator that does nothing breaks no law either.
    for (what, least) in [
        ("contacts complete", 2_000),
        ("crashes", 300),
        ("writes acknowledged", 1_000),
        ("promises checked by a power cut", 700),
        ("acks", 5_000),
        ("receipts checked", 500),
        ("deliveries", 300),
        ("restored copies", 50),
        ("devices destroyed", 10),
        ("nodes stopped by their store", 30),
        ("incarnations rolled", 50),
        ("faults found in peers", 100),
        ("resources shown in the end", 5_000),
        ("orders carried out", 100),
        ("revocations heard", 150),
        ("revoked devices turned away", 70),
        ("revoked devices that learned it in the end", 15),
        ("envelopes quarantined in the end", 15),
        ("records erased everywhere", 25),
        ("devices enrolled by authority devices", 15),
        ("readers locked", 300),
        ("writes refused by a full disk", 20),
        ("lying peers", 100),
        ("peers of other versions", 80),
        ("statements of an unknown kind that all carry", 20),
    ] {
        let seen = summary.seen.get(what).copied().unwrap_or_default();
        assert!(seen >= least, "{what}: {seen}, at least {least} expected\n{summary}");
    }
    // Nor does a law that never had anything to look at.
    for law in Law::ALL {
        let looks = summary.checked.get(law).copied().unwrap_or_default();
        assert!(looks >= 10, "{looks} looks whether {law}\n{summary}");
    }
}

#[test]
fn one_seed_gives_one_log_byte_for_byte() {
    for seed in 0..6 {
        let run = || chaos::run_with(Options::draw(seed).keep_log());
        let log = |result: Result<Report, Violation>| match result {
            Ok(report) => report.log.unwrap(),
            Err(violation) => violation.log,
        };
        let (one, other) = (log(run()), log(run()));
        assert!(one.lines().count() > 100);
        let differs = one.lines().zip(other.lines()).position(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other);
    }
}
