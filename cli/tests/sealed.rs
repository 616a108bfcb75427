//! A phone that carries its neighbour's village learns nothing of it.
//!
//! A canary that no compressor can shorten is written on phone A and carried by phone B. The search
//! looks into every file of B as it is, and into everything in it that can be unpacked. Each way of
//! searching is first shown to find the canary where it is.

mod support;

use huza_crdt::pack;
use support::hidden::{canary, holds, unpacked};
use support::{Lab, files};

fn is_in_files(lab: &Lab, name: &str, canary: &str) -> bool {
    files(&lab.path(name)).iter().any(|(_, bytes)| {
        holds(bytes, canary) || unpacked(bytes).iter().any(|plain| holds(plain, canary))
    })
}

#[test]
fn a_neighbours_phone_carries_what_it_cannot_read() {
    let lab = Lab::new();
    lab.member("a", "worker", &["01"]);
    lab.member("b", "worker", &["02"]);
    let canary = canary();
    assert!(pack::pack(canary.as_bytes()).unwrap().len() > canary.len() * 2 / 3);
    let on_a = lab.person("a", "Canaria Hidden");
    lab.visit("a", &on_a, &canary);
    let on_b = lab.person("b", "Bosco Visible");
    lab.visit("b", &on_b, "of our own village");
    assert!(lab.on("a", &["person", "show", &on_a]).done().stdout.contains(&canary));

    lab.meet("a", "b");

    let before = lab.ask("b", &["status"])["envelopes"].as_u64().unwrap();
    assert!(before >= 2, "B carries A's envelopes besides its own");
    assert!(!is_in_files(&lab, "b", &canary), "the canary is readable on B");
    let found = lab.ask("b", &["person", "find", "Canaria"]);
    assert_eq!(found["records"].as_array().unwrap().len(), 0);
    lab.on("b", &["person", "show", &on_a]).failed(3, &[&on_a]);
    assert!(!lab.on("b", &["export"]).done().stdout.contains(&canary));
    let shown = lab.on("b", &["person", "show", &on_b]).done().stdout;
    assert!(shown.contains("of our own village"), "B reads its own village");
    assert_eq!(lab.ask("a", &["person", "find", "Bosco"])["records"].as_array().unwrap().len(), 0);
}

#[test]
fn the_search_finds_what_is_there() {
    let canary = canary();
    let text = format!("{{\"note\":\"{canary}\"}}");
    let noise = [7_u8; 100];
    assert!(holds(&[&noise, text.as_bytes()].concat(), &canary));
    for packed in
        [pack::pack(text.as_bytes()).unwrap(), zstd::bulk::compress(text.as_bytes(), 3).unwrap()]
    {
        let bytes = [&noise, packed.as_slice(), &noise].concat();
        assert!(unpacked(&bytes).iter().any(|plain| holds(plain, &canary)));
    }
    assert!(unpacked(&noise).is_empty());
}
