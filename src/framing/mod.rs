//! Bytes in, bounded frames out: where one message ends and the next begins.
//!
//! Framing opens no file and no socket and reads no meaning into a line; any split of the input gives the same frames.
//! What a line says is the codec's business.

mod bcp;
mod buffer;
mod lines;
mod marker;
mod obe;

pub use bcp::{BcpFramer, Fault, Frame, Framing, MARK_BYTES, MarkedLimit, RawMessage, is_ignored, without_cr};
pub use lines::{Line, LineFramer};
pub use marker::{Marker, payload_marker};
pub use obe::{ObeFault, ObeFramer, body, push_frame};

/// How messages stand on a connection, or in a stream (`--wire`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// The Backbox Control Protocol.
    #[default]
    Bcp,
    /// OBE_Socket's frames: a length and one JSON text, never a payload.
    Obe,
}

impl Wire {
    /// What `--wire` and a session file call each.
    pub const NAMES: [&str; 2] = ["bcp", "obe"];

    /// The wire of this name.
    pub fn named(name: &[u8]) -> Option<Wire> {
        [Wire::Bcp, Wire::Obe].into_iter().zip(Wire::NAMES).find(|(_, known)| known.as_bytes() == name).map(|(w, _)| w)
    }
}
