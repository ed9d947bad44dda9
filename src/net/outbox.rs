//! What is to be written to a peer: whole messages in a buffer that knows where each one ends.
//!
//! It does no I/O. Its size shows a slow peer, its ends show half a message: a peer that gets half a line and then an
//! orderly end executes what it got.

use std::collections::VecDeque;

/// How much may wait for one peer, in bytes, before [`Net::has_room`](super::Net::has_room) refuses more.
pub(crate) const OUTBOX_BYTES_MAX: usize = 64 << 10;

/// Messages on their way to one peer, or forwarded bytes of which only some message ends are known.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` are written.
    start: usize,
    /// Where in `bytes` each message that is not written whole ends.
    ends: VecDeque<usize>,
    /// Whether a message is written in part.
    pub is_inside_message: bool,
}

impl Outbox {
    /// Whether a message of `length` bytes may be added: it fits beside what waits, or nothing waits.
    pub(super) fn has_room(&self, length: usize) -> bool {
        let waiting = self.unsent().len();
        waiting == 0 || waiting.saturating_add(length) <= OUTBOX_BYTES_MAX
    }

    /// Appends bytes of a stream, of which so many at their beginning end a message: all of them, if they are one.
    pub(super) fn push(&mut self, bytes: &[u8], end: Option<usize>) {
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.ends.iter_mut().for_each(|end| *end -= self.start);
            self.start = 0;
        }
        let end = end.map(|end| self.bytes.len() + end);
        self.bytes.extend_from_slice(bytes);
        match end {
            // What was written was a whole message.
            Some(end) if end == self.start => self.is_inside_message = false,
            Some(end) if self.ends.back().is_none_or(|&last| last < end) => self.ends.push_back(end),
            _ => {}
        }
    }

    pub(super) fn unsent(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How many messages are not written whole.
    pub(super) fn messages(&self) -> usize {
        self.ends.len()
    }

    /// Notes that `count` bytes of [`Outbox::unsent`] were written, at least one.
    pub(super) fn sent(&mut self, count: usize) {
        self.start += count;
        let ended = self.ends.partition_point(|&end| end <= self.start);
        self.is_inside_message = self.ends.drain(..ended).next_back().is_none_or(|end| end < self.start);
        if self.is_empty() {
            self.start = 0;
            self.bytes.clear();
            // One huge message must not keep its memory for a thousand peers.
            self.bytes.shrink_to(OUTBOX_BYTES_MAX);
        }
    }

    /// The messages of which nothing is written, each whole.
    pub(super) fn waiting(&self) -> Vec<Vec<u8>> {
        let starts = std::iter::once(self.start).chain(self.ends.iter().copied());
        let messages = starts.zip(&self.ends).map(|(start, &end)| self.bytes[start..end].to_vec());
        // The first may be written in part.
        messages.skip(usize::from(self.is_inside_message)).collect()
    }

    /// Whether what was appended so far, written or not, ends inside a message.
    pub(super) fn ends_inside_message(&self) -> bool {
        match self.ends.back() {
            Some(&end) => end < self.bytes.len(),
            None => self.is_inside_message || !self.is_empty(),
        }
    }

    /// Forgets what follows the message that is written in part (all, if there is none); how many messages it forgot.
    pub(super) fn keep_only_started(&mut self) -> usize {
        let kept = usize::from(self.is_inside_message);
        if kept > self.ends.len() {
            // The end of a forwarded message has not been read yet.
            return 0;
        }
        let forgotten = self.ends.len() - kept;
        self.ends.truncate(kept);
        self.bytes.truncate(self.ends.back().map_or(self.start, |&end| end));
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(outbox: &mut Outbox, message: &[u8]) {
        outbox.push(message, Some(message.len()));
    }

    #[test]
    fn messages_go_in_any_pieces_and_their_ends_are_known() {
        let mut outbox = Outbox::default();
        push(&mut outbox, b"abc\n");
        push(&mut outbox, b"de\n");
        assert_eq!((outbox.unsent(), outbox.messages(), outbox.is_inside_message), (&b"abc\nde\n"[..], 2, false));
        outbox.sent(1);
        assert!(outbox.is_inside_message);
        outbox.sent(3);
        assert_eq!((outbox.messages(), outbox.is_inside_message), (1, false));
        outbox.sent(3);
        assert!(outbox.is_empty() && !outbox.is_inside_message);
        push(&mut outbox, b"f\n");
        assert_eq!((outbox.unsent(), outbox.messages()), (&b"f\n"[..], 1));
    }

    #[test]
    fn a_message_that_has_begun_is_kept_and_the_others_are_not() {
        let mut outbox = Outbox::default();
        for message in [&b"abc\n"[..], b"de\n", b"f\n"] {
            push(&mut outbox, message);
        }
        assert_eq!(outbox.waiting(), [&b"abc\n"[..], b"de\n", b"f\n"]);
        outbox.sent(5);
        assert_eq!(outbox.waiting(), [b"f\n"]);
        assert_eq!(outbox.keep_only_started(), 1);
        assert_eq!(outbox.unsent(), b"e\n");
        push(&mut outbox, b"goodbye\n");
        outbox.sent(2);
        assert_eq!((outbox.keep_only_started(), outbox.is_empty()), (1, true));
        push(&mut outbox, b"x\n");
        assert_eq!((outbox.unsent(), outbox.messages()), (&b"x\n"[..], 1));
    }

    #[test]
    fn forwarded_bytes_are_cut_at_the_end_of_a_message_only() {
        let mut outbox = Outbox::default();
        outbox.push(b"one\ntwo\nthr", Some(8));
        assert!(outbox.ends_inside_message() && !outbox.is_inside_message);
        outbox.sent(2);
        assert_eq!((outbox.keep_only_started(), outbox.unsent()), (0, &b"e\ntwo\n"[..]));
        assert!(!outbox.ends_inside_message());
        outbox.sent(6);
        outbox.push(b"half", None);
        outbox.sent(1);
        outbox.keep_only_started();
        assert!(outbox.unsent() == b"alf" && outbox.ends_inside_message());
        outbox.push(b"\nx", Some(1));
        outbox.keep_only_started();
        assert!(outbox.unsent() == b"alf\n" && !outbox.ends_inside_message());
        outbox.sent(4);
        assert!(outbox.is_empty() && !outbox.is_inside_message);
        outbox.push(b"rest", None);
        outbox.sent(4);
        assert!(outbox.is_empty() && outbox.is_inside_message);
        outbox.push(b"", Some(0));
        assert!(!outbox.is_inside_message && outbox.messages() == 0);
    }

    #[test]
    fn it_is_full_only_when_something_waits() {
        let mut outbox = Outbox::default();
        assert!(outbox.has_room(100 << 10));
        push(&mut outbox, &[b'x'; 1000]);
        assert!(outbox.has_room(1000) && !outbox.has_room(OUTBOX_BYTES_MAX));
    }

    #[test]
    fn it_does_not_grow_with_the_stream() {
        let mut outbox = Outbox::default();
        push(&mut outbox, b"0123456789\n");
        for _ in 0..10_000 {
            push(&mut outbox, b"0123456789\n");
            outbox.sent(11);
        }
        assert!(outbox.bytes.capacity() < 1024 && outbox.messages() == 1);
    }
}
