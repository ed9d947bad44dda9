//! A live stream of messages on stdin: BCP lines as they stand, and JSON Lines (design.md, section 9).

use crate::bcp::{Message, ParseOptions, WriteOptions, write_line};
use crate::framing::{BcpFramer, Frame, FramingError, FramingOptions, RawMessage};
use crate::limits::json_line_bytes_max;

/// Messages as they arrive, in the form in which they go out.
#[derive(Debug)]
pub struct Stream {
    framer: BcpFramer,
    /// Of what goes out, in bytes.
    line_bytes_max: usize,
    payload_bytes_max: usize,
    /// No more bytes will come.
    ended: bool,
    /// All whole frames are taken; only a last line can be left.
    at_last: bool,
    parts: Message,
    out: Vec<u8>,
}

/// What a stream gives next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A message.
    Message {
        /// Its line number in the input, from 1.
        number: u64,
        /// Its line, without LF.
        line: &'a [u8],
        /// Line, LF and payload: what goes out.
        whole: &'a [u8],
    },
    /// Something that is no message, which is passed over.
    Wrong {
        /// Its line number in the input, from 1.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing until more bytes come.
    Dry,
    /// Nothing more at all.
    Over,
}

impl Stream {
    /// A stream of which nothing has come, with the limits that `framing` has for what goes out.
    pub fn new(framing: &FramingOptions) -> Stream {
        let FramingOptions { line_bytes_max, payload_bytes_max, .. } = *framing;
        // A line of JSON may be longer than the line that it becomes.
        let json_bytes_max = json_line_bytes_max(line_bytes_max, payload_bytes_max);
        let framer = BcpFramer::new(FramingOptions { line_bytes_max: json_bytes_max, ..framing.clone() });
        let (parts, out) = (Message::new(), Vec::new());
        Stream { framer, line_bytes_max, payload_bytes_max, ended: false, at_last: false, parts, out }
    }

    /// Adds bytes that have come.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.framer.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            if let Some(space) = space.get_mut(..now.len()) {
                space.copy_from_slice(now);
            }
            self.framer.filled(now.len());
            bytes = later;
        }
    }

    /// Says that no more bytes will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether no more bytes are wanted.
    pub fn has_ended(&self) -> bool {
        self.ended || self.framer.has_ended()
    }

    /// The next message. Blank lines and comments are passed over: to MPF they are commands.
    pub fn next_item(&mut self) -> Item<'_> {
        let limits = (self.line_bytes_max, self.payload_bytes_max);
        let (number, length) = loop {
            let no_more = self.has_ended();
            let frame = if self.at_last { self.framer.end() } else { self.framer.next_frame() };
            match frame {
                Some(Frame::Ignored { .. }) => {}
                Some(Frame::Bad { number, fault }) => return Item::Wrong { number, why: fault.to_string() },
                Some(Frame::Message(message)) => match spell(&message, limits, &mut self.parts, &mut self.out) {
                    Ok(length) => break (message.number, length),
                    Err(why) => return Item::Wrong { number: message.number, why },
                },
                None if self.at_last => return Item::Over,
                None if no_more => self.at_last = true,
                None => return Item::Dry,
            }
        };
        Item::Message { number, line: self.out.get(..length).unwrap_or_default(), whole: &self.out }
    }
}

/// Writes a message as it goes out, within the limits of its line and its payload; gives the length of its line.
fn spell(
    message: &RawMessage<'_>,
    (line_bytes_max, payload_bytes_max): (usize, usize),
    parts: &mut Message,
    out: &mut Vec<u8>,
) -> Result<usize, String> {
    out.clear();
    let is_json = message.line.first() == Some(&b'{');
    let from_json = match is_json {
        true => parts
            .parse_json(message.line, &ParseOptions::default(), payload_bytes_max)
            .map_err(|why| why.to_string())?,
        false => None,
    };
    if is_json {
        let form = WriteOptions { line_bytes_max, ..WriteOptions::default() };
        write_line(parts, from_json.as_ref().map(Vec::len), &form, out).map_err(|why| why.to_string())?;
    } else if message.line.len() > line_bytes_max {
        return Err(FramingError::LineTooLong { limit: line_bytes_max }.to_string());
    } else {
        out.extend_from_slice(message.line);
    }
    let length = out.len();
    out.push(b'\n');
    out.extend_from_slice(from_json.as_deref().or(message.payload).unwrap_or_default());
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE_BYTES_MAX;

    /// What goes out of a stream that arrives in pieces, and what is wrong with it.
    fn sent(input: &[u8], piece: usize) -> (Vec<u8>, Vec<String>) {
        let (mut stream, mut out, mut wrong) = (Stream::new(&FramingOptions::default()), Vec::new(), Vec::new());
        let mut take = |stream: &mut Stream| loop {
            match stream.next_item() {
                Item::Message { whole, .. } => out.extend_from_slice(whole),
                Item::Wrong { number, why } => wrong.push(format!("{number}: {why}")),
                Item::Dry | Item::Over => return,
            }
        };
        for bytes in input.chunks(piece) {
            stream.feed(bytes);
            take(&mut stream);
        }
        stream.end();
        take(&mut stream);
        assert_eq!(stream.next_item(), Item::Over);
        (out, wrong)
    }

    #[test]
    fn lines_and_json_go_out_and_comments_do_not() {
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
    fn a_payload_cut_short_is_not_sent() {
        let (out, wrong) = sent(b"a\nf&bytes=10\nabc", 4);
        assert_eq!(out, b"a\n");
        assert!(wrong[0].starts_with("2: payload cut short: 3 of 10 bytes"), "{wrong:?}");
    }

    #[test]
    fn a_line_over_its_limit_is_passed_over_though_json_may_be_longer() {
        let long = vec![b'x'; LINE_BYTES_MAX + 1];
        let (out, wrong) = sent(&[&long, &b"\nb\n"[..]].concat(), 1 << 20);
        assert_eq!(
            (out.as_slice(), wrong),
            (&b"b\n"[..], vec!["1: line over 1048576 bytes; --max-line allows more".into()])
        );
    }
}
