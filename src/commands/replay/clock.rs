//! When each message is due, and how late it left.
//!
//! The clock is anchored once, so that lateness never adds up, and continues over all passes of `--repeat`. It does not
//! read the time itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::cli::{Given, duration, text};
use crate::exit::Failure;
use crate::text::shown;

/// How far apart messages may have been recorded that leave in one write.
const TOGETHER: Duration = Duration::from_millis(2);

/// A number above 0.
fn above_zero(text: &str, what: &str, wanted: &str) -> Result<f64, String> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = text.parse().ok().filter(|&number: &f64| plain && number > 0.0 && number.is_finite());
    number.ok_or_else(|| format!("invalid {what} \"{}\"; write {wanted}", shown(text.as_bytes())))
}

/// A speed: a number above 0, or `max`, which is infinite.
fn speed(text: &str) -> Result<f64, String> {
    if text == "max" { Ok(f64::INFINITY) } else { above_zero(text, "speed", "a number above 0, or max") }
}

/// A number of messages a second.
fn rate(text: &str) -> Result<f64, String> {
    above_zero(text, "rate", "a number of messages a second, above 0")
}

/// How recorded times become times of the replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tempo {
    /// `--speed`: how many times as fast as recorded.
    pub speed: Option<f64>,
    /// `--rate`: messages a second.
    pub rate: Option<f64>,
    /// `--max-gap`: the longest wait between two messages.
    pub max_gap: Option<Duration>,
}

impl Tempo {
    /// # Errors
    /// [`Failure::Usage`] for what is no number or duration.
    pub fn read(given: &Given) -> Result<Tempo, Failure> {
        Ok(Tempo {
            speed: given.value("speed", |value| speed(&text(value)?))?,
            rate: given.value("rate", |value| rate(&text(value)?))?,
            max_gap: given.value("max-gap", duration)?,
        })
    }

    /// Whether it never waits.
    fn is_max(&self) -> bool {
        self.speed == Some(f64::INFINITY)
    }

    /// How long something recorded takes in the replay.
    fn scaled(&self, recorded: Duration) -> Duration {
        self.speed.map_or(recorded, |speed| quotient(recorded.as_secs_f64(), speed))
    }
}

/// So many seconds; at a very low speed it is never.
fn quotient(dividend: f64, divisor: f64) -> Duration {
    Duration::try_from_secs_f64(dividend / divisor).unwrap_or(Duration::MAX)
}

/// Says when a message is due, counted from the start. It is given every record in order.
#[derive(Debug, Default)]
pub struct ReplayClock {
    tempo: Tempo,
    /// Where this pass begins.
    base: Duration,
    /// By how much `--max-gap` has shortened this pass.
    cut: Duration,
    /// The first recorded time of this pass, and the highest since: a time that goes backwards counts as that.
    recorded: Option<(Duration, Duration)>,
    /// When the last message was due.
    last: Duration,
    /// How many messages there were, over all passes.
    messages: u64,
}

impl ReplayClock {
    /// A clock at the start of the first pass.
    pub fn new(tempo: Tempo) -> ReplayClock {
        ReplayClock { tempo, ..ReplayClock::default() }
    }

    /// The next record is the peer's.
    pub fn passes(&mut self, time: Option<Duration>) {
        if let Some(time) = time {
            let (first, latest) = self.recorded.unwrap_or((time, time));
            self.recorded = Some((first, latest.max(time)));
        }
    }

    /// The next record is a message to send: when it is due. `None` is at once, also for one without a time.
    pub fn line(&mut self, time: Option<Duration>) -> Option<Duration> {
        self.passes(time);
        if let Some(rate) = self.tempo.rate {
            self.last = quotient(self.messages as f64, rate);
        } else if self.recorded.is_none() || self.tempo.is_max() {
            return None;
        } else {
            let due = self.end();
            self.cut += self.now().saturating_sub(due);
            self.last = due;
        }
        self.messages += 1;
        Some(self.last)
    }

