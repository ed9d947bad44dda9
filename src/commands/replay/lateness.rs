//! How late lines left: percentiles in constant memory.
//!
//! Each power of two of nanoseconds is split into [`PARTS`] equal ones and lines are counted in each, so a percentile
//! is at most 1.6 % too high, and never too low. The maximum is exact.

use std::time::Duration;

/// Into how many parts each power of two is split, as a power of two itself.
const PARTS_BITS: u32 = 6;
const PARTS: usize = 1 << PARTS_BITS;

/// How late many lines left.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    /// Grows with the greatest lateness, to 3,776 numbers at most.
    counts: Vec<u64>,
    lines: u64,
    max: Duration,
}

impl Lateness {
    /// One line left so late.
    pub fn add(&mut self, late: Duration) {
        let place = place(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        self.lines = self.lines.saturating_add(1);
        self.max = self.max.max(late);
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The greatest lateness.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// How late the line was that so many percent of all lines were not later than; 0 of no lines.
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = u128::from(self.lines) * u128::from(percent);
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
    shift as usize * PARTS + usize::try_from(nanos >> shift).unwrap_or_default()
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

    #[test]
    fn every_number_has_a_place_next_to_its_neighbours_and_is_near_its_end() {
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
    fn percentiles_of_a_thousand_lines() {
        let mut lateness = Lateness::default();
        assert!(lateness.is_empty() && lateness.percentile(50).is_zero());
        (1..=1000).rev().for_each(|micros| lateness.add(Duration::from_micros(micros)));
        for (percent, micros) in [(50, 500), (90, 900), (99, 990), (100, 1000)] {
            let exact = Duration::from_micros(micros);
            let seen = lateness.percentile(percent);
            assert!(seen >= exact && seen <= exact.mul_f64(1.016), "p{percent} is {seen:?}");
        }
        assert_eq!(lateness.max(), Duration::from_millis(1));
        lateness.add(Duration::MAX);
        assert_eq!(lateness.max(), Duration::MAX);
    }
}
