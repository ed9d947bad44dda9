//! `--reconnect`: which messages have gone over a connection that was lost, and which are still to go (design.md,
//! section 9).
//!
//! Nothing is sent twice: a message counts as gone as soon as its first byte is handed to the system.

use std::collections::VecDeque;

use crate::net::queue::Outbox;

/// The messages that are on their way, by number.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What was put into the outbox since it was last empty; 0 for what the conversation says of itself.
    under_way: VecDeque<u64>,
    /// The last message that has gone, or begun to.
    last: Option<u64>,
    /// What goes first over the next connection.
    waiting: VecDeque<(u64, Vec<u8>)>,
}

impl Ledger {
    /// A message was put into the outbox: its number, from 1.
    pub fn push(&mut self, number: u64) {
        self.under_way.push_back(number);
    }

    /// Everything in the outbox has gone.
    pub fn all_gone(&mut self) {
        self.last = self.under_way.iter().rev().copied().find(|&number| number > 0).or(self.last);
        self.under_way.clear();
    }

    /// The connection was lost with this in the outbox.
    pub fn lost(&mut self, outbox: &Outbox) {
        let messages = outbox.waiting();
        let begun = self.under_way.len().saturating_sub(messages.len());
        let numbers = self.under_way.split_off(begun);
        self.all_gone();
        let waiting = numbers.into_iter().zip(messages).filter(|(number, _)| *number > 0);
        self.waiting = waiting.chain(std::mem::take(&mut self.waiting)).collect();
    }

    /// The last message that has gone, at least in part.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// What was not sent over the connection before: the next message of it, with its number.
    pub fn next_waiting(&mut self) -> Option<(u64, Vec<u8>)> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_begun_to_go_is_not_sent_again() {
        let (mut ledger, mut outbox) = (Ledger::default(), Outbox::new(1 << 10));
        let push = |ledger: &mut Ledger, outbox: &mut Outbox, number, message: &[u8]| {
            ledger.push(number);
            outbox.push(message);
        };
        push(&mut ledger, &mut outbox, 1, b"a\n");
        outbox.sent(2);
        ledger.all_gone();
        for (number, message) in [(2, b"b\n"), (0, b"r\n"), (4, b"c\n"), (0, b"r\n"), (5, b"d\n")] {
            push(&mut ledger, &mut outbox, number, message);
        }
        outbox.sent(5);
        ledger.lost(&outbox);
        assert_eq!(ledger.last(), Some(4));
        assert_eq!(ledger.next_waiting(), Some((5, b"d\n".to_vec())));
        assert_eq!(ledger.next_waiting(), None);
    }

    #[test]
    fn nothing_gone_is_no_last_message() {
        let (mut ledger, mut outbox) = (Ledger::default(), Outbox::new(1 << 10));
        ledger.push(7);
        outbox.push(b"a\n");
        ledger.lost(&outbox);
        assert_eq!((ledger.last(), ledger.next_waiting()), (None, Some((7, b"a\n".to_vec()))));
    }
}
