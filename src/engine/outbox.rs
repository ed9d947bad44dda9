//! What is to be written to a peer: whole messages in a buffer that knows where each one ends.
//!
//! It does no I/O. Its size shows a slow peer, its ends show half a message: a peer that gets half a line and then an
//! orderly end executes what it got.

/// How much may wait for one peer, in bytes, before [`Net::has_room`](super::Net::has_room) refuses more.
pub(crate) const OUTBOX_BYTES_MAX: usize = 64 << 10;
