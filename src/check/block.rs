//! One block: the recorded answers between two lines of ours, and when it is settled (design.md, section 11, rules 1
//! to 3).

use std::collections::HashMap;
use std::time::Duration;

use super::compare::{Answer, Said};

/// How much longer than the longest recorded wait a block with its last answer waits for more.
pub(super) const QUIET: Duration = Duration::from_millis(100);

/// The recorded answers behind a line of ours, and which of them have come so far, in order and at once.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) answers: Vec<Answer>,
    /// When the line of ours before it left.
    pub(super) left: Duration,
    /// When it was recorded.
    recorded: Duration,
    /// Which line each answer is, while they come in order.
    pub(super) came: Vec<Option<usize>>,
    /// The first answer that has not come in its order.
    next: usize,
    /// The answers that may come anywhere and have not come yet, by what is compared of them.
    any_order: HashMap<Vec<u8>, Vec<usize>>,
    /// How many of these there are.
    missing: usize,
    last: Last,
    /// When something came last, of whatever kind.
    heard: Option<Duration>,
    /// The longest recorded wait.
    wait: Duration,
    /// When its last answer is due: as long after our line left as it was recorded, whatever the speed.
    pub(super) due: Duration,
}

/// How often lines that are the block's last answer have come since our line left.
#[derive(Debug, Default)]
struct Last {
    count: usize,
    /// The last of these lines, and which answers such lines can be.
    said: Option<Said>,
    could_be: Vec<bool>,
    /// Which answer it is.
    answer: Option<usize>,
}

impl Block {
    /// The block behind a line of ours, recorded and sent at these times.
    pub(super) fn new(recorded: Duration, left: Duration) -> Block {
        Block { recorded, left, ..Block::default() }
    }

    /// All of its answers are known.
    pub(super) fn close(&mut self) {
        let mut before = self.recorded;
        for (answer, index) in self.answers.iter().zip(0..) {
            self.wait = self.wait.max(answer.at.saturating_sub(before));
            before = answer.at;
            if let Some(key) = answer.key().filter(|_| answer.any_order) {
                self.any_order.entry(key.to_vec()).or_default().push(index);
                self.missing += 1;
            }
        }
        self.due = self.left.saturating_add(before.saturating_sub(self.recorded));
        // The first of equal answers is taken first.
        self.any_order.values_mut().for_each(|indices| indices.reverse());
        self.came = vec![None; self.answers.len()];
        self.last.could_be = vec![false; self.answers.len()];
        self.last.answer = self.answers.iter().rposition(|answer| !answer.any_order);
        self.pass_any_order();
    }

    fn pass_any_order(&mut self) {
        while self.answers.get(self.next).is_some_and(|answer| answer.any_order) {
            self.next += 1;
        }
    }

    /// Takes in a line that came at `at`, or before our line left unless `since`.
    pub(super) fn hear(&mut self, line: usize, said: &Said, at: Duration, since: bool) {
        if since {
            self.heard = Some(at);
            self.last.hear(said, &self.answers);
        }
        if let Some(answer) = self.any_order.get_mut(said.key()).and_then(Vec::pop) {
            self.came[answer] = Some(line);
            self.missing -= 1;
        } else if self.answers.get(self.next).is_some_and(|answer| answer.is(said)) {
            self.came[self.next] = Some(line);
            self.next += 1;
            self.pass_any_order();
        }
    }

    fn any_order_has_come(&self) -> bool {
        self.missing == 0
    }

    /// Rule 1: all has come, in order.
    pub(super) fn is_complete(&self) -> bool {
        self.next == self.answers.len() && self.any_order_has_come()
    }

    /// When it is settled if nothing more comes: by rule 2 or by rule 3.
    pub(super) fn deadline(&self, reply_timeout: Duration) -> Duration {
        let given_up = self.due.saturating_add(reply_timeout);
        let has_last = self.last.count > 0 && self.last.count >= self.last.could_be.iter().filter(|is| **is).count();
        let quiet = self.heard.filter(|_| has_last && self.any_order_has_come());
        quiet.map_or(given_up, |heard| given_up.min(heard.saturating_add(QUIET).saturating_add(self.wait)))
    }
}

impl Last {
    /// A pattern and a line may both be the last answer of a line that came: it has to come as often as there are such.
    fn hear(&mut self, said: &Said, answers: &[Answer]) {
        if !self.answer.and_then(|last| answers.get(last)).is_some_and(|last| last.is(said)) {
            return;
        }
        self.count += 1;
        if !self.said.as_ref().is_some_and(|last| last.is(said)) {
            self.said = Some(said.clone());
            for (answer, could_be) in answers.iter().zip(&mut self.could_be) {
                *could_be |= !answer.any_order && answer.is(said);
            }
        }
    }
}
