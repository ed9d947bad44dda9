//! The script of `replay`: the recorded dialler, at its recorded pace (design.md, section 11).

use std::time::{Duration, Instant};

use super::ending::complain_of_frame;
use super::recording::{Line, Recording};
use super::send::print;
use super::stream::command;
use super::traffic::Traffic;
use crate::failure::Failure;
use crate::framing::Frame;
use crate::net::address::Address;
use crate::net::dialogue::{Script, Step};
use crate::net::queue::Outbox;
use crate::output::{Console, stdout_is_terminal};
use crate::text::shown;

/// How far apart lines may have been recorded that leave in one write: they left in one, or as good as.
const TOGETHER: Duration = Duration::from_millis(2);

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times the recorded pace.
    Times(f64),
    /// As fast as the peer takes it.
    Max,
}

impl Default for Speed {
    fn default() -> Speed {
        Speed::Times(1.0)
    }
}

impl Speed {
    /// Reads a number above 0, or `max`.
    ///
    /// # Errors
    /// A phrase that shows both.
    pub fn parse(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match text.parse::<f64>() {
            Ok(times) if plain && times > 0.0 && times.is_finite() => Ok(Speed::Times(times)),
            _ => Err(format!("{} is no speed; write a number above 0, or max", shown(text.as_bytes()))),
        }
    }

    /// How long after the start something is due that was recorded `after` the first message.
    fn due(self, after: Duration) -> Duration {
        match self {
            Speed::Max => Duration::ZERO,
            // A speed so low that no clock reaches the time means never.
            Speed::Times(times) => Duration::try_from_secs_f64(after.as_secs_f64() / times).unwrap_or(Duration::MAX),
        }
    }
}

/// The clock of a playing: anchored once, so that lateness never adds up.
#[derive(Debug)]
struct Pace {
    speed: Speed,
    /// When the playing began, and the recorded time that it began with.
    anchor: Option<(Instant, Duration)>,
    /// The latest recorded time so far: a time that goes backwards counts as this one.
    latest: Option<Duration>,
}

impl Pace {
    /// When a message recorded at `time` is due; at once when it was recorded without one.
    fn due(&mut self, time: Option<Duration>, now: Instant) -> Instant {
        self.latest = self.latest.max(time);
        let Some(latest) = self.latest else { return now };
        let (start, first) = *self.anchor.get_or_insert((now, latest));
        let after = self.speed.due(latest.saturating_sub(first));
        // A point in time that the clock does not know is a year away, and for whoever waits that is for ever.
        start.checked_add(after).unwrap_or_else(|| start + Duration::from_secs(365 * 24 * 3600))
    }
}

/// Plays the dialler of a recording, and prints what comes back.
#[derive(Debug)]
pub struct Player<'a> {
    console: &'a mut Console,
    peer: &'a Address,
    recording: Recording,
    pace: Pace,
    traffic: Traffic,
    terminal: bool,
    /// The next message of the recording, when it has been read.
    next: Line,
    has_next: bool,
    /// Whether every line of the dialler has been played.
    pub complete: bool,
    /// Somebody has said goodbye: the recording, or the peer.
    said_goodbye: bool,
    peer_left: bool,
    /// How many messages were sent.
    pub sent: u64,
    /// How many messages came back.
    pub heard: u64,
    /// What ended the reading of the recording too early, if something did.
    pub failure: Option<Failure>,
}

impl<'a> Player<'a> {
    /// A player at the start of a recording.
    pub fn new(
        recording: Recording,
        speed: Speed,
        traffic: Traffic,
        peer: &'a Address,
        console: &'a mut Console,
    ) -> Player<'a> {
        Player {
            console,
            peer,
            recording,
            pace: Pace { speed, anchor: None, latest: None },
            traffic,
            terminal: stdout_is_terminal(),
            next: Line::default(),
            has_next: false,
            complete: false,
            said_goodbye: false,
            peer_left: false,
            sent: 0,
            heard: 0,
            failure: None,
        }
    }

    /// Reads ahead; whether there is a next message.
    fn look_ahead(&mut self) -> bool {
        if !self.has_next {
            match self.recording.read(&mut self.next) {
                Ok(found) => self.has_next = found,
                Err(failure) => self.failure = Some(failure),
            }
        }
        self.has_next
    }

    fn send_next(&mut self, outbox: &mut Outbox) {
        self.has_next = false;
        self.sent += 1;
        self.said_goodbye |= is_goodbye(self.next.line());
        self.traffic.sent(self.next.line(), self.next.payload_bytes());
        outbox.push(&self.next.bytes);
    }
}

