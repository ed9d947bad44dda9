//! The framer gives the same frames whatever the pieces in which its input arrives.
#![no_main]

use backbox::framing::{Frame, Framer, FramingOptions};
use libfuzzer_sys::fuzz_target;

/// Limits low enough to be reached.
fn options(obe: bool) -> FramingOptions {
    let options = if obe { FramingOptions::obe() } else { FramingOptions::default() };
    FramingOptions { line_bytes_max: 200, payload_bytes_max: 300, read_bytes: 64, ..options }
}

/// All frames of an input that arrives in pieces of these lengths, over and over.
fn frames(input: &[u8], pieces: &[u8], options: FramingOptions) -> Vec<String> {
    let mut framer = Framer::new(options);
    let mut frames = Vec::new();
    let mut rest = input;
    for &piece in pieces.iter().cycle() {
        while let Some(frame) = framer.next_frame() {
            frames.push(shown(&frame));
        }
        if rest.is_empty() || framer.has_ended() {
            break;
        }
        let space = framer.space();
        let length = rest.len().min(space.len()).min(usize::from(piece).max(1));
        space[..length].copy_from_slice(&rest[..length]);
        framer.filled(length);
        rest = &rest[length..];
    }
    while let Some(frame) = framer.end() {
        frames.push(shown(&frame));
    }
    frames
}

/// A frame as text. How much of an ignored line is kept depends on the pieces.
fn shown(frame: &Frame<'_>) -> String {
    match frame {
        Frame::Ignored { number, .. } => format!("{number} ignored"),
        frame => format!("{frame:?}"),
    }
}

fuzz_target!(|input: &[u8]| {
    // The first byte chooses the protocol and the pieces.
    let Some((&choice, bytes)) = input.split_first() else { return };
    let obe = choice % 2 == 1;
    assert_eq!(frames(bytes, &[choice / 2, 1, choice], options(obe)), frames(bytes, &[u8::MAX], options(obe)));
});
