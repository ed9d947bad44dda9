//! Runs a check without sockets from a script: a recording, and what the peer sends at which time. Scenes are random
//! recordings with peers that reply as recorded, and mutations of their replies.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::bcp::Side;
use crate::check::{Check, CheckConfig, CloseKind, NextStep, RULES, Rules};
use crate::framing::{Frame, Framer, FramingOptions};
use crate::session::Record;

use super::seed::Random;

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
    for (name, texts) in RULES.into_iter().zip([&settings.ignore, &settings.exclude, &settings.any_order]) {
        texts.iter().for_each(|text| rules.add(name, text).unwrap());
    }
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

/// A change to one reply of a peer that otherwise replies as recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mutation {
    Value,
    OtherText,
    Type,
    Command,
    Name,
    Dropped,
    Added,
    Payload,
    Nested,
    Error,
    Missing,
    Late,
    Swapped,
    AcrossBlocks,
    Extra,
    Copy,
    Closed,
}

/// Every mutation.
pub const MUTATIONS: [Mutation; 17] = [
    Mutation::Value,
    Mutation::OtherText,
    Mutation::Type,
    Mutation::Command,
    Mutation::Name,
    Mutation::Dropped,
    Mutation::Added,
    Mutation::Payload,
    Mutation::Nested,
    Mutation::Error,
    Mutation::Missing,
    Mutation::Late,
    Mutation::Swapped,
    Mutation::AcrossBlocks,
    Mutation::Extra,
    Mutation::Copy,
    Mutation::Closed,
];

/// A recording and the messages of a peer that replies as recorded; for each reply its block.
pub struct Scene {
    pub script: Vec<Record>,
    pub events: Vec<(When, What)>,
    blocks: Vec<usize>,
    pub settings: Settings,
}

impl Scene {
    /// The scene as text for failure messages.
    pub fn shown(&self) -> String {
        let shown = |r: &Record| format!("{:?} {:?} {}", r.time, r.side, r.line.escape_ascii());
        let event = |(when, what): &(When, What)| match what {
            What::Sends(line, _) => format!("{when:?} {}", line.escape_ascii()),
            What::Closes(way) => format!("{when:?} {way:?}"),
        };
        let script: Vec<String> = self.script.iter().map(shown).collect();
        let events: Vec<String> = self.events.iter().map(event).collect();
        format!("{}\n--\n{}\n{:?}", script.join("\n"), events.join("\n"), self.settings)
    }
}

const MS: Duration = Duration::from_millis(1);

/// Makes a random scene.
pub fn scene(random: &mut Random) -> Scene {
    let settings = Settings {
        exact: random.once_in(2),
        any_order: if random.once_in(2) { vec!["mv".to_owned()] } else { Vec::new() },
        reply_timeout: Duration::from_secs(1),
        speed: *random.pick(&[Speed::Times(1.0), Speed::Times(2.0), Speed::Max]),
        ..Settings::default()
    };
    let mut scene = Scene { script: Vec::new(), events: Vec::new(), blocks: Vec::new(), settings };
    let mut time = Duration::ZERO;
    for block in 0..1 + random.below(4) {
        if block > 0 || random.once_in(2) {
            time += MS * (3 + random.below(200) as u32);
            let line = format!("ask?n=int:{block}").into_bytes();
            scene.script.push(record(0, Some(time), Side::Client, &line, None));
        }
        let asked = scene.script.iter().filter(|record| record.side == Side::Client).count();
        let start = if asked == 0 { scene.script.first().map_or(time, |first| first.time.unwrap()) } else { time };
        for _ in 0..random.below(7) {
            time += MS * (1 + random.below(40) as u32);
            let (line, payload) = reply(random);
            let start = if scene.script.is_empty() { time } else { start };
            let when = if asked == 0 { When::At(time - start) } else { When::After(asked, time - start) };
            scene.events.push((when, What::Sends(line.clone(), payload.clone())));
            scene.blocks.push(asked);
            scene.script.push(record(0, Some(time), Side::Server, &line, Some(&payload)));
        }
    }
    scene
}

/// A random reply out of few, so that equal replies are common.
fn reply(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let n = random.below(4);
    match random.below(7) {
        0 => (b"settings".to_vec(), Vec::new()),
        1 => (format!("mv?name=m{n}&value=int:1").into_bytes(), Vec::new()),
        2 => (format!("frame?name=d&bytes={}", n + 1).into_bytes(), vec![b'x'; n + 1]),
        3 => (format!("list?json={{\"all\": [{{\"n\": {n}, \"m\": [true]}}], \"count\": 1}}").into_bytes(), Vec::new()),
        4 => (format!("device?type=coil&name=c{n}").into_bytes(), Vec::new()),
        _ => (format!("set?name=v{n}&value=int:{n}&prev=int:0").into_bytes(), Vec::new()),
    }
}

