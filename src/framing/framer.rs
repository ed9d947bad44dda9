//! The framer of whatever wire a connection speaks: what `net` reads into without knowing which one it is.

use super::bcp::{BcpFramer, Frame, FramingOptions};
use super::obe::ObeFramer;
use super::wire::Wire;

/// Cuts a stream of bytes into the frames of its wire; used like [`BcpFramer`].
#[derive(Debug)]
pub enum Framer {
    /// BCP's lines and payloads.
    Bcp(BcpFramer),
    /// OBE_Socket's lengths and bodies.
    Obe(ObeFramer),
}

impl Framer {
    /// A framer at the start of an input.
    pub fn new(framing: FramingOptions) -> Framer {
        match framing.wire {
            Wire::Bcp => Framer::Bcp(BcpFramer::new(framing)),
            Wire::Obe => Framer::Obe(ObeFramer::new(framing.payload_bytes_max, framing.read_bytes)),
        }
    }

    /// Room to read into.
    pub fn space(&mut self) -> &mut [u8] {
        match self {
            Framer::Bcp(framer) => framer.space(),
            Framer::Obe(framer) => framer.space(),
        }
    }

    /// Says how many bytes of [`Framer::space`] were filled.
    pub fn filled(&mut self, count: usize) {
        match self {
            Framer::Bcp(framer) => framer.filled(count),
            Framer::Obe(framer) => framer.filled(count),
        }
    }

    /// Gives back the memory of long frames that have been taken.
    pub fn give_back(&mut self) {
        match self {
            Framer::Bcp(framer) => framer.give_back(),
            Framer::Obe(framer) => framer.give_back(),
        }
    }

    /// Whether nothing more can be read.
    pub fn has_ended(&self) -> bool {
        match self {
            Framer::Bcp(framer) => framer.has_ended(),
            Framer::Obe(framer) => framer.has_ended(),
        }
    }

    /// Whether a frame has begun and is not whole, also where nothing of it is kept since it is skipped.
    pub fn is_inside_frame(&self) -> bool {
        match self {
            Framer::Bcp(framer) => framer.unfinished().is_some(),
            Framer::Obe(framer) => !framer.unread().is_empty(),
        }
    }

    /// The bytes that wait for the rest of their frame.
    pub fn unread(&self) -> &[u8] {
        match self {
            Framer::Bcp(framer) => framer.unread(),
            Framer::Obe(framer) => framer.unread(),
        }
    }

    /// What is wrong with a connection that has ended here, where the wire can tell: OBE_Socket's lengths say that
    /// something is missing. Half a line of BCP is what [`Framer::unread`] holds.
    pub fn end_of_connection(&mut self) -> Option<Frame<'_>> {
        match self {
            Framer::Bcp(_) => None,
            Framer::Obe(framer) => framer.end(),
        }
    }

    /// The next whole frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Option<Frame<'_>> {
        match self {
            Framer::Bcp(framer) => framer.next_frame(),
            Framer::Obe(framer) => framer.next_frame(),
        }
    }
}
