//! Bytes in, bounded frames out: where one message ends and the next begins.
//!
//! FramingOptions opens no file and no socket and reads no meaning into a line; any split of the input gives the same frames.
//! What a line says is the codec's business.

mod bcp;
mod buffer;
mod framer;
mod lines;
mod obe;
mod wire;

pub use bcp::{
    BcpFramer, Frame, FramingError, FramingOptions, MARK_BYTES, MarkedLimit, RawMessage, is_ignored, without_cr,
};
pub use framer::Framer;
pub use lines::{LineFramer, TextLine};
pub use obe::{ObeFault, ObeFramer, body, obe_message, push_frame};
pub use wire::Wire;
