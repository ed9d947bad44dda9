//! Bytes as Python's `repr` writes them, `b'…'` or `b"…"`: MPF logs what it has received like that.

use std::ascii::escape_default;

/// The bytes of a literal; `None` when Python would not have written it so.
pub(super) fn undo(literal: &[u8]) -> Option<Vec<u8>> {
    let bytes = read(literal)?;
    // A wrong quote, an escape too many, a raw character that has to be escaped: all of it shows in its repr.
    repr(&bytes).eq(literal.iter().copied()).then_some(bytes)
}

/// Reads a literal, and accepts more than Python writes.
fn read(literal: &[u8]) -> Option<Vec<u8>> {
    let [b'b', _, inside @ .., _] = literal else { return None };
    let mut bytes = Vec::with_capacity(inside.len());
    let mut rest = inside.iter().copied();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
                other => other,
            },
            other => other,
        });
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| value.try_into().ok())
}

/// What Python's `repr` writes for `bytes`: as Rust would, but only the quote around it is escaped.
fn repr(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    let other = if quote == b'"' { b'\'' } else { b'"' };
    let inside = bytes.iter().flat_map(move |&byte| escape_default(byte).skip(usize::from(byte == other)));
    [b'b', quote].into_iter().chain(inside).chain([quote])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"it's", b"\"", b"'\"", b"'", b"\\", b"b'a'", &all] {
            let literal: Vec<u8> = repr(bytes).collect();
            assert_eq!(undo(&literal).as_deref(), Some(bytes));
        }
        // What Python 3.11 prints for the bytes 0 to 255, in part.
        let literal: Vec<u8> = repr(&all).collect();
        assert!(literal.starts_with(br"b'\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e"));
        assert!(String::from_utf8(literal).unwrap().contains("!\"#$%&\\'()*+"));
    }

    #[test]
    fn what_python_does_not_write_is_damaged() {
        for literal in [
            "",
            "b",
            "b'",
            "''",
            "b'a",
            "b'a\"",
            "'a'",
            "B'a'",
            "b\"a\"",
            r"b'\'",
            r"b'\q'",
            r"b'\x4'",
            r"b'\x41'",
            r"b'\xC3'",
            r#"b'\"'"#,
            r"b'it\'s'",
            "b'it's'",
            "b'\t'",
            "b'é'",
            "b'a' ",
            r"b'\x",
            r"b'a\",
        ] {
            assert_eq!(undo(literal.as_bytes()), None, "{literal}");
        }
    }
}
