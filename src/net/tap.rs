//! A queue that never has its writer wait: what is over its limit in bytes is dropped and counted.
//!
//! Between a forwarded game and whatever prints or records it: a stdout that nobody reads must not slow a game.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How much may wait in a tap, in bytes: minutes of a busy game.
pub const TAP_BYTES_MAX: usize = 64 << 20;

/// What each item costs besides its own bytes: its place in the queue and its allocations.
const ITEM_BYTES: usize = 128;

/// One end of the queue; both ends are alike.
#[derive(Debug)]
pub struct Tap<T> {
    shared: Arc<(Mutex<State<T>>, Condvar)>,
}

impl<T> Clone for Tap<T> {
    fn clone(&self) -> Tap<T> {
        Tap { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
    bytes_max: usize,
    dropped: u64,
    /// Nothing more will come.
    ended: bool,
    /// Nobody takes anything any more.
    closed: bool,
}

impl<T> Tap<T> {
    /// An empty queue for so many bytes.
    pub fn new(bytes_max: usize) -> Tap<T> {
        let state = State { items: VecDeque::new(), bytes: 0, bytes_max, dropped: 0, ended: false, closed: false };
        Tap { shared: Arc::new((Mutex::new(state), Condvar::new())) }
    }

    /// Appends an item of so many bytes, or drops and counts it.
    pub fn push(&self, bytes: usize, item: T) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let cost = bytes.saturating_add(ITEM_BYTES);
        if state.bytes.saturating_add(cost) > state.bytes_max {
            state.dropped = state.dropped.saturating_add(bytes as u64);
            return;
        }
        state.bytes += cost;
        state.items.push_back((cost, item));
        drop(state);
        self.shared.1.notify_one();
    }

    /// The next item, waited for; `None` when nothing more will come.
    pub fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.take() {
                return Some(item);
            }
            if state.ended || state.closed {
                return None;
            }
            state = self.shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next item, if one is there.
    pub fn next_now(&self) -> Option<T> {
        self.lock().take()
    }

    /// How many bytes were dropped since this was last asked.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped)
    }

    /// Says that nothing more will come; what is there can still be taken.
    pub fn end(&self) {
        self.lock().ended = true;
        self.shared.1.notify_all();
    }

    /// Says that nobody takes anything any more; what is there is forgotten.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        state.bytes = 0;
        drop(state);
        self.shared.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // What a panicking thread left behind is still a queue.
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn take(&mut self) -> Option<T> {
        let (cost, item) = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(cost);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_dropped_and_counted() {
        let tap = Tap::new(2 * ITEM_BYTES + 10);
        tap.push(5, 'a');
        tap.push(5, 'b');
        tap.push(5, 'c');
        assert_eq!((tap.take_dropped(), tap.take_dropped()), (5, 0));
        assert_eq!((tap.next(), tap.next_now()), (Some('a'), Some('b')));
        tap.push(5, 'd');
        tap.end();
        assert_eq!((tap.next(), tap.next()), (Some('d'), None));
    }

    #[test]
    fn a_closed_tap_keeps_and_counts_nothing() {
        let tap = Tap::new(1000);
        tap.push(1, 'a');
        tap.close();
        tap.push(1, 'b');
        assert_eq!((tap.next(), tap.take_dropped()), (None, 0));
    }

    #[test]
    fn whoever_waits_is_woken() {
        let tap = Tap::new(1000);
        let other = tap.clone();
        let waiting = std::thread::spawn(move || (other.next(), other.next()));
        tap.push(1, 'a');
        tap.end();
        assert_eq!(waiting.join().unwrap(), (Some('a'), None));
    }
}
