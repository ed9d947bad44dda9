//! Where the records of a session file stand in it, to the byte: for a program that changes one and nothing else.

use std::ops::Range;

use super::mark::Mark;
use crate::framing::{BcpFramer, Frame, FramingOptions};

/// Finds the place of each record of a session file that has been read without an error.
///
/// ```
/// use backbox::framing::FramingOptions;
/// use backbox::session::Spans;
/// let file = b"#backbox-session 1\n#@0\nask\n#<frame&bytes=2\n#=aGk=\n";
/// let mut spans = Spans::new(FramingOptions::default());
/// spans.space()[..file.len()].copy_from_slice(file);
/// spans.filled(file.len());
/// let mut found = Vec::new();
/// while let Some(span) = spans.next_span() {
///     found.push(span);
/// }
/// found.extend(spans.end());
/// assert_eq!(found, [(3, 23..27), (4, 27..50)]);
/// ```
#[derive(Debug)]
pub struct Spans {
    framer: BcpFramer,
    filled: u64,
    /// The last record, behind which its payload may stand.
    last: Option<(u64, Range<u64>)>,
}

impl Spans {
    /// At the start of a file, with the limits it was read with.
    pub fn new(framing: FramingOptions) -> Spans {
        let mut framer = BcpFramer::new(framing);
        framer.keep_marked(Mark::limit);
        Spans { framer, filled: 0, last: None }
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        self.framer.space()
    }

    /// Says how many bytes of [`Spans::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        self.filled += count as u64;
        self.framer.filled(count);
    }

    /// The number of the next record's line and the bytes that it takes with its payload, or `None` when more bytes are
    /// needed.
    pub fn next_span(&mut self) -> Option<(u64, Range<u64>)> {
        loop {
            let (number, length, mark) = match self.framer.next_frame()? {
                Frame::Message(message) => (message.number, message.raw.len(), Some(Mark::Client)),
                Frame::Ignored { number, line, .. } => (number, line.len() + 1, Mark::of(line).map(|(mark, _)| mark)),
                Frame::Bad { .. } => continue,
            };
            let end = self.filled - self.framer.unread().len() as u64;
            match (mark, &mut self.last) {
                (Some(Mark::Payload), Some((_, span))) => span.end = end,
                (Some(Mark::Client | Mark::Server | Mark::Pattern), last) => {
                    let before = last.replace((number, end - length as u64..end));
                    if before.is_some() {
                        return before;
                    }
                }
                _ => {}
            }
        }
    }

    /// The last record, when the file has ended.
    pub fn end(&mut self) -> Option<(u64, Range<u64>)> {
        self.last.take()
    }
}
