//! The check itself: when each of our lines leaves, when each block is settled, and what is reported (design.md,
//! section 11). It is told what the recording has, what came and when; it reads no clock.

use std::ops::Range;
use std::time::Duration;

use super::block::{Block, QUIET};
use super::book::Book;
use super::compare::{Answer, Said};
use super::fate::{Fate, fates};
use super::report::{Came, Entry, Way};
use super::rules::Rules;
use super::{Options, Want};
use crate::bcp::Malformed;
use crate::session::Record;

/// What stands behind the block in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Unread,
    Ours { number: u64, at: Duration, due: Duration, joins: bool },
    End,
}

/// A check under way. All times are counted from when the connection stood.
#[derive(Debug)]
pub struct Check {
    options: Options,
    /// When the first record was recorded, and the latest record so far: a time that goes backwards counts as that one.
    first: Option<Duration>,
    latest: Duration,
    block: Block,
    next: Next,
    /// When the block was settled.
    settled: Option<Duration>,
    /// By how much blocks have moved the clock.
    shift: Duration,
    /// What has come and is no answer yet, or is behind the last line that a block took.
    lines: Vec<Came>,
    /// How many of these came before our line left.
    before: usize,
    heard: u64,
    book: Book,
    gone: Option<Way>,
    compared: u64,
    /// The last answer that has been compared.
    reached: u64,
    over: bool,
}

impl Check {
    /// A check at its start.
    pub fn new(options: Options) -> Check {
        Check {
            first: None,
            latest: Duration::ZERO,
            block: Block::default(),
            next: Next::Unread,
            settled: None,
            shift: Duration::ZERO,
            lines: Vec::new(),
            before: 0,
            heard: 0,
            book: Book::new(options.exact, options.last_goodbye.is_some()),
            gone: None,
            compared: 0,
            reached: 0,
            over: false,
            options,
        }
    }

    /// What to do at `now`.
    pub fn want(&mut self, now: Duration) -> Want {
        if self.over {
            return Want::Done;
        }
        if self.next == Next::Unread {
            return Want::Record;
        }
        let Some(settled) = self.settled else {
            let deadline = self.block.deadline(self.options.reply_timeout);
            if now < deadline {
                return Want::Wait(deadline);
            }
            self.settle(deadline);
            return self.want(now);
        };
        match self.next {
            // Nothing more is sent to a peer that is gone, but what it left unanswered is counted.
            Next::Unread | Next::Ours { .. } if self.gone.is_some() => {
                self.next = Next::Unread;
                Want::Record
            }
            Next::Unread => Want::Record,
            Next::Ours { joins: true, .. } => Want::Send,
            Next::Ours { due, .. } => {
                self.shift = self.shift.max(settled.saturating_sub(due));
                let leaves = due.saturating_add(self.shift);
                if now < leaves { Want::Wait(leaves) } else { Want::Send }
            }
            Next::End => {
                let due = if self.options.exact { self.block.due } else { Duration::ZERO };
                let ends = settled.saturating_add(QUIET).max(due);
                if now < ends && self.gone.is_none() {
                    return Want::Wait(ends);
                }
                self.finish();
                Want::Done
            }
        }
    }

    /// When a record was recorded, since the first.
    fn at(&mut self, time: Option<Duration>) -> Duration {
        self.latest = self.latest.max(time.unwrap_or_default());
        self.first = self.first.or(time);
        self.latest.saturating_sub(self.first.unwrap_or_default())
    }

    /// The next record is a line of ours, `due` so long after the start if no block delays it; one that `joins` the
    /// line before leaves with it.
    pub fn ours(&mut self, record: &Record, due: Duration, joins: bool) {
        self.next = Next::Ours { number: record.number, at: self.at(record.time), due, joins };
        self.close();
    }

    /// The next record is an answer.
    ///
    /// # Errors
    /// A `#~` line that is no pattern.
    pub fn answer(&mut self, record: &Record) -> Result<(), Malformed> {
        let at = self.at(record.time);
        if self.options.last_goodbye == Some(record.number) {
            return Ok(());
        }
        let Some(answer) = self.options.rules.recorded(record, at)? else { return Ok(()) };
        self.compared += 1;
        match self.gone.filter(|_| self.settled.is_some()) {
            None => self.block.answers.push(answer),
            Some(way) => self.book.uncompared(&answer, way),
        }
        Ok(())
    }

    /// The recording has no more records.
    pub fn end(&mut self) {
        self.next = Next::End;
        self.close();
    }

    /// The block has all its answers; some may have come before their question.
    fn close(&mut self) {
        if self.settled.is_some() {
            return;
        }
        self.block.close();
        // A block of no answers has nothing to look for in what earlier ones have left.
        let lines = if self.block.answers.is_empty() { &[][..] } else { &self.lines };
        for (line, came) in lines.iter().enumerate() {
            self.block.hear(line, &came.said, came.at, line >= self.before);
        }
        if self.block.is_complete() || self.gone.is_some() {
            let came = self.lines.last().map_or(Duration::ZERO, |came| came.at);
            self.settle(came.max(self.block.left));
        }
    }

    /// The line of ours that was read last has left.
    pub fn sent(&mut self, now: Duration) {
        let Next::Ours { number, at, .. } = self.next else { return };
        self.block = Block::new(at, now);
        self.next = Next::Unread;
        self.settled = None;
        self.before = self.lines.len();
        self.book.begin(number);
    }

