//! Tests that the framer returns the same frames for whole input, single bytes and trailing data.

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
    let fault = format!("2 !{}", FramingError::PayloadTooLarge { limit: 4 });
    check_with(&framing, b"f&bytes=4\nABCDg&bytes=5\nABCDEa\n", &["1 f|ABCD", &fault]);
    let fault = format!("1 !{}", FramingError::PayloadTooLarge { limit: 4 });
    check_with(&framing, b"g&bytes=99999999999999999999999\na\n", &[&fault]);
}

#[test]
fn line_over_the_limit_is_reported_and_the_next_one_read() {
    let framing = FramingOptions { line_bytes_max: 4, ..FramingOptions::default() };
    let fault = |n| format!("{n} !{}", FramingError::LineTooLong { limit: 4 });
    check_with(&framing, b"abcd\nabcde\nf\n", &["1 abcd", &fault(2), "3 f"]);
    check_with(&framing, b"abcdefghij", &[&fault(1)]);
}

#[test]
fn comments_and_blank_lines_may_have_any_length() {
    let framing = FramingOptions { line_bytes_max: 4, ..FramingOptions::default() };
    let fault = |n| format!("{n} !{}", FramingError::LineTooLong { limit: 4 });
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
    let fault = format!("1 !{}", FramingError::LineTooLong { limit: 4 });
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
    assert!(matches!(framer.next_frame(), Some(Frame::Message(m)) if m.payload.is_some_and(|p| p.ends_with(b"\0!"))));
}
