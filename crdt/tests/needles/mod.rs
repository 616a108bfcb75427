//! What must not be printed, in every way in which it could be, and the search for it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;

/// Bytes of a key that are searched for; a part of a key is a leak too.
const KEY_BYTES_SEARCHED: usize = 9;

/// Spelling -> what it is.
#[derive(Default)]
pub struct Needles(BTreeMap<String, String>);

impl Needles {
    /// Something that people read: a name, a number, an answer.
    pub fn text(&mut self, what: &str, text: &str) {
        self.add(what, text);
        self.bytes(what, text.as_bytes());
    }

    /// A key or a seed.
    pub fn secret(&mut self, what: &str, key: &[u8]) {
        let short = key.get(..KEY_BYTES_SEARCHED).expect("a key is longer");
        assert!(short.iter().any(|byte| *byte != short[0]), "{what} would be found anywhere");
        self.bytes(what, short);
    }

    /// Everything that was planted, for a control.
    pub fn spellings(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What of it is in `hay`, each with its spelling.
    pub fn found(&self, hay: &str) -> Vec<String> {
        let hay = hay.to_lowercase();
        let found = self.0.iter().filter(|(spelled, _)| hay.contains(spelled.as_str()));
        found.map(|(spelled, what)| format!("{what} as {spelled:?}")).collect()
    }

    /// The same in bytes, where raw ones count too.
    pub fn found_in_bytes(&self, hay: &[u8]) -> Vec<String> {
        // One character for each byte, so that raw keys can be told from text.
        let latin: String = hay.iter().map(|byte| char::from(*byte)).collect();
        self.found(&latin)
    }

    /// As bytes may come out: raw, hexadecimal, base64 at any place, `Debug` of a slice and of a
    /// string of bytes.
    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        self.add(what, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>());
        self.add(what, &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.add(what, &format!("{bytes:?}").replace(['[', ']'], ""));
        self.add(what, &bytes.escape_ascii().to_string());
        for shift in 0..3 {
            self.add(what, &base64_within(bytes, shift));
        }
    }

    fn add(&mut self, what: &str, spelled: &str) {
        assert!(spelled.chars().count() >= 6, "{what} is too short to be searched for");
        self.0.insert(spelled.to_lowercase(), what.to_owned());
    }
}

/// The digits of base64 that `bytes` alone decide, if `shift` bytes come before.
fn base64_within(bytes: &[u8], shift: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = [&vec![0; shift], bytes].concat();
    let whole = padded.chunks_exact(3).flat_map(|three| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|right| char::from(DIGITS[(bits >> right & 63) as usize]))
    });
    // The digits that also hold bits of what comes before.
    whole.skip([0, 2, 3][shift]).collect()
}

#[test]
fn base64_is_found_wherever_it_begins() {
    // "Uwase" behind 0, 1 and 2 bytes: VXdhc2U=, eFV3YXNl, eHhVd2FzZQ==
    assert_eq!([0, 1, 2].map(|n| base64_within(b"Uwase", n)), ["VXdh", "V3YXNl", "Vd2Fz"]);
}
