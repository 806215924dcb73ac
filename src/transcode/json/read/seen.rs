//! Which fields of a message were set, so that none is set twice.

/// A set of small numbers. Needs no memory of its own below 64.
#[derive(Debug, Default)]
pub(super) struct Seen {
    low: u64,
    high: Vec<u64>,
}

impl Seen {
    /// Adds a number; `false` if it was there.
    #[inline]
    pub(super) fn add(&mut self, number: usize) -> bool {
        let (word, bit) = (number / 64, 1 << (number % 64));
        let word = if word == 0 { &mut self.low } else { self.high(word - 1) };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    #[inline(never)]
    fn high(&mut self, word: usize) -> &mut u64 {
        if self.high.len() <= word {
            self.high.resize(word + 1, 0);
        }
        &mut self.high[word]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_new_once() {
        let mut seen = Seen::default();
        for number in [0, 63, 64, 1000, 65_535] {
            assert!(seen.add(number), "{number}");
            assert!(!seen.add(number), "{number}");
        }
    }
}
