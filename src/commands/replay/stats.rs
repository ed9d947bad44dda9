//! What a replay has done so far: messages and bytes each way, time, and how late messages left.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::text::count;

/// The numbers of a replay.
#[derive(Debug)]
pub(super) struct Stats {
    began: Instant,
    /// How many messages will be sent.
    total: u64,
    /// How long it will take, if that is known.
    duration: Option<Duration>,
    /// How many times as fast as recorded it is; `None` if that says nothing.
    speed: Option<f64>,
    /// Messages and bytes, LFs and payloads included.
    pub sent: (u64, u64),
    pub received: (u64, u64),
    pub connections: u64,
    pub lateness: Lateness,
}

impl Stats {
    /// Nothing was sent yet of `total` messages.
    pub(super) fn new(total: u64, duration: Option<Duration>, speed: Option<f64>) -> Stats {
        let (sent, received, lateness) = ((0, 0), (0, 0), Lateness::default());
        Stats { began: Instant::now(), total, duration, speed, sent, received, connections: 0, lateness }
    }

    /// A connection is open. Time counts from the first one.
    pub(super) fn connected(&mut self) {
        if self.connections == 0 {
            self.began = Instant::now();
        }
        self.connections += 1;
    }

    /// The status line: `119/227 0:11/0:20 ×1.0`.
    pub(super) fn progress(&self, now: Instant, differences: Option<u64>) -> String {
        let clock = |time: Duration| format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60);
        let mut text = format!("{}/{} {}", self.sent.0, self.total, clock(now.saturating_duration_since(self.began)));
        if let Some(duration) = self.duration {
            let _ = write!(text, "/{}", clock(duration));
        }
        if let Some(speed) = self.speed {
            let _ = write!(text, " ×{speed:.1}");
        }
        if let Some(differences @ 1..) = differences {
            let _ = write!(text, ", {}", count(differences, "difference"));
        }
        text
    }

    /// The summary: what of `file` was played to `peer`, and how it ended.
    pub(super) fn summary(&self, file: &str, peer: &str, differences: Option<u64>, how: &str) -> String {
        let (sent, received) = (volume(self.sent), volume(self.received));
        let mut text = format!("replayed {sent} of {file} in {:.3} s", self.began.elapsed().as_secs_f64());
        if self.connections > 1 {
            let _ = write!(text, ", over {} connections", self.connections);
        }
        let _ = write!(text, "; received {received} from {peer}");
        if let Some(differences) = differences {
            let _ = write!(text, "; {}", count(differences, "difference"));
        }
        let _ = write!(text, "; {how}");
        if let Some(max) = self.lateness.max {
            let [p50, p90, p99] = [50, 90, 99].map(|percent| ms(self.lateness.percentile(percent)));
            let max = ms(max);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty messages of which two left at once, two 3 ms late and the others 1 ms.
    fn twenty() -> Stats {
        let mut stats = Stats::new(20, Some(Duration::from_secs(80)), Some(1.0));
        stats.connected();
        for message in 0..20u64 {
            stats.sent.0 += 1;
            stats.sent.1 += 10;
            stats.lateness.add(Duration::from_millis(if message < 2 { 0 } else { 1 + message / 18 * 2 }));
        }
        stats
    }

    #[test]
    fn summary_has_all_numbers() {
        let mut stats = twenty();
        stats.received = (1, 1);
        let summary = stats.summary("f", "the peer", Some(1), "done");
        assert!(summary.starts_with("replayed 20 messages (200 bytes) of f in 0."), "{summary}");
        let end = " s; received 1 message (1 byte) from the peer; 1 difference; done\nlateness: p50 ";
        assert!(summary.contains(end) && summary.ends_with(", max 3.000 ms"), "{summary}");
        assert!(!Stats::new(1, None, None).summary("f", "p", None, "done").contains("lateness"));
        stats.connected();
        assert!(stats.summary("f", "p", None, "done").contains(", over 2 connections; "));
    }

    #[test]
    fn status_line_has_messages_time_and_speed() {
        let mut stats = twenty();
        assert_eq!(stats.progress(stats.began + Duration::from_secs(71), None), "20/20 1:11/1:20 ×1.0");
        assert_eq!(stats.progress(stats.began, Some(2)), "20/20 0:00/1:20 ×1.0, 2 differences");
        (stats.duration, stats.speed) = (None, None);
        assert_eq!(stats.progress(stats.began, Some(0)), "20/20 0:00");
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
