//! Addresses as they are typed, what they resolve to, and dialling them.
//!
//! Which host and port stand for one left out is the caller's business, and so is what to tell a person whose call was
//! refused.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::wait::{self, Stop};
pub(crate) use crate::engine::Address;

/// How long one address is dialled before the next one is tried.
pub const DIAL_TIME: Duration = Duration::from_secs(5);

/// How long a refused dial rests before it is repeated: a game that starts is met within a blink.
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Why nobody was reached.
#[derive(Debug)]
pub enum Unreached {
    /// The stop came first, or nobody waits for it any more.
    Stopped,
    /// What the last address said.
    Failed(io::Error),
}

/// Dials the addresses in order, each for at most [`DIAL_TIME`], and again every [`RETRY_PAUSE`] until `retry` has
/// passed.
/// When the first round has failed and another one will follow, `waiting` hears why.
///
/// # Errors
/// The stop, or what the last try of the last address met.
pub fn dial(
    addresses: &[SocketAddr],
    retry: Duration,
    stop: &Stop,
    waiting: impl FnOnce(&io::Error),
) -> Result<TcpStream, Unreached> {
    dial_until(addresses, retry, None, stop, waiting)
}

/// As [`dial`], but until a time at the latest, also while a call is neither taken nor refused.
///
/// # Errors
/// As for [`dial`].
pub fn dial_until(
    addresses: &[SocketAddr],
    retry: Duration,
    until: Option<Instant>,
    stop: &Stop,
    waiting: impl FnOnce(&io::Error),
) -> Result<TcpStream, Unreached> {
    let mut waiting = Some(waiting);
    dial_every(RETRY_PAUSE, addresses, retry, until, stop, |error| {
        if let Some(tell) = waiting.take() {
            tell(error);
        }
        true
    })
}

/// As [`dial_until`], but again every `pause`, and only while `goes_on`, which hears why each round failed, says so.
///
/// # Errors
/// As for [`dial`].
pub fn dial_every(
    pause: Duration,
    addresses: &[SocketAddr],
    retry: Duration,
    until: Option<Instant>,
    stop: &Stop,
    mut goes_on: impl FnMut(&io::Error) -> bool,
) -> Result<TcpStream, Unreached> {
    let start = Instant::now();
    // A time beyond the clock's end is for ever.
    let give_up = start.checked_add(retry).into_iter().chain(until).min();
    loop {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for &address in addresses {
            let patience = Instant::now() + DIAL_TIME;
            match wait::connect(address, until.map_or(patience, |until| until.min(patience)), stop) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Unreached::Stopped),
                Err(error) => last = error,
            }
        }
        let next = Instant::now() + pause;
        if give_up.is_some_and(|end| next > end) {
            // Who would have gone on dialling has the whole time that was given.
            let rest = until.filter(|_| give_up == until);
            return match rest.map_or(Ok(false), |until| stop.wait_until(until)) {
                Ok(true) => Err(Unreached::Stopped),
                Ok(false) => Err(Unreached::Failed(last)),
                Err(error) => Err(Unreached::Failed(error)),
            };
        }
        if !goes_on(&last) || stop.wait_until(next).map_err(Unreached::Failed)? {
            return Err(Unreached::Stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::wait::{listen, stop_pair};

    #[test]
    fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let good = listener.local_addr().unwrap();
        let closed = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap().local_addr().unwrap();
        let (stop, _stopper) = stop_pair().unwrap();
        let socket = dial(&[closed, good], Duration::ZERO, &stop, |_| ()).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), good);
    }

    #[test]
    fn a_retry_meets_whoever_comes_later_and_a_stop_ends_it() {
        let address = listen(&["127.0.0.1:0".parse().unwrap()]).unwrap().local_addr().unwrap();
        let (stop, stopper) = stop_pair().unwrap();
        let refused = dial(&[address], Duration::ZERO, &stop, |_| ()).unwrap_err();
        assert!(matches!(refused, Unreached::Failed(error) if error.kind() == io::ErrorKind::ConnectionRefused));
        std::thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&[address], Duration::from_secs(20), &stop, |_| ()).map(|_| ()));
            let _listener = listen(&[address]).unwrap();
            assert!(dialled.join().unwrap().is_ok());
        });
        std::thread::scope(|scope| {
            let dialled = scope.spawn(|| dial(&[address], Duration::MAX, &stop, |_| drop(stopper)).map(|_| ()));
            assert!(matches!(dialled.join().unwrap(), Err(Unreached::Stopped)));
        });
    }
}
