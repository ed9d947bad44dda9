//! Standard input before anybody is met: what a session says of itself has to be known before its peer is dialled.

use std::io;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::net::wait::{Input, Output, Poll, Stop};

/// Reads what standard input has when it has something, as long as nothing else ends the run.
///
/// # Errors
/// A signal, the time, a stdout that nobody reads any more, an input that cannot be read.
pub fn await_input(
    space: &mut [u8],
    (stop, input, output): (&Stop, Option<&Input>, &Output),
    time: Option<(Instant, Duration)>,
) -> Result<usize, Failure> {
    let Some(input) = input else { return Ok(0) };
    let until = time.and_then(|(began, time)| began.checked_add(time));
    let cannot_read = |error: io::Error| Failure::io("cannot read standard input", &error);
    loop {
        let mut poll = Poll::default();
        let places = (poll.stop(stop), poll.input(input), poll.output(output, false));
        poll.wait(until).map_err(cannot_read)?;
        if poll.ready(places.0).read {
            return Err(Failure::Stopped(stop.signal().unwrap_or_default()));
        }
        if poll.ready(places.2).gone {
            return Err(Failure::ReaderGone);
        }
        if poll.ready(places.1).read {
            match input.read_some(space) {
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                read => return read.map_err(cannot_read),
            }
        }
        if let Some((_, time)) = time.filter(|_| until.is_some_and(|until| Instant::now() >= until)) {
            let seconds = time.as_secs_f64();
            let text = format!("<stdin>: {seconds} s passed before its first message came; -W allows more");
            return Err(Failure::Time(text));
        }
    }
}
