//! Lines of BCP with their payloads, and bare lines: LF, CR, the byte order mark, comments and the limits.

use memchr::{memchr, memchr_iter};

use super::{Frame, Framer, FramingError, RawMessage};
use crate::bcp::payload_marker;
use crate::text::is_white;

/// What is known of the line at the front of the buffer.
#[derive(Debug, Default)]
pub(super) struct LineState {
    /// Whether a byte order mark can no longer follow.
    pub(super) is_after_start: bool,
    /// How many bytes have been searched for its end, so that a line in single bytes is searched once.
    searched: usize,
    /// How many bytes it takes with its payload, so that it is not read again for each piece of the payload.
    awaited: usize,
    /// It is over the limit and is skipped: whether its frame has been returned. Until then only white space was seen.
    pub(super) skipped: Option<bool>,
}

impl Framer {
    /// The next line; `at_end`, what is left is the last one.
    pub(super) fn next_line(&mut self, at_end: bool) -> Option<Frame<'_>> {
        if self.buffer.unread().len() < self.lines.awaited && !at_end || !self.has_passed_byte_order_mark(at_end) {
            return None;
        }
        let (unread, searched) = (self.buffer.unread(), self.lines.searched);
        let end = memchr(self.bare_end.unwrap_or(b'\n'), &unread[searched..]);
        let length = end.map_or(unread.len(), |end| searched + end);
        self.lines.searched = length;
        if self.lines.skipped.is_some() || length > self.options.line_bytes_max {
            return self.skip(length, end.is_some(), at_end);
        }
        if end.is_none() && (!at_end || length == 0) {
            self.has_ended = at_end;
            return None;
        }
        match self.bare_end {
            None => self.line(length, end.is_some(), at_end),
            Some(byte) => Some(Frame::Message(self.bare_line(length, end.map(|_| byte)))),
        }
    }

    fn bare_line(&mut self, length: usize, end: Option<u8>) -> RawMessage<'_> {
        let number = self.number;
        let raw = self.take(length + usize::from(end.is_some()), 1);
        let line = &raw[..length];
        let line = if end == Some(b'\n') { line.strip_suffix(b"\r").unwrap_or(line) } else { line };
        RawMessage { number, raw, line, marker: None, payload: None }
    }

    /// The frame of the line of BCP that is the first `length` bytes of the buffer; `None` if its payload is
    /// incomplete.
    fn line(&mut self, length: usize, has_lf: bool, at_end: bool) -> Option<Frame<'_>> {
        let (number, limit) = (self.number, self.options.payload_bytes_max);
        let line_bytes = length + usize::from(has_lf);
        let line = &self.buffer.unread()[..length];
        if is_ignored(line) {
            let line = &self.take(line_bytes, 1)[..length];
            return Some(Frame::Ignored { number, line, whole: true });
        }
        let line = without_cr(&mut self.clean, line);
        let is_clean = line.len() < length;
        let marker = payload_marker(line);
        let announced = match marker.filter(|_| self.options.payloads).map(|marker| marker.length) {
            None => None,
            Some(Some(bytes)) if bytes <= limit => Some(bytes),
            Some(_) => return self.fail(FramingError::PayloadTooLarge(limit)),
        };
        let payload = announced.unwrap_or(0);
        let after = &self.buffer.unread()[line_bytes..];
        if after.len() < payload {
            if at_end {
                let got = after.len();
                return self.fail(FramingError::PayloadCut { got, announced: payload });
            }
            self.lines.awaited = line_bytes.saturating_add(payload);
            return None;
        }
        self.start_line(1 + memchr_iter(b'\n', &after[..payload]).count());
        let raw = self.buffer.take(line_bytes + payload);
        let line = if is_clean { &self.clean } else { &raw[..length] };
        Some(Frame::Message(RawMessage { number, raw, line, marker, payload: announced.map(|_| &raw[line_bytes..]) }))
    }

    /// Drops what is there of a line over the limit. Returns its frame as soon as it is known not to be blank.
    fn skip(&mut self, length: usize, has_end: bool, at_end: bool) -> Option<Frame<'_>> {
        let (number, limit) = (self.number, self.options.line_bytes_max);
        let was_reported = self.lines.skipped == Some(true);
        let skipped = &self.buffer.unread()[..length];
        let first = match self.bare_end {
            _ if was_reported => None,
            None => first_visible(skipped),
            Some(_) => skipped.first().copied(),
        };
        let is_ignored = first == Some(b'#') && self.bare_end.is_none();
        self.take(length + usize::from(has_end), usize::from(has_end));
        let is_reported = was_reported || first.is_some();
        self.lines.skipped = (!has_end).then_some(is_reported);
        self.has_ended = at_end && !has_end;
        match first {
            Some(_) if is_ignored => Some(Frame::Ignored { number, line: &[], whole: false }),
            Some(_) => Some(Frame::Bad { number, fault: FramingError::LineTooLong(limit) }),
            None if has_end && is_reported => self.next_line(at_end),
            None if has_end || (at_end && !is_reported) => Some(Frame::Ignored { number, line: &[], whole: true }),
            None => None,
        }
    }

    /// Takes bytes with so many LFs, or other ends of lines.
    pub(super) fn take(&mut self, bytes: usize, lfs: usize) -> &[u8] {
        self.start_line(lfs);
        self.buffer.take(bytes)
    }

    /// Forgets the line at the front, so many lines before the next one.
    fn start_line(&mut self, lfs: usize) {
        self.number += lfs as u64;
        self.lines.searched = 0;
        self.lines.awaited = 0;
    }

    /// Skips a byte order mark at the start of the input. Returns false while there may still be one.
    fn has_passed_byte_order_mark(&mut self, at_end: bool) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let unread = self.buffer.unread();
        if !self.lines.is_after_start && (at_end || unread.len() >= MARK.len() || !MARK.starts_with(unread)) {
            self.lines.is_after_start = true;
            if unread.starts_with(MARK) {
                self.buffer.take(MARK.len());
            }
        }
        self.lines.is_after_start
    }
}

