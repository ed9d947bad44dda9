//! Runs a check without sockets from a script: a recording, and what the peer sends at which time.

use std::time::Duration;

use crate::bcp::Side;
use crate::check::{Check, CheckConfig, CloseKind, NextStep, Rules};
use crate::framing::{Frame, Framer, FramingOptions};
use crate::session::Record;

/// The maximum time between recorded requests that are sent in one write.
const TOGETHER: Duration = Duration::from_millis(2);

/// A record without a place in a file.
pub fn record(number: u64, time: Option<Duration>, side: Side, line: &[u8], payload: Option<&[u8]>) -> Record {
    let (line, payload) = (line.to_vec(), payload.map(<[u8]>::to_vec));
    Record { number, span: 0..0, time, connection: 1, side, is_pattern: false, line, payload }
}

/// Numbers the records of a script from 1 if they have no numbers.
fn numbered(script: &[Record]) -> Vec<Record> {
    let number = |(record, place): (&Record, u64)| match record.number {
        0 => Record { number: place, ..record.clone() },
        _ => record.clone(),
    };
    script.iter().zip(1..).map(number).collect()
}

/// When something happens.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// After the start.
    At(Duration),
    /// After a request was sent; requests are counted from 1.
    After(usize, Duration),
}

/// An action of the peer.
#[derive(Clone, Debug)]
pub enum What {
    /// Sends a line with its payload.
    Sends(Vec<u8>, Vec<u8>),
    /// Closes the connection.
    Closes(CloseKind),
}

/// The pace of the requests.
#[derive(Clone, Copy, Debug)]
pub enum Speed {
    /// This many times as fast as recorded.
    Times(f64),
    /// Without waiting.
    Max,
}

/// The options of a check.
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
    pub speed: Speed,
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
            speed: Speed::Times(1.0),
        }
    }
}

/// The outcome of a check.
pub struct Outcome {
    /// The finished check.
    pub check: Check,
    /// The time at which each request was sent.
    pub sent: Vec<Option<Duration>>,
    /// The event of each received message.
    pub events: Vec<usize>,
}

/// Prepares the check of a script.
pub fn check(script: &[Record], settings: &Settings) -> Check {
    let mut rules = Rules::default();
    settings.ignore.iter().for_each(|text| rules.ignore(text).unwrap());
    settings.exclude.iter().for_each(|text| rules.exclude(text).unwrap());
    settings.any_order.iter().for_each(|text| rules.any_order(text).unwrap());
    let mut last_goodbye = None;
    for reply in script.iter().filter(|record| record.side != Side::Client) {
        last_goodbye = rules.last_goodbye(last_goodbye, reply).unwrap();
    }
    let &Settings { exact, fail_fast, reply_timeout, .. } = settings;
    Check::new(CheckConfig { rules, exact, reply_timeout, fail_fast, last_goodbye })
}

/// Determines when requests are due, and which are sent in one write.
#[derive(Default)]
struct Pace {
    /// The recorded times of the first record and the latest one.
    times: Option<(Duration, Duration)>,
    /// The recorded time of the first request of the last write, unless a reply follows it.
    first: Option<Option<Duration>>,
}

impl Pace {
    fn passes(&mut self, time: Option<Duration>) {
        let times = time.map(|time| self.times.map_or((time, time), |(first, latest)| (first, latest.max(time))));
        self.times = times.or(self.times);
    }

    fn request(&mut self, time: Option<Duration>, speed: Speed) -> (Duration, bool) {
        self.passes(time);
        let recorded = self.times.map_or(Duration::ZERO, |(first, latest)| latest - first);
        let is_near = |first: Option<Duration>| Some(time?.saturating_sub(first?) <= TOGETHER);
        let joins = self.first.and_then(is_near).unwrap_or(false);
        self.first = self.first.filter(|_| joins).or(Some(time));
        match speed {
            Speed::Times(times) => (recorded.div_f64(times), joins),
            Speed::Max => (Duration::ZERO, joins),
        }
    }
}

/// Runs a script to its end.
pub fn play(script: &[Record], events: &[(When, What)], settings: &Settings) -> Outcome {
    let script = numbered(script);
    let mut check = check(&script, settings);
    let mut sent: Vec<Option<Duration>> = Vec::new();
    let mut received = Vec::new();
    let mut is_done = vec![false; events.len()];
    let mut records = script.iter();
    let mut pace = Pace::default();
    let mut now = Duration::ZERO;
    loop {
        match check.next(now) {
            NextStep::Over => break,
            NextStep::Send => {
                check.sent(now);
                sent.push(Some(now));
            }
            NextStep::Read => match records.next() {
                None => check.end(),
                Some(record) if record.side == Side::Client => {
                    let (due, joins) = pace.request(record.time, settings.speed);
                    check.request(record, due, joins);
                }
                Some(record) => {
                    pace.passes(record.time);
                    pace.first = None;
                    check.reply(record).unwrap();
                }
            },
            NextStep::WaitUntil(until) => {
                let time = |when: When| match when {
                    When::At(time) => Some(time),
                    When::After(request, later) => Some((*sent.get(request - 1)?)? + later),
                };
                let known = events.iter().enumerate().filter(|(index, _)| !is_done[*index]);
                let known = known.filter_map(|(index, (when, _))| Some((time(*when)?, index)));
                match known.min().filter(|(time, _)| *time <= until) {
                    None => now = until,
                    Some((time, index)) => {
                        is_done[index] = true;
                        now = now.max(time);
                        match &events[index].1 {
                            What::Closes(kind) => check.closed(*kind, now),
                            What::Sends(line, payload) => {
                                receive(&mut check, line, payload, now, || received.push(index));
                            }
                        }
                    }
                }
            }
        }
    }
    sent.resize(script.iter().filter(|record| record.side == Side::Client).count(), None);
    Outcome { check, sent, events: received }
}

/// Received bytes pass through the framing, as they do from a socket.
fn receive(check: &mut Check, line: &[u8], payload: &[u8], now: Duration, mut count: impl FnMut()) {
    let bytes = [line, b"\n", payload].concat();
    let mut framer = Framer::new(FramingOptions { read_bytes: bytes.len(), ..FramingOptions::default() });
    framer.space()[..bytes.len()].copy_from_slice(&bytes);
    framer.filled(bytes.len());
    while let Some(frame) = framer.next_frame() {
        if let Frame::Message(message) = frame {
            check.received(message.line, message.payload.unwrap_or_default(), now);
            count();
        }
    }
}