    /// Whether a message leaves in one write whose first message was recorded at `first`.
    pub fn joins(&self, first: Option<Duration>, time: Option<Duration>) -> bool {
        let apart = first.zip(time).map(|(first, time)| time.saturating_sub(first));
        self.tempo.rate.is_none() && apart.is_some_and(|apart| apart <= TOGETHER)
    }

    /// When the recording is over, as far as it was given.
    pub fn end(&self) -> Duration {
        match self.tempo {
            Tempo { rate: Some(rate), .. } => quotient(self.messages as f64, rate),
            Tempo { max_gap: Some(gap), .. } => self.now().min(self.last.saturating_add(gap)),
            _ => self.now(),
        }
    }

    /// Begins the next pass where this one ended.
    pub fn again(&mut self) {
        let end = self.end();
        *self = ReplayClock { base: end, last: end, messages: self.messages, ..ReplayClock::new(self.tempo) };
    }

    /// How many times as fast as recorded it is, if that tells something.
    pub fn speed(&self) -> Option<f64> {
        let speed = self.tempo.speed.unwrap_or(1.0);
        Some(speed).filter(|speed| self.tempo.rate.is_none() && speed.is_finite())
    }

    /// How long the replay takes, if that is known beforehand, for a recording of so long and so many messages.
    pub fn duration(&self, recorded: Option<Duration>, messages: u64, passes: u64) -> Option<Duration> {
        match self.tempo {
            Tempo { rate: Some(rate), .. } => Some(quotient(messages as f64, rate)),
            Tempo { max_gap: Some(_), .. } => None,
            tempo if tempo.is_max() => None,
            tempo => Some(tempo.scaled(recorded?).saturating_mul(u32::try_from(passes).unwrap_or(u32::MAX))),
        }
    }

    /// When the latest recorded time is.
    fn now(&self) -> Duration {
        let (first, latest) = self.recorded.unwrap_or_default();
        let played = self.tempo.scaled(latest.saturating_sub(first));
        self.base.saturating_add(played).saturating_sub(self.cut)
    }
}

/// How late messages left: percentiles in constant memory, at most 1.6 % too high and never too low. The maximum is
/// exact.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// How many messages were late by so many nanoseconds, of which the seven highest bits count.
    counts: BTreeMap<u64, u64>,
    max: Option<Duration>,
}

impl Lateness {
    pub(super) fn add(&mut self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        let lower_bits = u64::MAX.checked_shr(nanos.leading_zeros() + 7).unwrap_or(0);
        *self.counts.entry(nanos | lower_bits).or_default() += 1;
        self.max = self.max.max(Some(late));
    }

    /// The lateness that so many percent of all messages did not exceed; 0 of none.
    fn percentile(&self, percent: u64) -> Duration {
        let total: u64 = self.counts.values().sum();
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen * 100 >= total * percent
        });
        let max = self.max.unwrap_or_default();
        found.map_or(max, |(&nanos, _)| Duration::from_nanos(nanos).min(max))
    }
}

