//! Which received message is which reply, in a block that did not arrive as recorded.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use super::compare::{CheckedMessage, Identity, RecordedReply};

/// The largest product of replies and messages whose longest common subsequence is computed: a table of 4 MB, a few
/// milliseconds.
const PRODUCT_MAX: usize = 4_000_000;

/// How often the replies of a block are compared with messages parameter by parameter: half a second's work. Beyond
/// that, each is compared with the first messages between its neighbours only.
const LIKENESSES_MAX: usize = 1_000_000;

/// What a reply is paired with: a message, by its index, or nothing. No message is paired twice.
pub(super) type Pairing = Option<(PairKind, usize)>;

/// How a message is paired with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PairKind {
    /// It equals it.
    Equal,
    /// It equals it, but stands elsewhere in the block.
    OutOfOrder,
    /// It stands in its place and differs.
    Differs,
}

/// Pairs the replies of a block with the messages received. All that are equal are found before any that differ.
pub(super) fn pair(replies: &[RecordedReply], messages: &[&CheckedMessage]) -> Vec<Pairing> {
    let is_large = replies.len().saturating_mul(messages.len()) > PRODUCT_MAX;
    let mut pairs = Pairs {
        replies,
        messages,
        patterns: match_patterns(replies, messages),
        identities: is_large.then(|| messages.iter().map(|message| &message.identity).collect()),
        is_free: vec![true; messages.len()],
        found: vec![None; replies.len()],
    };
    let (any_order, ordered): (Vec<usize>, Vec<usize>) = (0..replies.len()).partition(|&at| replies[at].any_order);
    any_order.iter().for_each(|&reply| pairs.take_first(reply, PairKind::Equal));
    pairs.align(&ordered);
    let places = pairs.places(&ordered);
    ordered.iter().for_each(|&reply| pairs.take_first(reply, PairKind::OutOfOrder));
    pairs.pair_differing(&places);
    pairs.found
}

struct Pairs<'a> {
    replies: &'a [RecordedReply],
    messages: &'a [&'a CheckedMessage],
    patterns: Vec<Option<Rc<[u64]>>>,
    /// All identities of messages, if there are so many that not each reply should look at each message.
    identities: Option<HashSet<&'a Identity>>,
    is_free: Vec<bool>,
    found: Vec<Pairing>,
}

impl Pairs<'_> {
    fn equal(&self, reply: usize, message: usize) -> bool {
        match &self.patterns[reply] {
            Some(bits) => bits[message / 64] >> (message % 64) & 1 == 1,
            None => self.replies[reply].content.identity == self.messages[message].identity,
        }
    }

    /// Whether a message may equal the reply.
    fn has_equal(&self, reply: usize) -> bool {
        match &self.patterns[reply] {
            Some(bits) => bits.iter().any(|&bits| bits != 0),
            None => self.identities.as_ref().is_none_or(|all| all.contains(&self.replies[reply].content.identity)),
        }
    }

    fn take(&mut self, reply: usize, kind: PairKind, message: usize) {
        self.found[reply] = Some((kind, message));
        self.is_free[message] = false;
    }

    /// Pairs a missing reply with the first unused message that equals it, if there is one.
    fn take_first(&mut self, reply: usize, kind: PairKind) {
        if self.found[reply].is_none() && self.has_equal(reply) {
            let mut free = (0..self.messages.len()).filter(|&message| self.is_free[message]);
            let first = free.find(|&message| self.equal(reply, message));
            first.into_iter().for_each(|message| self.take(reply, kind, message));
        }
    }

    /// Aligns the replies that arrive in order with the messages that are left.
    fn align(&mut self, ordered: &[usize]) {
        let messages: Vec<usize> = (0..self.messages.len()).filter(|&message| self.is_free[message]).collect();
        let is = |reply: usize, message: usize| self.equal(ordered[reply], messages[message]);
        let has_any = |reply: usize| self.has_equal(ordered[reply]);
        let aligned = align(ordered.len(), messages.len(), is, has_any);
        for (&reply, message) in ordered.iter().zip(aligned) {
            message.into_iter().for_each(|message| self.take(reply, PairKind::Equal, messages[message]));
        }
    }

    /// Between which messages each reply has its place: those of its matched neighbours. A reply that may arrive in any
    /// order has its place everywhere.
    fn places(&self, ordered: &[usize]) -> Vec<Range<usize>> {
        let (mut start, mut end) = (0, self.messages.len());
        let mut places = vec![start..end; self.replies.len()];
        for &reply in ordered {
            places[reply].start = start;
            start = self.found[reply].map_or(start, |(_, message)| message + 1);
        }
        for &reply in ordered.iter().rev() {
            places[reply].end = end;
            end = self.found[reply].map_or(end, |(_, message)| message);
        }
        places
    }

    /// Pairs each missing reply with the unused message in its place that is most like it; of several, the first.
    fn pair_differing(&mut self, places: &[Range<usize>]) {
        let missing: Vec<usize> = (0..self.found.len()).filter(|&at| self.found[at].is_none()).collect();
        let candidates_max = LIKENESSES_MAX / missing.len().max(1);
        for reply in missing {
            let expected = &self.replies[reply];
            let free = places[reply].clone().filter(|&message| self.is_free[message]);
            let candidates = free.filter_map(|message| Some((expected.likeness(self.messages[message])?, message)));
            // Of equal keys the first is the least.
            let best = candidates.take(candidates_max).min_by_key(|(likeness, _)| Reverse(*likeness));
            best.into_iter().for_each(|(_, message)| self.take(reply, PairKind::Differs, message));
        }
    }
}

