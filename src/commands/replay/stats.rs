//! What a replay has done so far: messages and bytes each way, time, and how late messages left.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::source::count;

/// The numbers of a replay.
#[derive(Debug)]
pub(super) struct Stats {
    began: Instant,
    /// How many messages will be sent.
    total: u64,
    /// How long it will take, if that is known.
    duration: Option<Duration>,
    /// The speed, as the status line shows it.
    speed: String,
    /// Messages and bytes, LFs and payloads included.
    pub sent: (u64, u64),
    pub received: (u64, u64),
    pub connections: u64,
    /// How many differences a check has found.
    pub differences: Option<u64>,
    lateness: Histogram,
}

impl Stats {
    /// Nothing was sent yet of `total` messages.
    pub(super) fn new(total: u64, duration: Option<Duration>, speed: String) -> Stats {
        let (began, lateness) = (Instant::now(), Histogram::default());
        Stats {
            began,
            total,
            duration,
            speed,
            sent: (0, 0),
            received: (0, 0),
            connections: 0,
            differences: None,
            lateness,
        }
    }

    /// A connection is open. Time counts from the first one.
    pub(super) fn connected(&mut self) {
        if self.connections == 0 {
            self.began = Instant::now();
        }
        self.connections += 1;
    }

    /// A message that was due at a time left so late.
    pub(super) fn left(&mut self, late: Duration) {
        self.lateness.add(late);
    }

    /// The status line: `119/227 0:11/0:20 ×1.0`.
    pub(super) fn progress(&self, now: Instant) -> String {
        let clock = |time: Duration| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60);
        let mut text = format!("{}/{} {}", self.sent.0, self.total, clock(now.saturating_duration_since(self.began)));
        if let Some(duration) = self.duration {
            let _ = write!(text, "/{}", clock(duration));
        }
        if !self.speed.is_empty() {
            let _ = write!(text, " {}", self.speed);
        }
        if let Some(differences @ 1..) = self.differences {
            let _ = write!(text, ", {}", count(differences, "difference"));
        }
        text
    }

    /// The summary: what of `file` was played to `peer`, and how it ended.
    pub(super) fn summary(&self, file: &str, peer: &str, how: &str) -> String {
        let (sent, received) = (volume(self.sent), volume(self.received));
        let mut text = format!("replayed {sent} of {file} in {}", duration(self.began.elapsed()));
        if self.connections > 1 {
            let _ = write!(text, ", over {} connections", self.connections);
        }
        let _ = write!(text, "; received {received} from {peer}");
        if let Some(differences) = self.differences {
            let _ = write!(text, "; {}", count(differences, "difference"));
        }
        let _ = write!(text, "; {how}");
        if !self.lateness.is_empty() {
            let [p50, p90, p99] = [50, 90, 99].map(|percent| ms(self.lateness.percentile(percent)));
            let max = ms(self.lateness.max);
            let _ = write!(text, "\nlateness: p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms");
        }
        text
    }
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

fn volume((messages, bytes): (u64, u64)) -> String {
    format!("{} ({})", count(messages, "message"), count(bytes, "byte"))
}

fn duration(time: Duration) -> String {
    match time.as_millis() {
        0 => "less than 1 ms".to_owned(),
        short @ 1..1000 => format!("{short} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// Into how many parts each power of two is split, as a power of two itself.
const PARTS_BITS: u32 = 6;
const PARTS: usize = 1 << PARTS_BITS;

/// How late messages left: percentiles in constant memory. Each power of two of nanoseconds is split into [`PARTS`]
/// equal parts, so a percentile is at most 1.6 % too high and never too low. The maximum is exact.
#[derive(Clone, Debug, Default)]
struct Histogram {
    /// Grows with the greatest lateness, to 3,776 numbers at most.
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    fn add(&mut self, late: Duration) {
        let place = place(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += 1;
        self.total += 1;
        self.max = self.max.max(late);
    }

    fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The lateness that so many percent of all messages did not exceed; 0 of none.
    fn percentile(&self, percent: u64) -> Duration {
        let wanted = u128::from(self.total) * u128::from(percent);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen * 100 >= wanted {
                return Duration::from_nanos(highest(place)).min(self.max);
            }
        }
        self.max
    }
}

/// The place of so many nanoseconds.
fn place(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    // At most 2 * PARTS remain after the shift.
    shift as usize * PARTS + (nanos >> shift) as usize
}

/// The most nanoseconds that have this place.
fn highest(place: usize) -> u64 {
    let shift = (place / PARTS).saturating_sub(1);
    let part = place - shift * PARTS;
    let next = (part as u128 + 1) << shift;
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty messages of which two left at once, two 3 ms late and the others 1 ms.
    fn twenty() -> Stats {
        let mut stats = Stats::new(20, Some(Duration::from_secs(80)), "×1.0".to_owned());
        stats.connected();
        for message in 0..20u64 {
            stats.sent.0 += 1;
            stats.sent.1 += 10;
            stats.left(Duration::from_millis(if message < 2 { 0 } else { 1 + message / 18 * 2 }));
        }
        stats
    }

    #[test]
    fn summary_has_all_numbers() {
        let mut stats = twenty();
        stats.received = (1, 1);
        stats.differences = Some(1);
        let summary = stats.summary("f", "the peer", "done");
        assert!(summary.starts_with("replayed 20 messages (200 bytes) of f in "), "{summary}");
        let end = "; received 1 message (1 byte) from the peer; 1 difference; done\nlateness: p50 ";
        assert!(summary.contains(end), "{summary}");
        assert!(!Stats::new(1, None, String::new()).summary("f", "p", "done").contains("lateness"));
        stats.connected();
        assert!(stats.summary("f", "p", "done").contains(", over 2 connections; "));
    }

    #[test]
    fn status_line_has_messages_time_and_speed() {
        let mut stats = twenty();
        assert_eq!(stats.progress(stats.began + Duration::from_secs(71)), "20/20 1:11/1:20 ×1.0");
        stats.differences = Some(0);
        stats.duration = None;
        stats.speed.clear();
        assert_eq!(stats.progress(stats.began), "20/20 0:00");
    }

    #[test]
    fn each_number_has_a_place_beside_its_neighbours() {
        let mut last = 0;
        let numbers = (0..10_000).chain((14..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + 1, power + power / 2]
        }));
        for nanos in numbers.chain([u64::MAX]) {
            let place = place(nanos);
            assert!(place >= last && place < 59 * PARTS, "{nanos}: {place}");
            let most = highest(place);
            assert!(most >= nanos && most - nanos <= nanos / PARTS as u64, "{nanos}: {most}");
            last = place;
        }
    }

    #[test]
    fn percentiles_are_at_most_1_6_percent_too_high() {
        let mut lateness = Histogram::default();
        assert!(lateness.is_empty() && lateness.percentile(50).is_zero());
        (1..=1000).rev().for_each(|micros| lateness.add(Duration::from_micros(micros)));
        for (percent, micros) in [(50, 500), (90, 900), (99, 990), (100, 1000)] {
            let exact = Duration::from_micros(micros);
            let seen = lateness.percentile(percent);
            assert!(seen >= exact && seen <= exact.mul_f64(1.016), "p{percent} is {seen:?}");
        }
        lateness.add(Duration::MAX);
        assert_eq!(lateness.max, Duration::MAX);
    }
}
