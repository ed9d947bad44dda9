//! The one spelling of a JSON string (design.md, section 4).

/// How many bytes are looked at in one step: what every processor's registers hold.
pub const STEP: usize = 16;

/// Whether a byte does not stand for itself in a JSON string. No `||`: a step's bytes are then judged all at once.
pub const fn is_special(byte: u8) -> bool {
    // As a signed number everything beyond ASCII is below the blank, like the control characters.
    ((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f)
}

/// [`is_special`] for one byte at a time.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = is_special(byte as u8);
        byte += 1;
    }
    table
};

/// Whether a byte of a name does not stand for itself, folded and in JSON.
const SPECIAL_IN_NAMES: [bool; 256] = {
    let mut table = SPECIAL;
    let mut upper = b'A';
    while upper <= b'Z' {
        table[upper as usize] = true;
        upper += 1;
    }
    table
};

/// Whether a name is its own spelling: in lower case, and nothing in it needs an escape.
pub fn is_plain_name(name: &[u8]) -> bool {
    !name.iter().any(|&b| SPECIAL_IN_NAMES[usize::from(b)])
}

/// A step with `ff` at each special byte, in the order of memory; it compiles to a few instructions for all of them.
#[inline(always)]
pub fn marks(step: &[u8; STEP], special: impl Fn(u8) -> bool) -> u128 {
    let mut marks = [0; STEP];
    for (mark, &byte) in marks.iter_mut().zip(step) {
        *mark = 0u8.wrapping_sub(u8::from(special(byte)));
    }
    u128::from_le_bytes(marks)
}

/// With how many bytes that are not special a text begins.
pub fn plain_bytes(text: &[u8]) -> usize {
    let mut plain = 0;
    for step in text.chunks(STEP) {
        let marks = match step.first_chunk::<STEP>() {
            Some(step) => marks(step, is_special),
            None => return plain + step.iter().take_while(|&&b| !SPECIAL[usize::from(b)]).count(),
        };
        if marks != 0 {
            return plain + (marks.trailing_zeros() / 8) as usize;
        }
        plain += STEP;
    }
    plain
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
    fn a_step_marks_what_is_special_byte_by_byte() {
        for byte in 0..=255u8 {
            for place in 0..STEP {
                let mut step = *b"abcdefghijklmnop";
                step[place] = byte;
                let expected = if is_special(byte) { 0xff << (8 * place) } else { 0 };
                assert_eq!(marks(&step, is_special), expected, "{byte:#x} at {place}");
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
