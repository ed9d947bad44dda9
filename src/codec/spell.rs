//! The one spelling of a JSON string (design.md, section 4), and the fast path that all spelling takes.

/// The low bit of each byte of a word.
const LOW_BITS: u64 = u64::from_le_bytes([0x01; 8]);
/// The high bit of each byte of a word.
const HIGH_BITS: u64 = u64::from_le_bytes([0x80; 8]);

/// Copies bytes that a JSON string spells as themselves, up to the first that needs care: a quote, a backslash, a
/// control character, DEL, or anything beyond ASCII. Returns how many were copied.
///
/// Eight bytes are stored first and judged afterwards; what was stored too much is taken back. That is the whole trick
/// behind the speed of the filters: most of a game's lines are strings like these.
pub fn copy_plain(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut copied = 0;
    let mut rest = text;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        out.extend_from_slice(chunk);
        let marks = special_bytes(u64::from_le_bytes(*chunk));
        if marks != 0 {
            let plain = (marks.trailing_zeros() / 8) as usize;
            out.truncate(out.len() - (8 - plain));
            return copied + plain;
        }
        copied += 8;
        rest = behind;
    }
    let plain = rest.iter().take_while(|&&byte| is_plain(byte)).count();
    out.extend_from_slice(rest.get(..plain).unwrap_or_default());
    copied + plain
}

/// Whether a byte stands for itself in a JSON string.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Marks the first byte of a word that is not [`is_plain`] with its high bit; marks behind it may be wrong.
const fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (LOW_BITS * b'"' as u64);
    let backslash = word ^ (LOW_BITS * b'\\' as u64);
    let delete = word ^ (LOW_BITS * 0x7f);
    let control = word.wrapping_sub(LOW_BITS * 0x20) & !word;
    (zero_bytes(quote) | zero_bytes(backslash) | zero_bytes(delete) | control | word) & HIGH_BITS
}

/// Marks the first zero byte of a word with its high bit; marks behind it may be wrong.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word
}

/// Appends text as the inside of a JSON string, in the one spelling of section 4.
pub fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    loop {
        let copied = copy_plain(rest, out);
        rest = rest.get(copied..).unwrap_or_default();
        match rest {
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
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS[usize::from((unit >> shift) & 15)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// Appends JSON text with `\uXXXX` (surrogate pairs) for everything beyond ASCII: `--ascii`.
/// Outside of strings JSON is ASCII, so the text is gone through once, whatever stands in it.
pub fn push_ascii(json: &[u8], out: &mut Vec<u8>) {
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
    fn the_word_and_the_byte_agree_on_what_is_plain() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut word = *b"abcdefgh";
                word[place] = byte;
                let mut out = Vec::new();
                let expected = if is_plain(byte) { 8 } else { place };
                assert_eq!(copy_plain(&word, &mut out), expected, "{byte:#x} at {place}");
                assert_eq!(out, &word[..expected]);
            }
        }
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
        push_ascii(&spelled, &mut ascii);
        assert!(ascii.ends_with(br"\u00a0\u00e9\u2028\ud83d\ude00/'"));
    }
}
