//! The reader, fed whole and in pieces: the records, notes and errors are the same, and memory stays bounded.

use super::*;
use crate::framing::{FramingError, Wire};
use crate::limits::READ_BYTES;
use crate::session::{Listed, Reason, Record, RecordKind};

/// A stand-in for the rule of `encode`.
fn is_command(command: &[u8]) -> bool {
    !command.is_empty() && command.iter().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(b))
}

/// Hands `input` to the reader in pieces and shows what comes out, in order.
fn feed(reader: &mut Reader, input: &[u8], piece: usize, seen: &mut Vec<String>) {
    for bytes in input.chunks(piece.max(1)) {
        let mut left = bytes;
        while !left.is_empty() {
            let space = reader.space();
            let count = left.len().min(space.len());
            space[..count].copy_from_slice(&left[..count]);
            reader.filled(count);
            left = &left[count..];
            while let Some(record) = reader.next_record() {
                seen.push(show(&record));
            }
        }
    }
}

fn finish(reader: &mut Reader, seen: &mut Vec<String>) {
    while let Some(record) = reader.end() {
        seen.push(show(&record));
    }
    if let Some(note) = reader.take_note() {
        seen.push(match note {
            Note::Cut { number } => format!("{number} cut"),
            Note::Marks { number } => format!("{number} marks"),
            Note::Log { kind } => format!("{kind:?}"),
        });
    }
    assert!(reader.next_record().is_none() && reader.end().is_none() && reader.take_note().is_none());
}

/// A record as `LINE SECONDS CONNECTION SIDE text|payload`, an error as `LINE !reason`.
fn show(record: &Result<Record<'_>, Error>) -> String {
    let record = match record {
        Ok(record) => record,
        Err(error) => return format!("{} !{:?}", error.number.unwrap_or_default(), error.reason),
    };
    let time = record.time.map_or("-".to_owned(), |time| format!("{}us", time.as_micros()));
    let side = match record.side {
        RecordKind::Client => '>',
        RecordKind::Server => '<',
        RecordKind::Pattern => '~',
    };
    let payload = record.payload.map(|p| format!("|{}", p.escape_ascii())).unwrap_or_default();
    format!("{} {time} {} {side}{}{payload}", record.number, record.connection, record.line.escape_ascii())
}

fn bad(number: u64, reason: Reason) -> String {
    format!("{number} !{reason:?}")
}

#[track_caller]
fn check_as(kind: Option<Kind>, framing: &FramingOptions, input: &[u8], expected: &[&str]) {
    for piece in [input.len(), 1, 2, 3, 7] {
        let mut reader = Reader::new(kind, framing.clone(), is_command);
        let mut seen = Vec::new();
        feed(&mut reader, input, piece, &mut seen);
        finish(&mut reader, &mut seen);
        assert_eq!(seen, expected, "in pieces of {piece} bytes");
    }
}

#[track_caller]
fn check(input: &str, expected: &[&str]) {
    check_as(None, &FramingOptions::default(), input.as_bytes(), expected);
}

/// `lines` behind a header end in this error, and so they do with more behind them.
#[track_caller]
fn check_error(lines: &str, number: u64, reason: Reason) {
    let expected = bad(number, reason);
    for trailing in ["", "reset\n", "#<f&bytes=1\n#=QQ==\n"] {
        check(&format!("#backbox-session 1\n{lines}{trailing}"), &[&expected]);
    }
}

#[test]
fn a_session_is_read_to_its_end() {
    check(
        "#backbox-session 1\n#!port 5050\n# x\n\nf&bytes=1\n\n#@1.5 2\n#<a\n#<f?bytes=2\n#=QUI=\n#@2\n#>#x\n#~a?b=*\n",
        &[
            "5 - 1 >f&bytes=1|\\n",
            "8 1500000us 2 <a",
            "9 1500000us 2 <f?bytes=2|AB",
            "12 2000000us 1 >#x",
            "13 2000000us 1 ~a?b=*",
        ],
    );
}

