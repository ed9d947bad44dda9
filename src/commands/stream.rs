//! Messages on standard input that are sent as they arrive: BCP lines verbatim, and JSON Lines; with `--wire obe` only
//! the latter.

use crate::bcp::{Message, ParseOptions, WriteOptions, check_json, write_line};
use crate::framing::{Frame, Framer, FramingError, FramingOptions, RawMessage, Wire};
use crate::limits::{OBE_BODY_BYTES_MAX, json_line_bytes_max};
use crate::text::trim;

/// Reads messages in pieces, in the form in which they are sent.
#[derive(Debug)]
pub struct Stream {
    framer: Framer,
    /// What the messages are sent as.
    wire: Wire,
    /// The limits of what is sent, in bytes.
    line_bytes_max: usize,
    payload_bytes_max: usize,
    has_ended: bool,
    /// Whether all whole frames have been read, so that only a last line can be left.
    is_at_last: bool,
    message: Message,
    out: Vec<u8>,
}

/// What [`Stream::next_item`] returns.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Message {
        /// Its line number in the input, from 1.
        number: u64,
        /// Its line, without LF.
        line: &'a [u8],
        /// Line, LF and payload: what is sent.
        whole: &'a [u8],
    },
    /// What is not a message; it is skipped.
    Malformed { number: u64, reason: String },
    /// More input is needed.
    Pending,
    /// The input has ended.
    End,
}

impl Stream {
    /// A stream whose messages are sent within the limits of `framing`.
    pub fn new(framing: &FramingOptions) -> Stream {
        let FramingOptions { wire, line_bytes_max, payload_bytes_max, .. } = *framing;
        // A line of JSON may be longer than the line that it becomes.
        let json_bytes_max = json_line_bytes_max(line_bytes_max, payload_bytes_max);
        let framer = match wire {
            Wire::Bcp => Framer::new(FramingOptions { line_bytes_max: json_bytes_max, ..framing.clone() }),
            Wire::Obe => Framer::bare_lines(b'\n', OBE_BODY_BYTES_MAX),
        };
        let (message, out) = (Message::new(), Vec::new());
        Stream { framer, wire, line_bytes_max, payload_bytes_max, has_ended: false, is_at_last: false, message, out }
    }

    /// Adds input.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.framer.feed(bytes);
    }

    /// The input has ended.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Whether no more input is read.
    pub fn has_ended(&self) -> bool {
        self.has_ended || self.framer.has_ended()
    }

    /// The next message. Blank lines and comments are skipped: to MPF they are commands.
    pub fn next_item(&mut self) -> Item<'_> {
        let (wire, limits) = (self.wire, (self.line_bytes_max, self.payload_bytes_max));
        let (number, length) = loop {
            let has_ended = self.has_ended();
            let frame = if self.is_at_last { self.framer.end() } else { self.framer.next_frame() };
            match frame {
                Some(Frame::Ignored { .. }) => {}
                Some(Frame::Bad { number, fault }) => {
                    let reason = match wire {
                        Wire::Bcp => fault.to_string(),
                        // No option changes this limit.
                        Wire::Obe => format!("line over {OBE_BODY_BYTES_MAX} bytes"),
                    };
                    return Item::Malformed { number, reason };
                }
                Some(Frame::Message(raw)) => {
                    let written = match wire {
                        Wire::Bcp => write_message(&raw, limits, &mut self.message, &mut self.out),
                        Wire::Obe if matches!(trim(raw.line).first(), None | Some(b'#')) => continue,
                        Wire::Obe => write_json(trim(raw.line), &mut self.out),
                    };
                    match written {
                        Ok(length) => break (raw.number, length),
                        Err(reason) => return Item::Malformed { number: raw.number, reason },
                    }
                }
                None if self.is_at_last => return Item::End,
                None if has_ended => self.is_at_last = true,
                None => return Item::Pending,
            }
        };
        Item::Message { number, line: &self.out[..length], whole: &self.out }
    }
}

