//! The names of one message's parameters: whether one may stand there twice.

use super::eight::Eight;

/// A bit for each name seen, by its length and its last letters. Two names may share a bit; a name whose bit is free is
/// new, and that spares nearly every message from having its names compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names {
    seen: u64,
    may_repeat: bool,
}

impl Names {
    /// Whether two of the names may be the same.
    pub fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// Takes down a name.
    #[inline]
    pub fn add(&mut self, name: &[u8]) {
        self.add_letters(last_letters(name), name.len());
    }

    /// Takes down a name of printable ASCII, unless trimming or folding changes it; whether it was taken.
    #[inline]
    pub fn add_usual(&mut self, name: &[u8], keep_case: bool) -> bool {
        let last = last_letters(name);
        let upper = name.chunks_exact(8).fold(Eight::new(last).is_upper_case(), |upper, letters| {
            upper | Eight::new(letters.first_chunk().map_or(0, |letters| u64::from_le_bytes(*letters))).is_upper_case()
        });
        let folds = !keep_case && upper & 0x8080_8080_8080_8080 != 0;
        if folds || matches!(name, [b' ', ..] | [.., b' ']) {
            return false;
        }
        self.add_letters(last, name.len());
        true
    }

    #[inline]
    fn add_letters(&mut self, last: u64, length: usize) {
        // A multiplication by an odd number without a pattern spreads all bits into the upper six.
        let mixed = (last ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = 1 << (mixed >> 58);
        self.may_repeat |= self.seen & bit != 0;
        self.seen |= bit;
    }
}

/// The last eight letters of a name, or all when there are fewer.
#[inline]
fn last_letters(name: &[u8]) -> u64 {
    match name.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => name.iter().fold(0, |sum, &letter| sum << 8 | u64::from(letter)),
    }
}
