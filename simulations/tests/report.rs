//! Reports of runs: whether a page stands by itself, and says what came of the run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::path::Path;

use huza_simulations::geography::Geography;
use huza_simulations::movement::Movement;
use huza_simulations::network::outcome::{Delivery, Outcome};
use huza_simulations::network::plan::Drawn;
use huza_simulations::network::{Account, Comparison, Made, Outlines, Strategy, report, sized};
use huza_simulations::scenario::Scenario;
use roxmltree::{Document, ParsingOptions};

/// What came of a synthetic place of three catchments, so that it is there everywhere.
fn small(sets: &[&str]) -> Outcome {
    let place = Geography::synthetic(1, 3, [8, 12]);
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let (scenario, settings) = Scenario::read("", &sets).unwrap();
    let drawn = Drawn::new(&place, Movement::new(&place, scenario));
    let mut account = Account::new(&drawn, &place);
    let loads = sized::run(&drawn, Strategy::Huza, &mut account, &mut |_| ());
    let made = Made {
        name: "small".to_owned(),
        strategy: Strategy::Huza.to_string(),
        fidelity: "sized".to_owned(),
        settings,
    };
    account.finish(made, &loads)
}

/// A district around that place.
const DISTRICT: &str = r#"{"type":"FeatureCollection","attribution":"(c) nobody","features":[
    {"type":"Feature","properties":{"name":"Syn & thetic"},"geometry":{"type":"Polygon",
    "coordinates":[[[29.9,-2.1],[30.1,-2.1],[30.1,-1.6],[29.9,-1.6],[29.9,-2.1]]]}}]}"#;

/// Parses it strictly, holds it to standing by itself, and gives what a person reads.
fn read(page: &str) -> String {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap();
    let mut words = String::new();
    let mut ids = std::collections::BTreeSet::new();
    for node in document.descendants() {
        let name = node.tag_name().name();
        assert!(!["link", "iframe", "object", "embed", "img", "base"].contains(&name), "{name}");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on") && key != "src", "{key}");
            assert!(!value.contains("url("), "{value}");
            assert!(!key.ends_with("href") || value.starts_with('#'), "{value} leads outside");
            assert!(key != "id" || ids.insert(value.to_owned()), "{value} is there twice");
        }
        let parent = node.parent_element().map_or("", |parent| parent.tag_name().name());
        if node.is_text() && parent == "style" {
            let style = node.text().unwrap();
            assert!(!style.contains("url(") && !style.contains("@import"), "{style}");
        } else if node.is_text() && parent == "script" {
            assert!(!node.text().unwrap().contains("://"), "a script fetches nothing");
        } else if node.is_text() {
            words.push_str(node.text().unwrap());
            words.push(' ');
        }
    }
    for link in document.descendants().filter_map(|node| node.attribute("href")) {
        assert!(ids.contains(link.trim_start_matches('#')), "{link} leads nowhere");
    }
    words
}

#[test]
fn a_report_stands_by_itself_and_tells_every_figure_that_counts() {
    let outcome = small(&["days=14", "seed=7"]);
    let outlines = Outlines::read(DISTRICT).unwrap();
    let page = report::html(&outcome, Some(&outlines));
    let words = read(&page);
    for figure in outcome.figures() {
        assert!(words.contains(&figure.show()), "{figure:?} is not told");
    }
    for told in ["seed 7", "Strategy huza", "Syn & thetic", "(c) nobody", &outcome.log_hash[..16]] {
        assert!(words.contains(told), "{told} is not told");
    }
    for option in &outcome.options {
        assert!(words.contains(&option.key) && words.contains(&option.what), "{}", option.key);
    }
    for village in outcome.villages.iter().filter(|one| one.phones == 0) {
        assert!(words.contains(&village.name), "{} is not named", village.id);
    }
    for hub in &outcome.hubs {
        assert!(words.contains(&hub.name), "{} is not named", hub.id);
    }
    assert_eq!(page, report::html(&outcome, Some(&outlines)));
    keep("small.html", &page);
}