/// For each reply that is a pattern a bit for each message that it matches. Equal patterns share their bits, so that
/// each is matched against each message once.
fn match_patterns(replies: &[RecordedReply], messages: &[&CheckedMessage]) -> Vec<Option<Rc<[u64]>>> {
    let mut patterns = vec![None; replies.len()];
    let (mut known, mut index) = (HashMap::new(), HashMap::<_, Vec<usize>>::new());
    if replies.iter().any(|reply| reply.pattern.is_some()) {
        let texts = messages.iter().enumerate().flat_map(|(at, message)| message.texts().map(move |text| (text, at)));
        texts.for_each(|(text, at)| index.entry(text).or_default().push(at));
    }
    let all: Vec<usize> = (0..messages.len()).collect();
    for (reply, bits) in replies.iter().zip(&mut patterns) {
        let Some(pattern) = &reply.pattern else { continue };
        let matching: &Rc<[u64]> = known.entry(&reply.content.line).or_insert_with(|| {
            let mut bits = vec![0; messages.len().div_ceil(64)];
            let having = |(name, text): (&[u8], &[u8])| index.get(&(name.to_vec(), text.to_vec()));
            let candidates = pattern.literal().map_or(&all[..], |literal| having(literal).map_or(&[], Vec::as_slice));
            for &at in candidates.iter().filter(|&&at| reply.equals(messages[at])) {
                bits[at / 64] |= 1 << (at % 64);
            }
            bits.into()
        });
        *bits = Some(Rc::clone(matching));
    }
    patterns
}

/// Finds for each of `replies` its message, so that both stand in the same order: equal ends trimmed, then the longest
/// common subsequence while the product is at most [`PRODUCT_MAX`]; beyond that each reply in order takes the first
/// equal message after the last one taken. Of equally long subsequences it is the one that leaves out the earlier
/// replies, so that of two swapped ones the first recorded is out of order.
///
/// `has_any` is whether any message may equal the reply.
fn align(
    replies: usize,
    messages: usize,
    is: impl Fn(usize, usize) -> bool,
    has_any: impl Fn(usize) -> bool,
) -> Vec<Option<usize>> {
    let mut found = vec![None; replies];
    let shorter = replies.min(messages);
    let head = (0..shorter).take_while(|&at| is(at, at)).count();
    let tail = (0..shorter - head).take_while(|&at| is(replies - 1 - at, messages - 1 - at)).count();
    (0..head).for_each(|at| found[at] = Some(at));
    (1..=tail).for_each(|at| found[replies - at] = Some(messages - at));
    let (rows, columns) = (replies - head - tail, messages - head - tail);
    if rows.saturating_mul(columns) <= PRODUCT_MAX {
        for (row, column) in longest(rows, columns, |row, column| is(head + row, head + column)) {
            found[head + row] = Some(head + column);
        }
        return found;
    }
    let mut next = head;
    for row in (head..head + rows).filter(|&row| has_any(row)) {
        if let Some(column) = (next..head + columns).find(|&column| is(row, column)) {
            found[row] = Some(column);
            next = column + 1;
        }
    }
    found
}

