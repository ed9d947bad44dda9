//! The clock of a playing: when each line of ours is due (design.md, section 11).
//!
//! It is anchored once, so that lateness never adds up, and counts on over all passes of `--repeat`. It reads no time
//! itself.

use std::time::{Duration, Instant};

use crate::text::shown;
use crate::time;

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

impl Speed {
    /// Reads a number above 0, or `max`.
    ///
    /// # Errors
    /// A phrase that shows both.
    pub fn parse(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times = above_zero(text);
        times
            .map(Speed::Times)
            .ok_or_else(|| format!("{} is no speed; write a number above 0, or max", shown(text.as_bytes())))
    }
}

/// Reads a rate: so many lines a second.
///
/// # Errors
/// A phrase that says what is wanted.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    above_zero(text).ok_or_else(|| {
        format!("{} is no rate; write how many lines a second, a number above 0", shown(text.as_bytes()))
    })
}

fn above_zero(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|&number: &f64| plain && number > 0.0 && number.is_finite())
}

/// How recorded times become ours, as the flags say it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tempo {
    /// `--speed`; as recorded without it.
    pub speed: Option<Speed>,
    /// `--rate`: lines of ours a second, whatever was recorded.
    pub rate: Option<f64>,
    /// `--max-gap`: how long we wait between two lines of ours at most.
    pub max_gap: Option<Duration>,
}

impl Tempo {
    /// Whether there is nothing to wait for.
    pub fn is_max(&self) -> bool {
        self.speed == Some(Speed::Max)
    }

    /// What takes `recorded` in the recording takes so long in the playing.
    pub fn scaled(&self, recorded: Duration) -> Duration {
        match self.speed {
            None => recorded,
            Some(Speed::Max) => Duration::ZERO,
            // At a speed so low that no clock reaches the time it never comes.
            Some(Speed::Times(times)) => quotient(recorded.as_secs_f64(), times),
        }
    }
}

fn quotient(dividend: f64, divisor: f64) -> Duration {
    Duration::try_from_secs_f64(dividend / divisor).unwrap_or(Duration::MAX)
}

/// Says when what was recorded at a time is due, counted from its start. It is told of every record in turn.
#[derive(Debug)]
pub struct Clock {
    tempo: Tempo,
    /// Where this pass begins.
    base: Duration,
    /// How much of this pass `--max-gap` has left out.
    cut: Duration,
    /// The recorded time that this pass began with, and the latest since: a time that goes backwards counts as that.
    recorded: Option<(Duration, Duration)>,
    /// When the line of ours before was due.
    last: Duration,
    /// How many lines of ours there were, over all passes.
    lines: u64,
}

impl Clock {
    /// A clock at the start of the first pass.
    pub fn new(tempo: Tempo) -> Clock {
        let zero = Duration::ZERO;
        Clock { tempo, base: zero, cut: zero, recorded: None, last: zero, lines: 0 }
    }

    /// Passes a record of the peer's, seen at this time in the recording.
    pub fn passes(&mut self, time: Option<Duration>) {
        if let Some(time) = time {
            let (first, latest) = *self.recorded.get_or_insert((time, time));
            self.recorded = Some((first, latest.max(time)));
        }
    }

    /// When a line of ours is due that was recorded at `time`; `None` is at once, which is what a line without a time
    /// gets.
    pub fn line(&mut self, time: Option<Duration>) -> Option<Duration> {
        self.passes(time);
        self.lines = self.lines.saturating_add(1);
        if let Some(rate) = self.tempo.rate {
            self.last = quotient(self.lines.saturating_sub(1) as f64, rate);
            return Some(self.last);
        }
        if self.recorded.is_none() || self.tempo.is_max() {
            return None;
        }
        let due = self.now();
        let latest = self.tempo.max_gap.map_or(due, |gap| due.min(self.last.saturating_add(gap)));
        self.cut = self.cut.saturating_add(due.saturating_sub(latest));
        self.last = latest;
        Some(latest)
    }

    /// Whether a line of ours goes in one write with the first of it, by when both were recorded.
    pub fn joins(&self, first: Option<Duration>, time: Option<Duration>) -> bool {
        let apart = first.zip(time).map(|(first, time)| time.saturating_sub(first));
        self.tempo.rate.is_none() && apart.is_some_and(|apart| apart <= TOGETHER)
    }

    /// When the recording is over, as far as it has been told.
    pub fn end(&self) -> Duration {
        match self.tempo.rate {
            Some(rate) => quotient(self.lines as f64, rate),
            None => self.tempo.max_gap.map_or(self.now(), |gap| self.now().min(self.last.saturating_add(gap))),
        }
    }

    /// Begins the next pass where this one ended.
    pub fn again(&mut self) {
        let end = self.end();
        *self = Clock { base: end, last: end, lines: self.lines, ..Clock::new(self.tempo) };
    }

    /// When the latest recorded time is.
    fn now(&self) -> Duration {
        let (first, latest) = self.recorded.unwrap_or_default();
        let played = self.tempo.scaled(latest.saturating_sub(first));
        self.base.saturating_add(played).saturating_sub(self.cut)
    }
}

/// A point of this clock in real time. One that no clock knows is a year away, and for whoever waits that is for ever.
pub fn instant(start: Instant, after: Duration) -> Instant {
    start.checked_add(after).unwrap_or_else(|| start + Duration::from_secs(365 * 24 * 3600))
}

