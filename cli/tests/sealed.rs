//! A phone that carries its neighbour's village learns nothing of it.
//!
//! A canary that no compressor can shorten is written on phone A and carried by phone B. The search
//! looks into every file of B as it is, and into everything in it that can be unpacked. Each way of
//! searching is first shown to find the canary where it is.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail as tests do"
)]

mod support;

use huza_crdt::pack;
use support::{Lab, files};

/// Characters from the whole of the first plane, chosen by the system's randomness: about 13 bits
/// in each, so that neither matching nor entropy coding gains much.
fn canary() -> String {
    let mut random = [0_u8; 600];
    getrandom::fill(&mut random).unwrap();
    let letters = random.chunks_exact(2).filter_map(|pair| {
        let code = u32::from(pair[0]) << 8 | u32::from(pair[1]);
        char::from_u32(0x4e00 + code % 0x5000)
    });
    letters.collect()
}

/// Whether `bytes` hold any run of eight characters of the canary.
fn holds(bytes: &[u8], canary: &str) -> bool {
    let letters: Vec<char> = canary.chars().collect();
    letters.chunks_exact(8).any(|run| {
        let run: String = run.iter().collect();
        bytes.windows(run.len()).any(|window| window == run.as_bytes())
    })
}

/// Everything that can be unpacked anywhere in `bytes`: with the dictionary of payloads, without,
/// and as `pack` frames it.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const DICTIONARY: &[u8] = include_bytes!("../../crdt/dictionaries/1");
    let mut found = Vec::new();
    for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&MAGIC)) {
        for dictionary in [DICTIONARY, &[]] {
            let mut plain = Vec::new();
            let decoder = zstd::stream::read::Decoder::with_dictionary(&bytes[at..], dictionary);
            let mut decoder = decoder.unwrap().single_frame();
            // What came out before an error counts as found.
            drop(std::io::copy(&mut decoder, &mut plain));
            found.push(plain);
        }
        if at > 0 {
            found.extend(pack::unpack(&bytes[at - 1..], 1 << 24));
        }
    }
    found
}

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
