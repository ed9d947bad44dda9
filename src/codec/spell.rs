//! The one spelling of a JSON string (design.md, section 4), and the fast path that all spelling takes.

/// How many bytes are looked at in one step: what every processor's registers hold.
const STEP: usize = 16;

/// Copies bytes that a JSON string spells as themselves, up to the first that needs care: a quote, a backslash, a
/// control character, DEL, or anything beyond ASCII. Returns how many were copied.
pub fn copy_plain(text: &[u8], out: &mut Vec<u8>) -> usize {
    copy_until(text, 0, is_special, out).0
}

/// Copies a string from its opening quote to its closing one, or up to the first byte that needs care. Returns how many
/// bytes were copied, and whether the closing quote is the last of them.
pub fn copy_string(text: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
    copy_until(text, OPENING_QUOTE, is_special, out)
}

/// Like [`copy_string`], for a name that is folded: upper-case letters need care too.
pub fn copy_name(text: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
    copy_until(text, OPENING_QUOTE, |byte| is_special(byte) | byte.is_ascii_uppercase(), out)
}

/// The mark of a first byte that is copied whatever it is.
const OPENING_QUOTE: u128 = 0xff;

/// Copies up to the first special byte; a quote there is copied too, unless nothing was `opened`.
///
/// A step's bytes are stored first and judged afterwards; what was stored too much is taken back. That is the whole
/// trick behind the speed of the filters: most of a game's lines are strings that fit into a step or two.
#[inline(always)]
fn copy_until(text: &[u8], opened: u128, special: impl Fn(u8) -> bool, out: &mut Vec<u8>) -> (usize, bool) {
    let mut copied = 0;
    let mut passed = opened;
    let mut rest = text;
    while let Some((step, behind)) = rest.split_first_chunk::<STEP>() {
        out.extend_from_slice(step);
        let marks = marks(step, &special) & !passed;
        if marks != 0 {
            let plain = (marks.trailing_zeros() / 8) as usize;
            let closed = opened != 0 && step.get(plain) == Some(&b'"');
            let kept = plain + usize::from(closed);
            out.truncate(out.len() - (STEP - kept));
            return (copied + kept, closed);
        }
        copied += STEP;
        passed = 0;
        rest = behind;
    }
    // The last few bytes of a line.
    for (at, &byte) in rest.iter().enumerate() {
        let first = copied + at == 0 && opened != 0;
        let closed = !first && opened != 0 && byte == b'"';
        if closed || first || !special(byte) {
            out.push(byte);
        }
        if !first && special(byte) {
            return (copied + at + usize::from(closed), closed);
        }
    }
    (text.len(), false)
}

/// Whether a byte does not stand for itself in a JSON string. No `||`: a step's bytes are then judged all at once.
const fn is_special(byte: u8) -> bool {
    // As a signed number everything beyond ASCII is below the blank, like the control characters.
    ((byte as i8) < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == 0x7f)
}

/// A step with `ff` at each special byte, in the order of memory; it compiles to a few instructions for all of them.
#[inline(always)]
fn marks(step: &[u8; STEP], special: impl Fn(u8) -> bool) -> u128 {
    let mut marks = [0; STEP];
    for (mark, &byte) in marks.iter_mut().zip(step) {
        *mark = 0u8.wrapping_sub(u8::from(special(byte)));
    }
    u128::from_le_bytes(marks)
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
    fn a_step_and_a_byte_agree_on_what_is_special() {
        for byte in 0..=255u8 {
            for length in [1, STEP - 1, STEP, STEP + 3, 2 * STEP] {
                for place in 0..length {
                    let mut text = b"abcdefgh".repeat(5)[..length].to_vec();
                    text[place] = byte;
                    let mut out = Vec::new();
                    let expected = if is_special(byte) { place } else { length };
                    assert_eq!(copy_plain(&text, &mut out), expected, "{byte:#x} at {place} of {length}");
                    assert_eq!(out, &text[..expected]);
                }
            }
        }
    }

    #[test]
    fn a_string_is_copied_with_its_quotes() {
        for length in 0..40 {
            for behind in ["", ":", "x".repeat(40).as_str()] {
                let inside = "abcdefgh".repeat(5)[..length].to_string();
                let text = format!("\"{inside}\"{behind}");
                let mut out = Vec::new();
                assert_eq!(copy_string(text.as_bytes(), &mut out), (length + 2, true), "{text}");
                assert_eq!(out, &text.as_bytes()[..length + 2]);
                let cut = format!("\"{inside}\\n{behind}");
                assert_eq!(copy_string(cut.as_bytes(), &mut out), (length + 1, false), "{cut}");
                let upper = format!("\"{inside}X{behind}");
                assert_eq!(copy_name(upper.as_bytes(), &mut out), (length + 1, false), "{upper}");
                let open = format!("\"{inside}");
                assert_eq!(copy_string(open.as_bytes(), &mut out), (length + 1, false), "{open}");
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