/// A line for the summary, if a message was due at a time.
impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(max) = self.max else { return Ok(()) };
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let [p50, p90, p99] = [50, 90, 99].map(|percent| ms(self.percentile(percent)));
        write!(f, "\nlateness: p50 {p50:.3} ms, p90 {p90:.3} ms, p99 {p99:.3} ms, max {:.3} ms", ms(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// When lines recorded at these milliseconds are due, in milliseconds; -1 is a line without a time.
    fn due(tempo: Tempo, clock: &mut Option<ReplayClock>, times: &[i64]) -> Vec<Option<u128>> {
        let clock = clock.get_or_insert_with(|| ReplayClock::new(tempo));
        let time = |time: &i64| u64::try_from(*time).ok().map(ms);
        times.iter().map(|at| clock.line(time(at)).map(|due| due.as_millis())).collect()
    }

    fn tempo(speed: f64) -> Tempo {
        Tempo { speed: Some(speed), ..Tempo::default() }
    }

    #[test]
    fn a_speed_is_a_number_above_zero_or_max() {
        assert_eq!(speed("max"), Ok(f64::INFINITY));
        assert_eq!(speed("0.5"), Ok(0.5));
        for text in ["", "0", "-1", "1e3", "inf", "nan", "fast", "0.0", "+2"] {
            assert!(speed(text).unwrap_err().contains("write a number above 0, or max"), "{text}");
            assert!(rate(text).unwrap_err().contains("messages a second"), "{text}");
        }
        assert_eq!(rate("120"), Ok(120.0));
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
        let mut clock = Some(ReplayClock::new(tempo));
        clock.as_mut().unwrap().passes(Some(ms(0)));
        // 1 s, 50 ms and 5 s at twice the speed.
        assert_eq!(due(tempo, &mut clock, &[1000, 1100, 6100]), [Some(300), Some(350), Some(650)]);
        clock.as_mut().unwrap().passes(Some(ms(20_000)));
        assert_eq!(clock.unwrap().end(), ms(950));
    }

    #[test]
    fn lines_within_two_milliseconds_of_the_first_leave_together() {
        let clock = ReplayClock::new(Tempo::default());
        let joins = |clock: &ReplayClock, first, time| clock.joins(Some(ms(first)), Some(ms(time)));
        assert!(joins(&clock, 10, 10) && joins(&clock, 10, 12) && !joins(&clock, 10, 13));
        assert!(!clock.joins(None, Some(ms(10))) && !clock.joins(Some(ms(10)), None));
        let paced = ReplayClock::new(Tempo { rate: Some(10.0), ..Tempo::default() });
        assert!(!joins(&paced, 10, 10));
    }

    #[test]
    fn at_the_highest_speed_nothing_is_waited_for() {
        let tempo = Tempo { speed: Some(f64::INFINITY), ..Tempo::default() };
        let mut clock = None;
        assert_eq!(due(tempo, &mut clock, &[0, 5000]), [None, None]);
        assert_eq!(clock.unwrap().end(), Duration::ZERO);
    }

    #[test]
    fn time_beyond_any_clock_is_never_and_no_panic() {
        let mut clock = ReplayClock::new(tempo(f64::MIN_POSITIVE));
        clock.line(Some(Duration::ZERO));
        let due = clock.line(Some(Duration::MAX)).unwrap();
        assert!(due > Duration::from_secs(1 << 60));
        clock.again();
        assert_eq!(clock.line(Some(Duration::ZERO)), Some(Duration::MAX));
    }

    #[test]
    fn percentiles_are_at_most_1_6_percent_too_high() {
        for unit in [Duration::from_nanos(1), Duration::from_micros(1), Duration::from_secs(1)] {
            let mut lateness = Lateness::default();
            assert!(lateness.percentile(50).is_zero());
            (1..=1000).rev().for_each(|number| lateness.add(unit * number));
            for (percent, number) in [(50, 500), (90, 900), (99, 990), (100, 1000)] {
                let (exact, seen) = (unit * number, lateness.percentile(percent));
                assert!(seen >= exact && seen <= exact.mul_f64(1.016), "p{percent} is {seen:?}");
            }
        }
    }

    #[test]
    fn lateness_has_bounded_memory() {
        let mut lateness = Lateness::default();
        let numbers = (0..64).flat_map(|bit| (0..1000).map(move |step| (1u64 << bit) + (1u64 << bit) / 1000 * step));
        numbers.for_each(|nanos| lateness.add(Duration::from_nanos(nanos)));
        assert!(lateness.counts.len() < 4000, "{}", lateness.counts.len());
        lateness.add(Duration::MAX);
        assert_eq!(lateness.max, Some(Duration::MAX));
    }
}
