//! Eight bytes of text judged at once, in an ordinary register.
//!
//! A judgement has the high bit of each byte set that it is true of; the other bits mean nothing. Nothing carries over
//! from one byte to the next. Bytes beyond ASCII are judged by [`Eight::is_beyond_ascii`] alone: the other judgements
//! take them for the character without the high bit, which spares an instruction each.

use memchr::memchr;

/// Eight bytes, the first one lowest.
#[derive(Clone, Copy)]
pub struct Eight(u64);

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The bits of a byte but its highest: sums of two such bytes stay inside it.
const SEVEN_BITS: u64 = each(0x7f);

impl Eight {
    /// The bytes of this word, the first one lowest.
    #[inline(always)]
    pub const fn new(word: u64) -> Eight {
        Eight(word)
    }

    /// Which bytes are not this ASCII character.
    #[inline(always)]
    pub const fn is_not(self, character: u8) -> u64 {
        ((self.0 & SEVEN_BITS) ^ each(character)).wrapping_add(SEVEN_BITS)
    }

    /// Which bytes are this ASCII character or one behind it.
    #[inline(always)]
    pub const fn is_from(self, character: u8) -> u64 {
        (self.0 & SEVEN_BITS).wrapping_add(each(0x80 - character))
    }

    /// Which bytes are ASCII's upper-case letters.
    #[inline(always)]
    pub const fn is_upper_case(self) -> u64 {
        self.is_from(b'A') & !self.is_from(b'Z' + 1)
    }

    /// Which bytes are beyond ASCII.
    #[inline(always)]
    pub const fn is_beyond_ascii(self) -> u64 {
        self.0
    }
}

/// With how many bytes eight begin that a judgement is not true of.
#[inline(always)]
pub const fn before_first(judgement: u64) -> usize {
    // There are eight times eight zeros when it is true of none.
    (judgement & each(0x80)).trailing_zeros() as usize / 8
}

/// How many bytes are looked at in one step.
pub const STEP: usize = 16;

/// Before which byte the first such ASCII character stands in a text; its length when there is none.
#[inline(always)]
pub fn position(character: u8, text: &[u8]) -> usize {
    // What is looked for is near in most texts, and a call costs as much as looking at a step.
    let Some((step, behind)) = text.split_first_chunk::<STEP>() else {
        return text.iter().position(|&b| b == character).unwrap_or(text.len());
    };
    let both = u128::from_le_bytes(*step);
    let is_character = |eight: Eight| !(eight.is_not(character) | eight.is_beyond_ascii());
    let (first, second) = (is_character(Eight::new(both as u64)), is_character(Eight::new((both >> 64) as u64)));
    match (before_first(first), before_first(second)) {
        (8, 8) => STEP + memchr(character, behind).unwrap_or(behind.len()),
        (8, second) => 8 + second,
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_does_not_depend_on_what_stands_beside() {
        for byte in 0..=255u8 {
            for beside in [0, 1, b'!', b'"', b'#', 0x7f, 0x80, 0xff] {
                for place in 0..8 {
                    let mut bytes = [beside; 8];
                    bytes[place] = byte;
                    let eight = Eight::new(u64::from_le_bytes(bytes));
                    let truth = |judgement: u64| judgement >> (8 * place + 7) & 1 == 1;
                    let ascii = byte & 0x7f;
                    assert_eq!(truth(eight.is_not(b'"')), ascii != b'"', "{bytes:x?}");
                    assert_eq!(truth(eight.is_not(0x7f)), ascii != 0x7f, "{bytes:x?}");
                    assert_eq!(truth(eight.is_from(b' ')), ascii >= b' ', "{bytes:x?}");
                    assert_eq!(truth(eight.is_upper_case()), ascii.is_ascii_uppercase(), "{bytes:x?}");
                    assert_eq!(truth(eight.is_beyond_ascii()), !byte.is_ascii(), "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn the_first_is_found_and_eight_means_none() {
        let eight = Eight::new(u64::from_le_bytes(*b"abc\"d\"ef"));
        assert_eq!(before_first(!eight.is_not(b'"')), 3);
        assert_eq!(before_first(!eight.is_not(b'x')), 8);
    }

    #[test]
    fn a_character_is_found_wherever_it_stands() {
        for length in 0..3 * STEP {
            // 0xBD is `=` with its high bit set.
            for fill in [b'x', 0xbd] {
                let mut text = vec![fill; length];
                assert_eq!(position(b'=', &text), length);
                for at in (0..length).rev() {
                    text[at] = b'=';
                    assert_eq!(position(b'=', &text), at);
                }
            }
        }
    }
}
