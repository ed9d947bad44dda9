//! The check itself: when each request is due, when each block is settled, and what is reported.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::align::{PairKind, Pairing, pair};
use super::compare::{CheckedMessage, Identity, RecordedReply, Rules};
use super::report::{CloseKind, Entry, EntryKind, FilePlace};
use crate::bcp::Malformed;
use crate::session::Record;

/// How many messages are kept that are no reply so far, besides as many as the block has replies. Beyond that the
/// oldest is forgotten, so that a chatty peer costs bounded memory and time.
const UNMATCHED_MAX: usize = 10_000;

/// How much longer than the longest recorded wait a block that has its last reply waits for more.
const QUIET: Duration = Duration::from_millis(100);

/// How a recording is checked.
#[derive(Clone, Debug, Default)]
pub struct CheckConfig {
    /// What is compared.
    pub rules: Rules,
    /// Whether a message that was not recorded is a difference.
    pub exact: bool,
    /// How long after it was due the last reply of a block is waited for.
    pub reply_timeout: Duration,
    /// Whether the check ends with the first difference.
    pub fail_fast: bool,
    /// The number of the recording's last reply if it is a `goodbye`; see [`Rules::last_goodbye`].
    pub last_goodbye: Option<u64>,
}

/// What the caller has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Read a record and call [`Check::request`], [`Check::reply`] or [`Check::end`].
    Read,
    /// Send the request that was read last and call [`Check::sent`].
    Send,
    /// Wait until this time; [`Check::received`] and [`Check::closed`] may come first.
    WaitUntil(Duration),
    /// Nothing.
    Over,
}

/// A received message.
#[derive(Clone, Debug)]
pub struct Received {
    /// How many messages were received before it, excluded ones too.
    pub number: u64,
    /// When it was received.
    pub at: Duration,
    /// The message.
    pub content: Box<CheckedMessage>,
}

/// What follows a block in the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Following {
    #[default]
    Unread,
    Request {
        place: FilePlace,
        recorded: Duration,
        due: Duration,
        /// Whether it leaves in one write with the request before it.
        joins: bool,
    },
    End,
}

/// A running check. All times are counted from when the connection was made.
#[derive(Debug, Default)]
pub struct Check {
    config: CheckConfig,
    /// When the first record was recorded.
    first: Option<Duration>,
    /// The latest time of a record: one that goes backwards counts as that.
    latest: Duration,
    block: Block,
    following: Following,
    /// When the block was settled.
    settled: Option<Duration>,
    /// By how much waiting for blocks has delayed the requests.
    delay: Duration,
    /// What is no reply so far, in the order of arrival.
    unmatched: VecDeque<Received>,
    received: u64,
    last_received: Duration,
    /// Where in the file a message belongs that was received from a number on: after the record before the block, its
    /// request, and each reply that arrived in order.
    places: Vec<(u64, FilePlace)>,
    /// The differences: block by block, in a block as recorded, then what was not recorded; last, what could not be
    /// compared because the peer is gone.
    pub entries: Vec<Entry>,
    /// What was not recorded in the block so far.
    extra: Vec<Entry>,
    closed: Option<CloseKind>,
    /// What could not be compared because the peer is gone.
    gone: Option<Entry>,
    /// How many replies have been read so far that are compared; a check of none has shown nothing.
    pub compared: u64,
    /// The line in the file of the last reply that was compared; those after it were not.
    pub reached: u64,
    /// Whether it came to its end.
    pub is_over: bool,
}

impl Check {
    /// A check at its start.
    pub fn new(config: CheckConfig) -> Check {
        Check { config, ..Check::default() }
    }

