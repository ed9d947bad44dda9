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
pub fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&b| !is_white(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|&b| !is_white(b)).map_or(start, |last| last + 1);
    &bytes[start..end]
}

/// Foreign text that must not be cut, such as the name of a file: bytes that are not UTF-8 as `\xFF`, control
/// characters escaped.
pub fn safe(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    characters(bytes).for_each(|character| push_character(&mut text, character));
    text
}

/// The characters of a text, and the bytes that are part of none.
fn characters(bytes: &[u8]) -> impl Iterator<Item = Result<char, u8>> {
    let chunks = bytes.utf8_chunks();
    chunks.flat_map(|chunk| chunk.valid().chars().map(Ok).chain(chunk.invalid().iter().copied().map(Err)))
}

/// Appends a character so that it cannot move a terminal's cursor: control characters (C0, DEL, C1) become escapes.
fn push_character(text: &mut String, character: Result<char, u8>) {
    match character {
        Ok('\n') => text.push_str("\\n"),
        Ok('\r') => text.push_str("\\r"),
        Ok('\t') => text.push_str("\\t"),
        Ok(c) if c.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        Ok(c) => text.push(c),
        Err(byte) => text.push_str(&format!("\\x{byte:02X}")),
    }
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
    let mut rest = characters(window);
    rest.by_ref().take(SHOWN_CHARS_MAX).for_each(|character| push_character(&mut text, character));
    if rest.next().is_some() {
        text.push('…');
    }
    text
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
