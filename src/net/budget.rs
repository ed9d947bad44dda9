//! What the long frames of all peers share: one peer may ask for a megabyte or sixteen, a thousand at once may not.
//!
//! It only counts. Whoever gathers a frame asks before it keeps more, and what it got goes with the frame to whoever
//! takes it, so that it comes back when the frame's memory does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::LONG_FRAME_BYTES;

/// How many bytes are left for long frames.
#[derive(Debug)]
pub struct Budget {
    /// How many there were at the start.
    pub bytes: usize,
    left: AtomicUsize,
}

/// What one holder has taken out of a [`Budget`]; dropping it gives that back.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    held: usize,
}

impl Budget {
    /// A budget of which nothing is taken yet.
    pub fn new(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { bytes, left: AtomicUsize::new(bytes) })
    }

    /// A share of nothing so far.
    pub fn share(self: &Arc<Budget>) -> Share {
        Share { budget: Arc::clone(self), held: 0 }
    }
}

impl Share {
    /// Makes the share as large as what is kept; up to [`LONG_FRAME_BYTES`] cost nothing. Whether there was enough;
    /// if not, nothing changes.
    pub fn cover(&mut self, kept: usize) -> bool {
        let wanted = cost(kept);
        let Some(more) = wanted.checked_sub(self.held).filter(|&more| more > 0) else {
            drop(self.split_beyond(kept));
            return true;
        };
        let taken = self.budget.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(more));
        if taken.is_ok() {
            self.held = wanted;
        }
        taken.is_ok()
    }

    /// Leaves as much as what is kept costs, and gives the rest away.
    pub fn split_beyond(&mut self, kept: usize) -> Share {
        let rest = self.held.saturating_sub(cost(kept));
        self.held -= rest;
        Share { budget: Arc::clone(&self.budget), held: rest }
    }

    /// Whether it is a share of anything.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.held, Ordering::Relaxed);
    }
}

fn cost(kept: usize) -> usize {
    if kept > LONG_FRAME_BYTES { kept } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = LONG_FRAME_BYTES + 1;

    #[test]
    fn what_is_short_costs_nothing_and_what_is_long_all_of_it() {
        let budget = Budget::new(LONG);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.cover(LONG_FRAME_BYTES) && other.cover(LONG));
        assert!(one.is_empty() && !other.is_empty());
        assert!(!one.cover(LONG) && one.is_empty());
        assert!(!other.cover(LONG + 1) && other.cover(LONG));
        assert!(other.cover(7) && one.cover(LONG));
    }

    #[test]
    fn what_was_given_away_comes_back_when_its_holder_ends() {
        let budget = Budget::new(3 * LONG);
        let mut reader = budget.share();
        assert!(reader.cover(3 * LONG));
        let frame = reader.split_beyond(LONG);
        assert!(!reader.cover(2 * LONG));
        drop(frame);
        assert!(reader.cover(2 * LONG));
        drop(reader);
        assert!(budget.share().cover(3 * LONG));
    }
}