fn line_of(event: &mut (When, What)) -> &mut Vec<u8> {
    match &mut event.1 {
        What::Sends(line, _) => line,
        What::Closes(_) => panic!("nothing has gone yet"),
    }
}

/// Replaces a part of a line; returns whether that changed the line.
fn replace(line: &mut Vec<u8>, old: &str, new: &str) -> bool {
    let text = String::from_utf8(line.clone()).unwrap();
    let changed = text.replacen(old, new, 1);
    *line = changed.clone().into_bytes();
    changed != text
}

/// Mutates the reply `at`. Returns the number of resulting entries, or `None` if the mutation does not apply.
pub fn mutate(scene: &mut Scene, mutation: Mutation, at: usize, random: &mut Random) -> Option<RangeInclusive<usize>> {
    let exact = scene.settings.exact;
    let is_any_order = |line: &[u8]| line.starts_with(b"mv?") && !scene.settings.any_order.is_empty();
    let old = line_of(&mut scene.events[at]).clone();
    let same_block = |other: usize| scene.blocks.get(other) == scene.blocks.get(at);
    let line = line_of(&mut scene.events[at]);
    let done = |is: bool| is.then_some(1..=1);
    match mutation {
        Mutation::Value => done(replace(line, "name=", "name=z")),
        Mutation::Type => done(replace(line, "=int:", "=") || replace(line, "\"count\": 1", "\"count\": 1.0")),
        Mutation::Name => done(replace(line, "name=", "nam=") || replace(line, "\"count\"", "\"kount\"")),
        Mutation::Dropped => done(replace(line, "&prev=int:0", "") || replace(line, ", \"count\": 1", "")),
        Mutation::Added => {
            done(replace(line, "?name=", "?new=1&name=") || replace(line, "{\"all\"", "{\"x\": 1, \"all\""))
        }
        Mutation::Nested => done(replace(line, "[true]", "[false]")),
        // A message with another command does not replace a reply.
        Mutation::Command => {
            *line = [b"x", old.as_slice()].concat();
            Some(if exact { 2..=2 } else { 1..=1 })
        }
        Mutation::Error => {
            *line = b"error?message=no".to_vec();
            Some(1..=1)
        }
        Mutation::Payload => match &mut scene.events[at].1 {
            What::Sends(_, payload) if !payload.is_empty() => {
                let byte = random.below(payload.len());
                payload[byte] ^= 1;
                Some(1..=1)
            }
            _ => None,
        },
        Mutation::OtherText => {
            let n = random.below(4);
            let other = format!("set?name=v{n}&value=int:{n}&prev=int:0").into_bytes();
            let differs = old.starts_with(b"set?") && old != other;
            *line = other;
            done(differs)
        }
        Mutation::Missing => {
            scene.events.remove(at);
            Some(1..=1)
        }
        Mutation::Late => {
            let (When::At(time) | When::After(_, time)) = &mut scene.events[at].0;
            *time += Duration::from_millis(1500);
            // The reply is missing, and if it arrives later, it is also a message that was not recorded there.
            Some(1..=1 + usize::from(exact))
        }
        Mutation::Swapped | Mutation::AcrossBlocks => {
            let other = at + 1;
            let (first, second) = (scene.events.get(at)?.1.clone(), scene.events.get(other)?.1.clone());
            let (What::Sends(a, _), What::Sends(b, _)) = (&first, &second) else { return None };
            if a == b || same_block(other) != (mutation == Mutation::Swapped) {
                return None;
            }
            let any = is_any_order(a) || is_any_order(b);
            let entries = match mutation {
                Mutation::Swapped => usize::from(!any)..=usize::from(!any),
                // The reply is missing in one block, and in the other block unless it still matches there.
                _ => 1..=if exact { 4 } else { 2 },
            };
            (scene.events[at].1, scene.events[other].1) = (second, first);
            Some(entries)
        }
        Mutation::Extra | Mutation::Copy => {
            let new = if mutation == Mutation::Copy {
                scene.events[at].1.clone()
            } else {
                What::Sends(b"new".to_vec(), Vec::new())
            };
            let when = scene.events[at].0;
            scene.events.insert(at + 1, (when, new));
            Some(usize::from(exact)..=usize::from(exact))
        }
        Mutation::Closed => {
            scene.events[at].1 = What::Closes(CloseKind::Closed);
            scene.events.truncate(at + 1);
            Some(1..=1)
        }
    }
}
