//! The guard judges any line without a panic, and its reason is one printable line of a sane length.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// More than any reason with the offending text cut.
const REASON_BYTES_MAX: usize = 1000;

fuzz_target!(|input: &[u8]| {
    // A line, and after a line break its payload.
    let mut parts = input.splitn(2, |&byte| byte == b'\n');
    let (line, payload) = (parts.next().unwrap_or_default(), parts.next());
    if let Some(reason) = backbox::refusal(line, payload) {
        assert!(!reason.is_empty() && reason.len() < REASON_BYTES_MAX, "{reason}");
        assert!(!reason.contains(char::is_control), "{reason:?}");
    }
});
