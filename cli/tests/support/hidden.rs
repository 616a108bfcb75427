//! A text that cannot hide: no compressor shortens it, and the search unpacks whatever can be.

use huza_crdt::pack;

/// Characters from the whole of the first plane, chosen by the system's randomness: about 13 bits
/// in each, so that neither matching nor entropy coding gains much.
pub(crate) fn canary() -> String {
    let mut random = [0_u8; 600];
    getrandom::fill(&mut random).unwrap();
    let letters = random.chunks_exact(2).filter_map(|pair| {
        let code = u32::from(pair[0]) << 8 | u32::from(pair[1]);
        char::from_u32(0x4e00 + code % 0x5000)
    });
    letters.collect()
}

/// Whether `bytes` hold any run of eight characters of the canary.
pub(crate) fn holds(bytes: &[u8], canary: &str) -> bool {
    let letters: Vec<char> = canary.chars().collect();
    letters.chunks_exact(8).any(|run| {
        let run: String = run.iter().collect();
        bytes.windows(run.len()).any(|window| window == run.as_bytes())
    })
}

/// Everything that can be unpacked anywhere in `bytes`: with the dictionaries of payloads, without,
/// and as `pack` frames it.
pub(crate) fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const DICTIONARIES: [&[u8]; 3] = [
        include_bytes!("../../../crdt/dictionaries/1"),
        include_bytes!("../../../crdt/dictionaries/2"),
        &[],
    ];
    let mut found = Vec::new();
    for at in (0..bytes.len()).filter(|at| bytes[*at..].starts_with(&MAGIC)) {
        for dictionary in DICTIONARIES {
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
