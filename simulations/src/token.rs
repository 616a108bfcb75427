//! Canaries: every write carries a token that cannot be compressed and names its village. Where a
//! token turns up tells who can read what, and whether a write is still there.

use memchr::memmem::Finder;

use crate::draw::Draw;

/// What every token begins with.
const MARK: &str = "wqkzvxjp";
/// Digits that name the village.
const VILLAGE_CHARS: usize = 2;
/// Drawn characters.
const DRAWN_CHARS: usize = 14;
/// Length of a token.
const TOKEN_CHARS: usize = MARK.len() + VILLAGE_CHARS + DRAWN_CHARS;

/// The number that stands for the directory, which every member reads.
pub(crate) const DIRECTORY: u64 = 0;

/// A token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Token([u8; TOKEN_CHARS]);

impl core::fmt::Debug for Token {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Token({:?})", self.as_str())
    }
}

impl Token {
    /// A new one for a village.
    pub(crate) fn mint(village: u64, draw: &mut Draw) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = format!("{MARK}{village:02}").into_bytes();
        text.extend((0..DRAWN_CHARS).map(|_| draw.pick_or(LETTERS, b'a')));
        Self(core::array::from_fn(|at| text.get(at).copied().unwrap_or(b'a')))
    }

    /// As it stands in records.
    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The village it belongs to.
    pub(crate) fn village(&self) -> u64 {
        let digits = self.as_str().get(MARK.len()..MARK.len() + VILLAGE_CHARS);
        digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
    }
}

/// Searches for tokens.
#[derive(Debug)]
pub(crate) struct Tokens(Finder<'static>);

impl Default for Tokens {
    fn default() -> Self {
        Self(Finder::new(MARK))
    }
}

impl Tokens {
    /// All tokens in some bytes, whole ones only, in their order.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<Token> {
        let whole = |at: usize| {
            let text = bytes.get(at..)?.first_chunk()?;
            core::str::from_utf8(text).is_ok().then_some(Token(*text))
        };
        self.0.find_iter(bytes).filter_map(whole).collect()
    }

    /// Whether a token, or the beginning of one, is in some bytes.
    pub(crate) fn any(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_and_name_their_village() {
        let mut draw = Draw::new(1, "tokens");
        let (one, other) = (Token::mint(3, &mut draw), Token::mint(12, &mut draw));
        let text = format!("xx{} and {}", one.as_str(), other.as_str());
        let tokens = Tokens::default();
        assert_eq!(tokens.find(text.as_bytes()), [one, other]);
        assert_eq!((one.village(), other.village()), (3, 12));
        assert!(tokens.any(&text.as_bytes()[..12]));
        assert!(!tokens.any(b"wqkzvxj"));
    }

    #[test]
    fn tokens_cannot_be_compressed_away() {
        let mut draw = Draw::new(2, "tokens");
        let text: Vec<u8> = (0..50).flat_map(|_| Token::mint(1, &mut draw).0).collect();
        let packed = huza_crdt::pack::pack(&text).unwrap();
        assert!(packed.len() > 50 * 8, "{}", packed.len());
    }
}
