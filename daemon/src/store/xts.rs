//! XTS-AES-256 (IEEE 1619-2018, NIST SP 800-38E) over pages of 4,096 bytes, in whole blocks.
//!
//! The block cipher is the `aes` crate's; here is only the mode, because the crate that has it
//! (`xts-mode`, against which the tests compare) handles one block at a time and no block in the
//! middle of a page, which is several times slower.
//!
//! There is no ciphertext stealing: pages are whole blocks. No tags either: see `cipher`.

use aes::{
    Aes256, Block,
    cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};

/// Bytes of a block of AES.
pub(super) const BLOCK_BYTES: usize = 16;

/// Bytes of a data unit: what one tweak is for. redb writes in multiples of it.
pub(super) const PAGE_BYTES: usize = 4_096;

/// Blocks that are given to the cipher at once: a page. // measured 2026-11, two busy cores with
/// VAES: 8 at a time 0.4 GB/s, 32 1.3, 64 1.9, 256 2.1 (decrypting) and 3.5
const AT_ONCE: usize = PAGE_BYTES / BLOCK_BYTES;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Encrypt,
    Decrypt,
}

/// The two ciphers of one key. `aes` wipes their schedules when they are dropped.
pub(super) struct Xts {
    data: Aes256,
    tweak: Aes256,
}

impl Xts {
    /// First half: the data's key; second half: the tweak's.
    pub(super) fn new(key: &[u8; 64]) -> Self {
        let (data, tweak) = key.split_at(32);
        let half = |bytes: &[u8]| {
            let bytes: [u8; 32] =
                core::array::from_fn(|i| bytes.get(i).copied().unwrap_or_default());
            Aes256::new(&bytes.into())
        };
        Self { data: half(data), tweak: half(tweak) }
    }

    /// En- or decrypts whole blocks of `page` in place, the first of them being number `first`.
    /// A block of zeros is left alone when decrypting. `false` if a block became zeros when
    /// encrypting: then nothing of it may be written.
    #[must_use]
    pub(super) fn apply(
        &self,
        direction: Direction,
        page: u64,
        first: usize,
        bytes: &mut [u8],
    ) -> bool {
        let mut tweak = self.first_tweak(page, first);
        let mut fine = true;
        let (blocks, _none) = Block::slice_as_chunks_mut(bytes);
        for blocks in blocks.chunks_mut(AT_ONCE) {
            let mut tweaks = [0_u128; AT_ONCE];
            for one in tweaks.iter_mut().take(blocks.len()) {
                *one = tweak;
                tweak = doubled(tweak);
            }
            fine &= match direction {
                Direction::Encrypt => self.encrypt(blocks, &tweaks),
                Direction::Decrypt => self.decrypt(blocks, &tweaks),
            };
        }
        fine
    }

    fn encrypt(&self, blocks: &mut [Block], tweaks: &[u128; AT_ONCE]) -> bool {
        mask(blocks, tweaks);
        self.data.encrypt_blocks(blocks);
        mask(blocks, tweaks);
        !blocks.iter().any(is_zero)
    }

    fn decrypt(&self, blocks: &mut [Block], tweaks: &[u128; AT_ONCE]) -> bool {
        let mut empty = [false; AT_ONCE];
        for (empty, block) in empty.iter_mut().zip(blocks.iter()) {
            *empty = is_zero(block);
        }
        mask(blocks, tweaks);
        self.data.decrypt_blocks(blocks);
        mask(blocks, tweaks);
        for (block, _) in blocks.iter_mut().zip(empty).filter(|(_, empty)| *empty) {
            *block = Block::default();
        }
        true
    }

    /// The tweak of block `first` of `page`.
    fn first_tweak(&self, page: u64, first: usize) -> u128 {
        let mut tweak = Block::from(u128::from(page).to_le_bytes());
        self.tweak.encrypt_block(&mut tweak);
        (0..first).fold(u128::from_le_bytes(tweak.into()), |tweak, _| doubled(tweak))
    }

    #[cfg(test)]
    pub(super) fn decrypt_even_zeros(&self, page: u64, first: usize, block: &mut [u8; 16]) {
        let tweak = self.first_tweak(page, first);
        let mut one = [Block::from(*block)];
        mask(&mut one, &[tweak; AT_ONCE]);
        self.data.decrypt_blocks(&mut one);
        mask(&mut one, &[tweak; AT_ONCE]);
        *block = one[0].into();
    }
}

fn mask(blocks: &mut [Block], tweaks: &[u128; AT_ONCE]) {
    for (block, tweak) in blocks.iter_mut().zip(tweaks) {
        *block = (u128::from_le_bytes((*block).into()) ^ tweak).to_le_bytes().into();
    }
}

fn is_zero(block: &Block) -> bool {
    u128::from_le_bytes((*block).into()) == 0
}

/// Times alpha in GF(2^128), by x^128 + x^7 + x^2 + x + 1.
const fn doubled(tweak: u128) -> u128 {
    (tweak << 1) ^ ((tweak >> 127) * 0x87)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        huza_crdt::id::unhex(&digits).unwrap()
    }

    /// IEEE 1619-2007, annex B, vector 10: XTS-AES-256, data unit 0xff.
    #[test]
    fn the_standards_vector_comes_out() {
        let key = hex("2718281828459045235360287471352662497757247093699959574966967627
             3141592653589793238462643383279502884197169399375105820974944592");
        let expected = hex("1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b
             5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd
             5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0
             c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca
             2a3e7a7d7df7b10355165c8b9a6d0a7de8b062c4500dc4cd120c0f7418dae3d0
             b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f
             93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec
             583e9645e07b8d9670655ba5bbcfecc6dc3966380ad8fecb17b6ba02469a020a
             84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1
             505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae
             9be69a2ffeceb1bec9de244fbe15992b11b77c040f12bd8f6a975a44a0f90c29
             a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac
             6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f
             645e8b7e9bfdef33943054ff84011493c27b3429eaedb4ed5376441a77ed4385
             1ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa
             773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151");
        let plain: Vec<u8> = (0..512_u32).map(|i| i.to_le_bytes()[0]).collect();
        let xts = Xts::new(&key.try_into().unwrap());
        let mut bytes = plain.clone();
        assert!(xts.apply(Direction::Encrypt, 0xff, 0, &mut bytes));
        assert_eq!(bytes, expected);
        assert!(xts.apply(Direction::Decrypt, 0xff, 0, &mut bytes));
        assert_eq!(bytes, plain);
        // From the middle of the page on.
        let mut part = plain[160..].to_vec();
        assert!(xts.apply(Direction::Encrypt, 0xff, 10, &mut part));
        assert_eq!(part, expected[160..]);
    }

    #[test]
    fn whole_pages_are_those_of_an_independent_implementation() {
        let key: [u8; 64] = core::array::from_fn(|i| u8::try_from(i * 3).unwrap());
        let cipher = |half: &[u8]| Aes256::new(half.try_into().unwrap());
        let theirs = xts_mode::Xts128::new(cipher(&key[..32]), cipher(&key[32..]));
        let ours = Xts::new(&key);
        for page in [0, 1, 255, u64::from(u32::MAX) + 7] {
            let mut one: Vec<u8> = (0..4_096_u32).map(|i| (i * 31).to_le_bytes()[0]).collect();
            let mut two = one.clone();
            assert!(ours.apply(Direction::Encrypt, page, 0, &mut one));
            theirs.encrypt_sector(&mut two, u128::from(page).to_le_bytes().into());
            assert_eq!(one, two, "page {page}");
        }
    }
}
