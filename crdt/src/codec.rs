//! Encoding of everything that travels or is stored: postcard, strictly.
//!
//! Postcard is compact and documented, but reads two spellings of one integer and leaves trailing
//! bytes to the caller. Signed data must have one spelling, so [`decode`] accepts exactly the
//! bytes that [`encode`] would write and nothing else.

use postcard::ser_flavors::{Flavor, Size};
use serde::{Serialize, de::DeserializeOwned};

/// Room with which an encoding begins, so that most values ask for memory once and not six times.
/// // measured (`huza bench first-sync`): headers and rows have 70 to 250 bytes
const USUAL_BYTES: usize = 256;

/// Why bytes were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end early or hold a value out of its range.
    #[error("malformed bytes")]
    Malformed,
    /// There is something behind the value.
    #[error("{0} bytes behind the end")]
    Trailing(usize),
    /// The value is spelled in another way than we would spell it.
    #[error("not in canonical form")]
    NotCanonical,
    /// A bound of [`crate::limits`] is exceeded.
    #[error("exceeds the limit on {0}")]
    Limit(&'static str),
}

/// Encodes `value`.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "our own types have no unsized or failing parts")]
    postcard::to_extend(value, Vec::with_capacity(USUAL_BYTES))
        .expect("encoding to memory cannot fail")
}

/// How many bytes [`encode`] would write.
#[must_use]
pub fn encoded_bytes<T: Serialize + ?Sized>(value: &T) -> usize {
    #[expect(clippy::expect_used, reason = "our own types have no unsized or failing parts")]
    postcard::serialize_with_flavor(value, Size::default()).expect("counting cannot fail")
}

/// Decodes exactly what [`encode`] writes.
///
/// # Errors
/// If the bytes are malformed, have a tail, or are another spelling of the same value.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) =
        postcard::take_from_bytes::<T>(bytes).map_err(|_malformed| DecodeError::Malformed)?;
    if !rest.is_empty() {
        return Err(DecodeError::Trailing(rest.len()));
    }
    match postcard::serialize_with_flavor(&value, Same(bytes)) {
        Ok(true) => Ok(value),
        _ => Err(DecodeError::NotCanonical),
    }
}

/// Takes what [`encode`] would write as long as it is the same as these bytes, and so without memory
/// of its own.
struct Same<'a>(&'a [u8]);

impl Flavor for Same<'_> {
    type Output = bool;

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        // Hashes and keys come byte by byte.
        match self.0.split_first() {
            Some((first, rest)) if *first == data => self.0 = rest,
            _ => return Err(postcard::Error::SerializeBufferFull),
        }
        Ok(())
    }

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0 = self.0.strip_prefix(data).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.0.is_empty())
    }
}

/// `Vec<u8>` as one run of bytes with its length in front.
pub(crate) mod bytes {
    use serde::{
        Deserializer, Serializer,
        de::{SeqAccess, Visitor},
    };

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            /// JSON has no bytes, only arrays of numbers.
            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = all.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        from.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_rejects_tails_and_second_spellings() {
        assert_eq!(decode::<u32>(&encode(&5_u32)), Ok(5));
        assert_eq!(decode::<u32>(&[5, 0]), Err(DecodeError::Trailing(1)));
        assert_eq!(decode::<u32>(&[0x85, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u32>(&[0x85]), Err(DecodeError::Malformed));
    }
}
