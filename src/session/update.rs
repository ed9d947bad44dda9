//! A session file copied: with some of its messages replaced, or with all of it but its CRs.

use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

use super::Record;
use super::input::{Headed, push_without_cr, without_mark};

/// Copies a file; in it, each of these spans is replaced by a text. The spans stand in the order of the file and do not
/// overlap; an empty one inserts its text. Everything else stays, to the byte.
///
/// ```
/// use backbox::session::apply;
/// let mut updated = Vec::new();
/// apply(&b"ask\n#<old\n# done\n"[..], &[(4..10, b"#<new\n".to_vec())], &mut updated)?;
/// assert_eq!(updated, b"ask\n#<new\n# done\n");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// What reading and writing fail with; spans that are not in order.
pub fn apply(mut file: impl Read, edits: &[(Range<u64>, Vec<u8>)], mut copy: impl Write) -> io::Result<()> {
    let mut at = 0;
    for (span, text) in edits {
        let before = span.start.checked_sub(at).filter(|_| span.start <= span.end);
        let before = before.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "edits out of order"))?;
        io::copy(&mut file.by_ref().take(before), &mut copy)?;
        copy.write_all(text)?;
        io::copy(&mut file.by_ref().take(span.end - span.start), &mut io::sink())?;
        at = span.end;
    }
    io::copy(&mut file, &mut copy).map(drop)
}

/// Copies a session file as it stands, without its byte order mark and its CRs, except in payloads.
///
/// A [`super::Reader`] of the same file says up to where it is well-formed, so that nothing else is copied.
#[derive(Debug)]
pub struct Verbatim<R> {
    file: Headed<R>,
    at: u64,
}

impl<R: BufRead> Verbatim<R> {
    /// At the start of a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn new(file: R) -> io::Result<Verbatim<R>> {
        let (file, at) = without_mark(Vec::new(), file)?;
        Ok(Verbatim { file, at })
    }

    /// Copies what stands before `record`, which is the next one or a later one, and then skips that or copies it too.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn record(&mut self, record: &Record, is_copied: bool, copy: &mut Vec<u8>) -> io::Result<()> {
        self.up_to(record.span.start, copy)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(record.span.end.saturating_sub(self.at)).read_to_end(&mut bytes)?;
        self.at = record.span.end;
        if !is_copied {
            return Ok(());
        }
        // After a marked line the payload is base64, after a plain one it is raw.
        let is_marked = bytes.iter().find(|&&byte| byte != b'\r') == Some(&b'#');
        let raw = record.payload.as_ref().map_or(0, |payload| if is_marked { 0 } else { payload.len() });
        let (line, payload) = bytes.split_at(bytes.len().saturating_sub(raw));
        push_without_cr(line, copy);
        copy.extend_from_slice(payload);
        Ok(())
    }

    /// Copies comments, stamps and settings up to this place, such as [`super::Reader::position`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn up_to(&mut self, end: u64, copy: &mut Vec<u8>) -> io::Result<()> {
        let mut between = self.file.by_ref().take(end.saturating_sub(self.at));
        self.at = self.at.max(end);
        loop {
            let chunk = between.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            push_without_cr(chunk, copy);
            let read = chunk.len();
            between.consume(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Reader};
    use super::*;

    #[test]
    fn edits_replace_remove_and_insert_and_the_rest_stays_to_the_byte() {
        let file = b"a\r\n#<b\nc\n#<d";
        let edits = [(0..0, b"0".to_vec()), (3..7, Vec::new()), (9..9, b"#<x\n".to_vec()), (9..13, b"#<y\n".to_vec())];
        let mut copy = Vec::new();
        apply(&file[..], &edits, &mut copy).unwrap();
        assert_eq!(String::from_utf8(copy).unwrap(), "0a\r\nc\n#<x\n#<y\n");
    }

    #[test]
    fn verbatim_copy_loses_mark_and_carriage_returns_outside_of_payloads() {
        let file = "\u{feff}#backbox-session 1\r\n# x\r\n\r#@0.0\na&bytes=3\r\n\r\n\r#<b\r\n#\r>c&bytes=1\n\
                    #=DQ==\r\n# y\r\nhalf";
        for kept in [true, false] {
            let mut reader = Reader::new(file.as_bytes(), None, &Default::default()).unwrap();
            assert_eq!(reader.kind(), Kind::Session);
            let (mut verbatim, mut copy) = (Verbatim::new(file.as_bytes()).unwrap(), Vec::new());
            for record in reader.by_ref() {
                let record = record.unwrap();
                verbatim.record(&record, kept || record.line == b"b", &mut copy).unwrap();
            }
            verbatim.up_to(reader.position(), &mut copy).unwrap();
            let message = if kept { "a&bytes=3\n\r\n\r" } else { "" };
            let last = if kept { "#>c&bytes=1\n#=DQ==\n" } else { "" };
            let expected = format!("#backbox-session 1\n# x\n#@0.0\n{message}#<b\n{last}# y\n");
            assert_eq!(String::from_utf8(copy).unwrap(), expected);
        }
    }
}
