//! What became of each answer of a block: the lines that came, aligned with it and named (design.md, section 11).

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::align::align;
use super::compare::{Answer, Apart, Likeness, Said};
use super::rules::Rules;

/// How often a line of a block is held against an answer of it, parameter by parameter: half a second's work. Beyond
/// that an answer is compared with the first lines in its place only.
const LIKENESSES_MAX: usize = 1_000_000;

/// What became of an answer; each line stands for one answer at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is this line.
    Came(usize),
    /// It is this line, which stands elsewhere in the block.
    OutOfOrder(usize),
    /// This line came in its place.
    Differs(usize),
    /// Nothing came.
    Missing,
}

impl Fate {
    /// The line that stands for the answer.
    pub(super) fn line(self) -> Option<usize> {
        match self {
            Fate::Came(line) | Fate::OutOfOrder(line) | Fate::Differs(line) => Some(line),
            Fate::Missing => None,
        }
    }
}

/// The lines of a block that stand for no answer yet.
struct Free<'a> {
    lines: &'a [&'a Said],
    is_free: Vec<bool>,
    /// The lines that are alike, in the order in which they came.
    alike: HashMap<&'a [u8], VecDeque<usize>>,
}

impl<'a> Free<'a> {
    fn new(lines: &'a [&'a Said]) -> Free<'a> {
        let mut alike: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
        lines.iter().zip(0..).for_each(|(said, line)| alike.entry(said.key()).or_default().push_back(line));
        Free { lines, is_free: vec![true; lines.len()], alike }
    }

    fn take(&mut self, line: usize) -> usize {
        if let Some(is_free) = self.is_free.get_mut(line) {
            *is_free = false;
        }
        line
    }

    /// The free lines of a place.
    fn between(&self, place: &Range<usize>) -> impl Iterator<Item = (usize, &'a Said)> {
        let lines = self.lines.iter().zip(&self.is_free).zip(0..).take(place.end).skip(place.start);
        lines.filter(|((_, is_free), _)| **is_free).map(|((said, _), line)| (line, *said))
    }

    /// Takes the first free line that is this answer.
    fn take_first(&mut self, answer: &Answer) -> Option<usize> {
        let line = match answer.key() {
            Some(key) => {
                let alike = self.alike.get_mut(key)?;
                while alike.front().is_some_and(|&line| !self.is_free.get(line).is_some_and(|is_free| *is_free)) {
                    alike.pop_front();
                }
                alike.front().copied()?
            }
            None => self.between(&(0..self.lines.len())).find(|(_, said)| answer.is(said))?.0,
        };
        Some(self.take(line))
    }
}

/// Says what became of each answer and between which lines its place is, given all that came; a line that `is_owed` to
/// an earlier block differs from none.
pub(super) fn fates(
    answers: &[Answer],
    lines: &[&Said],
    rules: &Rules,
    is_owed: impl Fn(&Said) -> bool,
) -> Vec<(Fate, Range<usize>)> {
    let mut free = Free::new(lines);
    let mut fates: Vec<Fate> = answers
        .iter()
        .map(|answer| match answer.any_order.then(|| free.take_first(answer)).flatten() {
            Some(line) => Fate::Came(line),
            None => Fate::Missing,
        })
        .collect();
    let places = align_ordered(answers, &mut free, &mut fates);
    for (answer, fate) in answers.iter().zip(&mut fates).filter(|(answer, _)| !answer.any_order) {
        if *fate == Fate::Missing {
            *fate = free.take_first(answer).map_or(Fate::Missing, Fate::OutOfOrder);
        }
    }
    // Many answers that all went missing among many lines are not compared with every one of them.
    let missing = fates.iter().filter(|fate| **fate == Fate::Missing).count();
    let window = LIKENESSES_MAX / missing.max(1);
    let mut apart: Vec<Option<Apart>> = lines.iter().map(|_| None).collect();
    for ((answer, fate), place) in answers.iter().zip(&mut fates).zip(&places) {
        if *fate != Fate::Missing {
            continue;
        }
        let recorded = rules.apart(&answer.said);
        let mut best: Option<(Likeness, usize)> = None;
        for (line, said) in free.between(place).take(window).filter(|(_, said)| !is_owed(said)) {
            let came = apart[line].get_or_insert_with(|| rules.apart(said));
            if let Some(likeness) = answer.likeness(&recorded, came) {
                best = best.filter(|(best, _)| *best >= likeness).or(Some((likeness, line)));
            }
        }
        if let Some((_, line)) = best {
            *fate = Fate::Differs(free.take(line));
        }
    }
    fates.into_iter().zip(places).collect()
}

/// Aligns the answers that come in order; says for each answer between which lines it has its place.
fn align_ordered(answers: &[Answer], free: &mut Free<'_>, fates: &mut [Fate]) -> Vec<Range<usize>> {
    let (places, ordered): (Vec<usize>, Vec<&Answer>) =
        (0..).zip(answers).filter(|(_, answer)| !answer.any_order).unzip();
    let (numbers, lines): (Vec<usize>, Vec<&Said>) = free.between(&(0..free.lines.len())).unzip();
    let mut alike: HashMap<&[u8], Vec<usize>> = HashMap::new();
    lines.iter().zip(0..).for_each(|(said, line)| alike.entry(said.key()).or_default().push(line));
    let find = |answer: usize, from: usize| match ordered[answer].key() {
        Some(key) => {
            let alike = alike.get(key)?;
            alike.get(alike.partition_point(|&line| line < from)).copied()
        }
        None => (from..lines.len()).find(|&line| ordered[answer].is(lines[line])),
    };
    let found = align(ordered.len(), lines.len(), |answer, line| ordered[answer].is(lines[line]), find);
    for (line, &answer) in found.iter().zip(&places) {
        if let (Some(line), Some(fate)) = (line.and_then(|line| numbers.get(line)), fates.get_mut(answer)) {
            *fate = Fate::Came(free.take(*line));
        }
    }
    let mut between = vec![0..free.lines.len(); answers.len()];
    let came = |answer: usize| fates.get(answer).and_then(|fate| fate.line());
    let mut from = 0;
    for &answer in &places {
        between[answer].start = from;
        from = came(answer).map_or(from, |line| line + 1);
    }
    let mut to = free.lines.len();
    for &answer in places.iter().rev() {
        between[answer].end = to;
        to = came(answer).unwrap_or(to);
    }
    between
}
