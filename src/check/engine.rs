//! The check itself: when each of our lines leaves, when each block is settled, and what is reported (design.md,
//! section 11, and `check.md` of its vectors). It is told what the recording has, what came and when; it reads no clock.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::block::{Block, QUIET};
use super::compare::{Answer, Rules, Said, command};
use super::fate::{Fate, fates};
use super::report::{Came, Entry, Kind, Recorded, Way};
use crate::codec::Malformed;
use crate::session::Record;

/// How far apart lines of ours may have been recorded that leave in one write: they left in one, or as good as.
pub const TOGETHER: Duration = Duration::from_millis(2);

/// How a recording is checked.
#[derive(Debug)]
pub struct Options {
    /// What is compared.
    pub rules: Rules,
    /// Whether a line that was not recorded is a difference.
    pub exact: bool,
    /// How long after it was due the last answer of a block is waited for.
    pub reply_timeout: Duration,
    /// Whether the first difference is the last thing that is looked for.
    pub fail_fast: bool,
    /// The place of the recording's last answer when it is a `goodbye`, see [`super::Outlook`].
    pub last_goodbye: Option<u64>,
}

/// What a check wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The next record of the recording: [`Check::ours`], [`Check::answer`] or [`Check::end`].
    Record,
    /// The line of ours that was read last leaves now; then [`Check::sent`].
    Send,
    /// Nothing before this time, unless something comes.
    Wait(Duration),
    /// It is over.
    Done,
}

/// What stands behind the block in the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Unread,
    Ours { number: u64, at: Duration, due: Duration },
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
    /// When the first line of the last write was recorded, while none of the peer's has come behind it.
    together: Option<Duration>,
    /// What has come and is no answer yet, or is behind the last line that a block took.
    lines: Vec<Came>,
    /// How many of these came before our line left.
    before: usize,
    heard: u64,
    entries: Vec<Entry>,
    owed: Owed,
    /// The places in the file where the lines that the block took stand, for the lines behind them.
    places: Vec<(u64, u64)>,
    gone: Option<Way>,
    uncompared: Option<Entry>,
    compared: u64,
    over: bool,
}

/// The answers that were given up.
#[derive(Debug, Default)]
struct Owed {
    /// Those of one line, in their order.
    lines: HashMap<Vec<u8>, VecDeque<Debt>>,
    patterns: Vec<(Answer, Debt)>,
}

/// An answer that was given up: its entry of the report, and when that was.
#[derive(Clone, Copy, Debug)]
struct Debt {
    entry: usize,
    given_up: Duration,
}

impl Owed {
    fn has(&self, said: &Said) -> bool {
        self.lines.contains_key(said.key()) || self.patterns.iter().any(|(answer, _)| answer.is(said))
    }

    fn add(&mut self, answer: Answer, debt: Debt) {
        match answer.key() {
            Some(key) => self.lines.entry(key.to_vec()).or_default().push_back(debt),
            None => self.patterns.push((answer, debt)),
        }
    }

    /// The first one that the line is; it is owed no more.
    fn take(&mut self, said: &Said) -> Option<Debt> {
        if let Some(debts) = self.lines.get_mut(said.key()) {
            let debt = debts.pop_front();
            if debts.is_empty() {
                self.lines.remove(said.key());
            }
            return debt;
        }
        let at = self.patterns.iter().position(|(answer, _)| answer.is(said))?;
        Some(self.patterns.remove(at).1)
    }
}

