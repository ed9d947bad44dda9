//! The book that a check keeps: its entries, the answers that it has given up, and where in the file each line would
//! stand that came elsewhere.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use super::compare::{Answer, Difference, Said, command};
use super::fate::Fate;
use super::report::{Came, Entry, Kind, Recorded, Way};

/// The differences so far.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Whether a line that was not recorded is a difference.
    exact: bool,
    /// Whether a `goodbye` is none, since the recording ends with one.
    goodbye: bool,
    pub(super) entries: Vec<Entry>,
    owed: Owed,
    /// The place in the file of our line before the block, and of each line that the block took in its order.
    start: u64,
    places: Vec<(u64, u64)>,
    uncompared: Option<Entry>,
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

impl Book {
    /// An empty book.
    pub(super) fn new(exact: bool, goodbye: bool) -> Book {
        Book { exact, goodbye, ..Book::default() }
    }

    /// A block begins behind a line of ours.
    pub(super) fn begin(&mut self, number: u64) {
        self.start = number;
        self.places.clear();
    }

    /// Whether the block stands behind this record of the file.
    pub(super) fn is_behind(&self, number: u64) -> bool {
        self.start > number
    }

    /// Whether a line is an answer that was given up.
    pub(super) fn is_owed(&self, said: &Said) -> bool {
        self.owed.has(said)
    }

    /// Notes where in the file the lines stand that came in their order, for those that have to be put between them.
    pub(super) fn keep_places(&mut self, answers: &[Answer], fates: &[(Fate, Range<usize>)], lines: &[Came]) {
        for (answer, (fate, _)) in answers.iter().zip(fates).filter(|(answer, _)| !answer.any_order) {
            let line = match fate {
                Fate::Came(line) | Fate::Differs(line) => lines.get(*line),
                Fate::OutOfOrder(_) | Fate::Missing => None,
            };
            // Of two lines that differ in one place the later may stand for the earlier answer.
            let is_behind = |line: &&Came| self.places.last().is_none_or(|(last, _)| *last < line.number);
            let line = line.filter(is_behind);
            self.places.extend(line.map(|line| (line.number, answer.number)));
        }
    }

    /// Behind which record of the file a line has to stand that is not in its place there.
    fn place(&self, came: &Came) -> u64 {
        let behind = self.places.partition_point(|(line, _)| *line < came.number);
        let before = behind.checked_sub(1).and_then(|before| self.places.get(before));
        before.map_or(self.start, |(_, answer)| *answer)
    }

    /// A line stands for an answer, and not as it should: out of order, or with these differences.
    pub(super) fn otherwise(&mut self, answer: &Answer, came: Came, differences: Option<Vec<Difference>>) {
        let in_place = differences.is_some() && self.places.binary_search(&(came.number, answer.number)).is_ok();
        let place = (!in_place).then(|| self.place(&came));
        let kind = differences.map_or(Kind::OutOfOrder, Kind::Differs);
        self.entries.push(Entry { recorded: Some(answer.into()), came: Some(came), place, ..Entry::new(kind) });
    }

    /// An answer did not come; `free` are the lines in its place that stand for none.
    pub(super) fn give_up<'a>(
        &mut self,
        answer: Answer,
        free: impl Iterator<Item = &'a mut Came>,
        waited: Duration,
        silent: bool,
        now: Duration,
    ) {
        let recorded = Some(Recorded::from(&answer));
        // A line that is told of, or will be, is not told of again.
        let untold = free.filter(|came| !self.exact && !came.told && !self.owed.has(&came.said));
        let meanwhile = untold
            .map(|came| {
                came.told = true;
                came.clone()
            })
            .collect();
        self.owed.add(answer, Debt { entry: self.entries.len(), given_up: now });
        self.entries.push(Entry { recorded, meanwhile, ..Entry::new(Kind::NoAnswer { waited, silent }) });
    }

    /// A line is no answer of the block that it came in: it is late, not recorded, or of no interest.
    pub(super) fn let_pass(&mut self, came: Came) {
        let place = Some(self.place(&came));
        if let Some(debt) = self.owed.take(&came.said) {
            if let Some(entry) = self.entries.get_mut(debt.entry) {
                entry.kind = Kind::Late(came.at.saturating_sub(debt.given_up));
                entry.place = place;
                entry.came = Some(came);
            }
        } else if self.exact && !(self.goodbye && command(&came.said.line) == "goodbye") {
            self.entries.push(Entry { came: Some(came), place, ..Entry::new(Kind::Extra) });
        }
    }

    /// An answer cannot be compared, since the peer has gone this way.
    pub(super) fn uncompared(&mut self, answer: &Answer, way: Way) {
        let entry = self
            .uncompared
            .get_or_insert_with(|| Entry { recorded: Some(answer.into()), ..Entry::new(Kind::Gone { way, count: 0 }) });
        if let Kind::Gone { count, .. } = &mut entry.kind {
            *count += 1;
        }
    }

    /// Nothing more happens: what was not compared is the last entry.
    pub(super) fn close(&mut self) {
        self.entries.extend(self.uncompared.take());
    }
}