/// Whether a line is blank or a comment: its first character that is not white space is `#`, or there is none. Such a
/// line is ignored unread, never has a payload and is never sent.
pub fn is_ignored(line: &[u8]) -> bool {
    first_visible(line).is_none_or(|byte| byte == b'#')
}

fn first_visible(line: &[u8]) -> Option<u8> {
    line.iter().copied().find(|&byte| !is_white(byte))
}

/// The line without CR, which is ignored wherever it is. `clean` is used only if there is one.
pub fn without_cr<'a>(clean: &'a mut Vec<u8>, line: &'a [u8]) -> &'a [u8] {
    if memchr(b'\r', line).is_none() {
        return line;
    }
    clean.clear();
    clean.extend(line.iter().filter(|&&byte| byte != b'\r'));
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::FramingOptions;

    /// Frames as text: `1 line|payload`, `2 -ignored`, `3 !fault`.
    fn frames(framing: &FramingOptions, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::new(framing.clone());
        let mut seen = Vec::new();
        for bytes in input.chunks(piece) {
            let mut left = bytes;
            while !left.is_empty() {
                let space = framer.space();
                let count = left.len().min(space.len());
                space[..count].copy_from_slice(&left[..count]);
                framer.filled(count);
                left = &left[count..];
                while let Some(frame) = framer.next_frame() {
                    seen.push(show(&frame));
                }
            }
        }
        while let Some(frame) = framer.end() {
            seen.push(show(&frame));
        }
        seen
    }

    fn show(frame: &Frame<'_>) -> String {
        match frame {
            Frame::Message(m) => {
                let payload = m.payload.map(|p| format!("|{}", p.escape_ascii())).unwrap_or_default();
                format!("{} {}{payload}", m.number, m.text().escape_ascii())
            }
            Frame::Ignored { number, whole: false, .. } => format!("{number} -..."),
            Frame::Ignored { number, line, .. } => format!("{number} -{}", line.escape_ascii()),
            Frame::Bad { number, fault } => format!("{number} !{fault}"),
        }
    }

    #[track_caller]
    fn check_with(framing: &FramingOptions, input: &[u8], expected: &[&str]) {
        for piece in [input.len().max(1), 1, 2, 3, 7] {
            assert_eq!(frames(framing, input, piece), expected, "in pieces of {piece} bytes");
        }
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&str]) {
        check_with(&FramingOptions::default(), input, expected);
    }

    #[test]
    fn lines_end_in_lf_and_the_last_line_needs_none() {
        check(b"", &[]);
        check(b"a\nb", &["1 a", "2 b"]);
        check(b"a\r\n\r\n b \n", &["1 a", "2 -\\r", "3  b "]);
        check(b"\n\na", &["1 -", "2 -", "3 a"]);
    }

    #[test]
    fn cr_anywhere_is_ignored() {
        check(b"a\rb\rc\r\n", &["1 abc"]);
        check(b"f&bytes=\r2\r\n\r\nx\n", &["1 f|\\r\\n", "3 x"]);
    }

    #[test]
    fn byte_order_mark_at_the_start_is_skipped() {
        check(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", &["1 a", "2 \\xef\\xbb\\xbfb"]);
        check(b"\xef\xbb\xbf#x\na", &["1 -#x", "2 a"]);
        check(b"\xef\xbb", &["1 \\xef\\xbb"]);
    }

    #[test]
    fn comments_and_blank_lines_never_have_a_payload() {
        check(
            b"#x&bytes=4\n  # &bytes=4\n\x0b\x0c\t\na\n",
            &["1 -#x&bytes=4", "2 -  # &bytes=4", "3 -\\x0b\\x0c\\t", "4 a"],
        );
    }

    #[test]
    fn payload_follows_its_line_directly() {
        check(b"f&bytes=3\n\n\n\nt\n", &["1 f|\\n\\n\\n", "5 t"]);
        check(b"f?bytes=0\nt", &["1 f|", "2 t"]);
        check(b"f&bytes=0", &["1 f|"]);
        check(b"?x=%FF&bytes=1\nAb\n", &["1 ?x=%FF|A", "2 b"]);
    }

    #[test]
    fn payload_cut_short_ends_the_input() {
        check(b"a\nf&bytes=4\nABC", &["1 a", &format!("2 !{}", FramingError::PayloadCut { got: 3, announced: 4 })]);
        check(b"f&bytes=4", &[&format!("1 !{}", FramingError::PayloadCut { got: 0, announced: 4 })]);
    }

    #[test]
    fn payload_over_the_limit_ends_the_input() {
        let framing = FramingOptions { payload_bytes_max: 4, ..FramingOptions::default() };
        let fault = format!("2 !{}", FramingError::PayloadTooLarge(4));
        check_with(&framing, b"f&bytes=4\nABCDg&bytes=5\nABCDEa\n", &["1 f|ABCD", &fault]);
        let fault = format!("1 !{}", FramingError::PayloadTooLarge(4));
        check_with(&framing, b"g&bytes=99999999999999999999999\na\n", &[&fault]);
    }

    #[test]
    fn line_over_the_limit_is_reported_and_the_next_one_read() {
        let framing = FramingOptions { line_bytes_max: 4, ..FramingOptions::default() };
        let fault = |n| format!("{n} !{}", FramingError::LineTooLong(4));
        check_with(&framing, b"abcd\nabcde\nf\n", &["1 abcd", &fault(2), "3 f"]);
        check_with(&framing, b"abcdefghij", &[&fault(1)]);
    }

    #[test]
    fn comments_and_blank_lines_may_have_any_length() {
        let framing = FramingOptions { line_bytes_max: 4, ..FramingOptions::default() };
        let fault = |n| format!("{n} !{}", FramingError::LineTooLong(4));
        check_with(&framing, b"# a long comment\na\n", &["1 -...", "2 a"]);
        check_with(&framing, b"        \na\n", &["1 -", "2 a"]);
        check_with(&framing, b"         # x\na", &["1 -...", "2 a"]);
        check_with(&framing, b"            x\na\n", &[&fault(1), "2 a"]);
        check_with(&framing, b"     \n     \n#\n", &["1 -", "2 -", "3 -#"]);
        check_with(&framing, b"a\n            ", &["1 a", "2 -"]);
        check_with(&framing, b"#          ", &["1 -..."]);
    }

    #[test]
    fn framer_knows_whether_it_is_inside_a_frame() {
        let is_inside = |input: &[u8]| {
            let mut framer =
                Framer::new(FramingOptions { line_bytes_max: 9, payload_bytes_max: 4, ..FramingOptions::default() });
            framer.space()[..input.len()].copy_from_slice(input);
            framer.filled(input.len());
            while framer.next_frame().is_some() {}
            framer.is_inside_frame()
        };
        for outside in [&b""[..], b"a\n# a comment\n", b"\xef\xbb\xbf", b"f&bytes=5\n"] {
            assert!(!is_inside(outside), "{}", outside.escape_ascii());
        }
        for inside in
            [&b"a\nb"[..], b"a\n# a comment", b"a\n           ", b"a\n\xef\xbb", b"f\nabcdefghijk", b"f\nf&bytes=1\n"]
        {
            assert!(is_inside(inside), "{}", inside.escape_ascii());
        }
    }

    #[test]
    fn long_line_that_begins_with_blanks_is_reported() {
        let framing = FramingOptions { line_bytes_max: 4, ..FramingOptions::default() };
        let fault = format!("1 !{}", FramingError::LineTooLong(4));
        check_with(&framing, b"        x\na\n", &[&fault, "2 a"]);
        check_with(&framing, b" \t\r\x0b  x", &[&fault]);
        for ignored in ["        #x\na\n", "         \na\n", "#       x\na\n"] {
            for piece in [1, 2, 3, 5, 6, 20] {
                let seen = frames(&framing, ignored.as_bytes(), piece);
                assert_eq!(seen.last().map(String::as_str), Some("2 a"), "{ignored:?}");
                assert!(!seen.iter().any(|frame| frame.contains('!')), "{ignored:?}: {seen:?}");
            }
        }
    }

    #[test]
    fn payload_longer_than_the_address_space_is_reported_as_incomplete() {
        let framing = FramingOptions { payload_bytes_max: usize::MAX, ..FramingOptions::default() };
        let fault = format!("1 !{}", FramingError::PayloadCut { got: 2, announced: usize::MAX });
        check_with(&framing, format!("f&bytes={}\nhi", usize::MAX).as_bytes(), &[&fault]);
    }

    #[test]
    fn without_payloads_the_marker_is_a_parameter() {
        let framing = FramingOptions { payloads: false, ..FramingOptions::default() };
        let mut framer = Framer::new(framing);
        let input = b"f?a=1&bytes=004\nABCD\n";
        framer.space()[..input.len()].copy_from_slice(input);
        framer.filled(input.len());
        let Some(Frame::Message(message)) = framer.next_frame() else { panic!("no message") };
        assert_eq!(message.text(), b"f?a=1");
        assert_eq!(message.marker_as_parameter(), Some(&b"004"[..]));
        assert!(matches!(framer.next_frame(), Some(Frame::Message(m)) if m.line == b"ABCD"));
    }

    #[test]
    fn raw_is_verbatim_and_line_has_no_cr() {
        let mut framer = Framer::new(FramingOptions::default());
        let input = b"f\r&bytes=2\r\nhi";
        framer.space()[..input.len()].copy_from_slice(input);
        framer.filled(input.len());
        let Some(Frame::Message(message)) = framer.next_frame() else { panic!("no message") };
        assert_eq!((message.raw, message.line), (&input[..], &b"f&bytes=2"[..]));
    }

    #[test]
    fn payload_in_single_bytes_does_not_reparse_its_line() {
        // Parsing the line again for each byte would read 64 GiB, which takes minutes.
        let line = [&b"f?a=\r"[..], &vec![b'x'; 1_000_000], b"&bytes=65536\n"].concat();
        let mut framer = Framer::new(FramingOptions::default());
        let began = std::time::Instant::now();
        for piece in [&line[..]].into_iter().chain([0; 65_535].chunks(1)) {
            let mut left = piece;
            while !left.is_empty() {
                let space = framer.space();
                let count = left.len().min(space.len());
                space[..count].copy_from_slice(&left[..count]);
                framer.filled(count);
                left = &left[count..];
                assert_eq!(framer.next_frame(), None);
            }
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
        framer.space()[0] = b'!';
        framer.filled(1);
        assert!(
            matches!(framer.next_frame(), Some(Frame::Message(m)) if m.payload.is_some_and(|p| p.ends_with(b"\0!")))
        );
    }

    fn bare_lines(end: u8, limit: usize, input: &[u8], piece: usize) -> Vec<String> {
        let mut framer = Framer::bare_lines(end, limit);
        let mut seen = Vec::new();
        let show = |frame: Frame<'_>| match frame.bare_line() {
            Ok((number, text)) => format!("{number} {}", text.escape_ascii()),
            Err(number) => format!("{number} too long"),
        };
        for bytes in input.chunks(piece) {
            framer.space()[..bytes.len()].copy_from_slice(bytes);
            framer.filled(bytes.len());
            while let Some(line) = framer.next_frame() {
                seen.push(show(line));
            }
        }
        seen.extend(framer.end().map(show));
        seen
    }

    #[track_caller]
    fn check_bare(end: u8, limit: usize, input: &[u8], expected: &[&str]) {
        for piece in [input.len().max(1), 1, 2, 3] {
            assert_eq!(bare_lines(end, limit, input, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn bare_lines_end_in_lf_or_nul() {
        check_bare(b'\n', 9, b"", &[]);
        check_bare(b'\n', 9, b"a\r\n\n#b\nc", &["1 a", "2 ", "3 #b", "4 c"]);
        check_bare(b'\n', 9, b"\xef\xbb\xbfa\n\xef\xbb\xbfb\r", &["1 a", "2 \\xef\\xbb\\xbfb\\r"]);
        check_bare(0, 9, b"a\r\n\0\0b", &["1 a\\r\\n", "2 ", "3 b"]);
    }

    #[test]
    fn bare_line_over_the_limit_is_reported_at_once() {
        check_bare(b'\n', 3, b"abc\nabcd\nabcdefghi\nx\n", &["1 abc", "2 too long", "3 too long", "4 x"]);
        check_bare(b'\n', 3, b"abcdefgh", &["1 too long"]);
    }
}