impl Check {
    /// A check at its start.
    pub fn new(options: Options) -> Check {
        Check {
            options,
            first: None,
            latest: Duration::ZERO,
            block: Block::default(),
            next: Next::Unread,
            settled: None,
            shift: Duration::ZERO,
            together: None,
            lines: Vec::new(),
            before: 0,
            heard: 0,
            entries: Vec::new(),
            owed: Owed::default(),
            places: Vec::new(),
            gone: None,
            uncompared: None,
            compared: 0,
            over: false,
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
            Next::Ours { at, due, .. } => {
                if self.together.is_some_and(|first| at.saturating_sub(first) <= TOGETHER) {
                    return Want::Send;
                }
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

    /// The next record is a line of ours, `due` so long after the start if no block delays it.
    pub fn ours(&mut self, record: &Record<'_>, due: Duration) {
        self.next = Next::Ours { number: record.number, at: self.at(record.time), due };
        self.close();
    }

    /// The next record is an answer.
    ///
    /// # Errors
    /// A `#~` line that is no pattern.
    pub fn answer(&mut self, record: &Record<'_>) -> Result<(), Malformed> {
        let at = self.at(record.time);
        self.together = None;
        if self.options.last_goodbye == Some(record.number) {
            return Ok(());
        }
        let Some(answer) = self.options.rules.recorded(record, at)? else { return Ok(()) };
        self.compared += 1;
        match self.settled {
            None => self.block.answers.push(answer),
            Some(_) => self.count_uncompared(&answer),
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
        for (line, came) in self.lines.iter().enumerate() {
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
        self.together = self.together.filter(|first| at.saturating_sub(*first) <= TOGETHER).or(Some(at));
        self.block = Block::new(number, at, now);
        self.next = Next::Unread;
        self.settled = None;
        self.before = self.lines.len();
        self.places.clear();
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
        if self.settled.is_none() && self.next != Next::Unread && self.block.is_complete() {
            self.settle(now);
        }
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
            fates(&answers, &lines, &self.options.rules, |said| self.owed.has(said))
        };
        let mut taken = vec![false; self.lines.len()];
        let lines = || fates.iter().filter_map(|(fate, _)| fate.line());
        lines().for_each(|line| taken[line] = true);
        let behind = lines().max().map_or(0, |last| last + 1);
        // What the peer has answered before it went is compared up to its last answer, and the rest is counted.
        let compared = match self.gone {
            Some(_) => fates.iter().rposition(|(fate, _)| *fate != Fate::Missing).map_or(0, |last| last + 1),
            None => fates.len(),
        };
        self.keep_places(&answers, &fates);
        let before = self.entries.len();
        for (index, (answer, (fate, place))) in answers.into_iter().zip(fates).enumerate() {
            if index < compared {
                self.name(answer, fate, &place, &taken, now);
            } else {
                self.count_uncompared(&answer);
            }
        }
        let passed: Vec<Came> =
            self.lines.drain(..behind).zip(taken).filter(|(_, taken)| !taken).map(|(came, _)| came).collect();
        passed.into_iter().for_each(|came| self.let_pass(came));
        if self.options.fail_fast && self.entries.len() > before {
            self.entries.truncate(before + 1);
            self.over = true;
        }
    }

    /// Notes where in the file the lines stand that came in their order, for those that have to be put between them.
    fn keep_places(&mut self, answers: &[Answer], fates: &[(Fate, Range<usize>)]) {
        for (answer, (fate, _)) in answers.iter().zip(fates).filter(|(answer, _)| !answer.any_order) {
            if let Fate::Came(line) | Fate::Differs(line) = *fate {
                let number = self.lines[line].number;
                // Of two lines that differ in one place the later may stand for the earlier answer.
                if self.places.last().is_none_or(|(last, _)| *last < number) {
                    self.places.push((number, answer.number));
                }
            }
        }
    }

    /// Behind which record of the file a line has to stand that is not in its place there.
    fn place(&self, came: &Came) -> u64 {
        let before = self.places.iter().rev().find(|(line, _)| *line < came.number);
        before.map_or(self.block.number, |(_, answer)| *answer)
    }

    /// Reports what became of an answer, if it did not come as it should.
    fn name(&mut self, answer: Answer, fate: Fate, place: &Range<usize>, taken: &[bool], now: Duration) {
        let Some(line) = fate.line() else { return self.give_up(answer, place, taken, now) };
        let came = self.lines[line].clone();
        let kind = match fate {
            Fate::OutOfOrder(_) => Kind::OutOfOrder,
            Fate::Differs(_) => Kind::Differs(self.options.rules.differences(&answer, &came.said)),
            Fate::Came(_) | Fate::Missing => return,
        };
        let in_place = self.places.contains(&(came.number, answer.number));
        let place = (!in_place).then(|| self.place(&came));
        let recorded = Some(Recorded::from(&answer));
        self.entries.push(Entry { kind, recorded, came: Some(came), place, meanwhile: Vec::new() });
    }

    fn give_up(&mut self, answer: Answer, place: &Range<usize>, taken: &[bool], now: Duration) {
        let silent = self.lines.len() == self.before;
        let waited = now.saturating_sub(self.block.left);
        let mut meanwhile = Vec::new();
        for (came, _) in
            self.lines.iter_mut().zip(taken).take(place.end).skip(place.start).filter(|(_, taken)| !**taken)
        {
            // A line that has been told of, or that is about to be, is not told of again.
            if !came.told && !self.owed.has(&came.said) && !self.options.exact {
                came.told = true;
                meanwhile.push(came.clone());
            }
        }
        let kind = Kind::NoAnswer { waited, silent };
        let recorded = Some(Recorded::from(&answer));
        self.owed.add(answer, Debt { entry: self.entries.len(), given_up: now });
        self.entries.push(Entry { kind, recorded, came: None, place: None, meanwhile });
    }

    /// A line is no answer of the block that it came in: it is late, not recorded, or of no interest.
    fn let_pass(&mut self, came: Came) {
        let place = Some(self.place(&came));
        if let Some(debt) = self.owed.take(&came.said) {
            if let Some(entry) = self.entries.get_mut(debt.entry) {
                entry.kind = Kind::Late(came.at.saturating_sub(debt.given_up));
                entry.place = place;
                entry.came = Some(came);
            }
        } else if self.options.exact && !(self.options.last_goodbye.is_some() && command(&came.said.line) == "goodbye")
        {
            self.entries.push(Entry {
                kind: Kind::Extra,
                recorded: None,
                came: Some(came),
                place,
                meanwhile: Vec::new(),
            });
        }
    }

    fn count_uncompared(&mut self, answer: &Answer) {
        let Some(way) = self.gone else { return };
        let entry = self.uncompared.get_or_insert_with(|| Entry {
            kind: Kind::Gone { way, count: 0 },
            recorded: Some(Recorded::from(answer)),
            came: None,
            place: None,
            meanwhile: Vec::new(),
        });
        if let Kind::Gone { count, .. } = &mut entry.kind {
            *count += 1;
        }
    }

    fn finish(&mut self) {
        self.over = true;
        let lines = std::mem::take(&mut self.lines);
        lines.into_iter().for_each(|came| self.let_pass(came));
        self.entries.extend(self.uncompared.take());
        if self.options.fail_fast {
            self.entries.truncate(1);
        }
    }

    /// The differences: block by block, in a block as recorded, then what was not recorded, and last what the peer left
    /// unanswered when it went. Until the check is done some may still turn out late instead of missing.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many answers of the recording have been read so far that are compared; a check of none has shown nothing.
    pub fn compared(&self) -> u64 {
        self.compared
    }
}