/// Writes line, LF and payload of a message as they are sent; returns the length of the line.
fn write_message(
    raw: &RawMessage<'_>,
    (line_bytes_max, payload_bytes_max): (usize, usize),
    message: &mut Message,
    out: &mut Vec<u8>,
) -> Result<usize, String> {
    out.clear();
    let mut json_payload = None;
    if raw.line.first() == Some(&b'{') {
        json_payload = message
            .parse_json(raw.line, &ParseOptions::default(), payload_bytes_max)
            .map_err(|error| error.to_string())?;
        let writing = WriteOptions { line_bytes_max, ..WriteOptions::default() };
        write_line(message, json_payload.as_ref().map(Vec::len), &writing, out).map_err(|error| error.to_string())?;
    } else if raw.line.len() > line_bytes_max {
        return Err(FramingError::LineTooLong { limit: line_bytes_max }.to_string());
    } else {
        out.extend_from_slice(raw.line);
    }
    let length = out.len();
    out.push(b'\n');
    out.extend_from_slice(json_payload.as_deref().or(raw.payload).unwrap_or_default());
    Ok(length)
}

/// Writes a message of OBE_Socket, which is any JSON value; returns its length.
fn write_json(line: &[u8], out: &mut Vec<u8>) -> Result<usize, String> {
    check_json(line).map_err(|error| error.to_string())?;
    line.clone_into(out);
    Ok(line.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    /// What is sent of a stream that arrives in pieces, and what is reported.
    fn sent(input: &[u8], piece: usize) -> (Vec<u8>, Vec<String>) {
        let (mut stream, mut out, mut wrong) = (Stream::new(&FramingOptions::default()), Vec::new(), Vec::new());
        let mut take = |stream: &mut Stream| loop {
            match stream.next_item() {
                Item::Message { whole, .. } => out.extend_from_slice(whole),
                Item::Malformed { number, reason } => wrong.push(format!("{number}: {reason}")),
                Item::Pending | Item::End => return,
            }
        };
        for bytes in input.chunks(piece) {
            stream.feed(bytes);
            take(&mut stream);
        }
        stream.end();
        take(&mut stream);
        assert_eq!(stream.next_item(), Item::End);
        (out, wrong)
    }

    #[test]
    fn lines_and_json_are_sent_and_comments_are_not() {
        let input = b"#backbox-session 1\r\n\na?x=1\r\n{\"command\":\"f\",\"bytes\":\"SGk=\"}\n  \
            \nd&bytes=3\n{\n}\n{oops}\nlast";
        for piece in [input.len(), 1, 2, 5] {
            let (out, wrong) = sent(input, piece);
            assert_eq!(out.escape_ascii().to_string(), "a?x=1\\nf&bytes=2\\nHid&bytes=3\\n{\\n}last\\n");
            assert_eq!(wrong.len(), 1);
            assert!(wrong[0].starts_with("9: "), "{wrong:?}");
        }
    }

    #[test]
    fn any_json_value_is_a_message_of_obe_socket() {
        let mut stream = Stream::new(&FramingOptions::obe());
        stream.feed(b" # no\n\n \"OK\"\r\n{oops\n5");
        stream.end();
        assert_eq!(stream.next_item(), Item::Message { number: 3, line: b"\"OK\"", whole: b"\"OK\"" });
        assert!(matches!(stream.next_item(), Item::Malformed { number: 4, .. }));
        assert_eq!(stream.next_item(), Item::Message { number: 5, line: b"5", whole: b"5" });
        assert_eq!(stream.next_item(), Item::End);
    }

    #[test]
    fn payload_cut_short_is_not_sent() {
        let (out, wrong) = sent(b"a\nf&bytes=10\nabc", 4);
        assert_eq!(out, b"a\n");
        assert!(wrong[0].starts_with("2: payload cut short: 3 of 10 bytes"), "{wrong:?}");
    }

    #[test]
    fn line_over_its_limit_is_skipped_though_json_may_be_longer() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let (out, wrong) = sent(&[&long, &b"\nb\n"[..]].concat(), 1 << 20);
        assert_eq!(
            (out.as_slice(), wrong),
            (&b"b\n"[..], vec!["1: line over 1048576 bytes; --max-line allows more".into()])
        );
    }
}
