//! Tests of limits, places and memory of the reader. The accepted input is tested with `tests/data/session.jsonl`.

use std::io::Read;

use super::*;

/// The results of a reader: `LINE SPAN text|payload`, `LINE !error`, `LINE note`.
fn read(framing: &FramingOptions, input: impl Read) -> Vec<String> {
    let input = io::BufReader::with_capacity(7, input);
    let mut reader = Reader::new(input, None, framing).unwrap();
    let mut seen: Vec<String> = reader
        .by_ref()
        .map(|record| match record {
            Ok(Record { number, span, line, payload, .. }) => {
                let payload = payload.map(|payload| format!("|{}", payload.escape_ascii())).unwrap_or_default();
                format!("{number} {span:?} {}{payload}", line.escape_ascii())
            }
            Err(error) => format!("{} !{error}", error.number.unwrap_or_default()),
        })
        .collect();
    seen.extend(reader.take_note().map(|note| format!("{} {}", note.number.unwrap_or_default(), note.text)));
    seen
}

#[track_caller]
fn check(input: &str, expected: &[&str]) {
    assert_eq!(read(&FramingOptions::default(), input.as_bytes()), expected);
}

#[test]
fn spans_hold_line_mark_and_payload() {
    check(
        "\u{feff}#backbox-session 1\n#@0\r\nf&bytes=1\n\n\n#<a\r\n#<f?bytes=2\n#=QUI=\n#@2\n#>#x\n#~a?b=*\n# end\n",
        &["3 27..38 f&bytes=1|\\n", "6 39..44 a", "7 44..63 f?bytes=2|AB", "10 67..72 #x", "11 72..80 a?b=*"],
    );
    check("reset\n# x\nf&bytes=2\nAB", &["1 0..6 reset", "3 10..22 f&bytes=2|AB"]);
}

#[test]
fn carriage_returns_are_removed_before_marks_are_searched() {
    let framing = FramingOptions { line_bytes_max: 1, ..FramingOptions::default() };
    let input = "#backbox-session 1\r\n\r#\r@1\r\n#\r<a\r\r\n";
    assert_eq!(read(&framing, input.as_bytes()), ["3 27..34 a"]);
}

#[test]
fn limit_counts_the_line_without_its_mark() {
    let framing = FramingOptions { line_bytes_max: 20, payload_bytes_max: 30, ..FramingOptions::default() };
    let start = format!("#backbox-session 1\n#<{}\n#>#{}\n#{}\n", "a".repeat(20), "b".repeat(19), "-".repeat(90));
    for mark in ["#<", "#>", "#~", "#@", "#!", "", "  "] {
        let seen = read(&framing, format!("{start}{mark}{}\n#<x\n", "c".repeat(21)).as_bytes());
        assert_eq!(seen.len(), 3, "{mark}: {seen:?}");
        assert_eq!(seen[2], "5 !line over 20 bytes; --max-line allows more", "{mark}");
    }
    let payload = format!("#backbox-session 1\n#<f&bytes=30\n#={}\n", "QUFB".repeat(10));
    assert_eq!(read(&framing, payload.as_bytes()), [format!("2 19..75 f&bytes=30|{}", "A".repeat(30))]);
    let longer = format!("#backbox-session 1\n#<f&bytes=30\n#={}\n", "A".repeat(41));
    assert_eq!(read(&framing, longer.as_bytes())[0], "3 !line over 40 bytes; --max-line allows more");
}

#[test]
fn missing_payload_before_a_long_comment_is_reported() {
    let framing = FramingOptions { line_bytes_max: 20, ..FramingOptions::default() };
    let hidden = format!("#backbox-session 1\n#<f&bytes=1\n# {}\n#=QQ==\n", "x".repeat(90));
    let expected = ["3 !no payload: line 2 announces 1 bytes, and '#=' follows directly"];
    assert_eq!(read(&framing, hidden.as_bytes()), expected);
}

#[test]
fn line_of_a_log_over_the_limit_is_skipped() {
    let framing = FramingOptions { line_bytes_max: 20, ..FramingOptions::default() };
    let line = |text: &str| format!("21:02:29.935 : DEBUG [BCPClientSocket] Sending \"{text}\"\n");
    let input = [line("reset"), line(&"x".repeat(21)), line(&"y".repeat(300)), line("goodbye")].concat();
    let seen = read(&framing, input.as_bytes());
    assert!(seen[0].ends_with(" reset") && seen[3].ends_with(" goodbye"), "{seen:?}");
    assert_eq!(seen[1], "2 !line over 20 bytes; --max-line allows more; left out");
    assert_eq!(seen[2], "3 !line over 120 bytes; --max-line allows more; left out");
}

#[test]
fn marks_among_plain_lines_get_one_note() {
    check("reset\n#x\n #<y\n#<a\n#@1\nb", &["1 0..6 reset", "6 22..23 b", &format!("4 {MARKS}")]);
    check("a\n#backbox-session 1\n#<b\n", &["1 0..2 a", &format!("3 {MARKS}")]);
}

#[test]
fn input_that_cannot_be_read_is_an_error_without_a_place() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("torn"))
        }
    }
    let start = "#backbox-session 1\na\n".repeat(1_000);
    let mut reader =
        Reader::new(io::BufReader::new(start.as_bytes().chain(Broken)), None, &FramingOptions::default()).unwrap();
    let error = reader.by_ref().find_map(Result::err).unwrap();
    assert!(matches!(error.kind, ErrorKind::Io(_)) && error.number.is_none() && reader.next().is_none());
}

/// A number of equal bytes.
fn run_of(byte: u8, count: u64) -> impl Read {
    io::repeat(byte).take(count)
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let stamps: String = (0..10_000).map(|count| format!("#@{count}.25 {}\n", count + 1)).collect();
    let head = format!("#backbox-session 1\n#{stamps}# ");
    let input = head.as_bytes().chain(run_of(b'-', 8 << 20)).chain(&b"\n"[..]);
    let input = input.chain(run_of(b' ', 8 << 20)).chain(run_of(b'\r', 8 << 20)).chain(&b"\nreset\n"[..]);
    let mut reader = Reader::new(io::BufReader::new(input), None, &FramingOptions::default()).unwrap();
    let record = reader.next().unwrap().unwrap();
    assert_eq!((record.number, &record.line[..], record.connection), (10_004, &b"reset"[..], 10_000));
    assert!(reader.input.text.capacity() < 4 << 20, "{}", reader.input.text.capacity());
}

#[test]
fn endless_line_is_an_error_and_is_not_buffered() {
    for start in ["#backbox-session 1\n#<", "#backbox-session 1\n", "#backbox-session 1\n#@", "a\n", "a\n  "] {
        let input = start.as_bytes().chain(run_of(b'a', 8 << 20));
        let mut reader = Reader::new(io::BufReader::new(input), None, &FramingOptions::default()).unwrap();
        let error = reader.by_ref().find_map(Result::err).unwrap();
        assert_eq!(
            (error.number, error.to_string()),
            (Some(2), "line over 1048576 bytes; --max-line allows more".into())
        );
        assert!(reader.input.text.capacity() < 4 << 20, "{start}: {}", reader.input.text.capacity());
    }
}
