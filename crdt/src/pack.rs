//! Compression before sealing: zstd with a dictionary trained on records of our own shape.
//!
//! The first byte names the dictionary, so that old payloads stay readable when a better
//! dictionary comes: 0 is none, 1 and 2 are `crdt/dictionaries/1` and `2`. From 2 on, a payload is in
//! its short spelling.

use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

/// The dictionary that new payloads are packed with.
const CURRENT: u8 = 2;

/// zstd's level. // guess: payloads are a few kB, and a cheap phone seals one in milliseconds
const LEVEL: i32 = 12;

/// The bytes of a dictionary.
fn dictionary(version: u8) -> Option<&'static [u8]> {
    match version {
        0 => Some(&[]),
        1 => Some(include_bytes!("../dictionaries/1")),
        2 => Some(include_bytes!("../dictionaries/2")),
        _ => None,
    }
}

/// The dictionaries, read: that takes longer than to unpack a payload with one.
static READ: LazyLock<Vec<DecoderDictionary<'static>>> =
    LazyLock::new(|| (0_u8..).map_while(dictionary).map(DecoderDictionary::copy).collect());

/// The current one, read for packing.
static WRITTEN: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(dictionary(CURRENT).unwrap_or_default(), LEVEL));

/// Whether a payload that is packed in this way is in the short spelling.
pub(crate) fn is_short(packed: &[u8]) -> bool {
    packed.first().is_some_and(|version| *version >= 2)
}

/// Why bytes could not be packed or unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// Packed with a dictionary of a later version.
    #[error("packed with dictionary {0}, which this version does not have")]
    UnknownDictionary(u8),
    /// Not what zstd makes, or larger than allowed when unpacked.
    #[error("cannot be unpacked within the limit")]
    Malformed,
}

/// Packs `plain`. Deterministic for one version of zstd.
///
/// # Errors
/// If the compressor cannot get memory.
pub fn pack(plain: &[u8]) -> Result<Vec<u8>, PackError> {
    let packed = Compressor::with_prepared_dictionary(&WRITTEN)
        .and_then(|mut compressor| {
            // The payload has its own seal, and the dictionary is named in front.
            compressor.include_checksum(false)?;
            compressor.include_dictid(false)?;
            compressor.compress(plain)
        })
        .map_err(|_failed| PackError::Malformed)?;
    Ok([&[CURRENT], packed.as_slice()].concat())
}

/// Unpacks what [`pack`] made, to at most `bytes_max` bytes.
///
/// # Errors
/// If the dictionary is unknown, or the bytes are not zstd's, or are too many.
pub fn unpack(packed: &[u8], bytes_max: usize) -> Result<Vec<u8>, PackError> {
    let (version, packed) = packed.split_first().ok_or(PackError::Malformed)?;
    let dictionary = READ.get(usize::from(*version));
    let dictionary = dictionary.ok_or(PackError::UnknownDictionary(*version))?;
    let bound = Decompressor::upper_bound(packed).ok_or(PackError::Malformed)?;
    if bound > bytes_max {
        return Err(PackError::Malformed);
    }
    Decompressor::with_prepared_dictionary(dictionary)
        .and_then(|mut decompressor| decompressor.decompress(packed, bound))
        .map_err(|_failed| PackError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dictionary_unpacks_what_it_packed() {
        let plain = b"an old phone wrote this";
        for version in 0..=CURRENT {
            let mut compressor =
                Compressor::with_dictionary(LEVEL, dictionary(version).unwrap()).unwrap();
            let packed = [&[version], compressor.compress(plain).unwrap().as_slice()].concat();
            assert_eq!(unpack(&packed, 100).unwrap(), plain);
            assert_eq!(is_short(&packed), version == 2);
        }
    }

    #[test]
    fn packed_bytes_unpack_and_bombs_do_not() {
        let plain = vec![b'a'; 100_000];
        let packed = pack(&plain).unwrap();
        assert!(packed.len() < 200);
        assert_eq!(unpack(&packed, 100_000).unwrap(), plain);
        assert_eq!(unpack(&packed, 99_999), Err(PackError::Malformed));
        assert_eq!(unpack(&[9, 1, 2], 10), Err(PackError::UnknownDictionary(9)));
        assert_eq!(unpack(&[], 10), Err(PackError::Malformed));
    }
}
