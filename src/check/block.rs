//! One block: the recorded replies between two requests, and when it is settled.

use std::time::Duration;

use super::compare::{Identity, RecordedReply};
use super::engine::Received;

/// How much longer than the longest recorded wait a block that has its last reply waits for more.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// The recorded replies after a request, and the messages that are these replies while they arrive in order.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// When the request was recorded.
    recorded: Duration,
    /// When the request was sent.
    pub(super) sent: Duration,
    /// How many messages had been received by then.
    received_before: u64,
    pub(super) replies: Vec<RecordedReply>,
    /// For each reply its message.
    pub(super) found: Vec<Option<Received>>,
    /// When its last reply is due: as long after the request was sent as it was recorded, whatever the speed.
    pub(super) due: Duration,
    /// The longest recorded wait.
    longest_wait: Duration,
    /// The replies that must arrive in order, and how many of them have.
    ordered: Vec<usize>,
    in_order: usize,
    /// The replies that may arrive anywhere and have not arrived yet.
    any_order: Vec<usize>,
    /// How often the last ordered reply has arrived since the request was sent, and the last such message. With
    /// patterns, the same messages may be other replies too: these are the ones that they could not be.
    last_count: usize,
    last_message: Option<Identity>,
    others: Vec<usize>,
    /// When anything was received last since the request was sent.
    last_received: Option<Duration>,
}

impl Block {
    /// The block after a request.
    pub(super) fn new(recorded: Duration, sent: Duration, received_before: u64) -> Block {
        Block { recorded, sent, received_before, ..Block::default() }
    }

    /// All of its replies are known.
    pub(super) fn close(&mut self) {
        let mut before = self.recorded;
        for reply in &self.replies {
            self.longest_wait = self.longest_wait.max(reply.at.saturating_sub(before));
            before = reply.at;
        }
        self.due = self.sent.saturating_add(before.saturating_sub(self.recorded));
        self.found = self.replies.iter().map(|_| None).collect();
        (self.any_order, self.ordered) = (0..self.replies.len()).partition(|&at| self.replies[at].any_order);
        self.others = self.ordered.clone();
    }

    /// Takes a message that is the next reply or an any-order one; any other is given back.
    pub(super) fn take(&mut self, received: Received) -> Option<Received> {
        let equals = |&at: &usize| self.replies[at].equals(&received.content);
        if received.number >= self.received_before {
            self.last_received = Some(received.at);
            if self.ordered.last().is_some_and(equals) {
                self.last_count += 1;
                if self.last_message.as_ref() != Some(&received.content.identity) {
                    self.last_message = Some(received.content.identity.clone());
                    self.others.retain(|at| !equals(at));
                }
            }
        }
        let at = if let Some(missing) = self.any_order.iter().position(equals) {
            self.any_order.remove(missing)
        } else if self.ordered.get(self.in_order).is_some_and(equals) {
            self.in_order += 1;
            self.ordered[self.in_order - 1]
        } else {
            return Some(received);
        };
        self.found[at] = Some(received);
        None
    }

    /// Whether all replies have arrived, in order.
    pub(super) fn is_complete(&self) -> bool {
        self.in_order == self.ordered.len() && self.any_order.is_empty()
    }

    /// The first reply that has not arrived in order, else one that may arrive anywhere.
    pub(super) fn missing(&self) -> Option<&RecordedReply> {
        self.ordered.get(self.in_order).or(self.any_order.first()).map(|&at| &self.replies[at])
    }

    /// When it is settled if nothing more arrives.
    pub(super) fn deadline(&self, reply_timeout: Duration) -> Duration {
        let timeout = self.due.saturating_add(reply_timeout);
        // The last reply must arrive as often as there are replies that its messages could be.
        let has_last = self.last_count > 0 && self.last_count >= self.ordered.len() - self.others.len();
        let last = self.last_received.filter(|_| has_last && self.any_order.is_empty());
        last.map_or(timeout, |last| timeout.min(last.saturating_add(QUIET).saturating_add(self.longest_wait)))
    }
}