#[test]
fn plain_lines_get_one_note_for_marks() {
    check("reset\n#x\n #<y\n#<a\n#@1\nb", &["1 - 1 >reset", "6 - 1 >b", "4 marks"]);
    let input = b"#backbox-session 1\n#<a\nb\n";
    check_as(Some(Kind::Lines), &FramingOptions::default(), input, &["3 - 1 >b"]);
    check("a\n#backbox-session 1\n#<b\n", &["1 - 1 >a", "3 marks"]);
}

#[test]
fn the_first_line_decides_what_an_input_is() {
    check("Dear reader\nreset\n", &[&bad(1, Reason::Unknown)]);
    check("# x\n\n{\"command\":\"reset\"}\n", &[&bad(3, Reason::Unknown)]);
    check("?a=b\n", &[&bad(1, Reason::Unknown)]);
    check(" dmd_frame \n", &["1 - 1 > dmd_frame "]);
    check("dmd_frame&bytes=0\n//[\n", &["1 - 1 >dmd_frame&bytes=0|", "2 - 1 >//["]);
    check_as(Some(Kind::Lines), &FramingOptions::default(), b"Dear reader\n", &["1 - 1 >Dear reader"]);
    check_as(Some(Kind::Session), &FramingOptions::default(), b"#@1\nDear reader\n", &["2 1000000us 1 >Dear reader"]);
    let session = Some(Kind::Session);
    check("#backbox-session 1\na\n#backbox-session 2\nb\n", &["2 - 1 >a", "4 - 1 >b"]);
    check_as(session, &FramingOptions::default(), b"# x\n#backbox-session 2\nb\n", &["3 - 1 >b"]);
    let long = format!("#<{}\na\n", "x".repeat(21));
    let framing = FramingOptions { line_bytes_max: 20, ..FramingOptions::default() };
    check_as(
        session,
        &framing,
        long.as_bytes(),
        &[&bad(1, Reason::FramingOptions(FramingError::LineTooLong { limit: 20 }))],
    );
    let newer = bad(1, Reason::Newer { version: "2".into() });
    check_as(Some(Kind::Session), &FramingOptions::default(), b"#backbox-session 2\na\n", &[&newer]);
}

#[test]
fn cr_is_dropped_before_a_mark_is_looked_for() {
    check(
        "#backbox-session 1\r\n\r#\r@1\r\n#\r<a\r\n#<f&bytes=1\r\n#=QQ\r==\r\n",
        &["3 1000000us 1 <a", "4 1000000us 1 <f&bytes=1|A"],
    );
}

#[test]
fn each_error_ends_the_reading_at_its_line() {
    check("#backbox-session x\na\n", &[&bad(1, Reason::Header)]);
    check("#backbox-session 3\na\n", &[&bad(1, Reason::Newer { version: "3".into() })]);
    check_error("#@soon\n", 2, Reason::Time);
    check_error("#@1 a\n", 2, Reason::Connection { word: "a".into() });
    check_error("#!colour red\n", 2, Reason::UnknownSetting { name: "colour".into() });
    check_error("#!exact x\n", 2, Reason::Setting { name: "exact", wants: "no value" });
    check_error("#=QQ==\n", 2, Reason::StrayPayload);
    check_error("#<f&bytes=1\n# x\n#=QQ==\n", 3, Reason::NoPayload { announced_at: 2, bytes: 1 });
    check_error("#>f&bytes=1\nreset\n", 3, Reason::NoPayload { announced_at: 2, bytes: 1 });
    check_error("#<f&bytes=1\n\n", 3, Reason::NoPayload { announced_at: 2, bytes: 1 });
    check_error("#<f&bytes=1\nf&bytes=99999999\n", 3, Reason::NoPayload { announced_at: 2, bytes: 1 });
    check_error("#<f&bytes=1\n#=QR==\n", 3, Reason::Base64);
    check_error("#<f&bytes=1\n#=QUI=\n", 3, Reason::PayloadLength { got: 2, announced_at: 2, announced: 1 });
    check_error("#~ \t\n", 2, Reason::NoPattern);
    check_error("#<f&bytes=16777217\n", 2, Reason::FramingOptions(FramingError::PayloadTooLarge { limit: 16 << 20 }));
    check_error("f&bytes=16777217\n", 2, Reason::FramingOptions(FramingError::PayloadTooLarge { limit: 16 << 20 }));
    check("#backbox-session 1\n#~a\n#!port 1\na\n", &["2 - 1 ~a", &bad(3, Reason::LateSetting)]);
    check(
        "a\nf&bytes=4\nAB",
        &["1 - 1 >a", &bad(2, Reason::FramingOptions(FramingError::PayloadCut { got: 2, announced: 4 }))],
    );
    for nothing in ["", "\u{feff}", "\n\n", "# a\n", "#backbox-session 1\n", "#backbox-session 1"] {
        check(nothing, &[&bad(0, Reason::Nothing(None))]);
    }
}

