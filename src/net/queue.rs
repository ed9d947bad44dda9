//! What is to be written to a peer: whole messages in a bounded buffer that knows where each one ends.
//!
//! It does no I/O. Its bounds tell a slow peer, its ends tell half a message: a peer that gets half a line and then an
//! orderly end executes what it got (design.md, section 2).

use std::collections::VecDeque;

/// Messages on their way to one peer.
#[derive(Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` have gone.
    start: usize,
    bytes_max: usize,
    /// Where in the whole stream the first byte that has not gone stands.
    sent: u64,
    /// Where in the whole stream each message that has not gone whole ends.
    ends: VecDeque<u64>,
    /// Where the last message that has gone whole ended.
    last_end: u64,
}

impl Outbox {
    /// An empty outbox that [has room](Outbox::has_room) for `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Outbox {
        Outbox { bytes: Vec::new(), start: 0, bytes_max, sent: 0, ends: VecDeque::new(), last_end: 0 }
    }

    /// Whether a message of `length` bytes may be added: it fits beside what waits, or nothing waits.
    pub fn has_room(&self, length: usize) -> bool {
        let waiting = self.unsent().len();
        waiting == 0 || waiting.saturating_add(length) <= self.bytes_max
    }

    /// Appends one whole message, its LF and payload included. Ask [`Outbox::has_room`] first.
    pub fn push(&mut self, message: &[u8]) {
        if message.is_empty() {
            return;
        }
        if self.start > 0 && self.start >= self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(message);
        self.ends.push_back(self.sent.saturating_add(self.unsent().len() as u64));
    }

    /// What has not gone yet.
    pub fn unsent(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Whether everything has gone.
    pub fn is_empty(&self) -> bool {
        self.unsent().is_empty()
    }

    /// How many messages have not gone whole.
    pub fn messages(&self) -> usize {
        self.ends.len()
    }

    /// Says that `count` bytes of [`Outbox::unsent`] have gone.
    pub fn sent(&mut self, count: usize) {
        let count = count.min(self.unsent().len());
        self.start += count;
        self.sent = self.sent.saturating_add(count as u64);
        while let Some(&end) = self.ends.front().filter(|&&end| end <= self.sent) {
            self.last_end = end;
            self.ends.pop_front();
        }
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// The messages of which nothing has gone, each whole.
    pub fn waiting(&self) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mut start = self.sent;
        for (index, &end) in self.ends.iter().enumerate() {
            let place = |at: u64| usize::try_from(at.saturating_sub(self.sent)).unwrap_or(usize::MAX);
            // The first may have gone in part.
            if index > 0 || !self.is_inside_message() {
                messages.push(self.unsent().get(place(start)..place(end)).unwrap_or_default().to_vec());
            }
            start = end;
        }
        messages
    }

    /// Whether a message has gone in part.
    pub fn is_inside_message(&self) -> bool {
        self.sent > self.last_end
    }

    /// Forgets all messages but the one that has gone in part; says how many it forgot.
    pub fn keep_only_started(&mut self) -> usize {
        let kept = usize::from(self.is_inside_message());
        let forgotten = self.ends.len().saturating_sub(kept);
        self.ends.truncate(kept);
        let end = self.ends.back().map_or(0, |end| usize::try_from(end.saturating_sub(self.sent)).unwrap_or_default());
        self.bytes.truncate(self.start.saturating_add(end));
        forgotten
    }

    /// Forgets everything: the peer is gone.
    pub fn clear(&mut self) {
        self.keep_only_started();
        let rest = self.unsent().len();
        self.sent(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_in_any_pieces_and_their_ends_are_known() {
        let mut outbox = Outbox::new(8);
        outbox.push(b"abc\n");
        outbox.push(b"de\n");
        assert_eq!((outbox.unsent(), outbox.messages(), outbox.is_inside_message()), (&b"abc\nde\n"[..], 2, false));
        outbox.sent(1);
        assert!(outbox.is_inside_message());
        outbox.sent(3);
        assert_eq!((outbox.messages(), outbox.is_inside_message()), (1, false));
        outbox.sent(100);
        assert!(outbox.is_empty() && !outbox.is_inside_message());
        outbox.push(b"f\n");
        assert_eq!((outbox.unsent(), outbox.messages()), (&b"f\n"[..], 1));
    }

    #[test]
    fn a_message_that_has_begun_is_kept_and_the_others_are_not() {
        let mut outbox = Outbox::new(64);
        for message in [&b"abc\n"[..], b"de\n", b"f\n"] {
            outbox.push(message);
        }
        assert_eq!(outbox.waiting(), [&b"abc\n"[..], b"de\n", b"f\n"]);
        outbox.sent(5);
        assert_eq!(outbox.waiting(), [b"f\n"]);
        assert_eq!(outbox.keep_only_started(), 1);
        assert_eq!(outbox.unsent(), b"e\n");
        outbox.push(b"goodbye\n");
        outbox.sent(2);
        assert_eq!((outbox.keep_only_started(), outbox.is_empty()), (1, true));
        outbox.push(b"x\n");
        assert_eq!((outbox.unsent(), outbox.messages()), (&b"x\n"[..], 1));
    }

    #[test]
    fn it_is_full_only_when_something_waits() {
        let mut outbox = Outbox::new(4);
        assert!(outbox.has_room(100));
        outbox.push(b"ab\n");
        assert!(outbox.has_room(1) && !outbox.has_room(2));
        outbox.clear();
        assert!(outbox.has_room(100) && !outbox.is_inside_message());
    }

    #[test]
    fn it_does_not_grow_with_the_stream() {
        let mut outbox = Outbox::new(64);
        outbox.push(b"0123456789\n");
        for _ in 0..10_000 {
            outbox.push(b"0123456789\n");
            outbox.sent(11);
        }
        assert!(outbox.bytes.capacity() < 1024 && outbox.messages() == 1);
    }
}