    /// A line came. Blank lines and comments are none.
    pub fn heard(&mut self, line: &[u8], payload: &[u8], now: Duration) {
        let number = self.heard;
        self.heard += 1;
        let Some(said) = self.options.rules.came(line, payload).filter(|_| !self.over) else { return };
        let index = self.lines.len();
        if self.settled.is_none() && self.next != Next::Unread {
            self.block.hear(index, &said, now, true);
        }
        self.lines.push(Came { number, at: now, said, told: false });
        if self.nothing_follows() {
            std::mem::take(&mut self.lines).into_iter().for_each(|came| self.book.let_pass(came));
            self.before = 0;
        }
        if self.settled.is_none() && self.next != Next::Unread && self.block.is_complete() {
            self.settle(now);
        }
    }

    /// Whether no line that comes can be an answer any more, but for one that was given up.
    fn nothing_follows(&self) -> bool {
        let is_behind = self.options.last_answer.is_some_and(|last| self.book.is_behind(last));
        // What is counted as extra is told in the order of the blocks, when all is over.
        is_behind && self.settled.is_some() && !self.options.exact
    }

    /// The peer is gone. What is left of the recording still has to be read, so that it is counted.
    pub fn gone(&mut self, way: Way, now: Duration) {
        if self.over || self.gone.is_some() {
            return;
        }
        self.gone = Some(way);
        if self.settled.is_none() && self.next != Next::Unread {
            self.settle(now);
        }
    }

    /// Aligns the block with what came, reports the differences, and lets the lines pass that it has gone by.
    fn settle(&mut self, now: Duration) {
        self.settled = Some(now);
        let complete = self.block.is_complete();
        let answers = std::mem::take(&mut self.block.answers);
        let fates: Vec<(Fate, Range<usize>)> = if complete {
            self.block.came.iter().map(|line| (line.map_or(Fate::Missing, Fate::Came), 0..0)).collect()
        } else {
            let lines: Vec<&Said> = self.lines.iter().map(|came| &came.said).collect();
            fates(&answers, &lines, &self.options.rules, |said| self.book.is_owed(said))
        };
        let lines = || fates.iter().filter_map(|(fate, _)| fate.line());
        let behind = lines().max().map_or(0, |last| last + 1);
        let mut is_free = vec![true; behind];
        lines().for_each(|line| is_free[line] = false);
        // What the peer has answered before it went is compared up to its last answer, and the rest is counted.
        let compared = match self.gone {
            Some(_) => fates.iter().rposition(|(fate, _)| *fate != Fate::Missing).map_or(0, |last| last + 1),
            None => fates.len(),
        };
        self.book.keep_places(&answers, &fates, &self.lines);
        let before = self.book.entries.len();
        for (index, (answer, (fate, place))) in answers.into_iter().zip(fates).enumerate() {
            if index < compared {
                self.reached = answer.number;
                self.name(answer, fate, &place, &is_free, now);
            } else if let Some(way) = self.gone {
                self.book.uncompared(&answer, way);
            }
        }
        for (came, _) in self.lines.drain(..behind).zip(is_free).filter(|(_, is_free)| *is_free) {
            self.book.let_pass(came);
        }
        if self.options.fail_fast && self.book.entries.len() > before {
            self.book.entries.truncate(before + 1);
            self.over = true;
        }
    }

    /// Reports what became of an answer, if it did not come as it should.
    fn name(&mut self, answer: Answer, fate: Fate, place: &Range<usize>, is_free: &[bool], now: Duration) {
        let came = fate.line().and_then(|line| self.lines.get(line));
        match (fate, came) {
            (Fate::Came(_), _) => {}
            (Fate::OutOfOrder(_), Some(came)) => self.book.otherwise(&answer, came.clone(), None),
            (Fate::Differs(_), Some(came)) => {
                let differences = self.options.rules.differences(&answer, &came.said);
                self.book.otherwise(&answer, came.clone(), Some(differences));
            }
            (Fate::Missing, _) | (_, None) => {
                let silent = self.lines.len() == self.before;
                let waited = now.saturating_sub(self.block.left);
                let free = self.lines.iter_mut().enumerate().take(place.end).skip(place.start);
                let free = free.filter(|(line, _)| is_free.get(*line).is_none_or(|is_free| *is_free));
                self.book.give_up(answer, free.map(|(_, came)| came), waited, silent, now);
            }
        }
    }

    fn finish(&mut self) {
        self.over = true;
        std::mem::take(&mut self.lines).into_iter().for_each(|came| self.book.let_pass(came));
        self.book.close();
        if self.options.fail_fast {
            self.book.entries.truncate(1);
        }
    }

    /// The differences: block by block, in a block as recorded, then what was not recorded, and last what the peer left
    /// unanswered when it went. Until the check is done some may still turn out late instead of missing.
    pub fn entries(&self) -> &[Entry] {
        &self.book.entries
    }

    /// How many answers of the recording have been read so far that are compared; a check of none has shown nothing.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// The place in the file of the last answer that has been compared; those behind it have not been.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Whether it has come to its end.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// The differences, and the rules that they were found by.
    pub fn into_report(self) -> (Vec<Entry>, Rules) {
        (self.book.entries, self.options.rules)
    }
}