    /// What to do at `now`.
    pub fn next(&mut self, now: Duration) -> NextStep {
        match (self.following, self.settled) {
            _ if self.is_over => NextStep::Over,
            (Following::Unread, _) => NextStep::Read,
            (_, None) => match self.block.deadline(self.config.reply_timeout) {
                deadline if now < deadline => NextStep::WaitUntil(deadline),
                deadline => {
                    self.settle(deadline);
                    self.next(now)
                }
            },
            // Nothing more is sent to a peer that is gone, but the replies that are left are counted.
            (Following::Request { .. }, _) if self.closed.is_some() => {
                self.following = Following::Unread;
                NextStep::Read
            }
            (Following::Request { joins: true, .. }, _) => NextStep::Send,
            (Following::Request { due, .. }, Some(settled)) => {
                self.delay = self.delay.max(settled.saturating_sub(due));
                let due = due.saturating_add(self.delay);
                if now < due { NextStep::WaitUntil(due) } else { NextStep::Send }
            }
            (Following::End, Some(settled)) => {
                let due = if self.config.exact { self.block.due } else { Duration::ZERO };
                let end = settled.saturating_add(QUIET).max(due);
                if now < end && self.closed.is_none() {
                    return NextStep::WaitUntil(end);
                }
                self.finish();
                NextStep::Over
            }
        }
    }

    /// When a record was recorded, since the first.
    fn since_first(&mut self, record: &Record) -> Duration {
        if self.places.is_empty() {
            self.places.push((0, FilePlace { line: 0, offset: record.span.start }));
        }
        self.first = self.first.or(record.time);
        self.latest = self.latest.max(record.time.unwrap_or_default());
        self.latest.saturating_sub(self.first.unwrap_or_default())
    }

    /// The next record is a request. It is `due` at this time, if no block delays it; one that `joins` leaves in one
    /// write with the request before it.
    pub fn request(&mut self, record: &Record, due: Duration, joins: bool) {
        let recorded = self.since_first(record);
        let place = FilePlace { line: record.number, offset: record.span.end };
        self.following = Following::Request { place, recorded, due, joins };
        self.close_block();
    }

    /// The next record is a reply.
    ///
    /// # Errors
    /// A `#~` line that is not a pattern.
    pub fn reply(&mut self, record: &Record) -> Result<(), Malformed> {
        let at = self.since_first(record);
        if self.config.last_goodbye == Some(record.number) {
            return Ok(());
        }
        let Some(reply) = self.config.rules.recorded(record, at)? else { return Ok(()) };
        self.compared += 1;
        match self.closed {
            Some(kind) if self.settled.is_some() => self.count_gone(&reply, kind),
            _ => self.block.replies.push(reply),
        }
        Ok(())
    }

    /// The recording has no more records.
    pub fn end(&mut self) {
        self.following = Following::End;
        self.close_block();
    }

    /// All replies of the block are known; some may have arrived before its request left.
    fn close_block(&mut self) {
        if self.settled.is_some() {
            return;
        }
        self.block.close();
        if !self.block.replies.is_empty() {
            for received in std::mem::take(&mut self.unmatched) {
                self.unmatched.extend(self.block.take(received));
            }
        }
        if self.block.is_complete() || self.closed.is_some() {
            self.settle(self.last_received.max(self.block.sent));
        }
    }

    /// The request that was read last was sent.
    pub fn sent(&mut self, now: Duration) {
        let Following::Request { place, recorded, .. } = self.following else { return };
        self.block = Block::new(recorded, now, self.received);
        let before = self.places.last().map_or(FilePlace::default(), |(_, place)| *place);
        self.places = vec![(0, before), (self.received, place)];
        self.following = Following::Unread;
        self.settled = None;
    }

    /// A message was received. Blank lines and comments are not messages.
    pub fn received(&mut self, line: &[u8], payload: &[u8], now: Duration) {
        let number = self.received;
        self.received += 1;
        let Some(content) = self.config.rules.content(line, payload).filter(|_| !self.is_over) else { return };
        self.last_received = now;
        let received = Received { number, at: now, content: Box::new(content) };
        if self.settled.is_some() || self.following == Following::Unread {
            return self.keep(received);
        }
        match self.block.take(received) {
            Some(received) => self.keep(received),
            None if self.block.is_complete() => self.settle(now),
            None => {}
        }
    }