#[test]
fn names_of_tables_are_text_whatever_is_in_them() {
    let mut outcome = small(&["days=2"]);
    let mean = "</script><script>alert(1)</script><!-- \" ' & \u{0} ]]>";
    outcome.name = mean.to_owned();
    outcome.log_hash = "\u{e9}".repeat(20);
    outcome.meetings[0].kind = mean.to_owned();
    for village in &mut outcome.villages {
        for name in [&mut village.name, &mut village.sector, &mut village.district] {
            *name = mean.to_owned();
        }
    }
    outcome.hubs.iter_mut().for_each(|hub| hub.name = mean.to_owned());
    outcome.options.iter_mut().for_each(|one| one.value = mean.to_owned());
    let outlines = Outlines::read(&DISTRICT.replace("Syn & thetic", "</text><b>")).unwrap();
    let words = read(&report::html(&outcome, Some(&outlines)));
    assert!(words.contains("<script>alert(1)</script>"), "it is shown as it is written");
    let other = small(&["days=2", "people.equipped=1"]);
    let runs = [outcome, other];
    read(&report::compare(&Comparison::of(&runs), &runs));
}

#[test]
fn a_run_in_which_nothing_happened_has_a_report() {
    let mut outcome = small(&["days=1"]);
    outcome.urgent = Delivery::default();
    outcome.routine = Delivery::default();
    for village in &mut outcome.villages {
        (village.written, village.behind_seconds) = (0, None);
    }
    assert!(read(&report::html(&outcome, None)).contains("None was written"));
    outcome.villages.clear();
    outcome.hubs.clear();
    outcome.phones.clear();
    outcome.meetings.clear();
    outcome.options.clear();
    outcome.days = 0;
    read(&report::html(&outcome, None));
    assert!(outcome.figures().iter().all(|one| one.value.is_some_and(|value| value == 0)));
}

#[test]
fn numbers_that_make_no_sense_break_nothing() {
    let mut outcome = small(&["days=2"]);
    for phone in &mut outcome.phones {
        (phone.village, phone.sent, phone.received) = (usize::MAX, u64::MAX, u64::MAX);
        (phone.carried, phone.energy.host) = (u64::MAX, u64::MAX);
    }
    for village in &mut outcome.villages {
        (village.hub, village.last_heard_seconds) = (usize::MAX, Some(u64::MAX));
        (village.behind_seconds, village.position) = (Some(u64::MAX), [0, 0]);
    }
    for one in &mut outcome.meetings {
        (one.met, one.contacts, one.cut, one.idle) = (1, u64::MAX, u64::MAX, u64::MAX);
    }
    outcome.hubs.iter_mut().for_each(|hub| hub.position = [0, 0]);
    read(&report::html(&outcome, None));
}

#[test]
fn runs_side_by_side_tell_what_was_set_and_what_came_of_it() {
    let runs = [
        small(&["days=14", "seed=1"]),
        small(&["days=14", "seed=2"]),
        small(&["days=14", "seed=1", "people.equipped=1"]),
    ];
    let comparison = Comparison::of(&runs);
    assert_eq!(comparison.columns.len(), 2, "seeds are no difference");
    let page = report::compare(&comparison, &runs);
    let words = read(&page);
    for row in &comparison.figures {
        for value in row.values.iter().flatten() {
            assert!(words.contains(&value.show(row.unit)), "{row:?} is not told");
        }
    }
    assert!(words.contains("people.equipped=0.5") && words.contains("people.equipped=1"));
    keep("compare.html", &page);
}

/// The whole country's report is small enough to be sent.
#[test]
fn fourteen_thousand_villages_fit_into_five_megabytes() {
    let mut outcome = small(&["days=2"]);
    let some = outcome.villages.clone();
    outcome.villages = some.iter().cycle().take(14_814).cloned().collect();
    for (index, village) in outcome.villages.iter_mut().enumerate() {
        village.name = format!("Rwamagana-Kibirizi {index}");
        village.at_hub = 0;
        village.written = 1;
    }
    let page = report::html(&outcome, None);
    read(&page);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
}

/// Leaves a page where a person can look at it: in `target/tmp`.
fn keep(name: &str, page: &str) {
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), page).unwrap();
}
