//! The bytes that were read and not yet given out, in one buffer that is filled at its end and emptied at its front.

use crate::limits::READ_BYTES;

/// A buffer between a reader and a framer. It grows with what arrives, never with what a length claims.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    read_bytes: usize,
}

impl Buffer {
    /// An empty buffer whose [`Buffer::space`] has room for at least `read_bytes`; nothing is allocated yet.
    pub fn new(read_bytes: usize) -> Buffer {
        Buffer { bytes: Vec::new(), start: 0, end: 0, read_bytes: read_bytes.max(1) }
    }

    /// What was read and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes `count` bytes away from the front.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Like [`Buffer::consume`]; gives the place where [`Buffer::taken`] finds them until the next [`Buffer::space`].
    pub fn take(&mut self, count: usize) -> usize {
        let at = self.start;
        self.consume(count);
        at
    }

    /// The first `count` bytes of what [`Buffer::take`] took away.
    pub fn taken(&self, at: usize, count: usize) -> &[u8] {
        self.bytes.get(at..at.saturating_add(count)).unwrap_or_default()
    }

    /// Room to read into; call [`Buffer::filled`] with what came.
    pub fn space(&mut self) -> &mut [u8] {
        let unread = self.end - self.start;
        if unread == 0 && self.bytes.len() > 8 * READ_BYTES {
            // One huge message must not keep its memory for ever.
            self.bytes = Vec::new();
            (self.start, self.end) = (0, 0);
        }
        let wanted = unread.saturating_add(self.read_bytes);
        if self.bytes.len().saturating_sub(self.end) < self.read_bytes {
            self.bytes.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = unread;
            if self.bytes.len() < wanted {
                // By half, not to the double: the largest message may take three times its size, copies included
                // (section 14).
                let half_more = self.bytes.len().saturating_add(self.bytes.len() / 2);
                let grown = if unread == 0 { wanted } else { wanted.max(half_more) };
                self.bytes.resize(grown, 0);
            }
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Gives back the memory of what has been consumed; the places of [`Buffer::take`] are no more.
    pub fn give_back(&mut self) {
        self.bytes = self.unread().to_vec();
        (self.start, self.end) = (0, self.bytes.len());
    }

    /// Says how many bytes of [`Buffer::space`] were filled, and gives them.
    pub fn filled(&mut self, count: usize) -> &[u8] {
        let start = self.end;
        self.end = self.end.saturating_add(count).min(self.bytes.len());
        self.bytes.get(start..self.end).unwrap_or_default()
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
                buffer.consume(take);
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
        buffer.consume(usize::MAX);
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
        buffer.consume(buffer.unread().len() - 3);
        buffer.give_back();
        assert_eq!((buffer.unread(), buffer.bytes.capacity()), (&b"xxx"[..], 3));
        assert_eq!(buffer.space().len(), 16);
        assert_eq!(buffer.unread(), b"xxx");
    }
}