/// Reads the longest wait.
///
/// # Errors
/// What is no duration, and none at all.
pub fn parse_max_gap(text: &str) -> Result<Duration, String> {
    match time::parse_duration(text)? {
        Duration::ZERO => Err("0 leaves no pace at all; --speed max is as fast as the peer takes it".to_owned()),
        gap => Ok(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// When lines recorded at these milliseconds are due, in milliseconds; -1 is a line without a time.
    fn due(tempo: Tempo, clock: &mut Option<Clock>, times: &[i64]) -> Vec<Option<u128>> {
        let clock = clock.get_or_insert_with(|| Clock::new(tempo));
        let time = |time: &i64| u64::try_from(*time).ok().map(ms);
        times.iter().map(|at| clock.line(time(at)).map(|due| due.as_millis())).collect()
    }

    fn tempo(speed: f64) -> Tempo {
        Tempo { speed: Some(Speed::Times(speed)), ..Tempo::default() }
    }

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        assert_eq!(Speed::parse("max"), Ok(Speed::Max));
        assert_eq!(Speed::parse("0.5"), Ok(Speed::Times(0.5)));
        for text in ["", "0", "-1", "1e3", "inf", "nan", "fast", "0.0", "+2"] {
            assert!(Speed::parse(text).unwrap_err().contains("write a number above 0, or max"), "{text}");
            assert!(parse_rate(text).unwrap_err().contains("how many lines a second"), "{text}");
        }
        assert_eq!(parse_rate("120"), Ok(120.0));
        assert!(parse_max_gap("0").unwrap_err().contains("--speed max"));
        assert_eq!(parse_max_gap("2"), Ok(ms(2000)));
    }

    #[test]
    fn times_are_anchored_at_the_first_and_never_go_back() {
        let mut clock = None;
        let due = due(tempo(2.0), &mut clock, &[-1, 10_000, 14_000, 12_000, -1, 15_000]);
        assert_eq!(due, [None, Some(0), Some(2000), Some(2000), Some(2000), Some(2500)]);
        let mut clock = clock.unwrap();
        clock.passes(Some(ms(16_000)));
        assert_eq!(clock.end(), ms(3000));
    }

    #[test]
    fn another_pass_goes_on_where_the_one_before_ended() {
        let mut clock = None;
        assert_eq!(due(tempo(0.5), &mut clock, &[100, 200]), [Some(0), Some(200)]);
        clock.as_mut().unwrap().passes(Some(ms(250)));
        clock.as_mut().unwrap().again();
        assert_eq!(due(tempo(0.5), &mut clock, &[100, 200]), [Some(300), Some(500)]);
    }

    #[test]
    fn a_rate_counts_lines_over_all_passes_and_looks_at_no_time() {
        let tempo = Tempo { rate: Some(10.0), ..Tempo::default() };
        let mut clock = None;
        assert_eq!(due(tempo, &mut clock, &[-1, 5000, 1]), [Some(0), Some(100), Some(200)]);
        let clock_now = clock.as_mut().unwrap();
        assert_eq!(clock_now.end(), ms(300));
        clock_now.again();
        assert_eq!(due(tempo, &mut clock, &[-1]), [Some(300)]);
    }

    #[test]
    fn a_longest_gap_shortens_waits_of_ours_and_moves_what_follows() {
        let tempo = Tempo { max_gap: Some(ms(300)), ..tempo(2.0) };
        let mut clock = Some(Clock::new(tempo));
        clock.as_mut().unwrap().passes(Some(ms(0)));
        // 1 s, 50 ms and 5 s at twice the speed.
        assert_eq!(due(tempo, &mut clock, &[1000, 1100, 6100]), [Some(300), Some(350), Some(650)]);
        clock.as_mut().unwrap().passes(Some(ms(20_000)));
        assert_eq!(clock.unwrap().end(), ms(950));
    }

    #[test]
    fn lines_within_two_milliseconds_of_the_first_leave_together() {
        let clock = Clock::new(Tempo::default());
        let joins = |clock: &Clock, first, time| clock.joins(Some(ms(first)), Some(ms(time)));
        assert!(joins(&clock, 10, 10) && joins(&clock, 10, 12) && !joins(&clock, 10, 13));
        assert!(!clock.joins(None, Some(ms(10))) && !clock.joins(Some(ms(10)), None));
        let paced = Clock::new(Tempo { rate: Some(10.0), ..Tempo::default() });
        assert!(!joins(&paced, 10, 10));
    }

    #[test]
    fn at_the_highest_speed_nothing_is_waited_for() {
        let tempo = Tempo { speed: Some(Speed::Max), ..Tempo::default() };
        let mut clock = None;
        assert_eq!(due(tempo, &mut clock, &[0, 5000]), [None, None]);
        assert_eq!(clock.unwrap().end(), Duration::ZERO);
    }

    #[test]
    fn a_time_beyond_any_clock_is_far_away_and_no_panic() {
        let mut clock = Clock::new(tempo(f64::MIN_POSITIVE));
        clock.line(Some(Duration::ZERO));
        let due = clock.line(Some(Duration::MAX)).unwrap();
        let now = Instant::now();
        assert!(instant(now, due) > now + Duration::from_secs(1));
        clock.again();
        assert_eq!(clock.line(Some(Duration::ZERO)), Some(Duration::MAX));
    }
}
