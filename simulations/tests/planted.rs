//! Every law finds the bug that is planted for it: in the disk beneath a node, or in the shell, the
//! link or the facility around it. A law that finds nothing would hold whatever the nodes do.

use std::collections::BTreeSet;

use huza_simulations::{Law, Options, Planted, chaos};

/// Seeds within which each must be found.
const SEEDS: u64 = 12;

/// Runs worlds with a bug in them until it is found; it must be found by this law.
#[expect(clippy::panic, reason = "a test helper")]
fn finds(bug: Planted, law: Law) {
    let run = |seed| chaos::run_twice(Options::draw(seed).plant(bug)).err();
    match (0..SEEDS).find_map(run) {
        Some(violation) => assert_eq!(violation.law, law, "{violation}"),
        None => panic!("{bug:?} is not found in {SEEDS} seeds"),
    }
}

macro_rules! bugs {
    ($($name:ident: $bug:ident breaks $law:ident;)*) => {
        $(
            #[test]
            fn $name() {
                finds(Planted::$bug, Law::$law);
            }
        )*

        #[test]
        fn every_law_has_a_bug_that_breaks_it() {
            let broken: BTreeSet<Law> = [$(Law::$law),*].into();
            let unproven: Vec<&Law> = Law::ALL.iter().filter(|law| !broken.contains(law)).collect();
            assert!(unproven.is_empty(), "{unproven:?}");
        }
    };
}

bugs! {
    a_store_that_answers_before_it_keeps: AckBeforePersist breaks AckedIsDurable;
    a_store_that_keeps_no_change: ReaderForgets breaks WrittenIsDurable;
    a_store_that_deletes_nothing: KeepsErased breaks ErasedIsGone;
    a_store_that_removes_an_envelope: RemovesEnvelope breaks HeldForEver;
    a_store_that_takes_one_file_for_the_other: OtherStore breaks BatchesKeepToTheirStore;
    a_store_that_takes_as_long_as_it_likes: Undetermined breaks Deterministic;
    a_store_that_does_not_find_a_change: LosesReads breaks NothingSetAside;
    a_statement_that_is_gone_when_nobody_looks: StatementRots breaks Converges;
    a_change_that_is_gone_when_nobody_looks: ChangeRots breaks SameShowsSame;
    an_author_that_goes_on_with_the_first_key: StaleKeys breaks CleanKeys;
    a_copy_that_takes_itself_for_the_original: CopiedLife breaks NoForks;
    a_link_that_corrupts_what_was_authenticated: SilentDirt breaks HonestNotAccused;
    a_shell_that_serves_strangers: ServeStrangers breaks StrangersLearnNothing;
    a_shell_that_serves_the_revoked: ServesRevoked breaks RevokedGetNothing;
    a_shell_that_sends_what_was_written_in_clear: Leaks breaks Secrecy;
    a_shell_that_closes_the_reader_at_once: LockAtOnce breaks LockedIsShut;
    a_shell_that_tells_no_end: SwallowEnds breaks ContactEnds;
    a_shell_that_answers_nothing: SwallowReplies breaks Progress;
    a_shell_that_overwrites_what_was_written: Overwrites breaks WrittenIsVisible;
    a_shell_that_shows_a_record_less: ShowsLess breaks ShownIsTrue;
    a_shell_that_shows_more_progress: TellsMore breaks ToldIsTrue;
    a_shell_that_shows_everything_as_stored: TellsStored breaks ToldIsTrue;
    a_shell_that_shows_nothing_of_a_quarantine: ForgetsQuarantine breaks QuarantineAgreed;
    a_node_that_lets_go_on_nobodys_word: CarriesBriefly breaks ReleasedIsVouched;
    a_node_that_carries_more_than_it_is_set_to: CarriesMore breaks WithinQuota;
    a_facility_that_was_given_nothing: FacilityForgets breaks ReceiptIsTrue;
    a_facility_that_loses_what_it_took: FacilityLoses breaks FacilityExact;
    a_node_that_panics: Panics breaks NoPanic;
}
