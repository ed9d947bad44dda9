//! SIGINT and SIGTERM, or Ctrl-C on Windows: the first wakes the loop, the second ends the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sys::Waker;

/// Which signal arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// The signal that arrived since the last call.
    pub(super) fn take(&self) -> Option<u8> {
        u8::try_from(self.0.swap(0, Ordering::SeqCst)).ok().filter(|&number| number > 0)
    }

    /// Catches them from here on; the second ends the process with 128 and its number.
    #[cfg(unix)]
    pub(super) fn catch(&self, waker: &Waker) -> io::Result<()> {
        use std::sync::atomic::AtomicBool;

        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::{flag, low_level};

        let arrived = Arc::new(AtomicBool::new(false));
        for number in [SIGINT, SIGTERM] {
            // Actions run in the order of their registration: the way out looks before the flag is raised, and the
            // number is there before the loop wakes.
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&arrived))?;
            flag::register(number, Arc::clone(&arrived))?;
            flag::register_usize(number, Arc::clone(&self.0), usize::try_from(number).unwrap_or_default())?;
            low_level::pipe::register(number, waker.ends.1.try_clone()?)?;
        }
        Ok(())
    }

    #[cfg(windows)]
    pub(super) fn catch(&self, waker: &Waker) -> io::Result<()> {
        let (number, waker, arrived) = (Arc::clone(&self.0), waker.clone(), std::sync::atomic::AtomicBool::new(false));
        ctrlc::set_handler(move || {
            if arrived.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            number.store(2, Ordering::SeqCst);
            waker.wake();
        })
        .map_err(io::Error::other)
    }
}
