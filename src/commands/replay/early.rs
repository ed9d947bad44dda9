//! Standard input before anybody is met: what a session says of itself has to be known before its peer is dialled, and
//! `-W` bounds that too (design.md, section 11).

use std::io;
use std::time::{Duration, Instant};

use crate::commands::ending::catch_signals;
use crate::exit::Failure;
use crate::net::wait::{Input, Output, Poll, Stop, is_passing};

/// Standard input, and what ends the waiting for it.
pub struct Early {
    /// What stops the run.
    pub stop: Stop,
    /// What is played.
    pub input: Input,
}

impl Early {
    /// Signals are caught from here on.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn begin() -> Result<Early, Failure> {
        Ok(Early { stop: catch_signals()?, input: Input::stdin().map_err(|error| cannot_read(&error))? })
    }

    /// Reads what there is, once there is something, as long as nothing else ends the run; `time` is since when and how
    /// long it may take, if there is a limit.
    ///
    /// # Errors
    /// A signal, the time, a stdout that nobody reads any more, an input that cannot be read.
    pub fn read(&self, space: &mut [u8], output: &Output, time: Option<(Instant, Duration)>) -> Result<usize, Failure> {
        let until = time.and_then(|(began, time)| began.checked_add(time));
        loop {
            let mut poll = Poll::default();
            let places = (poll.stop(&self.stop), poll.input(&self.input), poll.output(output, false));
            poll.wait(until).map_err(|error| cannot_read(&error))?;
            if poll.ready(places.0).read {
                return Err(Failure::Stopped(self.stop.signal().unwrap_or_default()));
            }
            if poll.ready(places.2).gone {
                return Err(Failure::ReaderGone);
            }
            if poll.ready(places.1).read {
                match self.input.read_some(space) {
                    Err(error) if is_passing(&error) => {}
                    read => return read.map_err(|error| cannot_read(&error)),
                }
            }
            if let Some((_, time)) = time.filter(|_| until.is_some_and(|until| Instant::now() >= until)) {
                let seconds = time.as_secs_f64();
                let text = format!("<stdin>: {seconds} s passed before its first message came; -W allows more");
                return Err(Failure::Time(text));
            }
        }
    }
}

fn cannot_read(error: &io::Error) -> Failure {
    Failure::io("cannot read standard input", error)
}
