//! The reader of sessions and logs gives the same records whatever the pieces of its input; what it read can be written
//! as a session and is read back as the same messages.
#![no_main]

use std::io::{BufRead, BufReader};

use backbox::framing::FramingOptions;
use backbox::session::{Reader, Record, Writer};
use libfuzzer_sys::fuzz_target;

fn records(input: impl BufRead) -> (Vec<Record>, Vec<String>) {
    let options = FramingOptions { line_bytes_max: 300, payload_bytes_max: 300, ..FramingOptions::default() };
    let (mut records, mut errors) = (Vec::new(), Vec::new());
    for record in Reader::new(input, None, &options).expect("memory can be read") {
        match record {
            Ok(record) => records.push(record),
            Err(error) => errors.push(format!("{error:?}")),
        }
    }
    (records, errors)
}

fuzz_target!(|input: &[u8]| {
    // The first byte is the length of the pieces.
    let Some((&piece, bytes)) = input.split_first() else { return };
    let (found, errors) = records(bytes);
    let (in_pieces, errors_in_pieces) = records(BufReader::with_capacity(usize::from(piece).max(1), bytes));
    assert_eq!((format!("{found:?}"), &errors), (format!("{in_pieces:?}"), &errors_in_pieces));

    let mut session = Vec::new();
    let mut writer = Writer::new(None);
    found.iter().for_each(|record| writer.record(record, &mut session));
    let messages = |records: &[Record]| {
        let one = |r: &Record| format!("{:?}", (r.connection, r.side, r.is_pattern, &r.line, &r.payload));
        records.iter().map(one).collect::<Vec<_>>()
    };
    if !found.is_empty() {
        assert_eq!(messages(&records(&session[..]).0), messages(&found), "{}", session.escape_ascii());
    }
});
