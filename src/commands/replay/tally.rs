//! What a replay comes to: what went each way, how long it took and how late lines were.

use std::fmt::Write;
use std::time::{Duration, Instant};

use super::lateness::Lateness;
use super::recording::count;

/// What happened so far.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    /// How many messages will be sent, if that is known.
    total: Option<u64>,
    /// How many messages were sent, and their bytes, payloads and LFs included.
    pub sent: (u64, u64),
    /// The same of what came.
    pub heard: (u64, u64),
    /// How many connections there have been.
    pub passes: u64,
    /// How many differences a check has found, if there is one.
    pub differences: Option<u64>,
    lateness: Lateness,
}

impl Tally {
    /// Nothing has happened yet; so many messages are to be sent, if that is known.
    pub fn new(total: Option<u64>) -> Tally {
        Tally {
            began: Instant::now(),
            total,
            sent: (0, 0),
            heard: (0, 0),
            passes: 0,
            differences: None,
            lateness: Lateness::default(),
        }
    }

    /// A connection stands; with the first the time begins to count.
    pub fn connected(&mut self) {
        if self.passes == 0 {
            self.began = Instant::now();
        }
        self.passes += 1;
    }

    /// A message was put on its way.
    pub fn sends(&mut self, bytes: usize) {
        add(&mut self.sent, bytes);
    }

    /// A message that was put on its way did not go out.
    pub fn takes_back(&mut self, bytes: usize) {
        let (messages, all) = self.sent;
        self.sent = (messages.saturating_sub(1), all.saturating_sub(bytes as u64));
    }

    /// A message came.
    pub fn hears(&mut self, bytes: usize) {
        add(&mut self.heard, bytes);
    }

    /// A line that was due at a time has left so late.
    pub fn left(&mut self, late: Duration) {
        self.lateness.add(late);
    }

    /// How much of it is played, for a line that is redrawn.
    pub fn progress(&self, now: Instant) -> String {
        let of = self.total.map_or(String::new(), |total| format!(" of {total}"));
        let mut text = format!("played {}{of}", self.sent.0);
        let _ = write!(text, ", {:.0} s", now.saturating_duration_since(self.began).as_secs_f64().floor());
        if !self.lateness.is_empty() {
            let (usual, max) = (ms(self.lateness.percentile(50)), ms(self.lateness.max()));
            let _ = write!(text, ", late by {usual} ms (at most {max} ms)");
        }
        if let Some(differences) = self.differences {
            let _ = write!(text, ", {}", count(differences, "difference"));
        }
        text
    }

    /// What came of it, for a person.
    pub fn summary(&self, file: &str, peer: &str, how: &str) -> String {
        let (sent, heard) = (volume(self.sent), volume(self.heard));
        let (took, passes) = (duration(self.began.elapsed()), self.passes);
        let mut text = format!("replayed {sent} of {file} in {took}");
        if passes > 1 {
            let _ = write!(text, ", over {passes} connections");
        }
        let _ = write!(text, "; {peer} answered with {heard}");
        if let Some(differences) = self.differences {
            let _ = write!(text, "; {}", count(differences, "difference"));
        }
        let _ = write!(text, "; {how}");
        if !self.lateness.is_empty() {
            let [p50, p90, p99] = [50, 90, 99].map(|percent| ms(self.lateness.percentile(percent)));
            let max = ms(self.lateness.max());
            let _ = write!(text, "\nlateness: p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms");
        }
        text
    }
}

fn add((messages, all): &mut (u64, u64), bytes: usize) {
    *messages = messages.saturating_add(1);
    *all = all.saturating_add(bytes as u64);
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64() * 1e3)
}

fn volume((messages, bytes): (u64, u64)) -> String {
    format!("{} ({})", count(messages, "message"), count(bytes, "byte"))
}

fn duration(took: Duration) -> String {
    match took.as_millis() {
        0 => "less than 1 ms".to_owned(),
        short @ 1..1000 => format!("{short} ms"),
        _ => format!("{:.1} s", took.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty lines sent, of which two left at once, two 3 ms late and the others 1 ms.
    fn twenty() -> Tally {
        let mut tally = Tally::new(Some(20));
        tally.connected();
        for line in 0..20u64 {
            tally.sends(10);
            tally.left(Duration::from_millis(if line < 2 { 0 } else { 1 + line / 18 * 2 }));
        }
        tally
    }

    #[test]
    fn no_lateness_is_printed_when_none_was_measured() {
        assert!(!Tally::new(None).summary("f", "p", "done").contains("lateness"));
    }

    #[test]
    fn what_did_not_go_out_counts_no_more() {
        let mut tally = twenty();
        tally.takes_back(10);
        tally.hears(1);
        tally.differences = Some(1);
        let summary = tally.summary("f", "the peer", "done");
        let said = "replayed 19 messages (190 bytes) of f in ";
        assert!(summary.starts_with(said), "{summary}");
        assert!(summary.contains("; the peer answered with 1 message (1 byte); 1 difference; done\nlateness: p50 "));
        assert!(
            tally.progress(tally.began).starts_with("played 19 of 20, 0 s, late by 1."),
            "{}",
            tally.progress(tally.began)
        );
        Tally::new(None).takes_back(10);
    }

    #[test]
    fn passes_are_connections() {
        let mut tally = twenty();
        tally.connected();
        assert!(tally.summary("f", "p", "done").contains(", over 2 connections; "));
    }
}
