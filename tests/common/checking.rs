//! A check played without sockets: a recording, and what comes at which time, from a script.

use std::time::Duration;

use backbox::bcp::Side;
use backbox::check::{Check, Options, Outlook, Rules, Want, Way};
use backbox::commands::replay::clock::{Clock, Speed, Tempo};
use backbox::framing::{BcpFramer, Frame, FramingOptions};
use backbox::session::Record;

/// A record of a recording, without a place in a file.
pub fn record(number: u64, time: Option<Duration>, side: Side, line: &[u8], payload: Option<&[u8]>) -> Record {
    let (line, payload) = (line.to_vec(), payload.map(<[u8]>::to_vec));
    Record { number, span: 0..0, time, connection: 1, side, is_pattern: false, line, payload }
}

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So long after the start.
    At(Duration),
    /// So long after a line of ours left, counted from 1.
    After(usize, Duration),
}

/// What happens.
#[derive(Clone, Debug)]
pub enum What {
    /// A line comes, with its payload.
    Comes(Vec<u8>, Vec<u8>),
    /// The peer goes.
    Goes(Way),
}

/// The flags of a check.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `--ignore`
    pub ignore: Vec<String>,
    /// `--exclude`
    pub exclude: Vec<String>,
    /// `--any-order`
    pub any_order: Vec<String>,
    /// `--exact`
    pub exact: bool,
    /// `--fail-fast`
    pub fail_fast: bool,
    /// `--reply-timeout`
    pub reply_timeout: Duration,
    /// `--speed`
    pub speed: Option<Speed>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ignore: Vec::new(),
            exclude: Vec::new(),
            any_order: Vec::new(),
            exact: false,
            fail_fast: false,
            reply_timeout: Duration::from_secs(5),
            speed: None,
        }
    }
}

/// What came of a check.
pub struct Outcome {
    /// The check, which is done.
    pub check: Check,
    /// When each line of ours left.
    pub sent: Vec<Option<Duration>>,
    /// Which event each line was that came.
    pub lines: Vec<usize>,
}

/// The recording as the check reads it; without a number it has that of its place, from 1.
fn numbered(recorded: &Record, index: usize) -> Record {
    let number = if recorded.number == 0 { index as u64 + 1 } else { recorded.number };
    Record { number, ..recorded.clone() }
}

/// Plays a script to its end.
pub fn play(script: &[Record], events: &[(When, What)], settings: &Settings) -> Outcome {
    let mut rules = Rules::default();
    settings.ignore.iter().for_each(|text| rules.ignore(text).unwrap());
    settings.exclude.iter().for_each(|text| rules.exclude(text).unwrap());
    settings.any_order.iter().for_each(|text| rules.any_order(text).unwrap());
    let mut outlook = Outlook::default();
    for (index, answer) in script.iter().enumerate().filter(|(_, record)| record.side != Side::Client) {
        outlook.see(&numbered(answer, index), &mut rules).unwrap();
    }
    let &Settings { exact, fail_fast, reply_timeout, .. } = settings;
    let last_goodbye = outlook.last_goodbye();
    let last_answer = outlook.last_answer();
    let mut check = Check::new(Options { rules, exact, reply_timeout, fail_fast, last_goodbye, last_answer });
    let mut sent: Vec<Option<Duration>> = Vec::new();
    let mut lines = Vec::new();
    let mut heard = vec![false; events.len()];
    let mut records = script.iter().enumerate();
    let mut clock = Clock::new(Tempo { speed: settings.speed, ..Tempo::default() });
    let mut now = Duration::ZERO;
    // When the first line of the last write was recorded, while nothing of the peer's stands behind it.
    let mut first: Option<Option<Duration>> = None;
    loop {
        match check.want(now) {
            Want::Done => break,
            Want::Send => {
                check.sent(now);
                sent.push(Some(now));
            }
            Want::Record => match records.next() {
                None => check.end(),
                Some((index, recorded)) => {
                    let record = numbered(recorded, index);
                    if recorded.side == Side::Client {
                        let joins = first.is_some_and(|first| clock.joins(first, record.time));
                        first = first.filter(|_| joins).or(Some(record.time));
                        check.ours(&record, clock.line(record.time).unwrap_or_default(), joins);
                    } else {
                        clock.passes(record.time);
                        first = None;
                        check.answer(&record).unwrap();
                    }
                }
            },
            Want::Wait(until) => {
                let time = |when: When| match when {
                    When::At(time) => Some(time),
                    When::After(line, later) => Some((*sent.get(line - 1)?)? + later),
                };
                let known = events.iter().enumerate().filter(|(index, _)| !heard[*index]);
                let known = known.filter_map(|(index, (when, _))| Some((time(*when)?, index)));
                match known.min().filter(|(time, _)| *time <= until) {
                    None => now = until,
                    Some((time, index)) => {
                        heard[index] = true;
                        now = now.max(time);
                        match &events[index].1 {
                            What::Goes(way) => check.gone(*way, now),
                            What::Comes(line, payload) => hear(&mut check, line, payload, now, || lines.push(index)),
                        }
                    }
                }
            }
        }
    }
    sent.resize(script.iter().filter(|record| record.side == Side::Client).count(), None);
    Outcome { check, sent, lines }
}

/// What comes goes through the framing, as it does from a socket.
fn hear(check: &mut Check, line: &[u8], payload: &[u8], now: Duration, mut count: impl FnMut()) {
    let bytes = [line, b"\n", payload].concat();
    let mut framer = BcpFramer::new(FramingOptions { read_bytes: bytes.len(), ..FramingOptions::default() });
    framer.space()[..bytes.len()].copy_from_slice(&bytes);
    framer.filled(bytes.len());
    while let Some(frame) = framer.next_frame() {
        if let Frame::Message(message) = frame {
            check.heard(message.line, message.payload.unwrap_or_default(), now);
            count();
        }
    }
}