#[test]
fn errors_and_notes_say_what_to_do() {
    let limit = 1;
    for (reason, says) in [
        (Reason::Header, "'#backbox-session 1'"),
        (Reason::NoPayload { announced_at: 7, bytes: 4 }, "4 bytes that line 7 announces"),
        (Reason::FramingOptions(FramingError::LineTooLong { limit }), "--max-line"),
        (Reason::FramingOptions(FramingError::PayloadTooLarge { limit }), "--max-payload"),
        (Reason::Unknown, "a session begins with '#backbox-session 1'"),
        (Reason::LateSetting, "move it to the top"),
    ] {
        assert!(Error { number: None, reason }.to_string().contains(says), "{says}");
    }
    assert!(Note::Marks { number: 3 }.to_string().contains("line 1 is '#backbox-session 1'"));
    assert!(Note::Cut { number: 3 }.to_string().contains("left out"));
}

#[test]
fn a_cut_session_is_read_to_its_last_whole_message() {
    let whole = "#backbox-session 1\na\n";
    for (cut, number) in [("b", 3), ("# half a comm", 3), ("#<f&bytes=1\n", 3), ("#@1\n#<f&bytes=1\n#=QQ==", 4)] {
        check(&format!("{whole}{cut}"), &["2 - 1 >a", &format!("{number} cut")]);
    }
    check(&format!("{whole}b\nf&bytes=3\n\n\n"), &["2 - 1 >a", "3 - 1 >b", "4 cut"]);
    check("#backbox-session 1\na", &[&bad(0, Reason::Nothing(None)), "2 cut"]);
}

#[test]
fn limits_are_those_of_the_line_without_its_mark() {
    let framing = FramingOptions { line_bytes_max: 20, payload_bytes_max: 30, ..FramingOptions::default() };
    let input = format!("#backbox-session 1\n#<{}\n#>#{}\n#{}\n", "a".repeat(20), "b".repeat(19), "-".repeat(90));
    let too_long = bad(5, Reason::FramingOptions(FramingError::LineTooLong { limit: 20 }));
    let read = [&format!("2 - 1 <{}", "a".repeat(20)), &format!("3 - 1 >#{}", "b".repeat(19))];
    for mark in ["#<", "#>", "#~", "#@", "#!", ""] {
        let input = format!("{input}{mark}{}\n#<x\n", "c".repeat(21));
        check_as(None, &framing, input.as_bytes(), &[read[0], read[1], &too_long]);
    }
    let payload = b"#backbox-session 1\n#<f&bytes=30\n#=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n";
    check_as(None, &framing, payload, &[&format!("2 - 1 <f&bytes=30|{}", "A".repeat(30))]);
    let longer = format!("#backbox-session 1\n#<f&bytes=30\n#={}\n", "A".repeat(41));
    check_as(
        None,
        &framing,
        longer.as_bytes(),
        &[&bad(3, Reason::FramingOptions(FramingError::LineTooLong { limit: 40 }))],
    );
    let hidden = format!("#backbox-session 1\n#<f&bytes=1\n# {}\n#=QQ==\n", "x".repeat(90));
    let missing = bad(3, Reason::NoPayload { announced_at: 2, bytes: 1 });
    check_as(None, &framing, hidden.as_bytes(), &[&missing]);
}

