//! A line that decodes has JSON that is read back to the same JSON, and a canonical line that is a fixed point.
#![no_main]

use backbox::bcp::{Message, ParseOptions, WriteOptions, payload_marker, write_line};
use libfuzzer_sys::fuzz_target;

fn json_of(message: &Message) -> Vec<u8> {
    let mut json = Vec::new();
    message.write_json(None, &mut json);
    json
}

fuzz_target!(|line: &[u8]| {
    let options = ParseOptions::default();
    let text = payload_marker(line).map_or(line, |marker| &line[..marker.at]);
    let mut message = Message::new();
    if message.parse_line(text, &options).is_err() {
        return;
    }
    let json = json_of(&message);
    let mut again = Message::new();
    again.parse_json(&json, &options, 0).expect("the JSON form is read");
    assert_eq!(json_of(&again), json);

    let mut written = Vec::new();
    if write_line(&message, None, &WriteOptions::default(), &mut written).is_ok() {
        again.parse_line(&written, &options).expect("a written line is read");
        let mut rewritten = Vec::new();
        write_line(&again, None, &WriteOptions::default(), &mut rewritten).expect("a written line is written again");
        assert_eq!(rewritten, written);
    }
});
