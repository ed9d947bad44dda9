//! Small rules about text that every layer shares: what white space is, and how foreign text is shown to a person.
//!
//! Nothing here knows BCP; lines are the task of `bcp` and `framing`.

use std::ffi::OsStr;

use crate::limits::SHOWN_CHARS_MAX;

/// Whether a byte is white space to BCP: space, tab, LF, VT, FF and CR.
/// Unicode's white space is text: trimming it would change the names of parameters.
pub const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// `bytes` without white space at either end.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_white(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_white(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Whether a control character (C0, DEL, C1) would reach a terminal with this character.
pub const fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}')
}

/// Foreign text that must not be cut, such as the name of a file: bytes that are not UTF-8 as `\xFF`, control
/// characters escaped.
pub fn safe(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_safe(&mut text, c));
        chunk.invalid().iter().for_each(|byte| push_byte(&mut text, *byte));
    }
    text
}

/// The name of a file as messages show it: safe for a terminal, and never cut, so that it can be copied.
pub fn file_name(path: impl AsRef<OsStr>) -> String {
    safe(path.as_ref().as_encoded_bytes())
}

/// `1 message`, `2 messages`.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Foreign text as an error message shows it: bytes that are not UTF-8 as `\xFF`, control characters escaped,
/// and cut to [`SHOWN_CHARS_MAX`] characters, then `…`.
pub fn shown(bytes: &[u8]) -> String {
    // A character takes at most four bytes, so the rest of a huge line is not looked at.
    let window = bytes.get(..(SHOWN_CHARS_MAX + 1) * 4).unwrap_or(bytes);
    let mut text = String::new();
    let mut room = SHOWN_CHARS_MAX;
    for chunk in window.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !take(&mut room) {
                text.push('…');
                return text;
            }
            push_safe(&mut text, c);
        }
        for byte in chunk.invalid() {
            if !take(&mut room) {
                text.push('…');
                return text;
            }
            push_byte(&mut text, *byte);
        }
    }
    if window.len() < bytes.len() {
        text.push('…');
    }
    text
}

/// Appends a character so that it cannot move a terminal's cursor: control characters become escapes.
pub fn push_safe(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if is_control(c) => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        c => text.push(c),
    }
}

/// Appends a byte that is part of no character.
fn push_byte(text: &mut String, byte: u8) {
    text.push_str(&format!("\\x{byte:02X}"));
}

fn take(room: &mut usize) -> bool {
    match room.checked_sub(1) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_asciis_six() {
        assert_eq!(trim(b" \t\n\x0b\x0c\ra b\x0b "), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim("\u{3000}a\u{a0}".as_bytes()), "\u{3000}a\u{a0}".as_bytes());
    }

    #[test]
    fn shown_text_is_safe_and_short() {
        assert_eq!(shown(b"int:abc"), "int:abc");
        assert_eq!(shown(b"a\x1b[2J\xff\r\n"), "a\\x1b[2J\\xFF\\r\\n");
        assert_eq!(shown("\u{9b}é".as_bytes()), "\\x9bé");
        let long = "é".repeat(SHOWN_CHARS_MAX + 1);
        assert_eq!(shown(long.as_bytes()).chars().count(), SHOWN_CHARS_MAX + 1);
        assert!(shown(long.as_bytes()).ends_with('…'));
        assert!(shown(&[0xff; 100_000]).ends_with('…'));
    }

    #[test]
    fn safe_text_is_whole() {
        assert_eq!(safe(b"a\x1b[2J\xff\n"), "a\\x1b[2J\\xFF\\n");
        let long = "é".repeat(10 * SHOWN_CHARS_MAX);
        assert_eq!(safe(long.as_bytes()), long);
    }
}