    fn keep(&mut self, received: Received) {
        self.unmatched.push_back(received);
        if self.unmatched.len() > UNMATCHED_MAX + self.block.replies.len() {
            self.unmatched.pop_front().into_iter().for_each(|oldest| self.pass_over(oldest));
        }
    }

    /// The peer is gone. The rest of the recording must still be read, so that its replies are counted.
    pub fn closed(&mut self, kind: CloseKind, now: Duration) {
        if self.is_over || self.closed.is_some() {
            return;
        }
        self.closed = Some(kind);
        if self.settled.is_none() && self.following != Following::Unread {
            self.settle(now);
        }
    }

    /// Pairs the replies of the block with what was received, reports the differences, and drops the messages up to the
    /// last one that the block took.
    fn settle(&mut self, now: Duration) {
        self.settled = Some(now);
        if self.block.replies.is_empty() {
            return;
        }
        let is_complete = self.block.is_complete();
        let (replies, found) = (std::mem::take(&mut self.block.replies), std::mem::take(&mut self.block.found));
        let numbers: Vec<u64> = found.iter().flatten().map(|received| received.number).collect();
        let mut messages: Vec<Received> = found.into_iter().flatten().chain(self.unmatched.drain(..)).collect();
        messages.sort_by_key(|received| received.number);
        let pairs: Vec<Pairing> = if is_complete {
            let place = |number| messages.partition_point(|received| received.number < number);
            numbers.into_iter().map(|number| Some((PairKind::Equal, place(number)))).collect()
        } else {
            pair(&replies, &messages.iter().map(|received| &*received.content).collect::<Vec<_>>())
        };
        self.note_places(&replies, &pairs, &messages);
        let entries = self.entries.len();
        self.report(&replies, &pairs, &messages, now);
        let used: BTreeSet<usize> = pairs.iter().flatten().map(|(_, message)| *message).collect();
        let later = messages.split_off(used.last().map_or(0, |last| last + 1));
        for (_, received) in messages.into_iter().enumerate().filter(|(at, _)| !used.contains(at)) {
            self.pass_over(received);
        }
        self.entries.append(&mut self.extra);
        later.into_iter().for_each(|received| self.keep(received));
        if self.config.fail_fast && self.entries.len() > entries {
            self.entries.truncate(entries + 1);
            self.is_over = true;
        }
    }

    /// Notes where in the file the messages stand that arrived in order, for those that belong between them.
    fn note_places(&mut self, replies: &[RecordedReply], pairs: &[Pairing], messages: &[Received]) {
        for (reply, pairing) in replies.iter().zip(pairs).filter(|(reply, _)| !reply.any_order) {
            if let Some((PairKind::Equal | PairKind::Differs, message)) = *pairing {
                // Of two messages that differ in one place, the later may stand for the earlier reply.
                let place = place_after(&messages[message], reply);
                if self.places.last().is_none_or(|(from, _)| *from < place.0) {
                    self.places.push(place);
                }
            }
        }
    }

    /// Where in the file a message belongs that does not take the place of a reply.
    fn place(&self, received: &Received) -> FilePlace {
        let after = self.places.partition_point(|(from, _)| *from <= received.number);
        after.checked_sub(1).map_or(FilePlace::default(), |before| self.places[before].1)
    }

    /// Reports the replies of a block that did not arrive as recorded.
    fn report(&mut self, replies: &[RecordedReply], pairs: &[Pairing], messages: &[Received], now: Duration) {
        // What a peer replied before it went away is compared up to its last reply; the rest is counted.
        let compared = match self.closed {
            Some(_) => pairs.iter().rposition(Option::is_some).map_or(0, |last| last + 1),
            None => replies.len(),
        };
        for (reply, pairing) in replies[..compared].iter().zip(pairs) {
            self.reached = reply.number;
            let received = pairing.map(|(_, message)| &messages[message]);
            let (kind, place) = match pairing.zip(received) {
                Some(((PairKind::Equal, _), _)) => continue,
                Some(((PairKind::OutOfOrder, _), received)) => (EntryKind::OutOfOrder, Some(self.place(received))),
                Some(((PairKind::Differs, _), received)) => {
                    let is_in_place = self.places.binary_search(&place_after(received, reply)).is_ok();
                    let differences = reply.differences(&received.content);
                    (EntryKind::Differs(differences), (!is_in_place).then(|| self.place(received)))
                }
                None => (EntryKind::NoReply(now.saturating_sub(self.block.sent)), None),
            };
            self.entries.push(Entry { kind, recorded: Some(reply.clone()), received: received.cloned(), place });
        }
        if let Some(kind) = self.closed {
            replies[compared..].iter().for_each(|reply| self.count_gone(reply, kind));
        }
    }

