//! The one spelling of a JSON string (design.md, section 4).

use super::eight::{Eight, STEP, before_first};

/// Which of eight bytes do not stand for themselves in a JSON string.
#[inline(always)]
pub const fn special(eight: Eight) -> u64 {
    !(eight.is_from(b' ') & eight.is_not(b'"') & eight.is_not(b'\\') & eight.is_not(0x7f)) | eight.is_beyond_ascii()
}

/// Which of eight bytes do not stand for themselves in a name that is folded.
#[inline(always)]
pub const fn special_in_names(eight: Eight) -> u64 {
    special(eight) | eight.is_upper_case()
}

/// [`special`] for one byte at a time.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = before_first(special(Eight::new(byte as u64))) == 0;
        byte += 1;
    }
    table
};

/// [`special_in_names`] for one byte at a time.
const SPECIAL_IN_NAMES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = before_first(special_in_names(Eight::new(byte as u64))) == 0;
        byte += 1;
    }
    table
};

/// Whether a name is its own spelling: in lower case, and nothing in it needs an escape.
pub fn is_plain_name(name: &[u8]) -> bool {
    let is_plain = |letters: &[u8; 8]| before_first(special_in_names(Eight::new(u64::from_le_bytes(*letters)))) == 8;
    match name.last_chunk() {
        Some(last) => is_plain(last) && name.chunks_exact(8).all(|letters| letters.first_chunk().is_some_and(is_plain)),
        None => !name.iter().any(|&b| SPECIAL_IN_NAMES[usize::from(b)]),
    }
}

/// With how many bytes a step begins that a judgement is not true of; the bytes marked in `passed` count among them.
#[inline(always)]
pub fn plain_in_step(step: &[u8; STEP], passed: u64, special: impl Fn(Eight) -> u64) -> usize {
    let both = u128::from_le_bytes(*step);
    let first = before_first(special(Eight::new(both as u64)) & !passed);
    let second = before_first(special(Eight::new((both >> 64) as u64)));
    // No branch: where a string ends cannot be predicted.
    first + if first == STEP / 2 { second } else { 0 }
}

/// The last few bytes of a text as a whole step; what is missing is NUL, which no string holds.
#[cold]
pub fn padded(rest: &[u8]) -> [u8; STEP] {
    let mut step = [0; STEP];
    step.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    step
}

/// With how many bytes that are not special a text begins.
pub fn plain_bytes(text: &[u8]) -> usize {
    let mut plain = 0;
    let mut rest = text;
    while let Some((step, behind)) = rest.split_first_chunk::<STEP>() {
        match plain_in_step(step, 0, special) {
            STEP => plain += STEP,
            count => return plain + count,
        }
        rest = behind;
    }
    plain + rest.iter().take_while(|&&b| !SPECIAL[usize::from(b)]).count()
}

/// Appends text as the inside of a JSON string, in the one spelling of section 4.
pub fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let (plain, behind) = rest.split_at_checked(plain_bytes(rest)).unwrap_or_default();
        out.extend_from_slice(plain);
        match behind {
            [] => return,
            [0xc2, second @ 0x80..=0x9f, behind @ ..] => {
                push_unit(u16::from(*second), out);
                rest = behind;
            }
            [byte @ 0x80..=0xff, behind @ ..] => {
                out.push(*byte);
                rest = behind;
            }
            [byte, behind @ ..] => {
                push_control(*byte, out);
                rest = behind;
            }
        }
    }
}

/// Appends one character as the inside of a JSON string.
pub fn push_char(c: char, out: &mut Vec<u8>) {
    push_text(c.encode_utf8(&mut [0; 4]).as_bytes(), out);
}

/// Appends an ASCII byte that a JSON string cannot hold as it is.
fn push_control(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        other => push_unit(u16::from(other), out),
    }
}

/// Appends `\uXXXX` in lower-case hex.
pub fn push_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&spell_unit(unit));
}

/// `\uXXXX` in lower-case hex.
pub fn spell_unit(unit: u16) -> [u8; 6] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS[usize::from((unit >> shift) & 15)];
    [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]
}

/// Appends JSON text with `\uXXXX` (surrogate pairs) for everything beyond ASCII: `--ascii`.
/// Outside of strings JSON is ASCII, so the text is gone through once, whatever stands in it.
pub fn push_ascii_json(json: &[u8], out: &mut Vec<u8>) {
    for chunk in json.utf8_chunks() {
        for c in chunk.valid().chars() {
            match u8::try_from(c) {
                Ok(byte) if byte.is_ascii() => out.push(byte),
                _ => push_units(c, out),
            }
        }
    }
}

/// Appends a character as one `\uXXXX` or as a surrogate pair.
pub fn push_units(c: char, out: &mut Vec<u8>) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        push_unit(*unit, out);
    }
}

/// Appends what the inside of a JSON string in the one spelling means.
///
/// For text that this module spelled; an escape that it never writes is passed over.
pub fn push_meaning(spelled: &[u8], out: &mut Vec<u8>) {
    let mut rest = spelled;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = match escape {
            [_, b'u', a, b, c, d, behind @ ..] => {
                let digits = [*a, *b, *c, *d];
                let value = std::str::from_utf8(&digits).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
                let meant = value.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes());
                behind
            }
            [_, letter, behind @ ..] => {
                out.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'f' => 0x0c,
                    other => *other,
                });
                behind
            }
            _ => &[],
        };
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_and_a_byte_agree_on_what_is_special() {
        let is_special = |b: u8| !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\';
        for byte in 0..=255u8 {
            assert_eq!(SPECIAL[usize::from(byte)], is_special(byte), "{byte:#x}");
            assert_eq!(SPECIAL_IN_NAMES[usize::from(byte)], is_special(byte) || byte.is_ascii_uppercase(), "{byte:#x}");
            for place in 0..STEP {
                let mut step = *b"abcdefghijklmnop";
                step[place] = byte;
                let expected = if is_special(byte) { place } else { STEP };
                assert_eq!(plain_in_step(&step, 0, special), expected, "{byte:#x} at {place}");
            }
        }
        assert_eq!(plain_in_step(b"\"abcdefghi\"klmno", 0x80, special), 10);
    }

    #[test]
    fn one_spelling_for_every_character() {
        let text = "a\"\\\n\r\t\u{8}\u{c}\0\u{1f}\u{7f}\u{80}\u{85}\u{9f}\u{a0}é\u{2028}😀/'";
        let mut spelled = Vec::new();
        push_text(text.as_bytes(), &mut spelled);
        let expected = concat!(r#"a\"\\\n\r\t\b\f\u0000\u001f\u007f\u0080\u0085\u009f"#, "\u{a0}é\u{2028}😀/'");
        assert_eq!(String::from_utf8(spelled.clone()).unwrap(), expected);
        let mut back = Vec::new();
        push_meaning(&spelled, &mut back);
        assert_eq!(back, text.as_bytes());
        let mut ascii = Vec::new();
        push_ascii_json(&spelled, &mut ascii);
        assert!(ascii.ends_with(br"\u00a0\u00e9\u2028\ud83d\ude00/'"));
    }
}