impl Script for Player<'_> {
    fn next(&mut self, now: Instant, outbox: &mut Outbox) -> Step {
        if self.peer_left || self.failure.is_some() {
            return Step::Done;
        }
        // When the first line of this write was recorded, while nothing of the peer's has come between.
        let mut together: Option<Duration> = None;
        while self.look_ahead() {
            let time = self.next.time;
            let due = self.pace.due(time, now);
            if !self.next.ours {
                self.has_next = false;
                together = None;
                continue;
            }
            let joins = together.zip(time).is_some_and(|(first, time)| time.saturating_sub(first) <= TOGETHER);
            if due > now && !joins {
                return if outbox.is_empty() { Step::WaitUntil(due) } else { Step::Write };
            }
            if !outbox.has_room(self.next.bytes.len()) {
                return Step::Write;
            }
            together = together.or(time);
            self.send_next(outbox);
        }
        if !outbox.is_empty() {
            return Step::Write;
        }
        // It stays as long as the recording went on: what the peer says meanwhile belongs to it.
        let end = self.pace.due(None, now);
        if self.failure.is_none() && end > now && !self.said_goodbye {
            return Step::WaitUntil(end);
        }
        self.complete = self.failure.is_none();
        Step::Done
    }

    fn heard(&mut self, frame: &Frame<'_>, _outbox: &mut Outbox, printed: &mut Vec<u8>) {
        match frame {
            Frame::Message(message) => {
                self.heard += 1;
                self.traffic.came(message);
                self.peer_left |= is_goodbye(message.line);
                print(message, self.terminal, printed);
            }
            Frame::Ignored { .. } => {}
            Frame::Bad { number, fault } => complain_of_frame(self.console, self.peer, *number, *fault),
        }
    }

    fn farewell(&mut self, outbox: &mut Outbox) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.traffic.sent(b"goodbye", None);
            outbox.push(b"goodbye\n");
        }
    }
}

fn is_goodbye(line: &[u8]) -> bool {
    command(line).eq_ignore_ascii_case("goodbye")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        assert_eq!(Speed::parse("max"), Ok(Speed::Max));
        assert_eq!(Speed::parse("0.5"), Ok(Speed::Times(0.5)));
        for text in ["", "0", "-1", "1e3", "inf", "nan", "fast", "0.0", "+2"] {
            assert!(Speed::parse(text).unwrap_err().contains("write a number above 0, or max"), "{text}");
        }
    }

    #[test]
    fn times_are_anchored_at_the_first_and_never_go_back() {
        let now = Instant::now();
        let mut pace = Pace { speed: Speed::Times(2.0), anchor: None, latest: None };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(pace.due(None, now), now);
        assert_eq!(pace.due(seconds(10), now), now);
        let later = now + Duration::from_secs(3);
        assert_eq!(pace.due(seconds(14), later), now + Duration::from_secs(2));
        assert_eq!(pace.due(seconds(12), later), now + Duration::from_secs(2));
        assert_eq!(pace.due(None, later), now + Duration::from_secs(2));
    }

    #[test]
    fn a_time_beyond_any_clock_is_far_away_and_no_panic() {
        let now = Instant::now();
        let mut pace = Pace { speed: Speed::Times(f64::MIN_POSITIVE), anchor: None, latest: None };
        pace.due(Some(Duration::ZERO), now);
        assert!(pace.due(Some(Duration::MAX), now) > now + Duration::from_secs(1));
    }
}