    /// A reply cannot be compared because the peer is gone.
    fn count_gone(&mut self, reply: &RecordedReply, close: CloseKind) {
        let (kind, recorded) = (EntryKind::Gone(close, 0), Some(reply.clone()));
        let gone = self.gone.get_or_insert(Entry { kind, recorded, received: None, place: None });
        if let EntryKind::Gone(_, count) = &mut gone.kind {
            *count += 1;
        }
    }

    /// A message is not a reply of the block in which it arrived.
    fn pass_over(&mut self, received: Received) {
        let is_goodbye = || self.config.last_goodbye.is_some() && received.content.identity.command == "goodbye";
        if self.config.exact && !is_goodbye() {
            let place = Some(self.place(&received));
            self.extra.push(Entry { kind: EntryKind::Extra, recorded: None, received: Some(received), place });
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        std::mem::take(&mut self.unmatched).into_iter().for_each(|received| self.pass_over(received));
        self.entries.append(&mut self.extra);
        self.entries.extend(self.gone.take());
        if self.config.fail_fast {
            self.entries.truncate(1);
        }
    }

    /// The reply that is waited for at `now`, by how much it is late, and how late it may be.
    pub fn awaited(&self, now: Duration) -> Option<(&RecordedReply, Duration, Duration)> {
        if self.settled.is_some() || self.following == Following::Unread {
            return None;
        }
        Some((self.block.missing()?, now.saturating_sub(self.block.due), self.config.reply_timeout))
    }
}

/// The place after a reply, for what is received after its message.
fn place_after(received: &Received, reply: &RecordedReply) -> (u64, FilePlace) {
    (received.number + 1, FilePlace { line: reply.number, offset: reply.span.end })
}

/// The recorded replies after a request, and the messages that are these replies while they arrive in order.
#[derive(Debug, Default)]
struct Block {
    /// When the request was recorded.
    recorded: Duration,
    /// When the request was sent.
    sent: Duration,
    /// How many messages had been received by then.
    received_before: u64,
    replies: Vec<RecordedReply>,
    /// For each reply its message.
    found: Vec<Option<Received>>,
    /// When its last reply is due: as long after the request was sent as it was recorded, whatever the speed.
    due: Duration,
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
    fn new(recorded: Duration, sent: Duration, received_before: u64) -> Block {
        Block { recorded, sent, received_before, ..Block::default() }
    }

    /// All of its replies are known.
    fn close(&mut self) {
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
    fn take(&mut self, received: Received) -> Option<Received> {
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
    fn is_complete(&self) -> bool {
        self.in_order == self.ordered.len() && self.any_order.is_empty()
    }

    /// The first reply that has not arrived in order, else one that may arrive anywhere.
    fn missing(&self) -> Option<&RecordedReply> {
        self.ordered.get(self.in_order).or(self.any_order.first()).map(|&at| &self.replies[at])
    }

    /// When it is settled if nothing more arrives.
    fn deadline(&self, reply_timeout: Duration) -> Duration {
        let timeout = self.due.saturating_add(reply_timeout);
        // The last reply must arrive as often as there are replies that its messages could be.
        let has_last = self.last_count > 0 && self.last_count >= self.ordered.len() - self.others.len();
        let last = self.last_received.filter(|_| has_last && self.any_order.is_empty());
        last.map_or(timeout, |last| timeout.min(last.saturating_add(QUIET).saturating_add(self.longest_wait)))
    }
}