/// The cells of the longest common subsequence, from the last to the first.
fn longest(rows: usize, columns: usize, is: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    // For each cell whether leaving out its message costs nothing; the lengths themselves are kept for two rows only.
    let mut spare_message = vec![false; rows * columns];
    let mut above = vec![0u32; columns + 1];
    let mut here = vec![0u32; columns + 1];
    for (row, spare) in spare_message.chunks_mut(columns.max(1)).enumerate() {
        for (column, spare) in spare.iter_mut().enumerate() {
            let (without_message, without_reply) = (here[column], above[column + 1]);
            here[column + 1] = if is(row, column) { above[column] + 1 } else { without_message.max(without_reply) };
            *spare = here[column + 1] == without_message;
        }
        std::mem::swap(&mut above, &mut here);
    }
    let (mut row, mut column, mut cells) = (rows, columns, Vec::new());
    while row > 0 && column > 0 {
        if is(row - 1, column - 1) {
            row -= 1;
            column -= 1;
            cells.push((row, column));
        } else if spare_message[(row - 1) * columns + column - 1] {
            column -= 1;
        } else {
            row -= 1;
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned<T: PartialEq>(a: &[T], b: &[T]) -> Vec<Option<usize>> {
        align(a.len(), b.len(), |reply, message| a[reply] == b[message], |reply| b.contains(&a[reply]))
    }

    #[track_caller]
    fn check(replies: &str, messages: &str, expected: &str) {
        let (a, b) = (replies.as_bytes(), messages.as_bytes());
        let found = aligned(a, b);
        let shown: String = found.iter().map(|at| at.map_or("-".to_owned(), |at| at.to_string())).collect();
        assert_eq!(shown, expected, "{replies} {messages}");
    }

    #[test]
    fn missing_and_extra_messages_are_left_out() {
        check("", "", "");
        check("abc", "", "---");
        check("", "abc", "");
        check("abc", "abc", "012");
        check("abc", "ac", "0-1");
        check("abc", "xaybzc", "135");
        check("abc", "bc", "-01");
        check("abc", "ab", "01-");
    }

    #[test]
    fn of_two_swapped_the_first_recorded_is_left_out() {
        check("abc", "bac", "-02");
        check("abc", "acb", "0-1");
        check("abc", "bca", "-01");
        check("abcd", "badc", "-0-2");
        check("abc", "cba", "--0");
    }

    #[test]
    fn repeated_messages_keep_the_ends() {
        check("sas", "ss", "0-1");
        check("sas", "as", "-01");
        check("ab", "bb", "-1");
        check("ba", "bb", "0-");
    }

    #[test]
    fn a_longer_subsequence_is_never_given_up() {
        // Against the definition: the longest of all subsequences, tried one by one.
        for seed in 0..2000u32 {
            let word = |shift: u32| -> Vec<u8> {
                let letters = (0..5).map(|at| (seed.wrapping_mul(2_654_435_761).rotate_left(shift + 7 * at) % 3) as u8);
                letters.take((seed.rotate_left(shift) % 6) as usize).collect()
            };
            let (a, b) = (word(3), word(11));
            let found = aligned(&a, &b);
            let lines: Vec<usize> = found.iter().flatten().copied().collect();
            assert!(lines.is_sorted_by(|a, b| a < b), "{a:?} {b:?} {found:?}");
            assert!(found.iter().zip(&a).all(|(line, a)| line.is_none_or(|line| b[line] == *a)));
            let longest = (0..1u32 << a.len())
                .filter(|kept| {
                    let mut rest = b.iter();
                    (0..a.len()).filter(|at| kept & (1 << at) != 0).all(|at| rest.any(|line| *line == a[at]))
                })
                .map(u32::count_ones)
                .max();
            assert_eq!(longest, Some(lines.len() as u32), "{a:?} {b:?} {found:?}");
        }
    }

    #[test]
    fn beyond_the_product_each_takes_the_first_after_the_last() {
        let lines: Vec<usize> = (0..3000).map(|at| if at == 0 { 2999 } else { at }).chain([0, 0]).collect();
        let found = aligned(&(0..3000).collect::<Vec<_>>(), &lines);
        // The first reply takes a message at the very end, and the others find nothing after it.
        assert_eq!(found.iter().flatten().count(), 1);
        let found = aligned(&(0..3000).collect::<Vec<_>>(), &(1..3000).collect::<Vec<_>>());
        assert_eq!(found.iter().flatten().count(), 2999);
    }
}
