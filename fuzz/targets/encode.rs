//! A message of JSON Lines that is encoded decodes to the same JSON, payload included.
#![no_main]

use backbox::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let options = ParseOptions::default();
    let mut message = Message::new();
    let Ok(payload) = message.parse_json(line, &options, 1000) else { return };
    let mut written = Vec::new();
    let payload_bytes = payload.as_ref().map(Vec::len);
    if write_line(&message, payload_bytes, &WriteOptions::default(), &mut written).is_err() {
        return;
    }
    assert!(written.iter().all(|byte| matches!(byte, b' '..=b'~')), "a written line is printable ASCII");
    let marker = payload_marker(&written);
    assert_eq!(marker.and_then(|marker| marker.length), payload_bytes);
    let mut again = Message::new();
    let text = marker.map_or(&written[..], |marker| &written[..marker.at]);
    again.parse_line(text, &options).expect("a written line is read");
    let json = |message: &Message| {
        let mut json = Vec::new();
        message.write_params(&mut json);
        json
    };
    // Names and command are lower-cased by either way.
    assert_eq!(json(&again), json(&message));
});
