//! Patterns never panic and are matched in linear time; a message, encoded, is a pattern that matches it.
#![no_main]

use backbox::bcp::pattern::Pattern;
use backbox::bcp::{Message, ParseOptions, WriteOptions, write_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // A pattern, and on the next line a message.
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let (pattern, line) = (String::from_utf8_lossy(&input[..end]), &input[input.len().min(end + 1)..]);
    let mut message = Message::new();
    let is_message = message.parse_line(line, &ParseOptions::default()).is_ok();
    if let Ok(pattern) = Pattern::parse(&pattern, false) {
        if is_message {
            pattern.matches(&message, Some(5));
        }
    }
    let mut written = Vec::new();
    if is_message && write_line(&message, None, &WriteOptions::default(), &mut written).is_ok() {
        let text = std::str::from_utf8(&written).expect("a written line is ASCII");
        let pattern = Pattern::parse(text, false).expect("a written line is a pattern");
        assert!(pattern.matches(&message, None), "{text}");
    }
});
