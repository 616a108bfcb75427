//! Which node holds which messages.

/// A row of bits for each node.
#[derive(Debug, Clone)]
pub(super) struct Held {
    words: usize,
    bits: Vec<u64>,
}

impl Held {
    pub(super) fn new(nodes: usize, messages: usize) -> Self {
        let words = messages.div_ceil(64);
        Self { words, bits: vec![0; nodes * words] }
    }

    fn row(&self, node: usize) -> &[u64] {
        self.bits.get(node * self.words..(node + 1) * self.words).unwrap_or_default()
    }

    pub(super) fn has(&self, node: usize, message: usize) -> bool {
        self.row(node).get(message / 64).is_some_and(|word| word >> (message % 64) & 1 == 1)
    }

    pub(super) fn put(&mut self, node: usize, message: usize) {
        if let Some(word) = self.bits.get_mut(node * self.words + message / 64) {
            *word |= 1 << (message % 64);
        }
    }

    /// The messages that one node has and another has not.
    pub(super) fn lacking(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let words = self.row(from).iter().zip(self.row(to)).map(|(has, other)| has & !other);
        words.enumerate().flat_map(|(index, word)| {
            let bits = core::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)));
            let bits = bits.take_while(|left| *left != 0);
            bits.map(move |left| index * 64 + left.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_and_another_has_not() {
        let mut held = Held::new(2, 130);
        for message in [0, 63, 64, 129] {
            held.put(0, message);
        }
        held.put(1, 63);
        assert_eq!(held.lacking(0, 1).collect::<Vec<_>>(), [0, 64, 129]);
        assert_eq!(held.lacking(1, 0).count(), 0);
        assert!(held.has(0, 129) && !held.has(1, 129) && !held.has(0, 128));
    }
}
