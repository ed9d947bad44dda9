//! One block: the recorded replies between two requests, and when it is settled.

use std::collections::HashMap;
use std::time::Duration;

use super::compare::{CheckedMessage, Identity, RecordedReply};
use super::engine::Received;

/// How much longer than the longest recorded wait a block that has its last reply waits for more.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// The recorded replies after a request, and the messages that are these replies while they arrive in order.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) replies: Vec<RecordedReply>,
    /// For each reply its message.
    pub(super) found: Vec<Option<Received>>,
    /// When the request was sent.
    pub(super) sent: Duration,
    /// How many messages had been received by then.
    pub(super) received_before: u64,
    /// When its last reply is due: as long after the request was sent as it was recorded, whatever the speed.
    pub(super) due: Duration,
    /// When the request was recorded.
    recorded: Duration,
    /// The longest recorded wait.
    longest_wait: Duration,
    /// The first reply that has not arrived in order.
    next: usize,
    /// The replies that may arrive anywhere and have not arrived yet, last recorded first.
    any_order: HashMap<Identity, Vec<usize>>,
    missing_any_order: usize,
    last_reply: LastReply,
    /// When anything was received last since the request was sent.
    last_received: Option<Duration>,
}

/// How often the last reply that is not any-order has arrived since the request was sent.
#[derive(Debug, Default)]
struct LastReply {
    at: Option<usize>,
    count: usize,
    /// How many replies of the block its messages could be: as often it must arrive.
    needed: usize,
    /// The replies that they could not be so far.
    others: Vec<usize>,
    /// The last of its messages.
    latest: Option<Identity>,
}

impl Block {
    /// The block after a request, which was recorded and sent at these times.
    pub(super) fn new(recorded: Duration, sent: Duration, received_before: u64) -> Block {
        Block { recorded, sent, received_before, ..Block::default() }
    }

    /// All of its replies are known.
    pub(super) fn close(&mut self) {
        let mut before = self.recorded;
        for (at, reply) in self.replies.iter().enumerate() {
            self.longest_wait = self.longest_wait.max(reply.at.saturating_sub(before));
            before = reply.at;
            if !reply.any_order {
                self.last_reply.others.push(at);
                self.last_reply.at = Some(at);
            }
        }
        // The first of equal replies is taken first.
        for (at, reply) in self.replies.iter().enumerate().rev().filter(|(_, reply)| reply.any_order) {
            self.any_order.entry(reply.content.identity.clone()).or_default().push(at);
            self.missing_any_order += 1;
        }
        self.due = self.sent.saturating_add(before.saturating_sub(self.recorded));
        self.found = self.replies.iter().map(|_| None).collect();
        self.skip_any_order();
    }

    fn skip_any_order(&mut self) {
        while self.replies.get(self.next).is_some_and(|reply| reply.any_order) {
            self.next += 1;
        }
    }

    /// Takes a message that is the next reply or an any-order one; any other is given back.
    pub(super) fn take(&mut self, received: Received) -> Option<Received> {
        if received.number >= self.received_before {
            self.last_received = Some(received.at);
            self.count_last_reply(&received.content);
        }
        let at = match self.any_order.get_mut(&received.content.identity).and_then(Vec::pop) {
            Some(at) => {
                self.missing_any_order -= 1;
                at
            }
            None if self.replies.get(self.next).is_some_and(|reply| reply.equals(&received.content)) => {
                self.next += 1;
                self.next - 1
            }
            None => return Some(received),
        };
        self.skip_any_order();
        self.found[at] = Some(received);
        None
    }

    /// With patterns, several replies may be the same as the last one; then it must arrive as often as there are such.
    fn count_last_reply(&mut self, content: &CheckedMessage) {
        let LastReply { at, count, needed, others, latest } = &mut self.last_reply;
        if !at.is_some_and(|at| self.replies[at].equals(content)) {
            return;
        }
        *count += 1;
        if latest.as_ref() != Some(&content.identity) {
            *latest = Some(content.identity.clone());
            let before = others.len();
            others.retain(|&at| !self.replies[at].equals(content));
            *needed += before - others.len();
        }
    }

    /// Whether all replies have arrived, in order.
    pub(super) fn is_complete(&self) -> bool {
        self.next == self.replies.len() && self.missing_any_order == 0
    }

    /// When it is settled if nothing more arrives.
    pub(super) fn deadline(&self, reply_timeout: Duration) -> Duration {
        let timeout = self.due.saturating_add(reply_timeout);
        let has_last = self.last_reply.count > 0 && self.last_reply.count >= self.last_reply.needed;
        match self.last_received {
            Some(last) if has_last && self.missing_any_order == 0 => {
                timeout.min(last.saturating_add(QUIET).saturating_add(self.longest_wait))
            }
            _ => timeout,
        }
    }
}
