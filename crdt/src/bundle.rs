//! A bundle: what one end of a session would send, as a file to carry by hand, one way.
//!
//! ```text
//! bundle = pages, one behind the other
//! page   = "huza bundle 1" 0a (14) | length (4, little endian) | check (8) | sealed (length)
//! ```
//!
//! What is sealed under the members' key is a frame of a session: batches numbered from 0, and
//! [`Frame::Totals`](crate::session::frame::Frame::Totals) of them at the end. Every page stands
//! alone. So a page that is damaged costs only itself: [`Pages`] goes on at the next one, and says
//! which bytes were lost.
//!
//! `node::bundle` fills pages and takes them in; nothing here knows what is in them.

use crate::id::{hash_parts, truncated};
use crate::limits::{BUNDLE_FAILURES_MAX, FRAME_BYTES_MAX};

/// How every page begins.
pub const MAGIC: &[u8; 14] = b"huza bundle 1\n";

/// Context under which a page is sealed with the members' key.
pub const CONTEXT: &[u8] = b"huza bundle 1\0";

/// Bytes of a page in front of what is sealed.
const HEAD_BYTES: usize = MAGIC.len() + 4 + CHECK_BYTES;

const CHECK_BYTES: usize = 8;

/// What a seal adds: nonce and tag.
const SEAL_BYTES: usize = 24 + 16;

/// One page, around what is sealed.
#[must_use]
pub fn page(sealed: &[u8]) -> Vec<u8> {
    let length = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
    [MAGIC.as_slice(), &length.to_le_bytes(), &check(sealed), sealed].concat()
}

fn check(sealed: &[u8]) -> [u8; CHECK_BYTES] {
    truncated(hash_parts("huza 2026 bundle page", &[sealed]))
}

/// Something found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// What is sealed in a whole page.
    Page(Vec<u8>),
    /// Bytes that belong to no whole page.
    Damaged {
        /// Position of the first in the file.
        from: u64,
        /// Position behind the last.
        to: u64,
    },
}

/// Finds the whole pages in the bytes of a file, given in any chunks. Holds one page at most.
#[derive(Debug, Default)]
pub struct Pages {
    buffer: Vec<u8>,
    /// Position of the buffer in the file.
    at: u64,
    damaged_from: Option<u64>,
    failures: usize,
    ended: bool,
}

impl Pages {
    /// The next bytes. Take what [`Self::find`] finds before more come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// No more bytes come.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// The next thing in the bytes that have come; nothing if more are needed, or all is found.
    pub fn find(&mut self) -> Option<Found> {
        loop {
            if self.failures >= BUNDLE_FAILURES_MAX {
                self.skip(self.buffer.len());
            }
            let begins = self.buffer.windows(MAGIC.len()).position(|bytes| bytes == MAGIC);
            let Some(begins) = begins else {
                // The beginning of a page may be in what is there.
                let keep = if self.ended { 0 } else { MAGIC.len() - 1 };
                self.skip(self.buffer.len().saturating_sub(keep));
                let lost = self.damaged_from.take_if(|_| self.ended)?;
                return Some(Found::Damaged { from: lost, to: self.at });
            };
            self.skip(begins);
            match self.page() {
                Whole::Yes(_) if self.damaged_from.is_some() => {
                    let from = self.damaged_from.take().unwrap_or_default();
                    return Some(Found::Damaged { from, to: self.at });
                }
                Whole::Yes(length) => {
                    let rest = self.buffer.split_off(length);
                    let mut page = core::mem::replace(&mut self.buffer, rest);
                    self.at += length as u64;
                    return Some(Found::Page(page.split_off(HEAD_BYTES)));
                }
                Whole::NotYet if !self.ended => return None,
                Whole::NotYet | Whole::No => {
                    self.failures += 1;
                    self.skip(1);
                }
            }
        }
    }

    /// Leaves out what is damaged.
    fn skip(&mut self, bytes: usize) {
        if bytes > 0 {
            self.damaged_from.get_or_insert(self.at);
            self.buffer.drain(..bytes);
            self.at += bytes as u64;
        }
    }

    /// Whether a page is whole that seems to begin here.
    fn page(&self) -> Whole {
        let Some((head, rest)) = self.buffer.split_at_checked(HEAD_BYTES) else {
            return Whole::NotYet;
        };
        let (length, told) = head.split_at(MAGIC.len()).1.split_at(4);
        let length = length.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
        if !(SEAL_BYTES..=FRAME_BYTES_MAX + SEAL_BYTES).contains(&length) {
            return Whole::No;
        }
        match rest.get(..length) {
            Some(sealed) if check(sealed) == told => Whole::Yes(HEAD_BYTES + length),
            Some(_) => Whole::No,
            None => Whole::NotYet,
        }
    }
}

enum Whole {
    /// Of so many bytes.
    Yes(usize),
    NotYet,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], chunk: usize) -> Vec<Found> {
        let mut pages = Pages::default();
        let mut found = Vec::new();
        for bytes in bytes.chunks(chunk) {
            pages.push(bytes);
            found.extend(core::iter::from_fn(|| pages.find()));
        }
        pages.end();
        found.extend(core::iter::from_fn(|| pages.find()));
        found
    }

    #[test]
    fn whole_pages_are_found_whatever_is_between_them_and_however_they_come() {
        let (one, two) = (vec![1; 40], vec![2; 100]);
        let file = [page(&one), b"dirt".to_vec(), page(&two)].concat();
        let lost = Found::Damaged { from: 66, to: 70 };
        let expected = [Found::Page(one.clone()), lost, Found::Page(two)];
        for chunk in 1..file.len() {
            assert_eq!(all(&file, chunk), expected, "{chunk}");
        }
        let cut = Found::Damaged { from: 70, to: 195 };
        assert_eq!(all(&file[..195], 7)[2..], [], "one place, until the end");
        assert_eq!(all(&file[..195], 7)[1], Found::Damaged { from: 66, to: 195 });
        assert_ne!(all(&file[..195], 7)[1], cut);
        assert_eq!(all(b"", 1), []);
        assert_eq!(all(b"PK", 1), [Found::Damaged { from: 0, to: 2 }]);
    }

    /// Who fills a card with beginnings of pages costs us a bounded time.
    #[test]
    fn bundle_failures_max() {
        let fake = [MAGIC.as_slice(), &64_u32.to_le_bytes(), &[0; 8]].concat();
        let (few, many) = (fake.repeat(BUNDLE_FAILURES_MAX - 1), fake.repeat(BUNDLE_FAILURES_MAX));
        let good = page(&[3; 64]);
        let end = (few.len(), few.len() + good.len());
        let found = all(&[few, good.clone()].concat(), 4_096);
        let expected = [Found::Damaged { from: 0, to: end.0 as u64 }, Found::Page(vec![3; 64])];
        assert_eq!(found, expected);
        assert_eq!(all(&[many, good].concat(), 4_096).len(), 1);
    }
}
