//! Lines of bounded length from any `BufRead`, with their places: what readers of sessions, plain lines and logs share.

use std::io::{self, BufRead, Chain, Cursor, Read};

use memchr::{memchr, memchr_iter};

use super::{Error, Kind};
use crate::framing::{FramingError, FramingOptions};
use crate::text::is_white;

/// How long a line of a log may be in terms of its message: an escape of JSON takes six bytes.
const LOG_LINE_FACTOR: usize = 6;

/// What is kept of the buffer of a long line, in bytes.
const LINE_BYTES_KEPT: usize = 64 << 10;

/// The marks of a session's lines. Only the very first two bytes count.
const MARKS: &[u8] = b"@<>=~!";

pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// An input whose head has been read and looked at.
#[derive(Debug)]
pub(super) struct SessionInput<R> {
    reader: Headed<R>,
    kind: Kind,
    line_bytes_max: usize,
    base64_bytes_max: usize,
    /// Where the current line begins.
    pub(super) start: u64,
    /// How much has been read.
    pub(super) offset: u64,
    /// The number of the current line, from 1.
    pub(super) number: u64,
    /// How many LFs have been read.
    lfs: u64,
    /// The current line without LF and CR.
    pub(super) text: Vec<u8>,
    /// Whether the current line has its LF; only the last one may lack it.
    pub(super) has_lf: bool,
}

/// An input whose head has been read already.
pub(super) type Headed<R> = Chain<Cursor<Vec<u8>>, R>;

/// Skips a byte order mark: what has been read of the head, then the rest, and how many bytes were skipped.
pub(super) fn without_mark<R: Read>(mut head: Vec<u8>, mut rest: R) -> io::Result<(Headed<R>, u64)> {
    let missing = BYTE_ORDER_MARK.len().saturating_sub(head.len()) as u64;
    rest.by_ref().take(missing).read_to_end(&mut head)?;
    let skipped = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() as u64 } else { 0 };
    let mut head = Cursor::new(head);
    head.set_position(skipped);
    Ok((head.chain(rest), skipped))
}

impl<R: BufRead> SessionInput<R> {
    pub(super) fn new(head: Vec<u8>, rest: R, kind: Kind, framing: &FramingOptions) -> io::Result<SessionInput<R>> {
        let (reader, offset) = without_mark(head, rest)?;
        let factor = if kind.is_log() { LOG_LINE_FACTOR } else { 1 };
        Ok(SessionInput {
            reader,
            kind,
            line_bytes_max: framing.line_bytes_max.saturating_mul(factor),
            base64_bytes_max: base64::encoded_len(framing.payload_bytes_max, true).unwrap_or(usize::MAX),
            start: offset,
            offset,
            number: 0,
            lfs: 0,
            text: Vec::new(),
            has_lf: false,
        })
    }

    /// Reads the next line; whether there is one. Memory does not grow beyond the limit of a line: of a comment or a
    /// blank line that is over it, only the beginning is kept.
    pub(super) fn read_line(&mut self) -> Result<bool, Error> {
        self.text.clear();
        self.text.shrink_to(LINE_BYTES_KEPT);
        self.start = self.offset;
        self.number = self.lfs + 1;
        self.has_lf = false;
        let (mut skips, mut is_long, mut too_long) = (false, false, None);
        while !self.has_lf {
            let chunk = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let lf = memchr(b'\n', chunk);
            let piece = &chunk[..lf.unwrap_or(chunk.len())];
            if !skips {
                push_without_cr(piece, &mut self.text);
            }
            self.has_lf = lf.is_some();
            let read = piece.len() + usize::from(self.has_lf);
            self.reader.consume(read);
            self.offset += read as u64;
            let (limit, mark) = self.limit();
            is_long |= self.text.len() > limit.saturating_add(mark).max(1);
            if skips || !is_long {
                continue;
            }
            match self.text.iter().copied().find(|&byte| !is_white(byte)) {
                // It may still turn out to be something else than a blank line.
                None => self.text.truncate(1),
                Some(b'#') if mark == 0 && !self.kind.is_log() => skips = true,
                Some(_) => (skips, too_long) = (true, Some(limit)),
            }
        }
        self.lfs += u64::from(self.has_lf);
        match too_long {
            Some(limit) => Err(FramingError::LineTooLong(limit).to_string().into()),
            None => Ok(self.start < self.offset),
        }
    }

    /// The limit of the line that has begun, and the length of its mark, which does not count.
    fn limit(&self) -> (usize, usize) {
        match mark(&self.text).filter(|_| self.kind == Kind::Session) {
            None => (self.line_bytes_max, 0),
            Some((b'=', _)) => (self.base64_bytes_max.max(self.line_bytes_max), 2),
            Some(_) => (self.line_bytes_max, 2),
        }
    }

    /// Reads the raw payload after the current line: fewer bytes when the input ends in it.
    pub(super) fn read_payload(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut payload = Vec::new();
        self.reader.by_ref().take(length as u64).read_to_end(&mut payload)?;
        self.offset += payload.len() as u64;
        self.lfs += memchr_iter(b'\n', &payload).count() as u64;
        Ok(payload)
    }
}

/// The character after `#` if a session's line has a mark and is no comment, and what follows it.
pub(super) fn mark(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [b'#', mark, rest @ ..] if MARKS.contains(mark) => Some((*mark, rest)),
        _ => None,
    }
}

/// Appends text without its CRs, which BCP ignores.
pub(super) fn push_without_cr(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr(b'\r', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
