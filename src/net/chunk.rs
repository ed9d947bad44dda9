//! What a connection's reader hands to the printer: the whole frames of one read, in one allocation.
//!
//! One message a channel slot collapses when a thousand readers wait for a slot; chunks do not.

use std::time::Instant;

use super::budget::Share;
use crate::bcp::payload_marker;
use crate::framing::{Frame, FramingError, RawMessage, Wire, obe_message, without_cr};

/// Whole frames that came in one read, in order.
#[derive(Debug)]
pub struct Chunk {
    /// When it was read.
    pub seen: Instant,
    bytes: Vec<u8>,
    frames: Vec<Place>,
    wire: Wire,
    /// What its long frames have taken of what all peers share, until it is dropped.
    _share: Option<Share>,
}

/// Where a frame stands in a chunk.
#[derive(Debug)]
struct Place {
    number: u64,
    /// Where its bytes end; they begin where those of the frame before it end.
    end: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A message whose line without LF has this length.
    Message {
        line: usize,
    },
    Ignored {
        whole: bool,
    },
    Bad(FramingError),
}

impl Chunk {
    /// No frames yet of what was read at `seen`.
    pub fn new(seen: Instant) -> Chunk {
        Chunk::on(Wire::Bcp, seen)
    }

    /// No frames yet of what was read at `seen` on this wire.
    pub fn on(wire: Wire, seen: Instant) -> Chunk {
        Chunk { seen, bytes: Vec::new(), frames: Vec::new(), wire, _share: None }
    }

    /// Has it keep a share of what all peers' long frames may have.
    pub fn keep(&mut self, share: Share) {
        self._share = Some(share);
    }

    /// Gives back the memory that it does not need: a thousand of them may wait at once.
    pub fn fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.frames.shrink_to_fit();
    }

    /// How many bytes its frames have.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Copies a frame into the chunk.
    pub fn push(&mut self, frame: &Frame<'_>) {
        let (number, bytes, kind) = match frame {
            Frame::Message(message) => {
                let line = message.raw.len().saturating_sub(message.payload.map_or(0, <[u8]>::len));
                (message.number, message.raw, Kind::Message { line: line.saturating_sub(1) })
            }
            Frame::Ignored { number, line, whole } => (*number, *line, Kind::Ignored { whole: *whole }),
            Frame::Bad { number, fault } => (*number, &[][..], Kind::Bad(*fault)),
        };
        self.bytes.extend_from_slice(bytes);
        self.frames.push(Place { number, end: self.bytes.len(), kind });
    }

    /// Whether no frame is in it.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Shows each frame to `hear`, as the framer gave it.
    pub fn each(&self, mut hear: impl FnMut(&Frame<'_>)) {
        let mut start = 0;
        let mut clean = Vec::new();
        for place in &self.frames {
            let raw = self.bytes.get(start..place.end).unwrap_or_default();
            start = place.end;
            hear(&place.frame(self.wire, raw, &mut clean));
        }
    }
}

impl Place {
    fn frame<'a>(&self, wire: Wire, raw: &'a [u8], clean: &'a mut Vec<u8>) -> Frame<'a> {
        let number = self.number;
        match self.kind {
            Kind::Bad(fault) => Frame::Bad { number, fault },
            Kind::Ignored { whole } => Frame::Ignored { number, line: raw, whole },
            Kind::Message { .. } if wire == Wire::Obe => Frame::Message(obe_message(number, raw, clean)),
            Kind::Message { line } => {
                let (line, rest) = raw.split_at_checked(line).unwrap_or((raw, &[]));
                let line = without_cr(clean, line);
                let marker = payload_marker(line);
                // Nothing but a payload stands behind the LF.
                let payload = marker.and(rest.get(1..));
                Frame::Message(RawMessage { number, raw, line, marker, payload })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{Framer, FramingOptions};

    #[track_caller]
    fn check(framing: FramingOptions, input: &[u8], count: usize) {
        let wire = framing.wire;
        let mut framer = Framer::new(framing);
        framer.space()[..input.len()].copy_from_slice(input);
        framer.filled(input.len());
        let (mut chunk, mut expected) = (Chunk::on(wire, Instant::now()), Vec::new());
        while let Some(frame) = framer.next_frame() {
            chunk.push(&frame);
            expected.push(format!("{frame:?}"));
        }
        let mut seen = Vec::new();
        chunk.each(|frame| seen.push(format!("{frame:?}")));
        assert_eq!(seen, expected);
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_chunk_gives_back_the_frames_that_went_in() {
        let input = b"a?x=1\n# no\nf\r&bytes=3\r\n\n\n\n\nlonger than thirty bytes, so a fault\ng&bytes=0\nb\r\n";
        check(FramingOptions { line_bytes_max: 30, ..FramingOptions::default() }, input, 7);
        check(FramingOptions::obe(), b"0000000004\"OK\"0000000007[1,\r\n2]0000000000+000000004", 4);
    }
}