#[test]
fn the_wire_decides_whether_payloads_follow() {
    let obe = "#!wire obe\n";
    let bcp = "#!wire bcp\n";
    let lines = "f&bytes=2\nAB\n";
    check(&format!("#backbox-session 1\n{obe}{lines}"), &["3 - 1 >f&bytes=2", "4 - 1 >AB"]);
    check(&format!("#backbox-session 1\n{obe}#<f&bytes=2\n"), &["3 - 1 <f&bytes=2"]);
    check(&format!("#backbox-session 1\n{obe}{bcp}{lines}"), &["4 - 1 >f&bytes=2|AB"]);
}

#[test]
fn settings_are_complete_with_the_first_record() {
    let mut reader = Reader::new(None, FramingOptions::default(), is_command);
    let mut seen = Vec::new();
    let input = b"#backbox-session 1\n#!port 5051\n#!wire bcp\n#!ignore a.b\n#!exact\nreset\n";
    feed(&mut reader, input, 1, &mut seen);
    assert_eq!(seen, ["6 - 1 >reset"]);
    let settings = reader.settings();
    assert_eq!((settings.port, settings.wire, settings.exact), (Some(5051), Some(Wire::Bcp), true));
    assert_eq!(settings.ignore, [Listed { number: 4, text: b"a.b".to_vec() }]);
}

/// What the reader holds in memory, in bytes, give or take a constant.
fn held(reader: &mut Reader) -> usize {
    reader.space().len() + reader.framer.unread().len() + reader.script.held()
}

#[test]
fn memory_does_not_grow_with_the_stream() {
    let mut reader = Reader::new(None, FramingOptions::default(), is_command);
    let mut seen = Vec::new();
    feed(&mut reader, b"#backbox-session 1\n", READ_BYTES, &mut seen);
    for count in 0..100_000u64 {
        feed(&mut reader, format!("#@{count}.25 {}\n", count + 1).as_bytes(), READ_BYTES, &mut seen);
    }
    for _ in 0..2000 {
        feed(&mut reader, &[b'#'; 4 << 10], READ_BYTES, &mut seen);
    }
    feed(&mut reader, b"\n", READ_BYTES, &mut seen);
    for _ in 0..2000 {
        feed(&mut reader, &[b' '; 4 << 10], READ_BYTES, &mut seen);
    }
    assert!(held(&mut reader) < 4 << 20, "{}", held(&mut reader));
    feed(&mut reader, b"\nreset\n", READ_BYTES, &mut seen);
    assert_eq!(seen, ["100004 99999250000us 100000 >reset"]);
}

#[test]
fn a_line_of_2_mib_is_an_error_and_not_kept() {
    for start in ["#backbox-session 1\n#<", "#backbox-session 1\n", "#backbox-session 1\n#@", "a\n", "a\n  "] {
        let mut reader = Reader::new(None, FramingOptions::default(), is_command);
        let mut seen = Vec::new();
        feed(&mut reader, start.as_bytes(), READ_BYTES, &mut seen);
        for _ in 0..512 {
            feed(&mut reader, &[b'a'; 4 << 10], READ_BYTES, &mut seen);
            if seen.iter().any(|line| line.contains('!')) {
                break;
            }
            assert!(held(&mut reader) < 4 << 20);
        }
        let expected = bad(2, Reason::FramingOptions(FramingError::LineTooLong { limit: 1 << 20 }));
        assert_eq!(seen.last(), Some(&expected), "{start}");
    }
}
