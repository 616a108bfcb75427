//! A hundred phones and a hub on one radio, in virtual time: nobody starves, and what is new reaches
//! everybody within seconds, although some are far away and some walk away.

use huza_simulations::meeting::{Plan, run};

#[test]
fn a_meeting_starves_nobody_and_news_reach_everybody_within_seconds() {
    let plan = Plan::default();
    let outcome = run(&plan, 2026).expect("a meeting");
    println!("{} phones, {} far, {} leaving: {outcome:#?}", plan.phones, plan.far, plan.leaving);
    let first = outcome.first.expect("everybody got something");
    let near = outcome.near.expect("every near phone got everything");
    let far = outcome.far.expect("every far phone got everything");
    let visit = outcome.visit.expect("everybody got the visit");
    let colleagues = outcome.visit_colleagues.expect("and colleagues");
    let urgent = outcome.urgent.expect("everybody got the urgent visit");
    // The radio is never idle before the end, so these hold whatever the machine.
    assert!(first.slowest < 10_000, "{first:?}");
    assert!(near.slowest * 4 < near.median * 5, "{near:?}");
    assert!(far.slowest <= near.slowest, "{far:?}");
    assert!(visit.slowest < 10_000, "{visit:?}");
    assert!(colleagues.slowest < 3_000, "{colleagues:?}");
    assert!(urgent.slowest < 3_000, "{urgent:?}");
}

#[test]
fn a_meeting_repeats_itself() {
    let small = Plan { phones: 8, far: 1, leaving: 1, backlog: 16, ..Plan::default() };
    assert_eq!(run(&small, 1), run(&small, 1));
}
