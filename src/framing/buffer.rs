//! The bytes that were read and not yet taken, in one buffer that is filled at its end and emptied at its front.

use crate::limits::READ_BYTES;

/// A buffer between a reader and a framer. It grows with what is read, never with what a length claims.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    read_bytes: usize,
}

impl Buffer {
    /// An empty buffer whose [`Buffer::space`] has at least `read_bytes`. Nothing is allocated yet.
    pub(super) fn new(read_bytes: usize) -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, end: 0, read_bytes: read_bytes.max(1) }
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes `count` bytes from the front.
    pub(super) fn take(&mut self, count: usize) -> &[u8] {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        &self.bytes[self.start - count..self.start]
    }

    /// Where to read into.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let unread = self.end - self.start;
        if unread == 0 && self.bytes.len() > 8 * READ_BYTES {
            // One huge message must not keep its memory.
            *self = Buffer::new(self.read_bytes);
        }
        if self.bytes.len() - self.end < self.read_bytes {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, unread);
            let wanted = unread + self.read_bytes;
            if self.bytes.len() < wanted {
                // By half, not to the double: the largest message may take three times its size, copies included.
                let half_more = self.bytes.len() + self.bytes.len() / 2;
                self.bytes.resize(if unread == 0 { wanted } else { wanted.max(half_more) }, 0);
            }
        }
        &mut self.bytes[self.end..]
    }

    /// Adds the first `count` bytes of [`Buffer::space`].
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Frees the memory of what has been taken.
    pub(super) fn give_back(&mut self) {
        self.bytes = self.unread().to_vec();
        (self.start, self.end) = (0, self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_whatever_the_pieces() {
        let mut buffer = Buffer::new(4);
        let mut seen = Vec::new();
        for round in 0..1000u32 {
            let piece = round.to_le_bytes();
            let space = buffer.space();
            assert!(space.len() >= 4);
            space[..4].copy_from_slice(&piece);
            buffer.filled(4);
            if round % 3 == 0 {
                let take = buffer.unread().len().saturating_sub(1);
                seen.extend_from_slice(&buffer.unread()[..take]);
                buffer.take(take);
            }
        }
        seen.extend_from_slice(buffer.unread());
        let expected: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_memory_of_a_huge_message_is_given_back() {
        let mut buffer = Buffer::new(16);
        while buffer.unread().len() < 16 * READ_BYTES {
            let count = buffer.space().len();
            buffer.filled(count);
        }
        buffer.take(buffer.unread().len());
        assert_eq!(buffer.unread(), b"");
        assert_eq!(buffer.space().len(), 16);
    }

    #[test]
    fn memory_is_given_back_though_something_is_unread() {
        let mut buffer = Buffer::new(16);
        while buffer.unread().len() < 1000 {
            let space = buffer.space();
            space.fill(b'x');
            let count = space.len();
            buffer.filled(count);
        }
        buffer.take(buffer.unread().len() - 3);
        buffer.give_back();
        assert_eq!((buffer.unread(), buffer.bytes.capacity()), (&b"xxx"[..], 3));
        assert_eq!(buffer.space().len(), 16);
        assert_eq!(buffer.unread(), b"xxx");
    }
}
